//! Exit codes. They are an interface: scripts and schedulers act on them.

use super::signals;
use crate::bundle::DiskError;
use crate::model::event::Stop;
use crate::model::outcome::{Cause, DeviceState};
use crate::model::state::RunState;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Every device ended ok.
    Ok,
    /// A bug in sortie.
    Bug,
    /// Wrong usage, or the playbook is invalid; nothing was sent.
    Usage,
    /// A safety rail refused; nothing was sent.
    Refused,
    /// Credentials, TLS, proxy, redirect, or the backend is unusable.
    Backend,
    /// No device matched.
    NoDevice,
    /// Complete, but some device failed or is partial.
    Failed,
    /// Complete; only unreachable devices are missing.
    Unreachable,
    /// Stopped by a step with `on_error: stop_run`, or by a file named `STOP`.
    Stopped,
    /// At least one outcome is unknown: a person must decide.
    Unknown,
    /// The journal or the output could not be written.
    Output,
    /// Another process works on the run.
    Locked,
    /// What a run left cannot be read, or was changed.
    Unreadable,
    /// SIGINT.
    Interrupted,
    /// SIGTERM, or SIGHUP.
    Terminated,
}

impl Exit {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Bug => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Backend => 4,
            Self::NoDevice => 5,
            Self::Failed => 10,
            Self::Unreachable => 11,
            Self::Stopped => 12,
            Self::Unknown => 13,
            Self::Output => 15,
            Self::Locked => 16,
            Self::Unreadable => 23,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// How the program ends that cannot work on a run directory.
    pub(super) const fn of_disk(error: &DiskError) -> Self {
        match error {
            DiskError::InUse { .. } => Self::Locked,
            _ => Self::Output,
        }
    }

    pub(super) const fn is_interrupt(self) -> bool {
        matches!(self, Self::Interrupted | Self::Terminated)
    }

    /// How a run ends that got as far as its devices: the worst that is true of it.
    pub(super) fn of_run(state: &RunState) -> Self {
        let any = |wanted: &[DeviceState]| {
            state.devices().any(|(_, record)| {
                record
                    .state()
                    .is_some_and(|(word, _)| wanted.contains(&word))
            })
        };
        let bug = state
            .devices()
            .any(|(_, record)| matches!(record.state(), Some((_, Some(reason))) if matches!(reason.cause, Cause::Internal { .. })));
        // Devices that nobody has come to, or that a person made outstanding again.
        let is_open = (state.devices()).any(|(_, record)| record.state().is_none());
        match state.stop() {
            _ if bug => Self::Bug,
            Some(Stop::Output { .. }) => Self::Output,
            Some(Stop::Signal {
                number: signals::HANGUP | signals::TERMINATE,
            }) => Self::Terminated,
            Some(Stop::Signal { .. }) => Self::Interrupted,
            _ if any(&[DeviceState::Unknown]) => Self::Unknown,
            Some(Stop::Step { .. } | Stop::File) => Self::Stopped,
            Some(Stop::Backend { .. }) => Self::Backend,
            None if is_open => Self::Failed,
            None if any(&[
                DeviceState::Failed,
                DeviceState::Partial,
                DeviceState::Cancelled,
            ]) =>
            {
                Self::Failed
            }
            None if any(&[DeviceState::Unreachable]) => Self::Unreachable,
            None => Self::Ok,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{DeviceEnd, EventKind, OnError, RunEvent};
    use crate::model::id::DeviceId;
    use crate::model::outcome::Outcome;

    #[test]
    fn a_run_that_another_works_on_has_its_own_code() {
        let path = std::path::PathBuf::from("runs/r-1");
        let held = DiskError::InUse {
            path: path.clone(),
            holder: None,
        };
        assert_eq!(Exit::of_disk(&held).code(), 16);
        assert_eq!(Exit::of_disk(&DiskError::NoDevice { path }).code(), 15);
    }

    #[test]
    fn the_worst_wins() {
        let lost = || Cause::SessionLost;
        let end = |device, end| EventKind::DeviceEnded {
            device: DeviceId(device),
            end,
        };
        let step = |outcome, on_error| EventKind::StepFinished {
            device: DeviceId(1),
            step: "s".into(),
            outcome,
            attempts: 1,
            on_error,
        };
        let unreachable = || {
            end(
                2,
                DeviceEnd::Unreachable {
                    cause: Cause::NeverCheckedIn { seconds: 120 },
                },
            )
        };
        let failed = || step(Outcome::Failed { cause: lost() }, OnError::Continue);
        let unknown = || step(Outcome::Unknown { cause: lost() }, OnError::Ignore);
        let signal = |number| EventKind::RunStopped {
            stop: Stop::Signal { number },
        };
        let bug = || {
            end(
                1,
                DeviceEnd::Failed {
                    cause: Cause::Internal { detail: "x".into() },
                },
            )
        };
        let walked = || end(1, DeviceEnd::Walked);
        let table = [
            (vec![walked()], 0),
            (
                vec![end(
                    1,
                    DeviceEnd::Skipped {
                        cause: Cause::WhenFalse,
                    },
                )],
                0,
            ),
            (vec![walked(), unreachable()], 11),
            (vec![failed(), walked(), unreachable()], 10),
            (vec![unknown(), failed(), walked(), unreachable()], 13),
            (vec![unknown(), walked(), signal(2)], 130),
            (vec![walked(), signal(15)], 143),
            (vec![walked(), signal(1)], 143),
            (
                vec![walked(), EventKind::RunStopped { stop: Stop::File }],
                12,
            ),
            (vec![walked(), signal(2), signal(15)], 130),
            (
                vec![
                    failed(),
                    walked(),
                    EventKind::RunStopped {
                        stop: Stop::Step {
                            device: DeviceId(1),
                            step: "s".into(),
                        },
                    },
                ],
                12,
            ),
            (
                vec![
                    walked(),
                    EventKind::RunStopped {
                        stop: Stop::Backend {
                            cause: Cause::Unauthorized,
                        },
                    },
                ],
                4,
            ),
            (vec![bug(), signal(2)], 1),
        ];
        for (events, code) in table {
            let mut state = RunState::new([DeviceId(1)]);
            for ev in &events {
                state.apply(&RunEvent {
                    n: 0,
                    t: jiff::Timestamp::UNIX_EPOCH,
                    mono: 0,
                    ev: ev.clone(),
                });
            }
            assert_eq!(Exit::of_run(&state).code(), code, "{events:?}");
        }
    }
}
