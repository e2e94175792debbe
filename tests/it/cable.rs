//! A transport that leads straight to the simulator's doors, and on which requests can go wrong.

use sortie::api::transport::{Download, Source, Transport};
use sortie::live::{Answer, Sink};
use sortie::model::outcome::Cause;
use sortie::sim::doors;
use sortie::sim::world::World;
use sortie::wire::{Method, Request, Response};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// There and back.
const LATENCY: Duration = Duration::from_millis(30);

/// A request as a rule sees it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and path, ids as `{}`; of signed content only `GET content`.
    pub(crate) route: String,
    /// Counts all requests, from 1.
    pub(crate) nth: usize,
    /// Counts the requests of this route, from 1.
    pub(crate) nth_of_route: usize,
    pub(crate) at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Refused with this status before anything happens, with or without a `Retry-After`.
    Refused(u16, Option<&'static str>),
    /// Carried out, and then answered with this status.
    Failed(u16),
    /// The connection breaks before the request arrives.
    Unsent,
    /// It is carried out, and the answer is lost.
    Unheard,
    /// So many bytes of a content come, and the client notices.
    Cut(u64),
    /// So many bytes of a content come, and nothing says that there are more.
    Short(u64),
}

type Rule = dyn Fn(&Asked) -> Option<Trouble> + Send + Sync;

pub(crate) struct Cable {
    world: World,
    rule: Box<Rule>,
    log: Mutex<Vec<Asked>>,
    counts: Mutex<HashMap<String, usize>>,
}

impl Cable {
    pub(crate) fn new(
        world: &World,
        rule: impl Fn(&Asked) -> Option<Trouble> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            world: world.clone(),
            rule: Box::new(rule),
            log: Mutex::default(),
            counts: Mutex::default(),
        })
    }

    pub(crate) fn log(&self) -> Vec<Asked> {
        self.log.lock().expect("no panic within").clone()
    }

    fn judge(&self, route: String) -> Option<Trouble> {
        let mut counts = self.counts.lock().expect("no panic within");
        let count = counts.entry(route.clone()).or_default();
        *count += 1;
        let mut log = self.log.lock().expect("no panic within");
        let asked = Asked {
            route,
            nth: log.len() + 1,
            nth_of_route: *count,
            at: Instant::now(),
        };
        log.push(asked.clone());
        (self.rule)(&asked)
    }

    fn to_api(&self, mut request: Request) -> Response {
        let token = self.world.token().to_owned();
        request.headers.push(("x-auth-token".into(), token));
        doors::answer(&self.world, &request)
    }

    fn to_store(&self, location: &str) -> Response {
        let rest = location.split_once("//").map_or("", |(_, rest)| rest);
        let (path, query) = rest[rest.find('/').unwrap_or(0)..]
            .split_once('?')
            .unwrap_or_default();
        let mut request = Request::new(Method::Get, path);
        request.query = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        doors::answer(&self.world, &request)
    }
}

fn lost() -> Cause {
    Cause::ConnectionLost {
        detail: "reset".into(),
    }
}

fn refusal(status: u16, retry_after: Option<&str>) -> Response {
    let mut response = Response::new(status);
    let told = retry_after.map(|pause| ("retry-after".to_owned(), pause.to_owned()));
    response.headers.extend(told);
    response
}

/// Ids are what differs between devices.
fn route(request: &Request) -> String {
    let rest = request.path.split('/').skip(6).map(|part| {
        let is_id = part.contains(|c: char| c.is_ascii_digit());
        if is_id { "{}" } else { part }
    });
    let rest: Vec<&str> = rest.collect();
    format!("{} {}", request.method.as_str(), rest.join("/"))
}

impl Transport for Cable {
    fn send(&self, request: Request) -> Answer<'_, Response> {
        Box::pin(async move {
            let trouble = self.judge(route(&request));
            sleep(LATENCY).await;
            match trouble {
                Some(Trouble::Refused(status, pause)) => Ok(refusal(status, pause)),
                Some(Trouble::Unsent) => Err(lost()),
                Some(Trouble::Failed(status)) => {
                    self.to_api(request);
                    Ok(Response::new(status))
                }
                Some(Trouble::Unheard) => {
                    self.to_api(request);
                    Err(lost())
                }
                None | Some(Trouble::Cut(_) | Trouble::Short(_)) => Ok(self.to_api(request)),
            }
        })
    }

    fn download<'a>(&'a self, source: Source, sink: &'a mut dyn Sink) -> Answer<'a, Download> {
        Box::pin(async move {
            let trouble = self.judge(match &source {
                Source::Api(request) => route(request),
                Source::Signed(_) => "GET content".to_owned(),
            });
            sleep(LATENCY).await;
            match trouble {
                Some(Trouble::Refused(status, pause)) => {
                    return Ok(Download::Refused(refusal(status, pause)));
                }
                Some(Trouble::Failed(status)) => {
                    return Ok(Download::Refused(Response::new(status)));
                }
                Some(Trouble::Unsent | Trouble::Unheard) => return Err(lost()),
                None | Some(Trouble::Cut(_) | Trouble::Short(_)) => {}
            }
            let response = match source {
                Source::Api(request) => self.to_api(request),
                Source::Signed(location) => self.to_store(&location),
            };
            if !response.is_success() {
                return Ok(Download::Refused(response));
            }
            let come = match trouble {
                Some(Trouble::Cut(bytes) | Trouble::Short(bytes)) => {
                    &response.body[..usize::try_from(bytes).expect("is small")]
                }
                _ => &*response.body,
            };
            sink.restart().expect("there is room");
            sink.write(come).expect("there is room");
            match trouble {
                Some(Trouble::Cut(_)) => Err(lost()),
                _ => Ok(Download::Whole {
                    received: come.len() as u64,
                }),
            }
        })
    }
}
