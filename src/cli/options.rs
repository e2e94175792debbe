//! Options that several commands share. They stand before or after the command.

use crate::config::credentials::Endpoint;
use clap::{Args, ValueEnum};
use serde::{Serialize, Serializer};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Global {
    #[command(flatten)]
    pub(super) color: Color,
    /// Tell more: -v what is done, -vv what is sent.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Form of the log on standard error.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub(super) log_format: LogFormat,
    #[command(flatten)]
    pub(super) scope: Scope,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Color {
    /// When to use colour; NO_COLOR is respected.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: When,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum When {
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    /// Makes the choice hold for every stream of the program.
    pub(super) fn write_global(&self) {
        match self.color {
            When::Auto => anstream::ColorChoice::Auto,
            When::Always => anstream::ColorChoice::Always,
            When::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// What `run` and `plan` work on.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Scope {
    /// A value for an input of the playbook; repeatable.
    #[arg(
        short = 'e',
        long = "input",
        global = true,
        value_name = "NAME=VALUE",
        help_heading = "Inputs"
    )]
    pub(super) input: Vec<String>,
    /// A YAML or JSON file with values for inputs.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Inputs")]
    pub(super) inputs: Option<PathBuf>,
    /// Devices to work on, in place of the playbook's: ids:…, names:…, os:…, seen_within:…; repeatable, united.
    #[arg(
        short = 't',
        long,
        global = true,
        value_name = "KIND:VALUE",
        help_heading = "Devices"
    )]
    pub(super) targets: Vec<String>,
    /// Of the selected devices, only those whose name matches.
    #[arg(long, global = true, value_name = "PATTERN", help_heading = "Devices")]
    pub(super) limit: Vec<String>,
    /// Devices to leave out, besides those that the playbook leaves out.
    #[arg(long, global = true, value_name = "PATTERN", help_heading = "Devices")]
    pub(super) exclude: Vec<String>,
    /// Devices to work on at the same time.
    #[arg(long, global = true, value_name = "N", help_heading = "Devices", value_parser = sessions)]
    pub(super) max_sessions: Option<u16>,
    /// Only steps with one of these tags; untagged steps of `always` run in any case.
    #[arg(
        long,
        global = true,
        value_name = "TAG",
        value_delimiter = ',',
        help_heading = "Steps"
    )]
    pub(super) tags: Vec<String>,
    /// No steps with one of these tags.
    #[arg(
        long,
        global = true,
        value_name = "TAG",
        value_delimiter = ',',
        help_heading = "Steps"
    )]
    pub(super) skip_tags: Vec<String>,
    /// No steps before this one, by its id.
    #[arg(long, global = true, value_name = "STEP", help_heading = "Steps")]
    pub(super) start_at: Option<String>,
    /// Use the built-in simulator with N devices that the targets select, with those of a scenario file, or
    /// one that runs already: `sortie simulate` with --control, whose address http://127.0.0.1:PORT is named
    /// here, and which goes on when the run has ended. No credentials are read.
    #[arg(long, global = true, value_name = "N|FILE|URL", help_heading = "Backend", conflicts_with_all = ["profile", "credentials"], value_parser = simulated)]
    pub(super) simulate: Option<Simulated>,
    /// Section of the credentials file.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Backend")]
    pub(super) profile: Option<String>,
    /// A credentials file, in the form that cbapi and the cloud SDK use.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Backend")]
    pub(super) credentials: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long, global = true, help_heading = "Output")]
    pub(super) json: bool,
}

/// Which devices a simulator has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Simulated {
    /// So many that the targets select, and a few that they do not.
    Count(u32),
    /// Those of a scenario file.
    Scenario(PathBuf),
    /// Those of a simulator that runs already and tells about itself at this address.
    Running(#[serde(serialize_with = "address")] Endpoint),
}

fn address<S: Serializer>(endpoint: &Endpoint, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(endpoint.url())
}

/// A number, an address, or what is called like a file; a mistyped number is no file.
pub(super) fn simulated(text: &str) -> Result<Simulated, &'static str> {
    if text.contains("://") {
        return running(text).map(Simulated::Running);
    }
    let is_file = [".yaml", ".yml", ".json"]
        .iter()
        .any(|suffix| text.ends_with(suffix));
    if is_file {
        return Ok(Simulated::Scenario(text.into()));
    }
    devices(text)
        .map(Simulated::Count)
        .map_err(|_| "expected a number from 1 to 100000, a scenario file: NAME.yaml, or the address of a simulator: http://127.0.0.1:PORT")
}

/// A simulator has changing steps carried out without asking, so it is looked for on this machine alone.
fn running(text: &str) -> Result<Endpoint, &'static str> {
    Endpoint::parse(text)
        .ok()
        .filter(|at| at.is_loopback() && at.is_plain() && at.url() == format!("http://{}", at.authority()))
        .ok_or("a simulator that runs already is named by its control address on this machine: http://127.0.0.1:PORT")
}

/// How many devices a simulator has.
pub(super) fn devices(text: &str) -> Result<u32, &'static str> {
    match text.parse() {
        Ok(count @ 1..=100_000) => Ok(count),
        _ => Err("expected a number from 1 to 100000"),
    }
}

fn sessions(text: &str) -> Result<u16, &'static str> {
    match text.parse() {
        Ok(count @ 1..) => Ok(count),
        _ => Err("expected a number from 1 on"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulator_that_runs_is_on_this_machine() {
        for text in [
            "http://127.0.0.1:9000",
            "http://127.8.0.1:9000",
            "http://[::1]:9000/",
            "http://localhost:9000",
        ] {
            assert!(
                matches!(simulated(text), Ok(Simulated::Running(_))),
                "{text}"
            );
        }
        for text in [
            "http://10.0.0.1:9000",
            "http://127.0.0.1.example.com:9000",
            "http://localhost.example.com",
            "http://127.0.0.1@example.com",
            "https://127.0.0.1:9000",
            "https://defense.example.com",
            "http://127.0.0.1:9000/books",
            "http://127.0.0.1:9000?x",
            "http://",
            "ftp://127.0.0.1",
            "http://example.com/fleet.yaml",
        ] {
            assert!(simulated(text).is_err(), "{text}");
        }
    }

    #[test]
    fn it_is_recorded_as_it_is_typed() {
        for text in ["http://127.0.0.1:9000", "fleet.yaml"] {
            let value = serde_json::to_value(simulated(text).unwrap()).unwrap();
            assert_eq!(value, text);
        }
        assert_eq!(serde_json::to_value(simulated("7").unwrap()).unwrap(), 7);
    }
}
