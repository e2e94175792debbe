//! A hundred sessions, two hundred and fifty commands, ten kilobytes; and devices that refuse.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_organisation_has_a_hundred_sessions() {
    let mut devices: Vec<SimDevice> = (1..=101).map(windows).collect();
    devices.push(windows(200).live_response_off());
    let world = World::new(devices);
    let open = |id: u64| post(&world, "liveresponse/sessions", &json!({"device_id": id}));
    for id in 1..=100 {
        assert_eq!(open(id).0, 201);
    }
    let (status, body) = open(101);
    assert_eq!((status, &body["error_code"]), (403, &json!("FORBIDDEN")));
    let message = body["message"].as_str().expect("text");
    assert!(message.contains("session limit reached"), "{message}");
    let (status, again) = open(7);
    assert_eq!(
        (status, &again["id"]),
        (201, &json!("7:7")),
        "one that is there is no new one"
    );
    let (status, body) = open(200);
    let message = body["message"].as_str().expect("text");
    assert_eq!(status, 403);
    assert!(!message.contains("limit"), "another 403: {message}");
    assert_eq!(delete(&world, "liveresponse/sessions/7:7"), 204);
    assert_eq!(open(101).0, 201);
    assert_eq!(
        get(&world, "liveresponse/sessions")
            .1
            .as_array()
            .map(Vec::len),
        Some(100)
    );
    assert_eq!(world.books().max_concurrent_sessions, 100);
}

#[tokio::test(start_paused = true)]
async fn a_session_has_two_hundred_and_fifty_commands() {
    let world = World::new(vec![windows(1)]);
    let session = active(&world, &json!({"device_id": 1})).await;
    for _ in 0..250 {
        send(&world, &session, &json!({"name": "process list"}));
    }
    let commands = format!("{session}/commands");
    assert_eq!(
        post(&world, &commands, &json!({"name": "process list"})).0,
        400
    );
    advance(SECOND * 10).await;
    assert_eq!(world.books().commands["process list"], 250);
    assert_eq!(delete(&world, &session), 204);
    let session = active(&world, &json!({"device_id": 1})).await;
    assert!(send(&world, &session, &json!({"name": "process list"})).ends_with("/0"));
}

#[tokio::test(start_paused = true)]
async fn a_command_has_ten_kilobytes() {
    let world = World::new(vec![windows(1)]);
    let session = active(&world, &json!({"device_id": 1})).await;
    let commands = format!("{session}/commands");
    let of = |size: usize| {
        let body = json!({"name": "create process", "path": "x"}).to_string();
        json!({"name": "create process", "path": "x".repeat(size + 1 - body.len())})
    };
    assert_eq!(of(10_240).to_string().len(), 10_240);
    assert_eq!(post(&world, &commands, &of(10_240)).0, 201);
    assert_eq!(post(&world, &commands, &of(10_241)).0, 400);
}
