//! A transport that leads straight to the simulator, in whose organisation requests can go wrong.

use sortie::api::transport::{Download, Source, Transport};
use sortie::live::{Answer, Sink};
use sortie::model::outcome::Cause;
use sortie::sim::fault::{Broken, exchange, route_name};
use sortie::sim::scenario::Scenario;
use sortie::sim::world::World;
use sortie::wire::{Method, Request, Response};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// There and back.
const LATENCY: Duration = Duration::from_millis(30);

/// A request, as it left.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and route, as the books have them.
    pub(crate) route: String,
    pub(crate) at: Instant,
}

pub(crate) struct Cable {
    world: World,
    log: Mutex<Vec<Asked>>,
}

impl Cable {
    /// To an organisation in which these things go wrong, as a scenario says them.
    pub(crate) fn new(world: &World, faults: &str) -> Arc<Self> {
        let text = format!("devices: [{{count: 1}}]\nfaults: [{faults}]");
        let loaded = Scenario::load("scenario", text.as_bytes());
        let scenario = loaded.scenario.ok_or(loaded.diagnostics);
        let faults = scenario.expect("it is one").faults().clone();
        Arc::new(Self {
            world: world.clone().with_faults(faults),
            log: Mutex::default(),
        })
    }

    pub(crate) fn log(&self) -> Vec<Asked> {
        self.log.lock().expect("no panic within").clone()
    }

    async fn ask(&self, request: Request) -> Result<Response, Broken> {
        let name = route_name(&request.path).unwrap_or("nowhere");
        self.log.lock().expect("no panic within").push(Asked {
            route: format!("{} {name}", request.method.as_str()),
            at: Instant::now(),
        });
        sleep(LATENCY).await;
        let exchange = exchange(&self.world, &request.whole());
        sleep(exchange.delay + exchange.slow).await;
        exchange.heard()
    }

    async fn ask_api(&self, mut request: Request) -> Result<Response, Broken> {
        let token = self.world.token().to_owned();
        request.headers.push(("x-auth-token".into(), token));
        self.ask(request).await
    }

    async fn ask_store(&self, location: &str) -> Result<Response, Broken> {
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
        self.ask(request).await
    }
}

fn lost() -> Cause {
    Cause::ConnectionLost {
        detail: "reset".into(),
    }
}

impl Transport for Cable {
    fn send(&self, request: Request) -> Answer<'_, Response> {
        Box::pin(async move { self.ask_api(request).await.map_err(|_| lost()) })
    }

    fn download<'a>(&'a self, source: Source, sink: &'a mut dyn Sink) -> Answer<'a, Download> {
        Box::pin(async move {
            let heard = match source {
                Source::Api(request) => self.ask_api(request).await,
                Source::Signed(location) => self.ask_store(&location).await,
            };
            let (response, broken) = match heard {
                Ok(response) => (response, false),
                Err(Broken { heard }) => (heard.ok_or_else(lost)?, true),
            };
            if !response.is_success() {
                return Ok(Download::Refused(response));
            }
            sink.restart().expect("there is room");
            sink.write(&response.body).expect("there is room");
            if broken {
                return Err(lost());
            }
            Ok(Download::Whole {
                received: response.body.len() as u64,
            })
        })
    }
}
