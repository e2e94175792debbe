//! Gathers what persistence and activity leave behind with one read-only script of ours per system: a
//! dozen requests in place of a thousand. The rows are those of the native steps.
//!
//! The script goes inline, in one command line of PowerShell (2.0 or later) or of `/bin/sh`, or in a few if
//! the places do not fit into one. Nothing is put on the endpoint but the output, which is removed
//! afterwards. The step's own file names each script by its SHA-256, and the transcript has it as it was sent.
//! What one place refuses is a row with its cause; an output that was cut fails the step with the rows that
//! came.
//!
//! `run_keys`: Run and RunOnce of the machine, also for programs of 32 bits, and of everybody who is logged
//! on; nothing on Linux and macOS.
//!
//! `services`: ImagePath, Start and ServiceDll of each service; on Linux unit files with their `Exec` lines,
//! and init scripts; nothing on macOS.
//!
//! `tasks`: task files with what they start; on Linux crontabs and timers with their text, and periodic
//! scripts; on macOS crontabs and launch daemons with their text.
//!
//! `processes`: those that `list_processes` lists.
//!
//! `netstat`: what `netstat -ano` lists; on Linux what /proc/net has, on macOS what `lsof` lists.
//!
//! `users`: profiles and local accounts; on Linux /etc/passwd, on macOS the directory.
//!
//! `logons`: sessions and whose they are; on Linux and macOS what `who` lists.
//!
//! `ps_history`: PowerShell's history of each user; on Linux and macOS those of all shells.
//!
//! `autoruns`: Winlogon, image file execution options, AppInit and LSA packages, print monitors, startup
//! folders and the like; on Linux rc.local, profile.d, ld.so.preload, authorized keys and desktop autostart;
//! on macOS launch agents, startup items and authorized keys.
//!
//! Registry values, processes and files have the columns that `reg_query`, `list_processes` and `find_files`
//! give them; what is neither is a line in `data` with its parts beside it. Of text, the last 64 KiB come.
//! `extra` has the `place` of each row.
//!
//! ```yaml
//! name: The usual places
//! gather: [run_keys, services, tasks]
//! ```

mod output;
mod script;

use super::cx::{StepCx, Stop};
use super::exec::capture::{Brought, Capture, Keep, MAX_OUTPUT, Ran};
use super::{Arguments, Built, Ceiling, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::Cause;
use crate::model::row::{Row, RowKind};
use crate::template::{Choice, Fields, Word, short_form};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use script::Script;
use serde_json::{Value, json};

pub(super) const SPEC: Spec = Spec {
    key: "gather",
    summary: "gather the usual places with one script",
    permissions: &[Permission::Exec],
    effect: Effect::Read,
    os: &Os::NAMED,
    commands: &["create process", "get file", "delete file"],
    results: &[
        ResultField::new(
            "values",
            Shape::List,
            "the rows, each with `place`, `kind`, `path`, `name`, `type`, `data`, `size` and what else its kind has",
        ),
        ResultField::new("found", Shape::Flag, "whether there is any row"),
    ],
    source: include_str!("gather.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<Gather>,
};

/// What to gather.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("what"))]
pub struct Gather {
    /// The places to look at.
    #[schemars(with = "Vec<Word<Place>>")]
    pub what: Vec<Place>,
}

/// A place that the script knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    RunKeys,
    Services,
    Tasks,
    Processes,
    Netstat,
    Users,
    Logons,
    PsHistory,
    Autoruns,
}

impl Choice for Place {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("run_keys", Self::RunKeys),
        ("services", Self::Services),
        ("tasks", Self::Tasks),
        ("processes", Self::Processes),
        ("netstat", Self::Netstat),
        ("users", Self::Users),
        ("logons", Self::Logons),
        ("ps_history", Self::PsHistory),
        ("autoruns", Self::Autoruns),
    ];
}

impl Place {
    fn word(self) -> &'static str {
        let word = Self::CHOICES.iter().find(|(_, place)| *place == self);
        word.map_or("", |(word, _)| word)
    }
}

impl Gather {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "what", all);
        let what: Option<Vec<Place>> = fields.required("what");
        if what.as_ref().is_some_and(Vec::is_empty) {
            let span = fields.span();
            fields
                .diagnostics()
                .error(Code::BadValue, span, "the list of places is empty")
                .help("name some, for example gather: [run_keys, tasks]");
        }
        fields.finish();
        Some(Self { what: what? })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let counts = Os::NAMED.map(|os| script::scripts(&self.what, os).len());
        let most = counts.into_iter().max().unwrap_or(0) as u64;
        Arguments {
            ceiling: Ceiling::Bytes(MAX_OUTPUT as u64),
            ..Arguments::costing(3 * most, most)
        }
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let mut values = Vec::new();
        for script in script::scripts(&self.what, cx.device.os) {
            let output = run(cx, script).await?;
            let mut rows = Vec::new();
            let end = output::read(&output, &mut rows);
            let found = rows.iter().filter(|row| row.cause.is_none());
            values.extend(found.map(value_of));
            cx.rows.extend(rows);
            end?;
        }
        Ok(json!({"found": !values.is_empty(), "values": values}))
    }
}

