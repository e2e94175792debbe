//! Reads that are handed over before it is their turn, so that the sensor need not wait for us between them.
//!
//! The sensor runs them in the order in which it gets them. What they said is kept back until their step asks:
//! results and journal come in the order of the steps, however many are under way. Nothing is ahead of
//! anything that may change the endpoint.

use super::hold::PATIENCE;
use super::link::Link;
use super::patience::bounded;
use crate::model::command::{Command, Reply};
use crate::model::event::EventKind;
use crate::model::id::{CommandId, SessionId, StepId};
use crate::model::outcome::Cause;
use crate::step::Ground;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::timeout;

/// How long taking a command back may take.
pub(super) const TAKE_BACK: Duration = Duration::from_secs(10);
/// How long what has begun for nothing is waited for.
const DRAIN: Duration = Duration::from_mins(1);

/// A read that will be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) step: StepId,
    pub(super) command: Command,
}

/// A read that was handed over and not asked for yet.
pub(super) struct Early {
    planned: Planned,
    pub(super) session: SessionId,
    pub(super) id: CommandId,
    /// What it said, where we had to wait for its end.
    pub(super) answer: Option<Result<Reply, Cause>>,
}

#[derive(Default)]
pub(super) struct Ahead {
    /// What comes after the step under way, if that goes well.
    pub(super) later: Vec<Planned>,
    planned: VecDeque<Planned>,
    early: VecDeque<Early>,
}

impl Link {
    /// The step under way begins with these reads; where they are all that it needs, what comes later may
    /// begin too. What was handed over for nothing is taken back.
    pub(super) async fn begin(&mut self, own: Vec<Planned>, is_all: bool) {
        let mut planned: VecDeque<Planned> = own.into();
        if is_all {
            planned.extend(self.ahead.later.iter().cloned());
        }
        let early = std::mem::take(&mut self.ahead.early).into_iter();
        let (kept, stray): (VecDeque<_>, _) =
            early.partition(|early| planned.contains(&early.planned));
        self.ahead.early = kept;
        self.take_back(stray).await;
        planned.retain(|planned| !self.is_early(planned));
        self.ahead.planned = planned;
    }

    /// What its commands depend on besides the playbook.
    pub(super) fn ground(&self) -> Ground {
        Ground {
            os: self.device.os,
            piece: self.job.piece,
        }
    }

    fn is_early(&self, planned: &Planned) -> bool {
        let mut early = self.ahead.early.iter();
        early.any(|early| early.planned == *planned)
    }

    /// The step under way will ask for these next, whatever the one before them says.
    pub(super) fn ahead_of_turn(&mut self, commands: Vec<Command>) {
        let planned = commands.into_iter().map(|command| Planned {
            step: self.now.step.clone(),
            command,
        });
        self.ahead.planned = planned.filter(|planned| !self.is_early(planned)).collect();
    }

    /// Takes a command that was handed over before out of those that wait.
    pub(super) fn take_early(&mut self, command: &Command) -> Option<Early> {
        let is_it =
            |planned: &Planned| planned.command == *command && planned.step == self.now.step;
        if let Some(at) = self.ahead.planned.iter().position(is_it) {
            self.ahead.planned.remove(at);
        }
        let session = self.hold.current().ok()?.session.id();
        let mut early = self.ahead.early.iter();
        let at = early.position(|early| is_it(&early.planned) && early.session == session)?;
        self.ahead.early.remove(at)
    }

    /// Hands over what comes next while `now` is under way, as far as the window reaches. Trouble is no reason
    /// to fail: it is one to do one thing after the other.
    pub(super) async fn look_ahead(&mut self, now: &Command) {
        while self.may_go_on() && self.ahead.early.len() + 1 < self.hold.window() {
            let Some(planned) = self.ahead.planned.pop_front() else {
                return;
            };
            if self.will_be_known(&planned.command, now) {
                continue;
            }
            let (until, patience) = (self.deadline(PATIENCE), self.patience());
            let Ok(held) = self.hold.current() else {
                return;
            };
            let issue = held.session.issue(&planned.command);
            match bounded(patience, until, issue).await {
                Ok(id) => {
                    held.issued += 1;
                    held.known.insert(id);
                    let session = held.session.id();
                    self.ahead.early.push_back(Early {
                        planned,
                        session,
                        id,
                        answer: None,
                    });
                }
                // It says so when it is its turn.
                Err(Cause::Unsupported { .. }) => {}
                Err(_) => held.window = 1,
            }
        }
    }

