//! Stopping a run: first politely, then at once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long commands that run at the first signal may take to end.
const GRACE: Duration = Duration::from_secs(30);

/// Shared by everything that must hear of a stop.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    stop: CancellationToken,
    drain: CancellationToken,
    leave: CancellationToken,
    since: Arc<OnceLock<Instant>>,
}

impl Cancel {
    /// No new device; those under way go on to their end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// No new device and no further step; what runs may end, sessions close, bags are sealed.
    pub fn drain(&self) {
        self.since.get_or_init(Instant::now);
        self.stop();
        self.drain.cancel();
    }

    /// Sessions are closed and nothing else is done any more.
    pub fn leave(&self) {
        self.drain();
        self.leave.cancel();
    }

    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    pub fn is_leaving(&self) -> bool {
        self.leave.is_cancelled()
    }

    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    pub async fn leaving(&self) {
        self.leave.cancelled().await;
    }

    /// Ends when a command that was running at the stop has had its time.
    pub async fn grace_over(&self) {
        self.drain.cancelled().await;
        let since = self.since.get().copied().unwrap_or_else(Instant::now);
        tokio::select! {
            () = tokio::time::sleep_until(since + GRACE) => {}
            () = self.leave.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn running_commands_get_their_grace_unless_told_twice() {
        let cancel = Cancel::default();
        let began = Instant::now();
        cancel.drain();
        cancel.grace_over().await;
        assert_eq!(began.elapsed(), GRACE);

        let cancel = Cancel::default();
        let began = Instant::now();
        cancel.leave();
        cancel.grace_over().await;
        assert!(cancel.is_draining());
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
