//! What the engine lends to a step: the endpoint through the session we hold, the bag, the journal.
//!
//! One per device. Whatever is asked of the backend here has an end, by the attempt's deadline or by a stop.

use super::ahead::{Ahead, TAKE_BACK};
use super::files::Files;
use super::hold::{Hold, PATIENCE};
use super::job::Job;
use super::listings::Listings;
use super::patience::{Passed, bounded};
use super::retry::{Exposure, Fate};
use crate::bundle::store::Bag;
use crate::clock;
use crate::live::Answer;
use crate::model::command::{Command, DirEntry, Reply};
use crate::model::conceal::withhold;
use crate::model::device::Device;
use crate::model::effect::{Effect, Reached};
use crate::model::event::{EventKind, OnError, Started};
use crate::model::id::{CommandId, FileId, SessionId, StepId};
use crate::model::memo::Memo;
use crate::model::outcome::{Cause, Outcome};
use crate::model::row::{Finding, StoredFile};
use crate::step::cx::{Content, FileRequest, Hands, Opened, Source, Uploaded};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

pub(super) struct Link {
    pub(super) job: Arc<Job>,
    pub(super) device: Device,
    /// Gone only while the bag is being sealed.
    pub(super) bag: Option<Arc<Bag>>,
    /// Held while the disk works on the bag, also when nobody waits for it any more.
    pub(super) disk: Arc<Mutex<()>>,
    pub(super) hold: Hold,
    /// Reads that are under way before their turn.
    pub(super) ahead: Ahead,
    /// What neighbouring reads have seen of directories.
    pub(super) listings: Listings,
    pub(super) files: Files,
    /// The attempt under way.
    pub(super) now: Now,
    /// Which item of `for_each` is under way.
    pub(super) item: Option<u32>,
    /// What the step under way, or the item of it, has changed.
    pub(super) memo: Memo,
    /// What is known of the commands of the step under way that must not run twice.
    pub(super) fate: Fate,
    /// When the time of `always` is over. While its steps run, a first signal is nothing to them.
    pub(super) always_until: Option<Instant>,
}

/// The attempt under way: whose it is, until when, and what it has done.
pub(super) struct Now {
    pub(super) step: StepId,
    pub(super) attempt: u32,
    pub(super) deadline: Instant,
    pub(super) exposure: Exposure,
    /// Bodies of the answers, for the step's file.
    pub(super) raw: Vec<Vec<u8>>,
    /// What is asked and answered is not written down.
    pub(super) no_log: bool,
    /// What files of ours on the endpoint are named after, and how many have a name.
    pub(super) nonce: String,
    names: u32,
}

impl Now {
    pub(super) fn new(step: StepId, attempt: u32, deadline: Instant) -> Self {
        Self {
            step,
            attempt,
            deadline,
            exposure: Exposure::None,
            raw: Vec::new(),
            no_log: false,
            nonce: clock::nonce(7),
            names: 0,
        }
    }
}

impl Link {
    pub(super) fn new(job: Arc<Job>, device: Device, bag: Bag) -> Self {
        let now = Now::new(StepId::from(""), 0, Instant::now());
        Self {
            hold: Hold::new(Arc::clone(&job), device.clone()),
            ahead: Ahead::default(),
            listings: Listings::new(device.os),
            job,
            device,
            bag: Some(Arc::new(bag)),
            disk: Arc::default(),
            files: Files::default(),
            now,
            item: None,
            memo: Memo::default(),
            fate: Fate::Untouched,
            always_until: None,
        }
    }

    pub(super) fn bag(&self) -> Result<Arc<Bag>, Cause> {
        self.bag.clone().ok_or_else(no_bag)
    }

