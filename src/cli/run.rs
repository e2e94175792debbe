//! `sortie run`: a playbook on its devices, end to end.

use super::backend::{Backend, Simulator};
use super::conclude::{ShowEnd, conclude};
use super::exit::Exit;
use super::options::Scope;
use super::output::Output;
use super::plan::Purpose;
use super::{Failure, plan, vigil};
use crate::bundle::{self, DiskError, Draft, Leases, RunDir};
use crate::clock;
use crate::config::state;
use crate::ledger::resume::Rest;
use crate::ledger::{Ledger, Writer, journal};
use crate::live::Fleet;
use crate::model::device::Device;
use crate::model::event::{EventKind, RunEvent};
use crate::model::id::{DeviceId, RunId};
use crate::plan::Plan;
use crate::plan::document::Document;
use crate::playbook::Playbook;
use crate::run::cancel::Cancel;
use crate::run::execute;
use crate::run::job::Job;
use crate::step::cx::PIECE;
use crate::text::escape::Escaped;
use crate::text::json;
use crate::ui::progress::{Show, watch};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Where run directories are made unless said otherwise.
pub(super) const OUT: &str = "runs";

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The playbook to run.
    #[arg(required_unless_present = "plan")]
    playbook: Option<PathBuf>,
    /// Run a plan that `sortie plan -o` saved, as it was approved.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["playbook", "targets", "limit", "exclude", "max_sessions", "tags", "skip_tags", "start_at"])]
    plan: Option<PathBuf>,
    #[command(flatten)]
    about: About,
}

/// What every run is told about itself.
#[derive(Debug, Default, Args)]
pub(super) struct About {
    /// Where run directories are made.
    #[arg(long, default_value = OUT, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// The case that the run belongs to.
    #[arg(long, env = "SORTIE_CASE", value_name = "ID")]
    case: Option<String>,
    /// Why the run is made.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// A run that somebody asked for.
pub(super) struct Asked<'a> {
    pub(super) command: &'static str,
    pub(super) about: &'a About,
    pub(super) show: ShowEnd<'a>,
}

pub(super) async fn run(args: RunArgs, scope: &Scope, output: &Output) -> Result<Exit, Failure> {
    writable(&args.about)?;
    let (plan, backend) = match (&args.plan, &args.playbook) {
        (Some(saved), _) => plan::reopen(saved, scope, output).await?,
        (None, Some(playbook)) => plan::make(playbook, Purpose::Run, scope, output).await?,
        (None, None) => {
            return Err(Failure::new(
                Exit::Usage,
                "name a playbook, or a plan with --plan",
            ));
        }
    };
    let asked = Asked {
        command: "run",
        about: &args.about,
        show: &|_| Ok(()),
    };
    perform(&asked, plan, backend, scope, output).await
}

/// Finds out before anything is sent whether a run directory can be made.
pub(super) fn writable(about: &About) -> Result<(), Failure> {
    bundle::probe(&about.out).map_err(|error| unwritable(&error))
}

/// From a plan to the exit code, with everything that is shown on the way.
pub(super) async fn perform(
    asked: &Asked<'_>,
    plan: Plan,
    backend: Backend,
    scope: &Scope,
    output: &Output,
) -> Result<Exit, Failure> {
    refuse_changes(&plan, asked.command, scope)?;
    let Backend { fleet, simulator } = backend;
    let show = shown(scope, output);
    let ended = Box::pin(carry_out(
        asked.about,
        scope,
        plan,
        Arc::new(fleet),
        Some(show),
    ))
    .await;
    let ended = ended.and_then(|carried| conclude(asked.show, scope, &carried, output));
    leave(simulator, ended).await
}

/// Ends the simulator of a run, if there is one.
pub(super) async fn leave(
    simulator: Option<Simulator>,
    ended: Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    match (simulator, &ended) {
        // Whoever leaves at the second signal leaves sessions behind knowingly.
        (Some(simulator), Ok(exit)) if !exit.is_interrupt() => simulator.close().await?,
        _ => {}
    }
    ended
}

/// How whoever looks on is told.
pub(super) const fn shown(scope: &Scope, output: &Output) -> Show {
    match (scope.json, output.is_terminal) {
        (true, false) => Show::Nothing,
        (_, true) => Show::Terminal,
        (false, false) => Show::Plain,
    }
}

