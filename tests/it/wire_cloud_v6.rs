//! Every file of `tests/wire/cloud_v6` is one exchange: what we ask, what a service answers, and what
//! we make of it. A new case is a new file.

use serde::Deserialize;
use serde_json::{Value, json};
use sortie::api::dialect::cloud_v6::{CloudV6, Wanted, answer, device};
use sortie::api::dialect::refusal::{self, Asked};
use sortie::api::dialect::{DevicePage, Progress, SessionView};
use sortie::live::Listed;
use sortie::model::command::{Command, CommandResult, DirEntry, RegistryValue};
use sortie::model::device::{Device, Os};
use sortie::model::id::{CommandId, DeviceId, FileId, SessionId};
use sortie::model::outcome::Cause;
use sortie::wire::{Request, Response};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    /// What the case is about.
    why: String,
    ask: Ask,
    request: Expected,
    response: Answer,
    gives: Option<Value>,
    cause: Option<Cause>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Ask {
    Open(u64),
    Sessions,
    Session(SessionId),
    KeepAlive(SessionId),
    Close(SessionId),
    Command(SessionId, Command),
    Commands(SessionId),
    NextCommand(SessionId),
    Progress(SessionId, u64, Command),
    Cancel(SessionId, u64),
    File(SessionId, FileId),
    Content(SessionId, FileId),
    /// A name, and the text that goes by it.
    Upload(SessionId, String, String),
    SearchIds(Vec<DeviceId>),
    SearchFamilies(Vec<Os>),
    Scroll(Vec<Os>, Option<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    method: String,
    path: String,
    body: Option<Value>,
    /// A form, as it is sent.
    form: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    /// Instead of `body`: what no JSON value of ours could hold.
    text: Option<String>,
}

#[test]
fn every_exchange_is_asked_and_read_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/cloud_v6");
    let mut problems = Vec::new();
    let mut count = 0;
    for file in std::fs::read_dir(&folder).expect("the folder is there") {
        let path = file.expect("can be listed").path();
        let name = path
            .file_name()
            .expect("has a name")
            .to_string_lossy()
            .into_owned();
        count += 1;
        let text = std::fs::read_to_string(&path).expect("can be read");
        match serde_json::from_str(&text) {
            Ok(exchange) => check(&name, exchange, &mut problems),
            Err(error) => problems.push(format!("{name}: not an exchange: {error}")),
        }
    }
    assert!(count > 0, "no exchange in {}", folder.display());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn check(name: &str, exchange: Exchange, problems: &mut Vec<String>) {
    let Exchange {
        why,
        ask,
        request: expected,
        response,
        gives,
        cause,
    } = exchange;
    let asked = request(&ask);
    if let Some(form) = &expected.form {
        let sent = (asked.method.as_str(), asked.path.as_str());
        let length = asked.length();
        let kind = asked.header("content-type") == Some("multipart/form-data; boundary=fence");
        let whole = asked.clone().whole();
        let text = String::from_utf8_lossy(&whole.body).into_owned();
        let wanted = (expected.method.as_str(), &*expected.path);
        if (sent, &text, length, kind) != (wanted, form, form.len(), true) {
            problems.push(format!("{name} ({why}): sends {sent:?} {text:?}"));
        }
    }
    let body = (!asked.body.is_empty())
        .then(|| serde_json::from_slice::<Value>(&asked.body).expect("we send JSON"));
    let sent = (asked.method.as_str(), asked.path.as_str(), &body);
    if sent != (expected.method.as_str(), &*expected.path, &expected.body) {
        problems.push(format!("{name} ({why}): sends {sent:?}"));
    }
    let response = Response {
        status: response.status,
        headers: response.headers.into_iter().collect(),
        body: match (response.body, response.text) {
            (Some(body), None) => body.to_string().into_bytes(),
            (None, Some(text)) => text.into_bytes(),
            (None, None) => Vec::new(),
            (Some(_), Some(_)) => return problems.push(format!("{name}: body and text")),
        },
    };
    let wanted = match (gives, cause) {
        (Some(value), None) => Ok(value),
        (None, Some(cause)) => Err(cause),
        _ => return problems.push(format!("{name}: neither or both of gives and cause")),
    };
    let read = read(&ask, &response);
    if read != wanted {
        let read = read.map(|value| value.to_string());
        problems.push(format!("{name} ({why}): reads {read:?}"));
    }
}

fn request(ask: &Ask) -> Request {
    let api = CloudV6::new("ABCD1234");
    match ask {
        Ask::Open(device) => api.open(DeviceId(*device)),
        Ask::Sessions => api.sessions(),
        Ask::Session(id) | Ask::NextCommand(id) => api.session(id),
        Ask::Commands(id) => api.commands(id),
        Ask::KeepAlive(id) => api.keep_alive(id),
        Ask::Close(id) => api.close(id),
        Ask::Command(id, command) => api.command(id, command),
        Ask::Progress(id, number, _) => api.progress(id, CommandId(*number)),
        Ask::Cancel(id, number) => api.cancel(id, CommandId(*number)),
        Ask::File(id, file) => api.file(id, file),
        Ask::Content(id, file) => api.content(id, file),
        Ask::Upload(id, name, text) => api.upload(id, name, text.as_bytes().into(), "fence"),
        Ask::SearchIds(ids) => api.search(Wanted::Ids(ids)),
        Ask::SearchFamilies(families) => api.search(Wanted::Families(families)),
        Ask::Scroll(families, after) => api.scroll(Wanted::Families(families), after.as_deref()),
    }
}

fn read(ask: &Ask, response: &Response) -> Result<Value, Cause> {
    match ask {
        Ask::Open(_) => answer::session(response, Asked::Open).map(|view| session(&view)),
        Ask::Session(_) => answer::session(response, Asked::Session).map(|view| session(&view)),
        Ask::Sessions => {
            answer::sessions(response).map(|views| views.iter().map(session).collect())
        }
        Ask::KeepAlive(_) | Ask::Close(_) | Ask::Cancel(..) => {
            refusal::check(response, Asked::Session).map(|()| "done".into())
        }
        Ask::Upload(..) => answer::uploaded(response).map(|id| json!(id)),
        Ask::Content(..) => refusal::check(response, Asked::File).map(|()| "done".into()),
        Ask::Command(..) => answer::issued(response).map(|id| id.0.into()),
        Ask::Commands(_) => answer::commands(response).map(|all| all.iter().map(listed).collect()),
        Ask::NextCommand(_) => answer::next_command(response).map(Value::from),
        Ask::Progress(id, number, command) => {
            let number = CommandId(*number);
            answer::progress(response, id, number, command).map(|progress| match progress {
                Progress::Running => "running".into(),
                Progress::Ended(reply) => {
                    assert_eq!(reply.raw, response.body, "the body is kept as it came");
                    result(&reply.result)
                }
            })
        }
        Ask::File(..) => answer::file_size(response).map(|size| json!({"size": size})),
        Ask::SearchIds(_) | Ask::SearchFamilies(_) | Ask::Scroll(..) => {
            device::page(response).map(|page| devices(&page))
        }
    }
}

fn session(view: &SessionView) -> Value {
    json!({
        "id": view.id,
        "status": format!("{:?}", view.status),
        "commands": view.commands_so_far,
        "idle": view.idle_limit.map(|limit| limit.as_secs()),
        "facts": view.facts,
    })
}

fn listed(listed: &Listed) -> Value {
    json!([listed.id.0, listed.name, listed.operand])
}

fn result(result: &CommandResult) -> Value {
    match result {
        CommandResult::Done => "done".into(),
        CommandResult::File(id) => json!({"file": id}),
        CommandResult::Entries(entries) => entries.iter().map(entry).collect(),
        CommandResult::Processes(processes) => json!(processes),
        CommandResult::Key { values, sub_keys } => json!({
            "values": values.iter().map(value).collect::<Value>(),
            "sub_keys": sub_keys,
        }),
        CommandResult::Value(found) => value(found),
        CommandResult::Started { pid, return_code } => {
            json!({"pid": pid, "return_code": return_code})
        }
    }
}

fn entry(entry: &DirEntry) -> Value {
    let mut value = json!(entry);
    if let Some(exact) = entry.name.exact() {
        value["exact"] = json!(exact);
    }
    value
}

fn value(value: &RegistryValue) -> Value {
    json!([value.name, value.kind, value.data])
}

fn devices(page: &DevicePage) -> Value {
    json!({
        "found": page.found,
        "after": page.after,
        "devices": page.devices.iter().map(one_device).collect::<Value>(),
    })
}

fn one_device(device: &Device) -> Value {
    json!({
        "id": device.id,
        "name": device.name,
        "os": device.os,
        "os_version": device.os_version,
        "policy": device.policy,
        "groups": device.groups,
        "ip": device.ip,
        "last_seen": device.last_seen,
        "registered": device.registered,
        "isolated": device.isolated,
        "sensor_states": device.sensor_states,
        "verbatim": device.verbatim,
    })
}
