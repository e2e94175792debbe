//! `sortie schema`: the JSON Schemas of playbooks and of scenarios, for editors and other tools.

use super::exit::Exit;
use super::output::Output;
use crate::playbook;
use crate::sim::scenario;
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Of which files.
    #[arg(value_enum, default_value_t = Of::Playbook)]
    of: Of,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Of {
    Playbook,
    Scenario,
}

pub(super) fn run(args: &SchemaArgs) -> Exit {
    let schema = match args.of {
        Of::Playbook => playbook::schema::schema(),
        Of::Scenario => scenario::schema::schema(),
    };
    Output::result(&format!("{schema:#}"));
    Exit::Ok
}
