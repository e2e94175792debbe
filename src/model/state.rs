//! All that anybody wants to know about a run: the pure fold of its events.

use super::event::{DeviceEnd, EventKind, OnError, RunEvent, Stop};
use super::id::{CommandId, DeviceId, SessionId, StepId};
use super::outcome::{Cause, DeviceState, Outcome};
use super::row::{FileState, Severity};
use crate::model::spent::Spent;
use std::collections::BTreeMap;

/// A run so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunState {
    devices: BTreeMap<DeviceId, DeviceRecord>,
    stop: Option<Stop>,
    spent: Option<Spent>,
    commands: u64,
    sessions: u64,
    worst_finding: Option<Severity>,
}

/// One device so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceRecord {
    pub steps: Vec<StepRecord>,
    pub end: Option<DeviceEnd>,
    /// The session that we hold.
    pub session: Option<SessionId>,
    /// Where the sealed bag is, below the run directory.
    pub bag: Option<String>,
    /// The hash of the sealed bag's tag manifest.
    pub bag_sha256: Option<String>,
    pub files: u64,
    pub bytes: u64,
    pub left_behind: Vec<String>,
    pub findings: Vec<(Severity, String)>,
    /// Outputs without a value, and why.
    pub outputs_failed: Vec<(String, Cause)>,
    outstanding: Vec<CommandId>,
}

/// A step that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    pub step: StepId,
    pub outcome: Outcome,
    pub attempts: u32,
    pub on_error: OnError,
    /// Its failure does not count, as `rescue` made it good.
    pub rescued: bool,
    /// All that should prove it held.
    pub verified: bool,
}

impl RunState {
    /// A run of which nothing has happened yet.
    pub fn new(devices: impl IntoIterator<Item = DeviceId>) -> Self {
        Self {
            devices: devices
                .into_iter()
                .map(|id| (id, DeviceRecord::default()))
                .collect(),
            ..Self::default()
        }
    }

    pub fn apply(&mut self, event: &RunEvent) {
        match &event.ev {
            EventKind::RunStopped { stop } => {
                self.stop.get_or_insert_with(|| stop.clone());
            }
            EventKind::RunEnded { spent } => self.spent = Some(*spent),
            EventKind::SessionGranted { .. } => self.sessions += 1,
            EventKind::CommandIssued { .. } => self.commands += 1,
            EventKind::FindingMade { severity, .. } => {
                self.worst_finding = self.worst_finding.max(Some(*severity));
            }
            _ => {}
        }
        if let Some(id) = event.ev.device() {
            self.devices.entry(id).or_default().apply(&event.ev);
        }
    }

    pub fn device(&self, id: DeviceId) -> Option<&DeviceRecord> {
        self.devices.get(&id)
    }

    pub fn devices(&self) -> impl Iterator<Item = (DeviceId, &DeviceRecord)> {
        self.devices.iter().map(|(id, record)| (*id, record))
    }

    pub const fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    /// Nothing more will happen.
    pub const fn is_over(&self) -> bool {
        self.spent.is_some()
    }

    pub fn spent(&self) -> Spent {
        self.spent.unwrap_or_default()
    }

    pub const fn commands(&self) -> u64 {
        self.commands
    }

    pub const fn sessions(&self) -> u64 {
        self.sessions
    }

    /// Sessions that are open now, as far as we hold them.
    pub fn open_sessions(&self) -> u64 {
        let records = self.devices.values();
        records.filter(|record| record.session.is_some()).count() as u64
    }

    /// Commands whose end nobody has heard of yet.
    pub fn outstanding(&self) -> u64 {
        let records = self.devices.values();
        records.map(|record| record.outstanding.len() as u64).sum()
    }

    pub const fn worst_finding(&self) -> Option<Severity> {
        self.worst_finding
    }

