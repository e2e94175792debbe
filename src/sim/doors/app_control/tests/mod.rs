//! App Control from outside: requests as strangers send them, on a clock that does not wait.

mod bad_input;
mod computers;
mod files;
mod uploads;

use crate::model::device::Os;
use crate::sim::device::SimDevice;
use crate::sim::doors::answer;
use crate::sim::endpoint::content::Content;
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::advance;

const MINUTE: Duration = Duration::from_mins(1);
/// Of `MZ tool`.
const MD5: &str = "454ecab221e6eb69e595a39410bdd57a";

fn windows(id: u64) -> SimDevice {
    let mut device = SimDevice::new(id, format!("WS-{id}"), Os::Windows);
    for (path, text) in [
        (r"C:\Tools\Tool.exe", "MZ tool"),
        (r"C:\Windows\System32\cmd.exe", "MZ cmd"),
    ] {
        let content = Some(Content::text(text));
        device.endpoint.plant(path, content, |_| {}).expect("legal");
    }
    device
}

/// `rest` may have a query, in which nothing needs to be encoded.
fn request(world: &World, method: Method, rest: &str, body: Option<&Value>) -> Request {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut request = Request::new(method, format!("/api/bit9platform/v1/{path}"));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    request.query = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    if let Some(body) = body {
        request = request.json(body);
    }
    let token = world.keys().app_control.clone();
    request.headers.push(("x-auth-token".to_owned(), token));
    request
}

fn ask(world: &World, method: Method, rest: &str, body: Option<&Value>) -> (u16, Value) {
    let Response { status, body, .. } = answer(world, &request(world, method, rest, body));
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn get(world: &World, rest: &str) -> Value {
    let (status, body) = ask(world, Method::Get, rest, None);
    assert_eq!(status, 200, "{rest}: {body}");
    body
}

fn put(world: &World, rest: &str, body: &Value) -> Value {
    let (status, body) = ask(world, Method::Put, rest, Some(body));
    assert_eq!(status, 200, "{rest}: {body}");
    body
}

fn post(world: &World, rest: &str, body: &Value) -> Value {
    let (status, body) = ask(world, Method::Post, rest, Some(body));
    assert_eq!(status, 201, "{rest}: {body}");
    body
}

fn ids(list: &Value) -> Vec<u64> {
    let rows = list.as_array().expect("a list");
    rows.iter().filter_map(|row| row["id"].as_u64()).collect()
}

/// Moments that differ from run to run, as `"a date"`.
fn without_dates(mut object: Value) -> Value {
    for (_, value) in object.as_object_mut().expect("an object") {
        let is_date = |text: &str| text.parse::<Timestamp>().is_ok();
        if value.as_str().is_some_and(is_date) {
            *value = json!("a date");
        }
    }
    object
}
