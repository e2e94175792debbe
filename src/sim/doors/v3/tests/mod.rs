//! The third version from outside: requests as its clients send them, on a clock that does not wait.

mod bad_input;
mod commands;
mod devices;
mod ends;
mod files;
mod polls;
mod sessions;

use crate::model::device::Os;
use crate::sim::device::SimDevice;
use crate::sim::doors::answer;
use crate::sim::endpoint::content::Content;
use crate::sim::endpoint::files::Node;
use crate::sim::endpoint::process::Process;
use crate::sim::endpoint::registry::Value as RegistryValue;
use crate::sim::manners::{Manners, V3};
use crate::sim::world::{Settings, World};
use crate::wire::{Method, Request, Response};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);
const SESSION: &str = "cblr/session/1:98765";

fn device() -> SimDevice {
    let mut device = SimDevice::new(98765, "WS-7", Os::Windows);
    let endpoint = &mut device.endpoint;
    let text = || Some(Content::text("0123456789"));
    let hidden = |node: &mut Node| node.attributes |= Node::HIDDEN;
    let lock = |node: &mut Node| node.locked = true;
    endpoint
        .plant(r"C:\temp\a.txt", text(), hidden)
        .expect("legal");
    endpoint
        .plant(r"C:\temp\locked", text(), lock)
        .expect("legal");
    let value = |name: &str, kind, data: &str| RegistryValue {
        name: name.into(),
        kind,
        data: data.into(),
    };
    let values = vec![value("Start", "REG_DWORD", "2"), value("", "REG_SZ", "x")];
    let registry = &mut endpoint.registry;
    registry.plant(r"HKLM\X", values).expect("a hive");
    registry.plant(r"HKLM\X\Sub", Vec::new()).expect("a hive");
    for (pid, parent, path, line) in [(4, 0, "", ""), (700, 4, r"C:\l.exe", "l.exe -x")] {
        endpoint.processes.plant(Process {
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

fn mannered(v3: V3) -> World {
    let manners = Manners {
        v3,
        ..Manners::default()
    };
    let settings = Settings {
        manners,
        ..Settings::default()
    };
    World::with(vec![device()], settings)
}

/// A request for a route, which may end in a query.
fn request(world: &World, method: Method, rest: &str) -> Request {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut request = Request::new(method, format!("/integrationServices/v3/{path}"));
    request.query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let token = ("x-auth-token".to_owned(), world.keys().v3.clone());
    request.headers.push(token);
    request
}

fn told(response: &Response) -> (u16, Value) {
    let body = serde_json::from_slice(&response.body).unwrap_or_default();
    (response.status, body)
}

fn get(world: &World, rest: &str) -> (u16, Value) {
    told(&answer(world, &request(world, Method::Get, rest)))
}

fn delete(world: &World, rest: &str) -> (u16, Value) {
    told(&answer(world, &request(world, Method::Delete, rest)))
}

fn post(world: &World, rest: &str, body: &Value) -> (u16, Value) {
    told(&answer(
        world,
        &request(world, Method::Post, rest).json(body),
    ))
}

fn put(world: &World, rest: &str, body: &Value) -> (u16, Value) {
    told(&answer(
        world,
        &request(world, Method::Put, rest).json(body),
    ))
}

/// Opens the world's first session on the one device, and lets the sensor check in.
async fn active(world: &World, body: &Value) {
    let (status, session) = post(world, "cblr/session/98765", body);
    assert_eq!((status, &session["id"]), (200, &json!("1:98765")));
    advance(Duration::from_millis(100)).await;
    assert_eq!(get(world, SESSION).1["status"], "ACTIVE");
}

/// Sends a command; gives its number.
fn send(world: &World, body: &Value) -> u64 {
    let (status, command) = post(world, &format!("{SESSION}/command"), body);
    assert_eq!(status, 200, "{command}");
    command["id"].as_u64().expect("a number")
}

fn command(world: &World, number: u64) -> Value {
    let (status, command) = get(world, &format!("{SESSION}/command/{number}"));
    assert_eq!(status, 200, "{command}");
    command
}

fn upload(world: &World, content: &str) -> (u16, Value) {
    let mut request = request(world, Method::Post, &format!("{SESSION}/file"));
    let form = "multipart/form-data; boundary=b".to_owned();
    request.headers.push(("content-type".to_owned(), form));
    let part = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"t.exe\"";
    request.body = format!("{part}\r\n\r\n{content}\r\n--b--\r\n").into_bytes();
    told(&answer(world, &request))
}

/// The bytes of a file, if they are there.
fn content(world: &World, file: &Value) -> Option<Vec<u8>> {
    let name = file
        .as_str()
        .map_or_else(|| file.to_string(), str::to_owned);
    let rest = format!("{SESSION}/file/{name}/content");
    let response = answer(world, &request(world, Method::Get, &rest));
    (response.status == 200).then_some(response.body)
}

/// Replaces times by what they count; those that are zero or null stay.
fn counted(mut body: Value) -> Value {
    fn replace(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    if key.ends_with("_time") {
                        *value = match value.as_i64() {
                            Some(1_000_000_000..=9_999_999_999) => json!("s"),
                            Some(1_000_000_000_000..=9_999_999_999_999) => json!("ms"),
                            _ => value.take(),
                        };
                    } else {
                        replace(value);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(replace),
            _ => {}
        }
    }
    replace(&mut body);
    body
}

/// The body of every 404 about a session.
fn no_session() -> (u16, Value) {
    let body = json!({"reason": "Session not found", "success": false, "status": "NOT_FOUND"});
    (404, body)
}
