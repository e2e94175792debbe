//! Who answers: the cloud that the credentials name, a simulator made for this run, or one that runs already.

use super::Failure;
use super::exit::Exit;
use super::load::{self, Door};
use super::options::{Scope, Simulated};
use super::output::Output;
use crate::api::transport::Transport;
use crate::api::{self, ApiFleet, Behind, Http};
use crate::config::credentials::{self, CredentialsError, Endpoint, Profile, Sources};
use crate::model::outcome::Cause;
use crate::secret::Secret;
use crate::sim::control;
use crate::sim::device::SimDevice;
use crate::sim::fleet::{Wanted, fleet};
use crate::sim::scenario::SEED;
use crate::sim::server::{Server, serve};
use crate::sim::world::World;
use crate::target::{Selector, Targets};
use crate::text::escape::Escaped;
use crate::text::words::Count;
use crate::wire::{Method, Request, Response};
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};

/// A way to devices, and the simulator behind it where there is one.
pub(super) struct Backend {
    pub(super) fleet: ApiFleet,
    pub(super) simulator: Option<Simulator>,
}

pub(super) struct Simulator {
    world: World,
    server: Server,
}

impl Simulator {
    /// Stops it. What it saw and should not have seen is a bug of ours.
    pub(super) async fn close(self) -> Result<(), Failure> {
        let books = self.world.books();
        self.server.shutdown().await;
        tracing::info!(
            sessions = books.sessions_opened,
            at_once = books.max_concurrent_sessions,
            commands = books.commands.values().sum::<u64>(),
            "the simulator's books"
        );
        let open = if books.faults.is_empty() {
            books.sessions_open + books.sessions_leaked
        } else {
            // Who is not let do it cannot be blamed for it.
            0
        };
        if open == 0 && books.credentials_leaked == 0 && books.unknown_routes.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the simulator saw {} left open, {} sent to the content host, and these unknown routes: {:?}",
            Count(open, "session"),
            Count(books.credentials_leaked, "credential"),
            books.unknown_routes
        );
        Err(Failure::new(Exit::Bug, message).hint("this is a bug in sortie; please report it"))
    }
}

/// Connects, without sending anything yet.
pub(super) async fn connect(
    scope: &Scope,
    targets: &Targets,
    output: &Output,
) -> Result<Backend, Failure> {
    match &scope.simulate {
        Some(Simulated::Count(count)) => {
            simulated(World::new(default_fleet(*count, targets))).await
        }
        Some(Simulated::Scenario(path)) => {
            simulated(load::scenario(path, Door::Http, output)?.world()).await
        }
        Some(Simulated::Running(control)) => running(control).await,
        None => real(scope),
    }
}

/// Believable devices for a playbook's targets, the same each time.
pub(super) fn default_fleet(count: u32, targets: &Targets) -> Vec<SimDevice> {
    fleet(count as usize, &wanted(targets), SEED)
}

fn real(scope: &Scope) -> Result<Backend, Failure> {
    let sources = Sources {
        credentials: scope.credentials.as_deref(),
        profile: scope.profile.as_deref(),
    };
    let variable = |name: &str| std::env::var(name).ok();
    let profile = credentials::load(sources, &variable).map_err(|error| {
        let failure = Failure::new(Exit::Backend, Escaped(&error.to_string()).to_string());
        match error {
            CredentialsError::Nothing => {
                failure.hint("to try sortie without a tenant, add --simulate 25")
            }
            _ => failure,
        }
    })?;
    if !profile.ssl_verify {
        Output::say("warning: ssl_verify is off: whoever answers is believed, and gets the token");
    }
    let fleet = api::connect(&profile, Behind::Devices).map_err(|cause| failed(&cause))?;
    Ok(Backend {
        fleet,
        simulator: None,
    })
}

async fn simulated(world: World) -> Result<Backend, Failure> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = serve(world.clone(), listen).await.map_err(|error| {
        Failure::new(
            Exit::Backend,
            format!("the simulator cannot listen on {listen}: {error}"),
        )
    })?;
    let endpoint = Endpoint::parse(&server.url).map_err(|error| Failure::new(Exit::Bug, error))?;
    let profile = near(endpoint, world.token(), world.org_key());
    let fleet = api::connect(&profile, Behind::Simulator).map_err(|cause| failed(&cause))?;
    Ok(Backend {
        fleet,
        simulator: Some(Simulator { world, server }),
    })
}

