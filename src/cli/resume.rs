//! `sortie resume`: goes on with a run, in its own directory, with the plan that was approved.
//!
//! It takes no playbook. What was done stays done, and an unknown outcome is nobody's to repeat.

use super::backend::Backend;
use super::conclude::{self, conclude};
use super::exit::Exit;
use super::options::{Scope, Simulated};
use super::output::Output;
use super::run::{Begun, Carried, OUT, conduct, leave, refuse_changes, shown};
use super::{Failure, again, load, options, past, plan, run};
use crate::bundle::{DiskError, RunDir};
use crate::ledger::Ledger;
use crate::ledger::journal::{self, JournalError, Reopened};
use crate::ledger::resume::{Rest, Wish, remaining};
use crate::model::device::Device;
use crate::model::event::{EventKind, Ruling};
use crate::model::id::{DeviceId, StepId};
use crate::model::outcome::DeviceState;
use crate::model::state::RunState;
use crate::plan::Plan;
use crate::plan::document::{DeviceLine, Document};
use crate::playbook::used::Unavailable;
use crate::text::escape::Escaped;
use crate::text::json;
use crate::text::words::{Count, List};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A run's description is small.
const LARGEST_ABOUT: usize = 1 << 20;
/// Whoever wants a run to end puts a file of this name into its directory.
const STOP: &str = "STOP";

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// A run directory, or the id of a run below --out.
    run: PathBuf,
    /// Try the steps again that failed, on the devices where they did.
    #[arg(long)]
    retry_failed: bool,
    /// Where run directories are.
    #[arg(long, default_value = OUT, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    /// A run directory, or the id of a run below --out.
    run: PathBuf,
    /// The device, by its id or its name.
    device: String,
    /// The step whose outcome is unknown.
    step: String,
    /// What came of it.
    #[arg(long = "as", value_enum, value_name = "WHAT")]
    ruling: Word,
    /// How you know.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Where run directories are.
    #[arg(long, default_value = OUT, value_name = "DIR")]
    out: PathBuf,
}

/// What a person says of a step.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    /// It happened.
    Done,
    /// It did not happen, and may be done by a resume.
    NotDone,
}

/// A run that was made before, held by this process.
struct Earlier {
    dir: RunDir,
    document: Document,
    about: About,
    state: RunState,
    journal: Reopened,
}

/// The parts of `run.json` that a resume needs.
#[derive(Deserialize)]
struct About {
    started: Timestamp,
    options: Options,
}

#[derive(Deserialize)]
struct Options {
    simulate: Option<Simulate>,
}

/// `--simulate`, as it was typed.
#[derive(Deserialize)]
#[serde(untagged)]
enum Simulate {
    Count(u32),
    Named(String),
}

impl Simulate {
    fn again(&self) -> Option<Simulated> {
        match self {
            Self::Count(count) => Some(Simulated::Count(*count)),
            Self::Named(text) => options::simulated(text).ok(),
        }
    }
}

pub(super) async fn resume(
    args: &ResumeArgs,
    scope: &Scope,
    output: &Output,
) -> Result<Exit, Failure> {
    refuse_choice(scope)?;
    let earlier = take_over(&past::directory(&args.run, &args.out))?;
    // Whatever it is: a link that leads nowhere was put there as well.
    if earlier.dir.path().join(STOP).symlink_metadata().is_ok() {
        let path = earlier.dir.path().join(STOP).display().to_string();
        let message = format!(
            "{} is there: somebody wants the run to stay stopped",
            Escaped(&path)
        );
        return Err(Failure::new(Exit::Usage, message).hint("remove the file, and resume again"));
    }
    let mut scope = scope.clone();
    if scope.simulate.is_none() && scope.profile.is_none() && scope.credentials.is_none() {
        let simulate = &earlier.about.options.simulate;
        scope.simulate = simulate.as_ref().and_then(Simulate::again);
    }
    let wish = if args.retry_failed {
        Wish::RetryFailed
    } else {
        Wish::GoOn
    };
    let assets = earlier.dir.path().join("assets");
    let stored = |path: &str| {
        let mut lines = earlier.document.assets.iter();
        let line = lines
            .find(|line| line.path == path)
            .ok_or(Unavailable::Missing)?;
        let most = usize::try_from(line.size).unwrap_or(usize::MAX);
        load::bytes(&assets.join(&line.sha256), most)
            .map_err(|error| Unavailable::Unreadable(error.to_string()))
    };
    let (plan, backend) = plan::revive(&earlier.document, &stored, &scope, output).await?;
    go_on(earlier, wish, plan, backend, &scope, output).await
}

