//! The doors from outside: requests as strangers send them, on a clock that does not wait.

mod bad_input;
mod books;
mod console;
mod credentials;
mod device_actions;
mod limits;
mod manners;
mod memory;
mod one_world;
mod queue;
mod timeouts;

use super::answer;
use crate::model::device::Os;
use crate::sim::device::SimDevice;
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);

fn windows(id: u64) -> SimDevice {
    let mut device = SimDevice::new(id, format!("WS-{id}"), Os::Windows);
    device.endpoint.plant(r"C:\t", None, |_| {}).expect("legal");
    device
}

fn path(world: &World, rest: &str) -> String {
    format!("/appservices/v6/orgs/{}/{rest}", world.org_key())
}

fn request(world: &World, method: Method, rest: &str, body: Option<&Value>) -> Request {
    let mut request = Request::new(method, path(world, rest));
    if let Some(body) = body {
        request = request.json(body);
    }
    let token = ("x-auth-token".to_owned(), world.token().to_owned());
    request.headers.push(token);
    request
}

fn told(response: &Response) -> (u16, Value) {
    let body = serde_json::from_slice(&response.body).unwrap_or_default();
    (response.status, body)
}

fn get(world: &World, rest: &str) -> (u16, Value) {
    told(&answer(world, &request(world, Method::Get, rest, None)))
}

fn post(world: &World, rest: &str, body: &Value) -> (u16, Value) {
    let request = request(world, Method::Post, rest, Some(body));
    told(&answer(world, &request))
}

fn delete(world: &World, rest: &str) -> u16 {
    answer(world, &request(world, Method::Delete, rest, None)).status
}

/// Opens a session and lets the sensor check in; gives the session's route.
async fn active(world: &World, body: &Value) -> String {
    let (status, session) = post(world, "liveresponse/sessions", body);
    assert_eq!(status, 201, "{session}");
    advance(Duration::from_millis(100)).await;
    let id = session["id"].as_str().expect("an id");
    let route = format!("liveresponse/sessions/{id}");
    assert_eq!(get(world, &route).1["status"], "ACTIVE");
    route
}

/// Sends a command; gives its route.
fn send(world: &World, session: &str, body: &Value) -> String {
    let (status, command) = post(world, &format!("{session}/commands"), body);
    assert_eq!(status, 201, "{command}");
    format!("{session}/commands/{}", command["id"])
}

/// Changes that a device's endpoint or sensor carried out.
fn done(world: &World, device: u64) -> Vec<(String, String)> {
    let books = world.books();
    let done = books.done(device).into_iter();
    done.map(|(command, what)| (command.to_owned(), what.to_owned()))
        .collect()
}

fn not_found() -> Value {
    json!("NOT_FOUND")
}
