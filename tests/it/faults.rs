//! A scenario's faults at the doors: over real connections each is exactly what it says, and the same seed
//! and the same requests bring the same again.

use serde_json::{Value, json};
use sortie::sim::fault::exchange;
use sortie::sim::scenario::Scenario;
use sortie::sim::server::{Server, serve};
use sortie::sim::world::World;
use sortie::wire::{Method, Request};
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn world(faults: &str) -> World {
    let text = format!(
        "seed: 11\ndevices: [{{name: WS-1, id: 7, os: windows}}, {{count: 3, os: linux}}]\nfaults: [{faults}]"
    );
    let loaded = Scenario::load("scenario", text.as_bytes());
    loaded
        .scenario
        .ok_or(loaded.diagnostics)
        .expect("is one")
        .world()
}

fn request(world: &World, method: Method, path: &str, body: Option<&Value>) -> Request {
    let path = format!("/appservices/v6/orgs/{}/{path}", world.org_key());
    let mut request = Request::new(method, path);
    if let Some(body) = body {
        request = request.json(body);
    }
    let token = world.token().to_owned();
    request.headers.push(("x-auth-token".into(), token));
    request
}

/// What comes over a connection until it ends, and how it ends.
async fn said(server: &Server, world: &World) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut line = TcpStream::connect(server.addr).await.expect("connects");
    let request = format!(
        "GET /appservices/v6/orgs/{}/devices/7 HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {}\r\nConnection: close\r\n\r\n",
        world.org_key(),
        world.token()
    );
    line.write_all(request.as_bytes()).await.expect("sends");
    let mut heard = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match line.read(&mut chunk).await {
            Ok(0) => return (heard, Ok(())),
            Ok(count) => heard.extend_from_slice(&chunk[..count]),
            Err(error) => return (heard, Err(error.kind())),
        }
    }
}

fn body(heard: &[u8]) -> Option<&[u8]> {
    let end = heard.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(&heard[end + 4..])
}

