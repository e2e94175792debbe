//! Sessions and commands as seen from outside: owned copies, with wall-clock times.

use super::endpoint::code::Code;
use super::endpoint::memory::{Progress, Step};
use super::endpoint::order::{Order, Yield};
use super::organisation::Shown;
use super::session::{Issued, Phase, Session, Status, Timeouts};
use super::store::{FileId, Stored};
use super::world::{Missing, Refusal};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

#[derive(Debug, Clone)]
pub struct SessionView {
    pub id: String,
    /// What it is called where sessions are counted; the beginning of its id.
    pub number: u64,
    pub device: u64,
    pub status: Status,
    pub timeouts: Timeouts,
    pub commands: u64,
    /// Bytes of its files.
    pub stored: u64,
    pub created: Timestamp,
    /// What is known once the sensor has checked in.
    pub checked_in: Option<CheckedIn>,
    /// When something will next change.
    pub next_change: Option<Instant>,
}

#[derive(Debug, Clone)]
pub struct CheckedIn {
    pub at: Timestamp,
    pub cwd: String,
    pub drives: Vec<String>,
    pub supported: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub struct CommandView {
    pub id: u64,
    pub order: Order,
    pub stage: Stage,
    pub created: Timestamp,
    /// The file that is fetched, or put.
    pub file: Option<FileId>,
    /// Of a memory dump.
    pub progress: Option<Progress>,
    /// When the world began, for the times within results.
    pub origin: Timestamp,
    /// When something about it, or about those before it, will next change; none once it has ended.
    pub next_change: Option<Instant>,
}

/// All that is kept of a session.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub session: SessionView,
    pub commands: Vec<CommandView>,
    pub files: Vec<Stored>,
}

#[derive(Debug, Clone)]
pub enum Stage {
    Pending,
    Running,
    Cancelled {
        at: Timestamp,
    },
    Ended {
        at: Timestamp,
        outcome: Result<Yield, Code>,
    },
}

impl Stage {
    /// When it ended, whichever way.
    pub fn finish(&self) -> Option<Timestamp> {
        match self {
            Self::Pending | Self::Running => None,
            Self::Cancelled { at } | Self::Ended { at, .. } => Some(*at),
        }
    }

    /// What the endpoint made of it.
    pub fn outcome(&self) -> Option<&Result<Yield, Code>> {
        match self {
            Self::Ended { outcome, .. } => Some(outcome),
            _ => None,
        }
    }
}

impl CommandView {
    /// The wall clock at so many milliseconds since the world began.
    pub fn moment(&self, milliseconds: i64) -> Timestamp {
        let offset = SignedDuration::from_millis(milliseconds);
        self.origin.saturating_add(offset).unwrap_or(self.origin)
    }
}

impl Shown<'_> {
    pub(super) fn session(&self, session: &Session) -> SessionView {
        let checked_in = session.checked_in().zip(self.device);
        let checked_in = checked_in.map(|(at, device)| CheckedIn {
            at: self.at(at),
            cwd: device.endpoint.cwd.clone(),
            drives: device.endpoint.drives.clone(),
            supported: device.endpoint.supported(),
        });
        let stored = session.store.files().iter();
        SessionView {
            id: session.id(),
            number: session.number,
            device: session.device,
            status: session.status,
            timeouts: session.timeouts,
            commands: session.commands.len() as u64,
            stored: stored
                .filter_map(|file| Some(file.clip.as_ref()?.len()))
                .sum(),
            created: self.at(session.opened),
            checked_in,
            next_change: session.next_change(),
        }
    }

    pub(super) fn command(&self, session: &Session, number: u64) -> Result<CommandView, Refusal> {
        let issued = usize::try_from(number)
            .ok()
            .and_then(|index| session.commands.get(index))
            .ok_or(Refusal::NotFound(Missing::Command(number)))?;
        let stage = match &issued.phase {
            Phase::Pending => Stage::Pending,
            Phase::Running { .. } => Stage::Running,
            Phase::Cancelled { at } => Stage::Cancelled { at: self.at(*at) },
            Phase::Ended { at, outcome } => Stage::Ended {
                at: self.at(*at),
                outcome: outcome.clone(),
            },
        };
        let is_open = matches!(stage, Stage::Pending | Stage::Running);
        Ok(CommandView {
            id: number,
            order: issued.order.clone(),
            stage,
            created: self.at(issued.posted),
            file: issued.file.clone(),
            progress: progress(issued, Instant::now()),
            origin: self.wall,
            next_change: session.next_change().filter(|_| is_open),
        })
    }
}

/// How far a memory dump is at `now`.
fn progress(issued: &Issued, now: Instant) -> Option<Progress> {
    let Order::MemDump { compress, .. } = issued.order else {
        return None;
    };
    let whole = |percent, step| Progress { percent, step };
    match &issued.phase {
        Phase::Pending | Phase::Cancelled { .. } => Some(whole(0, Step::Waiting)),
        Phase::Running { begun, until, .. } => {
            let all = until.saturating_duration_since(*begun).as_secs_f64();
            let gone = now.saturating_duration_since(*begun).as_secs_f64();
            Some(Progress::at(gone / all.max(0.001), compress))
        }
        Phase::Ended { outcome, .. } => outcome.as_ref().ok().map(|_| whole(100, Step::Complete)),
    }
}
