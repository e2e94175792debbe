//! The books tell what was executed: every kind that changes something, with what, when, and how it went.

use super::*;
use crate::sim::endpoint::content::{Clip, Content};

#[tokio::test(start_paused = true)]
async fn every_change_is_written_down_and_nothing_else() {
    let world = World::new(vec![windows(1)]);
    let session = active(&world, &json!({"device_id": 1})).await;
    let id = session.rsplit('/').next().expect("an id");
    let upload = world
        .upload(id, "x", Clip::whole(Content::text("x")))
        .expect("is active");
    let set = json!({"name": "reg set value", "path": "HKLM\\S\\v", "value_type": "REG_SZ", "value_data": "x"});
    let put = json!({"name": "put file", "path": "C:\\t\\x", "file_id": upload.id.uuid});
    let path = |name: &str, path: &str| json!({"name": name, "path": path});
    let table = [
        (put, "C:\\t\\x", 0_u32),
        (path("create directory", "C:\\t\\d"), "C:\\t\\d", 0),
        (
            path("create process", "timeout.exe /t 90"),
            "timeout.exe /t 90",
            0,
        ),
        (json!({"name": "kill", "pid": 77}), "77", 0x8007_0057),
        (path("delete file", "C:\\t\\x"), "C:\\t\\x", 0),
        (path("reg create key", "HKLM\\S"), "HKLM\\S", 0),
        (set, "HKLM\\S\\v", 0),
        (path("reg delete value", "HKLM\\S\\v"), "HKLM\\S\\v", 0),
        (path("reg delete key", "HKLM\\S"), "HKLM\\S", 0),
        (path("memdump", "C:\\t\\m"), "C:\\t\\m", 0),
    ];
    for (body, ..) in &table {
        for read in [
            path("directory list", "C:\\t\\"),
            path("get file", "C:\\t\\x"),
            path("reg enum key", "HKLM\\S"),
            path("reg query value", "HKLM\\S\\v"),
            json!({"name": "process list"}),
        ] {
            send(&world, &session, &read);
        }
        assert!(world.books().done(1).len() <= table.len());
        send(&world, &session, body);
        advance(SECOND).await;
    }
    let books = world.books();
    let written: Vec<_> = books
        .changes
        .iter()
        .map(|c| (c.command, c.what.as_str(), c.code))
        .collect();
    let expected: Vec<_> = table
        .iter()
        .map(|(body, what, code)| (body["name"].as_str().expect("text"), *what, *code))
        .collect();
    assert_eq!(written, expected);
    // The sensor checked in after 100 ms; five reads of 10 ms each go before every change.
    let times: Vec<_> = books.changes.iter().map(|change| change.at).collect();
    assert_eq!(times, (0..10).map(|n| 150 + n * 1000).collect::<Vec<_>>());
    assert_eq!(books.commands.values().sum::<u64>(), 60);
}

#[tokio::test(start_paused = true)]
async fn what_was_only_asked_for_is_not_in_them() {
    let world = World::new(vec![windows(1), windows(2).offline()]);
    let session = active(&world, &json!({"device_id": 1})).await;
    let slow = json!({"name": "create process", "path": "timeout.exe /t 90", "wait": true});
    send(&world, &session, &slow);
    for name in ["create directory", "delete file"] {
        send(&world, &session, &json!({"name": name, "path": "C:\\t\\d"}));
    }
    assert_eq!(delete(&world, &format!("{session}/commands/2")), 204);
    let isolate =
        json!({"action_type": "QUARANTINE", "device_id": [2], "options": {"toggle": "ON"}});
    assert_eq!(post(&world, "device_actions", &isolate).0, 204);
    advance(SECOND * 60).await;
    // Closing leaves what runs, and takes the rest away.
    assert_eq!(delete(&world, &session), 204);
    advance(SECOND * 3600).await;
    let changes = world.books().changes;
    let written: Vec<_> = changes.iter().map(|c| (c.device, c.command)).collect();
    assert_eq!(written, [(1, "create process")]);
}

#[tokio::test(start_paused = true)]
async fn a_session_of_the_console_can_be_lost_and_is_nobodys_loss() {
    use crate::sim::console::{Comes, Leaves, Visit};
    let mut device = windows(1);
    device.visits.push(Visit {
        comes: Comes::After(Duration::ZERO),
        stays: SECOND * 60,
        commands: 0,
        leaves: Leaves::SessionOpen,
    });
    let world = World::new(vec![device]);
    active(&world, &json!({"device_id": 1})).await;
    world.lose("1:1");
    let books = world.books();
    assert_eq!((books.sessions_open, books.sessions_lost), (0, 0));
    assert_eq!(get(&world, "liveresponse/sessions/1:1").0, 404);
}
