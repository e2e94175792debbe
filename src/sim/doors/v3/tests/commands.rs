//! Commands: their shapes from the posting to the end, lists, filters, and taking them back.

use super::*;
use crate::sim::manners::{Percent, RegistryTypes, Sign};

/// What a command looks like, with `more` on top of what all have.
fn shown(id: u64, status: &str, obj: &Value, more: &Value) -> Value {
    let is_over = status != "pending";
    let mut body = json!({
        "id": id, "session_id": "1:98765", "sensor_id": 98765, "command_timeout": 0,
        "name": obj["name"], "object": obj["object"], "obj": obj, "username": null,
        "creation_time": "s", "completion_time": 0, "result_code": 0, "result_type": null,
        "result_desc": "", "status": status,
    });
    if is_over {
        body["completion_time"] = json!("s");
        body["result_type"] = json!("WinHresult");
    }
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more.clone()) {
        body.extend(more);
    }
    body
}

/// Sent, what is added to the echo, and what comes on top at first and at the end.
type Row = (Value, Value, Value, Value);

fn reading() -> Vec<Row> {
    let none = || json!({});
    let on = |name: &str, object: &str| json!({"name": name, "object": object});
    let file = json!({"filename": "a.txt", "size": 10, "attributes": ["HIDDEN", "ARCHIVE"],
        "alternate_name": "", "create_time": "s", "last_access_time": "s", "last_write_time": "s"});
    let system = json!({"pid": 4, "create_time": "s", "path": "", "command_line": "",
        "sid": "S-1-5-18", "username": "NT AUTHORITY\\SYSTEM", "parent": 0,
        "parent_create_time": 0, "parent_guid": ""});
    let child = json!({"pid": 700, "create_time": "s", "path": "C:\\l.exe",
        "command_line": "l.exe -x", "sid": "S-1-5-18", "username": "NT AUTHORITY\\SYSTEM",
        "parent": 4, "parent_create_time": "s"});
    let start = json!({"value_name": "Start", "value_type": "REG_DWORD", "value_data": 2});
    let default = json!({"value_name": "", "value_type": "REG_SZ", "value_data": "x"});
    vec![
        (
            json!({"session_id": "1:98765", "name": "directory list", "object": "C:\\temp\\*.txt"}),
            none(),
            json!({"files": []}),
            json!({"files": [file]}),
        ),
        (
            json!({"name": "process list", "object": null}),
            none(),
            json!({"processes": []}),
            json!({"processes": [system, child]}),
        ),
        (
            on("reg enum key", r"HKLM\X"),
            none(),
            json!({"values": [], "sub_keys": []}),
            json!({"values": [start, default], "sub_keys": ["Sub"]}),
        ),
        (
            on("reg query value", r"HKLM\X\Start"),
            none(),
            none(),
            json!({"value": start}),
        ),
        (
            json!({"name": "get file", "object": "C:\\temp\\a.txt"}),
            none(),
            json!({"file_id": 2, "offset": 0, "count": 0}),
            json!({"file_id": 2, "offset": 0, "count": 0}),
        ),
        (
            json!({"name": "get file", "object": "C:\\temp\\a.txt", "offset": 2, "get_count": "3"}),
            json!({"get_count": 3}),
            json!({"file_id": 3, "offset": 2, "count": 3}),
            json!({"file_id": 3, "offset": 2, "count": 3}),
        ),
    ]
}

