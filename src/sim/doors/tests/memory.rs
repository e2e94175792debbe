//! Memory dumps: progress, the file, and what can go wrong.

use super::*;
use crate::sim::endpoint::memory::Memory;

fn progress(world: &World, command: &str) -> (Value, Value) {
    let (_, mut body) = get(world, command);
    (body["status"].take(), body["mem_dump"].take())
}

fn at(step: &str, percent: u8) -> Value {
    json!({
        "dumping": step == "dumping", "compressing": step == "compressing",
        "complete": step == "complete", "return_code": 0, "percentdone": percent,
    })
}

#[tokio::test(start_paused = true)]
async fn a_dump_tells_how_far_it_is_and_leaves_a_file() {
    let mut device = windows(1);
    device.endpoint.memory = Memory(4 << 30);
    let world = World::new(vec![device]);
    let session = active(&world, &json!({"device_id": 1})).await;
    let order = json!({"name": "memdump", "path": "C:\\t\\m.dmp", "compress": "true"});
    let dump = send(&world, &session, &order);
    assert_eq!(
        progress(&world, &dump),
        (json!("IN PROGRESS"), at("dumping", 0))
    );
    advance(SECOND * 256).await;
    assert_eq!(
        progress(&world, &dump),
        (json!("IN PROGRESS"), at("dumping", 49))
    );
    advance(SECOND * 384).await;
    assert_eq!(progress(&world, &dump).1, at("compressing", 49));
    assert_eq!(done(&world, 1), [("memdump".into(), "C:\\t\\m.dmp".into())]);
    advance(SECOND * 129).await;
    assert_eq!(
        progress(&world, &dump),
        (json!("COMPLETE"), at("complete", 100))
    );

    let fetch = json!({"name": "get file", "path": "C:\\t\\m.dmp.zip", "get_count": 4});
    let fetched = send(&world, &session, &fetch);
    let bare = json!({"name": "get file", "path": "C:\\t\\m.dmp"});
    let bare = send(&world, &session, &bare);
    advance(SECOND).await;
    let (_, fetched) = get(&world, &fetched);
    let file = fetched["file_details"]["file_id"].as_str().expect("named");
    assert_eq!(fetched["status"], "COMPLETE");
    assert_eq!(get(&world, &format!("{session}/files/{file}")).1["size"], 4);
    assert_eq!(get(&world, &bare).1["result_code"], json!(0x8007_0002_u32));
}

#[tokio::test(start_paused = true)]
async fn a_dump_needs_windows_a_folder_and_room() {
    let mut full = windows(2);
    full.endpoint.free = 1000;
    let linux = SimDevice::new(3, "srv", Os::Linux);
    let world = World::new(vec![windows(1), full, linux]);
    for (device, path, code) in [
        (1, "C:\\no\\m.dmp", 0x8007_0003_u32),
        (1, "C:\\t", 0x8007_0005),
        (2, "C:\\t\\m.dmp", 0x8007_0070),
    ] {
        let session = active(&world, &json!({"device_id": device})).await;
        let dump = send(&world, &session, &json!({"name": "memdump", "path": path}));
        advance(SECOND).await;
        let (_, dump) = get(&world, &dump);
        assert_eq!(
            (&dump["status"], &dump["result_code"]),
            (&json!("ERROR"), &json!(code)),
            "{path}"
        );
        assert!(dump.get("mem_dump").is_none(), "{dump}");
    }
    let session = active(&world, &json!({"device_id": 3})).await;
    let (_, shown) = get(&world, &session);
    let supported = shown["supported_commands"].as_array().expect("a list");
    assert!(!supported.contains(&json!("memdump")) && supported.contains(&json!("kill")));
    let dump = json!({"name": "memdump", "path": "/tmp/m"});
    assert_eq!(post(&world, &format!("{session}/commands"), &dump).0, 400);
}

#[tokio::test(start_paused = true)]
async fn a_disk_has_an_end() {
    let mut device = windows(1);
    device.endpoint.free = 5;
    let world = World::new(vec![device]);
    let session = active(&world, &json!({"device_id": 1})).await;
    let id = session.rsplit('/').next().expect("an id");
    let clip = |text: &str| {
        use crate::sim::endpoint::content::{Clip, Content};
        Clip::whole(Content::text(text))
    };
    let stored = world.upload(id, "a", clip("12345")).expect("is active").id;
    let put = |path: &str| json!({"name": "put file", "path": path, "file_id": stored.uuid});
    let clear = json!({"name": "delete file", "path": "C:\\t\\a"});
    let sent = [put("C:\\t\\a"), put("C:\\t\\b"), clear, put("C:\\t\\c")];
    let commands = sent.map(|body| send(&world, &session, &body));
    advance(SECOND).await;
    let codes = commands.map(|route| get(&world, &route).1["result_code"].clone());
    assert_eq!(
        codes,
        [json!(0), json!(0x8007_0070_u32), json!(0), json!(0)]
    );
}
