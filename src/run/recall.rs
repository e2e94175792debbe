//! Going on where an earlier process was cut off: what it did of a device is not done again.
//!
//! What is left to do, the ledger knows; here it is handed to the walk.

use super::hold::Hold;
use super::link::Link;
use super::look;
use super::retry::Fate;
use super::settle::Settlement;
use super::step_end::StepFile;
use crate::bundle::DiskError;
use crate::bundle::layout::RunDir;
use crate::bundle::store::Bag;
use crate::live::Ours;
use crate::model::command::{Command, Reply};
use crate::model::effect::Effect;
use crate::model::event::Settled;
use crate::model::id::{CommandId, SessionId, StepId};
use crate::model::memo::{Doubt, Memo};
use crate::model::outcome::{Cause, Outcome};
use crate::model::row::{FileState, StoredFile};
use crate::model::state::{DeviceRecord, StepRecord};
use crate::playbook::{Playbook, Step};
use crate::step::cx::FileRequest;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How a step ended whose outcome stands.
#[derive(Debug, Clone)]
pub(super) struct Restored {
    pub(super) outcome: Outcome,
    pub(super) attempts: u32,
    /// Its part of `outcome.json`.
    pub(super) entry: Value,
    /// What later steps see of it.
    pub(super) result: Option<Value>,
}

/// Where a device's earlier evidence lies: in the bag that is under way, and in those that are sealed.
pub(super) struct Shelf<'a> {
    pub(super) dir: &'a RunDir,
    pub(super) bag: &'a Bag,
    pub(super) sealed: &'a [String],
}

