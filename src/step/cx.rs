//! What a step may touch: its device, its scope, its deadline, and the endpoint through [`Hands`].
//!
//! No HTTP client, no file system, no journal: the engine lends all of that.

use crate::live::Answer;
use crate::model::command::{Command, Reply};
use crate::model::device::Device;
use crate::model::effect::Effect;
use crate::model::id::{FileId, StepId};
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::model::remote::RemoteText;
use crate::model::row::{Finding, Row, StoredFile};
use crate::template::{Choice, Scope, TemplateError};
use std::time::Duration;

/// Time for taking a file of ours away, also when the step's own time is over.
const CLEAN_UP: Duration = Duration::from_secs(30);

/// What the engine does for a step. Every call ends by the attempt's deadline.
pub trait Hands: Send {
    /// Sends one command and waits for its end. A command that may change the endpoint is in the
    /// journal before it is sent.
    fn command(&mut self, command: Command, effect: Effect) -> Answer<'_, Reply>;

    /// Says which commands will be asked for next, whatever the one before them says. They change nothing,
    /// and may be handed over early.
    fn expect(&mut self, commands: Vec<Command>);

    /// Streams a fetched file into the bag, under the local form of `save_as`.
    fn store<'a>(&'a mut self, fetched: Fetched<'a>) -> Answer<'a, StoredFile>;

    /// Reads a fetched file that is small by nature, such as a command's output.
    fn read<'a>(&'a mut self, file: &'a FileId, limit: usize) -> Answer<'a, Vec<u8>>;

    /// Records a finding.
    fn finding(&mut self, finding: Finding) -> Answer<'_, ()>;

    /// Records that something of ours stays on the endpoint.
    fn left_behind(&mut self, path: String) -> Answer<'_, ()>;

    /// Lets time pass; a stop of the run ends it with a cause.
    fn wait(&mut self, time: Duration) -> Answer<'_, ()>;

    /// Grants a little more time than the deadline, for cleaning up.
    fn extend(&mut self, by: Duration);

    /// Names something unique to this run, for files on the endpoint.
    fn nonce(&self) -> String;
}

/// A file that a `get file` command brought into the session's store.
#[derive(Debug)]
pub struct Fetched<'a> {
    pub path: &'a RemoteText,
    /// What the bag files it under; the same as `path` unless the author says otherwise.
    pub save_as: &'a RemoteText,
    pub reply: &'a Reply,
    pub file: &'a FileId,
    pub limit: Option<u64>,
}

/// One attempt at one step on one device.
pub struct StepCx<'a> {
    pub step: &'a StepId,
    pub device: &'a Device,
    pub scope: &'a Scope,
    pub hands: &'a mut dyn Hands,
    /// What the step has found so far; kept also when it fails later.
    pub rows: &'a mut Vec<Row>,
}

impl StepCx<'_> {
    /// Sends a command that changes nothing.
    pub async fn ask(&mut self, command: Command) -> Result<Reply, Cause> {
        self.hands.command(command, Effect::Read).await
    }

    /// Takes a file of ours away; where that fails, records that it stays.
    pub async fn remove(&mut self, path: &str) -> Result<Removal, Cause> {
        self.hands.extend(CLEAN_UP);
        let path = path.to_owned();
        let delete = Command::DeleteFile { path: path.clone() };
        match self.hands.command(delete, Effect::Converge).await {
            Ok(_) => Ok(Removal::Gone),
            Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => Ok(Removal::Gone),
            Err(_) => {
                self.hands.left_behind(path).await?;
                Ok(Removal::LeftBehind)
            }
        }
    }
}

/// What became of a file of ours on the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    Gone,
    LeftBehind,
}

/// Why a step did not come to its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    Failed(Cause),
    /// There was nothing to do, as the author foresaw.
    Skipped(Cause),
}

impl From<Cause> for Stop {
    fn from(cause: Cause) -> Self {
        Self::Failed(cause)
    }
}

impl From<TemplateError> for Stop {
    fn from(error: TemplateError) -> Self {
        Self::Failed(error.into())
    }
}

/// What an author wants when the thing asked for is not there, or cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnObstacle {
    Fail,
    Skip,
}

impl Choice for OnObstacle {
    const CHOICES: &'static [(&'static str, Self)] = &[("fail", Self::Fail), ("skip", Self::Skip)];
}
