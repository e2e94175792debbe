//! What a request is about, whichever door it goes to, told from its path and body alone.

use super::{csp, decode, door, parts};
use crate::sim::session::Status;
use crate::sim::tickets;
use crate::sim::world::World;
use crate::wire::{Method, Request};
use serde_json::Value;
use tokio::time::Instant;

/// Nothing of it need exist.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::sim) struct Address {
    pub device: Option<u64>,
    /// As the world calls it.
    pub session: Option<String>,
    /// Its number in the session, from zero.
    pub command: Option<u64>,
}

impl Address {
    pub(in crate::sim) fn of(world: &World, request: &Request) -> Self {
        if request.path.starts_with(tickets::PREFIX) {
            return Self {
                session: world.ticket_holder(&decode(&request.path)),
                ..Self::default()
            };
        }
        let parts = parts(request);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let mut address = match parts.as_slice() {
            ["appservices", "v6", "orgs", _, rest @ ..] => Self::cloud(request, rest),
            ["integrationServices", "v3", rest @ ..] => Self::v3(request, rest),
            ["api", rest @ ..] => Self::server(world, request, rest),
            _ => Self::default(),
        };
        if let Some((_, device)) = address.session.as_deref().and_then(|id| id.split_once(':')) {
            address.device = device.parse().ok();
        }
        address
    }

    fn cloud(request: &Request, path: &[&str]) -> Self {
        match path {
            ["liveresponse", "sessions"] => Self::device(number(&body(request)["device_id"])),
            ["liveresponse", "sessions", id, more @ ..] => Self::session((*id).to_owned(), more, 0),
            // Several have no device in common.
            ["device_actions"] => match body(request)["device_id"].as_array().map(Vec::as_slice) {
                Some([id]) => Self::device(number(id)),
                _ => Self::default(),
            },
            ["devices", id] => Self::device(id.parse().ok()),
            _ => Self::default(),
        }
    }

    fn v3(request: &Request, path: &[&str]) -> Self {
        match path {
            ["cblr", "session"] => match body(request)["session_id"].as_str() {
                Some(id) => Self::session(id.to_owned(), &[], 0),
                None => Self::default(),
            },
            ["cblr", "session", id] if request.method == Method::Post => {
                Self::device(id.parse().ok())
            }
            ["cblr", "session", id, more @ ..] => Self::session((*id).to_owned(), more, 0),
            ["device", id] => Self::device(id.parse().ok()),
            _ => Self::default(),
        }
    }

    fn server(world: &World, request: &Request, path: &[&str]) -> Self {
        match path {
            ["v1", "cblr", "session"] => Self::device(number(&body(request)["sensor_id"])),
            ["v1", "cblr", "session", id, more @ ..] => {
                let id = id.parse().ok().and_then(|number| world.full_id(number));
                id.map_or_else(Self::default, |id| Self::session(id, more, 1))
            }
            ["v1", "sensor", id] => Self::device(id.parse().ok()),
            ["bit9platform", "v1", resource, id] if resource.eq_ignore_ascii_case("computer") => {
                Self::device(id.parse().ok())
            }
            _ => Self::default(),
        }
    }

    fn device(id: Option<u64>) -> Self {
        Self {
            device: id,
            ..Self::default()
        }
    }

    /// `first` is the number of a session's first command.
    fn session(id: String, more: &[&str], first: u64) -> Self {
        let command = match more {
            ["command" | "commands", number] => number.parse::<u64>().ok(),
            _ => None,
        };
        Self {
            session: Some(id),
            command: command.and_then(|number| number.checked_sub(first)),
            device: None,
        }
    }
}

/// Until when a long poll has nothing new to tell; none if it can be answered at once, or is no long poll.
pub(in crate::sim) fn waits(world: &World, request: &Request) -> Option<Instant> {
    let wants =
        |(key, value): &(String, String)| key == "wait" && value.eq_ignore_ascii_case("true");
    if request.method != Method::Get || !request.query.iter().any(wants) {
        return None;
    }
    let parts = parts(request);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (product, ..) = door(&parts);
    if !csp::is_admitted(world, request, product) {
        return None;
    }
    let session = || Address::of(world, request).session;
    match parts.as_slice() {
        [.., "cblr", "session", _] => {
            let view = world.session(&session()?).ok()?;
            view.next_change.filter(|_| view.status == Status::Pending)
        }
        [.., "cblr", "session", _, "command", _] => {
            let number = Address::of(world, request).command?;
            world.command(&session()?, number).ok()?.next_change
        }
        _ => None,
    }
}

pub(in crate::sim) fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_default()
}

/// A number, which may be text.
fn number(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}
