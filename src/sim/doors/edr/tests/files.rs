//! Binaries and bans as strangers ask for them.

use super::searches::{DAY, MD5, after, begun, call, device, encoded, get, run, world};
use crate::model::device::Os;
use crate::sim::endpoint::content::Content;
use crate::sim::endpoint::order::Order;
use crate::sim::world::World;
use crate::wire::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::io::{Cursor, Read as _};
use std::time::Duration;
use tokio::time::advance;

/// Without the time that depends on when the sensor reported.
fn without_report(mut record: Value) -> Value {
    let members = record.as_object_mut().expect("an object");
    let seen = members.remove("last_seen").unwrap_or_default();
    assert_eq!(seen.as_str().map(str::len), Some(24));
    record
}

#[tokio::test(start_paused = true)]
async fn a_binary_tells_where_it_was_seen() {
    let world = world();
    let (status, record) = get(&world, &format!("v1/binary/{}/summary", MD5.to_uppercase()));
    assert_eq!(status, 200, "{record}");
    let added = after(&world, -2 * DAY);
    assert_eq!(
        without_report(record.clone()),
        json!({
            "md5": MD5.to_uppercase(),
            "sha256": record["sha256"],
            "orig_mod_len": 7,
            "copied_mod_len": 7,
            "observed_filename": [r"c:\tools\tool.exe"],
            "original_filename": "tool.exe",
            "internal_name": "tool.exe",
            "product_name": "",
            "product_version": "",
            "company_name": "",
            "file_version": "",
            "file_desc": "",
            "legal_copyright": "",
            "signed": "Unsigned",
            "digsig_result": "Unsigned",
            "digsig_result_code": "2148204800",
            "digsig_publisher": "",
            "digsig_sign_time": null,
            "digsig_issuer": "",
            "digsig_subject": "",
            "digsig_prog_name": "",
            "is_executable_image": true,
            "is_64bit": true,
            "os_type": "Windows",
            "endpoint": ["WS-7|7", "WS-8|8"],
            "group": ["Default Group"],
            "host_count": 2,
            "server_added_timestamp": added,
            "timestamp": added,
            "cb_version": 700,
            "watchlists": [],
        })
    );
    let (_, body) = get(&world, &format!("v1/binary?q=md5:{MD5}&rows=10"));
    assert_eq!(body["results"], json!([record]));
    let unknown = format!("v1/binary/{}/summary", "0".repeat(32));
    assert_eq!(get(&world, &unknown).0, 404);
}

