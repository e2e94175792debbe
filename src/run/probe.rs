//! Starting devices when the backend was in trouble: one at first, and all if that one does well.
//!
//! What trouble is, the backend's port says; nothing is measured here but time.

use super::job::Job;
use crate::model::event::Stop;
use crate::model::outcome::Cause;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep};

/// How long to wait before looking again whether the backend has recovered.
const LOOK: Duration = Duration::from_secs(1);
/// A backend that does not recover for so long is given up. Several times the rest that it is granted.
const GIVE_UP: Duration = Duration::from_mins(5);

#[derive(Default)]
pub(super) struct Probe {
    is_doubted: AtomicBool,
    turn: Mutex<()>,
}

/// The right to start a device.
pub(super) struct Start<'a> {
    probe: &'a Probe,
    /// Others wait for how this one does.
    _turn: Option<MutexGuard<'a, ()>>,
}

impl Probe {
    /// Waits until another device may start, or none will.
    pub(super) async fn start(&self, job: &Job) -> Start<'_> {
        let begun = Instant::now();
        loop {
            while job.fleet.is_struggling() && !job.cancel.is_stopping() {
                self.is_doubted.store(true, Ordering::Release);
                if begun.elapsed() >= GIVE_UP {
                    let cause = Cause::RetryBudgetSpent;
                    job.stop(Stop::Backend { cause }).await;
                }
                sleep(LOOK).await;
            }
            let turn = if self.is_doubted.load(Ordering::Acquire) {
                Some(self.turn.lock().await)
            } else {
                None
            };
            let is_cleared = !self.is_doubted.load(Ordering::Acquire);
            if is_cleared || job.cancel.is_stopping() || !job.fleet.is_struggling() {
                return Start {
                    probe: self,
                    _turn: turn.filter(|_| !is_cleared),
                };
            }
        }
    }
}

impl Start<'_> {
    /// The device has ended.
    pub(super) fn ended(self, job: &Job) {
        if !job.fleet.is_struggling() {
            self.probe.is_doubted.store(false, Ordering::Release);
        }
    }
}
