//! One command from its permit to its end, and who is told of it.
//!
//! What may change the endpoint and got no definite answer is looked for ([`super::settle`]) before anybody
//! hears that it failed.

use super::ahead::{Early, TAKE_BACK};
use super::hold::PATIENCE;
use super::link::Link;
use super::look;
use super::patience::bounded;
use super::retry::Fate;
use super::settle::Settlement;
use crate::clock;
use crate::model::command::{Command, CommandResult, Reply};
use crate::model::effect::{Effect, Reached};
use crate::model::event::{EventKind, Settled};
use crate::model::id::{CommandId, SessionId};
use crate::model::memo::Doubt;
use crate::model::outcome::Cause;
use crate::step::cx::{Content, Hands};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How often a command is sent again that never arrived.
const RESENDS: u32 = 2;

/// What is left to the step at least, where a look found that its command has ended.
const BRING_HOME: Duration = Duration::from_secs(30);

/// What came of sending a command.
struct Sending {
    result: Result<Reply, Cause>,
    reached: Reached,
    has_run: bool,
    /// It never arrived and never will, so that it may be sent again at once.
    is_lost: bool,
    /// A look that should have told what became of it told nothing.
    is_unclear: bool,
}

impl Sending {
    fn ended(result: Result<Reply, Cause>) -> Self {
        let reached = match &result {
            Ok(_) => Reached::Yes,
            Err(cause) => cause.reached(),
        };
        Self {
            has_run: result.is_ok(),
            ..Self::failed(result, reached)
        }
    }

    const fn failed(result: Result<Reply, Cause>, reached: Reached) -> Self {
        Self {
            result,
            reached,
            has_run: false,
            is_lost: false,
            is_unclear: false,
        }
    }
}

impl Link {
    pub(super) async fn send(&mut self, command: &Command, effect: Effect) -> Result<Reply, Cause> {
        if let Some(answer) = self.recall(command, effect) {
            return Ok(answer);
        }
        if !command.is_read() {
            self.withdraw().await;
            self.listings.forget();
        }
        if let Some(answer) = self.listings.answer(command) {
            return answer;
        }
        let mut early = self.take_early(command);
        if early.is_none() {
            self.roll_over().await?;
        }
        let before = self.fate;
        let mut command = command.clone();
        let mut sent = self.send_once(&command, effect, early.take()).await;
        for _ in 0..RESENDS {
            if !sent.is_lost || !self.may_go_on() {
                break;
            }
            sent = match self.bring_again(&mut command).await {
                Ok(()) => self.send_once(&command, effect, None).await,
                Err(cause) => Sending::failed(Err(cause), Reached::No),
            };
        }
        if effect == Effect::Once && sent.reached != Reached::Maybe {
            self.fate = if sent.has_run { Fate::Ran } else { before };
        }
        if effect != Effect::Read && (sent.has_run || sent.reached == Reached::Maybe) {
            self.memo.note(&self.written(&command));
        }
        let exposure = self.now.exposure;
        self.now.exposure = if sent.has_run {
            exposure.done(effect)
        } else if sent.is_unclear {
            // Nothing may repeat blindly what a look should have cleared up.
            exposure.failed(Reached::Maybe, Effect::Once)
        } else {
            exposure.failed(sent.reached, effect)
        };
        sent.result
    }

    /// What lay in the store of a session went with it.
    async fn bring_again(&mut self, command: &mut Command) -> Result<(), Cause> {
        let Command::PutFile { file, .. } = command else {
            return Ok(());
        };
        let Some(sent) = self.sent.take().filter(|sent| sent.file == *file) else {
            return Err(Cause::SessionLost);
        };
        let brought = self.bring(Content::Bytes(sent.content), &sent.name).await;
        *file = self.noticing_loss(brought).await?.file;
        Ok(())
    }

