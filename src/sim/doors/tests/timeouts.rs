//! Check-in, idling, keep-alive and the time of a command; after the end, 404 everywhere.

use super::*;

/// Every route of a session that is gone says so.
fn assert_gone(world: &World, session: &str) {
    let file = format!("{session}/files/x");
    for route in [
        session,
        &format!("{session}/keepalive"),
        &format!("{session}/commands"),
        &format!("{session}/commands/0"),
        &format!("{session}/files"),
        &file,
        &format!("{file}/content"),
    ] {
        let (status, body) = get(world, route);
        assert_eq!(
            (status, &body["error_code"]),
            (404, &not_found()),
            "{route}"
        );
    }
    let command = json!({"name": "process list"});
    let (status, body) = post(world, &format!("{session}/commands"), &command);
    assert_eq!((status, &body["error_code"]), (404, &not_found()));
    let (status, body) = post(world, &format!("{session}/files"), &json!({}));
    assert_eq!((status, &body["error_code"]), (404, &not_found()));
    assert_eq!(delete(world, session), 404);
    assert_eq!(delete(world, &format!("{session}/commands/0")), 404);
    assert_eq!(get(world, "liveresponse/sessions"), (200, json!([])));
}

#[tokio::test(start_paused = true)]
async fn a_sensor_that_never_checks_in_ends_in_404() {
    for (body, patience) in [
        (json!({"device_id": 1}), 900),
        (json!({"device_id": 1, "check_in_timeout": 120}), 120),
        (json!({"device_id": "1", "checkin_timeout": "60"}), 60),
    ] {
        let world = World::new(vec![windows(1).offline()]);
        let (_, session) = post(&world, "liveresponse/sessions", &body);
        assert_eq!(session["check_in_timeout"], json!(patience));
        let route = format!(
            "liveresponse/sessions/{}",
            session["id"].as_str().expect("an id")
        );
        advance(SECOND * (patience - 1)).await;
        assert_eq!(get(&world, &route).1["status"], "PENDING");
        let (status, _) = post(
            &world,
            &format!("{route}/commands"),
            &json!({"name": "process list"}),
        );
        assert_eq!(status, 409, "no command before the check-in");
        advance(SECOND).await;
        assert_eq!(get(&world, &route).1["status"], "TIMEOUT");
        let (status, _) = post(
            &world,
            &format!("{route}/commands"),
            &json!({"name": "process list"}),
        );
        assert_eq!(status, 404, "it is shown for a while, and takes nothing");
        advance(SECOND * 5).await;
        assert_gone(&world, &route);
        assert_eq!(world.books().sessions_leaked, 1);
        let (_, next) = post(&world, "liveresponse/sessions", &body);
        assert_ne!(next["id"], session["id"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_comes_back_in_time_checks_in() {
    let back = windows(1).away(SECOND * 600);
    let world = World::new(vec![back.clone()]);
    let (_, session) = post(&world, "liveresponse/sessions", &json!({"device_id": 1}));
    let route = format!(
        "liveresponse/sessions/{}",
        session["id"].as_str().expect("an id")
    );
    advance(SECOND * 600).await;
    assert_eq!(get(&world, &route).1["status"], "PENDING");
    advance(SECOND).await;
    assert_eq!(get(&world, &route).1["status"], "ACTIVE");
    let live = json!({"criteria": {"status": ["LIVE"]}});
    assert_eq!(post(&world, "devices/_search", &live).1["num_found"], 1);
    let world = World::new(vec![back]);
    assert_eq!(post(&world, "devices/_search", &live).1["num_found"], 0);
}

#[tokio::test(start_paused = true)]
async fn idling_is_ended_by_commands_their_ends_and_keep_alive() {
    let world = World::new(vec![windows(1)]);
    let body = json!({"device_id": 1, "session_timeout": 100});
    let session = active(&world, &body).await;
    let run = json!({"name": "create process", "path": "timeout.exe /t 80", "wait": true});
    send(&world, &session, &run);
    // It ends after 80 seconds, and only then the clock starts again.
    advance(SECOND * 170).await;
    assert_eq!(get(&world, &session).1["status"], "ACTIVE");
    let (status, kept) = get(&world, &format!("{session}/keepalive"));
    assert_eq!((status, &kept["session_timeout"]), (200, &json!(100)));
    advance(SECOND * 99).await;
    // To look at it keeps nothing alive.
    assert_eq!(get(&world, &session).1["status"], "ACTIVE");
    advance(SECOND).await;
    assert_eq!(get(&world, &session).1["status"], "TIMEOUT");
    advance(SECOND * 5).await;
    assert_gone(&world, &session);
    let books = world.books();
    assert_eq!((books.sessions_open, books.sessions_leaked), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_takes_too_long_ends_with_an_error() {
    let world = World::new(vec![windows(1)]);
    let body = json!({"device_id": 1, "default_command_timeout": 30});
    let session = active(&world, &body).await;
    let slow = json!({"name": "create process", "path": "timeout.exe /t 60", "wait": true});
    let slow = send(&world, &session, &slow);
    let next = send(&world, &session, &json!({"name": "process list"}));
    advance(SECOND * 29).await;
    assert_eq!(get(&world, &slow).1["status"], "IN PROGRESS");
    assert_eq!(get(&world, &next).1["status"], "PENDING");
    advance(SECOND * 2).await;
    let (_, slow) = get(&world, &slow);
    assert_eq!(
        (&slow["status"], &slow["result_code"]),
        (&json!("ERROR"), &json!(0x8007_05b4_u32))
    );
    let (_, next) = get(&world, &next);
    assert_eq!(next["status"], "COMPLETE");
    // The program did not hear of it.
    let line = &next["processes"][0]["process_cmdline"];
    assert_eq!(line, "timeout.exe /t 60");
}

#[tokio::test(start_paused = true)]
async fn closing_ends_everything_for_everybody() {
    let world = World::new(vec![windows(1)]);
    let session = active(&world, &json!({"device_id": 1})).await;
    let (_, joined) = post(&world, "liveresponse/sessions", &json!({"device_id": 1}));
    assert_eq!(joined["status"], "ACTIVE");
    assert!(session.ends_with(joined["id"].as_str().expect("an id")));
    assert_eq!(delete(&world, &session), 204);
    assert_gone(&world, &session);
}
