//! The JSON of v6 Live Response: sessions, commands, files.

use crate::sim::endpoint::content::Clip;
use crate::sim::endpoint::files::Entry;
use crate::sim::endpoint::memory::{Progress, Step};
use crate::sim::endpoint::order::{Order, Yield};
use crate::sim::endpoint::process::Process;
use crate::sim::endpoint::registry;
use crate::sim::manners::{Letters, Manners, Percent, RegistryNames};
use crate::sim::session::Status;
use crate::sim::store::{Origin, Stored};
use crate::sim::view::{CommandView, SessionView, Stage};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) fn session(view: &SessionView) -> Value {
    let mut body = any_session(view);
    body["device_id"] = json!(view.device);
    body["create_time"] = json!(precise(view.created));
    body["device_check_in_time"] = json!(view.checked_in.as_ref().map(|k| precise(k.at)));
    body
}

/// What a session is in every version of the cloud.
pub(super) fn any_session(view: &SessionView) -> Value {
    let status = match view.status {
        Status::Pending => "PENDING",
        Status::Active => "ACTIVE",
        Status::Inactive => "INACTIVE",
        Status::Timeout => "TIMEOUT",
        Status::Closed => "CLOSE",
    };
    let known = view.checked_in.as_ref();
    json!({
        "id": view.id,
        "check_in_timeout": view.timeouts.check_in.as_secs(),
        "session_timeout": view.timeouts.session.as_secs(),
        "status": status,
        "current_command_index": view.commands,
        "hostname": null,
        "address": null,
        "os_version": null,
        "current_working_directory": known.map(|k| &k.cwd),
        "supported_commands": known.map(|k| &k.supported),
        "drives": known.map(|k| &k.drives),
    })
}

