//! One case: the whole way from playbook to evidence, on simulated devices and a clock that does not wait.

use super::super::exit::Exit;
use super::super::options::Scope;
use super::super::run::{self, Carried};
use super::super::{Failure, backend, conclude, library, plan};
use super::case::{Case, Stage};
use super::files::Suite;
use crate::bundle::Scratch;
use crate::model::device::Device;
use crate::model::outcome::{Cause, DeviceState};
use crate::model::row::Severity;
use crate::model::state::{DeviceRecord, RunState};
use crate::plan::{assets, build};
use crate::sim::books::Books;
use crate::sim::port::SimFleet;
use crate::sim::world::World;
use crate::target::names::Names;
use crate::target::{Selector, Targets};
use crate::text::escape::Escaped;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Devices where a case says nothing of them, as `--simulate 5` would make them.
const USUAL: u32 = 5;

/// What came of a case.
pub(super) struct Trial {
    pub(super) exit: Exit,
    /// Why there was no run.
    pub(super) why: Option<String>,
    pub(super) devices: Vec<Seen>,
    /// What was executed on devices that are none of the run's: there must be nothing.
    pub(super) strays: Vec<String>,
}

/// What came of one device.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) state: Option<DeviceState>,
    pub(super) reason: Option<String>,
    /// Id, how it ended, and why.
    pub(super) steps: Vec<(String, &'static str, Option<String>)>,
    pub(super) findings: Vec<(Severity, String)>,
    /// The paths, on the endpoint, of files that were fetched whole.
    pub(super) files: Vec<String>,
    pub(super) outputs: Map<String, Value>,
    /// What the endpoint executed that may have changed it, in order: the simulator's books, not ours.
    pub(super) executed: Vec<String>,
}

/// Runs a case in a directory that is gone afterwards, on a thread whose clock is its own.
pub(super) fn rehearse(suite: &Suite, case: &Case) -> Result<Trial, Failure> {
    let scratch = Scratch::begin()
        .map_err(|error| Failure::new(Exit::Output, Escaped(&error.to_string()).to_string()))?;
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .map_err(|error| Failure::new(Exit::Bug, format!("cannot start: {error}")))?;
        runtime.block_on(attend(suite, case, scratch.path()))
    };
    let ended = std::thread::scope(|scope| scope.spawn(run).join());
    ended.unwrap_or_else(|_| {
        let name = Escaped(&case.name.value);
        Err(Failure::new(
            Exit::Bug,
            format!("the case `{name}` panicked"),
        ))
    })
}

async fn attend(suite: &Suite, case: &Case, out: &Path) -> Result<Trial, Failure> {
    let targets = targets(&suite.playbook.targets);
    let world = match &case.stage {
        Stage::Made(scenario) => scenario.world(),
        Stage::Usual | Stage::File(_) => World::new(backend::default_fleet(USUAL, &targets)),
    };
    let fleet = SimFleet::new(world.clone());
    let planned = match plan::select(&fleet, &targets).await {
        Ok(planned) => planned,
        Err(failure) => return Ok(Trial::refused(failure.exit, failure.message)),
    };
    let settings = plan::settings(&suite.playbook, &Scope::default());
    let backend = crate::live::Fleet::backend(&fleet);
    let playbook = Arc::clone(&suite.playbook);
    let left_out = settings.selection.left_out(&playbook);
    let files = library::to_send(Path::new(&suite.playbook.source.name));
    let assets = match assets::of(&playbook, &case.inputs, &left_out, &files) {
        Ok(assets) => assets,
        Err(problems) => {
            let why = problems.first().map(|problem| problem.message.clone());
            return Ok(Trial::refused(Exit::Usage, why.unwrap_or_default()));
        }
    };
    let plan = match build(
        playbook,
        case.inputs.clone(),
        settings,
        backend,
        planned,
        assets,
    ) {
        Ok(plan) => plan,
        Err(error) => return Ok(Trial::refused(Exit::Usage, error.to_string())),
    };
    let carried = run::rehearse(plan, Arc::new(fleet), out).await?;
    let books = world.books();
    if books.sessions_open + books.sessions_leaked > 0 {
        let message = format!(
            "the case `{}` left a session open",
            Escaped(&case.name.value)
        );
        return Err(
            Failure::new(Exit::Bug, message).hint("this is a bug in sortie; please report it")
        );
    }
    Trial::of(&carried, &books)
}

/// A playbook without targets means every device of the case.
fn targets(playbook: &Targets) -> Targets {
    let mut targets = playbook.clone();
    if targets.is_empty() {
        let everything = Names::parse(&["*"]).expect("it is a pattern");
        targets.selectors = vec![Selector::Names(everything)];
    }
    targets
}

impl Trial {
    fn refused(exit: Exit, why: String) -> Self {
        Self {
            exit,
            why: Some(why),
            devices: Vec::new(),
            strays: Vec::new(),
        }
    }

    fn of(carried: &Carried, books: &Books) -> Result<Self, Failure> {
        let reported = conclude::report(carried)?;
        let state = &reported.view.state;
        let seen = |device| Seen::of(device, state, carried.dir.path(), books);
        let meant: HashSet<u64> = carried.devices.iter().map(|device| device.id.0).collect();
        let strays = books
            .changes
            .iter()
            .filter(|change| !meant.contains(&change.device))
            .map(|change| format!("{}: {} {}", change.device, change.command, change.what));
        let mut devices: Vec<Seen> = carried.devices.iter().map(seen).collect::<Result<_, _>>()?;
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            exit: reported.exit,
            why: None,
            devices,
            strays: strays.collect(),
        })
    }
}

impl Seen {
    fn of(device: &Device, state: &RunState, dir: &Path, books: &Books) -> Result<Self, Failure> {
        let nothing = DeviceRecord::default();
        let record = state.device(device.id).unwrap_or(&nothing);
        let end = record.state();
        let steps = record.steps.iter().map(|step| {
            let why = step.outcome.cause().map(Cause::summary);
            (step.step.to_string(), step.outcome.word(), why)
        });
        let done = books.done(device.id.0).into_iter();
        let mut seen = Self {
            name: device.name.raw().to_owned(),
            state: end.map(|(state, _)| state),
            reason: end.and_then(|(_, reason)| Some(reason?.summary())),
            steps: steps.collect(),
            findings: record
                .findings
                .iter()
                .map(|finding| (finding.severity, finding.title.clone()))
                .collect(),
            files: Vec::new(),
            outputs: Map::new(),
            executed: done
                .map(|(command, what)| format!("{command} {what}"))
                .collect(),
        };
        if let Some(bag) = record.bag() {
            let data = dir.join(bag).join("data");
            seen.files = read(&data.join("files.ndjson"))?
                .iter()
                .filter(|file| file["state"] == "complete")
                .filter_map(|file| Some(file["original_path"].as_str()?.to_owned()))
                .collect();
            if let Some(Value::Object(outputs)) = read(&data.join("outcome.json"))?
                .pop()
                .map(|mut outcome| outcome["outputs"].take())
            {
                seen.outputs = outputs;
            }
        }
        Ok(seen)
    }
}

/// The values of a file of ours, one on each line.
fn read(path: &Path) -> Result<Vec<Value>, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        let name = path.display().to_string();
        Failure::new(
            Exit::Bug,
            format!("cannot read {}: {error}", Escaped(&name)),
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    serde_json::Deserializer::from_str(&text)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|error| failed(&error))
}
