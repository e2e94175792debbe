//! How long anything here waits: until its deadline, until a stop has had its grace, or, in `always`, until
//! the time of those steps is over.

use super::cancel::Cancel;
use super::link::Link;
use crate::model::outcome::{Cause, whole_seconds};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// The time that all steps of `always` have together.
pub(super) const ALWAYS: Duration = Duration::from_mins(1);
/// A session ends its own waiting at the deadline, and knows best why; this much later we no longer ask it.
const SLACK: Duration = Duration::from_secs(2);
impl Link {
    /// When something that may take so long has to be over.
    pub(super) fn deadline(&self, within: Duration) -> Instant {
        let deadline = Instant::now() + within;
        self.always_until
            .map_or(deadline, |until| deadline.min(until))
    }

    /// Nothing new begins once the run is stopped for good, or cannot be written down.
    pub(super) fn may_go_on(&self) -> bool {
        let stopped = match self.always_until {
            Some(until) => self.job.cancel.is_leaving() || Instant::now() >= until,
            None => self.job.cancel.is_draining(),
        };
        !stopped && !self.job.ledger.is_broken()
    }

    /// Why nothing new begins.
    pub(super) fn stopped(&self) -> Cause {
        if self.job.ledger.is_broken() {
            Cause::Journal
        } else if self.always_until.is_some() && !self.job.cancel.is_leaving() {
            always_over()
        } else {
            Cause::Interrupted
        }
    }

    /// Lets time pass, unless the run is stopped meanwhile.
    pub(super) async fn pass(&self, time: Duration) -> Passed {
        let stopped = async {
            match self.always_until {
                Some(until) => sleep_until(until).await,
                None => self.job.cancel.draining().await,
            }
        };
        tokio::select! {
            biased;
            () = stopped => Passed::CutShort,
            () = sleep(time) => Passed::Whole,
        }
    }

    pub(super) fn patience(&self) -> Patience {
        Patience {
            cancel: self.job.cancel.clone(),
            always: self.always_until.is_some(),
        }
    }
}

/// The time of `always` is over.
pub(super) const fn always_over() -> Cause {
    Cause::AlwaysOver {
        seconds: ALWAYS.as_secs(),
    }
}

/// Whether all of some time passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passed {
    Whole,
    CutShort,
}

/// How long a stop leaves to what is asked of the backend.
#[derive(Clone)]
pub(super) struct Patience {
    cancel: Cancel,
    /// Steps of `always` have a time of their own, and end at the second signal alone.
    always: bool,
}

impl Patience {
    async fn over(&self) {
        if self.always {
            self.cancel.leaving().await;
        } else {
            self.cancel.grace_over().await;
        }
    }
}

/// Waits for what is asked of the backend, but not for ever, nor beyond the grace of a stop.
pub(super) async fn bounded<T>(
    patience: Patience,
    deadline: Instant,
    asked: impl Future<Output = Result<T, Cause>>,
) -> Result<T, Cause> {
    let begun = Instant::now();
    tokio::select! {
        biased;
        answer = asked => answer,
        () = patience.over() => Err(Cause::Interrupted),
        () = sleep_until(deadline + SLACK) => Err(Cause::CommandTimeout {
            seconds: whole_seconds(deadline.saturating_duration_since(begun)),
        }),
    }
}