    /// Whether what a command asks was seen already, or is being listed.
    fn will_be_known(&self, command: &Command, now: &Command) -> bool {
        let mut early = self.ahead.early.iter().map(|early| &early.planned.command);
        let is_listing = matches!(command, Command::DirectoryList { .. });
        self.listings.answer(command).is_some()
            || is_listing && (command == now || early.any(|early| early == command))
    }

    /// Waits for what was handed over before something that was not: the clock of a command starts when it
    /// runs.
    pub(super) async fn let_early_ones_end(&mut self) {
        let (deadline, patience) = (self.now.deadline, self.patience());
        let mut early = std::mem::take(&mut self.ahead.early);
        for one in early.iter_mut().filter(|one| one.answer.is_none()) {
            let Ok(held) = self.hold.current() else {
                break;
            };
            let finish = held.session.finish(&one.planned.command, one.id, deadline);
            match bounded(patience.clone(), deadline, finish).await {
                Err(cause) if !matches!(cause, Cause::Endpoint { .. }) => break,
                answer => one.answer = Some(answer),
            }
        }
        self.ahead.early = early;
    }

    /// Takes back all that was handed over and not asked for.
    pub(super) async fn withdraw(&mut self) {
        self.ahead.planned.clear();
        let early = std::mem::take(&mut self.ahead.early);
        self.take_back(early).await;
    }

    /// Takes back what need not begin any more, and waits for what has: whatever is handed over next runs
    /// behind it.
    async fn take_back(&mut self, stray: VecDeque<Early>) {
        let open = || stray.iter().filter(|early| early.answer.is_none());
        for early in open().rev() {
            if let Ok(held) = self.hold.current() {
                drop(timeout(TAKE_BACK, held.session.cancel(early.id)).await);
            }
        }
        let (patience, until) = (self.patience(), self.deadline(DRAIN));
        for early in open() {
            let Ok(held) = self.hold.current() else {
                break;
            };
            let command = &early.planned.command;
            let finish = held.session.finish(command, early.id, until);
            match bounded(patience.clone(), until, finish).await {
                Ok(_) | Err(Cause::Endpoint { .. }) => {}
                // Neither it nor any after it has begun; or nobody can say.
                Err(_) => break,
            }
        }
        self.tell_of(stray).await;
    }

    /// Leaves a session that has taken nearly as many commands as it may for a new one.
    pub(super) async fn roll_over(&mut self) -> Result<(), Cause> {
        if self.hold.is_used_up() {
            self.lose_early().await;
            self.hold.replace().await?;
        }
        Ok(())
    }

    /// The session ends, and with it whatever was handed over and not asked for.
    pub(super) async fn lose_early(&mut self) {
        self.ahead.planned.clear();
        let early = std::mem::take(&mut self.ahead.early);
        self.tell_of(early).await;
    }

    /// They were handed over, and nobody asks any more.
    async fn tell_of(&self, stray: VecDeque<Early>) {
        for Early {
            planned,
            session,
            id,
            ..
        } in stray
        {
            let device = self.device.id;
            let issued = EventKind::CommandIssued {
                device,
                step: planned.step,
                session: session.clone(),
                command: id,
                name: planned.command.name().to_owned(),
            };
            self.note(issued).await;
            let ended = EventKind::CommandEnded {
                device,
                session,
                command: id,
                cause: Some(Cause::CommandCancelled),
                started: None,
            };
            self.note(ended).await;
        }
    }
}