/// Nobody who asks for fewer devices or steps may get all of them.
fn refuse_choice(scope: &Scope) -> Result<(), Failure> {
    let given = [
        ("--targets", !scope.targets.is_empty()),
        ("--limit", !scope.limit.is_empty()),
        ("--exclude", !scope.exclude.is_empty()),
        ("--max-sessions", scope.max_sessions.is_some()),
        ("--tags", !scope.tags.is_empty()),
        ("--skip-tags", !scope.skip_tags.is_empty()),
        ("--start-at", scope.start_at.is_some()),
    ];
    let Some((option, _)) = given.iter().find(|(_, is_given)| *is_given) else {
        return Ok(());
    };
    let message =
        format!("{option}: a resume goes on with the plan of the run, as it was approved");
    Err(Failure::new(Exit::Usage, message).hint("leave it out, or begin another run"))
}

async fn go_on(
    earlier: Earlier,
    wish: Wish,
    plan: Plan,
    backend: Backend,
    scope: &Scope,
    output: &Output,
) -> Result<Exit, Failure> {
    let ids = plan.devices.iter().map(|planned| planned.device.id);
    let rest = remaining(ids, &earlier.state, wish, &|step| {
        plan.playbook.is_main(step)
    });
    let is_open = |id: &DeviceId| {
        let record = earlier.state.device(*id);
        record.is_some_and(|record| !record.open.is_empty())
    };
    let left = rest
        .iter()
        .filter(|(id, rest)| **rest != Rest::Nothing || is_open(id))
        .count();
    let Backend { fleet, simulator } = backend;
    if left == 0 && earlier.state.is_over() {
        Output::say(&nothing_left(&earlier.state, wish));
        let carried = Carried {
            run_id: earlier.dir.id().clone(),
            devices: devices(&plan),
            simulated: plan.backend.simulated,
            playbook: plan.playbook,
            dir: earlier.dir,
            took: Duration::ZERO,
        };
        let ended = conclude(&|_| Ok(()), scope, &carried, output);
        return leave(simulator, ended).await;
    }
    refuse_changes(&plan, "resume", scope)?;
    let of = Count(plan.devices.len() as u64, "device");
    let dir = earlier.dir.path().display().to_string();
    Output::say(&format!(
        "{}, going on: {left} of {of} left; evidence goes to {}",
        Escaped(&plan.playbook.name),
        Escaped(&dir)
    ));
    if simulator.is_some() {
        Output::say("the simulator is a new one: it remembers nothing of what was done before");
    }
    let (events, inbox) = mpsc::unbounded_channel();
    let begun = begin(earlier, &plan, rest, events).await?;
    let shown = Some((shown(scope, output), inbox));
    let ended = Box::pin(conduct(begun, plan, Arc::new(fleet), shown)).await;
    let ended = ended.and_then(|carried| conclude(&|_| Ok(()), scope, &carried, output));
    leave(simulator, ended).await
}

/// Nothing is left, but somebody may want more than a resume does by itself.
fn nothing_left(state: &RunState, wish: Wish) -> String {
    let counts = state.counts();
    let any = |wanted: &[DeviceState]| wanted.iter().any(|state| counts.contains_key(state));
    let more = if any(&[DeviceState::Unknown]) {
        "; what is unknown waits for `sortie resolve`"
    } else if wish == Wish::GoOn && any(&[DeviceState::Failed, DeviceState::Partial]) {
        "; --retry-failed tries again what failed"
    } else {
        ""
    };
    format!("nothing is left to do{more}")
}