/// With milliseconds.
pub(super) fn precise(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Without a fraction, as directory and process times come.
fn plain(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(in crate::sim) fn command(view: &CommandView, manners: Manners) -> Value {
    let status = match &view.stage {
        Stage::Pending => "PENDING",
        Stage::Running => "IN PROGRESS",
        Stage::Cancelled { .. } => "CANCELLED",
        Stage::Ended { outcome: Ok(_), .. } => "COMPLETE",
        Stage::Ended { .. } => "ERROR",
    };
    let outcome = view.stage.outcome();
    let mut body = json!({
        "id": view.id,
        "name": view.order.name(),
        "status": lettered(status, manners),
        "result_code": result_code(view, manners),
        "result_type": outcome.map(|_| "WinHresult"),
        "result_desc": "",
        "values": [],
        "sub_keys": [],
        "files": [],
        "processes": [],
        "input": view.order.echo(),
        "create_time": precise(view.created),
        "finish_time": view.stage.finish().map(precise),
    });
    if let (Order::GetFile { offset, count, .. }, Some(file)) = (&view.order, &view.file) {
        body["file_details"] =
            json!({"offset": offset, "count": count.unwrap_or(0), "file_id": file.uuid});
    }
    if let Some(Ok(result)) = outcome {
        add(&mut body, view, result, manners);
    }
    if let Some(progress) = view.progress {
        body["mem_dump"] = dump(progress, manners);
    }
    body
}

pub(super) fn result_code(view: &CommandView, manners: Manners) -> i64 {
    match view.stage.outcome() {
        Some(Err(code)) => manners.codes.of(*code),
        _ => 0,
    }
}

fn lettered(status: &str, manners: Manners) -> String {
    match manners.status {
        Letters::Upper => status.to_owned(),
        Letters::Lower => status.to_lowercase(),
    }
}

pub(super) fn dump(progress: Progress, manners: Manners) -> Value {
    let percent = match manners.percent {
        Percent::Counts => progress.percent,
        Percent::StaysZero => 0,
    };
    json!({
        "dumping": progress.step == Step::Dumping,
        "compressing": progress.step == Step::Compressing,
        "complete": progress.step == Step::Complete,
        "return_code": 0,
        "percentdone": percent,
    })
}

fn add(body: &mut Value, view: &CommandView, result: &Yield, manners: Manners) {
    match result {
        Yield::Done | Yield::File(_) | Yield::Dumped => {}
        Yield::Entries(entries) => {
            body["files"] = entries.iter().map(|entry| listed(view, entry)).collect();
        }
        Yield::Processes(all) => {
            body["processes"] = all.iter().map(|one| process(view, one, all)).collect();
        }
        Yield::Key { values, sub_keys } => {
            body["values"] = values.iter().map(|one| value(one, manners)).collect();
            body["sub_keys"] = json!(sub_keys);
        }
        Yield::Value(one) => body["value"] = value(one, manners),
        Yield::Started { pid, return_code } => {
            body["process_details"] = json!({"pid": pid, "return_code": return_code});
        }
    }
}

fn listed(view: &CommandView, entry: &Entry) -> Value {
    json!({
        "size": entry.size,
        "attributes": entry.attributes,
        "filename": entry.name,
        "alternate_name": "",
        "create_time": plain(view.moment(entry.created)),
        "last_access_time": plain(view.moment(entry.accessed)),
        "last_write_time": plain(view.moment(entry.written)),
    })
}

fn process(view: &CommandView, process: &Process, all: &[Process]) -> Value {
    let parent = all.iter().find(|other| other.pid == process.parent);
    json!({
        "process_pid": process.pid,
        "process_create_time": plain(view.moment(process.created)),
        "process_path": &*process.path,
        "process_cmdline": &*process.line,
        "sid": &*process.sid,
        "process_username": &*process.user,
        "parent_pid": process.parent,
        "parent_create_time": parent.map(|p| plain(view.moment(p.created))),
    })
}

fn value(value: &registry::Value, manners: Manners) -> Value {
    if manners.registry == RegistryNames::Documented {
        return json!({
            "value_name": value.name,
            "value_type": value.kind,
            "value_data": value.data,
        });
    }
    json!({
        "registry_name": value.name,
        "registry_type": format!("pb{}", value.kind),
        "registry_data": value.data,
    })
}

pub(super) fn file(stored: &Stored) -> Value {
    let size = stored.clip.as_ref().map_or(0, Clip::len);
    // For files from the endpoint the service was only ever seen to say zero here.
    let uploaded = match stored.origin {
        Origin::Upload => size,
        Origin::Endpoint => 0,
    };
    json!({
        "id": stored.id.uuid,
        "size": size,
        "file_name": stored.name,
        "size_uploaded": uploaded,
        "upload_url": null,
    })
}

#[cfg(test)]
mod tests {
    use crate::model::device::Os;
    use crate::sim::device::SimDevice;
    use crate::sim::doors::answer;
    use crate::sim::endpoint::content::Content;
    use crate::sim::endpoint::files::Node;
    use crate::sim::endpoint::process::Process;
    use crate::sim::endpoint::registry::Value as RegistryValue;
    use crate::sim::world::World;
    use crate::wire::{Method, Request};
    use serde_json::{Value, json};
    use std::time::Duration;
    use tokio::time::advance;

    fn device() -> SimDevice {
        let mut device = SimDevice::new(98765, "WS-7", Os::Windows);
        let text = Content::text("0123456789");
        let hidden = |node: &mut Node| node.attributes |= Node::HIDDEN;
        device
            .endpoint
            .plant(r"C:\temp\a.txt", Some(text.clone()), hidden)
            .expect("legal");
        let lock = |node: &mut Node| node.locked = true;
        device
            .endpoint
            .plant(r"C:\temp\locked", Some(text), lock)
            .expect("legal");
        let value = |name: &str, kind, data: &str| RegistryValue {
            name: name.into(),
            kind,
            data: data.into(),
        };
        let values = vec![value("Start", "REG_DWORD", "2"), value("", "REG_SZ", "x")];
        device
            .endpoint
            .registry
            .plant(r"HKLM\X", values)
            .expect("a hive");
        device
            .endpoint
            .registry
            .plant(r"HKLM\X\Sub", Vec::new())
            .expect("a hive");
        for (pid, parent, path, line) in [(4, 0, "", ""), (700, 4, r"C:\l.exe", "l.exe -x")] {
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

    fn call(world: &World, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let path = format!(
            "/appservices/v6/orgs/{}/liveresponse/{path}",
            world.org_key()
        );
        let mut request = Request::new(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        request
            .headers
            .push(("x-auth-token".into(), world.token().into()));
        let response = answer(world, &request);
        let body = serde_json::from_slice(&response.body).unwrap_or_default();
        (response.status, body)
    }

    /// Takes times out, after a look at their form.
    fn without_times(mut body: Value) -> Value {
        fn strip(value: &mut Value) {
            match value {
                Value::Object(members) => {
                    members.retain(|key, value| {
                        let is_time = key.ends_with("_time") && value.is_string();
                        if is_time {
                            let text = value.as_str().unwrap_or_default();
                            assert!(text.parse::<jiff::Timestamp>().is_ok(), "{key}: {text}");
                            let fraction = text.contains('.');
                            let is_wire = ["create_time", "finish_time", "device_check_in_time"];
                            assert!(
                                !fraction || is_wire.contains(&key.as_str()),
                                "{key}: {text}"
                            );
                        }
                        !is_time
                    });
                    members.values_mut().for_each(strip);
                }
                Value::Array(items) => items.iter_mut().for_each(strip),
                _ => {}
            }
        }
        strip(&mut body);
        body
    }

    async fn session(world: &World) -> String {
        let asked = json!({"device_id": "98765"});
        let (status, pending) = call(world, Method::Post, "sessions", Some(&asked));
        assert_eq!(status, 201);
        let expected = json!({
            "id": "1:98765", "device_id": 98765, "check_in_timeout": 900, "session_timeout": 900,
            "status": "PENDING", "current_command_index": 0, "device_check_in_time": null,
            "hostname": null, "address": null, "os_version": null, "current_working_directory": null,
            "supported_commands": null, "drives": null,
        });
        assert_eq!(without_times(pending), expected);
        advance(Duration::from_millis(100)).await;
        let (_, active) = call(world, Method::Get, "sessions/1%3A98765", None);
        let expected = json!({
            "id": "1:98765", "device_id": 98765, "check_in_timeout": 900, "session_timeout": 900,
            "status": "ACTIVE", "current_command_index": 0,
            "hostname": null, "address": null, "os_version": null,
            "current_working_directory": "C:\\Windows\\system32", "drives": ["C:\\"],
            "supported_commands": ["put file", "get file", "memdump", "create directory", "delete file",
                "directory list", "reg enum key", "reg query value", "reg create key", "reg delete key",
                "reg delete value", "reg set value", "process list", "kill", "create process"],
        });
        assert_eq!(without_times(active), expected);
        "1:98765".to_owned()
    }

    /// What a finished command looks like, with `more` on top of what all have.
    fn finished(id: u64, status: &str, code: u32, input: &Value, more: &Value) -> Value {
        let mut body = json!({
            "id": id, "name": input["name"], "status": status, "result_code": code,
            "result_type": "WinHresult", "result_desc": "", "values": [], "sub_keys": [], "files": [],
            "processes": [], "input": input,
        });
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more.clone()) {
            body.extend(more);
        }
        body
    }

    /// Sent, echoed, status, code, and what comes on top of what all commands have.
    type Row = (Value, Value, &'static str, u32, Value);

    fn reading() -> Vec<Row> {
        let list =
            |path: &str| json!({"name": "directory list", "path": path, "session_id": "1:98765"});
        let query = |path: &str| json!({"name": "reg query value", "path": path});
        let echo = |name: &str, object: &str| json!({"name": name, "object": object});
        let file = json!({"filename": "a.txt", "size": 10, "attributes": ["HIDDEN", "ARCHIVE"],
            "alternate_name": ""});
        let folder = json!({"filename": "temp", "size": 0, "attributes": ["DIRECTORY"],
            "alternate_name": ""});
        let system = json!({"process_pid": 4, "process_path": "", "process_cmdline": "", "sid": "S-1-5-18",
            "process_username": "NT AUTHORITY\\SYSTEM", "parent_pid": 0, "parent_create_time": null});
        let child = json!({"process_pid": 700, "process_path": "C:\\l.exe", "process_cmdline": "l.exe -x",
            "sid": "S-1-5-18", "process_username": "NT AUTHORITY\\SYSTEM", "parent_pid": 4});
        let start =
            json!({"registry_name": "Start", "registry_type": "pbREG_DWORD", "registry_data": "2"});
        let default =
            json!({"registry_name": "", "registry_type": "pbREG_SZ", "registry_data": "x"});
        let key = r"HKEY_LOCAL_MACHINE\x";
        vec![
            (
                list(r"C:\temp\*.txt"),
                echo("directory list", r"C:\temp\*.txt"),
                "COMPLETE",
                0,
                json!({"files": [file]}),
            ),
            (
                echo("directory list", r"C:\temp"),
                echo("directory list", r"C:\temp"),
                "COMPLETE",
                0,
                json!({"files": [folder]}),
            ),
            (
                list(r"C:\no\no"),
                echo("directory list", r"C:\no\no"),
                "ERROR",
                2_147_942_403,
                json!({}),
            ),
            (
                json!({"name": "process list"}),
                json!({"name": "process list"}),
                "COMPLETE",
                0,
                json!({"processes": [system, child]}),
            ),
            (
                json!({"name": "reg enum key", "path": key}),
                echo("reg enum key", key),
                "COMPLETE",
                0,
                json!({"sub_keys": ["Sub"], "values": [start, default]}),
            ),
            (
                query(r"HKLM\X\Start"),
                echo("reg query value", r"HKLM\X\Start"),
                "COMPLETE",
                0,
                json!({"value": start}),
            ),
            (
                query(r"HKLM\X\None"),
                echo("reg query value", r"HKLM\X\None"),
                "ERROR",
                2_147_942_402,
                json!({}),
            ),
        ]
    }

    fn changing() -> Vec<Row> {
        let on = |name: &str, path: &str| json!({"name": name, "path": path});
        let echo = |name: &str, object: &str| json!({"name": name, "object": object});
        let kill = |pid: u64| json!({"name": "kill", "object": pid});
        vec![
            (
                json!({"name": "reg set value", "path": r"HKLM\X\m", "value_data": ["x", "2"],
                    "value_type": "REG_MULTI_SZ", "overwrite": true}),
                json!({"name": "reg set value", "object": r"HKLM\X\m", "value_data": "x,2",
                    "value_type": "REG_MULTI_SZ", "overwrite": true}),
                "COMPLETE",
                0,
                json!({}),
            ),
            (
                json!({"name": "kill", "pid": 4}),
                kill(4),
                "ERROR",
                2_147_942_405,
                json!({}),
            ),
            (
                json!({"name": "kill", "object": "700"}),
                kill(700),
                "COMPLETE",
                0,
                json!({}),
            ),
            (
                json!({"name": "kill", "pid": 700}),
                kill(700),
                "ERROR",
                2_147_942_487,
                json!({}),
            ),
            (
                json!({"name": "create process", "path": "cmd.exe /c exit 3", "wait": true}),
                json!({"name": "create process", "object": "cmd.exe /c exit 3", "wait": true}),
                "COMPLETE",
                0,
                json!({"process_details": {"pid": null, "return_code": 3}}),
            ),
            (
                json!({"name": "create process", "path": "whoami", "wait": "false", "working_directory": "C:\\temp"}),
                json!({"name": "create process", "object": "whoami", "wait": false, "working_directory": "C:\\temp"}),
                "COMPLETE",
                0,
                json!({"process_details": {"pid": null, "return_code": -1}}),
            ),
            (
                on("create directory", r"C:\temp"),
                echo("create directory", r"C:\temp"),
                "ERROR",
                2_147_942_583,
                json!({}),
            ),
            (
                on("delete file", r"C:\temp"),
                echo("delete file", r"C:\temp"),
                "ERROR",
                2_147_942_545,
                json!({}),
            ),
            (
                on("delete file", r"C:\temp\a.txt"),
                echo("delete file", r"C:\temp\a.txt"),
                "COMPLETE",
                0,
                json!({}),
            ),
        ]
    }

    #[tokio::test(start_paused = true)]
    async fn every_command_has_the_contracts_shape() {
        let world = World::new(vec![device()]);
        let id = session(&world).await;
        let table = reading().into_iter().chain(changing());
        for (index, (sent, input, status, code, more)) in (0_u64..).zip(table) {
            let commands = format!("sessions/{id}/commands");
            let (created, posted) = call(&world, Method::Post, &commands, Some(&sent));
            assert_eq!(
                (created, &posted["status"]),
                (201, &json!("PENDING")),
                "{sent}"
            );
            advance(Duration::from_millis(50)).await;
            let (_, mut got) = call(&world, Method::Get, &format!("{commands}/{index}"), None);
            // Numbers of new processes are the endpoint's business.
            if let Some(pid) = got.pointer_mut("/process_details/pid") {
                assert!(pid.take().as_u64().is_some_and(|pid| pid > 0));
            }
            let expected = finished(index, status, code, &input, &more);
            assert_eq!(without_times(got), expected, "{sent}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetched_file_is_named_at_once_and_comes_from_another_host() {
        let world = World::new(vec![device()]);
        let id = session(&world).await;
        let get =
            json!({"name": "get file", "path": "C:\\temp\\a.txt", "offset": 2, "get_count": 3});
        let (_, posted) = call(
            &world,
            Method::Post,
            &format!("sessions/{id}/commands"),
            Some(&get),
        );
        let file = posted["file_details"]["file_id"]
            .as_str()
            .expect("named")
            .to_owned();
        assert_eq!(
            posted["file_details"],
            json!({"offset": 2, "count": 3, "file_id": file})
        );
        let files = format!("sessions/{id}/files/{file}");
        assert_eq!(
            call(&world, Method::Get, &format!("{files}/content"), None).0,
            404
        );
        advance(Duration::from_millis(10)).await;
        let expected = json!({"id": file, "size": 3, "file_name": "C:\\temp\\a.txt", "size_uploaded": 0,
            "upload_url": null});
        assert_eq!(call(&world, Method::Get, &files, None), (200, expected));

        let path = format!(
            "/appservices/v6/orgs/{}/liveresponse/{files}/content",
            world.org_key()
        );
        let mut request = Request::new(Method::Get, path);
        request
            .headers
            .push(("X-AUTH-TOKEN".into(), world.token().into()));
        let redirect = answer(&world, &request);
        assert_eq!(redirect.status, 302);
        let location = redirect.header("location").expect("somewhere");
        let signed = location
            .strip_prefix("http://content.sim.invalid")
            .expect("another host");
        let (path, query) = signed.split_once('?').expect("signed");
        let mut request = Request::new(Method::Get, path);
        request.query = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(answer(&world, &Request::new(Method::Get, path)).status, 403);
        let fetched = answer(&world, &request);
        assert_eq!(
            (fetched.status, fetched.body.as_slice()),
            (200, &b"234"[..])
        );
        assert_eq!(world.books().credentials_leaked, 0);
        request
            .headers
            .push(("x-auth-token".into(), world.token().into()));
        assert_eq!(answer(&world, &request).status, 403, "good for one fetch");
        let books = world.books();
        assert_eq!((books.credentials_leaked, books.content_bytes), (1, 3));

        let locked = json!({"name": "get file", "path": "C:\\temp\\locked"});
        call(
            &world,
            Method::Post,
            &format!("sessions/{id}/commands"),
            Some(&locked),
        );
        advance(Duration::from_millis(10)).await;
        let (_, got) = call(
            &world,
            Method::Get,
            &format!("sessions/{id}/commands/1"),
            None,
        );
        assert_eq!(
            (&got["status"], &got["result_code"]),
            (&json!("ERROR"), &json!(0x8007_0020_u32))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_reaches_the_endpoint() {
        let world = World::new(vec![device()]);
        // Field scripts upload before the sensor has checked in.
        let (_, pending) = call(
            &world,
            Method::Post,
            "sessions",
            Some(&json!({"device_id": 98765})),
        );
        let id = pending["id"].as_str().expect("an id");
        let path = format!(
            "/appservices/v6/orgs/{}/liveresponse/sessions/{id}/files",
            world.org_key()
        );
        let mut request = Request::new(Method::Post, path);
        request.headers = vec![
            ("x-auth-token".into(), world.token().into()),
            (
                "content-type".into(),
                "multipart/form-data; boundary=b".into(),
            ),
        ];
        request.body = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"t.exe\"\r\n\r\nMZ\r\n--b--\r\n".to_vec();
        let stored = answer(&world, &request);
        let body: Value = serde_json::from_slice(&stored.body).expect("JSON");
        let file = body["id"].as_str().expect("a UUID");
        let expected = json!({"id": file, "size": 2, "file_name": "t.exe", "size_uploaded": 2, "upload_url": null});
        assert_eq!((stored.status, &body), (201, &expected));
        advance(Duration::from_millis(100)).await;

        let put = json!({"name": "put file", "path": "C:\\temp\\t.exe", "file_id": file});
        let commands = format!("sessions/{id}/commands");
        call(&world, Method::Post, &commands, Some(&put));
        call(&world, Method::Post, &commands, Some(&put));
        let run = json!({"name": "create process", "path": "C:\\temp\\t.exe -q", "wait": true});
        call(&world, Method::Post, &commands, Some(&run));
        let wrong = json!({"name": "put file", "path": "C:\\x", "file_id": "none"});
        assert_eq!(call(&world, Method::Post, &commands, Some(&wrong)).0, 404);
        advance(Duration::from_millis(50)).await;
        let (_, all) = call(&world, Method::Get, &commands, None);
        let input = json!({"name": "put file", "object": "C:\\temp\\t.exe", "file_id": file, "chunkNumber": 0});
        assert_eq!(
            without_times(all[0].clone()),
            finished(0, "COMPLETE", 0, &input, &json!({}))
        );
        assert_eq!(
            all[1]["result_code"],
            json!(0x8007_0050_u32),
            "an existing file is not overwritten"
        );
        assert_eq!(all[2]["process_details"]["return_code"], json!(0));
    }
}
