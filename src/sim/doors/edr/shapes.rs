//! The JSON of EDR's Live Response: sessions, commands, files.

use super::super::guid::guid;
use super::super::{cblr, shapes};
use super::USER;
use crate::sim::device::SimDevice;
use crate::sim::endpoint::order::{Order, Yield};
use crate::sim::endpoint::process::Process;
use crate::sim::endpoint::registry;
use crate::sim::manners::{Manners, SensorIds};
use crate::sim::session::Status;
use crate::sim::store::Stored;
use crate::sim::view::{CommandView, SessionView, Stage};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Days that a session is kept after its end.
pub(super) const STORAGE_DAYS: u64 = 7;

pub(super) fn session(view: &SessionView, device: Option<&SimDevice>, ids: SensorIds) -> Value {
    let status = match view.status {
        Status::Pending => "pending",
        Status::Active => "active",
        Status::Inactive => "inactive",
        Status::Timeout => "timeout",
        Status::Closed => "close",
    };
    let known = view.checked_in.as_ref();
    let times = view.timeouts;
    json!({
        "id": view.number,
        "sensor_id": match ids {
            SensorIds::Numbers => json!(view.device),
            SensorIds::Text => json!(view.device.to_string()),
        },
        "status": status,
        "hostname": device.map_or("", |device| &device.name),
        "address": known.and(device).map(|device| format!("::ffff:{}", device.ip)),
        "os_version": "",
        "create_time": seconds(view.created),
        "check_in_timeout": times.check_in.as_secs(),
        "session_timeout": times.session.as_secs(),
        "sensor_wait_timeout": times.sensor.unwrap_or(times.session).as_secs(),
        "storage_size": view.stored.to_string(),
        "storage_ttl": STORAGE_DAYS,
        "current_working_directory": known.map_or("", |known| &known.cwd),
        "supported_commands": known.map_or(&[][..], |known| &known.supported),
        "drives": known.map_or(&[][..], |known| &known.drives),
    })
}

/// With the fraction.
fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

/// A command of a session on a sensor.
pub(super) fn command(view: &CommandView, of: (u64, u64), manners: Manners) -> Value {
    let (session, sensor) = of;
    let mut body = arguments(view);
    let mut add = |members: Value| {
        if let Value::Object(members) = members {
            body.extend(members);
        }
    };
    add(json!({
        "id": view.id + 1,
        "session_id": session,
        "sensor_id": sensor,
        "username": USER,
        "status": cblr::status(view),
        "create_time": seconds(view.created),
    }));
    if let Stage::Running | Stage::Ended { .. } = view.stage
        && let Some(progress) = view.progress
    {
        add(shapes::dump(progress, manners));
    }
    if let Some(at) = view.stage.finish() {
        add(json!({"completion": seconds(at)}));
    }
    if let Some(outcome) = view.stage.outcome() {
        add(json!({
            "result_code": shapes::result_code(view, manners),
            "result_type": "WinHresult",
            "result_desc": "",
        }));
        if let Ok(result) = outcome {
            add(brought(view, sensor, result));
        }
    }
    Value::Object(body)
}

/// What was asked, on the level of everything else.
fn arguments(view: &CommandView) -> Map<String, Value> {
    let Value::Object(mut body) = view.order.echo() else {
        return Map::new();
    };
    body.remove("chunkNumber");
    if let Some(file) = &view.file {
        body.insert("file_id".to_owned(), json!(file.number));
    }
    if let Order::RegSetValue { kind, data, .. } = &view.order {
        body.insert("value_data".to_owned(), cblr::typed(kind, data));
    }
    body
}

fn brought(view: &CommandView, sensor: u64, result: &Yield) -> Value {
    match result {
        Yield::Done | Yield::Dumped => json!({}),
        Yield::File(_) => range(&view.order),
        Yield::Entries(entries) => {
            let files: Vec<Value> = entries
                .iter()
                .map(|entry| cblr::listed(view, entry))
                .collect();
            json!({"files": files})
        }
        Yield::Processes(all) => {
            let rows = all.iter().map(|one| process(view, sensor, one, all));
            json!({"processes": rows.collect::<Vec<Value>>()})
        }
        Yield::Key { values, sub_keys } => {
            let values: Vec<Value> = values.iter().map(value).collect();
            json!({"values": values, "sub_keys": sub_keys})
        }
        Yield::Value(one) => json!({"value": value(one)}),
        // Of what nobody waited for there is no code.
        Yield::Started {
            pid,
            return_code: -1,
        } if !waited(&view.order) => json!({"pid": pid}),
        Yield::Started { pid, return_code } => json!({"pid": pid, "return_code": return_code}),
    }
}

/// The part of a file that was asked for, where it was not all of it.
fn range(order: &Order) -> Value {
    match order {
        Order::GetFile { offset, count, .. } if *offset > 0 || count.is_some() => {
            json!({"offset": offset, "count": count.unwrap_or(0)})
        }
        _ => json!({}),
    }
}

const fn waited(order: &Order) -> bool {
    matches!(order, Order::CreateProcess { wait: true, .. })
}

fn process(view: &CommandView, sensor: u64, process: &Process, all: &[Process]) -> Value {
    let start = view.moment(process.created);
    let parent = all.iter().find(|other| other.pid == process.parent);
    let parent = parent.map(|parent| view.moment(parent.created));
    json!({
        "pid": process.pid,
        "proc_guid": guid(sensor, process.pid, Some(start)),
        "parent": process.parent,
        "parent_guid": guid(sensor, process.parent, parent),
        "create_time": start.as_second(),
        "path": path(&process.path),
        "command_line": &*process.line,
        "username": &*process.user,
        "sid": process.sid.to_lowercase(),
    })
}

/// Paths of Windows are told in lower case; on other systems that would be another file.
fn path(path: &str) -> String {
    if path.contains('\\') {
        path.to_lowercase()
    } else {
        path.to_owned()
    }
}

fn value(value: &registry::Value) -> Value {
    json!({
        "value_name": value.name,
        "value_type": value.kind,
        "value_data": cblr::typed(value.kind, &value.data),
    })
}

pub(super) fn file(stored: &Stored, commands: &[CommandView], manners: Manners) -> Value {
    cblr::file(stored, &json!(stored.id.number), commands, manners)
}