impl Shelf<'_> {
    fn step(&self, ordinal: usize, step: &StepId) -> Result<Option<Vec<u8>>, DiskError> {
        if let Some(file) = self.bag.read_step(ordinal, step)? {
            return Ok(Some(file));
        }
        for bag in self.sealed.iter().rev() {
            if let Some(file) = self.dir.read_step(bag, ordinal, step)? {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// The steps that need not run again. What later steps need of one, and cannot be had, is found out again
    /// where that changes nothing.
    pub(super) fn restore(
        &self,
        playbook: &Playbook,
        standing: &[StepRecord],
    ) -> Result<BTreeMap<StepId, Restored>, DiskError> {
        let mut restored = BTreeMap::new();
        for (ordinal, step) in (1..).zip(&playbook.steps) {
            let Some(record) = standing.iter().find(|record| record.step == step.id) else {
                continue;
            };
            let file = self.step(ordinal, &step.id)?;
            let file = file.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            let one = restored_step(step, record, file);
            if one.result.is_some() || !step.is_needed() || step.kind.effect() != Effect::Read {
                restored.insert(step.id.clone(), one);
            }
        }
        Ok(restored)
    }
}

fn restored_step(step: &Step, record: &StepRecord, file: Option<Value>) -> Restored {
    // That it did not hold is found out again by the steps that prove it.
    let outcome = match &record.outcome {
        Outcome::Failed {
            cause: Cause::Disproved { .. },
        } => Outcome::Done,
        outcome => outcome.clone(),
    };
    let mut file = file.unwrap_or_default();
    let mut entry = file["end"].take();
    if !entry.is_object() {
        entry = json!({
            "step_id": step.id, "name": step.label, "action": step.kind.spec().key,
            "attempts": record.attempts,
        });
    }
    if entry["outcome"] != outcome.word() {
        // A person decided, or nothing but the journal knows.
        entry["outcome"] = outcome.word().into();
        entry["cause"] = json!(outcome.cause());
        entry["reason"] = json!(outcome.cause().map(Cause::summary));
    }
    Restored {
        outcome,
        attempts: record.attempts,
        entry,
        result: Some(file[StepFile::RESULT].take()).filter(|result| !result.is_null()),
    }
}

impl Hold {
    /// Knows the session that an earlier process left, so that it is not taken for somebody else's.
    pub(super) fn remember(&mut self, before: &DeviceRecord) {
        self.ours = Ours {
            sessions: before.open.clone(),
            asked: before.asked,
        };
        if let Some(session) = &before.session {
            self.left = Some((session.clone(), before.known.clone()));
        }
    }
}

impl Link {
    /// What an earlier process did of the step under way.
    pub(super) fn recalled(&mut self, step: &Step) -> Memo {
        let item = self.item;
        let past = self.past.iter_mut().find(|past| past.step == step.id);
        past.map(|past| past.take(item)).unwrap_or_default()
    }

    /// The answer of a command that ran before, in place of running it again.
    pub(super) fn recall(&mut self, command: &Command, effect: Effect) -> Option<Reply> {
        if effect == Effect::Read {
            return None;
        }
        let written = self.written(command);
        if effect != Effect::Once && written != *command {
            // As the journal withholds of which it tells, it may be another one; this does no harm twice.
            return None;
        }
        let result = self.memo.recall(&written)?;
        if effect == Effect::Once {
            self.fate = Fate::Ran;
        }
        self.now.exposure = self.now.exposure.done(effect);
        Some(Reply {
            session: SessionId(String::new()),
            command: CommandId(0),
            result,
            raw: Vec::new(),
        })
    }

    /// Whether an attempt that was cut short took a file away.
    fn has_removed(&self, path: &str) -> bool {
        let removed = self.written(&Command::DeleteFile {
            path: path.to_owned(),
        });
        self.memo.will_recall(&removed)
    }

    /// A file that this step brought before it took it away from the endpoint.
    pub(super) fn brought_before(&self, file: &FileRequest) -> Option<StoredFile> {
        if file.is_anew || !self.has_removed(&file.path) {
            return None;
        }
        let stored = self.bag.as_ref()?.stored(&self.now.step).ok()?;
        let is_it = |stored: &StoredFile| {
            stored.state == FileState::Complete && stored.original_path.raw() == file.original
        };
        stored.into_iter().rfind(is_it)
    }

    /// Keeps what a file held that is taken away next, where its step cannot simply run again.
    pub(super) async fn keep_aside(&self, path: &str, bytes: &[u8]) -> Result<(), Cause> {
        if self.memo.all().is_empty() || self.now.no_log {
            return Ok(());
        }
        let (bag, path, bytes) = (self.bag()?, path.to_owned(), bytes.to_owned());
        self.on_disk(move || bag.keep(&path, &bytes)).await??;
        Ok(())
    }

    pub(super) fn kept_aside(&self, path: &str) -> Option<Vec<u8>> {
        let bag = self.bag.as_ref().filter(|_| self.has_removed(path));
        bag?.kept(path)
    }

    /// A command as the journal has it.
    pub(super) fn written(&self, command: &Command) -> Command {
        let mut command = self.told_of(command);
        let secrets = &self.job.plan.secrets;
        if !secrets.is_empty() {
            command.conceal(&|text| secrets.hide(text));
        }
        command
    }

    /// Finds out what became of the commands of which an earlier process did not hear. The outcome of these steps
    /// is unknown, as nobody can tell.
    pub(super) async fn settle_past(&mut self) -> BTreeSet<StepId> {
        let mut unknown = BTreeSet::new();
        for at in 0..self.past.len() {
            let Some(doubt) = self.past[at].doubt().cloned() else {
                continue;
            };
            self.now.step = self.past[at].step.clone();
            let settlement = self.settle(&doubt, &Cause::Interrupted).await;
            self.past_settled(at, &doubt, settlement);
            // Nobody could tell of an earlier item when it ended, nor can anybody now.
            if self.past[at].doubt().is_some() {
                unknown.insert(self.past[at].step.clone());
            }
        }
        unknown
    }

    fn past_settled(&mut self, at: usize, doubt: &Doubt, settlement: Settlement) {
        let (os, past) = (self.device.os, &mut self.past[at]);
        match settlement {
            Settlement::Ended(Ok(reply)) => past.ran(reply.result.started()),
            Settlement::Ended(Err(_)) | Settlement::NeverRan => past.settled(Settled::NeverRan),
            Settlement::Done => past.settled(Settled::Done),
            Settlement::NotDone => past.settled(Settled::NotDone),
            // Whoever may run a command twice has nothing to fear.
            Settlement::Unclear
                if doubt.effect != Effect::Once && look::question(&doubt.command, os).is_none() =>
            {
                past.settled(Settled::NeverRan);
            }
            Settlement::Unclear => {}
        }
    }
}
