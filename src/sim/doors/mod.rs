//! HTTP requests, answered from a [`World`] as pure functions: no socket, no waiting.
//!
//! Written from the API's contract. What the service has and this does not is answered with 404 and
//! written into the books, so that a test notices.

mod address;
mod app_control;
mod cblr;
mod cloud_v6;
mod csp;
mod device_actions;
mod device_search;
mod devices;
mod edr;
mod facets;
mod guid;
mod multipart;
mod orders;
mod problem;
mod query;
pub(super) mod shapes;
mod terms;
mod v3;

pub(super) use address::{Address, body as lenient_body, waits};
pub(super) use devices::found;

use super::endpoint::content::Clip;
use super::tickets;
use super::world::{Refusal, World};
use crate::wire::{Method, Request, Response};
use problem::Problem;

/// Answers any request, whichever host it would go to.
pub fn answer(world: &World, request: &Request) -> Response {
    whole(reply(world, request))
}

/// The answer with all its content.
pub(super) fn whole(reply: Reply) -> Response {
    match reply {
        Reply::Whole(response) => response,
        Reply::Content(clip) => {
            let mut response = head(&clip);
            let length = ("content-length".to_owned(), clip.len().to_string());
            response.headers.push(length);
            response.body = clip.bytes();
            response
        }
    }
}

/// What goes before content, but for its length.
pub(super) fn head(clip: &Clip) -> Response {
    let headers = [
        ("content-type", "application/octet-stream".to_owned()),
        ("etag", clip.tag()),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value));
    Response {
        headers: headers.into(),
        ..Response::new(200)
    }
}

/// An answer whose content may be too large to hold.
#[derive(Debug)]
pub(super) enum Reply {
    Whole(Response),
    Content(Clip),
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self::Whole(response)
    }
}

pub(super) fn reply(world: &World, request: &Request) -> Reply {
    if request.path.starts_with(tickets::PREFIX) {
        content(world, request)
    } else {
        api(world, request).1
    }
}

/// What the books call a route, and its answer; none if there is no such route.
type Routed = Option<(&'static str, Result<Reply, Problem>)>;
type Door = fn(&World, &Request, &[&str]) -> Routed;

/// Whose API a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Product {
    Cloud,
    V3,
    Edr,
    AppControl,
}

/// The API's host: everything but signed content. The answer, and before it what the books call the route.
pub(super) fn api(world: &World, request: &Request) -> (String, Reply) {
    if let Some((route, answer)) = csp::answer(world, request) {
        return booked(world, request, Product::Cloud, (route, answer));
    }
    let path = parts(request);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (product, door, rest) = door(&path);
    if !csp::is_admitted(world, request, product) {
        world.note(|books| books.request("401"));
        return (
            "401".to_owned(),
            Problem::unauthorized().told(product).into(),
        );
    }
    if let Some(routed) = door(world, request, rest) {
        return booked(world, request, product, routed);
    }
    let route = format!("{} {}", request.method.as_str(), request.path);
    world.note(|books| books.unknown_route(&route));
    let answer = Problem::unknown_route().told(product);
    ("unknown".to_owned(), answer.into())
}

/// What a path is made of, as it was meant.
fn parts(request: &Request) -> Vec<String> {
    request.path.split('/').skip(1).map(decode).collect()
}

/// Whose path it is, who answers, and what is left for them to look at.
fn door<'a>(path: &'a [&'a str]) -> (Product, Door, &'a [&'a str]) {
    match path {
        ["integrationServices", "v3", rest @ ..] => (Product::V3, v3::answer, rest),
        ["api", "bit9platform", "v1", rest @ ..] => {
            (Product::AppControl, app_control::answer, rest)
        }
        // The cloud has routes below it too, and all of them name the organisation.
        ["api", _, _, "orgs", ..] => (Product::Cloud, cloud, path),
        ["api", rest @ ..] => (Product::Edr, edr::answer, rest),
        all => (Product::Cloud, cloud, all),
    }
}

fn booked(
    world: &World,
    request: &Request,
    product: Product,
    (route, answer): (&'static str, Result<Reply, Problem>),
) -> (String, Reply) {
    let route = match route {
        // Of an organisation that the key is not for.
        "403" => route.to_owned(),
        _ => format!("{} {route}", request.method.as_str()),
    };
    world.note(|books| books.request(&route));
    let answer = answer.unwrap_or_else(|problem| problem.told(product).into());
    (route, answer)
}

/// The sixth version, `/appservices/v6/orgs/{org}/…`.
fn cloud(world: &World, request: &Request, path: &[&str]) -> Routed {
    let ["appservices", "v6", "orgs", org, rest @ ..] = path else {
        return None;
    };
    let (door, rest): (Door, _) = match rest {
        ["liveresponse", rest @ ..] => (cloud_v6::answer, rest),
        ["devices", ..] => (devices::answer, rest),
        ["device_actions", ..] => (device_actions::answer, rest),
        _ => return None,
    };
    if *org != world.org_key() {
        let problem = Problem::new(403, "FORBIDDEN", "org_id does not match the API key");
        return Some(("403", Err(problem)));
    }
    door(world, request, rest)
}

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
