//! The files of a session: uploaded ones, fetched ones, and what they are called.

use super::*;
use crate::sim::manners::FileIds;

fn file(id: &Value, name: &str, size: u64) -> Value {
    json!({"id": id, "file_name": name, "size": size, "size_uploaded": size, "status": 0,
        "delete": false})
}

#[tokio::test(start_paused = true)]
async fn files_are_counted_stored_and_removed() {
    let world = World::new(vec![device()]);
    // Also before the sensor has checked in.
    post(&world, "cblr/session/98765", &json!({}));
    let expected = file(&json!(1), "t.exe", 15);
    assert_eq!(upload(&world, "fifteen letters"), (200, expected.clone()));
    advance(Duration::from_millis(100)).await;
    let one = format!("{SESSION}/file/1");
    assert_eq!(get(&world, &one), (200, expected.clone()));
    assert_eq!(
        content(&world, &json!(1)).as_deref(),
        Some(&b"fifteen letters"[..])
    );

    let fetch =
        json!({"name": "get file", "object": "C:\\temp\\a.txt", "offset": 2, "get_count": 3});
    let (_, posted) = post(&world, &format!("{SESSION}/command"), &fetch);
    assert_eq!(posted["file_id"], 2, "named at once");
    let waiting = file(&json!(2), "C:\\temp\\a.txt", 0);
    assert_eq!(get(&world, &format!("{SESSION}/file/2")), (200, waiting));
    assert_eq!(content(&world, &json!(2)), None, "not before it is there");
    advance(SECOND).await;
    let fetched = file(&json!(2), "C:\\temp\\a.txt", 3);
    let all = json!([expected, fetched]);
    assert_eq!(get(&world, &format!("{SESSION}/file")), (200, all));
    assert_eq!(content(&world, &json!(2)).as_deref(), Some(&b"234"[..]));
    assert_eq!(world.books().content_bytes, 18);

    // Without the word nothing is removed.
    for keeps in [json!({"delete": false}), json!({})] {
        assert_eq!(put(&world, &one, &keeps), (200, expected.clone()));
    }
    let mut removed = expected;
    removed["delete"] = json!(true);
    assert_eq!(
        put(&world, &one, &json!({"id": 1, "delete": true})),
        (200, removed)
    );
    let (status, gone) = get(&world, &one);
    assert_eq!((status, &gone["status"]), (404, &json!("NOT_FOUND")));
    assert_eq!(put(&world, &one, &json!({"delete": true})).0, 404);
    let (status, removed) = delete(&world, &format!("{SESSION}/file/2"));
    assert_eq!((status, &removed["delete"]), (200, &json!(true)));
    assert_eq!(delete(&world, &format!("{SESSION}/file/2")).0, 404);
    assert_eq!(get(&world, &format!("{SESSION}/file")), (200, json!([])));
}

#[tokio::test(start_paused = true)]
async fn an_upload_reaches_the_endpoint_by_its_number() {
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    upload(&world, "hello");
    let put_file =
        |path: &str, id: Value| json!({"name": "put file", "object": path, "file_id": id});
    let first = send(&world, &put_file("C:\\temp\\1", json!(1)));
    let second = send(&world, &put_file("C:\\temp\\2", json!("1")));
    let again = send(&world, &put_file("C:\\temp\\2", json!(1)));
    let fetch = send(
        &world,
        &json!({"name": "get file", "object": "C:\\temp\\2"}),
    );
    advance(SECOND).await;
    assert_eq!(command(&world, first)["status"], "complete");
    assert_eq!(command(&world, second)["obj"]["file_id"], 1);
    assert_eq!(
        command(&world, again)["result_code"],
        json!(0x8007_0050_u32)
    );
    let fetched = &command(&world, fetch)["file_id"];
    assert_eq!(content(&world, fetched).as_deref(), Some(&b"hello"[..]));
    // Of what has not come, clients hear under the name that they know.
    let missing = json!({"name": "get file", "object": "C:\\temp\\missing"});
    let missing = send(&world, &missing);
    let file = &command(&world, missing)["file_id"];
    let (status, refused) = get(&world, &format!("{SESSION}/file/{file}/content"));
    let reason = json!(format!("content of file {file} not found"));
    assert_eq!((status, &refused["reason"]), (404, &reason));
    // The file is as good as it was.
    assert_eq!(get(&world, &format!("{SESSION}/file/1")).1["status"], 0);
}

#[tokio::test(start_paused = true)]
async fn files_may_have_uuids() {
    let world = mannered(V3 {
        file_ids: FileIds::Uuids,
        ..V3::default()
    });
    active(&world, &json!({})).await;
    let (_, stored) = upload(&world, "hello");
    assert_eq!(stored["id"].as_str().map(str::len), Some(36));
    let put_file = json!({"name": "put file", "object": "C:\\temp\\1", "file_id": stored["id"]});
    let put_file = send(&world, &put_file);
    let fetch = send(
        &world,
        &json!({"name": "get file", "object": "C:\\temp\\1"}),
    );
    advance(SECOND).await;
    let done = command(&world, put_file);
    assert_eq!(
        (&done["file_id"], &done["obj"]["file_id"]),
        (&stored["id"], &stored["id"])
    );
    let fetched = &command(&world, fetch)["file_id"];
    assert_ne!(fetched, &stored["id"]);
    assert_eq!(content(&world, fetched).as_deref(), Some(&b"hello"[..]));
    assert_eq!(content(&world, &json!(1)), None);
    let number = json!({"name": "put file", "object": "C:\\temp\\2", "file_id": 1});
    assert_eq!(post(&world, &format!("{SESSION}/command"), &number).0, 404);
}
