//! What happens in a run: the one interface between the engine and everybody who wants to know.
//!
//! Events are facts in the past tense, owned, without payload bytes, counters or display flags.
//! Progress, reports and resume are folds of them.

use super::command::Command;
use super::effect::Effect;
use super::id::{CommandId, DeviceId, RunId, SessionId, StepId};
use super::outcome::{Cause, Outcome};
use super::row::{FileState, Severity};
use crate::model::spent::Spent;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// Counts from 0 without gaps.
    pub n: u64,
    /// UTC.
    pub t: Timestamp,
    /// Microseconds since the run began, by a clock that nobody sets.
    pub mono: u64,
    /// What happened.
    pub ev: EventKind,
}

/// What an author wants a failed step to mean for the device.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The device goes on to its end and counts as failed.
    #[default]
    Fail,
    /// The next step runs; the device becomes partial.
    Continue,
    /// Recorded; the device may still end ok.
    Ignore,
    /// As `fail`, and no further device starts.
    StopRun,
}

/// How a session ended for us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum SessionEnd {
    Closed,
    /// Others use it too; it is theirs to close.
    LeftOpen,
    /// It was gone before we closed it.
    Gone,
    /// Closing failed; it will idle out.
    NotClosed {
        cause: Cause,
    },
}

/// How the walk through a device's steps ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum DeviceEnd {
    /// Every step has an outcome; the device's state follows from them.
    Walked,
    /// No session came about because the device was not there.
    Unreachable { cause: Cause },
    /// Nothing was to be done on it.
    Skipped { cause: Cause },
    /// It could not be worked on, for a reason that is not its absence.
    Failed { cause: Cause },
    /// Stopped before its steps were through.
    Cancelled { cause: Cause },
}

/// Why a run stopped starting devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Stop {
    /// A signal: 1 is SIGHUP, 2 SIGINT, 15 SIGTERM.
    Signal { number: i32 },
    /// A step with `on_error: stop_run` failed.
    Step { device: DeviceId, step: StepId },
    /// The backend is unusable for every device.
    Backend { cause: Cause },
    /// Output cannot be written.
    Output { cause: Cause },
    /// Somebody put a file named `STOP` into the run directory.
    File,
}

/// What became of a command in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// The backend refused it, or never had it and never will: it did not run.
    NeverRan,
    /// A look at the endpoint says that it is done.
    Done,
    /// A look at the endpoint says that it is not done.
    NotDone,
    /// Nobody can tell.
    Unclear,
}

/// What a person says of an unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    Done,
    NotDone,
}