fn changing() -> Vec<Row> {
    let none = || json!({});
    let on = |name: &str, object: &str| json!({"name": name, "object": object});
    let plain = |name: &str, object: &str| (on(name, object), none(), none(), none());
    vec![
        (
            json!({"name": "put file", "object": "C:\\temp\\b.txt", "file_id": 1}),
            json!({"chunkNumber": 0}),
            json!({"file_id": 1}),
            json!({"file_id": 1}),
        ),
        plain("delete file", r"C:\temp\b.txt"),
        plain("create directory", r"C:\temp\new"),
        plain("reg create key", r"HKLM\X\made"),
        plain("reg delete key", r"HKLM\X\made"),
        (
            json!({"name": "reg set value", "object": "HKLM\\X\\d", "value_data": 7,
                "value_type": "REG_DWORD"}),
            json!({"overwrite": false}),
            none(),
            none(),
        ),
        (
            json!({"name": "reg set value", "object": "HKLM\\X\\m", "value_data": ["x", 2],
                "value_type": "REG_MULTI_SZ", "overwrite": "true"}),
            json!({"value_data": "x,2", "overwrite": true}),
            none(),
            none(),
        ),
        plain("reg delete value", r"HKLM\X\d"),
        (
            json!({"name": "kill", "object": 700}),
            none(),
            none(),
            none(),
        ),
        (
            json!({"name": "create process", "object": "cmd.exe /c exit 3", "wait": "true",
                "output_file": "C:\\temp\\out"}),
            json!({"wait": true}),
            none(),
            json!({"return_code": 3}),
        ),
        (
            json!({"name": "create process", "object": "whoami", "working_directory": "C:\\temp"}),
            json!({"wait": false}),
            none(),
            json!({"return_code": -1}),
        ),
        (
            json!({"name": "memdump", "object": "C:\\m.dmp"}),
            json!({"compress": false}),
            json!({"dumping": false, "compressing": false, "complete": false, "return_code": 0,
                "percentdone": 0}),
            json!({"dumping": false, "compressing": false, "complete": true, "return_code": 0,
                "percentdone": 100}),
        ),
    ]
}

/// Takes out what is the endpoint's business, after a look at it.
fn without_numbers(mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut()
        && let Some(pid) = members.remove("pid")
    {
        assert!(pid.as_u64().is_some_and(|pid| pid > 0), "{pid}");
    }
    let rows = body.get_mut("processes").and_then(Value::as_array_mut);
    for row in rows.into_iter().flatten() {
        let row = row.as_object_mut().expect("a map");
        for key in ["proc_guid", "parent_guid"] {
            let whose = if key == "proc_guid" { "pid" } else { "parent" };
            let pid = row[whose].as_u64().expect("a number");
            if row[key] != "" {
                let guid = row.remove(key).expect("there");
                let guid = guid.as_str().expect("text");
                assert!(
                    guid.starts_with(&format!("000181cd-0000-{pid:04x}-01d")),
                    "{guid}"
                );
                assert_eq!(guid.len(), 36);
            }
        }
    }
    body
}

#[tokio::test(start_paused = true)]
async fn every_command_has_the_contracts_shape() {
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    assert_eq!(upload(&world, "MZ").1["id"], 1);
    let rows = reading().into_iter().chain(changing());
    for (index, (sent, added, first, last)) in (0_u64..).zip(rows) {
        let mut obj = sent.clone();
        let members = obj.as_object_mut().expect("a map");
        members.extend(added.as_object().cloned().expect("a map"));
        members.retain(|key, value| key != "session_id" && !value.is_null());
        let (status, posted) = post(&world, &format!("{SESSION}/command"), &sent);
        let expected = shown(index, "pending", &obj, &first);
        assert_eq!((status, counted(posted)), (200, expected), "{sent}");
        advance(SECOND * 10).await;
        let ended = without_numbers(counted(command(&world, index)));
        assert_eq!(ended, shown(index, "complete", &obj, &last), "{sent}");
    }
    let (_, session) = get(&world, SESSION);
    assert_eq!(session["current_command_index"], 18);
}

