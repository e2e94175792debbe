use super::super::rig::{SECOND, call, get, post, put, request, told, windows, world};
use crate::model::device::Os;
use crate::sim::device::SimDevice;
use crate::sim::doors::answer;
use crate::sim::endpoint::content::Content;
use crate::sim::endpoint::files::Node;
use crate::sim::endpoint::process::Process;
use crate::sim::endpoint::registry::Value as RegistryValue;
use crate::sim::manners::{CloseAnswer, Edr, Reopening, SensorIds, WhilePending};
use crate::sim::world::{Settings, World};
use crate::wire::{Method, Request};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;
use tokio::time::advance;

const SESSIONS: &str = "v1/cblr/session";
const DAY: Duration = Duration::from_hours(24);

fn furnished() -> SimDevice {
    let mut device = SimDevice::new(7, "WS-7", Os::Windows);
    let hidden = |node: &mut Node| node.attributes |= Node::HIDDEN;
    let text = Content::text("0123456789");
    device
        .endpoint
        .plant(r"C:\temp\a.txt", Some(text), hidden)
        .expect("legal");
    let value = |name: &str, kind, data: &str| RegistryValue {
        name: name.into(),
        kind,
        data: data.into(),
    };
    let values = vec![value("Start", "REG_DWORD", "2"), value("", "REG_SZ", "x")];
    let registry = &mut device.endpoint.registry;
    registry.plant(r"HKLM\X", values).expect("a hive");
    registry.plant(r"HKLM\X\Sub", Vec::new()).expect("a hive");
    for (pid, parent, path, line) in [(4, 0, "", ""), (700, 4, r"C:\L.exe", "l.exe -X")] {
        device.endpoint.processes.plant(Process {
            pid,
            parent,
            path: path.into(),
            line: line.into(),
            user: "NT AUTHORITY\\SYSTEM".into(),
            sid: "S-1-5-18".into(),
            created: 0,
            protected: pid == 4,
            ends: None,
        });
    }
    device
}

/// Opens a session and lets the sensor check in; gives the session's route.
async fn active(world: &World, sensor: u64) -> String {
    let (status, session) = post(world, SESSIONS, &json!({"sensor_id": sensor}));
    assert_eq!(status, 200, "{session}");
    advance(Duration::from_millis(100)).await;
    let route = format!("{SESSIONS}/{}", session["id"]);
    assert_eq!(get(world, &route).1["status"], "active");
    route
}

/// Sends a command; gives its route.
fn send(world: &World, session: &str, body: &Value) -> String {
    let (status, command) = post(world, &format!("{session}/command"), body);
    assert_eq!((status, &command["status"]), (200, &json!("pending")));
    format!("{session}/command/{}", command["id"])
}

fn upload(world: &World, session: &str, name: &str, text: &str) -> (u16, Value) {
    let mut request = request(world, Method::Post, &format!("{session}/file"));
    let form = (
        "content-type".to_owned(),
        "multipart/form-data; boundary=b".to_owned(),
    );
    request.headers.push(form);
    request.body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{text}\r\n--b--\r\n"
    )
    .into_bytes();
    told(&answer(world, &request))
}

fn gone(number: u64) -> (u16, Value) {
    (404, json!(format!("Session {number} not found")))
}

/// Number and status of those that are listed.
fn listed(world: &World, query: &str) -> Vec<(u64, String)> {
    let (status, list) = get(world, &format!("{SESSIONS}{query}"));
    assert_eq!(status, 200);
    let list = list.as_array().expect("a list");
    let row = |one: &Value| Some((one["id"].as_u64()?, one["status"].as_str()?.to_owned()));
    list.iter().filter_map(row).collect()
}

