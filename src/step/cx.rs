//! What a step may touch: its device, its scope, its deadline, and the endpoint through [`Hands`].
//!
//! No HTTP client, no file system, no journal: the engine lends all of that.

use crate::live::Answer;
use crate::model::command::{Command, DirEntry, Reply};
use crate::model::device::Device;
use crate::model::effect::Effect;
use crate::model::id::{FileId, StepId};
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::model::row::{Finding, Row, StoredFile};
use crate::template::{Choice, Scope, TemplateError};
use std::sync::Arc;
use std::time::Duration;

/// Time for taking a file of ours away, also when the step's own time is over.
const CLEAN_UP: Duration = Duration::from_secs(30);

/// Bytes of a file that are fetched at once. What an interruption costs is at most so much, and a smaller
/// file costs nothing more than its bytes.
pub const PIECE: u64 = 64 << 20;

/// What the engine does for a step. Every call ends by the attempt's deadline.
pub trait Hands: Send {
    /// Sends one command and waits for its end. A command that may change the endpoint is in the
    /// journal before it is sent.
    fn command(&mut self, command: Command, effect: Effect) -> Answer<'_, Reply>;

    /// Takes something of ours away. What becomes of that says nothing of the step.
    fn clean_up(&mut self, command: Command) -> Answer<'_, Reply>;

    /// Says which commands will be asked for next, whatever the one before them says. They change nothing,
    /// and may be handed over early.
    fn expect(&mut self, commands: Vec<Command>);

    /// The local file that this step sends, where its author does not say which one it must be.
    fn source(&self) -> Option<Source>;

    /// Brings something into the session's store under this name. It changes nothing on the endpoint.
    fn upload<'a>(&'a mut self, content: Content<'a>, name: &'a str) -> Answer<'a, Uploaded>;

    /// Opens a file of the bag, of which an earlier attempt may have brought something already. One is open
    /// at a time, until it is closed.
    fn open(&mut self, file: &FileRequest) -> Opened;

    /// What the endpoint says of the file that is open.
    fn describe(&mut self, entry: Option<&DirEntry>);

    /// Takes back what has come of the file that is open.
    fn begin_anew(&mut self);

    /// Streams what a `get file` brought into the session's store to the end of the file that is open;
    /// gives the bytes.
    fn append<'a>(&'a mut self, reply: &'a Reply, file: &'a FileId) -> Answer<'a, u64>;

    /// Gives the file that is open its place in the bag: all of it has come, or this is why the rest has not.
    /// What another attempt may go on with stays for it.
    fn close(&mut self, came: Result<(), Cause>) -> Answer<'_, StoredFile>;

    /// Reads a fetched file that is small by nature, such as a command's output.
    fn read<'a>(&'a mut self, file: &'a FileId, limit: usize) -> Answer<'a, Vec<u8>>;

    /// Records a finding.
    fn finding(&mut self, finding: Finding) -> Answer<'_, ()>;

    /// Records that something of ours stays on the endpoint.
    fn left_behind(&mut self, path: String) -> Answer<'_, ()>;

    /// Lets time pass; a stop of the run ends it with a cause.
    fn wait(&mut self, time: Duration) -> Answer<'_, ()>;

    /// Makes sure that there is a session, in place of one that was lost meanwhile.
    fn renew(&mut self) -> Answer<'_, ()>;

    /// The time until the deadline.
    fn left(&self) -> Duration;

    /// Grants a little more time than the deadline, for cleaning up.
    fn extend(&mut self, by: Duration);

    /// What this step has changed so far, or may have, in this attempt or in one before it that was cut short.
    /// Whoever looks whether something is there must not take it for somebody else's.
    fn has_run(&self) -> &[Command];

    /// A text as the commands of [`Self::has_run`] have it, without secrets.
    fn written(&self, text: &str) -> String;

    /// Keeps what a file of ours on the endpoint held, which is taken away next, in case that a crash comes
    /// before the step has ended.
    fn keep<'a>(&'a mut self, path: &'a str, bytes: &'a [u8]) -> Answer<'a, ()>;

    /// What was kept of a file that this step took away before a crash.
    fn kept(&self, path: &str) -> Option<Vec<u8>>;

    /// Names something unique to this run, for files on the endpoint. An attempt that takes the place of one
    /// that a crash cut short gets the same names, in the same order.
    fn nonce(&mut self) -> String;
}

/// A file that is to be fetched into the bag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileRequest {
    pub path: String,
    /// What it is of the endpoint's own; another path where it is a copy that was made for us.
    pub original: String,
    /// What the bag files it under; the same as `path` unless the author says otherwise.
    pub save_as: String,
    /// Bytes at the beginning that are left out.
    pub offset: u64,
    /// How many bytes are fetched; all unless given.
    pub count: Option<u64>,
    /// Nothing is kept of a file that is larger.
    pub limit: Option<u64>,
    /// It is kept in a zip with the usual password.
    pub is_sample: bool,
    /// What an earlier attempt brought is of no use: something is decided by what is there now.
    pub is_anew: bool,
}

impl FileRequest {
    /// All of a file, whatever its size, under its own name.
    pub fn whole(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            original: path.to_owned(),
            save_as: path.to_owned(),
            offset: 0,
            count: None,
            limit: None,
            is_sample: false,
            is_anew: false,
        }
    }

    pub const fn is_part(&self) -> bool {
        self.offset > 0 || self.count.is_some()
    }
}

/// What is brought into the session's store.
#[derive(Debug, Clone)]
pub enum Content<'a> {
    /// A local file of the plan, by its hash.
    Asset(&'a str),
    Bytes(Arc<[u8]>),
}

/// A local file as the plan has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// What lies in the session's store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    pub file: FileId,
    /// Bytes.
    pub size: u64,
}

/// What there is already of a file that is opened.
#[derive(Debug)]
pub enum Opened {
    /// All of it: an attempt whose session was lost has brought it.
    Complete(Box<StoredFile>),
    /// So many bytes at its beginning, and what the endpoint said of it then.
    Begun { bytes: u64, entry: Option<DirEntry> },
}

/// One attempt at one step on one device.
pub struct StepCx<'a> {
    pub step: &'a StepId,
    pub device: &'a Device,
    pub scope: &'a Scope,
    pub hands: &'a mut dyn Hands,
    /// Bytes of a file that are fetched at once.
    pub piece: u64,
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
        match self.hands.clean_up(delete).await {
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
