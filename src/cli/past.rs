//! `sortie runs` and `sortie show`: what the journals of earlier runs tell, read back from the disk.

use super::exit::Exit;
use super::output::Output;
use super::run::OUT;
use super::{Failure, load};
use crate::bundle::layout::RunDir;
use crate::ledger::journal;
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
const JOURNAL: &str = "journal.jsonl";

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
}

/// Lists runs, the newest first. One that cannot be read is told, and the others are listed all the same.
pub(super) fn runs(args: &RunsArgs, output: &Output) -> Result<Exit, Failure> {
    let lines: Vec<String> = below(&args.out)?
        .iter()
        .map(|path| match read(path) {
            Ok(past) => past::line(&past, output.width),
            Err(failure) => {
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
    Ok(Exit::Ok)
}

/// Shows a run, its devices, and what is outstanding.
pub(super) fn show(args: &ShowArgs, output: &Output) -> Result<Exit, Failure> {
    let path = match &args.run {
        Some(run) if run.join(JOURNAL).is_file() => run.clone(),
        Some(run) => args.out.join(run),
        None => {
            let newest = below(&args.out)?.into_iter().next();
            newest.ok_or_else(|| {
                let out = args.out.display().to_string();
                Failure::new(Exit::Usage, format!("no run below {}", Escaped(&out)))
                    .hint("name a run directory, or where they are with --out")
            })?
        }
    };
    let past = read(&path)?;
    Output::result(&past::whole(&past, output.width));
    Ok(Exit::Ok)
}

/// The run directories below one, the newest first: their names sort by time.
fn below(out: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = match fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(out, &error.to_string())),
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut runs: Vec<PathBuf> = paths.filter(|path| path.join(JOURNAL).is_file()).collect();
    runs.sort_by(|one, other| other.file_name().cmp(&one.file_name()));
    Ok(runs)
}

fn read(path: &Path) -> Result<Past, Failure> {
    let journal = path.join(JOURNAL);
    let file = File::open(&journal).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let run = path.display().to_string();
            Failure::new(Exit::Usage, format!("there is no run {}", Escaped(&run)))
                .hint("`sortie runs` lists those that there are; --out says where")
        }
        _ => unreadable(&journal, &error.to_string()),
    })?;
    let is_held = RunDir::is_held(path);
    let plan = path.join("plan.json");
    let bytes =
        load::bytes(&plan, LARGEST_PLAN).map_err(|error| unreadable(&plan, &error.to_string()))?;
    let document = Document::read(&bytes).map_err(|error| unreadable(&plan, &error.to_string()))?;
    let mut state = RunState::new(document.devices.iter().map(|line| line.id));
    journal::replay(BufReader::new(file), |event| state.apply(&event))
        .map_err(|error| unreadable(&journal, &error.to_string()))?;
    let name = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = name.file_name().unwrap_or_default().to_string_lossy();
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
        progress: match (is_held, state.is_over()) {
            (true, _) => Progress::UnderWay,
            (false, true) => Progress::Ended,
            (false, false) => Progress::Interrupted,
        },
        state,
    })
}

fn unreadable(path: &Path, why: &str) -> Failure {
    let path = path.display().to_string();
    Failure::new(
        Exit::Usage,
        format!("cannot read {}: {}", Escaped(&path), Escaped(why)),
    )
}
