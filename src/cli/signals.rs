//! What the operating system asks of a run: to stop.

/// SIGHUP: the terminal has gone.
pub(super) const HANGUP: i32 = 1;
const INTERRUPT: i32 = 2;
pub(super) const TERMINATE: i32 = 15;

/// Signals, of which none is missed from when this was made.
#[cfg(unix)]
pub(super) struct Signals([Option<tokio::signal::unix::Signal>; 3]);

#[cfg(unix)]
impl Signals {
    /// Where a handler cannot be had, the system's own applies.
    pub(super) fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let heard = |number| signal(SignalKind::from_raw(number)).ok();
        // Who asked for a run that outlives the terminal, with `nohup`, gets one.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let hangup = if is_ignored(&status, HANGUP) {
            None
        } else {
            heard(HANGUP)
        };
        Self([hangup, heard(INTERRUPT), heard(TERMINATE)])
    }

    /// The number of the next one.
    pub(super) async fn next(&mut self) -> i32 {
        let [hangup, interrupt, terminate] = &mut self.0;
        tokio::select! {
            () = arrival(hangup) => HANGUP,
            () = arrival(interrupt) => INTERRUPT,
            () = arrival(terminate) => TERMINATE,
        }
    }
}

#[cfg(unix)]
async fn arrival(signal: &mut Option<tokio::signal::unix::Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Does a process with this `/proc/PID/status` ignore a signal? Where there is no such file, nobody knows.
#[cfg(unix)]
fn is_ignored(status: &str, number: i32) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}

/// Ctrl-C and Ctrl-Break, which mean the same.
#[cfg(windows)]
pub(super) struct Signals {
    interrupt: Option<tokio::signal::windows::CtrlC>,
    pause: Option<tokio::signal::windows::CtrlBreak>,
}

#[cfg(windows)]
impl Signals {
    /// Where a handler cannot be had, the system's own applies.
    pub(super) fn new() -> Self {
        Self {
            interrupt: tokio::signal::windows::ctrl_c().ok(),
            pause: tokio::signal::windows::ctrl_break().ok(),
        }
    }

    /// The number of the next one.
    pub(super) async fn next(&mut self) -> i32 {
        let interrupted = async {
            match &mut self.interrupt {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        let paused = async {
            match &mut self.pause {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupted => INTERRUPT,
            _ = paused => INTERRUPT,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_told_by_its_bit() {
        let status = "Name:\tsortie\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n";
        assert!(is_ignored(status, HANGUP));
        assert!(!is_ignored(status, INTERRUPT));
        for status in ["", "SigIgn:\tx\n", "SigIgn:\t0000000000000000\n"] {
            assert!(!is_ignored(status, HANGUP), "{status}");
        }
    }
}