    /// How many devices are in each state; devices that have not ended count nowhere.
    pub fn counts(&self) -> BTreeMap<DeviceState, u64> {
        let mut counts = BTreeMap::new();
        for record in self.devices.values() {
            if let Some((state, _)) = record.state() {
                *counts.entry(state).or_default() += 1;
            }
        }
        counts
    }
}

impl DeviceRecord {
    fn apply(&mut self, event: &EventKind) {
        match event {
            EventKind::SessionGranted { session, .. } => self.session = Some(session.clone()),
            EventKind::SessionEnded { .. } => {
                self.session = None;
                self.outstanding.clear();
            }
            EventKind::CommandIssued { command, .. } => self.outstanding.push(*command),
            EventKind::CommandEnded { command, .. } => self.outstanding.retain(|id| id != command),
            EventKind::FileStored {
                size,
                state: FileState::Complete,
                ..
            } => {
                self.files += 1;
                self.bytes += size;
            }
            EventKind::LeftBehind { path, .. } => self.left_behind.push(path.clone()),
            EventKind::FindingMade {
                severity, title, ..
            } => self.findings.push((*severity, title.clone())),
            EventKind::StepFinished {
                step,
                outcome,
                attempts,
                on_error,
                ..
            } => self.steps.push(StepRecord {
                step: step.clone(),
                outcome: outcome.clone(),
                attempts: *attempts,
                on_error: *on_error,
                rescued: false,
                verified: false,
            }),
            EventKind::StepRescued { step, .. } => {
                let failed = self.steps.iter_mut().rfind(|record| record.step == *step);
                if let Some(record) = failed {
                    record.rescued = true;
                }
            }
            EventKind::StepVerified { step, disproof, .. } => {
                let done = |record: &&mut StepRecord| {
                    record.step == *step && record.outcome == Outcome::Done
                };
                if let Some(record) = self.steps.iter_mut().rfind(done) {
                    record.verified = disproof.is_none();
                    if let Some(cause) = disproof.clone() {
                        record.outcome = Outcome::Failed { cause };
                    }
                }
            }
            EventKind::OutputFailed { output, cause, .. } => {
                self.outputs_failed.push((output.clone(), cause.clone()));
            }
            EventKind::DeviceEnded { end, .. } => self.end = Some(end.clone()),
            EventKind::BagSealed { sha256, .. } => self.bag_sha256 = Some(sha256.clone()),
            EventKind::BagPublished { path, .. } => self.bag = Some(path.clone()),
            _ => {}
        }
    }

    /// The final state with its reason, once there is one.
    pub fn state(&self) -> Option<(DeviceState, Option<Reason<'_>>)> {
        Some(match self.end.as_ref()? {
            DeviceEnd::Walked => self.walked(),
            DeviceEnd::Unreachable { cause } => {
                (DeviceState::Unreachable, Some(Reason { step: None, cause }))
            }
            DeviceEnd::Skipped { cause } => {
                (DeviceState::Skipped, Some(Reason { step: None, cause }))
            }
            // What a step may have done outweighs how the walk ended.
            DeviceEnd::Failed { cause } => self
                .unknown()
                .unwrap_or((DeviceState::Failed, Some(Reason { step: None, cause }))),
            DeviceEnd::Cancelled { cause } => self
                .unknown()
                .unwrap_or((DeviceState::Cancelled, Some(Reason { step: None, cause }))),
        })
    }

    fn unknown(&self) -> Option<(DeviceState, Option<Reason<'_>>)> {
        self.steps.iter().find_map(|step| match &step.outcome {
            Outcome::Unknown { cause } => Some((
                DeviceState::Unknown,
                Some(Reason {
                    step: Some(&step.step),
                    cause,
                }),
            )),
            _ => None,
        })
    }