#[tokio::test(start_paused = true)]
async fn a_failure_has_its_code_and_what_it_had_before() {
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    let on = |name: &str, object: &str| json!({"name": name, "object": object});
    for (index, (sent, code, more)) in (0_u64..).zip([
        (
            on("directory list", r"C:\no\no"),
            0x8007_0003_u32,
            json!({"files": []}),
        ),
        (
            on("get file", r"C:\temp\locked"),
            0x8007_0020,
            json!({"file_id": 1, "offset": 0, "count": 0}),
        ),
        (
            on("reg query value", r"HKLM\X\None"),
            0x8007_0002,
            json!({}),
        ),
        (json!({"name": "kill", "object": 5}), 0x8007_0057, json!({})),
        (on("create directory", r"C:\temp"), 0x8007_00b7, json!({})),
    ]) {
        assert_eq!(send(&world, &sent), index);
        advance(SECOND).await;
        let mut expected = shown(index, "error", &sent, &more);
        expected["result_code"] = json!(code);
        assert_eq!(counted(command(&world, index)), expected);
    }
    assert_eq!(content(&world, &json!(1)), None);
    let (_, file) = get(&world, &format!("{SESSION}/file/1"));
    let expected = json!({"id": 1, "file_name": "C:\\temp\\locked", "size": 0, "size_uploaded": 0,
        "status": 0x8007_0020_u32, "delete": false});
    assert_eq!(file, expected);
}

#[tokio::test(start_paused = true)]
async fn times_are_seconds() {
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    let opened = get(&world, SESSION).1["create_time"]
        .as_i64()
        .expect("a time");
    advance(SECOND * 60).await;
    let run = json!({"name": "create process", "object": "timeout.exe /t 80", "wait": true});
    let run = send(&world, &run);
    advance(SECOND * 40).await;
    let running = command(&world, run);
    assert_eq!(
        (
            &running["status"],
            &running["completion_time"],
            &running["result_type"]
        ),
        (&json!("in progress"), &json!(0), &Value::Null)
    );
    advance(SECOND * 60).await;
    let ended = command(&world, run);
    let time = |key: &str| ended[key].as_i64().expect("a time");
    assert_eq!(time("creation_time"), (opened + 60_100) / 1000);
    assert_eq!(time("completion_time"), (opened + 140_110) / 1000);
}

#[tokio::test(start_paused = true)]
async fn lists_are_filtered_by_status_and_count() {
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    let list = |query: &str| {
        let (status, all) = get(&world, &format!("{SESSION}/command{query}"));
        assert_eq!(status, 200, "{all}");
        let all = all.as_array().expect("a list").iter();
        all.map(|one| one["id"].as_u64().expect("a number"))
            .collect::<Vec<_>>()
    };
    assert!(list("").is_empty());
    send(&world, &json!({"name": "process list"}));
    send(&world, &json!({"name": "kill", "object": 5}));
    advance(SECOND).await;
    let slow = json!({"name": "create process", "object": "timeout.exe /t 60", "wait": true});
    send(&world, &slow);
    let taken_back = send(&world, &json!({"name": "process list"}));
    put(
        &world,
        &format!("{SESSION}/command/{taken_back}"),
        &json!({}),
    );
    send(&world, &json!({"name": "process list"}));
    advance(SECOND).await;
    for (query, ids) in [
        ("", &[0, 1, 2, 3, 4][..]),
        ("?status=completed", &[0]),
        ("?status=COMPLETE", &[0]),
        ("?status=error", &[1]),
        ("?status=in progress", &[2]),
        ("?status=in_progress", &[2]),
        ("?status=InProgress", &[2]),
        ("?status=canceled", &[3]),
        ("?status=cancelled", &[3]),
        ("?status=cancel", &[3]),
        ("?status=pending", &[4]),
        ("?count=2", &[0, 1]),
        ("?count=0", &[]),
        ("?count=99&other=x", &[0, 1, 2, 3, 4]),
        ("?status=pending&count=1", &[4]),
    ] {
        assert_eq!(list(query), ids, "{query}");
    }
    let (_, all) = get(&world, &format!("{SESSION}/command"));
    assert_eq!(all[0], command(&world, 0), "whole objects");
}

