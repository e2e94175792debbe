//! The judge's door: the books of a running simulator as JSON, at an address of its own.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /about` | who this is, and how to reach its API: `simulator` (`sortie`), `url`, `org_key`, `token` |
//! | `GET /books` | [`Books`](super::books::Books), and `requests_seen` |
//! | `GET /wait?requests=N&seconds=S` | held until the N-th request has arrived, at most S seconds (30, at most 600): `200 {"requests_seen": n}`, or 408 with the same if it has not |
//! | `POST /hold?requests=N` | from the N-th request on all are held before anything is done, until they are let go; with `&answers=true` they are carried out, and their answers are held |
//! | `GET /held?seconds=S` | answered when the N-th is held, like a wait: nothing happens any more, or nobody hears of it |
//! | `POST /release` | lets go what is held |
//! | `POST /reset` | the books as they were; everything is then counted from zero, but for the sessions that are open |
//!
//! `requests_seen` counts what arrived at both hosts since the start or the last reset, whatever became of
//! it, and before it is answered: who waits for the N-th can still come between it and the next.
//! It needs no key: it is meant for loopback, and the one that it tells opens no other door than the simulator's.

use super::world::World;
use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::watch;

/// What we call ourselves, so that nobody takes another server for a simulator.
pub const NAME: &str = "sortie";
/// Seconds that a wait is held for, unless it says otherwise.
const WAIT: u64 = 30;
const LONGEST_WAIT: u64 = 600;

#[derive(Clone)]
pub(super) struct Control {
    world: World,
    /// Scheme, host and port of the API.
    url: String,
    seen: watch::Sender<u64>,
    hold: watch::Sender<Hold>,
}

/// What is held back.
#[derive(Clone, Copy)]
struct Hold {
    /// The first of the requests, counting from 1.
    from: u64,
    at: Moment,
    /// The first has arrived there.
    is_reached: bool,
}

/// Where a request can be held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before anything is done.
    Arrival,
    /// When it is carried out.
    Answer,
}

const NOTHING: Hold = Hold {
    from: u64::MAX,
    at: Moment::Arrival,
    is_reached: false,
};

impl Control {
    pub(super) fn new(world: World, url: String) -> Self {
        Self {
            world,
            url,
            seen: watch::Sender::new(0),
            hold: watch::Sender::new(NOTHING),
        }
    }

    /// A request has arrived; says which it is.
    pub(super) fn count(&self) -> u64 {
        let mut number = 0;
        self.seen.send_modify(|seen| {
            *seen += 1;
            number = *seen;
        });
        number
    }

    /// Returns when a request may go on from here.
    pub(super) async fn pass(&self, number: u64, moment: Moment) {
        let is_held = |hold: &Hold| number >= hold.from && moment == hold.at;
        self.hold.send_if_modified(|hold| {
            let is_first = is_held(hold) && number == hold.from;
            hold.is_reached |= is_first;
            is_first
        });
        // The sender is ours, so that there is always an answer.
        let _ = self.hold.subscribe().wait_for(|hold| !is_held(hold)).await;
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/about", get(about))
            .route("/books", get(books))
            .route("/wait", get(wait))
            .route("/hold", post(hold))
            .route("/held", get(held))
            .route("/release", post(release))
            .route("/reset", post(reset))
            .fallback(|| async { answer(StatusCode::NOT_FOUND, &json!({"message": "try /books"})) })
            .with_state(self)
    }

    fn told(&self, books: &super::books::Books) -> Value {
        let mut told = serde_json::to_value(books).expect("books are counts and names");
        told["requests_seen"] = json!(*self.seen.borrow());
        told
    }
}

async fn about(State(control): State<Control>) -> Response {
    let about = json!({
        "simulator": NAME, "url": control.url, "org_key": control.world.org_key(), "token": control.world.token(),
    });
    answer(StatusCode::OK, &about)
}

async fn books(State(control): State<Control>) -> Response {
    answer(StatusCode::OK, &control.told(&control.world.books()))
}

async fn reset(State(control): State<Control>) -> Response {
    let told = control.told(&control.world.reset_books());
    control.seen.send_replace(0);
    answer(StatusCode::OK, &told)
}

async fn wait(State(control): State<Control>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let (Some(Ok(requests)), Some(patience)) = (number(&query, "requests"), patience(&query))
    else {
        return misused("ask with ?requests=N, and &seconds=S if you like");
    };
    let mut seen = control.seen.subscribe();
    let arrived = tokio::time::timeout(patience, seen.wait_for(|seen| *seen >= requests)).await;
    let (status, seen) = match arrived {
        Ok(Ok(seen)) => (StatusCode::OK, *seen),
        _ => (StatusCode::REQUEST_TIMEOUT, *control.seen.borrow()),
    };
    answer(status, &json!({"requests_seen": seen}))
}

async fn hold(State(control): State<Control>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let at = match value(&query, "answers") {
        Some("true") => Some(Moment::Answer),
        None => Some(Moment::Arrival),
        Some(_) => None,
    };
    let (Some(Ok(from)), Some(at)) = (number(&query, "requests"), at) else {
        return misused("ask with ?requests=N, and &answers=true if you like");
    };
    control.hold.send_replace(Hold {
        from,
        at,
        is_reached: false,
    });
    answer(StatusCode::OK, &json!({"held": false}))
}