/// A simulator that runs already, as it tells about itself at its control address. It is not ours to stop.
async fn running(control: &Endpoint) -> Result<Backend, Failure> {
    let asked = Http::new(&near(control.clone(), "", "")).map_err(|cause| failed(&cause))?;
    let answer = asked.send(Request::new(Method::Get, "/about")).await;
    let answer =
        answer.map_err(|cause| Failure::new(Exit::Backend, cause.summary()).hint(START))?;
    let profile = about(&answer).map_err(|why| {
        let message = format!(
            "{} is no control address of a simulator: {why}",
            control.url()
        );
        Failure::new(Exit::Backend, message).hint(START)
    })?;
    let fleet = api::connect(&profile, Behind::Simulator).map_err(|cause| failed(&cause))?;
    Ok(Backend {
        fleet,
        simulator: None,
    })
}

const START: &str = "start one with `sortie simulate --control 127.0.0.1:0`, and name the address that it prints for --simulate";

/// How to reach a simulator by what it says of itself, or why that cannot be. One that says it is elsewhere is
/// believed nothing: steps that change something are let through to simulators.
fn about(answer: &Response) -> Result<Profile, &'static str> {
    if !answer.is_success() {
        return Err("it does not know what it is asked");
    }
    let about: About =
        serde_json::from_slice(&answer.body).map_err(|_| "it does not answer as one")?;
    if about.simulator != control::NAME {
        return Err("it does not answer as one");
    }
    let endpoint = Endpoint::parse(&about.url).map_err(|_| "its API has no valid address")?;
    if !endpoint.is_loopback() {
        return Err("its API is not on this machine");
    }
    if !endpoint.is_plain() {
        return Err(
            "its API speaks HTTPS: start it without --tls, or use the profile that it prints",
        );
    }
    Ok(near(endpoint, &about.token, &about.org_key))
}

#[derive(Deserialize)]
struct About {
    simulator: String,
    url: String,
    org_key: String,
    token: String,
}

/// A profile for a server on this machine.
fn near(endpoint: Endpoint, token: &str, org_key: &str) -> Profile {
    Profile {
        endpoint,
        token: Secret::new(token),
        org_key: org_key.to_owned(),
        ssl_verify: true,
        ssl_cert_file: None,
        proxy: None,
        ignore_system_proxy: true,
        read_ahead: None,
    }
}

/// What the targets select, in the simulator's terms.
fn wanted(targets: &Targets) -> Wanted {
    let mut wanted = Wanted::default();
    for selector in &targets.selectors {
        match selector {
            Selector::Ids(ids) => wanted.ids.extend(ids.0.iter().map(|id| id.0)),
            Selector::Names(names) => wanted.names.extend_from_slice(names.patterns()),
            Selector::Os(families) => wanted.os.extend(&families.0),
            // Every simulated device was seen just now.
            Selector::SeenWithin(_) => {}
        }
    }
    for names in &targets.exclude {
        wanted.exclude.extend_from_slice(names.patterns());
    }
    wanted
}

/// A failure before anything was done on any device.
pub(super) fn failed(cause: &Cause) -> Failure {
    let failure = Failure::new(Exit::Backend, cause.summary());
    match cause.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_simulator_of_ours_on_this_machine_is_believed() {
        let told = |simulator: &str, url: &str| json!({"simulator": simulator, "url": url, "org_key": "ORG", "token": "A/B"});
        let profile = about(&Response::json(200, &told("sortie", "http://127.0.0.1:7"))).unwrap();
        assert_eq!(profile.endpoint.url(), "http://127.0.0.1:7");
        assert_eq!((profile.token.expose(), &*profile.org_key), ("A/B", "ORG"));
        for (status, body) in [
            (404, told("sortie", "http://127.0.0.1:7")),
            (200, told("other", "http://127.0.0.1:7")),
            (200, told("sortie", "http://10.0.0.1:7")),
            (200, told("sortie", "https://defense.example.com")),
            (200, told("sortie", "https://127.0.0.1:7")),
            (200, told("sortie", "x")),
            (200, json!({"simulator": "sortie"})),
            (200, json!("sortie")),
        ] {
            assert!(
                about(&Response::json(status, &body)).is_err(),
                "{status} {body}"
            );
        }
    }
}