/// A program that was started, and how it ended if somebody waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub pid: Option<u64>,
    pub return_code: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum EventKind {
    /// First line of every journal: names the format.
    RunStarted {
        format: String,
        run_id: RunId,
        plan_sha256: String,
        devices: u64,
        simulated: bool,
    },
    /// The engine turned to a device, once more if it had ended. What came of the steps `anew` stands no more:
    /// they run again.
    DeviceStarted {
        device: DeviceId,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        anew: Vec<StepId>,
    },
    /// A session was asked for; durable before it is.
    SessionRequested {
        device: DeviceId,
    },
    /// The backend named a session, which may still wait for the device.
    SessionGranted {
        device: DeviceId,
        session: SessionId,
        joined: bool,
    },
    /// The device checked in.
    SessionOpened {
        device: DeviceId,
        session: SessionId,
    },
    SessionEnded {
        device: DeviceId,
        session: SessionId,
        end: SessionEnd,
    },
    /// One attempt at a step began; attempts count from 1.
    StepStarted {
        device: DeviceId,
        step: StepId,
        attempt: u32,
        /// The item of `for_each`, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// What the names of our own files on the endpoint are made of.
        nonce: String,
    },
    /// The intent of a command that may change the endpoint; durable before it is sent.
    CommandPermitted {
        device: DeviceId,
        step: StepId,
        session: SessionId,
        command: Command,
        effect: Effect,
    },
    /// The backend took a command and numbered it.
    CommandIssued {
        device: DeviceId,
        step: StepId,
        session: SessionId,
        command: CommandId,
        name: String,
    },
    CommandEnded {
        device: DeviceId,
        session: SessionId,
        command: CommandId,
        cause: Option<Cause>,
        /// Of a program that was started.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started: Option<Started>,
    },
    /// What became of a permitted command of which the backend gave no number, or whose end nobody heard.
    CommandSettled {
        device: DeviceId,
        step: StepId,
        session: SessionId,
        settled: Settled,
    },
    /// A file from the endpoint lies in the bag.
    FileStored {
        device: DeviceId,
        step: StepId,
        path: String,
        size: u64,
        sha256: String,
        state: FileState,
    },
    /// Something of ours stayed on the endpoint.
    LeftBehind {
        device: DeviceId,
        step: StepId,
        path: String,
    },
    FindingMade {
        device: DeviceId,
        step: StepId,
        severity: Severity,
        title: String,
    },
    /// An attempt failed and another follows after `delay_ms` milliseconds.
    StepRetried {
        device: DeviceId,
        step: StepId,
        attempt: u32,
        cause: Cause,
        delay_ms: u64,
    },
    StepFinished {
        device: DeviceId,
        step: StepId,
        outcome: Outcome,
        attempts: u32,
        on_error: OnError,
    },
    /// What failed in a block was made good by its `rescue`.
    StepRescued {
        device: DeviceId,
        step: StepId,
    },
    /// The steps that prove a step have run: it is proved unless there is a cause.
    StepVerified {
        device: DeviceId,
        step: StepId,
        disproof: Option<Cause>,
    },
    /// An output has no value, although the steps that it is made of came to their results.
    OutputFailed {
        device: DeviceId,
        output: String,
        cause: Cause,
    },
    DeviceEnded {
        device: DeviceId,
        end: DeviceEnd,
    },
    /// The bag is complete; `sha256` is that of its tag manifest.
    BagSealed {
        device: DeviceId,
        sha256: String,
    },
    /// The bag is in its final place, below the run directory.
    BagPublished {
        device: DeviceId,
        path: String,
    },
    /// A person decided what became of a step whose outcome was unknown.
    StepResolved {
        device: DeviceId,
        step: StepId,
        ruling: Ruling,
        reason: String,
        by: Option<String>,
    },
    /// Another process went on with the run.
    RunResumed {
        version: String,
    },
    /// The end of the journal was torn, and was put aside: so many bytes, in this file beside it.
    JournalMended {
        bytes: u64,
        file: String,
    },
    /// The wall clock went another way than time did, by so many seconds.
    ClockJumped {
        seconds: i64,
    },
    /// No further device starts.
    RunStopped {
        stop: Stop,
    },
    RunEnded {
        spent: Spent,
    },
}

impl EventKind {
    /// Must it be on disk before the engine goes on?
    pub const fn is_awaited(&self) -> bool {
        matches!(
            self,
            Self::RunStarted { .. }
                | Self::SessionRequested { .. }
                | Self::CommandPermitted { .. }
                | Self::StepResolved { .. }
                | Self::RunResumed { .. }
                // The bag that is sealed next tells how its device ended.
                | Self::DeviceEnded { .. }
                | Self::BagSealed { .. }
                | Self::BagPublished { .. }
                | Self::RunEnded { .. }
        )
    }

    pub const fn device(&self) -> Option<DeviceId> {
        match self {
            Self::DeviceStarted { device, .. }
            | Self::SessionRequested { device }
            | Self::SessionGranted { device, .. }
            | Self::SessionOpened { device, .. }
            | Self::SessionEnded { device, .. }
            | Self::StepStarted { device, .. }
            | Self::CommandPermitted { device, .. }
            | Self::CommandIssued { device, .. }
            | Self::CommandEnded { device, .. }
            | Self::CommandSettled { device, .. }
            | Self::StepResolved { device, .. }
            | Self::FileStored { device, .. }
            | Self::LeftBehind { device, .. }
            | Self::FindingMade { device, .. }
            | Self::StepRetried { device, .. }
            | Self::StepFinished { device, .. }
            | Self::StepRescued { device, .. }
            | Self::StepVerified { device, .. }
            | Self::OutputFailed { device, .. }
            | Self::DeviceEnded { device, .. }
            | Self::BagSealed { device, .. }
            | Self::BagPublished { device, .. } => Some(*device),
            Self::RunStarted { .. }
            | Self::RunResumed { .. }
            | Self::JournalMended { .. }
            | Self::ClockJumped { .. }
            | Self::RunStopped { .. }
            | Self::RunEnded { .. } => None,
        }
    }
}