#[tokio::test(start_paused = true)]
async fn binaries_are_searched_like_processes() {
    let world = world();
    let (names, all) = (
        ["cmd.exe", "tool.exe"],
        ["/sbin/init", "cmd.exe", "tool.exe"],
    );
    let table: [(&str, &[&str]); 10] = [
        ("", &["cmd.exe", "init", "tool.exe"]),
        ("observed_filename:tool.exe", &names[1..]),
        (r#"observed_filename:"c:\windows\*""#, &names[..1]),
        ("hostname:srv-9", &["init"]),
        ("hostname:WS-7 signed:Signed", &names[..1]),
        ("digsig_result:unsigned -os_type:linux", &names[1..]),
        ("company_name:microsoft*", &names[..1]),
        ("host_count:2", &names),
        ("orig_mod_len:4096", &names[..1]),
        ("server_added_timestamp:-1h", &all[..0]),
    ];
    for (query, expected) in table {
        let address = format!("v1/binary?q={}&sort=original_filename+asc", encoded(query));
        let (status, body) = get(&world, &address);
        assert_eq!(status, 200, "{query}: {body}");
        let results = body["results"].as_array().expect("a list").iter();
        let found: Vec<&str> = results
            .filter_map(|one| one["original_filename"].as_str())
            .collect();
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(
        get(&world, "v1/binary?q=hostnam:x").1["reason"],
        "query_malformed_syntax"
    );
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_a_binary_is_packed_and_cut() {
    let mut device = device(7, "WS-7", Os::Windows);
    let huge = Content::Seeded {
        magic: b"MZ",
        seed: 3,
        length: 26 << 20,
    };
    device
        .endpoint
        .plant(r"C:\huge.exe", Some(huge), |_| {})
        .expect("legal");
    run(&mut device, 800, 4, r"C:\gone.exe", "gone");
    let world = World::new(vec![device]);
    let unpacked = |name: &str| {
        let query = format!("v1/binary?q=original_filename:{name}");
        let record = get(&world, &query).1["results"][0].clone();
        let md5 = record["md5"].as_str().expect("text");
        let response = call(&world, Method::Get, &format!("v1/binary/{md5}"), None);
        (record, response)
    };
    let (record, response) = unpacked("huge.exe");
    assert_eq!(record["orig_mod_len"], 26 << 20);
    assert_eq!(record["copied_mod_len"], 25 << 20);
    let mut archive = zip::ZipArchive::new(Cursor::new(response.body)).expect("an archive");
    let mut bytes = Vec::new();
    let mut member = archive.by_name("filedata").expect("there");
    member.read_to_end(&mut bytes).expect("bytes");
    assert_eq!((bytes.len(), &bytes[..2]), (25 << 20, b"MZ".as_slice()));
    drop(member);
    let mut text = String::new();
    let mut member = archive.by_name("metadata").expect("there");
    member.read_to_string(&mut text).expect("text");
    let added = after(&world, 0);
    assert_eq!(
        text,
        format!("Timestamp: {added}\nOrigFilename: huge.exe\n")
    );
    let (record, response) = unpacked("gone.exe");
    assert_eq!(
        (&record["copied_mod_len"], response.status),
        (&json!(0), 404)
    );
}

#[tokio::test(start_paused = true)]
async fn a_hash_is_banned_blocked_and_let_go() {
    let world = world();
    let list = "v1/banning/blacklist";
    let one = format!("{list}/{}", MD5.to_uppercase());
    let told = |method: Method, address: &str, body: &Value| {
        let response = call(&world, method, address, Some(body));
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        (response.status, body)
    };
    let success = (200, json!({"result": "success"}));
    let (null, done) = (&Value::Null, json!({"result": "success"}));
    assert_eq!(call(&world, Method::Get, list, None).status, 204);
    assert_eq!(get(&world, &one).0, 404);
    assert_eq!(told(Method::Delete, &one, null).0, 409);
    assert_eq!(told(Method::Put, &one, &json!({"text": "x"})).0, 404);
    let body = json!({"md5hash": MD5, "text": "bad", "enabled": true});
    assert_eq!(told(Method::Post, list, &body), success);
    assert_eq!(told(Method::Post, list, &body).0, 409);
    for wrong in [json!({}), json!({"md5hash": "g".repeat(32)}), json!([])] {
        assert_eq!(told(Method::Post, list, &wrong).0, 400, "{wrong}");
    }
    let session = world.open(7).expect("opens").session.id;
    advance(Duration::from_millis(100)).await;
    let order = Order::CreateProcess {
        line: r"C:\Tools\tool.exe".into(),
        wait: true,
        working_directory: None,
        output_file: None,
    };
    world.post(&session, order).expect("taken");
    let at = |milliseconds: i64| {
        let at = begun(&world) + SignedDuration::from_millis(milliseconds);
        at.strftime("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string()
    };
    let mut record = json!({
        "md5hash": MD5,
        "text": "bad",
        "username": "analyst",
        "user_id": 1,
        "timestamp": at(0),
        "enabled": true,
        "audit": [
            {"username": "analyst", "user_id": 1, "timestamp": at(0), "text": "bad", "enabled": true},
        ],
        "block_count": 1,
        "last_block_time": at(100),
        "last_block_sensor_id": 7,
        "last_block_hostname": "WS-7",
    });
    assert_eq!(get(&world, &one), (200, record.clone()));
    assert_eq!(
        get(&world, &format!("{list}?count=10000")),
        (200, json!([record]))
    );
    assert_eq!(told(Method::Delete, &one, null), (200, done.clone()));
    assert_eq!(told(Method::Delete, &one, null).0, 409);
    assert_eq!(get(&world, &one).1["text"], "");
    let back = json!({"md5hash": MD5, "text": "bad", "enabled": false});
    assert_eq!(told(Method::Put, &one, &back), (200, done));
    record["enabled"] = json!(false);
    let audit = |text: &str| json!({"username": "analyst", "user_id": 1, "timestamp": at(100), "text": text, "enabled": false});
    let first = record["audit"][0].clone();
    record["audit"] = json!([first, audit(""), audit("bad")]);
    assert_eq!(get(&world, &one), (200, record));
    assert_eq!(told(Method::Post, list, &body), success);
    assert_eq!(get(&world, &one).1["enabled"], true);
}
