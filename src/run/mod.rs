//! The engine: takes every planned device to its end, so many at a time.
//!
//! It knows no HTTP, cannot tell a real backend from a simulated one, and prints nothing: what happens,
//! it tells the ledger.

mod ahead;
mod attempt;
pub mod cancel;
mod course;
mod device;
mod farewell;
mod files;
mod foresight;
mod frames;
mod hold;
pub mod job;
mod link;
mod listings;
mod look;
mod patience;
mod probe;
mod recall;
mod retry;
mod send;
mod settle;
mod step_end;
mod walk;

use crate::model::event::EventKind;
use job::Job;
use probe::Probe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

/// Carries a job out. When it returns, every device has ended and nothing is open.
///
/// As many workers as there are sessions take devices from one queue, so that a device that waits
/// costs its place in the plan and nothing more.
pub async fn execute(job: Arc<Job>) {
    let next = Arc::new(AtomicUsize::new(0));
    let probe = Arc::new(Probe::default());
    let mut workers = JoinSet::new();
    for _ in 0..job.plan.settings.max_sessions.min(job.plan.devices.len()) {
        workers.spawn(work(
            Arc::clone(&job),
            Arc::clone(&next),
            Arc::clone(&probe),
        ));
    }
    while workers.join_next().await.is_some() {}
    // A device without an end is one that a resume begins with.
    if !job.cancel.is_leaving() && !job.ledger.is_broken() {
        let first = next.load(Ordering::Acquire).min(job.plan.devices.len());
        for planned in &job.plan.devices[first..] {
            device::pass_over(&job, planned).await;
        }
    }
    // The summary tells what the journal cannot.
    let _ = job
        .ledger
        .record(EventKind::RunEnded {
            spent: job.fleet.spent(),
        })
        .await;
}

async fn work(job: Arc<Job>, next: Arc<AtomicUsize>, probe: Arc<Probe>) {
    loop {
        let start = probe.start(&job).await;
        if job.cancel.is_stopping() || job.ledger.is_broken() {
            return;
        }
        let Some(planned) = job.plan.devices.get(next.fetch_add(1, Ordering::AcqRel)) else {
            return;
        };
        device::run(&job, planned).await;
        start.ended(&job);
    }
}
