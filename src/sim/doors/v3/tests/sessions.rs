//! What a session looks like from its opening to its close.

use super::*;
use crate::sim::manners::SessionList;

fn pending() -> Value {
    json!({
        "hostname": null, "address": null, "os_version": null, "current_working_directory": null,
        "supported_commands": null, "drives": null, "id": "1:98765", "sensor_id": 98765,
        "check_in_timeout": 900, "session_timeout": 900, "sensor_check_in_time": null,
        "status": "PENDING", "current_command_index": 0, "create_time": "ms",
    })
}

fn live(status: &str, index: u64) -> Value {
    let mut body = pending();
    body["status"] = json!(status);
    body["current_command_index"] = json!(index);
    body["sensor_check_in_time"] = json!("ms");
    body["current_working_directory"] = json!("C:\\Windows\\system32");
    body["drives"] = json!(["C:\\"]);
    body["supported_commands"] = json!([
        "put file",
        "get file",
        "memdump",
        "create directory",
        "delete file",
        "directory list",
        "reg enum key",
        "reg query value",
        "reg create key",
        "reg delete key",
        "reg delete value",
        "reg set value",
        "process list",
        "kill",
        "create process",
    ]);
    body
}

#[tokio::test(start_paused = true)]
async fn a_session_is_opened_polled_and_closed() {
    let world = World::new(vec![device()]);
    let (status, opened) = post(&world, "cblr/session/98765", &json!({"sensor_id": 98765}));
    assert_eq!((status, counted(opened.clone())), (200, pending()));
    assert_eq!(get(&world, SESSION), (200, opened.clone()));
    advance(Duration::from_millis(100)).await;
    let (status, active) = get(&world, "cblr/session/1%3A98765");
    let delay = |body: &Value| {
        let at = |key: &str| body[key].as_i64().expect("a time");
        at("sensor_check_in_time") - at("create_time")
    };
    assert_eq!((status, delay(&active)), (200, 100));
    assert_eq!(counted(active), live("ACTIVE", 0));
    // Whoever asks again joins.
    let (status, joined) = post(&world, "cblr/session/98765", &json!({}));
    assert_eq!((status, counted(joined)), (200, live("ACTIVE", 0)));
    send(&world, &json!({"name": "process list"}));
    let (status, kept) = get(&world, &format!("{SESSION}/keepalive"));
    assert_eq!((status, counted(kept)), (200, live("ACTIVE", 1)));

    let close = json!({"session_id": "1:98765", "status": "CLOSE"});
    let (status, closed) = put(&world, "cblr/session", &close);
    assert_eq!((status, counted(closed)), (200, live("CLOSE", 1)));
    assert_eq!(put(&world, "cblr/session", &close), no_session());
    assert_eq!(get(&world, SESSION), no_session());
    assert_eq!(world.books().sessions_open, 0);
    let (_, next) = post(&world, "cblr/session/98765", &json!({}));
    assert_eq!(next["id"], "2:98765");
}

#[tokio::test(start_paused = true)]
async fn one_that_never_became_active_can_be_closed() {
    let world = World::new(vec![device().offline()]);
    post(&world, "cblr/session/98765", &json!({}));
    let close = json!({"session_id": "1:98765", "status": "CLOSE"});
    let (status, closed) = put(&world, "cblr/session", &close);
    let mut expected = pending();
    expected["status"] = json!("CLOSE");
    assert_eq!((status, counted(closed)), (200, expected));
}

#[tokio::test(start_paused = true)]
async fn only_the_exact_word_closes() {
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    for body in [
        json!({"session_id": "1:98765", "status": "close"}),
        json!({"session_id": "1:98765", "status": "CLOSED"}),
        json!({"session_id": "1:98765", "status": ["CLOSE"]}),
        json!({"session_id": "1:98765"}),
        json!({"session_id": 1, "status": "CLOSE"}),
        json!({"status": "CLOSE"}),
    ] {
        assert_eq!(put(&world, "cblr/session", &body).0, 400, "{body}");
    }
    for other in ["", "1", "2:98765", "1:98766", "x"] {
        let close = json!({"session_id": other, "status": "CLOSE"});
        assert_eq!(put(&world, "cblr/session", &close), no_session());
    }
    assert_eq!(get(&world, SESSION).1["status"], "ACTIVE");
}

#[tokio::test(start_paused = true)]
async fn the_path_says_which_device_and_the_body_may_be_absent() {
    let world = World::new(vec![device()]);
    for id in ["98766", "0", "-1", "1:98765", "x", "99999999999999999999"] {
        let rest = format!("cblr/session/{id}");
        let expected =
            json!({"reason": "Unable to find: sensorId", "success": false, "status": "NOT_FOUND"});
        assert_eq!(
            post(&world, &rest, &json!({"sensor_id": 98765})),
            (404, expected)
        );
    }
    let bare = request(&world, Method::Post, "cblr/session/98765");
    let (status, opened) = told(&answer(&world, &bare));
    assert_eq!((status, counted(opened)), (200, pending()));
    let other = json!({"sensor_id": 1});
    assert_eq!(
        post(&world, "cblr/session/98765", &other).1["id"],
        "1:98765"
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_of_sessions_is_a_matter_of_manners() {
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    let (status, body) = get(&world, "cblr/session");
    assert_eq!((status, &body["success"]), (405, &json!(false)));

    let world = mannered(V3 {
        session_list: SessionList::Listed,
        ..V3::default()
    });
    assert_eq!(get(&world, "cblr/session"), (200, json!([])));
    active(&world, &json!({})).await;
    let (status, all) = get(&world, "cblr/session");
    assert_eq!((status, counted(all)), (200, json!([live("ACTIVE", 0)])));
}

#[tokio::test(start_paused = true)]
async fn devices_refuse_and_organisations_are_full() {
    let settings = Settings {
        max_sessions: 1,
        ..Settings::default()
    };
    let off = SimDevice::new(2, "OFF", Os::Windows).live_response_off();
    let world = World::with(
        vec![SimDevice::new(1, "A", Os::Windows), off, device()],
        settings,
    );
    assert_eq!(post(&world, "cblr/session/2", &json!({})).0, 403);
    assert_eq!(post(&world, "cblr/session/1", &json!({})).0, 200);
    let (status, body) = post(&world, "cblr/session/98765", &json!({}));
    assert_eq!(
        (status, &body["reason"]),
        (403, &json!("session limit reached"))
    );
}

#[tokio::test(start_paused = true)]
async fn only_its_own_key_opens_and_an_application_may_stand_for_it() {
    let world = World::new(vec![device()]);
    let with = |token: &str| {
        let mut request = Request::new(Method::Post, "/integrationServices/v3/cblr/session/98765");
        request.headers.push(("X-Auth-Token".into(), token.into()));
        answer(&world, &request).status
    };
    let csp = world.csp();
    assert_eq!(with(world.token()), 401);
    assert_eq!(with(&world.keys().edr), 401);
    assert_eq!(with(&world.keys().v3), 200);
    assert_eq!(with(&format!("{}/{}", csp.app_secret, csp.app_id)), 200);
}
