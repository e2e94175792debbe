//! SIGINT and SIGTERM: the first winds a run down, the second leaves.

use super::output::Output;
use crate::ledger::Ledger;
use crate::model::event::{EventKind, Stop};
use crate::run::cancel::Cancel;

/// Listens until the process ends.
pub(super) async fn listen(ledger: Ledger, cancel: Cancel) {
    let number = next().await;
    // The run tells the journal's troubles itself.
    let _ = ledger
        .record(EventKind::RunStopped {
            stop: Stop::Signal { number },
        })
        .await;
    Output::say(
        "stopping: running commands get 30 s, `always` runs, sessions are closed, bags are sealed; again to leave at once",
    );
    cancel.drain();
    drop(ledger);
    next().await;
    cancel.leave();
}

#[cfg(unix)]
async fn next() -> i32 {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        // Without handlers the system's own apply.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => 2,
        _ = terminate.recv() => 15,
    }
}

#[cfg(not(unix))]
async fn next() -> i32 {
    match tokio::signal::ctrl_c().await {
        Ok(()) => 2,
        Err(_) => std::future::pending().await,
    }
}
