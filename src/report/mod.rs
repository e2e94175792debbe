//! What can be told about a run after it: folds of the journal and the sealed bags, read from disk.
//!
//! One file per format. Nothing here is asked while a run goes on, and nothing here remembers a run:
//! the same files can be made again from `plan.json`, `journal.jsonl` and the bags.

pub mod results;
pub mod summary;

use crate::bundle::DiskError;
use crate::bundle::layout::RunDir;
use crate::ledger::journal::{self, JournalError};
use crate::model::device::Device;
use crate::model::id::RunId;
use crate::model::state::RunState;
use crate::text::source::Source;
use std::fs::File;
use std::io::BufReader;

/// A finished run, as its reports see it.
pub struct View<'a> {
    pub dir: &'a RunDir,
    pub run_id: &'a RunId,
    pub playbook: &'a str,
    /// The playbook that was run, for the places of what failed.
    pub source: &'a Source,
    /// In the order of the plan, which is the order of every report.
    pub devices: Vec<&'a Device>,
    pub state: RunState,
    pub simulated: bool,
}

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("cannot read {path}: {source}")]
    Read {
        path: String,
        source: std::io::Error,
    },
    #[error("cannot write the results: {source}")]
    Write { source: std::io::Error },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{path} is not what sortie writes: {source}")]
    Garbage {
        path: String,
        source: serde_json::Error,
    },
}

/// Folds the journal of a run directory.
pub fn fold(dir: &RunDir, devices: &[&Device]) -> Result<RunState, ReportError> {
    let path = dir.path().join("journal.jsonl");
    let file = File::open(&path).map_err(|source| ReportError::Read {
        path: path.display().to_string(),
        source,
    })?;
    let mut state = RunState::new(devices.iter().map(|device| device.id));
    journal::replay(BufReader::new(file), |event| state.apply(&event))?;
    Ok(state)
}
