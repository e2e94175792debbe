//! `sortie run`: a playbook on its devices, end to end.

use super::backend::Backend;
use super::exit::Exit;
use super::options::Scope;
use super::output::Output;
use super::plan::Purpose;
use super::{Failure, inputs, plan, signals};
use crate::bundle::{self, DiskError, Draft, RunDir};
use crate::clock;
use crate::ledger::{Ledger, Writer, journal};
use crate::live::Fleet;
use crate::model::device::Device;
use crate::model::event::{EventKind, RunEvent};
use crate::model::id::RunId;
use crate::plan::Plan;
use crate::plan::document::Document;
use crate::playbook::Playbook;
use crate::report::{self, View};
use crate::run::cancel::Cancel;
use crate::run::execute;
use crate::run::job::Job;
use crate::text::escape::Escaped;
use crate::text::json;
use crate::ui::progress::{Show, watch};
use crate::ui::summary::{Ending, draw};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Where run directories are made unless said otherwise.
const OUT: &str = "runs";

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The playbook to run.
    #[arg(required_unless_present = "plan")]
    playbook: Option<PathBuf>,
    /// Run a plan that `sortie plan -o` saved, as it was approved.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["playbook", "targets", "limit", "exclude", "max_sessions", "tags", "skip_tags", "start_at"])]
    plan: Option<PathBuf>,
    /// Where run directories are made.
    #[arg(long, default_value = OUT, value_name = "DIR")]
    out: PathBuf,
    /// The case that the run belongs to.
    #[arg(long, env = "SORTIE_CASE", value_name = "ID")]
    case: Option<String>,
    /// Why the run is made.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) async fn run(args: RunArgs, scope: &Scope, output: &Output) -> Result<Exit, Failure> {
    bundle::probe(&args.out).map_err(|error| unwritable(&error))?;
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
    refuse_changes(&plan, scope)?;
    let Backend { fleet, simulator } = backend;
    let show = match (scope.json, output.is_terminal) {
        (true, false) => Show::Nothing,
        (_, true) => Show::Terminal,
        (false, false) => Show::Plain,
    };
    let ended = carry_out(&args, scope, plan, Arc::new(fleet), Some(show)).await;
    let ended = ended.and_then(|carried| conclude(&args, scope, &carried, output));
    match (simulator, &ended) {
        // Whoever leaves at the second signal leaves sessions behind knowingly.
        (Some(simulator), Ok(exit)) if !exit.is_interrupt() => simulator.close().await?,
        _ => {}
    }
    ended
}

/// The rails that would guard a change are not built yet, so nothing changes a real device.
fn refuse_changes(plan: &Plan, scope: &Scope) -> Result<(), Failure> {
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
    Err(Failure::new(Exit::Refused, message)
        .hint("if the command only reads, say so: effect: read; or rehearse with --simulate"))
}

fn unwritable(error: &DiskError) -> Failure {
    Failure::new(Exit::Output, Escaped(&error.to_string()).to_string())
        .hint("choose another directory with --out")
}

/// A run that came to its end.
pub(super) struct Carried {
    run_id: RunId,
    plan: Plan,
    pub(super) devices: Vec<Device>,
    pub(super) dir: RunDir,
    took: std::time::Duration,
}

/// The same way from a plan to its evidence, below `out`, with nobody looking on.
pub(super) async fn rehearse(
    plan: Plan,
    fleet: Arc<dyn Fleet>,
    out: &Path,
) -> Result<Carried, Failure> {
    let args = RunArgs {
        playbook: None,
        plan: None,
        out: out.to_owned(),
        case: None,
        reason: None,
    };
    carry_out(&args, &Scope::default(), plan, fleet, None).await
}

/// Whoever looks on is shown how it goes, and can end it with a signal.
async fn carry_out(
    args: &RunArgs,
    scope: &Scope,
    plan: Plan,
    fleet: Arc<dyn Fleet>,
    show: Option<Show>,
) -> Result<Carried, Failure> {
    let started = clock::now();
    let began = Instant::now();
    let run_id = RunId::begin(started);
    let devices: Vec<Device> = plan
        .devices
        .iter()
        .map(|planned| planned.device.clone())
        .collect();
    let (events, inbox) = mpsc::unbounded_channel();
    let events = show.map(|_| events);
    let opened = open(args, scope, &plan, &run_id, started, events).await?;
    let Opened {
        dir,
        ledger,
        writer,
    } = opened;
    let cancel = Cancel::default();
    let watchers = show.map(|show| {
        announce(&plan, dir.path());
        let progress = tokio::spawn(watch(inbox, devices.clone(), show, anstream::stderr()));
        let listener = tokio::spawn(signals::listen(ledger.clone(), cancel.clone()));
        (progress, listener)
    });
    let job = Arc::new(Job {
        run_id,
        started,
        plan,
        fleet,
        ledger,
        dir,
        cancel,
    });
    execute(Arc::clone(&job)).await;
    let progress = match watchers {
        Some((progress, listener)) => {
            listener.abort();
            // The listener's handle on the ledger goes with it, and then the writer ends.
            let _ = listener.await;
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
        plan,
        devices,
        dir,
        took: began.elapsed(),
    })
}

