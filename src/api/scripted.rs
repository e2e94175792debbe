//! A backend for tests: a function in memory, and a log of what it was asked when.

use super::pace::Tempo;
use super::transport::{Download, Source, Transport};
use crate::live::{Answer, Backend, Sink};
use crate::model::outcome::Cause;
use crate::wire::{Request, Response};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

type Script = dyn FnMut(&str, Duration) -> Result<Response, Cause> + Send;

/// What was asked (`GET /sessions/7:5`, without the organisation's prefix) and when since the start.
pub(super) type Log = Arc<Mutex<Vec<(String, Duration)>>>;

pub(super) struct Scripted {
    script: Mutex<Box<Script>>,
    start: Instant,
    log: Log,
}

impl Scripted {
    pub(super) fn new(
        script: impl FnMut(&str, Duration) -> Result<Response, Cause> + Send + 'static,
    ) -> (Arc<Self>, Log) {
        let log = Log::default();
        let scripted = Self {
            script: Mutex::new(Box::new(script)),
            start: Instant::now(),
            log: Arc::clone(&log),
        };
        (Arc::new(scripted), log)
    }

    fn answer(&self, what: String) -> Result<Response, Cause> {
        let at = self.start.elapsed();
        let answer = self.script.lock().expect("no test panics within")(&what, at);
        self.log
            .lock()
            .expect("no test panics within")
            .push((what, at));
        answer
    }
}

impl Transport for Scripted {
    fn send(&self, request: Request) -> Answer<'_, Response> {
        let what = short(&request);
        Box::pin(async move { self.answer(what) })
    }

    fn download<'a>(&'a self, source: Source, sink: &'a mut dyn Sink) -> Answer<'a, Download> {
        let what = match &source {
            Source::Api(request) => short(request),
            Source::Signed(location) => format!("SIGNED {location}"),
        };
        Box::pin(async move {
            let response = self.answer(what)?;
            if !response.is_success() {
                return Ok(Download::Refused(response));
            }
            sink.restart().expect("memory has room");
            sink.write(&response.body).expect("memory has room");
            Ok(Download::Whole {
                received: response.body.len() as u64,
            })
        })
    }
}

fn short(request: &Request) -> String {
    let path = request.path.trim_start_matches("/appservices/v6/orgs/O");
    let path = path.trim_start_matches("/liveresponse");
    format!("{} {path}", request.method.as_str())
}

pub(super) fn backend() -> Backend {
    Backend {
        api: "v6".into(),
        url: "memory".into(),
        organisation: "O".into(),
        simulated: true,
    }
}

/// Without a limit, so that only what a test is about takes time.
pub(super) const FREE: Tempo = Tempo {
    limit: None,
    ..Tempo::CLOUD
};

#[expect(clippy::unnecessary_wraps, reason = "it is what a script returns")]
pub(super) fn ok(body: &Value) -> Result<Response, Cause> {
    Ok(Response::json(200, body))
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a script returns")]
pub(super) fn status(status: u16) -> Result<Response, Cause> {
    Ok(Response::new(status))
}

/// How often something like this was asked.
pub(super) fn count(log: &Log, start: &str) -> usize {
    let log = log.lock().expect("no test panics within");
    log.iter()
        .filter(|(what, _)| what.starts_with(start))
        .count()
}
