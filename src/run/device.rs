//! One device from start to sealed bag: opens the session, has the steps walked, closes, seals.

use super::farewell::Farewell;
use super::job::Job;
use super::link::{Link, blocking};
use crate::bundle::BagInfo;
use crate::clock;
use crate::model::device::Device;
use crate::model::event::{DeviceEnd, EventKind, Stop};
use crate::model::outcome::{Cause, DeviceState};
use crate::plan::PlannedDevice;
use futures_util::FutureExt;
use serde_json::{Map, Value, json};
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// Takes one device to its end. Whatever happens, its session is closed and its end is recorded.
pub(super) async fn run(job: &Arc<Job>, planned: &PlannedDevice) {
    let device = &planned.device;
    record(job, EventKind::DeviceStarted { device: device.id }).await;
    let Some(mut visit) = Visit::begin(job, device).await else {
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
    if let Some(visit) = Visit::begin(job, &planned.device).await {
        visit.finish(DeviceEnd::Cancelled { cause }).await;
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
    /// What is to be taken away before the session ends.
    pub(super) farewell: Farewell,
}

impl Visit {
    async fn begin(job: &Arc<Job>, device: &Device) -> Option<Self> {
        let (at, name, id, verbatim) = (
            Arc::clone(job),
            device.short_name(),
            device.id,
            device.verbatim.clone(),
        );
        let opened = blocking(move || {
            let bag = at.dir.open_bag(&name, id)?;
            bag.device(&json!({"fetched": clock::now(), "device": verbatim}))?;
            Ok(bag)
        })
        .await
        .and_then(|opened: Result<_, crate::bundle::DiskError>| opened.map_err(Cause::from));
        match opened {
            Ok(bag) => {
                let link = Link::new(Arc::clone(job), device.clone(), bag);
                Some(Self {
                    job: Arc::clone(job),
                    device: device.clone(),
                    link,
                    ends: Vec::new(),
                    outputs: Map::new(),
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
        if let Some(outcome) = self.link.settle().await {
            self.ends.push(json!({
                "step_id": self.link.now.step, "outcome": outcome.word(), "cause": outcome.cause(),
                "reason": outcome.cause().map(Cause::summary), "attempts": self.link.now.attempt,
            }));
        }
        end
    }

    async fn finish(mut self, end: DeviceEnd) {
        self.link.close().await;
        self.link.give_up_files().await;
        self.leave_behind().await;
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

    async fn seal(&mut self) -> Result<(), Cause> {
        let bag = self.link.take_bag().await?;
        let (state, outcome) = self.outcome();
        let info = BagInfo {
            plan_sha256: self.job.plan.sha256.clone(),
            outcome: state,
        };
        let sealed = blocking(move || {
            bag.outcome(&outcome)?;
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
