//! `sortie runs` and `sortie show`: what the journals of earlier runs tell, read back from the disk.

use super::again::{self, shell};
use super::exit::Exit;
use super::follow::follow;
use super::output::Output;
use super::run::OUT;
use super::{Failure, load};
use crate::bundle::layout::RunDir;
use crate::ledger::journal::{self, JournalError};
use crate::model::id::RunId;
use crate::model::state::RunState;
use crate::plan::document::Document;
use crate::text::escape::Escaped;
use crate::ui::past::{self, Past, Progress};
use clap::Args;
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

/// A plan of a hundred thousand devices is smaller.
const LARGEST_PLAN: usize = 1 << 30;
pub(super) const JOURNAL: &str = "journal.jsonl";

#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    /// Where run directories are.
    #[arg(long, default_value = OUT, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// A run directory, or the id of a run below --out; the newest unless given.
    run: Option<PathBuf>,
    /// Where run directories are.
    #[arg(long, default_value = OUT, value_name = "DIR")]
    out: PathBuf,
    /// Follow the run until it ends: a line for each device that ends, and on a terminal a bar for the whole.
    #[arg(long)]
    watch: bool,
}

/// Lists runs, the newest first. One that cannot be read is told, and the others are listed all the same.
pub(super) fn runs(args: &RunsArgs, output: &Output) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    let lines: Vec<String> = below(&args.out)?
        .iter()
        .map(|path| match read(path) {
            Ok(past) => past::line(&past, output.width),
            Err(failure) => {
                exit = Exit::Unreadable;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                format!("{}  {}", Escaped(&name), failure.message)
            }
        })
        .collect();
    if lines.is_empty() {
        let out = args.out.display().to_string();
        Output::say(&format!("no run below {}", Escaped(&out)));
    } else {
        Output::result(&lines.join("\n"));
    }
    Ok(exit)
}

/// Shows a run, its devices, and what is outstanding.
pub(super) async fn show(args: &ShowArgs, output: &Output) -> Result<Exit, Failure> {
    let path = if let Some(run) = &args.run {
        directory(run, &args.out)
    } else {
        let newest = below(&args.out)?.into_iter().next();
        newest.ok_or_else(|| {
            let out = args.out.display().to_string();
            Failure::new(Exit::Usage, format!("no run below {}", Escaped(&out)))
                .hint("name a run directory, or where they are with --out")
        })?
    };
    if args.watch {
        return follow(&path, output).await;
    }
    let past = read(&path)?;
    Output::result(&past::whole(&past, output.width));
    Ok(Exit::Ok)
}

/// The directory of a run that is named by it, or by its id.
pub(super) fn directory(run: &Path, out: &Path) -> PathBuf {
    if run.join(JOURNAL).is_file() {
        run.to_owned()
    } else {
        out.join(run)
    }
}

/// There is nothing of that name.
pub(super) fn no_run(path: &Path) -> Failure {
    let run = path.display().to_string();
    Failure::new(Exit::Usage, format!("there is no run {}", Escaped(&run)))
        .hint("`sortie runs` lists those that there are; --out says where")
}

/// The plan of a run.
pub(super) fn document(path: &Path) -> Result<Document, Failure> {
    let plan = path.join("plan.json");
    let bytes =
        load::bytes(&plan, LARGEST_PLAN).map_err(|error| unreadable(&plan, &error.to_string()))?;
    Document::read(&bytes).map_err(|error| unreadable(&plan, &error.to_string()))
}

/// The run directories below one, the newest first: their names sort by time.
fn below(out: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = match fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let failure = unreadable(out, &error.to_string());
            return Err(Failure {
                exit: Exit::Usage,
                ..failure
            });
        }
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut runs: Vec<PathBuf> = paths.filter(|path| path.join(JOURNAL).is_file()).collect();
    runs.sort_by(|one, other| other.file_name().cmp(&one.file_name()));
    Ok(runs)
}

fn read(path: &Path) -> Result<Past, Failure> {
    let mut past = begin(path)?;
    let journal = path.join(JOURNAL);
    // Asked first: what a process wrote before it let go is read below.
    let is_held = RunDir::is_held(path);
    let file = File::open(&journal).map_err(|error| broken(&journal, error.into()))?;
    journal::replay(BufReader::new(file), |event| past.state.apply(&event))
        .map_err(|error| broken(&journal, error))?;
    settle(&mut past, path, is_held);
    Ok(past)
}

/// Says whether more is to come of a run whose journal was read, and what is left to a person.
pub(super) fn settle(past: &mut Past, path: &Path, is_held: bool) {
    past.settle(is_held);
    let unknown = past.state.devices().flat_map(|(id, record)| {
        let steps = record.unknowns();
        steps.map(move |step| again::resolve(path, id, step))
    });
    past.unknown = unknown.collect();
}

/// A run before its journal is read.
pub(super) fn begin(path: &Path) -> Result<Past, Failure> {
    if !path.join(JOURNAL).exists() {
        return Err(no_run(path));
    }
    let document = document(path)?;
    let name = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    let typed = if path.parent() == Some(Path::new(OUT)) {
        name.clone().into_owned()
    } else {
        path.display().to_string()
    };
    Ok(Past {
        id: RunId(Escaped(&name).to_string()),
        playbook: document.name,
        simulated: document.backend.simulated,
        devices: document
            .devices
            .iter()
            .map(|line| (line.id, Escaped(line.name.raw()).to_string()))
            .collect(),
        steps: document.steps.len(),
        state: RunState::new(document.devices.iter().map(|line| line.id)),
        progress: Progress::UnderWay,
        resume: format!("sortie resume {}", Escaped(&shell(&typed))),
        unknown: Vec::new(),
    })
}

pub(super) fn broken(journal: &Path, error: JournalError) -> Failure {
    match error {
        JournalError::Io(error) => unreadable(journal, &error.to_string()),
        error => unreadable(journal, &error.to_string()),
    }
}

pub(super) fn unreadable(path: &Path, why: &str) -> Failure {
    let path = path.display().to_string();
    Failure::new(
        Exit::Unreadable,
        format!("cannot read {}: {}", Escaped(&path), Escaped(why)),
    )
}