    /// Works on the bag beside the async threads.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Cause> {
        let turn = Arc::clone(&self.disk).lock_owned().await;
        blocking(move || {
            let done = work();
            drop(turn);
            done
        })
        .await
    }

    /// Takes the bag, when nobody works on it any more.
    pub(super) async fn take_bag(&mut self) -> Result<Bag, Cause> {
        let _turn = self.disk.lock().await;
        let bag = self.bag.take().and_then(Arc::into_inner);
        bag.ok_or_else(no_bag)
    }

    /// Says of a step that was cut short what is known of it: a command that must not run twice and whose
    /// end nobody heard may have run.
    pub(super) async fn settle(&mut self) -> Option<Outcome> {
        let cause = Cause::Interrupted;
        let outcome = match std::mem::take(&mut self.fate) {
            Fate::Untouched => return None,
            Fate::Ran => Outcome::Failed { cause },
            Fate::InDoubt => Outcome::Unknown { cause },
        };
        self.note(EventKind::StepFinished {
            device: self.device.id,
            step: self.now.step.clone(),
            outcome: outcome.clone(),
            attempts: self.now.attempt,
            on_error: OnError::Fail,
        })
        .await;
        Some(outcome)
    }

    /// Records what need not be waited for; a broken journal shows at the next permit.
    pub(super) async fn note(&self, event: EventKind) {
        let _ = self.job.ledger.record(event).await;
    }

    async fn send(&mut self, command: &Command, effect: Effect) -> Result<Reply, Cause> {
        let begun = Instant::now();
        if !command.is_read() {
            self.withdraw().await;
            self.listings.forget();
        }
        if let Some(answer) = self.listings.answer(command) {
            return answer;
        }
        let early = self.take_early(command);
        if early.is_none() {
            self.roll_over().await?;
        }
        self.permit(command, effect).await?;
        let before = self.fate;
        if effect == Effect::Once {
            self.fate = Fate::InDoubt;
        }
        let mut has_run = false;
        let issued = match &early {
            Some(early) => Ok((early.session.clone(), early.id)),
            None => self.issue(command).await,
        };
        let (result, reached) = match issued {
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
                has_run = result.is_ok();
                // The backend has it, so that an answer which only concerns our asking says nothing of its fate.
                let reached = match &result {
                    Ok(_) => Reached::Yes,
                    Err(Cause::CommandCancelled) => Reached::No,
                    Err(cause) => cause.reached().max(Reached::Maybe),
                };
                let told = self.told(command, session, id, &result).await;
                (result.and_then(|reply| told.map(|()| reply)), reached)
            }
            // A session that is gone takes nothing; one that we stopped waiting for may have taken it.
            Err(Cause::SessionLost) => (Err(Cause::SessionLost), Reached::No),
            Err(Cause::Interrupted) => (Err(Cause::Interrupted), Reached::Maybe),
            Err(cause) => {
                let reached = cause.reached();
                (Err(cause), reached)
            }
        };
        if effect == Effect::Once && reached != Reached::Maybe {
            self.fate = if has_run { Fate::Ran } else { before };
        }
        if !command.is_read() {
            let told = self.told_of(command);
            self.memo.heard(&told, result.as_ref().ok(), reached);
        }
        let exposure = self.now.exposure;
        self.now.exposure = if has_run {
            exposure.done(effect)
        } else {
            exposure.failed(reached, effect)
        };
        result
    }

    /// Makes the intent of a command that may change the endpoint durable.
    async fn permit(&mut self, command: &Command, effect: Effect) -> Result<(), Cause> {
        let session = self.hold.current()?.session.id();
        if effect == Effect::Read {
            return Ok(());
        }
        let (device, step, command) =
            (self.device.id, self.now.step.clone(), self.told_of(command));
        self.job
            .ledger
            .record(EventKind::CommandPermitted {
                device,
                step,
                session,
                command,
                effect,
            })
            .await
    }

    async fn issue(&mut self, command: &Command) -> Result<(SessionId, CommandId), Cause> {
        let (until, patience) = (self.deadline(PATIENCE), self.patience());
        let held = self.hold.current()?;
        let id = bounded(patience, until, held.session.issue(command)).await?;
        held.issued += 1;
        held.known.insert(id);
        Ok((held.session.id(), id))
    }

    /// Tells the journal that the backend has a command.
    async fn issued(&self, command: &Command, session: SessionId, id: CommandId) {
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
        let (deadline, patience) = (self.now.deadline, self.patience());
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
    async fn told(
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
            started: result.as_ref().ok().and_then(Started::of),
        })
        .await;
        self.bag()?.transcript(&entry).map_err(Cause::from)
    }

    /// Ends the session that we hold, and whatever is under way in it.
    pub(super) async fn close(&mut self) {
        self.lose_early().await;
        self.hold.close().await;
    }

    /// Lets go of a session that was lost, so that the next step gets another.
    async fn noticing_loss<T>(&mut self, result: Result<T, Cause>) -> Result<T, Cause> {
        if matches!(result, Err(Cause::SessionLost)) {
            self.close().await;
        }
        result
    }

    /// A command as it is written down.
    fn told_of(&self, command: &Command) -> Command {
        let mut command = command.clone();
        if self.now.no_log {
            command.conceal(&withhold);
        }
        command
    }

    /// Why something failed, as it is written down.
    pub(super) fn cause_of<T>(&self, result: &Result<T, Cause>) -> Option<Cause> {
        let mut cause = result.as_ref().err().cloned();
        if let Some(cause) = cause.as_mut().filter(|_| self.now.no_log) {
            cause.conceal(&withhold);
        }
        cause
    }
}