/// Runs a script and writes down that it ran, whatever came of its output.
async fn run(cx: &mut StepCx<'_>, script: Script) -> Result<Vec<u8>, Cause> {
    let capture = Capture {
        command_line: script.command_line,
        working_directory: None,
        wait: true,
        keep: Keep::Bytes,
        effect: SPEC.effect,
    };
    let Ran { pid, code, output } = capture.run(cx).await?;
    let output = output.map_err(|cause| match cause {
        Cause::TooMuchOutput { limit } => Cause::Script {
            detail: format!("it writes more than {limit} bytes"),
        },
        other => other,
    });
    let output = output.map(|brought| match brought {
        Brought::Bytes(bytes) => bytes,
        Brought::Nothing | Brought::File(_) => Vec::new(),
    });
    let mut row = Row {
        name: Some(SPEC.key.into()),
        size: output.as_ref().ok().map(|bytes| bytes.len() as u64),
        sha256: Some(script.sha256),
        cause: output.as_ref().err().cloned(),
        ..Row::new(RowKind::Exec)
    };
    let places: Vec<&str> = script.places.iter().map(|place| place.word()).collect();
    let told = [
        ("places", json!(places)),
        ("code", json!(code)),
        ("pid", json!(pid)),
    ];
    let told = told.map(|(key, value)| (key.to_owned(), value));
    row.extra.extend(told);
    cx.rows.push(row);
    output
}

/// A row as expressions see it: what stands under `extra` stands beside the rest.
fn value_of(row: &Row) -> Value {
    let mut value = json!({
        "kind": row.kind, "path": row.path, "name": row.name, "type": row.type_, "data": row.data,
        "size": row.size,
    });
    for (key, told) in &row.extra {
        value[key.as_str()] = told.clone();
    }
    if row.kind == RowKind::Process {
        value["command_line"] = json!(row.data);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Os = if cfg!(target_os = "macos") {
        Os::Macos
    } else {
        Os::Linux
    };

    /// What a shell of this host makes of the command line; none where there is no such shell.
    #[cfg(unix)]
    fn gathered(shell: &str, places: &[Place]) -> Option<Vec<Row>> {
        use std::process::Command;
        let script = script::scripts(places, HERE).remove(0);
        let program = shell.split(' ').next().unwrap_or(shell);
        let line = script.command_line.replacen("/bin/sh", shell, 1);
        let line = format!("command -v {program} >/dev/null || exit 99\n{line}");
        let ran = Command::new("/bin/sh").args(["-c", &line]).output();
        let ran = ran.expect("every system has a shell");
        if ran.status.code() == Some(99) {
            return None;
        }
        assert_eq!(String::from_utf8_lossy(&ran.stderr), "", "{shell}");
        let mut rows = Vec::new();
        let end = output::read(&ran.stdout, &mut rows);
        assert_eq!(end, Ok(()), "{shell} {places:?}");
        let wrong: Vec<&Row> = rows.iter().filter(|row| row.cause.is_some()).collect();
        assert!(wrong.is_empty(), "{shell}: {wrong:?}");
        Some(rows)
    }

    #[cfg(unix)]
    #[test]
    fn the_shell_of_this_host_runs_the_script_of_each_place() {
        for (word, place) in Place::CHOICES {
            let rows = gathered("/bin/sh", &[*place]).expect("every system has a shell");
            assert!(rows.iter().all(|row| row.extra["place"] == *word));
        }
    }

    #[cfg(unix)]
    #[test]
    fn all_shells_of_this_host_run_all_of_it() {
        let every: Vec<Place> = Place::CHOICES.iter().map(|(_, place)| *place).collect();
        for shell in ["dash", "bash", "busybox sh"] {
            let Some(rows) = gathered(shell, &every) else {
                continue;
            };
            let has = |place: &str, key: &str, value: Value| {
                let mut rows = rows.iter().filter(|row| row.extra["place"] == place);
                rows.any(|row| row.extra[key] == value)
            };
            assert!(
                has("processes", "pid", json!(std::process::id())),
                "{shell}"
            );
            assert!(has("users", "user", json!("root")), "{shell}");
            let mut words: Vec<&str> = rows
                .iter()
                .filter_map(|row| row.extra["place"].as_str())
                .collect();
            words.dedup();
            let mut known = every.iter().map(|place| place.word());
            let in_order = words.iter().all(|word| known.any(|known| known == *word));
            assert!(in_order, "{shell}: {words:?}");
        }
    }
}
