//! What the engine lends to a step: the endpoint through the session we hold, the bag, the journal.
//!
//! One per device. Whatever is asked of the backend here has an end, by the attempt's deadline or by a stop.

use super::ahead::Ahead;
use super::files::Files;
use super::hold::Hold;
use super::job::Job;
use super::listings::Listings;
use super::patience::Passed;
use super::retry::{Exposure, Fate};
use crate::bundle::store::Bag;
use crate::clock;
use crate::live::Answer;
use crate::model::command::{Command, DirEntry, Reply};
use crate::model::conceal::withhold;
use crate::model::device::Device;
use crate::model::effect::Effect;
use crate::model::event::{EventKind, OnError};
use crate::model::id::{FileId, StepId};
use crate::model::memo::{Memo, Pending};
use crate::model::outcome::{Cause, Outcome};
use crate::model::row::{Finding, StoredFile};
use crate::step::cx::{Content, FileRequest, Hands, Opened, Source, Uploaded};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

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
    /// What lies in the store of the session for the command that comes next.
    pub(super) sent: Option<Sent>,
    /// The attempt under way.
    pub(super) now: Now,
    /// The steps during which earlier processes were cut off, and what they did of them.
    pub(super) past: Vec<Pending>,
    /// Which item of `for_each` is under way.
    pub(super) item: Option<u32>,
    /// What the step under way, or the item of it, has changed.
    pub(super) memo: Memo,
    /// What is known of the commands of the step under way that must not run twice.
    pub(super) fate: Fate,
    /// When the time of `always` is over. While its steps run, a first signal is nothing to them.
    pub(super) always_until: Option<Instant>,
}

/// A local file of the plan, as it was brought into the session's store.
pub(super) struct Sent {
    pub(super) content: Arc<[u8]>,
    pub(super) name: String,
    pub(super) file: FileId,
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
            sent: None,
            now,
            past: Vec::new(),
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
    pub(super) async fn cut_short(&mut self) -> Option<Outcome> {
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

    /// Ends the session that we hold, and whatever is under way in it.
    /// Says whether it is known to take no command any more.
    pub(super) async fn close(&mut self) -> bool {
        self.lose_early().await;
        self.hold.close().await
    }

    /// Lets go of a session that was lost, so that the next step gets another.
    pub(super) async fn noticing_loss<T>(&mut self, result: Result<T, Cause>) -> Result<T, Cause> {
        if matches!(result, Err(Cause::SessionLost)) {
            self.close().await;
        }
        result
    }

    /// A command as it is written down.
    pub(super) fn told_of(&self, command: &Command) -> Command {
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
            result
        })
    }

    fn clean_up(&mut self, command: Command) -> Answer<'_, Reply> {
        Box::pin(async move {
            let known = self.now.exposure;
            let result = self.command(command, Effect::Converge).await;
            self.now.exposure = known;
            result
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
        match self.brought_before(file) {
            Some(stored) => Opened::Complete(Box::new(stored)),
            None => self.files.open(file),
        }
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

    fn written(&self, text: &str) -> String {
        self.job.plan.secrets.text(text).into_owned()
    }

    fn keep<'a>(&'a mut self, path: &'a str, bytes: &'a [u8]) -> Answer<'a, ()> {
        Box::pin(self.keep_aside(path, bytes))
    }

    fn kept(&self, path: &str) -> Option<Vec<u8>> {
        self.kept_aside(path)
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
