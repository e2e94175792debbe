//! Ends processes, after their entries are in the bag.
//!
//! `pid`, `name`, `path` and `command_line` say which; where several are given, all must hold. Text is
//! compared exactly, on Windows without case; `glob:…` and `regex:…` are written out. Right before the
//! kill, pid, start time and path must still be those that were found. With `sha256` the program's file is
//! fetched first, and a process of another file is left alone. More than `max` matches end nothing at all,
//! and neither does one that is the sensor or the system itself. The list of processes proves that they
//! have ended. A kill of which nobody heard the end is not repeated.
//!
//! ```yaml
//! name: The miner
//! kill_process: {path: 'C:\Users\Public\xmrig.exe', max: 2}
//! ```

use super::cx::{StepCx, Stop};
use super::guard::{Absent, Hash, Sha256, Waiver, any_of, is_sensor};
use super::list_processes::{all, fields_of, row_of};
use super::{Arguments, Built, Cost, ResultField, Shape, Spec, base_name, there};
use crate::model::command::{Command, Process};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::Cause;
use crate::template::{Bounded, Field, Fields, Scope, Template, TemplateError, Word};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::wildcard;
use crate::text::yaml::Node;
use regex::{Regex, RegexBuilder};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const SPEC: Spec = Spec {
    key: "kill_process",
    summary: "end processes",
    permissions: &[Permission::Kill],
    effect: Effect::Once,
    os: &Os::NAMED,
    commands: &["process list", "get file", "kill"],
    results: &[
        ResultField::new(
            "processes",
            Shape::List,
            "the processes ended, each with the fields that `list_processes` knows",
        ),
        ResultField::new("found", Shape::Flag, "whether there was any process to end"),
    ],
    source: include_str!("kill_process.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<KillProcess>,
};

/// More processes than anybody ends on purpose.
type Most = Bounded<1, 1000>;
const MOST: Most = Most::new(10);

/// Which processes to end.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("anyOf" = [
        {"required": ["pid"]}, {"required": ["name"]}, {"required": ["path"]},
        {"required": ["command_line"]}
    ])
)]
pub struct KillProcess {
    /// The process id.
    pub pid: Option<Field<u32>>,
    /// The file name of the program, such as `xmrig.exe`.
    pub name: Option<Template>,
    /// The whole path of the program.
    pub path: Option<Template>,
    /// The whole command line.
    pub command_line: Option<Template>,
    /// The hash that the program's file must have right before.
    pub sha256: Option<Field<Sha256>>,
    /// Where more match, nothing is ended and the step fails.
    #[schemars(extend("default" = 10))]
    pub max: Field<Most>,
    /// What no match at all means for the step.
    #[schemars(with = "Word<Absent>", extend("default" = "ok"))]
    pub if_missing: Absent,
    /// The entries are kept first, unless this says why not.
    pub evidence: Option<Waiver>,
}

impl KillProcess {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Self {
        let mut fields = Fields::new(node, SPEC.key, all);
        let step = Self {
            pid: fields.optional("pid"),
            name: fields.optional("name"),
            path: fields.optional("path"),
            command_line: fields.optional("command_line"),
            sha256: fields.optional("sha256"),
            max: fields.or("max", Field::Literal(MOST)),
            if_missing: fields.or("if_missing", Absent::Ok),
            evidence: fields.optional("evidence"),
        };
        any_of(
            &mut fields,
            SPEC.key,
            &["pid", "name", "path", "command_line"],
            "say which processes are to end, for example path: 'C:\\evil.exe'",
        );
        for (key, template) in step.texts() {
            let written = template
                .as_literal()
                .map(|text| Wanted::of(key, text, Os::Other));
            if let Some(Err(why)) = written {
                fields
                    .diagnostics()
                    .error(Code::BadValue, template.span(), why);
            }
        }
        fields.finish();
        step
    }

