//! `sortie get`, `ls`, `ps`, `reg` and `exec`: a playbook of one step, made out of a command line.
//!
//! It is a run like any other: the playbook is checked, planned, run, and kept in the run directory. What
//! it brought is shown too, as whoever asks for one thing wants to see it.

use super::exit::Exit;
use super::options::Scope;
use super::output::Output;
use super::plan::Purpose;
use super::run::{About, Asked};
use super::{Failure, load, plan, run};
use crate::model::outcome::Cause;
use crate::model::state::DeviceRecord;
use crate::playbook::used::{Unavailable, alone};
use crate::report::{ReportError, View, results};
use crate::ui::rows::{Came, draw};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde::Serialize;

/// The commands, as they are typed.
pub(super) const NAMES: [&str; 5] = ["get", "ls", "ps", "reg", "exec"];

#[derive(Debug, Subcommand)]
pub(super) enum OneLiner {
    /// Fetch files from devices.
    Get(Get),
    /// List a directory of devices.
    Ls(Ls),
    /// List the processes of devices.
    Ps(Ps),
    /// Read a registry key of devices, or one of its values.
    Reg(Reg),
    /// Run a command line on devices and show its output.
    Exec(Exec),
}

#[derive(Debug, Args)]
pub(super) struct Get {
    /// The files, by their paths on the endpoint; no wildcards.
    #[arg(required = true, value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    paths: Vec<String>,
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Args)]
pub(super) struct Ls {
    /// The directory on the endpoint; no wildcards.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    path: String,
    /// How many levels are listed; 1, the directory alone, unless given.
    #[arg(long, value_name = "N")]
    depth: Option<u64>,
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Args)]
pub(super) struct Ps {
    /// Only processes for which this holds: pid, parent_pid, path, name, command_line, user, created.
    #[arg(long = "match", value_name = "EXPR")]
    matching: Option<String>,
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Args)]
pub(super) struct Reg {
    /// The key, such as 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run'.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    key: String,
    /// The one value to read.
    #[arg(long, value_name = "NAME")]
    value: Option<String>,
    /// How many levels of sub keys are read too; none unless given.
    #[arg(long, value_name = "N")]
    depth: Option<u64>,
    /// Whose hives HKCU stands for: the sensor's own, or those of everybody who is logged on.
    #[arg(long, value_parser = ["own", "all"])]
    hives: Option<String>,
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Args)]
pub(super) struct Exec {
    /// The command line as the endpoint gets it, quoted to be one word here; no shell stands between.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    command: String,
    /// What running it means: it changes nothing, leads to the same end state, or must never run twice.
    /// Real devices run what only reads.
    #[arg(long, default_value = "once", value_parser = ["read", "converge", "once"])]
    effect: String,
    /// The exit code without which it counts as failed.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    expect_code: Option<i64>,
    #[command(flatten)]
    about: About,
}

/// A playbook as it is written.
#[derive(Debug, Serialize)]
struct Made<'a> {
    sortie: u8,
    name: &'a str,
    permissions: [&'a str; 1],
    steps: [Step<'a>; 1],
}

#[derive(Debug, Serialize)]
struct Step<'a> {
    name: &'a str,
    #[serde(flatten)]
    action: Action<'a>,
}

/// The texts are as the language reads them: `{{` is written as one that renders to itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Action<'a> {
    GetFile {
        path: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        if_locked: Option<&'a str>,
    },
    ListDirectory {
        path: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        depth: Option<u64>,
    },
    ListProcesses {
        #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
        matching: Option<&'a str>,
    },
    RegQuery {
        key: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        depth: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hives: Option<&'a str>,
    },
    Exec {
        command: String,
        effect: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        expect_code: Option<i64>,
    },
}

/// Runs one step on the devices that the targets select.
pub(super) async fn run(asked: OneLiner, scope: &Scope, output: &Output) -> Result<Exit, Failure> {
    run::writable(asked.about())?;
    let command = asked.command();
    let name = format!("sortie {command}");
    let text = asked.playbook(command)?;
    let none = |_: &str| Err(Unavailable::Missing);
    let playbook = load::playbook(&name, text.as_bytes(), &none, output)?;
    let (plan, backend) = plan::of(playbook, Purpose::Run, &alone, scope, output).await?;
    let nothing = asked.nothing();
    let asked = Asked {
        command,
        about: asked.about(),
        show: &|view| show(view, nothing),
    };
    run::perform(&asked, plan, backend, scope, output).await
}

impl OneLiner {
    const fn about(&self) -> &About {
        match self {
            Self::Get(Get { about, .. })
            | Self::Ls(Ls { about, .. })
            | Self::Ps(Ps { about, .. })
            | Self::Reg(Reg { about, .. })
            | Self::Exec(Exec { about, .. }) => about,
        }
    }