async fn held(State(control): State<Control>, RawQuery(query): RawQuery) -> Response {
    let Some(patience) = patience(&query.unwrap_or_default()) else {
        return misused("ask with ?seconds=S if you like");
    };
    let mut hold = control.hold.subscribe();
    let reached = tokio::time::timeout(patience, hold.wait_for(|hold| hold.is_reached)).await;
    match reached {
        Ok(_) => answer(StatusCode::OK, &json!({"held": true})),
        Err(_) => answer(StatusCode::REQUEST_TIMEOUT, &json!({"held": false})),
    }
}

async fn release(State(control): State<Control>) -> Response {
    control.hold.send_replace(NOTHING);
    answer(StatusCode::OK, &json!({"held": false}))
}

fn value<'a>(query: &'a str, key: &str) -> Option<&'a str> {
    let mut pairs = query.split('&');
    pairs.find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}

fn number(query: &str, key: &str) -> Option<Result<u64, std::num::ParseIntError>> {
    value(query, key).map(str::parse)
}

/// How long an answer may be held back, unless that is no number.
fn patience(query: &str) -> Option<Duration> {
    let seconds = number(query, "seconds").unwrap_or(Ok(WAIT)).ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

fn misused(message: &str) -> Response {
    answer(StatusCode::BAD_REQUEST, &json!({"message": message}))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::device::SimDevice;
    use crate::sim::server::{Extras, serve_with};
    use std::net::SocketAddr;

    async fn ask(request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    #[tokio::test]
    async fn the_judge_hears_what_happened() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let device = SimDevice::new(7, "WS-7", crate::model::device::Os::Windows);
        let world = World::new(vec![device]);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let extras = Extras {
            control: Some(any),
            ..Extras::default()
        };
        let server = serve_with(world.clone(), any, extras)
            .await
            .expect("serves");
        let control = format!("http://{}", server.control_addr.expect("asked for"));
        let at = |path: &str| client.get(format!("{control}{path}"));

        let (_, about) = ask(at("/about")).await;
        let told = json!({
            "simulator": "sortie", "url": server.url, "org_key": world.org_key(), "token": world.token(),
        });
        assert_eq!(about, told);

        let waiting = tokio::spawn(ask(at("/wait?requests=2")));
        let base = format!("{}/appservices/v6/orgs/{}", server.url, world.org_key());
        let sessions = client
            .post(format!("{base}/liveresponse/sessions"))
            .header("X-Auth-Token", world.token())
            .body("{\"device_id\": 7}");
        assert_eq!(ask(sessions).await.0, 201);
        assert_eq!(ask(client.get(&base)).await.0, 401);
        let seen = json!({"requests_seen": 2});
        assert_eq!(waiting.await.expect("no panic"), (200, seen.clone()));
        assert_eq!(ask(at("/wait?requests=3&seconds=0")).await, (408, seen));

        let (_, books) = ask(at("/books")).await;
        assert_eq!(books["requests"]["POST liveresponse/sessions"], 1);
        assert_eq!(books["sessions_open"], 1);
        let (_, before) = ask(client.post(format!("{control}/reset"))).await;
        assert_eq!(before, books);
        let (_, after) = ask(at("/books")).await;
        let fresh = |key: &str| after[key].clone();
        assert_eq!(fresh("requests"), json!({}));
        assert_eq!(fresh("sessions_opened"), 0);
        assert_eq!(fresh("sessions_open"), 1);
        assert_eq!(fresh("requests_seen"), 0);

        for path in [
            "/wait",
            "/wait?requests=x",
            "/wait?requests=1&seconds=-1",
            "/held?seconds=x",
        ] {
            assert_eq!(ask(at(path)).await.0, 400, "{path}");
        }
        assert_eq!(ask(at("/appservices")).await.0, 404);
        server.shutdown().await;
    }

    #[tokio::test]
    async fn the_judge_can_hold_what_arrives_and_what_is_answered() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let device = |id| SimDevice::new(id, "WS", crate::model::device::Os::Windows);
        let world = World::new(vec![device(7), device(8)]);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let extras = Extras {
            control: Some(any),
            ..Extras::default()
        };
        let server = serve_with(world.clone(), any, extras)
            .await
            .expect("serves");
        let control = format!("http://{}", server.control_addr.expect("asked for"));
        let get = |path: &str| ask(client.get(format!("{control}{path}")));
        let post = |path: &str| ask(client.post(format!("{control}{path}")));
        let base = format!("{}/appservices/v6/orgs/{}", server.url, world.org_key());
        let open = |id: u64| {
            let request = client.post(format!("{base}/liveresponse/sessions"));
            let request = request.header("X-Auth-Token", world.token());
            tokio::spawn(ask(request.body(format!("{{\"device_id\": {id}}}"))))
        };

        assert_eq!(post("/hold").await.0, 400);
        assert_eq!(post("/hold?requests=1&answers=x").await.0, 400);
        assert_eq!(post("/hold?requests=1").await.0, 200);
        assert_eq!(get("/held?seconds=0").await.0, 408);
        let first = open(7);
        assert_eq!(get("/held").await.0, 200);
        assert_eq!(world.books().sessions_open, 0);
        post("/release").await;
        assert_eq!(first.await.expect("no panic").0, 201);

        post("/hold?requests=2&answers=true").await;
        let second = open(8);
        assert_eq!(get("/held").await.0, 200);
        assert_eq!(world.books().sessions_open, 2);
        assert!(!second.is_finished());
        // Whoever goes away leaves what was done.
        second.abort();
        post("/release").await;
        assert_eq!(world.books().sessions_open, 2);
        server.shutdown().await;
    }
}
