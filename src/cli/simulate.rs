//! `sortie simulate`: the built-in Carbon Black Cloud, for other clients and for trying playbooks.

use super::Failure;
use super::exit::Exit;
use super::load::{self, Door};
use super::output::Output;
use crate::sim::fleet::{Wanted, fleet};
use crate::sim::scenario::SEED;
use crate::sim::server::serve;
use crate::sim::world::World;
use crate::text::words::Count;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// How many devices the organisation has.
    #[arg(long, default_value_t = 25, value_name = "N", value_parser = super::options::devices)]
    devices: u32,
    /// A file that says which devices the organisation has.
    #[arg(long, value_name = "FILE", conflicts_with = "devices")]
    scenario: Option<PathBuf>,
}

pub(super) async fn run(args: SimulateArgs, output: &Output) -> Result<Exit, Failure> {
    if !args.listen.ip().is_loopback() {
        return Err(Failure::new(
            Exit::Usage,
            format!("{} is not a loopback address", args.listen.ip()),
        )
        .hint("the simulator speaks plain HTTP and serves this machine only"));
    }
    let world = match &args.scenario {
        Some(path) => load::scenario(path, Door::Http, output)?.world(),
        None => World::new(fleet(args.devices as usize, &Wanted::default(), SEED)),
    };
    let count = world.size() as u64;
    let server = serve(world.clone(), args.listen).await.map_err(|error| {
        Failure::new(
            Exit::Backend,
            format!("cannot listen on {}: {error}", args.listen),
        )
    })?;
    Output::say(&format!(
        "{} at {}; Ctrl-C ends it",
        Count(count, "simulated device"),
        server.url
    ));
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
    Output::say(&format!(
        "{} opened, {} closed, {} left open; {} ran",
        Count(books.sessions_opened, "session"),
        books.sessions_closed,
        books.sessions_open + books.sessions_leaked,
        Count(books.commands.values().sum(), "command"),
    ));
    Ok(Exit::Ok)
}
