//! Requests as EDR's clients send them, for tests.

use crate::model::device::Os;
use crate::sim::device::SimDevice;
use crate::sim::doors::answer;
use crate::sim::manners::{Edr, Manners};
use crate::sim::world::{Settings, World};
use crate::wire::{Method, Request, Response};
use serde_json::Value;
use std::time::Duration;

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn windows(id: u64) -> SimDevice {
    let mut device = SimDevice::new(id, format!("WS-{id}"), Os::Windows);
    device.endpoint.plant(r"C:\t", None, |_| {}).expect("legal");
    device
}

/// A world whose server behaves like this.
pub(super) fn world(devices: Vec<SimDevice>, ways: Edr) -> World {
    let settings = Settings {
        manners: Manners {
            edr: ways,
            ..Manners::default()
        },
        ..Settings::default()
    };
    World::with(devices, settings)
}

/// `rest` is what follows `/api/`, with its query.
pub(super) fn request(world: &World, method: Method, rest: &str) -> Request {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut request = Request::new(method, format!("/api/{path}"));
    request.query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let token = ("x-auth-token".to_owned(), world.keys().edr.clone());
    request.headers.push(token);
    request
}

pub(super) fn call(world: &World, method: Method, rest: &str, body: Option<&Value>) -> Response {
    let mut request = request(world, method, rest);
    if let Some(body) = body {
        request = request.json(body);
    }
    answer(world, &request)
}

/// The status, and the JSON; texts come as JSON texts.
pub(super) fn told(response: &Response) -> (u16, Value) {
    let body = serde_json::from_slice(&response.body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&response.body).into_owned()));
    (response.status, body)
}

pub(super) fn get(world: &World, rest: &str) -> (u16, Value) {
    told(&call(world, Method::Get, rest, None))
}

pub(super) fn post(world: &World, rest: &str, body: &Value) -> (u16, Value) {
    told(&call(world, Method::Post, rest, Some(body)))
}

pub(super) fn put(world: &World, rest: &str, body: &Value) -> (u16, Value) {
    told(&call(world, Method::Put, rest, Some(body)))
}