    async fn send_once(
        &mut self,
        command: &Command,
        effect: Effect,
        early: Option<Early>,
    ) -> Sending {
        let begun = Instant::now();
        let permitted = match self.permit(command, effect).await {
            Ok(session) => session,
            Err(cause) => return Sending::failed(Err(cause), Reached::No),
        };
        if effect == Effect::Once {
            self.fate = Fate::InDoubt;
        }
        let issued = match &early {
            Some(early) => Ok((early.session.clone(), early.id)),
            None => self.issue(command).await,
        };
        let (id, sending) = match issued {
            Ok((session, id)) => {
                self.issued(command, session.clone(), id).await;
                if early.is_none() {
                    self.let_early_ones_end().await;
                }
                if command.is_read() {
                    self.look_ahead(command).await;
                }
                // The clock of a command starts when it is its turn.
                self.now.deadline += begun.elapsed();
                let result = match early.and_then(|early| early.answer) {
                    Some(answer) => answer,
                    None => self.finish(command, &session, id).await,
                };
                self.listings.note(command, &result);
                let told = self.told(command, session, id, &result).await;
                (Some(id), taken(result, told))
            }
            Err(cause) => {
                self.now.deadline += begun.elapsed();
                (None, not_taken(cause))
            }
        };
        if matches!(sending.result, Err(Cause::SessionLost)) {
            // So that whatever is next gets another.
            self.close().await;
        }
        let Err(cause) = &sending.result else {
            return sending;
        };
        let doubt = Doubt {
            session: permitted,
            command: command.clone(),
            effect,
            id,
        };
        match sending.reached {
            _ if effect == Effect::Read => sending,
            Reached::Maybe => {
                let cause = cause.clone();
                let looking = Instant::now();
                let settlement = self.settle(&doubt, &cause).await;
                // Looking what became of it is not its time.
                self.now.deadline += looking.elapsed();
                let sending = settled(&doubt, cause, settlement);
                if sending.has_run {
                    self.extend(BRING_HOME);
                }
                sending
            }
            Reached::No if id.is_none() => {
                self.tell_settled(&doubt, cause, Settled::NeverRan).await;
                sending
            }
            Reached::No | Reached::Yes => sending,
        }
    }

    /// Makes the intent of a command that may change the endpoint durable; gives the session that it is for.
    async fn permit(&mut self, command: &Command, effect: Effect) -> Result<SessionId, Cause> {
        let session = self.hold.current()?.session.id();
        if effect == Effect::Read {
            return Ok(session);
        }
        let bag = self.bag()?;
        // Nothing is destroyed before what was collected is safe.
        self.on_disk(move || bag.sync()).await??;
        let (device, step, command) =
            (self.device.id, self.now.step.clone(), self.told_of(command));
        let permitted = EventKind::CommandPermitted {
            device,
            step,
            session: session.clone(),
            command,
            effect,
        };
        self.job.ledger.record(permitted).await.map(|()| session)
    }

    pub(super) async fn issue(
        &mut self,
        command: &Command,
    ) -> Result<(SessionId, CommandId), Cause> {
        let (until, patience) = (self.deadline(PATIENCE), self.patience());
        let held = self.hold.current()?;
        let id = bounded(patience, until, held.session.issue(command)).await?;
        held.issued += 1;
        held.known.insert(id);
        Ok((held.session.id(), id))
    }

    /// Tells the journal that the backend has a command.
    pub(super) async fn issued(&self, command: &Command, session: SessionId, id: CommandId) {
        self.note(EventKind::CommandIssued {
            device: self.device.id,
            step: self.now.step.clone(),
            session,
            command: id,
            name: command.name().to_owned(),
        })
        .await;
    }

    async fn finish(
        &mut self,
        command: &Command,
        session: &SessionId,
        id: CommandId,
    ) -> Result<Reply, Cause> {
        self.finish_by(command, session, id, self.now.deadline)
            .await
    }

    pub(super) async fn finish_by(
        &mut self,
        command: &Command,
        session: &SessionId,
        id: CommandId,
        deadline: Instant,
    ) -> Result<Reply, Cause> {
        let patience = self.patience();
        let held = self.hold.current()?;
        debug_assert_eq!(held.session.id(), *session);
        let finish = held.session.finish(command, id, deadline);
        let result = bounded(patience, deadline, finish).await;
        if matches!(
            result,
            Err(Cause::CommandTimeout { .. } | Cause::Interrupted)
        ) {
            // It may still wait in the queue, where taking it back helps; if it runs, nothing does.
            drop(timeout(TAKE_BACK, held.session.cancel(id)).await);
        }
        result
    }