/// Goes on with the journal, and says so in it.
async fn begin(
    earlier: Earlier,
    plan: &Plan,
    rest: std::collections::BTreeMap<DeviceId, Rest>,
    events: mpsc::UnboundedSender<crate::model::event::RunEvent>,
) -> Result<Begun, Failure> {
    let Reopened { file, tail, mended } = earlier.journal;
    let (ledger, writer) = Ledger::go_on(Box::new(file), earlier.state, &tail, Some(events));
    let ledger = ledger.without(&plan.secrets);
    let mended = mended.map(|(bytes, file)| EventKind::JournalMended { bytes, file });
    let resumed = EventKind::RunResumed {
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    for event in mended.into_iter().chain([resumed]) {
        (ledger.record(event).await)
            .map_err(|cause| Failure::new(Exit::Output, cause.summary()))?;
    }
    Ok(Begun {
        run_id: earlier.dir.id().clone(),
        started: earlier.about.started,
        dir: earlier.dir,
        ledger,
        writer,
        rest: Some(rest),
    })
}

/// Takes a run over that no other process works on, and reads what it did.
fn take_over(path: &Path) -> Result<Earlier, Failure> {
    let file = path.join(past::JOURNAL);
    if !file.is_file() {
        return Err(past::no_run(path));
    }
    let dir = RunDir::open(path).map_err(|error| match &error {
        DiskError::InUse { .. } => {
            Failure::new(Exit::Locked, Escaped(&error.to_string()).to_string())
                .hint("wait until it has ended; `sortie show` tells how far it is")
        }
        _ => Failure::new(Exit::Output, Escaped(&error.to_string()).to_string()),
    })?;
    let document = past::document(path)?;
    let about = path.join("run.json");
    let bytes = load::bytes(&about, LARGEST_ABOUT)
        .map_err(|error| past::unreadable(&about, &error.to_string()))?;
    let about = serde_json::from_slice(&bytes)
        .map_err(|error| past::unreadable(&about, &error.to_string()))?;
    let mut state = RunState::new(document.devices.iter().map(|line| line.id));
    let mut first = None;
    let journal = journal::reopen(&file, |event| {
        if let (
            0,
            EventKind::RunStarted {
                format,
                plan_sha256,
                ..
            },
        ) = (event.n, &event.ev)
        {
            first = Some((format.clone(), plan_sha256.clone()));
        }
        state.apply(&event);
    })
    .map_err(|error| broken(&file, &error))?;
    match first {
        Some((format, _)) if format != journal::FORMAT => {
            let message = format!(
                "the journal's format is {}, and this sortie knows {}",
                Escaped(&format),
                journal::FORMAT
            );
            return Err(Failure::new(Exit::Unreadable, message)
                .hint("go on with the version that made the run"));
        }
        Some((_, plan)) if plan == document.sha256 => {}
        _ => {
            let message = "the plan in the run directory is not the one that the journal names";
            return Err(Failure::new(Exit::Refused, message)
                .hint("nothing was sent; somebody changed the run directory"));
        }
    }
    Ok(Earlier {
        dir,
        document,
        about,
        state,
        journal,
    })
}

fn broken(path: &Path, error: &JournalError) -> Failure {
    let failure = past::unreadable(path, &error.to_string());
    match error {
        JournalError::Io(_) => failure,
        _ => failure
            .hint("it was changed after it was written, or the disk is bad; nothing was sent"),
    }
}

fn devices(plan: &Plan) -> Vec<Device> {
    let planned = plan.devices.iter();
    planned.map(|planned| planned.device.clone()).collect()
}

/// Writes down what a person says came of a step.
pub(super) async fn resolve(
    args: &ResolveArgs,
    scope: &Scope,
    output: &Output,
) -> Result<Exit, Failure> {
    let earlier = take_over(&past::directory(&args.run, &args.out))?;
    if args.reason.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, "--reason is empty")
            .hint("say how you know: it stays in the journal"));
    }
    let line = named(&earlier.document.devices, &args.device)?;
    let (device, name) = (line.id, Escaped(line.name.raw()).to_string());
    let step = StepId::from(args.step.as_str());
    let record = earlier.state.device(device);
    if !record.is_some_and(|record| record.unknowns().any(|one| *one == step)) {
        let message = format!(
            "the outcome of {} on {name} is not unknown",
            Escaped(&args.step)
        );
        return Err(Failure::new(Exit::Usage, message)
            .hint("`sortie show` lists what is; an outcome that is known is nobody's to change"));
    }
    let document = &earlier.document;
    let library = |path: &str| {
        let text = document.used.get(path).ok_or(Unavailable::Missing)?;
        Ok(text.clone().into_bytes())
    };
    let Reopened { file, tail, mended } = earlier.journal;
    let (ledger, writer) = Ledger::go_on(Box::new(file), earlier.state, &tail, None);
    let resolved = EventKind::StepResolved {
        device,
        step,
        ruling: match args.ruling {
            Word::Done => Ruling::Done,
            Word::NotDone => Ruling::NotDone,
        },
        reason: args.reason.clone(),
        by: run::operator(),
    };
    let failed = |cause: crate::model::outcome::Cause| Failure::new(Exit::Output, cause.summary());
    let mended = mended.map(|(bytes, file)| EventKind::JournalMended { bytes, file });
    for event in mended.into_iter().chain([resolved]) {
        ledger.record(event).await.map_err(failed)?;
    }
    let is_open = ledger
        .state()
        .device(device)
        .is_some_and(|record| record.end.is_none());
    drop(ledger);
    writer.finish().await.map_err(failed)?;
    // What is told of the run changes with it.
    let carried = Carried {
        run_id: earlier.dir.id().clone(),
        playbook: load::playbook(
            &document.path,
            document.playbook.as_bytes(),
            &library,
            output,
        )?,
        simulated: document.backend.simulated,
        devices: document
            .devices
            .iter()
            .map(DeviceLine::last_known)
            .collect(),
        dir: earlier.dir,
        took: Duration::ZERO,
    };
    let reported = conclude::report(&carried)?;
    Output::say(&if is_open {
        let typed = again::resume(carried.dir.path(), scope, Wish::GoOn);
        format!("{name} is outstanding now, and this goes on with it: {typed}")
    } else {
        format!("{name}: noted")
    });
    if scope.json {
        Output::result(&json::line(&reported.summary));
    }
    Ok(Exit::Ok)
}

