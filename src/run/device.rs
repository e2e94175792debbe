//! One device from start to sealed bag: opens the session, has the steps walked, closes, seals.

use super::farewell::Farewell;
use super::job::Job;
use super::link::{Link, blocking};
use super::recall::{Restored, Shelf};
use super::step_end::StepEnd;
use crate::bundle::{Bag, BagInfo, DiskError, TakenUp};
use crate::clock;
use crate::ledger::resume::Rest;
use crate::model::device::Device;
use crate::model::event::{DeviceEnd, EventKind, SessionEnd, Stop};
use crate::model::id::StepId;
use crate::model::outcome::{Cause, DeviceState, Outcome};
use crate::model::state::DeviceRecord;
use crate::plan::PlannedDevice;
use futures_util::FutureExt;
use serde_json::{Map, Value, json};
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// Takes one device to its end. Whatever happens, its session is closed and its end is recorded.
pub(super) async fn run(job: &Arc<Job>, planned: &PlannedDevice) {
    let anew = match job.rest(planned.device.id) {
        Rest::Nothing => return dismiss(job, &planned.device).await,
        Rest::Seal => return seal_only(job, &planned.device).await,
        Rest::Walk { anew } => anew,
    };
    let Some(mut visit) = Visit::begin(job, &planned.device, Some(anew)).await else {
        return;
    };
    let end = match &planned.gone {
        Some(cause) => DeviceEnd::Skipped {
            cause: cause.clone(),
        },
        None => visit.walk_guarded().await,
    };
    visit.finish(end).await;
}

/// Accounts for a device that was never started.
pub(super) async fn pass_over(job: &Arc<Job>, planned: &PlannedDevice) {
    let cause = match job.ledger.state().stop() {
        Some(Stop::Backend { cause } | Stop::Output { cause }) => cause.clone(),
        _ => Cause::Interrupted,
    };
    let id = planned.device.id;
    let has_ended = (job.ledger.state().device(id)).is_some_and(|record| record.end.is_some());
    match job.rest(id) {
        Rest::Seal => return seal_only(job, &planned.device).await,
        Rest::Nothing => return dismiss(job, &planned.device).await,
        // It ended as what it is before this process began.
        Rest::Walk { .. } if has_ended => return seal_only(job, &planned.device).await,
        Rest::Walk { .. } => {}
    }
    if let Some(visit) = Visit::begin(job, &planned.device, None).await {
        visit.finish(DeviceEnd::Cancelled { cause }).await;
    }
}

/// Ends what an earlier process left open of a device that has ended.
async fn dismiss(job: &Job, device: &Device) {
    let open = (job.ledger.state().device(device.id)).map(|record| record.open.clone());
    for session in open.into_iter().flatten() {
        let end = match job.fleet.dismiss(&session).await {
            Ok(()) => SessionEnd::Closed,
            Err(cause) => SessionEnd::NotClosed { cause },
        };
        let device = device.id;
        record(
            job,
            EventKind::SessionEnded {
                device,
                session,
                end,
            },
        )
        .await;
    }
}

/// Gives a device's bag its place, where nothing else is left of it.
async fn seal_only(job: &Arc<Job>, device: &Device) {
    dismiss(job, device).await;
    let is_sealed = (job.ledger.state().device(device.id)).is_some_and(DeviceRecord::is_sealed);
    if !is_sealed
        && let Some(mut visit) = Visit::begin(job, device, None).await
        && let Err(cause) = visit.seal().await
    {
        job.stop(Stop::Output { cause }).await;
    }
}

async fn record(job: &Job, event: EventKind) {
    // A journal that cannot be written refuses the next permit; nothing else depends on this answer.
    let _ = job.ledger.record(event).await;
}

pub(super) struct Visit {
    pub(super) job: Arc<Job>,
    pub(super) device: Device,
    pub(super) link: Link,
    /// What ended so far, for the bag.
    pub(super) ends: Vec<Value>,
    pub(super) outputs: Map<String, Value>,
    /// Steps whose outcomes stand, until it is their turn.
    pub(super) past: BTreeMap<StepId, Restored>,
    /// What is to be taken away before the session ends.
    pub(super) farewell: Farewell,
}

/// The bag of a visit, with what stands of those before it.
enum Opened {
    Bag(Box<Bag>, BTreeMap<StepId, Restored>),
    /// It was in its place already, or is now.
    Published(String),
}