    /// Tells journal and transcript how a command ended.
    pub(super) async fn told(
        &self,
        command: &Command,
        session: SessionId,
        id: CommandId,
        result: &Result<Reply, Cause>,
    ) -> Result<(), Cause> {
        let cause = self.cause_of(result);
        let mut entry = json!({
            "t": clock::now(), "step_id": self.now.step, "attempt": self.now.attempt, "session": session,
            "command_id": id, "command": self.told_of(command), "cause": cause,
        });
        if self.now.no_log {
            entry["withheld"] = "no_log".into();
        } else {
            entry["answer"] = json!(result.as_ref().ok().map(|reply| reply.result.brief()));
        }
        self.job.plan.secrets.hide_in(&mut entry);
        self.note(EventKind::CommandEnded {
            device: self.device.id,
            session,
            command: id,
            cause,
            started: (result.as_ref().ok()).and_then(|reply| reply.result.started()),
        })
        .await;
        self.bag()?.transcript(&entry).map_err(Cause::from)
    }

    /// Tells journal and transcript what became of a command in doubt.
    pub(super) async fn tell_settled(&self, doubt: &Doubt, cause: &Cause, settled: Settled) {
        let cause = self.cause_of::<()>(&Err(cause.clone()));
        let mut entry = json!({
            "t": clock::now(), "step_id": self.now.step, "attempt": self.now.attempt,
            "session": doubt.session, "command": self.told_of(&doubt.command), "cause": cause,
            "settled": settled,
        });
        if let Some(id) = doubt.id {
            entry["command_id"] = json!(id);
        }
        self.job.plan.secrets.hide_in(&mut entry);
        self.note(EventKind::CommandSettled {
            device: self.device.id,
            step: self.now.step.clone(),
            session: doubt.session.clone(),
            settled,
        })
        .await;
        if let Ok(bag) = self.bag() {
            // A disk that takes nothing fails whatever is written next.
            drop(bag.transcript(&entry));
        }
    }
}

/// How a command did that the backend has, so that an answer which only concerns our asking says nothing of
/// its fate.
fn taken(result: Result<Reply, Cause>, told: Result<(), Cause>) -> Sending {
    let reached = match &result {
        Ok(_) => Reached::Yes,
        Err(Cause::CommandCancelled) => Reached::No,
        Err(cause) => cause.reached().max(Reached::Maybe),
    };
    Sending {
        has_run: result.is_ok(),
        ..Sending::failed(result.and_then(|reply| told.map(|()| reply)), reached)
    }
}

/// A session that is gone takes nothing; one that we stopped waiting for may have taken it.
fn not_taken(cause: Cause) -> Sending {
    let reached = match &cause {
        Cause::SessionLost => Reached::No,
        Cause::Interrupted => Reached::Maybe,
        cause => cause.reached(),
    };
    Sending::failed(Err(cause), reached)
}

/// What a doubt is for the step, after a look.
fn settled(doubt: &Doubt, cause: Cause, settlement: Settlement) -> Sending {
    match settlement {
        Settlement::Ended(result) => Sending::ended(result),
        Settlement::Done => Sending::ended(Ok(Reply {
            session: doubt.session.clone(),
            command: doubt.id.unwrap_or(CommandId(0)),
            result: CommandResult::Done,
            raw: Vec::new(),
        })),
        Settlement::NeverRan => Sending {
            is_lost: doubt.id.is_none(),
            ..Sending::failed(Err(cause), Reached::No)
        },
        // What must not run twice may have run, and have had no effect.
        Settlement::NotDone if doubt.effect == Effect::Once => {
            Sending::failed(Err(cause), Reached::Maybe)
        }
        Settlement::NotDone => Sending::failed(Err(cause), Reached::No),
        Settlement::Unclear => Sending {
            is_unclear: look::can_tell(&doubt.command),
            ..Sending::failed(Err(cause), Reached::Maybe)
        },
    }
}
