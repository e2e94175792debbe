//! `sortie simulate`: the built-in Carbon Black Cloud, EDR and App Control, for other clients and for trying
//! playbooks.

use super::Failure;
use super::exit::Exit;
use super::load::{self, Door};
use super::output::Output;
use crate::bundle::{DiskError, Scratch, save};
use crate::sim::books::Books;
use crate::sim::fleet::{Wanted, fleet};
use crate::sim::request_log::RequestLog;
use crate::sim::scenario::SEED;
use crate::sim::server::{Extras, Server, serve_with};
use crate::sim::tls::Identity;
use crate::sim::world::World;
use crate::text::words::Count;
use clap::Args;
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// How many devices the organisation has.
    #[arg(long, default_value_t = 25, value_name = "N", value_parser = super::options::devices)]
    devices: u32,
    /// A file that says which devices the organisation has, and what goes wrong there.
    #[arg(long, value_name = "FILE", conflicts_with = "devices")]
    scenario: Option<PathBuf>,
    /// Speak HTTPS, with a certificate made on the spot. Its authority is written to FILE for clients to
    /// trust, or to a temporary file that goes when the simulator ends.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[expect(
        clippy::option_option,
        reason = "not given, given, and given with a file"
    )]
    tls: Option<Option<PathBuf>>,
    /// Tell at this address what really happened: GET /books has the commands that ran, the sessions that
    /// are open or were leaked, the requests by route. GET /wait?requests=N is answered when the N-th request
    /// has arrived, POST /hold?requests=N holds all from the N-th on, POST /reset begins new books. `sortie run --simulate http://ADDRESS:PORT` runs on it.
    #[arg(long, value_name = "ADDRESS:PORT")]
    control: Option<SocketAddr>,
    /// Append every request to FILE, as a line of JSON without credentials.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

pub(super) async fn run(args: SimulateArgs, output: &Output) -> Result<Exit, Failure> {
    for address in [Some(args.listen), args.control].into_iter().flatten() {
        if !address.ip().is_loopback() {
            return Err(Failure::new(
                Exit::Usage,
                format!("{} is not a loopback address", address.ip()),
            )
            .hint("the simulator prints its key and serves this machine only"));
        }
    }
    let world = match &args.scenario {
        Some(path) => load::scenario(path, Door::Http, output)?.world(),
        None => World::new(fleet(args.devices as usize, &Wanted::default(), SEED)),
    };
    let count = world.size() as u64;
    let trust = match &args.tls {
        Some(file) => Some(Trust::new(args.listen, file.as_deref())?),
        None => None,
    };
    let server = start(&args, &world, trust.as_ref()).await?;
    Output::say(&format!(
        "{} at {}; Ctrl-C ends it",
        Count(count, "simulated device"),
        server.url
    ));
    if let Some(address) = server.control_addr {
        Output::say(&format!("what really happens: http://{address}/books"));
        if trust.is_none() {
            Output::say(&format!(
                "to run playbooks on it: --simulate http://{address}"
            ));
        }
    }
    let keys = world.keys();
    Output::say(&format!(
        "Keys at the same address:\n  v3           {}\n  EDR          {}\n  App Control  {}",
        keys.v3, keys.edr, keys.app_control
    ));
    if let Some(trust) = &trust {
        Output::say(&trust.told(&server, &world));
    }
    Output::result(&format!(
        "export CBC_URL={}\nexport CBC_TOKEN={}\nexport CBC_ORG_KEY={}",
        server.url,
        world.token(),
        world.org_key()
    ));
    // Without a handler for it, Ctrl-C ends the process, which is as good.
    let _ = tokio::signal::ctrl_c().await;
    let books = world.books();
    server.shutdown().await;
    close(&books);
    Ok(Exit::Ok)
}

async fn start(
    args: &SimulateArgs,
    world: &World,
    trust: Option<&Trust>,
) -> Result<Server, Failure> {
    let log = match &args.log {
        Some(path) => Some(RequestLog::new(
            &world.keys().all(),
            Box::new(opened(path)?),
        )),
        None => None,
    };
    let extras = Extras {
        identity: trust.map(|trust| trust.identity.clone()),
        log,
        control: args.control,
    };
    let started = serve_with(world.clone(), args.listen, extras).await;
    started.map_err(|error| {
        let control = args.control.map(|at| format!(" and on {at}"));
        let message = format!(
            "cannot listen on {}{}: {error}",
            args.listen,
            control.unwrap_or_default()
        );
        Failure::new(Exit::Backend, message)
    })
}

/// What a session of simulating came to.
fn close(books: &Books) {
    Output::say(&format!(
        "{} opened, {} closed, {} left open; {} ran",
        Count(books.sessions_opened, "session"),
        books.sessions_closed,
        books.sessions_open + books.sessions_leaked,
        Count(books.commands.values().sum(), "command"),
    ));
    for (route, count) in &books.unknown_routes {
        Output::say(&format!(
            "{} to a route that the simulator does not have: {route}",
            Count(*count, "request")
        ));
    }
}

/// A server's certificate, and the file that makes clients believe it.
struct Trust {
    identity: Identity,
    file: PathBuf,
    /// Goes with the file, if nobody named one.
    _scratch: Option<Scratch>,
}

impl Trust {
    fn new(listen: SocketAddr, named: Option<&Path>) -> Result<Self, Failure> {
        let unwritten = |error: DiskError| Failure::new(Exit::Usage, error.to_string());
        let identity = Identity::new(listen.ip())
            .map_err(|error| Failure::new(Exit::Bug, error.to_string()))?;
        let (file, scratch) = if let Some(path) = named {
            // Who reads it may stand elsewhere.
            let absolute = std::path::absolute(path);
            (absolute.unwrap_or_else(|_| path.to_owned()), None)
        } else {
            let scratch = Scratch::begin().map_err(unwritten)?;
            (scratch.path().join("authority.pem"), Some(scratch))
        };
        save(&file, identity.authority().as_bytes()).map_err(unwritten)?;
        Ok(Self {
            identity,
            file,
            _scratch: scratch,
        })
    }

    /// How to point clients here.
    fn told(&self, server: &Server, world: &World) -> String {
        let csp = world.csp();
        format!(
            "For sortie (--profile simulated) and for cbc_sdk, in ~/.carbonblack/credentials.cbc:\n\n\
             [simulated]\nurl = {url}\ntoken = {}\norg_key = {}\nssl_cert_file = {}\n\n\
             In place of `token`, to have access tokens instead:\n\n\
             csp_oauth_app_id = {}\ncsp_oauth_app_secret = {}\ncsp_api_token = {}\ncsp_url_override = {url}\n\n\
             cbapi takes url, token and ssl_cert_file, with the key of v3 in credentials.psc (cbapi 1.7), of EDR in\n\
             credentials.response and of App Control in credentials.protection (cbapi 2.0).\n\n\
             Where no file can be named, as in the environment: CBC_SSL_VERIFY=false\n",
            world.token(),
            world.org_key(),
            self.file.display(),
            csp.app_id,
            csp.app_secret,
            csp.api_token,
            url = server.url,
        )
    }
}

fn opened(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("cannot write {}: {error}", path.display()),
        )
    })
}