/// Takes times out, after a look at their form.
fn without_times(body: &mut Value) {
    match body {
        Value::Object(members) => {
            members.retain(|key, value| {
                let is_entry = key.starts_with("last_");
                let is_time = is_entry || key == "create_time" || key == "completion";
                assert!(!is_time || value.is_number(), "{key}: {value}");
                !is_time
            });
            members.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_has_the_contracts_shape() {
    let world = World::new(vec![furnished()]);
    let (status, mut pending) = post(&world, SESSIONS, &json!({"sensor_id": "7"}));
    assert!(pending["create_time"].is_f64(), "{pending}");
    without_times(&mut pending);
    let mut expected = json!({
        "id": 1, "sensor_id": 7, "status": "pending", "hostname": "WS-7", "address": null, "os_version": "",
        "check_in_timeout": 1200, "session_timeout": 300, "sensor_wait_timeout": 120, "storage_size": "0",
        "storage_ttl": 7, "current_working_directory": "", "supported_commands": [], "drives": [],
    });
    assert_eq!((status, &pending), (200, &expected));
    assert_eq!(get(&world, &format!("{SESSIONS}/1?wait=false")).0, 200);
    advance(Duration::from_millis(100)).await;
    let (_, mut active) = get(&world, &format!("{SESSIONS}/1"));
    without_times(&mut active);
    expected["status"] = json!("active");
    expected["address"] = json!("::ffff:10.20.0.9");
    expected["current_working_directory"] = json!("C:\\Windows\\system32");
    expected["drives"] = json!(["C:\\"]);
    expected["supported_commands"] = json!([
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
        "create process"
    ]);
    assert_eq!(active, expected);
    upload(&world, &format!("{SESSIONS}/1"), "t.exe", "MZ");
    assert_eq!(
        get(&world, &format!("{SESSIONS}/1")).1["storage_size"],
        json!("2")
    );
}

/// Sent, and what comes back besides what is sent.
type Row = (Value, &'static str, u32, Value);

fn reading() -> Vec<Row> {
    let on = |name: &str, object: &str| json!({"name": name, "object": object});
    let file = json!({"filename": "a.txt", "size": 10, "attributes": ["HIDDEN", "ARCHIVE"],
        "alternate_name": ""});
    let folder =
        json!({"filename": "temp", "size": 0, "attributes": ["DIRECTORY"], "alternate_name": ""});
    let start = json!({"value_name": "Start", "value_type": "REG_DWORD", "value_data": 2});
    let default = json!({"value_name": "", "value_type": "REG_SZ", "value_data": "x"});
    vec![
        (
            on("directory list", r"C:\temp\*.txt"),
            "complete",
            0,
            json!({"files": [file]}),
        ),
        (
            on("directory list", r"C:\temp"),
            "complete",
            0,
            json!({"files": [folder]}),
        ),
        (
            on("directory list", r"C:\no\no"),
            "error",
            2_147_942_403,
            json!({}),
        ),
        (
            on("reg enum key", r"HKEY_LOCAL_MACHINE\x"),
            "complete",
            0,
            json!({"sub_keys": ["Sub"], "values": [start, default]}),
        ),
        (
            on("reg query value", r"HKLM\X\Start"),
            "complete",
            0,
            json!({"value": start}),
        ),
        (
            on("reg query value", r"HKLM\X\None"),
            "error",
            2_147_942_402,
            json!({}),
        ),
        (
            on("get file", r"C:\temp\a.txt"),
            "complete",
            0,
            json!({"file_id": 1}),
        ),
        (
            json!({"name": "get file", "object": r"C:\temp\a.txt", "offset": 2, "get_count": 3}),
            "complete",
            0,
            json!({"file_id": 2, "count": 3}),
        ),
        (
            on("get file", r"C:\none"),
            "error",
            2_147_942_402,
            json!({"file_id": 3}),
        ),
    ]
}

fn changing() -> Vec<Row> {
    let on = |name: &str, object: &str| json!({"name": name, "object": object});
    let kill = |pid: u64| json!({"name": "kill", "object": pid});
    vec![
        (
            on("reg create key", r"HKLM\X\New"),
            "complete",
            0,
            json!({}),
        ),
        (
            on("reg delete key", r"HKLM\X\New"),
            "complete",
            0,
            json!({}),
        ),
        (
            on("reg delete value", r"HKLM\X\No"),
            "error",
            2_147_942_402,
            json!({}),
        ),
        (
            json!({"name": "reg set value", "object": r"HKLM\X\m", "value_type": "REG_MULTI_SZ",
                "value_data": ["x", 2], "overwrite": true}),
            "complete",
            0,
            json!({"value_data": "x,2"}),
        ),
        (
            json!({"name": "reg set value", "object": r"HKLM\X\n", "value_type": "REG_DWORD",
                "value_data": 5, "overwrite": false}),
            "complete",
            0,
            json!({}),
        ),
        (kill(4), "error", 2_147_942_405, json!({})),
        (kill(700), "complete", 0, json!({})),
        (kill(700), "error", 2_147_942_487, json!({})),
        (
            json!({"name": "create process", "object": "cmd.exe /c exit 3", "wait": true}),
            "complete",
            0,
            json!({"pid": null, "return_code": 3}),
        ),
        (
            json!({"name": "create process", "object": "whoami", "wait": false,
                "working_directory": "C:\\temp", "output_file": "C:\\temp\\o"}),
            "complete",
            0,
            json!({"pid": null}),
        ),
        (
            on("create directory", r"C:\temp"),
            "error",
            2_147_942_583,
            json!({}),
        ),
        (
            on("delete file", r"C:\temp\a.txt"),
            "complete",
            0,
            json!({}),
        ),
        (
            json!({"name": "put file", "object": r"C:\temp\t.exe", "file_id": 4}),
            "complete",
            0,
            json!({}),
        ),
        (
            json!({"name": "put file", "object": r"C:\temp\t.exe", "file_id": "4"}),
            "error",
            2_147_942_480,
            json!({"file_id": 4}),
        ),
    ]
}

/// The arguments with what all commands have.
fn shown(id: u64, status: &str, sent: &Value, more: &Value) -> Value {
    let mut body = sent.clone();
    let all =
        json!({"id": id, "session_id": 1, "sensor_id": 7, "username": "analyst", "status": status});
    for members in [all, more.clone()] {
        if let (Value::Object(body), Value::Object(members)) = (&mut body, members) {
            body.extend(members);
        }
    }
    body
}

#[tokio::test(start_paused = true)]
async fn every_command_has_the_contracts_shape() {
    let world = World::new(vec![furnished()]);
    let session = active(&world, 7).await;
    let rows = reading().into_iter().chain(changing());
    for (id, (sent, status, code, more)) in (1_u64..).zip(rows) {
        if id == 10 {
            assert_eq!(upload(&world, &session, "t.exe", "MZ").1["id"], json!(4));
        }
        let mut sent_with_session = sent.clone();
        sent_with_session["session_id"] = json!(1);
        let (answered, mut posted) =
            post(&world, &format!("{session}/command"), &sent_with_session);
        assert!(posted["create_time"].is_f64());
        without_times(&mut posted);
        let mut named = json!({});
        for key in ["file_id", "value_data"] {
            if let Some(value) = more.get(key) {
                named[key] = value.clone();
            }
        }
        let pending = shown(id, "pending", &sent, &named);
        assert_eq!((answered, posted), (200, pending), "{sent}");
        advance(Duration::from_millis(50)).await;
        let (_, mut got) = get(&world, &format!("{session}/command/{id}"));
        assert!(got["completion"].is_f64());
        without_times(&mut got);
        if let Some(pid) = got.get_mut("pid") {
            assert!(pid.take().as_u64().is_some_and(|pid| pid > 0));
        }
        let mut expected = shown(id, status, &sent, &more);
        expected["result_code"] = json!(code);
        expected["result_type"] = json!("WinHresult");
        expected["result_desc"] = json!("");
        assert_eq!(got, expected, "{sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn processes_are_told_with_their_families() {
    let world = World::new(vec![furnished()]);
    let session = active(&world, 7).await;
    let command = send(&world, &session, &json!({"name": "process list"}));
    advance(Duration::from_millis(10)).await;
    let (_, got) = get(&world, &command);
    let system = &got["processes"][0];
    let guid = system["proc_guid"].as_str().expect("a GUID");
    assert!(guid.starts_with("00000007-0000-0004-01d"), "{guid}");
    let start = &system["create_time"];
    assert!(start.is_i64());
    let expected = json!({"pid": 4, "parent": 0, "path": "", "command_line": "", "sid": "s-1-5-18",
        "username": "NT AUTHORITY\\SYSTEM", "proc_guid": guid, "create_time": start,
        "parent_guid": "00000007-0000-0000-0000-000000000000"});
    assert_eq!(*system, expected);
    let expected = json!({"pid": 700, "parent": 4, "path": "c:\\l.exe", "command_line": "l.exe -X",
        "sid": "s-1-5-18", "username": "NT AUTHORITY\\SYSTEM", "create_time": start,
        "proc_guid": guid.replacen("-0004-", "-02bc-", 1), "parent_guid": guid});
    assert_eq!(got["processes"][1], expected);
}

#[tokio::test(start_paused = true)]
async fn a_dump_says_how_far_it_is() {
    let world = World::new(vec![furnished()]);
    let session = active(&world, 7).await;
    let dump = json!({"name": "memdump", "object": r"C:\m.dmp", "compress": true});
    let (_, posted) = post(&world, &format!("{session}/command"), &dump);
    assert_eq!(posted.get("percentdone"), None);
    let mut seen = Vec::new();
    for _ in 0..4 {
        advance(SECOND).await;
        let (_, got) = get(&world, &format!("{session}/command/1"));
        assert_eq!(got["return_code"], json!(0));
        let flags = ["dumping", "compressing", "complete"].map(|key| got[key] == json!(true));
        seen.push((got["status"].as_str().expect("text").to_owned(), flags));
        assert!(got["percentdone"].as_u64() <= Some(100));
    }
    let running = |flags| ("in progress".to_owned(), flags);
    let expected = [
        running([true, false, false]),
        running([true, false, false]),
        running([false, true, false]),
        ("complete".to_owned(), [false, false, true]),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn files_are_counted_and_edited() {
    let world = World::new(vec![furnished()]);
    let session = active(&world, 7).await;
    let expected = json!({"id": 1, "status": 0, "file_name": "t.exe", "size": 2, "size_uploaded": 2,
        "delete": false});
    assert_eq!(
        upload(&world, &session, "t.exe", "MZ"),
        (200, expected.clone())
    );
    let fetch = json!({"name": "get file", "object": r"C:\temp\a.txt"});
    send(&world, &session, &fetch);
    let content = format!("{session}/file/2/content");
    assert_eq!(
        get(&world, &content),
        (404, json!("content of file 2 not found"))
    );
    advance(Duration::from_millis(10)).await;
    let fetched = call(&world, Method::Get, &content, None);
    assert_eq!(
        (fetched.status, &fetched.body[..]),
        (200, &b"0123456789"[..])
    );
    assert_eq!(
        fetched.header("content-type"),
        Some("application/octet-stream")
    );
    let tag = fetched.header("etag").expect("a tag");
    assert!(tag.starts_with("\"a-") && tag.ends_with('"'), "{tag}");
    let other = call(
        &world,
        Method::Get,
        &format!("{session}/file/1/content"),
        None,
    );
    assert_ne!(other.header("etag"), Some(tag));
    let (_, all) = get(&world, &format!("{session}/file"));
    let second = json!({"id": 2, "status": 0, "file_name": r"C:\temp\a.txt", "size": 10,
        "size_uploaded": 10, "delete": false});
    assert_eq!(all, json!([expected, second]));

    let first = format!("{session}/file/1");
    assert_eq!(put(&world, &first, &json!({})), (200, expected.clone()));
    let mut deleted = expected;
    deleted["delete"] = json!(true);
    assert_eq!(put(&world, &first, &deleted), (200, deleted.clone()));
    assert_eq!(get(&world, &first), (404, json!("file 1 not found")));
    let second = format!("{session}/file/2");
    let response = call(&world, Method::Delete, &second, None);
    assert_eq!(told(&response).1["delete"], json!(true));
    assert_eq!(call(&world, Method::Delete, &second, None).status, 404);
    assert_eq!(get(&world, &format!("{session}/file")), (200, json!([])));

    send(
        &world,
        &session,
        &json!({"name": "get file", "object": r"C:\none"}),
    );
    advance(Duration::from_millis(10)).await;
    let (_, failed) = get(&world, &format!("{session}/file/3"));
    assert_eq!(failed["status"], json!(2_147_942_402_u32));
}

#[tokio::test(start_paused = true)]
async fn commands_are_listed_and_cancelled() {
    let world = World::new(vec![furnished()]);
    let session = active(&world, 7).await;
    let commands = format!("{session}/command");
    send(
        &world,
        &session,
        &json!({"name": "memdump", "object": r"C:\m.dmp"}),
    );
    for _ in 0..3 {
        send(&world, &session, &json!({"name": "process list"}));
    }
    advance(SECOND).await;
    for (number, body) in [
        (2, json!({"id": 2, "status": "cancel"})),
        (3, json!({"cmdid": 3})),
    ] {
        let (status, cancelled) = put(&world, &format!("{commands}/{number}"), &body);
        assert_eq!((status, &cancelled["status"]), (200, &json!("cancel")));
        assert!(cancelled["completion"].is_f64());
        assert_eq!(cancelled.get("result_code"), None);
    }
    // What runs does not care.
    let (_, running) = get(&world, &format!("{commands}/1"));
    assert_eq!(running["status"], json!("in progress"));
    assert_eq!(running.get("result_code"), None);
    assert_eq!(
        put(&world, &format!("{commands}/1"), &running).1["status"],
        json!("in progress")
    );
    let numbers = |query: &str| -> Vec<u64> {
        let (status, all) = get(&world, &format!("{commands}?{query}"));
        assert_eq!(status, 200, "{all}");
        let all = all.as_array().expect("a list");
        all.iter().filter_map(|one| one["id"].as_u64()).collect()
    };
    for (query, expected) in [
        ("", &[1, 2, 3, 4][..]),
        ("count=2", &[1, 2]),
        ("count=0", &[]),
        ("status=pending", &[4]),
        ("status=In_Progress", &[1]),
        ("status=canceled&count=1", &[2]),
        ("status=cancelled", &[2, 3]),
        ("status=completed", &[]),
        ("status=error", &[]),
    ] {
        assert_eq!(numbers(query), expected, "{query}");
    }
    advance(SECOND * 4).await;
    assert_eq!(numbers("status=complete"), [1, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_closed_in_three_styles() {
    for (close_answer, word) in [
        (CloseAnswer::Closed, "close"),
        (CloseAnswer::StillActive, "active"),
    ] {
        let ways = Edr {
            close_answer,
            ..Edr::default()
        };
        let world = world(vec![furnished()], ways);
        for style in 0..3 {
            let session = active(&world, 7).await;
            let (_, mut whole) = get(&world, &session);
            let number = whole["id"].as_u64().expect("a number");
            whole["status"] = json!("close");
            let body = match style {
                0 => whole,
                1 => json!({"id": number, "status": "close"}),
                _ => json!({"session_id": number, "status": "close"}),
            };
            let (status, answered) = put(&world, &session, &body);
            assert_eq!((status, &answered["status"]), (200, &json!(word)));
            assert_eq!(answered["drives"], json!(["C:\\"]));
            assert_eq!(get(&world, &session), gone(number));
            assert_eq!(put(&world, &session, &body), gone(number));
        }
        assert_eq!(world.books().sessions_closed, 3);
        let expected: Vec<(u64, String)> = (1..=3).map(|n| (n, "close".to_owned())).collect();
        assert_eq!(listed(&world, ""), expected);
        assert_eq!(listed(&world, "?active_only=true"), []);
    }
}

#[tokio::test(start_paused = true)]
async fn what_ended_is_listed_for_a_week() {
    let world = World::new(vec![windows(1), windows(2), windows(3)]);
    let first = active(&world, 1).await;
    put(&world, &first, &json!({"status": "close"}));
    advance(DAY).await;
    active(&world, 2).await;
    advance(SECOND * 601).await;
    let row = |number: u64, word: &str| (number, word.to_owned());
    assert_eq!(listed(&world, ""), [row(1, "close"), row(2, "timeout")]);
    active(&world, 3).await;
    assert_eq!(listed(&world, "?active_only=True"), [row(3, "active")]);
    advance(DAY * 6).await;
    let after = [row(2, "timeout"), row(3, "timeout")];
    assert_eq!(listed(&world, ""), after);
    // Only to be closed and archived; that does not keep it longer.
    let second = format!("{SESSIONS}/2");
    assert_eq!(get(&world, &second), gone(2));
    let (status, closed) = put(&world, &second, &json!({"status": "close"}));
    assert_eq!((status, &closed["status"]), (200, &json!("close")));
    assert_eq!(listed(&world, "")[0], row(2, "close"));
    assert_eq!(world.books().sessions_closed, 1);
    advance(DAY).await;
    assert_eq!(listed(&world, ""), after[1..]);
    assert_eq!(put(&world, &second, &json!({"status": "close"})), gone(2));
}

#[tokio::test(start_paused = true)]
async fn a_sensor_that_never_checked_in_has_told_nothing() {
    let off = windows(1).off_after(Duration::from_millis(50));
    let world = World::new(vec![off]);
    post(&world, SESSIONS, &json!({"sensor_id": 1}));
    advance(SECOND).await;
    put(
        &world,
        &format!("{SESSIONS}/1"),
        &json!({"status": "close"}),
    );
    let (_, list) = get(&world, SESSIONS);
    assert_eq!(
        (&list[0]["status"], &list[0]["address"]),
        (&json!("close"), &Value::Null)
    );
}

#[tokio::test(start_paused = true)]
async fn a_hundred_sessions_are_kept_and_no_more() {
    let world = World::new(vec![windows(1)]);
    for _ in 0..103 {
        let session = active(&world, 1).await;
        put(&world, &session, &json!({"status": "close"}));
    }
    let open = active(&world, 1).await;
    let listed = listed(&world, "");
    assert_eq!(
        (listed.len(), listed[0].0, listed[99].0, listed[100].0),
        (101, 4, 103, 104)
    );
    assert_eq!(get(&world, &open).0, 200);
}

#[tokio::test(start_paused = true)]
async fn keepalive_closes_what_is_not_active() {
    for (keepalive_while_pending, status) in [
        (WhilePending::Closes, "close"),
        (WhilePending::Ignored, "pending"),
    ] {
        let ways = Edr {
            keepalive_while_pending,
            ..Edr::default()
        };
        let world = world(vec![windows(1), windows(2)], ways);
        post(&world, SESSIONS, &json!({"sensor_id": 1}));
        let pending = format!("{SESSIONS}/1");
        let (code, answered) = get(&world, &format!("{pending}/keepalive"));
        assert_eq!((code, &answered["status"]), (200, &json!(status)));
        let is_gone = keepalive_while_pending == WhilePending::Closes;
        assert_eq!(get(&world, &pending).0 == 404, is_gone);

        let session = active(&world, 2).await;
        for _ in 0..20 {
            advance(SECOND * 60).await;
            let (_, kept) = get(&world, &format!("{session}/keepalive"));
            assert_eq!(kept["status"], json!("active"));
        }
        // Nobody said anything for longer than the sensor waits.
        advance(SECOND * 120).await;
        assert_eq!(get(&world, &session).1["status"], json!("inactive"));
        let posted = post(
            &world,
            &format!("{session}/command"),
            &json!({"name": "process list"}),
        );
        assert_eq!(posted, (404, json!("Sensor of session 2 is not connected")));
        let (_, closed) = get(&world, &format!("{session}/keepalive"));
        assert_eq!(closed["status"], json!("close"));
        assert_eq!(get(&world, &format!("{session}/keepalive")), gone(2));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_too_long_finds_nothing() {
    let world = World::new(vec![windows(1).offline(), windows(2)]);
    let never = json!({"sensor_id": 1});
    post(&world, SESSIONS, &never);
    let session = format!("{SESSIONS}/1");
    let refused = post(
        &world,
        &format!("{session}/command"),
        &json!({"name": "process list"}),
    );
    assert_eq!(refused.0, 404, "{}", refused.1);
    advance(SECOND * 1199).await;
    assert_eq!(get(&world, &session).1["status"], json!("pending"));
    advance(SECOND).await;
    assert_eq!(get(&world, &session).1["status"], json!("timeout"));
    advance(SECOND * 5).await;
    for rest in [
        "",
        "/keepalive",
        "/command",
        "/command/1",
        "/file",
        "/file/1",
        "/file/1/content",
    ] {
        assert_eq!(get(&world, &format!("{session}{rest}")), gone(1), "{rest}");
    }
    let command = json!({"name": "process list"});
    assert_eq!(
        post(&world, &format!("{session}/command"), &command),
        gone(1)
    );
    assert_eq!(upload(&world, &session, "x", "y"), gone(1));
    let asked = json!({"sensor_id": 2, "session_timeout": "60", "check_in_timeout": 5,
        "sensor_wait_timeout": 600});
    let (_, own) = post(&world, SESSIONS, &asked);
    assert_eq!(
        ["session_timeout", "check_in_timeout", "sensor_wait_timeout"].map(|key| own[key].as_u64()),
        [Some(60), Some(5), Some(600)]
    );
}

#[tokio::test(start_paused = true)]
async fn one_session_for_a_sensor_and_ten_in_all() {
    let devices = || (1..=12).map(windows).collect::<Vec<_>>();
    let world = World::new(devices());
    for id in 1..=10 {
        let (_, session) = post(&world, SESSIONS, &json!({"sensor_id": id}));
        assert_eq!(session["id"], json!(id));
    }
    assert_eq!(
        post(&world, SESSIONS, &json!({"sensor_id": 3})).1["id"],
        json!(3)
    );
    let (status, text) = post(&world, SESSIONS, &json!({"sensor_id": 11}));
    assert_eq!((status, text), (403, json!("session limit reached")));
    put(
        &world,
        &format!("{SESSIONS}/3"),
        &json!({"status": "close"}),
    );
    assert_eq!(post(&world, SESSIONS, &json!({"sensor_id": 11})).0, 200);

    let ways = Edr {
        reopening: Reopening::Refused,
        sensor_ids: SensorIds::Text,
        max_sessions: 1,
        ..Edr::default()
    };
    let world = super::super::rig::world(devices(), ways);
    let (_, session) = post(&world, SESSIONS, &json!({"sensor_id": 3}));
    assert_eq!(session["sensor_id"], json!("3"));
    let again = post(&world, SESSIONS, &json!({"sensor_id": 3}));
    assert_eq!(again, (404, json!("Sensor already has the session 1")));
    assert_eq!(post(&world, SESSIONS, &json!({"sensor_id": 4})).0, 403);
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_commands_is_the_clouds_alone() {
    let settings = Settings {
        max_commands: 1,
        ..Settings::default()
    };
    let world = World::with(vec![windows(1)], settings);
    let session = active(&world, 1).await;
    for number in 1..=3 {
        let list = json!({"name": "process list"});
        let (status, command) = post(&world, &format!("{session}/command"), &list);
        assert_eq!((status, &command["id"]), (200, &json!(number)));
    }
}

#[tokio::test(start_paused = true)]
async fn without_live_response_every_route_says_so() {
    let ways = Edr {
        live_response: false,
        ..Edr::default()
    };
    let world = world(vec![windows(1)], ways);
    for rest in [
        "",
        "/1",
        "/1/keepalive",
        "/1/archive",
        "/1/command",
        "/1/command/1",
        "/1/file",
        "/1/file/1",
        "/1/file/1/content",
    ] {
        let route = format!("{SESSIONS}{rest}");
        for method in [Method::Get, Method::Post, Method::Put, Method::Delete] {
            let response = call(&world, method, &route, Some(&json!({"sensor_id": 1})));
            assert_eq!(response.status, 412, "{route}");
        }
    }
    assert_eq!(world.books().sessions_opened, 0);
}

/// The members of an archive.
fn unpacked(world: &World, session: &str) -> BTreeMap<String, Vec<u8>> {
    let response = call(world, Method::Get, &format!("{session}/archive"), None);
    assert_eq!(response.status, 200);
    assert_eq!(&response.body[..2], b"\x1f\x8b");
    let mut archive = tar::Archive::new(GzDecoder::new(&response.body[..]));
    let members = archive.entries().expect("a tar").map(|member| {
        let mut member = member.expect("whole");
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).expect("readable");
        let path = member.path().expect("legal");
        (path.to_string_lossy().replace('\\', "/"), bytes)
    });
    members.collect()
}

#[tokio::test(start_paused = true)]
async fn an_archive_holds_what_happened_and_outlives_its_session() {
    let world = World::new(vec![furnished(), windows(2)]);
    let session = active(&world, 7).await;
    let (status, text) = get(&world, &format!("{session}/archive"));
    assert_eq!((status, text.is_string()), (500, true));
    let long = format!("{}.txt", "n".repeat(180));
    upload(&world, &session, &long, "uploaded");
    send(
        &world,
        &session,
        &json!({"name": "get file", "object": r"C:\temp\a.txt"}),
    );
    send(
        &world,
        &session,
        &json!({"name": "get file", "object": r"C:\none"}),
    );
    advance(SECOND).await;
    let open = unpacked(&world, &session);
    let names: Vec<&str> = open.keys().map(String::as_str).collect();
    let first = format!("files/1/{long}");
    assert_eq!(
        names,
        [
            "commands/1.json",
            "commands/2.json",
            &first,
            "files/2/a.txt",
            "session.json"
        ]
    );
    assert_eq!(open[&first], b"uploaded");
    assert_eq!(open["files/2/a.txt"], b"0123456789");
    let command: Value = serde_json::from_slice(&open["commands/1.json"]).expect("JSON");
    assert_eq!(command, get(&world, &format!("{session}/command/1")).1);

    put(&world, &session, &json!({"status": "close"}));
    advance(DAY).await;
    assert_eq!(unpacked(&world, &session)["files/2/a.txt"], b"0123456789");
    let timed_out = active(&world, 2).await;
    upload(&world, &timed_out, "t", "x");
    advance(DAY).await;
    assert_eq!(unpacked(&world, &timed_out)["files/1/t"], b"x");
    advance(DAY * 7).await;
    assert_eq!(get(&world, &format!("{session}/archive")), gone(1));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_the_same_through_every_door() {
    let world = World::new(vec![furnished()]);
    let cloud = |method: Method, rest: &str, body: &Value| {
        let path = format!(
            "/appservices/v6/orgs/{}/liveresponse/{rest}",
            world.org_key()
        );
        let mut request = Request::new(method, path).json(body);
        let token = ("x-auth-token".to_owned(), world.token().to_owned());
        request.headers.push(token);
        told(&answer(&world, &request))
    };
    let (_, opened) = cloud(Method::Post, "sessions", &json!({"device_id": 7}));
    assert_eq!(opened["id"], json!("1:7"));
    let session = active(&world, 7).await;
    let (_, seen) = get(&world, &session);
    assert_eq!(
        (
            &seen["id"],
            &seen["session_timeout"],
            &seen["sensor_wait_timeout"]
        ),
        (&json!(1), &json!(900), &json!(900))
    );
    let (_, first) = cloud(
        Method::Post,
        "sessions/1:7/commands",
        &json!({"name": "get file", "path": r"C:\temp\a.txt"}),
    );
    assert_eq!(first["id"], json!(0));
    send(&world, &session, &json!({"name": "process list"}));
    advance(SECOND).await;
    let (_, here) = get(&world, &format!("{session}/command"));
    let (_, there) = cloud(Method::Get, "sessions/1:7/commands", &json!({}));
    for (list, ids) in [(&here, [1, 2]), (&there, [0, 1])] {
        let names = [(0, "get file"), (1, "process list")];
        for ((index, name), id) in names.into_iter().zip(ids) {
            assert_eq!(
                (&list[index]["name"], &list[index]["id"]),
                (&json!(name), &json!(id))
            );
        }
    }
    assert_eq!(here[0]["file_id"], json!(1));
    assert_eq!(
        there[0]["file_details"]["file_id"],
        first["file_details"]["file_id"]
    );
    // Its terms are those of who opened it.
    put(&world, &session, &json!({"status": "close"}));
    assert_eq!(cloud(Method::Get, "sessions/1:7", &json!({})).0, 404);
    assert_eq!(listed(&world, ""), []);
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused() {
    let off = windows(2).live_response_off();
    let world = World::new(vec![windows(1), off, windows(3)]);
    let session = active(&world, 1).await;
    let commands = format!("{session}/command");
    let file = format!("{session}/file/1");
    upload(&world, &session, "t", "x");
    send(&world, &session, &json!({"name": "process list"}));
    let command = format!("{commands}/1");
    for (method, rest) in [
        (Method::Post, SESSIONS),
        (Method::Post, &commands),
        (Method::Put, &session),
        (Method::Put, &command),
        (Method::Put, &file),
    ] {
        let deep = "[".repeat(100_000);
        for body in [
            &b""[..],
            b"{",
            b"null",
            b"3",
            b"[]",
            b"\xff\xfe",
            deep.as_bytes(),
        ] {
            let mut garbage = request(&world, method, rest);
            garbage.body = body.to_vec();
            assert_eq!(answer(&world, &garbage).status, 400, "{rest}");
        }
    }
    for (rest, body, status) in [
        (SESSIONS, json!({}), 400),
        (SESSIONS, json!({"sensor_id": null}), 400),
        (SESSIONS, json!({"sensor_id": "x"}), 400),
        (SESSIONS, json!({"sensor_id": 1.5}), 400),
        (
            SESSIONS,
            json!({"sensor_id": 3, "session_timeout": {}}),
            400,
        ),
        (SESSIONS, json!({"sensor_id": 99}), 404),
        (SESSIONS, json!({"sensor_id": -1}), 404),
        (SESSIONS, json!({"sensor_id": 2}), 403),
        (&commands, json!({}), 400),
        (&commands, json!({"name": "execute", "object": "x"}), 400),
        (&commands, json!({"name": "get file", "path": "C:\\t"}), 400),
        (&commands, json!({"name": "kill", "object": -4}), 400),
        (
            &commands,
            json!({"name": "put file", "object": "C:\\t\\x"}),
            400,
        ),
        (
            &commands,
            json!({"name": "put file", "object": "C:\\t\\x", "file_id": 9}),
            404,
        ),
        (
            &commands,
            json!({"name": "put file", "object": "C:\\t\\x", "file_id": "x"}),
            404,
        ),
        (
            &commands,
            json!({"name": "put file", "object": "C:\\t\\x", "file_id": 1.5}),
            404,
        ),
    ] {
        let (got, text) = post(&world, rest, &body);
        assert_eq!((got, text.is_string()), (status, true), "{body}: {text}");
    }
    for body in [
        json!({}),
        json!({"status": "active"}),
        json!({"status": 5}),
        json!({"status": null}),
    ] {
        assert_eq!(put(&world, &session, &body).0, 400, "{body}");
    }
    assert_eq!(put(&world, &file, &json!({"delete": 1})).0, 400);
    for query in ["status=x", "count=x", "count=-1"] {
        assert_eq!(
            get(&world, &format!("{commands}?{query}")).0,
            400,
            "{query}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_found() {
    let world = World::new(vec![windows(1)]);
    let session = active(&world, 1).await;
    let file = format!("{session}/file/1");
    upload(&world, &session, "t", "x");
    let command = send(&world, &session, &json!({"name": "process list"}));
    for rest in ["command/0", "command/2", "command/x", "command/-1"] {
        let (status, text) = get(&world, &format!("{session}/{rest}"));
        let text = text.as_str().expect("text").to_owned();
        assert!(status == 404 && text.starts_with("Command "), "{text}");
    }
    for rest in ["file/0", "file/2", "file/x", "file/2/content"] {
        assert_eq!(get(&world, &format!("{session}/{rest}")).0, 404, "{rest}");
    }
    for id in ["0", "x", "-1", "1:1", "99999999999999999999", ""] {
        for rest in ["", "/keepalive", "/archive", "/command/1"] {
            let route = format!("{SESSIONS}/{id}{rest}");
            let (status, text) = get(&world, &route);
            let text = text.as_str().expect("text").to_owned();
            assert!(
                status == 404 && text.starts_with("Session "),
                "{route}: {text}"
            );
        }
    }
    for (method, rest) in [
        (Method::Delete, session.clone()),
        (Method::Put, SESSIONS.to_owned()),
        (Method::Post, format!("{session}/keepalive")),
        (Method::Delete, command),
        (Method::Delete, format!("{session}/file")),
        (Method::Post, format!("{file}/content")),
    ] {
        let status = call(&world, method, &rest, Some(&json!({}))).status;
        assert_eq!(status, 405, "{rest}");
    }
    assert!(world.books().unknown_routes.is_empty());
    assert_eq!(get(&world, &format!("{session}/x")).0, 404);
    assert_eq!(get(&world, "v1/cblr").0, 404);
    assert_eq!(world.books().unknown_routes.len(), 2);
}