impl Hands for Link {
    fn command(&mut self, command: Command, effect: Effect) -> Answer<'_, Reply> {
        Box::pin(async move {
            let result = self.send(&command, effect).await;
            if let Ok(reply) = &result {
                // What another answer has told already came with that one.
                self.now
                    .raw
                    .extend(Some(reply.raw.clone()).filter(|raw| !raw.is_empty()));
            }
            self.noticing_loss(result).await
        })
    }

    fn expect(&mut self, commands: Vec<Command>) {
        self.ahead_of_turn(commands);
    }

    fn source(&self) -> Option<Source> {
        self.job.plan.assets.source(&self.now.step)
    }

    fn upload<'a>(&'a mut self, content: Content<'a>, name: &'a str) -> Answer<'a, Uploaded> {
        Box::pin(async move {
            let result = self.bring(content, name).await;
            self.noticing_loss(result).await
        })
    }

    fn open(&mut self, file: &FileRequest) -> Opened {
        self.files.open(file)
    }

    fn describe(&mut self, entry: Option<&DirEntry>) {
        self.files.describe(entry);
    }

    fn begin_anew(&mut self) {
        self.files.begin_anew();
    }

    fn append<'a>(&'a mut self, reply: &'a Reply, file: &'a FileId) -> Answer<'a, u64> {
        Box::pin(async move {
            let result = self.take_in(reply, file).await;
            self.noticing_loss(result).await
        })
    }

    fn close(&mut self, came: Result<(), Cause>) -> Answer<'_, StoredFile> {
        Box::pin(self.put_away(came))
    }

    fn read<'a>(&'a mut self, file: &'a FileId, limit: usize) -> Answer<'a, Vec<u8>> {
        Box::pin(async move {
            let result = self.small(file, limit).await;
            self.noticing_loss(result).await
        })
    }

    fn finding(&mut self, finding: Finding) -> Answer<'_, ()> {
        Box::pin(async move {
            let (device, step) = (self.device.id, self.now.step.clone());
            let title = finding.title.raw().to_owned();
            self.job
                .ledger
                .record(EventKind::FindingMade {
                    device,
                    step,
                    severity: finding.severity,
                    title,
                })
                .await
        })
    }

    fn left_behind(&mut self, path: String) -> Answer<'_, ()> {
        Box::pin(async move {
            let (device, step) = (self.device.id, self.now.step.clone());
            self.job
                .ledger
                .record(EventKind::LeftBehind { device, step, path })
                .await
        })
    }

    fn wait(&mut self, time: Duration) -> Answer<'_, ()> {
        Box::pin(async move {
            // Whoever waits wants to see what has changed meanwhile.
            self.listings.forget();
            if self.pass(time).await == Passed::Whole {
                Ok(())
            } else {
                Err(self.stopped())
            }
        })
    }

    fn renew(&mut self) -> Answer<'_, ()> {
        Box::pin(self.hold.ensure())
    }

    fn left(&self) -> Duration {
        self.now.deadline.saturating_duration_since(Instant::now())
    }

    fn extend(&mut self, by: Duration) {
        self.now.deadline = self.now.deadline.max(Instant::now() + by);
    }

    fn has_run(&self) -> &[Command] {
        self.memo.all()
    }

    fn nonce(&mut self) -> String {
        self.now.names += 1;
        format!(
            "{}-{}{}",
            self.job.run_id.short(),
            self.now.nonce,
            self.now.names
        )
    }
}

/// Runs what waits for the disk beside the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Cause> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Cause::Internal {
            detail: error.to_string(),
        })
}

pub(super) fn no_bag() -> Cause {
    Cause::Internal {
        detail: "the bag was sealed while a step was running".into(),
    }
}
