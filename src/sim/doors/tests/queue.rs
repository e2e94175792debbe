//! Commands that are sent without waiting: in order, one at a time, each with a life of its own.

use super::*;
use crate::sim::endpoint::content::{Clip, Content};

fn codes(world: &World, commands: &[String]) -> Vec<(String, u64)> {
    let read = |route: &String| {
        let (_, command) = get(world, route);
        let status = command["status"].as_str().expect("text").to_owned();
        (status, command["result_code"].as_u64().expect("a number"))
    };
    commands.iter().map(read).collect()
}

fn row(status: &str, code: u64) -> (String, u64) {
    (status.to_owned(), code)
}

#[tokio::test(start_paused = true)]
async fn a_pending_command_has_everything_but_its_end() {
    let world = World::new(vec![windows(1)]);
    let session = active(&world, &json!({"device_id": 1})).await;
    let body = json!({"name": "get file", "object": "C:\\t\\none", "session_id": "1:1"});
    let (status, mut posted) = post(&world, &format!("{session}/commands"), &body);
    assert_eq!(status, 201);
    let file = posted["file_details"]["file_id"].take();
    assert_eq!(file.as_str().map(str::len), Some(36), "a UUID, at once");
    assert!(posted["create_time"].take().is_string());
    let expected = json!({
        "id": 0, "name": "get file", "status": "PENDING", "result_code": 0, "result_type": null,
        "result_desc": "", "values": [], "sub_keys": [], "files": [], "processes": [],
        "input": {"name": "get file", "object": "C:\\t\\none"}, "create_time": null,
        "finish_time": null, "file_details": {"offset": 0, "count": 0, "file_id": null},
    });
    assert_eq!(posted, expected);
    advance(SECOND).await;
    let (_, failed) = get(&world, &format!("{session}/commands/0"));
    assert_eq!(
        failed["file_details"]["file_id"], file,
        "a failed one keeps it"
    );
    assert_eq!(failed["result_code"], json!(0x8007_0002_u32));
    let content = format!("{session}/files/{}/content", file.as_str().expect("text"));
    assert_eq!(get(&world, &content).0, 404);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_first_happens_first() {
    let mut device = windows(1);
    let planted = device
        .endpoint
        .plant(r"C:\t\a", Some(Content::text("abc")), |_| {});
    planted.expect("legal");
    let planted = device.endpoint.registry.plant(r"HKLM\X", Vec::new());
    planted.expect("a hive");
    let world = World::new(vec![device]);
    let session = active(&world, &json!({"device_id": 1})).await;
    let id = session.rsplit('/').next().expect("an id");
    let path = |name: &str, path: &str| json!({"name": name, "path": path});

    let twice = path("create directory", "C:\\t\\d");
    let twice = [
        send(&world, &session, &twice),
        send(&world, &session, &twice),
    ];
    let list = send(&world, &session, &path("directory list", "C:\\t\\"));
    let upload = world
        .upload(id, "new", Clip::whole(Content::text("x")))
        .expect("is active");
    let put = json!({"name": "put file", "path": "C:\\t\\new", "file_id": upload.id.uuid});
    let put = send(&world, &session, &put);
    let fetch = path("get file", "C:\\t\\a");
    let fetches = [
        send(&world, &session, &fetch),
        send(&world, &session, &fetch),
        send(&world, &session, &path("delete file", "C:\\t\\a")),
    ];
    assert_eq!(delete(&world, &fetches[1]), 204, "it is pending");
    let keys = [
        send(&world, &session, &path("reg enum key", "HKLM\\X")),
        send(&world, &session, &path("reg enum key", "HKLM\\X\\New")),
        send(&world, &session, &path("reg create key", "HKLM\\X\\New")),
    ];
    let (_, shown) = get(&world, &session);
    assert_eq!(
        shown["current_command_index"], 10,
        "the next id, without gaps"
    );
    advance(SECOND).await;

    let done = row("COMPLETE", 0);
    assert_eq!(
        codes(&world, &twice),
        [done.clone(), row("ERROR", 0x8007_00b7)]
    );
    let (_, list) = get(&world, &list);
    let names: Vec<_> = list["files"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|f| &f["filename"])
        .collect();
    assert_eq!(
        names,
        [".", "..", "a", "d"],
        "what was put later is not in it"
    );
    assert_eq!(codes(&world, &[put])[0], done);
    assert_eq!(
        codes(&world, &fetches),
        [done.clone(), row("CANCELLED", 0), done.clone()]
    );
    assert_eq!(
        codes(&world, &keys),
        [done.clone(), row("ERROR", 0x8007_0002), done]
    );

    // What has ended ignores being cancelled, and stays readable.
    assert_eq!(delete(&world, &fetches[0]), 204);
    assert_eq!(codes(&world, &fetches[..1]), [row("COMPLETE", 0)]);
    let (_, all) = get(&world, &format!("{session}/commands"));
    let ids: Vec<_> = all
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| c["id"].as_u64())
        .collect();
    assert_eq!(ids, (0..10).map(Some).collect::<Vec<_>>());
    let books = world.books();
    assert_eq!(
        books.commands["get file"], 1,
        "what was cancelled never ran"
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_goes_through_its_states() {
    let world = World::new(vec![windows(1)]);
    let session = active(&world, &json!({"device_id": 1})).await;
    let run = json!({"name": "create process", "path": "timeout.exe /t 5", "wait": true});
    let first = send(&world, &session, &run);
    let second = send(&world, &session, &json!({"name": "process list"}));
    let states = |world: &World| {
        [&first, &second].map(|route| {
            let (_, command) = get(world, route);
            let status = command["status"].as_str().expect("text").to_owned();
            (status, command["finish_time"].is_string())
        })
    };
    let state = |word: &str, finished| (word.to_owned(), finished);
    assert_eq!(
        states(&world),
        [state("IN PROGRESS", false), state("PENDING", false)]
    );
    assert_eq!(delete(&world, &first), 204, "a running one ignores it");
    advance(SECOND * 5).await;
    assert_eq!(
        states(&world),
        [state("IN PROGRESS", false), state("PENDING", false)]
    );
    advance(Duration::from_millis(10)).await;
    assert_eq!(
        states(&world),
        [state("COMPLETE", true), state("IN PROGRESS", false)]
    );
    advance(Duration::from_millis(10)).await;
    assert_eq!(
        states(&world),
        [state("COMPLETE", true), state("COMPLETE", true)]
    );
}
