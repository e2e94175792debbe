//! The JSON of Live Response: sessions count milliseconds, and all else counts seconds.

use super::super::cblr;
use super::super::guid::guid;
use super::super::shapes::{any_session, dump, result_code};
use crate::sim::endpoint::order::{Order, Yield};
use crate::sim::endpoint::process::Process;
use crate::sim::endpoint::registry;
use crate::sim::manners::{FileIds, Manners, RegistryTypes};
use crate::sim::store::{FileId, Stored};
use crate::sim::view::{CommandView, SessionView};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) fn session(view: &SessionView) -> Value {
    let mut body = any_session(view);
    let checked_in = view.checked_in.as_ref();
    body["sensor_id"] = json!(view.device);
    body["create_time"] = json!(view.created.as_millisecond());
    body["sensor_check_in_time"] = json!(checked_in.map(|known| known.at.as_millisecond()));
    body
}

/// The documents name the operand and the session beside the echo; servers were seen to leave them out.
pub(super) fn command(view: &CommandView, session: &SessionView, manners: Manners) -> Value {
    let echo = echo(view, manners);
    let outcome = view.stage.outcome();
    // Zero is no limit.
    let limit = session.timeouts.command.map_or(0, |limit| limit.as_secs());
    let mut body = json!({
        "id": view.id,
        "session_id": session.id,
        "sensor_id": session.device,
        "command_timeout": limit,
        "name": view.order.name(),
        "object": echo.get("object"),
        "obj": echo,
        "username": null,
        "creation_time": view.created.as_second(),
        "completion_time": view.stage.finish().map_or(0, Timestamp::as_second),
        "result_code": result_code(view, manners),
        "result_type": outcome.map(|_| "WinHresult"),
        "result_desc": "",
        "status": cblr::status(view),
    });
    add(&mut body, from_the_start(view, manners));
    if let Some(Ok(result)) = outcome {
        add(&mut body, brought(view, session, result, manners));
    }
    if let Some(progress) = view.progress {
        add(&mut body, dump(progress, manners));
    }
    body
}

fn add(body: &mut Value, more: Value) {
    if let (Value::Object(body), Value::Object(more)) = (body, more) {
        body.extend(more);
    }
}

/// The arguments, with numbers where clients send numbers.
fn echo(view: &CommandView, manners: Manners) -> Value {
    let mut echo = view.order.echo();
    match (&view.order, &view.file) {
        (Order::PutFile { .. }, Some(file)) => echo["file_id"] = file_id(file, manners),
        (Order::RegSetValue { kind, data, .. }, _) => echo["value_data"] = cblr::typed(kind, data),
        _ => {}
    }
    echo
}

/// What a command of its kind has before anything has come of it.
fn from_the_start(view: &CommandView, manners: Manners) -> Value {
    let file = view.file.as_ref().map(|file| file_id(file, manners));
    match &view.order {
        Order::PutFile { .. } => json!({"file_id": file}),
        Order::GetFile { offset, count, .. } => {
            json!({"file_id": file, "offset": offset, "count": count.unwrap_or(0)})
        }
        Order::DirectoryList { .. } => json!({"files": []}),
        Order::RegEnumKey { .. } => json!({"values": [], "sub_keys": []}),
        Order::ProcessList => json!({"processes": []}),
        _ => Value::Null,
    }
}

fn brought(view: &CommandView, session: &SessionView, result: &Yield, manners: Manners) -> Value {
    match result {
        Yield::Done | Yield::File(_) | Yield::Dumped => Value::Null,
        Yield::Entries(all) => {
            json!({"files": all.iter().map(|one| cblr::listed(view, one)).collect::<Value>()})
        }
        Yield::Processes(all) => {
            let shown = |one: &Process| process(view, session, one, all);
            json!({"processes": all.iter().map(shown).collect::<Value>()})
        }
        Yield::Key { values, sub_keys } => {
            let values: Value = values.iter().map(|one| value(one, manners)).collect();
            json!({"values": values, "sub_keys": sub_keys})
        }
        Yield::Value(one) => json!({"value": value(one, manners)}),
        Yield::Started { pid, return_code } => json!({"pid": pid, "return_code": return_code}),
    }
}

/// The documents name parents by their GUIDs, their example by when they were started.
fn process(view: &CommandView, session: &SessionView, one: &Process, all: &[Process]) -> Value {
    let parent = all.iter().find(|other| other.pid == one.parent);
    let started = |process: &Process| view.moment(process.created);
    let guid = |process: &Process| guid(session.device, process.pid, Some(started(process)));
    json!({
        "pid": one.pid,
        "create_time": started(one).as_second(),
        "proc_guid": guid(one),
        "path": &*one.path,
        "command_line": &*one.line,
        "sid": &*one.sid,
        "username": &*one.user,
        "parent": one.parent,
        "parent_create_time": parent.map_or(0, |parent| started(parent).as_second()),
        "parent_guid": parent.map_or_else(String::new, guid),
    })
}

fn value(value: &registry::Value, manners: Manners) -> Value {
    let kind = match manners.v3.registry_types {
        RegistryTypes::Plain => value.kind.to_owned(),
        RegistryTypes::Prefixed => format!("pb{}", value.kind),
    };
    json!({
        "value_name": value.name,
        "value_type": kind,
        "value_data": cblr::typed(value.kind, &value.data),
    })
}

pub(super) fn file(stored: &Stored, commands: &[CommandView], manners: Manners) -> Value {
    cblr::file(stored, &file_id(&stored.id, manners), commands, manners)
}

fn file_id(file: &FileId, manners: Manners) -> Value {
    match manners.v3.file_ids {
        FileIds::Numbers => json!(file.number),
        FileIds::Uuids => json!(file.uuid),
    }
}