    fn texts(&self) -> impl Iterator<Item = (&'static str, &Template)> {
        let texts = [
            (NAME, &self.name),
            (PATH, &self.path),
            (COMMAND_LINE, &self.command_line),
        ];
        texts
            .into_iter()
            .filter_map(|(key, template)| Some((key, template.as_ref()?)))
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let pid = self.pid.iter().flat_map(Field::references);
        let sha256 = self.sha256.iter().flat_map(Field::references);
        let contents = u64::from(self.sha256.is_some());
        Arguments {
            others: pid.chain(sha256).chain(self.max.references()).collect(),
            cost: Cost {
                // Three looks, and one process.
                commands: 4 + contents,
                contents,
                uploads: 0,
                open_ended: true,
            },
            ..Arguments::default()
                .with(NAME, &self.name)
                .with(PATH, &self.path)
                .with(COMMAND_LINE, &self.command_line)
        }
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let wanted = self.wanted(cx.scope, cx.device.os)?;
        let guard = self.sha256.as_ref().map(|hash| hash.resolve(cx.scope));
        let guard = guard.transpose()?;
        let most = u64::from(self.max.resolve(cx.scope)?.get());
        let running = all(cx).await?;
        let mut ended = ended_before(cx.hands.has_run(), &running);
        let found: Vec<Process> = (running.into_iter())
            .filter(|process| wanted.fits(process))
            .collect();
        if found.is_empty() {
            return self.nothing(&ended, &wanted);
        }
        if found.len() as u64 > most {
            return Err(Cause::TooMany { limit: most }.into());
        }
        if let Some(process) = found.iter().find(|process| is_protected(process)) {
            return Err(Cause::Protected {
                what: told(process).into(),
            }
            .into());
        }
        let meant = self.meant(cx, found, guard.as_ref()).await?;
        let now = all(cx).await?;
        let meant: Vec<Process> = (meant.into_iter())
            .filter(|one| now.iter().any(|other| is_same(one, other)))
            .collect();
        let refused = end(cx, &meant).await?;
        let left = left(cx, &meant).await?;
        ended.extend(
            meant
                .iter()
                .filter(|one| !left.contains(one))
                .map(fields_of),
        );
        if let Some(process) = left.first() {
            let what = told(process).into();
            return Err(refused.unwrap_or(Cause::StillThere { what }).into());
        }
        Ok(json!({"found": true, "processes": ended}))
    }

    /// What the author means, with every value in its place.
    fn wanted(&self, scope: &Scope, os: Os) -> Result<Wanted, TemplateError> {
        let pid = self.pid.as_ref().map(|pid| pid.resolve(scope));
        let mut wanted = Wanted {
            pid: pid.transpose()?.map(u64::from),
            texts: Vec::new(),
        };
        for (key, template) in self.texts() {
            let text = Wanted::of(key, &template.render(scope)?, os);
            let text = text.map_err(|why| TemplateError::new(Code::BadValue, template.span(), why));
            wanted.texts.push((key, text?));
        }
        Ok(wanted)
    }

    fn nothing(&self, ended: &[Value], wanted: &Wanted) -> Result<Value, Stop> {
        if self.if_missing == Absent::Fail && ended.is_empty() {
            let what = wanted.shown().into();
            return Err(Cause::Missing { what }.into());
        }
        Ok(json!({"found": !ended.is_empty(), "processes": ended}))
    }

    /// Those of them whose file is the one that is meant; all are in the rows.
    async fn meant(
        &self,
        cx: &mut StepCx<'_>,
        found: Vec<Process>,
        guard: Option<&Sha256>,
    ) -> Result<Vec<Process>, Stop> {
        let mut rows = Vec::new();
        for process in &found {
            let mut row = row_of(process, &fields_of(process));
            row.extra.insert(there::KEPT_BEFORE.into(), SPEC.key.into());
            rows.push(match &self.evidence {
                Some(waiver) => there::waive(row, SPEC.key, waiver),
                None => row,
            });
        }
        let Some(Hash(hash)) = guard else {
            cx.rows.extend(rows);
            return Ok(found);
        };
        let mut hashes = BTreeMap::new();
        let (mut meant, mut other) = (Vec::new(), None);
        for (process, mut row) in found.into_iter().zip(rows) {
            let path = process.path.raw();
            if !hashes.contains_key(path) {
                let file = there::keep(cx, SPEC.key, path, None).await?;
                hashes.insert(path.to_owned(), file.sha256);
            }
            let found = hashes[path].clone();
            if found == *hash {
                meant.push(process);
            } else {
                let cause = Cause::OtherHash {
                    what: process.path,
                    found,
                    meant: hash.clone(),
                };
                row.cause = Some(cause.clone());
                other.get_or_insert(cause);
            }
            cx.rows.push(row);
        }
        match other {
            Some(cause) if meant.is_empty() => Err(Stop::Skipped(cause)),
            _ => Ok(meant),
        }
    }
}