    /// What is said where nothing came back.
    const fn nothing(&self) -> &'static str {
        match self {
            Self::Reg(_) => "no values; --depth 1 reads those of the keys below too",
            _ => "nothing",
        }
    }

    const fn command(&self) -> &'static str {
        match self {
            Self::Get(_) => "get",
            Self::Ls(_) => "ls",
            Self::Ps(_) => "ps",
            Self::Reg(_) => "reg",
            Self::Exec(_) => "exec",
        }
    }

    fn action(&self) -> Action<'_> {
        match self {
            Self::Get(get) => Action::GetFile {
                path: get.paths.iter().map(|path| literal(path)).collect(),
                // Who names one file is not told that all is well without it; of several, the others come.
                if_locked: (get.paths.len() == 1).then_some("fail"),
            },
            Self::Ls(ls) => Action::ListDirectory {
                path: literal(&ls.path),
                depth: ls.depth,
            },
            Self::Ps(ps) => Action::ListProcesses {
                matching: ps.matching.as_deref(),
            },
            Self::Reg(reg) => Action::RegQuery {
                key: literal(&reg.key),
                value: reg.value.as_deref().map(literal),
                depth: reg.depth,
                hives: reg.hives.as_deref(),
            },
            Self::Exec(exec) => Action::Exec {
                command: literal(&exec.command),
                effect: &exec.effect,
                expect_code: exec.expect_code,
            },
        }
    }

    /// The playbook, as a person could have written it.
    fn playbook(&self, name: &str) -> Result<String, Failure> {
        let action = self.action();
        let made = Made {
            sortie: 1,
            name,
            permissions: [match action {
                Action::Exec { .. } => "exec",
                _ => "read",
            }],
            steps: [Step { name, action }],
        };
        serde_yaml::to_string(&made).map_err(|error| Failure::new(Exit::Bug, error.to_string()))
    }
}

/// A text that renders to this one: what was typed is not a template.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let special = ["{{", "{%", "{#"]
            .into_iter()
            .find(|open| rest.starts_with(open));
        if let Some(open) = special {
            out.extend(["{{ '", open, "' }}"]);
            rest = &rest[open.len()..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// Shows what came back, one device at a time: there may be many.
fn show(view: &View<'_>, nothing: &str) -> Result<(), ReportError> {
    for device in &view.devices {
        let rows = results::rows(view, device)?;
        let record = view.state.device(device.id);
        let bag = record.and_then(DeviceRecord::bag);
        let bag = bag.map(|bag| view.dir.path().join(bag).display().to_string());
        Output::result(&draw(&Came {
            name: &device.name,
            bag: bag.as_deref(),
            rows: &rows,
            nothing,
            why: record.and_then(why),
        }));
    }
    Ok(())
}

/// Why there is nothing, or not all: what the step says of it, or else what became of the device.
fn why(record: &DeviceRecord) -> Option<String> {
    let of_step = record.steps.first().and_then(|step| step.outcome.cause());
    let of_device = || record.state()?.1.map(|reason| reason.summary());
    of_step.map(Cause::summary).or_else(of_device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::check::check;
    use crate::step::StepKind;
    use crate::template::{Scope, Template};

    /// What the endpoint gets is what was typed, whatever YAML or templates make of it.
    #[test]
    fn what_was_typed_arrives() {
        let table = [
            r"C:\Windows\win.ini",
            "~",
            "yes",
            "0x1F",
            "1e3",
            "",
            " a ",
            "- b",
            "# c",
            "a: b",
            "'\"",
            "&x *y !z",
            "line\nnext\n\n  deeper\n",
            "\ttab\r\n",
            "\u{1b}[31m\u{85}\u{202e}\u{feff}",
            "docker ps --format '{{.Names}}'",
            "{{{{}}}} {{ device.name }} }}",
            "{% if x %} {# y #} {{%} {{{%x%}",
            "{{ '",
        ];
        for typed in table {
            let asked = OneLiner::Exec(Exec {
                command: typed.to_owned(),
                effect: "read".to_owned(),
                expect_code: Some(-1),
                about: About::default(),
            });
            let text = asked.playbook("exec").unwrap();
            let playbook = check("exec", text.as_bytes()).playbook;
            // What is empty, or a character that no document may hold, is refused, and never altered.
            let Some(playbook) = playbook else {
                assert!(typed.is_empty(), "{typed:?}: {text}");
                continue;
            };
            let StepKind::Exec(exec) = &playbook.steps[0].kind else {
                panic!("{text}");
            };
            let arrived = exec
                .command
                .as_ref()
                .map(|one: &Template| one.render(&Scope::default()));
            assert_eq!(arrived.unwrap().unwrap(), typed, "{text}");
        }
    }
}