/// The device of a run that is meant by its id, or by a name that no other has.
fn named<'a>(devices: &'a [DeviceLine], word: &str) -> Result<&'a DeviceLine, Failure> {
    if let Some(line) = devices.iter().find(|line| line.id.to_string() == word) {
        return Ok(line);
    }
    let is_named = |line: &&DeviceLine| line.name.raw().eq_ignore_ascii_case(word);
    let found: Vec<&DeviceLine> = devices.iter().filter(is_named).collect();
    match found.as_slice() {
        [line] => Ok(line),
        [] => {
            let message = format!("the run has no device {}", Escaped(word));
            Err(Failure::new(Exit::Usage, message).hint("`sortie show` lists its devices"))
        }
        lines => {
            let ids: Vec<String> = lines.iter().map(|line| line.id.to_string()).collect();
            let message = format!(
                "{} devices of the run are called {}",
                ids.len(),
                Escaped(word)
            );
            let hint = format!("name it by its id: {}", List::or(&ids));
            Err(Failure::new(Exit::Usage, message).hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_that_two_devices_have_is_no_name_of_one() {
        let line = |id: u64, name: &str| -> DeviceLine {
            serde_json::from_value(
                json!({"id": id, "name": name, "os": "windows", "registered": null, "values": []}),
            )
            .unwrap()
        };
        // Somebody named a device like another's number.
        let devices = [
            line(1, "WS-1"),
            line(2, "ws-2"),
            line(3, "WS-2"),
            line(4, "1"),
        ];
        let id = |word: &str| named(&devices, word).map(|line| line.id.0);
        assert_eq!(id("ws-1").unwrap(), 1);
        assert_eq!(id("1").unwrap(), 1);
        assert_eq!(id("3").unwrap(), 3);
        let failure = id("ws-2").unwrap_err();
        assert_eq!(failure.message, "2 devices of the run are called ws-2");
        assert_eq!(failure.hint.unwrap(), "name it by its id: 2 or 3");
        assert_eq!(id("ws-3").unwrap_err().exit.code(), 2);
    }
}