const NAME: &str = "name";
const PATH: &str = "path";
const COMMAND_LINE: &str = "command_line";

/// How often to look whether a process has ended, and how long to wait in between.
const LOOKS: u32 = 5;
const BETWEEN: Duration = Duration::from_secs(1);

/// What a process must be to be ended.
struct Wanted {
    pid: Option<u64>,
    texts: Vec<(&'static str, Text)>,
}

/// How a text is compared.
enum Text {
    Exactly { text: String, os: Os },
    Glob { pattern: String, os: Os },
    Regex(Regex),
}

impl Wanted {
    /// What an author wrote, or why nothing can be meant by it.
    fn of(key: &str, text: &str, os: Os) -> Result<Text, String> {
        if let Some(pattern) = text.strip_prefix("regex:") {
            let built = RegexBuilder::new(pattern)
                .case_insensitive(os == Os::Windows)
                .build();
            return match built {
                Ok(regex) => Ok(Text::Regex(regex)),
                Err(_) => Err(format!("`{key}` is no regular expression: `{pattern}`")),
            };
        }
        let (text, is_glob) = match text.strip_prefix("glob:") {
            Some(pattern) => (fold(pattern, os), true),
            None => (fold(text, os), false),
        };
        if text.is_empty() {
            return Err(format!("`{key}` is empty, which no process is called"));
        }
        Ok(if is_glob {
            Text::Glob { pattern: text, os }
        } else {
            Text::Exactly { text, os }
        })
    }

    fn fits(&self, process: &Process) -> bool {
        let path = process.path.raw();
        let texts = self.texts.iter();
        let mut texts = texts.map(|(key, text)| match *key {
            NAME => text.fits(base_name(path)),
            PATH => text.fits(path),
            _ => text.fits(process.command_line.raw()),
        });
        self.pid.is_none_or(|pid| pid == process.pid) && texts.all(|fits| fits)
    }