/// The rails that would guard a change are not built yet, so nothing changes a real device.
pub(super) fn refuse_changes(plan: &Plan, command: &str, scope: &Scope) -> Result<(), Failure> {
    let Some(step) = plan.changing().next() else {
        return Ok(());
    };
    if scope.simulate.is_some() {
        return Ok(());
    }
    let message = format!(
        "the step `{}` may change the endpoint, and this version runs such steps on simulated devices only",
        step.id
    );
    let hint = match (command, step.kind.spec().key) {
        ("exec", _) => {
            "if the command only reads, say so: --effect read; or rehearse with --simulate"
        }
        (_, "exec" | "run_tool") => {
            "if the command only reads, say so: effect: read; or rehearse with --simulate"
        }
        _ => "leave it out, or rehearse with --simulate",
    };
    Err(Failure::new(Exit::Refused, message).hint(hint))
}

/// How runs of ours on this machine keep out of each other's way. Simulated devices are each run's own.
fn leases(plan: &Plan) -> Option<Leases> {
    if plan.backend.simulated {
        return None;
    }
    let why = match state::directory(&|name| std::env::var(name).ok()) {
        Some(path) => match Leases::at(&path) {
            Ok(leases) => return Some(leases),
            Err(error) => error.to_string(),
        },
        None => "there is no state directory".to_owned(),
    };
    Output::say(&format!(
        "warning: {}: other runs of sortie cannot see which devices this one works on",
        Escaped(&why)
    ));
    None
}

pub(super) fn unwritable(error: &DiskError) -> Failure {
    let failure = Failure::new(
        Exit::of_disk(error),
        Escaped(&error.to_string()).to_string(),
    );
    match error {
        DiskError::InUse { .. } => failure.hint("wait for it; `sortie show` tells how far it is"),
        _ => failure.hint("choose another directory with --out"),
    }
}

/// A run that came to its end.
pub(super) struct Carried {
    pub(super) run_id: RunId,
    pub(super) playbook: Arc<Playbook>,
    pub(super) simulated: bool,
    pub(super) devices: Vec<Device>,
    pub(super) dir: RunDir,
    pub(super) took: Duration,
}

/// The same way from a plan to its evidence, below `out`, with nobody looking on.
pub(super) async fn rehearse(
    plan: Plan,
    fleet: Arc<dyn Fleet>,
    out: &Path,
) -> Result<Carried, Failure> {
    let about = About {
        out: out.to_owned(),
        case: None,
        reason: None,
    };
    Box::pin(carry_out(&about, &Scope::default(), plan, fleet, None)).await
}

/// Whoever looks on is shown how it goes, and can end it with a signal.
async fn carry_out(
    about: &About,
    scope: &Scope,
    plan: Plan,
    fleet: Arc<dyn Fleet>,
    show: Option<Show>,
) -> Result<Carried, Failure> {
    let (events, inbox) = mpsc::unbounded_channel();
    let begun = open(about, scope, &plan, show.map(|_| events)).await?;
    if show.is_some() {
        announce(&plan, begun.dir.path());
    }
    Box::pin(conduct(begun, plan, fleet, show.map(|show| (show, inbox)))).await
}

/// A run that may go on: its directory is held, and its journal written.
pub(super) struct Begun {
    pub(super) run_id: RunId,
    pub(super) started: Timestamp,
    pub(super) dir: RunDir,
    pub(super) ledger: Ledger,
    pub(super) writer: Writer,
    /// What an earlier process left to do.
    pub(super) rest: Option<BTreeMap<DeviceId, Rest>>,
}

/// From the first device to the last event.
pub(super) async fn conduct(
    begun: Begun,
    plan: Plan,
    fleet: Arc<dyn Fleet>,
    shown: Option<(Show, mpsc::UnboundedReceiver<RunEvent>)>,
) -> Result<Carried, Failure> {
    let since = Instant::now();
    let Begun {
        run_id,
        started,
        dir,
        ledger,
        writer,
        rest,
    } = begun;
    let devices: Vec<Device> = plan
        .devices
        .iter()
        .map(|planned| planned.device.clone())
        .collect();
    let cancel = Cancel::default();
    // What nobody looks at is a rehearsal.
    let leases = shown.as_ref().and_then(|_| leases(&plan));
    let watchers = shown.map(|(show, inbox)| {
        let is_left = |device: &&Device| {
            let rest = rest.as_ref().and_then(|rest| rest.get(&device.id));
            rest != Some(&Rest::Nothing)
        };
        let named = |device: &Device| (device.id, device.name.to_string());
        let left = devices.iter().filter(is_left).map(named).collect();
        let before = ledger.state().clone();
        let progress = tokio::spawn(watch(inbox, left, before, show, anstream::stderr()));
        let vigil = vigil::keep(ledger.clone(), cancel.clone(), dir.path().to_owned());
        (progress, tokio::spawn(vigil))
    });
    let job = Arc::new(Job {
        leases,
        run_id,
        started,
        plan,
        fleet,
        ledger,
        dir,
        cancel,
        piece: PIECE,
        rest,
    });
    execute(Arc::clone(&job)).await;
    let progress = match watchers {
        Some((progress, vigil)) => {
            vigil.abort();
            // Its handle on the ledger goes with it, and then the writer ends.
            let _ = vigil.await;
            Some(progress)
        }
        None => None,
    };
    let Job {
        run_id,
        plan,
        ledger,
        dir,
        ..
    } = Arc::into_inner(job).ok_or_else(|| Failure::new(Exit::Bug, "a worker outlived its run"))?;
    drop(ledger);
    let written = writer.finish().await;
    if let Some(progress) = progress {
        let _ = progress.await;
    }
    if written.is_err() {
        return Err(Failure::new(
            Exit::Output,
            "the journal could not be written to its end",
        ));
    }
    Ok(Carried {
        run_id,
        playbook: plan.playbook,
        simulated: plan.backend.simulated,
        devices,
        dir,
        took: since.elapsed(),
    })
}

