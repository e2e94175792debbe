//! The judge's door: the books of a running simulator as JSON, at an address of its own.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /about` | who this is, and how to reach its API: `simulator` (`sortie`), `url`, `org_key`, `token` |
//! | `GET /books` | [`Books`](super::books::Books), and `requests_seen` |
//! | `GET /wait?requests=N&seconds=S` | held until the N-th request has arrived, at most S seconds (30, at most 600): `200 {"requests_seen": n}`, or 408 with the same if it has not |
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
}

impl Control {
    pub(super) fn new(world: World, url: String) -> Self {
        Self {
            world,
            url,
            seen: watch::Sender::new(0),
        }
    }

    /// A request has arrived.
    pub(super) fn count(&self) {
        self.seen.send_modify(|seen| *seen += 1);
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/about", get(about))
            .route("/books", get(books))
            .route("/wait", get(wait))
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
    let number = |key: &str| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
            .map(str::parse::<u64>)
    };
    let (Some(Ok(requests)), Ok(seconds)) =
        (number("requests"), number("seconds").unwrap_or(Ok(WAIT)))
    else {
        let message = json!({"message": "ask with ?requests=N, and &seconds=S if you like"});
        return answer(StatusCode::BAD_REQUEST, &message);
    };
    let patience = Duration::from_secs(seconds.min(LONGEST_WAIT));
    let mut seen = control.seen.subscribe();
    let arrived = tokio::time::timeout(patience, seen.wait_for(|seen| *seen >= requests)).await;
    let (status, seen) = match arrived {
        Ok(Ok(seen)) => (StatusCode::OK, *seen),
        _ => (StatusCode::REQUEST_TIMEOUT, *control.seen.borrow()),
    };
    answer(status, &json!({"requests_seen": seen}))
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

        for path in ["/wait", "/wait?requests=x", "/wait?requests=1&seconds=-1"] {
            assert_eq!(ask(at(path)).await.0, 400, "{path}");
        }
        assert_eq!(ask(at("/appservices")).await.0, 404);
        server.shutdown().await;
    }
}
