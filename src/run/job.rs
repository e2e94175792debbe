//! One run: what is to be done, with what, and where it is written down.

use super::cancel::Cancel;
use crate::bundle::Leases;
use crate::bundle::layout::RunDir;
use crate::ledger::Ledger;
use crate::ledger::resume::Rest;
use crate::live::Fleet;
use crate::model::event::{EventKind, Stop};
use crate::model::id::{DeviceId, RunId};
use crate::plan::Plan;
use jiff::Timestamp;
use std::collections::BTreeMap;
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
    /// What an earlier process left to do; nothing of a run that begins, of which everything is.
    pub rest: Option<BTreeMap<DeviceId, Rest>>,
}

impl Job {
    /// What is to be done on a device.
    pub(super) fn rest(&self, device: DeviceId) -> Rest {
        let left = self.rest.as_ref().and_then(|rest| rest.get(&device));
        left.cloned().unwrap_or(Rest::Walk { anew: Vec::new() })
    }

    /// Starts no further device; those that run may end. The first reason is the one that counts.
    pub(super) async fn stop(&self, stop: Stop) {
        self.cancel.stop();
        // A journal that cannot be written any more stops the run by itself.
        let _ = self.ledger.record(EventKind::RunStopped { stop }).await;
    }
}
