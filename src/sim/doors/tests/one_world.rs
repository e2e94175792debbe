//! One organisation behind all doors: what is done through one shows at the others.

use super::*;
use crate::sim::endpoint::content::Content;
use crate::sim::endpoint::process::Process;
use serde_json::Value::Null;

/// Of `MZ tool`.
const MD5: &str = "454ecab221e6eb69e595a39410bdd57a";
/// Within it every sensor reports.
const REPORT: Duration = Duration::from_mins(1);
const DENIED: u32 = 0x8007_0005;

/// Whose API is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    V6,
    V3,
    Edr,
    AppControl,
}

use Door::{AppControl, Edr, V3, V6};

const DOORS: [Door; 4] = [V6, V3, Edr, AppControl];

impl Door {
    fn path(self, world: &World, rest: &str) -> String {
        match self {
            V6 => path(world, rest),
            V3 => format!("/integrationServices/v3/{rest}"),
            Edr => format!("/api/{rest}"),
            AppControl => format!("/api/bit9platform/v1/{rest}"),
        }
    }

    fn key(self, world: &World) -> String {
        let keys = world.keys();
        match self {
            V6 => &keys.cloud,
            V3 => &keys.v3,
            Edr => &keys.edr,
            AppControl => &keys.app_control,
        }
        .clone()
    }

    /// A session of device 7, or all of them.
    fn session(self) -> &'static str {
        match self {
            V6 => "liveresponse/sessions/1:7",
            V3 => "cblr/session/1:7",
            Edr => "v1/cblr/session/1",
            AppControl => "no/session",
        }
    }

    fn commands(self) -> String {
        let plural = if self == V6 { "s" } else { "" };
        format!("{}/command{plural}", self.session())
    }
}

/// `rest` may have a query; null is no body.
fn ask(world: &World, method: Method, door: Door, rest: &str, body: &Value) -> (u16, Value) {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut request = Request::new(method, door.path(world, rest));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    request.query = pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    if !body.is_null() {
        request = request.json(body);
    }
    let token = ("x-auth-token".to_owned(), door.key(world));
    request.headers.push(token);
    told(&answer(world, &request))
}

/// Gives what must be there.
fn see(world: &World, door: Door, rest: &str) -> Value {
    let (status, body) = ask(world, Method::Get, door, rest, &Null);
    assert_eq!(status, 200, "{door:?} {rest}: {body}");
    body
}

fn status(world: &World, door: Door, rest: &str) -> u16 {
    ask(world, Method::Get, door, rest, &Null).0
}

/// Asks for something that must succeed.
fn order(world: &World, method: Method, door: Door, rest: &str, body: &Value) -> Value {
    let (status, answer) = ask(world, method, door, rest, body);
    assert!((200..300).contains(&status), "{door:?} {rest}: {answer}");
    answer
}

fn device(id: u64) -> SimDevice {
    let mut device = windows(id);
    let cmd = r"C:\Windows\System32\cmd.exe";
    for (path, text) in [(r"C:\Tools\tool.exe", "MZ tool"), (cmd, "MZ cmd")] {
        let content = Some(Content::text(text));
        device.endpoint.plant(path, content, |_| {}).expect("legal");
    }
    for (pid, parent, path) in [(4, 0, ""), (700, 4, cmd), (704, 700, cmd)] {
        device.endpoint.processes.plant(Process {
            pid,
            parent,
            path: path.into(),
            line: path.into(),
            user: r"CORP\jdoe".into(),
            sid: "S-1-5-21".into(),
            created: 0,
            protected: pid == 4,
            ends: None,
        });
    }
    device
}

fn world() -> World {
    World::new(vec![device(7), device(8)])
}

/// Opens session 1 on device 7 through v3, and lets the sensor check in.
async fn opened(world: &World) {
    order(world, Method::Post, V3, "cblr/session/7", &json!({}));
    advance(Duration::from_millis(100)).await;
}

