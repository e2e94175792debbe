//! Every request to the simulator as a line of JSON, so that what clients send can be compared byte by byte.
//!
//! Nothing that opens a door is written down: not the API key, in whatever header it came, no other
//! credential, no signature of a content address.

use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Serialize;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// Bytes of a body that are kept.
const MAX_BODY: usize = 64 << 10;
/// What stands in place of a secret.
const MASK: &str = "***";
const SECRET_HEADERS: [&str; 4] = [
    "x-auth-token",
    "authorization",
    "proxy-authorization",
    "cookie",
];
/// The members of a query or a form that need no mask in a body that holds credentials.
const PUBLIC_MEMBERS: [&str; 1] = ["grant_type"];

pub struct RequestLog {
    /// The API keys, wherever they turn up.
    keys: Vec<String>,
    sink: Mutex<Box<dyn Write + Send>>,
}

/// A request and what became of it.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    time: Timestamp,
    /// `api` or `content`.
    host: &'static str,
    method: &'a str,
    path: &'a str,
    /// As it came, without the question mark.
    query: String,
    /// In the order in which they came; names in lower case.
    headers: Vec<(&'a str, String)>,
    #[serde(flatten)]
    body: Body,
    /// How long it was, also where less of it is kept.
    body_bytes: usize,
    /// As in the books.
    route: &'a str,
    /// None if the connection ended before an answer began.
    status: Option<u16>,
}

#[derive(Debug, Serialize, PartialEq)]
enum Body {
    #[serde(rename = "body")]
    Text(String),
    /// What is not UTF-8.
    #[serde(rename = "body_base64")]
    Bytes(String),
}

/// What became of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate<'a> {
    pub(super) route: &'a str,
    pub(super) status: Option<u16>,
}

impl RequestLog {
    /// One line per request into `sink`; the API keys are masked wherever they turn up.
    pub fn new(keys: &[&str], sink: Box<dyn Write + Send>) -> Self {
        Self {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            sink: Mutex::new(sink),
        }
    }

    pub(super) fn write(&self, entry: &Entry<'_>) {
        let line = serde_json::to_string(entry).expect("an entry holds nothing that is no JSON");
        let mask = |line: String, key: &String| line.replace(key, MASK);
        let line = self.keys.iter().fold(line, mask) + "\n";
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not stop the simulator; the line is missing, and so is whoever looks for it.
        let _ = sink.write_all(line.as_bytes());
    }
}

impl<'a> Entry<'a> {
    pub(super) fn new(
        time: Timestamp,
        host: &'static str,
        head: &'a Parts,
        body: &[u8],
        fate: Fate<'a>,
    ) -> Self {
        let is_form = head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
            kind.as_bytes()
                .starts_with(b"application/x-www-form-urlencoded")
        });
        Self {
            time,
            host,
            method: head.method.as_str(),
            path: head.uri.path(),
            query: without_signature(head.uri.query().unwrap_or_default()),
            headers: head
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), shown(name, value.as_bytes())))
                .collect(),
            body: kept(body, is_form),
            body_bytes: body.len(),
            route: fate.route,
            status: fate.status,
        }
    }
}

fn shown(name: &HeaderName, value: &[u8]) -> String {
    if SECRET_HEADERS.contains(&name.as_str()) {
        MASK.to_owned()
    } else {
        String::from_utf8_lossy(value).into_owned()
    }
}

fn without_signature(query: &str) -> String {
    masked(query, |key| key == "signature")
}

/// Pairs with the values of some of them masked.
fn masked(pairs: &str, is_secret: impl Fn(&str) -> bool) -> String {
    let pairs: Vec<String> = pairs
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((key, _)) if is_secret(key) => format!("{key}={MASK}"),
            _ => pair.to_owned(),
        })
        .collect();
    pairs.join("&")
}

fn kept(body: &[u8], is_form: bool) -> Body {
    match std::str::from_utf8(body) {
        // Forms carry credentials to the token endpoints, and nothing else.
        Ok(text) if is_form => Body::Text(masked(text, |key| !PUBLIC_MEMBERS.contains(&key))),
        Ok(text) => Body::Text(text[..text.floor_char_boundary(MAX_BODY)].to_owned()),
        Err(_) => Body::Bytes(STANDARD.encode(&body[..body.len().min(MAX_BODY)])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use serde_json::{Value, json};
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(request: &Request<()>, body: &[u8]) -> Value {
        let (head, ()) = request.clone().into_parts();
        let sink = Sink::default();
        let log = RequestLog::new(&["SECRET/ID"], Box::new(sink.clone()));
        let fate = Fate {
            route: "GET x",
            status: Some(200),
        };
        let time = Timestamp::from_second(1).unwrap();
        log.write(&Entry::new(time, "api", &head, body, fate));
        let lines = sink.0.lock().unwrap().clone();
        let text = String::from_utf8(lines).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(
            !text.contains("SECRET") && !text.contains("sesame"),
            "{text}"
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_request_is_shown_as_it_came_but_for_its_secrets() {
        let request = Request::post("/a/7:9/%20?b=c%20d&signature=sesame&e")
            .header("Host", "h:1")
            .header("X-Auth-Token", "SECRET/ID")
            .header("X-Odd", "Bearer SECRET/ID")
            .header("Authorization", "Bearer sesame")
            .body(())
            .unwrap();
        let expected = json!({
            "time": "1970-01-01T00:00:01Z", "host": "api", "method": "POST", "path": "/a/7:9/%20",
            "query": "b=c%20d&signature=***&e",
            "headers": [["host", "h:1"], ["x-auth-token", "***"], ["x-odd", "Bearer ***"],
                ["authorization", "***"]],
            "body": "{\"a\": \"\u{e9}\"}", "body_bytes": 11, "route": "GET x", "status": 200,
        });
        assert_eq!(logged(&request, "{\"a\": \"\u{e9}\"}".as_bytes()), expected);
    }

    #[test]
    fn bodies_are_bounded_kept_exact_and_forms_hold_no_credential() {
        let plain = Request::post("/").body(()).unwrap();
        assert_eq!(logged(&plain, b"\xff\0")["body_base64"], "/wA=");
        let long = "\u{e9}".repeat(MAX_BODY);
        let entry = logged(&plain, format!("x{long}").as_bytes());
        assert_eq!(entry["body"].as_str().map(str::len), Some(MAX_BODY - 1));
        assert_eq!(entry["body_bytes"], 2 * MAX_BODY + 1);
        let form = Request::post("/")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(())
            .unwrap();
        let entry = logged(&form, b"grant_type=client_credentials&api_token=sesame");
        assert_eq!(entry["body"], "grant_type=client_credentials&api_token=***");
    }
}
