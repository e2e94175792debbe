//! Watches over a run from outside: who wants it to stop, and whether the clock can be believed.
//!
//! The first signal, or a file named `STOP` in the run directory, winds a run down; the next signal leaves.

use super::output::Output;
use super::signals::Signals;
use crate::clock;
use crate::ledger::Ledger;
use crate::model::event::{EventKind, Stop};
use crate::run::cancel::Cancel;
use crate::text::escape::Escaped;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// What ends a run from outside, by its name in the run directory.
const STOP: &str = "STOP";
/// How often it is looked for.
const LOOK: Duration = Duration::from_secs(1);
/// How often the clocks are compared.
const COMPARE: Duration = Duration::from_secs(5);
/// A clock that is corrected bit by bit stays below it.
const JUMP: i64 = 30;

/// Watches until the run is over, and the future dropped.
pub(super) async fn keep(ledger: Ledger, cancel: Cancel, dir: PathBuf) {
    let mut signals = Signals::new();
    let asked = wind_down(&mut signals, &ledger, &cancel, &dir);
    tokio::join!(asked, compare_clocks(&ledger));
}

async fn wind_down(signals: &mut Signals, ledger: &Ledger, cancel: &Cancel, dir: &Path) {
    let stop = tokio::select! {
        number = signals.next() => Stop::Signal { number },
        () = stop_file(dir) => Stop::File,
    };
    let found = match stop {
        Stop::File => format!(
            "{} was found; once it is removed, `sortie resume` goes on\n",
            Escaped(&dir.join(STOP).display().to_string())
        ),
        _ => String::new(),
    };
    // The run tells the journal's troubles itself.
    let _ = ledger.record(EventKind::RunStopped { stop }).await;
    Output::say(&format!(
        "{found}stopping: running commands get 30 s, `always` runs, sessions are closed, bags are sealed; {} to leave at once",
        if found.is_empty() { "again" } else { "Ctrl-C" }
    ));
    cancel.drain();
    signals.next().await;
    cancel.leave();
}

/// Returns when somebody wants the run to stop.
async fn stop_file(dir: &Path) {
    let path = dir.join(STOP);
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        // Whatever it is: a link that leads nowhere was put there as well.
        if tokio::fs::symlink_metadata(&path).await.is_ok() {
            return;
        }
    }
}

async fn compare_clocks(ledger: &Ledger) {
    let mut look = interval(COMPARE);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = (clock::now(), Instant::now());
    loop {
        look.tick().await;
        let now = (clock::now(), Instant::now());
        if let Some(seconds) = jump(now.0, last.0, now.1 - last.1) {
            // The run tells the journal's troubles itself.
            let _ = ledger.record(EventKind::ClockJumped { seconds }).await;
            Output::say(&format!(
                "warning: the clock jumped {} s {}: the computer slept, or its clock was set; timeouts are not \
                 affected, but sessions may have ended meanwhile",
                seconds.unsigned_abs(),
                if seconds > 0 { "forward" } else { "back" }
            ));
        }
        last = now;
    }
}

/// By how many seconds the wall clock went another way than time did, if that is a jump.
fn jump(now: Timestamp, last: Timestamp, passed: Duration) -> Option<i64> {
    let passed = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
    let walked = now.as_millisecond() - last.as_millisecond();
    let drift = walked.saturating_sub(passed) / 1000;
    (drift.abs() > JUMP).then_some(drift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jump_is_one() {
        let at = |millisecond| Timestamp::from_millisecond(millisecond).unwrap();
        let table = [
            (5_000, 5_000, None),
            // A process that had to wait for both.
            (3_600_000, 3_600_000, None),
            (35_000, 5_000, None),
            (36_000, 5_000, Some(31)),
            (3_605_000, 5_000, Some(3_600)),
            (-25_000, 5_000, None),
            (-26_000, 5_000, Some(-31)),
            (-3_595_000, 5_000, Some(-3_600)),
        ];
        for (walked, passed, expected) in table {
            let passed = Duration::from_millis(passed);
            let found = jump(at(100_000_000 + walked), at(100_000_000), passed);
            assert_eq!(found, expected, "{walked} {passed:?}");
        }
        let (first, last) = (Timestamp::MIN, Timestamp::MAX);
        assert!(jump(last, first, Duration::ZERO).is_some());
        assert!(jump(first, last, Duration::MAX).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_stops_a_run_and_the_journal_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, writer) = Ledger::open(Box::new(Vec::new()), [], None);
        let cancel = Cancel::default();
        let watched = dir.path().to_owned();
        let kept = tokio::spawn(keep(ledger.clone(), cancel.clone(), watched));
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert!(!cancel.is_stopping());
        // Whatever is called so.
        std::fs::create_dir(dir.path().join(STOP)).unwrap();
        cancel.draining().await;
        assert!(!cancel.is_leaving());
        // Time stands still until all is written.
        tokio::time::sleep(LOOK).await;
        assert_eq!(ledger.state().stop(), Some(&Stop::File));
        kept.abort();
        drop(kept.await);
        drop(ledger);
        assert_eq!(writer.finish().await, Ok(()));
    }
}