/// Sends a command through a door and gives it back as it ended.
async fn ran(world: &World, door: Door, body: &Value) -> Value {
    let sent = order(world, Method::Post, door, &door.commands(), body);
    advance(Duration::from_millis(10)).await;
    see(world, door, &format!("{}/{}", door.commands(), sent["id"]))
}

fn numbers(list: &Value, key: &str) -> Vec<u64> {
    let list = list.as_array().expect("a list").iter();
    let mut numbers: Vec<u64> = list.filter_map(|one| one[key].as_u64()).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test(start_paused = true)]
async fn isolation_shows_at_every_door() {
    let world = world();
    let shown = |world: &World| {
        [
            see(world, V6, "devices/7")["quarantined"].clone(),
            see(world, V3, "device/7")["deviceInfo"]["quarantined"].clone(),
            see(world, Edr, "v1/sensor/7")["is_isolating"].clone(),
        ]
    };
    for on in [true, false] {
        let before = shown(&world);
        let body = json!({"network_isolation_enabled": on});
        order(&world, Method::Put, Edr, "v1/sensor/7", &body);
        assert_eq!(shown(&world), before, "nothing has happened yet");
        advance(REPORT).await;
        assert_eq!(shown(&world), [on, on, on].map(Value::from));
    }
    for (on, toggle) in [(true, "ON"), (false, "OFF")] {
        let body =
            json!({"action_type": "QUARANTINE", "device_id": [7], "options": {"toggle": toggle}});
        order(&world, Method::Post, V6, "device_actions", &body);
        advance(REPORT).await;
        assert_eq!(shown(&world), [on, on, on].map(Value::from));
    }
    assert_eq!(see(&world, V6, "devices/8")["quarantined"], false);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_one_for_all_products() {
    let world = world();
    let list = json!({"name": "process list"});
    opened(&world).await;
    let asked = [
        (V3, "cblr/session/7", json!({}), json!("1:7")),
        (
            V6,
            "liveresponse/sessions",
            json!({"device_id": 7}),
            json!("1:7"),
        ),
        (Edr, "v1/cblr/session", json!({"sensor_id": 7}), json!(1)),
    ];
    for (door, rest, body, id) in &asked {
        assert_eq!(
            &order(&world, Method::Post, *door, rest, body)["id"],
            id,
            "{door:?}"
        );
    }
    for (door, number) in [(V3, 0), (V6, 1), (Edr, 3)] {
        let command = ran(&world, door, &list).await;
        assert_eq!(command["id"], json!(number), "{door:?}");
    }
    for (door, expected) in [(V3, [0, 1, 2]), (V6, [0, 1, 2]), (Edr, [1, 2, 3])] {
        let listed = see(&world, door, &door.commands());
        assert_eq!(numbers(&listed, "id"), expected, "{door:?}");
    }
    // A file that one door took is the same at the others.
    let mut upload = request(
        &world,
        Method::Post,
        "liveresponse/sessions/1:7/files",
        None,
    );
    let form = "multipart/form-data; boundary=b".to_owned();
    upload.headers.push(("content-type".to_owned(), form));
    let part = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"t.exe\"";
    upload.body = format!("{part}\r\n\r\nMZ\r\n--b--\r\n").into_bytes();
    assert!(answer(&world, &upload).is_success());
    for door in [V3, Edr] {
        let files = see(&world, door, &format!("{}/file", door.session()));
        assert_eq!(numbers(&files, "id"), [1], "{door:?}: {files}");
    }

    let close = json!({"id": 1, "status": "close"});
    order(&world, Method::Put, Edr, Edr.session(), &close);
    for door in [V6, V3] {
        assert_eq!(status(&world, door, door.session()), 404, "{door:?}");
    }
    for door in [V6, V3, Edr] {
        let (status, body) = ask(&world, Method::Post, door, &door.commands(), &list);
        assert_eq!(status, 404, "{door:?}: {body}");
    }
    assert_eq!(
        see(&world, Edr, "v1/cblr/session?active_only=true"),
        json!([])
    );
    assert_eq!(world.books().sessions_opened, 1);
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_what_a_search_finds() {
    let world = world();
    opened(&world).await;
    let run = json!({"name": "create process", "object": r"C:\Tools\tool.exe"});
    ran(&world, Edr, &run).await;
    let mut expected = 3;
    for killer in [None, Some((V6, json!({"name": "kill", "pid": 704})))] {
        if let Some((door, body)) = killer {
            let killed = ran(&world, door, &body).await;
            assert_eq!(killed["status"], "COMPLETE");
            expected -= 1;
        }
        let query = "v1/process?q=sensor_id:7&rows=100";
        let found = numbers(&see(&world, Edr, query)["results"], "process_pid");
        assert_eq!(found.len(), expected, "{found:?}");
        for (door, key) in [(V6, "process_pid"), (V3, "pid"), (Edr, "pid")] {
            let listed = ran(&world, door, &json!({"name": "process list"})).await;
            assert_eq!(numbers(&listed["processes"], key), found, "{door:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_edr_bans_does_not_start() {
    let world = world();
    opened(&world).await;
    let body = json!({"md5hash": MD5, "text": "bad", "enabled": true});
    order(&world, Method::Post, Edr, "v1/banning/blacklist", &body);
    let record = format!("v1/banning/blacklist/{MD5}");
    assert_eq!(see(&world, Edr, &record)["block_count"], 0);
    let files = see(&world, AppControl, &format!("fileCatalog?q=md5:{MD5}"));
    assert_eq!(files[0]["fileState"], 3, "{files}");
    let run = json!({"name": "create process", "path": r"C:\Tools\tool.exe -x", "wait": false});
    let refused = ran(&world, V6, &run).await;
    assert_eq!(
        (&refused["status"], &refused["result_code"]),
        (&json!("ERROR"), &json!(DENIED))
    );
    let record = see(&world, Edr, &record);
    let told = [
        "block_count",
        "last_block_sensor_id",
        "last_block_hostname",
        "text",
    ];
    assert_eq!(
        told.map(|key| record[key].clone()),
        [json!(1), json!(7), json!("WS-7"), json!("bad")]
    );
}

#[tokio::test(start_paused = true)]
async fn what_app_control_bans_is_on_edrs_list() {
    let world = world();
    let list = "v1/banning/blacklist?count=10000";
    assert_eq!(status(&world, Edr, list), 204);
    let file = see(&world, AppControl, &format!("fileCatalog?q=md5:{MD5}"))[0].clone();
    let body =
        json!({"hash": file["sha256"], "fileState": 3, "policyIds": "0", "description": "why"});
    let rule = order(&world, Method::Post, AppControl, "fileRule", &body);
    assert_eq!(rule["fileCatalogId"], file["id"]);
    let banned = see(&world, Edr, list);
    assert_eq!(
        (
            &banned[0]["md5hash"],
            &banned[0]["text"],
            &banned[0]["enabled"]
        ),
        (&json!(MD5), &json!("why"), &json!(true))
    );
    order(
        &world,
        Method::Delete,
        Edr,
        &format!("v1/banning/blacklist/{MD5}"),
        &Null,
    );
    let rule = see(&world, AppControl, &format!("fileRule/{}", rule["id"]));
    assert_eq!(rule["fileState"], 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_banned_for_a_policy_can_be_banned_for_all() {
    let world = world();
    let body = json!({"hash": MD5, "fileState": 3, "policyIds": "6526"});
    order(&world, Method::Post, AppControl, "fileRule", &body);
    let file = format!("fileCatalog?q=md5:{MD5}");
    assert_eq!(see(&world, AppControl, &file)[0]["fileState"], 1);
    let ban = json!({"md5hash": MD5, "text": "bad", "enabled": true});
    let list = "v1/banning/blacklist";
    order(&world, Method::Post, Edr, list, &ban);
    assert_eq!(see(&world, AppControl, &file)[0]["fileState"], 3);
    assert_eq!(see(&world, AppControl, "fileRule/1")["policyIds"], "0");
    assert_eq!(ask(&world, Method::Post, Edr, list, &ban).0, 409);
}

#[tokio::test(start_paused = true)]
async fn a_policy_given_in_app_control_is_the_devices() {
    let world = world();
    let shown = |world: &World| {
        [
            see(world, V6, "devices/7")["policy_name"].clone(),
            see(world, V3, "device/7")["deviceInfo"]["policyName"].clone(),
            see(world, AppControl, "computer/7")["policyName"].clone(),
        ]
    };
    let before = shown(&world);
    let mut computer = see(&world, AppControl, "computer/7");
    computer["policyId"] = json!(6526);
    let changed = order(&world, Method::Put, AppControl, "computer/7", &computer);
    assert_eq!(changed["policyId"], 6526);
    assert_eq!(shown(&world), before);
    advance(REPORT).await;
    assert_eq!(shown(&world), ["Monitored"; 3].map(Value::from));
    let body =
        json!({"action_type": "UPDATE_POLICY", "device_id": [7], "options": {"policy_id": 6525}});
    order(&world, Method::Post, V6, "device_actions", &body);
    advance(REPORT).await;
    assert_eq!(shown(&world), before);
    assert_eq!(see(&world, AppControl, "computer/7")["policyId"], 6525);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_device_is_gone_from_every_door() {
    let world = world();
    opened(&world).await;
    let act = |name: &str| {
        let body = json!({"action_type": name, "device_id": [7]});
        order(&world, Method::Post, V6, "device_actions", &body);
    };
    act("UNINSTALL_SENSOR");
    advance(REPORT).await;
    assert_eq!(see(&world, V6, "devices/7")["status"], "DEREGISTERED");
    assert_eq!(see(&world, Edr, "v1/sensor/7")["uninstalled"], true);
    assert_eq!(see(&world, AppControl, "computer/7")["uninstalled"], true);
    act("DELETE_SENSOR");
    for (door, rest) in [
        (V6, "devices/7"),
        (V3, "device/7"),
        (Edr, "v1/sensor/7"),
        (AppControl, "computer/7"),
        (V6, V6.session()),
        (V3, V3.session()),
        (Edr, Edr.session()),
    ] {
        assert_eq!(status(&world, door, rest), 404, "{door:?} {rest}");
    }
    let lists = [
        (Edr, "v1/sensor", "id"),
        (AppControl, "computer", "id"),
        (AppControl, "fileInstance?q=fileName:tool.exe", "computerId"),
    ];
    for (door, rest, key) in lists {
        assert_eq!(
            numbers(&see(&world, door, rest), key),
            [8],
            "{door:?} {rest}"
        );
    }
    let found = see(&world, Edr, "v1/process?q=hostname:WS-*&rows=100");
    assert_eq!(numbers(&found["results"], "sensor_id"), [8; 3]);
    let binary = see(&world, Edr, &format!("v1/binary/{MD5}/summary"));
    assert_eq!(binary["endpoint"], json!(["WS-8|8"]));
    let body = json!({"sensor_id": 7});
    assert_eq!(
        ask(&world, Method::Post, Edr, "v1/cblr/session", &body).0,
        404
    );
}

#[test]
fn a_key_opens_the_door_of_its_product_alone() {
    let world = world();
    for door in DOORS {
        let rest = match door {
            V6 => "devices/7",
            V3 => "device/7",
            Edr => "v1/sensor/7",
            AppControl => "computer/7",
        };
        for whose in DOORS {
            let mut request = Request::new(Method::Get, door.path(&world, rest));
            request.headers = vec![("x-auth-token".to_owned(), whose.key(&world))];
            let expected = if door == whose { 200 } else { 401 };
            let status = answer(&world, &request).status;
            assert_eq!(status, expected, "the key of {whose:?} at {door:?}");
        }
    }
}