    fn walked(&self) -> (DeviceState, Option<Reason<'_>>) {
        let failed = |wanted: &[OnError]| {
            self.steps.iter().find_map(|step| match &step.outcome {
                Outcome::Failed { cause } if wanted.contains(&step.on_error) && !step.rescued => {
                    Some(Reason {
                        step: Some(&step.step),
                        cause,
                    })
                }
                _ => None,
            })
        };
        if let Some(unknown) = self.unknown() {
            return unknown;
        }
        if let Some(reason) = failed(&[OnError::Fail, OnError::StopRun]) {
            return (DeviceState::Failed, Some(reason));
        }
        if let Some(reason) = failed(&[OnError::Continue]) {
            return (DeviceState::Partial, Some(reason));
        }
        (DeviceState::Ok, None)
    }
}

/// What made a device end in another state than ok.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason<'a> {
    pub step: Option<&'a StepId>,
    pub cause: &'a Cause,
}

impl Reason<'_> {
    /// One line, safe to print.
    pub fn summary(&self) -> String {
        match self.step {
            Some(step) => format!("{step}: {}", self.cause.summary()),
            None => self.cause.summary(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(events: &[EventKind]) -> RunState {
        let mut state = RunState::new([DeviceId(1), DeviceId(2)]);
        for (n, ev) in (0..).zip(events) {
            state.apply(&RunEvent {
                n,
                t: jiff::Timestamp::UNIX_EPOCH,
                mono: n,
                ev: ev.clone(),
            });
        }
        state
    }

    fn finished(outcome: Outcome, on_error: OnError) -> EventKind {
        EventKind::StepFinished {
            device: DeviceId(1),
            step: "s".into(),
            outcome,
            attempts: 1,
            on_error,
        }
    }

    #[test]
    fn a_devices_state_follows_from_its_steps() {
        let failed = || Outcome::Failed {
            cause: Cause::WhenFalse,
        };
        let unknown = || Outcome::Unknown {
            cause: Cause::SessionLost,
        };
        let table = [
            (
                vec![finished(Outcome::Done, OnError::Fail)],
                DeviceState::Ok,
            ),
            (
                vec![finished(
                    Outcome::Skipped {
                        cause: Cause::WhenFalse,
                    },
                    OnError::Fail,
                )],
                DeviceState::Ok,
            ),
            (vec![finished(failed(), OnError::Ignore)], DeviceState::Ok),
            (
                vec![finished(failed(), OnError::Continue)],
                DeviceState::Partial,
            ),
            (
                vec![
                    finished(failed(), OnError::Continue),
                    finished(failed(), OnError::Fail),
                ],
                DeviceState::Failed,
            ),
            (
                vec![finished(failed(), OnError::StopRun)],
                DeviceState::Failed,
            ),
            (
                vec![
                    finished(unknown(), OnError::Ignore),
                    finished(failed(), OnError::Fail),
                ],
                DeviceState::Unknown,
            ),
        ];
        for (mut events, expected) in table {
            events.push(EventKind::DeviceEnded {
                device: DeviceId(1),
                end: DeviceEnd::Walked,
            });
            let state = fold(&events);
            assert_eq!(
                state
                    .device(DeviceId(1))
                    .and_then(DeviceRecord::state)
                    .map(|s| s.0),
                Some(expected)
            );
            assert_eq!(
                state.device(DeviceId(2)).and_then(DeviceRecord::state),
                None
            );
        }
    }

    #[test]
    fn an_unknown_is_not_hidden_by_how_the_walk_ended() {
        for end in [
            DeviceEnd::Cancelled {
                cause: Cause::Interrupted,
            },
            DeviceEnd::Failed {
                cause: Cause::SessionLost,
            },
        ] {
            let state = fold(&[
                finished(
                    Outcome::Unknown {
                        cause: Cause::SessionLost,
                    },
                    OnError::Fail,
                ),
                EventKind::DeviceEnded {
                    device: DeviceId(1),
                    end,
                },
            ]);
            assert_eq!(state.counts(), BTreeMap::from([(DeviceState::Unknown, 1)]));
        }
    }
}