struct Opened {
    dir: RunDir,
    ledger: Ledger,
    writer: Writer,
}

/// Makes the run directory appear whole: approved things and the journal's first line, or nothing.
async fn open(
    args: &RunArgs,
    scope: &Scope,
    plan: &Plan,
    run_id: &RunId,
    started: Timestamp,
    events: Option<mpsc::UnboundedSender<RunEvent>>,
) -> Result<Opened, Failure> {
    let playbook = &plan.playbook.source.text;
    let mut draft = Draft::begin(&args.out, run_id).map_err(|error| unwritable(&error))?;
    let written = [
        (
            "run.json",
            json::line(&run_json(args, scope, plan, run_id, started)),
        ),
        ("playbook.yaml", playbook.clone()),
        ("plan.json", json::raw_line(&Document::of(plan))),
    ];
    for (name, text) in written {
        draft
            .write(name, text.as_bytes())
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
    Ok(Opened {
        dir,
        ledger,
        writer,
    })
}

/// Who, when, why, with what. Nothing in it is secret.
fn run_json(
    args: &RunArgs,
    scope: &Scope,
    plan: &Plan,
    run_id: &RunId,
    started: Timestamp,
) -> Value {
    let user = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let mut about = json!({
        "run_id": run_id, "started": started, "operator": user, "case": args.case, "reason": args.reason,
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
    plan.secrets.hide_in(&mut about);
    about
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

/// How a run ended: its reports are written, and the run directory is complete.
pub(super) struct Reported<'a> {
    pub(super) exit: Exit,
    pub(super) view: View<'a>,
    summary: Value,
}

/// Makes everything that is told of a run out of what lies on disk.
pub(super) fn report(carried: &Carried) -> Result<Reported<'_>, Failure> {
    let Carried {
        run_id, plan, dir, ..
    } = carried;
    let devices: Vec<&Device> = carried.devices.iter().collect();
    let broken = |error: report::ReportError| {
        Failure::new(Exit::Output, Escaped(&error.to_string()).to_string())
            .hint("the journal and the bags are in the run directory")
    };
    let state = report::fold(dir, &devices).map_err(broken)?;
    let exit = Exit::of_run(&state);
    let view = View {
        dir,
        run_id,
        playbook: &plan.playbook.name,
        source: &plan.playbook.source,
        devices,
        state,
        simulated: plan.backend.simulated,
    };
    report::results::write(&view).map_err(broken)?;
    let summary = report::summary::summary(&view, exit.code());
    dir.write("summary.json", json::line(&summary).as_bytes())
        .map_err(|error| unwritable(&error))?;
    dir.finish().map_err(|error| unwritable(&error))?;
    Ok(Reported {
        exit,
        view,
        summary,
    })
}

fn conclude(
    args: &RunArgs,
    scope: &Scope,
    carried: &Carried,
    output: &Output,
) -> Result<Exit, Failure> {
    let Reported {
        exit,
        view,
        summary,
    } = report(carried)?;
    if scope.json {
        Output::result(&json::line(&summary));
        return Ok(exit);
    }
    Output::result(&draw(&Ending {
        playbook: view.playbook,
        source: view.source,
        simulated: view.simulated,
        run_dir: &view.dir.path().display().to_string(),
        devices: &view.devices,
        state: &view.state,
        took: carried.took,
        width: output.width,
        again: &|ids| again(args, scope, &carried.plan.playbook, ids),
    }));
    Ok(exit)
}

/// The command that does the same again on the devices with these ids; a saved plan has its own devices.
fn again(args: &RunArgs, scope: &Scope, playbook: &Playbook, ids: &str) -> String {
    let path = |path: &Path| path.display().to_string();
    let mut words: Vec<String> = vec!["sortie".into(), "run".into()];
    if let Some(playbook) = &args.playbook {
        words.extend([path(playbook), "--targets".into(), format!("ids:{ids}")]);
    }
    let once = [
        ("--plan", args.plan.as_deref().map(path)),
        ("--out", Some(path(&args.out)).filter(|out| out != OUT)),
        ("--credentials", scope.credentials.as_deref().map(path)),
        ("--profile", scope.profile.clone()),
        ("--inputs", scope.inputs.as_deref().map(path)),
        ("--start-at", scope.start_at.clone()),
        (
            "--max-sessions",
            scope.max_sessions.map(|sessions| sessions.to_string()),
        ),
    ];
    let typed = scope.input.iter().map(|pair| inputs::shown(pair, playbook));
    let many = [
        ("-e", &typed.collect()),
        ("--tags", &scope.tags),
        ("--skip-tags", &scope.skip_tags),
    ];
    let once = once
        .into_iter()
        .filter_map(|(flag, value)| Some((flag, value?)));
    let many = many
        .into_iter()
        .flat_map(|(flag, values)| values.iter().map(move |value| (flag, value.clone())));
    for (flag, value) in once.chain(many) {
        words.extend([flag.into(), value]);
    }
    let typed: Vec<String> = words.iter().map(|word| shell(word)).collect();
    Escaped(&typed.join(" ")).to_string()
}

/// A word as a shell takes it.
fn shell(word: &str) -> String {
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c));
    if plain && !word.is_empty() {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
