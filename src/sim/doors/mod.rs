//! HTTP requests, answered from a [`World`] as pure functions: no socket, no waiting.
//!
//! Written from the API's contract. What the service has and this does not is answered with 404 and
//! written into the books, so that a test notices.

mod cloud_v6;
mod csp;
mod device_actions;
mod device_search;
mod devices;
mod facets;
mod multipart;
mod orders;
mod query;
pub(super) mod shapes;

pub(super) use devices::found;

use super::endpoint::content::Clip;
use super::tickets;
use super::world::{Refusal, World};
use crate::wire::{Method, Request, Response};
use serde_json::json;

/// Answers any request, whichever host it would go to.
pub fn answer(world: &World, request: &Request) -> Response {
    whole(reply(world, request))
}

/// The answer with all its content.
pub(super) fn whole(reply: Reply) -> Response {
    match reply {
        Reply::Whole(response) => response,
        Reply::Content(clip) => Response {
            headers: vec![
                (
                    "content-type".to_owned(),
                    "application/octet-stream".to_owned(),
                ),
                ("content-length".to_owned(), clip.len().to_string()),
            ],
            body: clip.bytes(),
            ..Response::new(200)
        },
    }
}

/// An answer whose content may be too large to hold.
pub(super) enum Reply {
    Whole(Response),
    Content(Clip),
}

pub(super) fn reply(world: &World, request: &Request) -> Reply {
    if request.path.starts_with(tickets::PREFIX) {
        content(world, request)
    } else {
        Reply::Whole(api(world, request).1)
    }
}

/// The API's host: everything but signed content. The answer, and before it what the books call the route.
pub(super) fn api(world: &World, request: &Request) -> (String, Response) {
    if let Some((route, answer)) = csp::answer(world, request) {
        let route = format!("{} {route}", request.method.as_str());
        world.note(|books| books.request(&route));
        return (route, answer.unwrap_or_else(Response::from));
    }
    if !csp::is_admitted(world, request) {
        world.note(|books| books.request("401"));
        let problem = Problem::new(401, "UNAUTHORIZED", "the API key is not valid");
        return ("401".to_owned(), problem.into());
    }
    let path: Vec<String> = request.path.split('/').skip(1).map(decode).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let found = match path.as_slice() {
        ["appservices", "v6", "orgs", org, rest @ ..] => in_org(world, request, org, rest),
        _ => None,
    };
    found.unwrap_or_else(|| {
        let route = format!("{} {}", request.method.as_str(), request.path);
        world.note(|books| books.unknown_route(&route));
        let problem = Problem::new(404, "UNKNOWN_ROUTE", "there is no such route");
        ("unknown".to_owned(), problem.into())
    })
}

/// None if there is no such route.
fn in_org(
    world: &World,
    request: &Request,
    org: &str,
    rest: &[&str],
) -> Option<(String, Response)> {
    let (door, rest): (Door, _) = match rest {
        ["liveresponse", rest @ ..] => (cloud_v6::answer, rest),
        ["devices", ..] => (devices::answer, rest),
        ["device_actions", ..] => (device_actions::answer, rest),
        _ => return None,
    };
    if org != world.org_key() {
        world.note(|books| books.request("403"));
        let problem = Problem::new(403, "FORBIDDEN", "org_id does not match the API key");
        return Some(("403".to_owned(), problem.into()));
    }
    let (route, answer) = door(world, request, rest)?;
    let route = format!("{} {route}", request.method.as_str());
    world.note(|books| books.request(&route));
    Some((route, answer.unwrap_or_else(Response::from)))
}

type Routed = Option<(&'static str, Result<Response, Problem>)>;
type Door = fn(&World, &Request, &[&str]) -> Routed;

/// The content host: a signature instead of a key.
pub(super) fn content(world: &World, request: &Request) -> Reply {
    let has_credential = ["x-auth-token", "authorization", "cookie"]
        .iter()
        .any(|name| request.header(name).is_some());
    world.note(|books| {
        books.request(&format!("{} content host", request.method.as_str()));
        if has_credential {
            books.credentials_leaked += 1;
        }
    });
    let signature = request.query.iter().find(|(key, _)| key == "signature");
    let signature = signature.map_or_else(String::new, |(_, value)| decode(value));
    let fetched = match request.method {
        Method::Get => world.redeem(&decode(&request.path), &signature),
        _ => Err(Refusal::BadTicket),
    };
    match fetched {
        Ok(clip) => Reply::Content(clip),
        Err(_) => Reply::Whole(Response {
            headers: vec![("content-type".to_owned(), "application/xml".to_owned())],
            body: b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
                .to_vec(),
            ..Response::new(403)
        }),
    }
}

/// An error as the cloud words it.
#[derive(Debug)]
pub(super) struct Problem {
    status: u16,
    code: &'static str,
    message: String,
}

impl Problem {
    const BAD_QUERY: &'static str = "INVALID_QUERY";

    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BAD_REQUEST", message)
    }

    fn too_large() -> Self {
        Self::new(413, "PAYLOAD_TOO_LARGE", "the body is too large")
    }

    fn wrong_method() -> Self {
        Self::new(
            405,
            "METHOD_NOT_ALLOWED",
            "the route exists, the method does not",
        )
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match &refusal {
            Refusal::NotFound(_) => (404, "NOT_FOUND"),
            Refusal::SessionLimit | Refusal::LiveResponseOff(_) | Refusal::BadTicket => {
                (403, "FORBIDDEN")
            }
            Refusal::NotActive(_) => (409, "CONFLICT"),
            Refusal::CommandLimit(_) | Refusal::Unsupported(_) => (400, "BAD_REQUEST"),
        };
        Self::new(status, code, refusal.to_string())
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let mut body = json!({"error_code": problem.code, "message": problem.message});
        if problem.code == Problem::BAD_QUERY {
            // The one error that clients know by its reason.
            body["reason"] = json!("query_malformed_syntax");
        }
        Self::json(problem.status, &body)
    }
}

/// A part of a path as it was meant: real clients send `7:98765`, strict ones `7%3A98765`.
pub(super) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = text
            .get(at + 1..at + 3)
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        if let (b'%', Some(decoded)) = (byte, hex) {
            out.push(decoded);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;