#[tokio::test(start_paused = true)]
async fn only_what_is_pending_can_be_taken_back() {
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    let slow = json!({"name": "create process", "object": "timeout.exe /t 60", "wait": true});
    let slow = send(&world, &slow);
    let removal = json!({"name": "delete file", "object": "C:\\temp\\a.txt"});
    let removals = [(); 3].map(|()| send(&world, &removal));
    advance(SECOND).await;
    let cancel =
        |number: u64, body: &Value| put(&world, &format!("{SESSION}/command/{number}"), body);
    let [first, second, third] = removals;
    let (status, taken_back) = cancel(first, &json!({"id": first, "status": "cancel"}));
    let mut expected = shown(first, "cancel", &removal, &json!({"result_type": null}));
    expected["completion_time"] = json!("s");
    assert_eq!((status, counted(taken_back)), (200, expected));
    assert_eq!(
        cancel(second, &json!({"cmdid": second})).1["status"],
        "cancel"
    );
    let bare = request(&world, Method::Put, &format!("{SESSION}/command/{third}"));
    assert_eq!(told(&answer(&world, &bare)).1["status"], "cancel");

    let running = command(&world, slow);
    assert_eq!(running["status"], "in progress");
    assert_eq!(cancel(slow, &json!({})), (200, running));
    advance(SECOND * 60).await;
    let ended = command(&world, slow);
    assert_eq!(ended["status"], "complete");
    assert_eq!(cancel(slow, &json!({})), (200, ended));
    assert_eq!(command(&world, first)["status"], "cancel");
    assert!(!world.books().commands.contains_key("delete file"));
}

#[tokio::test(start_paused = true)]
async fn the_switches_change_what_they_name() {
    let mut device = device();
    device.endpoint.memory = crate::sim::endpoint::memory::Memory(1 << 30);
    let manners = Manners {
        percent: Percent::StaysZero,
        codes: Sign::Signed,
        v3: V3 {
            registry_types: RegistryTypes::Prefixed,
            ..V3::default()
        },
        ..Manners::default()
    };
    let settings = Settings {
        manners,
        ..Settings::default()
    };
    let world = World::with(vec![device], settings);
    active(&world, &json!({})).await;
    let query = send(
        &world,
        &json!({"name": "reg query value", "object": "HKLM\\X\\Start"}),
    );
    let failing = send(&world, &json!({"name": "kill", "object": 5}));
    let dump = json!({"name": "memdump", "object": "C:\\m", "compress": true});
    let dump = send(&world, &dump);
    advance(SECOND).await;
    let start = json!({"value_name": "Start", "value_type": "pbREG_DWORD", "value_data": 2});
    assert_eq!(command(&world, query)["value"], start);
    assert_eq!(
        command(&world, failing)["result_code"],
        json!(-2_147_024_809_i64)
    );
    let running = command(&world, dump);
    assert_eq!(
        (&running["dumping"], &running["percentdone"]),
        (&json!(true), &json!(0))
    );
    advance(SECOND * 300).await;
    let ended = command(&world, dump);
    assert_eq!(
        (&ended["complete"], &ended["percentdone"]),
        (&json!(true), &json!(0))
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_takes_two_hundred_and_fifty() {
    let world = World::new(vec![device()]);
    active(&world, &json!({})).await;
    let body = json!({"name": "delete file", "object": "C:\\none"});
    for number in 0..250 {
        assert_eq!(send(&world, &body), number);
    }
    let (status, refused) = post(&world, &format!("{SESSION}/command"), &body);
    assert_eq!((status, &refused["success"]), (400, &json!(false)));
}

#[tokio::test(start_paused = true)]
async fn other_systems_have_fewer_commands() {
    let world = World::new(vec![SimDevice::new(98765, "srv", Os::Linux)]);
    active(&world, &json!({})).await;
    let (_, session) = get(&world, SESSION);
    assert_eq!(session["drives"], json!(["/"]));
    assert_eq!(session["current_working_directory"], "/");
    let supported = session["supported_commands"].as_array().expect("a list");
    assert!(!supported.contains(&json!("reg enum key")));
    let body = json!({"name": "reg enum key", "object": "HKLM\\X"});
    assert_eq!(post(&world, &format!("{SESSION}/command"), &body).0, 400);
}