    /// As an author reads it.
    fn shown(&self) -> String {
        let pid = self.pid.map(|pid| format!("pid {pid}"));
        let texts = self.texts.iter().map(|(key, text)| match text {
            Text::Exactly { text, .. } => format!("{key} {text}"),
            Text::Glob { pattern, .. } => format!("{key} glob:{pattern}"),
            Text::Regex(regex) => format!("{key} regex:{regex}"),
        });
        let all: Vec<String> = pid.into_iter().chain(texts).collect();
        format!("a process with {}", all.join(", "))
    }
}

impl Text {
    fn fits(&self, found: &str) -> bool {
        match self {
            Self::Exactly { text, os } => fold(found, *os) == *text,
            Self::Glob { pattern, os } => wildcard::fits(pattern, &fold(found, *os)),
            Self::Regex(regex) => regex.is_match(found),
        }
    }
}

fn fold(text: &str, os: Os) -> String {
    if os == Os::Windows {
        text.to_lowercase()
    } else {
        text.to_owned()
    }
}

/// The idle process, the kernel, the first process of a system, and the sensor.
fn is_protected(process: &Process) -> bool {
    matches!(process.pid, 0 | 1 | 4) || is_sensor(process.path.raw())
}

fn told(process: &Process) -> String {
    format!("process {} {}", process.pid, process.path.raw())
}

/// A number is given to another process once the first has ended.
fn is_same(one: &Process, other: &Process) -> bool {
    (one.pid, one.created, &one.path) == (other.pid, other.created, &other.path)
}

/// Ends them one after the other; gives the first refusal of the endpoint.
async fn end(cx: &mut StepCx<'_>, meant: &[Process]) -> Result<Option<Cause>, Cause> {
    let mut refused = None;
    for process in meant {
        let kill = Command::Kill {
            pid: process.pid,
            created: process.created,
            path: process.path.clone(),
        };
        match cx.hands.command(kill, SPEC.effect).await {
            // One that has ended by itself is refused too; the looks afterwards tell.
            Err(cause) if cause.is_refusal() => drop(refused.get_or_insert(cause)),
            other => drop(other?),
        }
    }
    Ok(refused)
}

/// Those that do not end, after a few looks.
async fn left(cx: &mut StepCx<'_>, meant: &[Process]) -> Result<Vec<Process>, Cause> {
    let mut left = meant.to_vec();
    for look in 0..LOOKS {
        if left.is_empty() {
            break;
        }
        if look > 0 {
            cx.hands.wait(BETWEEN).await?;
        }
        match all(cx).await {
            Ok(now) => left.retain(|one| now.iter().any(|other| is_same(one, other))),
            // The step is not run again for a look that failed: something has ended already.
            Err(Cause::SessionLost) if look + 1 < LOOKS => cx.hands.renew().await?,
            Err(cause) if cause.is_transient() && look + 1 < LOOKS => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(left)
}

/// What this step ended before it was run again.
fn ended_before(ran: &[Command], running: &[Process]) -> Vec<Value> {
    let runs = |pid: u64, created| {
        let mut running = running.iter();
        running.any(|process| (process.pid, process.created) == (pid, created))
    };
    let killed = ran.iter().filter_map(|command| match command {
        Command::Kill { pid, created, path } if !runs(*pid, *created) => Some(json!({
            "pid": pid, "parent_pid": null, "path": path, "name": base_name(path.raw()),
            "command_line": "", "user": "", "created": created,
        })),
        _ => None,
    });
    killed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u64, path: &str) -> Process {
        Process {
            pid,
            parent_pid: None,
            path: path.into(),
            command_line: format!("{path} -o pool").into(),
            user: "".into(),
            created: None,
        }
    }

    #[test]
    fn what_was_ended_before_counts_unless_it_runs_still() {
        let kill = |pid| Command::Kill {
            pid,
            created: None,
            path: r"C:\T\a.exe".into(),
        };
        let ran = [kill(8), Command::ProcessList, kill(12)];
        let ended = ended_before(&ran, &[process(12, r"C:\T\a.exe")]);
        let told: Vec<_> = ended
            .iter()
            .map(|one| (&one["pid"], &one["name"]))
            .collect();
        assert_eq!(told, [(&json!(8), &json!("a.exe"))]);
    }

    #[test]
    fn a_text_is_compared_as_its_system_does() {
        let path = r"C:\Users\Public\Miner.exe";
        let table = [
            (NAME, "miner.EXE", Os::Windows, true),
            (NAME, "miner.EXE", Os::Linux, false),
            (NAME, "iner.exe", Os::Windows, false),
            (NAME, "glob:M*.exe", Os::Linux, true),
            (PATH, r"c:\users\public\miner.exe", Os::Windows, true),
            (PATH, r"glob:c:\users\*", Os::Windows, true),
            (PATH, "regex:public.m", Os::Windows, true),
            (PATH, "regex:public.m", Os::Linux, false),
            (COMMAND_LINE, "glob:*-o*", Os::Windows, true),
        ];
        for (key, text, os, fits) in table {
            let text = Wanted::of(key, text, os).expect("it means something");
            let wanted = Wanted {
                pid: None,
                texts: vec![(key, text)],
            };
            assert_eq!(wanted.fits(&process(8, path)), fits, "{}", wanted.shown());
        }
        for text in ["", "glob:", "regex:("] {
            assert!(Wanted::of(NAME, text, Os::Windows).is_err(), "{text}");
        }
    }

    #[test]
    fn the_system_and_the_sensor_are_known() {
        for (pid, path, is_it) in [
            (4, "", true),
            (1, "/usr/lib/systemd/systemd", true),
            (900, r"C:\Program Files\Confer\RepMgr.exe", true),
            (900, r"C:\Users\Public\RepMgr.exe", false),
        ] {
            assert_eq!(is_protected(&process(pid, path)), is_it, "{pid} {path}");
        }
    }
}