async fn served(faults: &str) -> (World, Server) {
    let world = world(faults);
    let server = serve(world.clone(), SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = server.await.expect("serves");
    (world, server)
}

#[tokio::test]
async fn a_connection_ends_exactly_where_the_scenario_says() {
    let (world, server) = served("").await;
    let (heard, _) = said(&server, &world).await;
    let whole = body(&heard).expect("a body").len();
    assert!(whole > 300, "{whole}");
    let faults: Vec<String> = (0..whole)
        .map(|bytes| format!("{{nth: {}, close: {bytes}}}", bytes + 1))
        .collect();
    let (world, server) = served(&faults.join(", ")).await;
    for bytes in 0..whole {
        let (heard, end) = said(&server, &world).await;
        assert_eq!(body(&heard).map(<[u8]>::len), Some(bytes));
        assert_eq!(end, Ok(()), "{bytes}");
    }
    assert_eq!(world.books().faults["close"], whole as u64);
    server.shutdown().await;
}

#[tokio::test]
async fn a_connection_can_end_before_anything_is_said_and_with_a_reset() {
    let reset = Err(ErrorKind::ConnectionReset);
    for (fault, expected, end) in [
        ("close: before", None, Ok(())),
        ("reset: before", None, reset),
        ("reset: executed", None, reset),
        ("reset: headers", Some(0), reset),
        ("close: headers", Some(0), Ok(())),
    ] {
        let (world, server) = served(&format!("{{{fault}}}")).await;
        let (heard, ended) = said(&server, &world).await;
        assert_eq!(body(&heard).map(<[u8]>::len), expected, "{fault}");
        assert_eq!(ended, end, "{fault}");
        server.shutdown().await;
    }
}

#[tokio::test]
async fn a_slow_body_comes_whole_and_a_short_one_says_nothing() {
    let (world, server) = served("{nth: 2, slow: 1s}, {nth: 3, truncate: half}").await;
    let mut heard = Vec::new();
    for _ in 0..3 {
        let (all, end) = said(&server, &world).await;
        assert_eq!(end, Ok(()));
        heard.push(body(&all).expect("a body").to_vec());
    }
    let json = |body: &[u8]| serde_json::from_slice::<Value>(body).ok();
    assert_eq!(json(&heard[1]).expect("JSON")["id"], 7);
    assert_eq!(
        (heard[2].len(), json(&heard[2])),
        (heard[0].len() / 2, None)
    );
    server.shutdown().await;
}

/// What a client of some persistence sees: status, or a line that broke.
fn walk(world: &World) -> Vec<String> {
    let mut seen = Vec::new();
    for turn in 0..60 {
        let device = json!({"device_id": 7});
        let list = json!({"name": "process list"});
        let requests = [
            (
                Method::Post,
                "liveresponse/sessions".to_owned(),
                Some(&device),
            ),
            (Method::Get, format!("liveresponse/sessions/{turn}:7"), None),
            (
                Method::Post,
                "liveresponse/sessions/1:7/commands".to_owned(),
                Some(&list),
            ),
            (Method::Get, "devices/7".to_owned(), None),
        ];
        for (method, path, body) in requests {
            let heard = exchange(world, &request(world, method, &path, body)).heard();
            seen.push(match heard {
                Ok(response) => response.status.to_string(),
                Err(broken) => format!("broken after {:?}", broken.heard.map(|r| r.body.len())),
            });
        }
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_the_same_requests_bring_the_same_faults() {
    let faults = "{chance: 10%, status: 503}, {method: POST, chance: 0.2, reset: 5}, \
        {route: 'devices/{id}', every: 7, close: before}, {session: lost, chance: 30%}";
    let (one, two) = (world(faults), world(faults));
    let seen = walk(&one);
    assert_eq!(seen, walk(&two));
    assert_eq!(one.books().faults, two.books().faults);
    let kinds: Vec<_> = one.books().faults.into_keys().collect();
    assert_eq!(kinds, ["close", "reset", "session", "status"]);
    assert!(seen.contains(&"broken after Some(5)".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_is_carried_out_is_told_from_what_is_not() {
    let open = |world: &World| {
        let body = json!({"device_id": 7});
        let asked = request(world, Method::Post, "liveresponse/sessions", Some(&body));
        exchange(world, &asked).heard()
    };
    for (fault, opened, status) in [
        ("status: 503", 0, Some(503)),
        ("status: 503, executed: true", 1, Some(503)),
        ("status: 200", 1, Some(200)),
        ("reset: before", 0, None),
        ("reset: executed", 1, None),
        ("session: refused", 0, Some(403)),
        (
            "redirect: 'https://elsewhere.invalid/', status: 308",
            0,
            Some(308),
        ),
    ] {
        let world = world(&format!("{{route: liveresponse/sessions, {fault}}}"));
        let heard = open(&world).ok().map(|response| response.status);
        let books = world.books();
        assert_eq!((books.sessions_opened, heard), (opened, status), "{fault}");
        assert_eq!(books.requests["POST liveresponse/sessions"], 1, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn odd_answers_are_odd_as_they_are_told_to_be() {
    let world = world("{route: 'devices/{id}', odd: [text_ids, extra_members]}");
    let asked = request(&world, Method::Get, "devices/7", None);
    let heard = exchange(&world, &asked).heard().expect("whole");
    let device: Value = serde_json::from_slice(&heard.body).expect("is JSON");
    assert_eq!(device["id"], "7");
    assert!(device["a_later_version"].is_object());
}

#[tokio::test(start_paused = true)]
async fn every_route_of_the_books_can_be_struck_by_its_name() {
    let of_org = [
        (Method::Get, "liveresponse/sessions"),
        (Method::Get, "liveresponse/sessions/{id}"),
        (Method::Get, "liveresponse/sessions/{id}/keepalive"),
        (Method::Get, "liveresponse/sessions/{id}/commands"),
        (Method::Get, "liveresponse/sessions/{id}/commands/{n}"),
        (Method::Get, "liveresponse/sessions/{id}/files"),
        (Method::Get, "liveresponse/sessions/{id}/files/{file}"),
        (
            Method::Get,
            "liveresponse/sessions/{id}/files/{file}/content",
        ),
        (Method::Post, "devices/_search"),
        (Method::Post, "devices/_scroll"),
        (Method::Post, "devices/_facet"),
        (Method::Get, "devices/_search/download"),
        (Method::Get, "devices/{id}"),
        (Method::Post, "device_actions"),
    ];
    let of_csp = [
        (Method::Post, "csp/auth/token"),
        (Method::Post, "csp/auth/api-tokens/authorize"),
    ];
    for (method, route) in of_org.into_iter().chain(of_csp) {
        let fault = world(&format!("{{route: '{route}', status: 503}}"));
        for (world, expected) in [(world(""), None), (fault, Some(503))] {
            let path = route.replace(['{', '}'], "");
            let mut asked = request(&world, method, &path, None);
            if let Some(rest) = route.strip_prefix("csp/auth/") {
                asked.path = format!("/csp/gateway/am/api/auth/{rest}");
            }
            let heard = exchange(&world, &asked).heard().expect("an answer").status;
            assert_eq!(heard == 503, expected.is_some(), "{route}: {heard}");
            let counted: Vec<String> = world.books().requests.into_keys().collect();
            assert_eq!(counted, [format!("{} {route}", method.as_str())]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_hides_no_unknown_route() {
    let world = world("{status: 503}");
    let asked = request(&world, Method::Get, "alerts", None);
    let heard = exchange(&world, &asked).heard().expect("an answer");
    let books = world.books();
    assert_eq!((heard.status, books.requests.len()), (503, 0));
    assert_eq!(
        books.unknown_routes.into_keys().collect::<Vec<_>>(),
        [format!("GET {}", asked.path)]
    );
}

#[tokio::test(start_paused = true)]
async fn an_action_asked_of_one_device_can_go_wrong_for_that_one() {
    let world = world("{device: WS-1, route: device_actions, status: 500}");
    for (devices, status) in [
        (json!([7]), 500),
        (json!(["7"]), 500),
        (json!([7, 8]), 204),
        (json!([8]), 204),
    ] {
        let body =
            json!({"action_type": "QUARANTINE", "device_id": devices, "options": {"toggle": "ON"}});
        let asked = request(&world, Method::Post, "device_actions", Some(&body));
        let heard = exchange(&world, &asked).heard().expect("an answer");
        assert_eq!(heard.status, status, "{body}");
    }
}