/// Makes the run directory appear whole: approved things and the journal's first line, or nothing.
async fn open(
    about: &About,
    scope: &Scope,
    plan: &Plan,
    events: Option<mpsc::UnboundedSender<RunEvent>>,
) -> Result<Begun, Failure> {
    let started = clock::now();
    let run_id = RunId::begin(started);
    let run_id = &run_id;
    let playbook = &plan.playbook.source.text;
    let mut draft = Draft::begin(&about.out, run_id).map_err(|error| unwritable(&error))?;
    let written = [
        (
            "run.json",
            json::line(&run_json(about, scope, plan, run_id, started)),
        ),
        ("playbook.yaml", playbook.clone()),
        ("plan.json", json::raw_line(&Document::of(plan))),
    ];
    for (name, text) in written {
        draft
            .write(name, text.as_bytes())
            .map_err(|error| unwritable(&error))?;
    }
    for (sha256, asset) in plan.assets.iter() {
        draft
            .write(&format!("assets/{sha256}"), &asset.content)
            .map_err(|error| unwritable(&error))?;
    }
    let tape = journal::create(&draft.path().join("journal.jsonl")).map_err(|error| {
        Failure::new(
            Exit::Output,
            format!("the journal cannot be written: {error}"),
        )
    })?;
    let ids = plan.devices.iter().map(|planned| planned.device.id);
    let (ledger, writer) = Ledger::open(Box::new(tape), ids, events);
    let ledger = ledger.without(&plan.secrets);
    let first = EventKind::RunStarted {
        format: journal::FORMAT.to_owned(),
        run_id: run_id.clone(),
        plan_sha256: plan.sha256.clone(),
        devices: plan.devices.len() as u64,
        simulated: plan.backend.simulated,
    };
    ledger
        .record(first)
        .await
        .map_err(|cause| Failure::new(Exit::Output, cause.summary()))?;
    let dir = draft.publish().map_err(|error| unwritable(&error))?;
    Ok(Begun {
        run_id: run_id.clone(),
        started,
        dir,
        ledger,
        writer,
        rest: None,
    })
}

/// Who runs this, as the system calls them.
pub(super) fn operator() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
}

/// Who, when, why, with what. Nothing in it is secret.
fn run_json(
    about: &About,
    scope: &Scope,
    plan: &Plan,
    run_id: &RunId,
    started: Timestamp,
) -> Value {
    let mut told = json!({
        "run_id": run_id, "started": started, "operator": operator(), "case": about.case, "reason": about.reason,
        "tool": "sortie", "version": env!("CARGO_PKG_VERSION"),
        "playbook": {
            "name": plan.playbook.name, "path": plan.playbook.source.name,
            "sha256": json::hex(&Sha256::digest(plan.playbook.source.text.as_bytes())),
        },
        "plan_sha256": plan.sha256, "backend": plan.backend, "simulated": plan.backend.simulated,
        "options": {
            "targets": scope.targets, "limit": scope.limit, "exclude": scope.exclude,
            "max_sessions": plan.settings.max_sessions, "simulate": scope.simulate,
            "selection": plan.settings.selection,
        },
    });
    plan.secrets.hide_in(&mut told);
    told
}

fn announce(plan: &Plan, dir: &Path) {
    let devices = crate::text::words::Count(
        plan.devices.len() as u64,
        if plan.backend.simulated {
            "simulated device"
        } else {
            "device"
        },
    );
    Output::say(&format!(
        "{} on {devices}, {} at a time; evidence goes to {}",
        Escaped(&plan.playbook.name),
        plan.settings.max_sessions.min(plan.devices.len()),
        Escaped(&dir.display().to_string())
    ));
}
