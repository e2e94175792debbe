//! People in the console share sessions: they come, hold, leave, and close under other people's feet.

use super::*;
use crate::sim::console::{Comes, Leaves, Visit};

fn visited(visit: Visit) -> World {
    let mut device = windows(1);
    device.visits.push(visit);
    World::new(vec![device])
}

#[tokio::test(start_paused = true)]
async fn a_person_was_there_first() {
    let world = visited(Visit {
        comes: Comes::After(Duration::ZERO),
        stays: SECOND * 2000,
        commands: 3,
        leaves: Leaves::SessionOpen,
    });
    advance(SECOND * 1100).await;
    let (status, session) = post(&world, "liveresponse/sessions", &json!({"device_id": 1}));
    assert_eq!(
        (
            status,
            &session["status"],
            &session["current_command_index"]
        ),
        (201, &json!("ACTIVE"), &json!(2)),
        "joined, with their commands in it"
    );
    let route = format!(
        "liveresponse/sessions/{}",
        session["id"].as_str().expect("an id")
    );
    let ours = send(&world, &route, &json!({"name": "process list"}));
    assert!(ours.ends_with("/2"));
    advance(SECOND * 500).await;
    assert_eq!(get(&world, &route).1["current_command_index"], 4);
    // They keep it alive while they are there, and fifteen minutes longer.
    advance(SECOND * 1299).await;
    assert_eq!(get(&world, &route).1["status"], "ACTIVE");
    advance(SECOND).await;
    assert_eq!(get(&world, &route).1["status"], "TIMEOUT");
    let books = world.books();
    assert_eq!(
        (
            books.sessions_of_the_console,
            books.sessions_opened,
            books.sessions_leaked
        ),
        (1, 0, 0)
    );
    assert_eq!(books.commands["process list"], 4);
}

#[tokio::test(start_paused = true)]
async fn a_person_joins_and_closes_for_everybody() {
    let world = visited(Visit {
        comes: Comes::Joining(SECOND * 5),
        stays: SECOND * 10,
        commands: 1,
        leaves: Leaves::SessionClosed,
    });
    advance(SECOND * 100).await;
    assert_eq!(get(&world, "liveresponse/sessions").1, json!([]));
    let session = active(&world, &json!({"device_id": 1})).await;
    let long = json!({"name": "create process", "path": "timeout.exe /t 60", "wait": true});
    send(&world, &session, &long);
    advance(SECOND * 14).await;
    let (_, commands) = get(&world, &format!("{session}/commands"));
    let words: Vec<_> = commands
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| &c["status"])
        .collect();
    assert_eq!(
        words,
        ["IN PROGRESS", "PENDING"],
        "ours, and theirs behind it"
    );
    advance(SECOND).await;
    assert_eq!(get(&world, &session).0, 404);
    let books = world.books();
    assert_eq!((books.sessions_open, books.sessions_closed), (0, 1));
    assert_eq!(
        done(&world, 1),
        [("create process".into(), "timeout.exe /t 60".into())]
    );
}

#[tokio::test(start_paused = true)]
async fn people_count_towards_the_limit() {
    use crate::sim::world::Settings;
    let mut device = windows(1);
    device.visits.push(Visit {
        comes: Comes::After(SECOND),
        stays: SECOND * 60,
        commands: 0,
        leaves: Leaves::SessionClosed,
    });
    let settings = Settings {
        max_sessions: 1,
        ..Settings::default()
    };
    let world = World::with(vec![device, windows(2)], settings);
    advance(SECOND * 2).await;
    let ask = json!({"device_id": 2});
    let (status, body) = post(&world, "liveresponse/sessions", &ask);
    assert_eq!(status, 403);
    let message = body["message"].as_str().expect("text");
    assert!(message.contains("session limit reached"), "{message}");
    advance(SECOND * 60).await;
    assert_eq!(post(&world, "liveresponse/sessions", &ask).0, 201);
}
