//! Files that were put there for as long as the steps run: what takes them away at a device's end.

use super::device::Visit;
use super::link::Now;
use super::step_end::StepEnd;
use crate::model::event::EventKind;
use crate::model::id::StepId;
use crate::model::memo::Memo;
use crate::model::outcome::Outcome;
use crate::playbook::Step;
use crate::step::cx::StepCx;
use crate::template::Scope;
use std::time::Duration;
use tokio::time::Instant;

/// The time that all of them have together.
const FAREWELL: Duration = Duration::from_mins(1);

/// What is still to be taken away, in the order in which it came.
#[derive(Default)]
pub(super) struct Farewell(Vec<Guest>);

struct Guest {
    step: StepId,
    path: String,
    no_log: bool,
}

impl Farewell {
    /// Remembers what a step has put there, if it is to go again.
    pub(super) fn note(&mut self, step: &Step, end: &StepEnd) {
        if !step.kind.is_taken_away() {
            return;
        }
        let items = end.result["results"].as_array();
        let of_items = items.into_iter().flatten().filter(|item| {
            let status = item["status"].as_str();
            status.is_some_and(|status| status == "done" || status == "unknown")
        });
        let may_be_there = matches!(end.outcome, Outcome::Done | Outcome::Unknown { .. });
        let own = (may_be_there && items.is_none()).then_some(&end.result);
        for result in own.into_iter().chain(of_items) {
            if let Some(path) = result["path"].as_str().filter(|path| !path.is_empty()) {
                self.0.push(Guest {
                    step: step.id.clone(),
                    path: path.to_owned(),
                    no_log: step.no_log,
                });
            }
        }
    }
}

impl Visit {
    /// Takes away what was put there for the time of the steps, the last one first. A first signal is nothing
    /// to that, nor is the time of `always`.
    pub(super) async fn say_farewell(&mut self) {
        if self.farewell.0.is_empty() {
            return;
        }
        let until = Instant::now() + FAREWELL;
        self.link.always_until = Some(until);
        // Without another session it is recorded that they stay.
        drop(self.link.hold.ensure().await);
        let scope = Scope::new();
        while let Some(guest) = self.farewell.0.last() {
            if Instant::now() >= until {
                break;
            }
            self.link.memo = Memo::default();
            self.link.now = Now::new(guest.step.clone(), 1, until);
            self.link.now.no_log = guest.no_log;
            let (step, path) = (guest.step.clone(), guest.path.clone());
            let mut cx = StepCx {
                step: &step,
                device: &self.device,
                scope: &scope,
                piece: self.job.piece,
                hands: &mut self.link,
                rows: &mut Vec::new(),
            };
            let removed = cx.remove(&path).await;
            self.farewell.0.pop();
            if removed.is_err() {
                // The journal is broken, and takes nothing more.
                break;
            }
        }
    }

    /// Records what stays because nobody waits for its end any more.
    pub(super) async fn leave_behind(&mut self) {
        for guest in std::mem::take(&mut self.farewell.0) {
            let left = EventKind::LeftBehind {
                device: self.device.id,
                step: guest.step,
                path: guest.path,
            };
            self.link.note(left).await;
        }
    }
}