impl Visit {
    /// Opens a device's bag, or takes it up where an earlier process left it. Steps that run `anew` do not
    /// stand; without any list, the device has ended, and there may be nothing left to do.
    async fn begin(job: &Arc<Job>, device: &Device, anew: Option<Vec<StepId>>) -> Option<Self> {
        let before = match &job.rest {
            Some(_) => job.ledger.state().device(device.id).cloned(),
            None => None,
        };
        let mut before = before.unwrap_or_default();
        let opened = loop {
            let (at, about, known) = (Arc::clone(job), device.clone(), before.clone());
            let again = anew.clone();
            let opened = blocking(move || open(&at, &about, known, again.as_deref())).await;
            match opened.and_then(|opened| opened.map_err(Cause::from)) {
                Ok(Opened::Published(path)) => {
                    before.sealed = None;
                    before.bags.push(path.clone());
                    let device = device.id;
                    record(job, EventKind::BagPublished { device, path }).await;
                    anew.as_ref()?;
                }
                Ok(Opened::Bag(bag, past)) => break Ok((bag, past)),
                Err(cause) => break Err(cause),
            }
        };
        let is_walked = anew.is_some();
        if let Some(mut anew) = anew {
            if let Ok((_, past)) = &opened {
                let lost = before.steps.iter().map(|record| &record.step);
                let lost = lost.filter(|step| !past.contains_key(step) && !anew.contains(step));
                let lost: Vec<StepId> = lost.cloned().collect();
                anew.extend(lost);
            }
            let device = device.id;
            record(job, EventKind::DeviceStarted { device, anew }).await;
        }
        match opened {
            Ok((bag, past)) => {
                let outputs = if is_walked || before.end.is_none() {
                    Map::new()
                } else {
                    outputs_of(&bag)
                };
                let mut link = Link::new(Arc::clone(job), device.clone(), *bag);
                link.hold.remember(&before);
                link.past = before.pending;
                Some(Self {
                    job: Arc::clone(job),
                    device: device.clone(),
                    link,
                    ends: Vec::new(),
                    outputs,
                    past,
                    farewell: Farewell::default(),
                })
            }
            Err(cause) => {
                output_failed(job, device, cause).await;
                None
            }
        }
    }

    /// The walk, ended early by a second signal, and made a failure by a bug.
    async fn walk_guarded(&mut self) -> DeviceEnd {
        let cancel = self.job.cancel.clone();
        let walked = tokio::select! {
            walked = AssertUnwindSafe(self.walk()).catch_unwind() => walked,
            () = cancel.leaving() => Ok(DeviceEnd::Cancelled { cause: Cause::Interrupted }),
        };
        let end = walked.unwrap_or_else(|panic| DeviceEnd::Failed {
            cause: Cause::Internal {
                detail: words(&*panic),
            },
        });
        if let Some(outcome) = self.link.cut_short().await {
            self.ends.push(json!({
                "step_id": self.link.now.step, "outcome": outcome.word(), "cause": outcome.cause(),
                "reason": outcome.cause().map(Cause::summary), "attempts": self.link.now.attempt,
            }));
        }
        end
    }

    async fn finish(mut self, end: DeviceEnd) {
        self.link.close().await;
        if self.link.hold.left.is_some() {
            // No session came about here in which the one of an earlier process would have been.
            dismiss(&self.job, &self.device).await;
        }
        self.link.give_up_files().await;
        for step in &self.job.plan.playbook.steps {
            // The walk did not come to what an earlier one put there.
            if let Some(past) = self.past.get(&step.id) {
                self.farewell.note(step, &StepEnd::restored(step, past));
            }
        }
        self.leave_behind().await;
        // Sealing says whether the disk takes them.
        drop(self.keep_outputs().await);
        record(
            &self.job,
            EventKind::DeviceEnded {
                device: self.device.id,
                end,
            },
        )
        .await;
        if let Err(cause) = self.seal().await {
            let stop = Stop::Output { cause };
            self.job.stop(stop).await;
        }
    }

    /// Makes the outputs durable, as nobody finds them out again once the end is told.
    async fn keep_outputs(&self) -> Result<(), Cause> {
        if self.outputs.is_empty() {
            return Ok(());
        }
        let mut outcome = json!({"outputs": self.outputs});
        self.job.plan.secrets.hide_in(&mut outcome);
        let bag = self.link.bag()?;
        let kept = move || bag.outcome(&outcome).and_then(|()| bag.sync());
        Ok(self.link.on_disk(kept).await??)
    }

