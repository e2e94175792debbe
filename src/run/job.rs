//! One run: what is to be done, with what, and where it is written down.

use super::cancel::Cancel;
use crate::bundle::Leases;
use crate::bundle::layout::RunDir;
use crate::ledger::Ledger;
use crate::live::Fleet;
use crate::model::event::{EventKind, Stop};
use crate::model::id::RunId;
use crate::plan::Plan;
use jiff::Timestamp;
use std::sync::Arc;

pub struct Job {
    pub run_id: RunId,
    pub started: Timestamp,
    pub plan: Plan,
    pub fleet: Arc<dyn Fleet>,
    pub ledger: Ledger,
    pub dir: RunDir,
    /// Where runs of ours see which devices others work on.
    pub leases: Option<Leases>,
    pub cancel: Cancel,
    /// Bytes of a file that are fetched at once.
    pub piece: u64,
}

impl Job {
    /// Starts no further device; those that run may end. The first reason is the one that counts.
    pub(super) async fn stop(&self, stop: Stop) {
        self.cancel.stop();
        // A journal that cannot be written any more stops the run by itself.
        let _ = self.ledger.record(EventKind::RunStopped { stop }).await;
    }
}
