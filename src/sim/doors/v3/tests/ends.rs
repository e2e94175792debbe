//! Timeouts, and what is left of a session after its end: 404, whatever is asked.

use super::*;

/// Every route of a session that is gone says so.
fn assert_gone(world: &World) {
    let file = format!("{SESSION}/file/1");
    let (command, keep) = (format!("{SESSION}/command"), format!("{SESSION}/keepalive"));
    let (files, bytes) = (
        format!("{SESSION}/file"),
        format!("{SESSION}/file/1/content"),
    );
    let one = format!("{command}/0");
    for route in [SESSION, &keep, &command, &one, &files, &file, &bytes] {
        assert_eq!(get(world, route), no_session(), "{route}");
    }
    let body = json!({"name": "process list"});
    assert_eq!(post(world, &command, &body), no_session());
    assert_eq!(post(world, &command, &json!([])), no_session());
    assert_eq!(put(world, &one, &json!({"cmdid": 0})), no_session());
    assert_eq!(upload(world, "x"), no_session());
    assert_eq!(put(world, &file, &json!({"delete": true})), no_session());
    assert_eq!(delete(world, &file), no_session());
    let close = json!({"session_id": "1:98765", "status": "CLOSE"});
    assert_eq!(put(world, "cblr/session", &close), no_session());
}

#[tokio::test(start_paused = true)]
async fn a_sensor_that_never_checks_in_ends_in_404() {
    for (body, patience) in [
        (json!({}), 900),
        (json!({"checkin_timeout": 60}), 60),
        (json!({"check_in_timeout": "120"}), 120),
    ] {
        let world = World::new(vec![device().offline()]);
        let (_, session) = post(&world, "cblr/session/98765", &body);
        assert_eq!(session["check_in_timeout"], json!(patience));
        advance(SECOND * (patience - 1)).await;
        assert_eq!(get(&world, SESSION).1["status"], "PENDING");
        let commands = format!("{SESSION}/command");
        let (status, refused) = post(&world, &commands, &json!({"name": "process list"}));
        assert_eq!((status, &refused["success"]), (409, &json!(false)));
        assert_eq!(get(&world, &commands), (200, json!([])));
        advance(SECOND).await;
        assert_eq!(get(&world, SESSION).1["status"], "TIMEOUT");
        advance(SECOND * 5).await;
        assert_gone(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_idles_ends_in_404() {
    let world = World::new(vec![device()]);
    active(&world, &json!({"session_timeout": 100})).await;
    send(&world, &json!({"name": "process list"}));
    advance(SECOND * 99).await;
    let (_, kept) = get(&world, &format!("{SESSION}/keepalive"));
    assert_eq!(kept["session_timeout"], 100);
    advance(SECOND * 99).await;
    assert_eq!(get(&world, SESSION).1["status"], "ACTIVE");
    advance(SECOND).await;
    assert_eq!(get(&world, SESSION).1["status"], "TIMEOUT");
    advance(SECOND * 5).await;
    assert_gone(&world);
}

#[tokio::test(start_paused = true)]
async fn a_sensor_leaves_that_is_given_nothing_to_do() {
    let world = World::new(vec![device()]);
    active(&world, &json!({"sensor_wait_timeout": 60})).await;
    advance(SECOND * 59).await;
    get(&world, &format!("{SESSION}/keepalive"));
    advance(SECOND * 59).await;
    assert_eq!(get(&world, SESSION).1["status"], "ACTIVE");
    advance(SECOND).await;
    assert_eq!(get(&world, SESSION).1["status"], "INACTIVE");
    let commands = format!("{SESSION}/command");
    let (status, _) = post(&world, &commands, &json!({"name": "process list"}));
    assert_eq!(status, 409);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_takes_too_long_ends_with_an_error() {
    let world = World::new(vec![device()]);
    active(&world, &json!({"default_command_timeout": 30})).await;
    let run = json!({"name": "create process", "object": "timeout.exe /t 60", "wait": true});
    let run = send(&world, &run);
    assert_eq!(command(&world, run)["command_timeout"], 30);
    advance(SECOND * 31).await;
    let ended = command(&world, run);
    assert_eq!(
        (&ended["status"], &ended["result_code"]),
        (&json!("error"), &json!(0x8007_05b4_u32))
    );
}

#[tokio::test(start_paused = true)]
async fn closing_ends_everything() {
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    upload(&world, "x");
    let close = json!({"session_id": "1:98765", "status": "CLOSE"});
    assert_eq!(put(&world, "cblr/session", &close).0, 200);
    assert_gone(&world);
    let books = world.books();
    assert_eq!((books.sessions_open, books.sessions_leaked), (0, 0));
}