    async fn seal(&mut self) -> Result<(), Cause> {
        // What the walk did not come to stands all the same.
        for step in &self.job.plan.playbook.steps {
            self.ends
                .extend(self.past.remove(&step.id).map(|past| past.entry));
        }
        let bag = self.link.take_bag().await?;
        let (state, outcome) = self.outcome();
        let info = BagInfo {
            plan_sha256: self.job.plan.sha256.clone(),
            outcome: state,
        };
        let sealed = blocking(move || {
            bag.outcome(&outcome)?;
            bag.forget();
            bag.seal(&info)
        })
        .await??;
        let (device, sha256) = (self.device.id, sealed.tag_manifest_sha256.clone());
        self.job
            .ledger
            .record(EventKind::BagSealed { device, sha256 })
            .await?;
        let path = blocking(move || sealed.publish()).await??;
        self.job
            .ledger
            .record(EventKind::BagPublished { device, path })
            .await
    }

    /// The device's state in a word, and `outcome.json`.
    fn outcome(&self) -> (DeviceState, Value) {
        let state = self.job.ledger.state();
        let record = state.device(self.device.id);
        let source = &self.job.plan.playbook.source;
        let (word, reason, spot) = match record.and_then(|record| record.state()) {
            Some((word, reason)) => (
                word,
                reason.map(|reason| reason.summary()),
                reason.map(|reason| reason.cause.spot(source)),
            ),
            // Its end was told and awaited, so that only a broken journal does not have it.
            None => (DeviceState::Failed, Some(Cause::Journal.summary()), None),
        };
        let mut outcome = json!({
            "device_id": self.device.id, "device_name": self.device.name, "os": self.device.os,
            "run_id": self.job.run_id, "playbook": self.job.plan.playbook.name,
            "state": word, "reason": reason, "ended": clock::now(),
            "steps": self.ends, "outputs": self.outputs,
            "left_behind": record.map(|record| record.left_behind.clone()).unwrap_or_default(),
        });
        if let Some(fields) = outcome.as_object_mut() {
            fields.extend(spot.into_iter().flatten());
        }
        self.job.plan.secrets.hide_in(&mut outcome);
        (word, outcome)
    }
}

/// Opens the bag that a device's evidence goes to.
fn open(
    job: &Job,
    device: &Device,
    before: DeviceRecord,
    anew: Option<&[StepId]>,
) -> Result<Opened, DiskError> {
    let (name, sealed) = (device.short_name(), before.sealed.as_deref());
    let mut taken = TakenUp::Nothing;
    if job.rest.is_some() {
        taken = job.dir.take_up(&name, device.id, sealed, &before.bags)?;
    }
    let bag = match taken {
        TakenUp::Published(path) => return Ok(Opened::Published(path)),
        TakenUp::Sealed(sealed) => return Ok(Opened::Published(sealed.publish()?)),
        TakenUp::Open(bag) => bag,
        TakenUp::Nothing => job.dir.open_bag(&name, device.id)?,
    };
    bag.device(&json!({"fetched": clock::now(), "device": device.verbatim}))?;
    let shelf = Shelf {
        dir: &job.dir,
        bag: &bag,
        sealed: &before.bags,
    };
    let mut standing = before.steps;
    standing.retain(|record| !anew.unwrap_or_default().contains(&record.step));
    if before.end.is_some() && anew.is_some() && before.left_behind.is_empty() {
        // What was put there for the time of the steps went at the end of the last visit.
        let steps = &job.plan.playbook.steps;
        let is_gone = |id: &StepId| {
            let mut gone = steps.iter().filter(|step| step.kind.is_taken_away());
            gone.any(|step| step.id == *id)
        };
        standing.retain(|record| record.outcome != Outcome::Done || !is_gone(&record.step));
    }
    let past = shelf.restore(&job.plan.playbook, &standing)?;
    Ok(Opened::Bag(Box::new(bag), past))
}

/// The outputs of a device that has ended.
fn outputs_of(bag: &Bag) -> Map<String, Value> {
    let outcome = bag.read_outcome().ok().flatten();
    let outcome = outcome.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    match outcome.map(|mut outcome| outcome["outputs"].take()) {
        Some(Value::Object(outputs)) => outputs,
        _ => Map::new(),
    }
}

async fn output_failed(job: &Job, device: &Device, cause: Cause) {
    record(
        job,
        EventKind::DeviceEnded {
            device: device.id,
            end: DeviceEnd::Failed {
                cause: cause.clone(),
            },
        },
    )
    .await;
    job.stop(Stop::Output { cause }).await;
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
        .to_owned()
}
