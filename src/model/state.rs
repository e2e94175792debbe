//! All that anybody wants to know about a run: the pure fold of its events.

use super::event::{DeviceEnd, EventKind, OnError, Ruling, RunEvent, SessionEnd, Settled, Stop};
use super::id::{CommandId, DeviceId, SessionId, StepId};
use super::memo::{Doubt, Pending};
use super::outcome::{Cause, DeviceState, Outcome};
use super::row::{FileState, Severity};
use crate::model::spent::Spent;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A run so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunState {
    devices: BTreeMap<DeviceId, DeviceRecord>,
    stop: Option<Stop>,
    is_over: bool,
    spent: Spent,
    commands: u64,
    sessions: u64,
}

/// One device so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceRecord {
    pub steps: Vec<StepRecord>,
    pub end: Option<DeviceEnd>,
    /// The session that we hold.
    pub session: Option<SessionId>,
    /// The commands in it that have a number.
    pub known: BTreeSet<CommandId>,
    /// Sessions that we opened, and of which nobody saw that they ended.
    pub open: BTreeSet<SessionId>,
    /// When a session was asked for of which nobody heard which it is.
    pub asked: Option<Timestamp>,
    /// The steps that were cut short, the one under way last.
    pub pending: Vec<Pending>,
    /// Where its sealed bags are, below the run directory; each time that it was worked on left one.
    pub bags: Vec<String>,
    /// The last of them holds how the device ended.
    is_published: bool,
    /// The hash of the tag manifest of a bag that is sealed and not in its place yet.
    pub sealed: Option<String>,
    /// The hash of the last sealed bag's tag manifest.
    pub bag_sha256: Option<String>,
    pub files: u64,
    pub bytes: u64,
    pub left_behind: Vec<String>,
    pub findings: Vec<FindingRecord>,
    /// Outputs without a value, and why.
    pub outputs_failed: Vec<(String, Cause)>,
    outstanding: Vec<CommandId>,
}

/// A finding of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingRecord {
    pub step: StepId,
    pub severity: Severity,
    pub title: String,
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
    /// Something of it ran that must not run twice.
    pub has_run_once: bool,
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
            EventKind::RunResumed { .. } => (self.is_over, self.stop) = (false, None),
            EventKind::RunEnded { spent } => {
                self.is_over = true;
                self.spent = self.spent.plus(*spent);
            }
            EventKind::SessionGranted { .. } => self.sessions += 1,
            EventKind::CommandIssued { .. } => self.commands += 1,
            _ => {}
        }
        if let Some(id) = event.ev.device() {
            self.devices.entry(id).or_default().apply(event);
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
        self.is_over
    }

    /// By all processes that came to the end of their part of it.
    pub const fn spent(&self) -> Spent {
        self.spent
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

    pub fn worst_finding(&self) -> Option<Severity> {
        let findings = self.devices.values().flat_map(|record| &record.findings);
        findings.map(|finding| finding.severity).max()
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
    fn apply(&mut self, event: &RunEvent) {
        self.hear_of_session(event);
        self.hear_of_command(&event.ev);
        match &event.ev {
            EventKind::DeviceStarted { anew, .. } => self.start(anew),
            EventKind::StepStarted {
                step,
                attempt,
                item,
                nonce,
                ..
            } => self.begin(step, *item, *attempt, nonce),
            EventKind::FileStored {
                step,
                path,
                size,
                sha256,
                state: FileState::Complete,
                ..
            } => {
                let mut is_new = true;
                self.pend(step, |pending| is_new = pending.stored(path, sha256));
                if is_new {
                    self.files += 1;
                    self.bytes += size;
                }
            }
            EventKind::LeftBehind { path, .. } => self.left_behind.push(path.clone()),
            EventKind::FindingMade {
                step,
                severity,
                title,
                ..
            } => self.findings.push(FindingRecord {
                step: step.clone(),
                severity: *severity,
                title: title.clone(),
            }),
            EventKind::StepFinished {
                step,
                outcome,
                attempts,
                on_error,
                ..
            } => {
                let mut pending = self.pending.iter();
                let pending = pending.position(|pending| pending.step == *step);
                let pending = pending.map(|at| self.pending.remove(at));
                let has_run_once = pending.as_ref().is_some_and(Pending::has_run_once);
                if has_run_once && matches!(outcome, Outcome::Skipped { .. }) {
                    // It was cut short, and may yet go on.
                    self.pending.extend(pending);
                }
                self.steps.push(StepRecord {
                    step: step.clone(),
                    outcome: outcome.clone(),
                    attempts: *attempts,
                    on_error: *on_error,
                    rescued: false,
                    verified: false,
                    has_run_once,
                });
            }
            EventKind::StepResolved { step, ruling, .. } => self.resolve(step, *ruling),
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
            EventKind::BagSealed { sha256, .. } => {
                self.sealed = Some(sha256.clone());
                self.bag_sha256 = Some(sha256.clone());
            }
            EventKind::BagPublished { path, .. } => {
                self.sealed = None;
                self.is_published = true;
                self.bags.push(path.clone());
            }
            _ => {}
        }
    }

    fn hear_of_session(&mut self, event: &RunEvent) {
        match &event.ev {
            EventKind::SessionRequested { .. } => self.asked = Some(event.t),
            EventKind::SessionGranted {
                session, joined, ..
            } => {
                self.asked = None;
                if self.session.replace(session.clone()).as_ref() != Some(session) {
                    self.known.clear();
                }
                // A backend has one session for a device: what it gave before is gone.
                self.open.clear();
                self.open.extend(Some(session.clone()).filter(|_| !joined));
            }
            EventKind::SessionEnded { session, end, .. } => {
                self.session = None;
                self.known.clear();
                self.outstanding.clear();
                if !matches!(end, SessionEnd::NotClosed { .. }) {
                    self.open.remove(session);
                }
            }
            _ => {}
        }
    }

    fn hear_of_command(&mut self, event: &EventKind) {
        match event {
            EventKind::CommandPermitted {
                step,
                session,
                command,
                effect,
                ..
            } => self.pend(step, |pending| pending.permitted(session, command, *effect)),
            EventKind::CommandIssued {
                step,
                session,
                command,
                name,
                ..
            } => {
                self.outstanding.push(*command);
                self.known.insert(*command);
                self.pend(step, |pending| pending.issued(session, *command, name));
            }
            EventKind::CommandEnded {
                session,
                command,
                cause,
                started,
                ..
            } => {
                self.outstanding.retain(|id| id != command);
                for pending in &mut self.pending {
                    pending.ended(session, *command, cause.as_ref(), *started);
                }
            }
            EventKind::CommandSettled { step, settled, .. } => {
                self.pend(step, |pending| pending.settled(*settled));
            }
            _ => {}
        }
    }

    fn start(&mut self, anew: &[StepId]) {
        if self.end.take().is_some() {
            self.outputs_failed.clear();
        }
        self.is_published = false;
        for pending in &mut self.pending {
            pending.cut();
        }
        self.steps.retain(|record| !anew.contains(&record.step));
        self.findings
            .retain(|finding| !anew.contains(&finding.step));
    }

    fn begin(&mut self, step: &StepId, item: Option<u32>, attempt: u32, nonce: &str) {
        let cut = self.pending.iter().position(|one| one.step == *step);
        let mut pending = cut.map(|at| self.pending.remove(at));
        if pending.as_mut().is_some_and(Pending::begins_again) {
            // Nothing of a step that was cut short counts twice.
            self.findings.retain(|finding| finding.step != *step);
        }
        let mut pending = pending.unwrap_or_else(|| Pending::new(step.clone()));
        pending.began(item, attempt, nonce);
        self.pending.push(pending);
    }

    /// Takes note of something of a step that has not ended; what comes later of it, as its tidying up, does not
    /// concern the others.
    fn pend(&mut self, step: &StepId, note: impl FnOnce(&mut Pending)) {
        if let Some(pending) = self.pending.iter_mut().find(|one| one.step == *step) {
            note(pending);
        }
    }

    /// A person says what came of a step; what was left out because of it is outstanding then.
    fn resolve(&mut self, step: &StepId, ruling: Ruling) {
        if let Some(pending) = self.pending.iter_mut().find(|one| one.step == *step) {
            // It was cut short: with what is known now the step goes on.
            pending.settled(match ruling {
                Ruling::Done => Settled::Done,
                Ruling::NotDone => Settled::NeverRan,
            });
            self.end = None;
            return;
        }
        let waited = |record: &StepRecord| matches!(&record.outcome, Outcome::Skipped { cause: Cause::EarlierFailure { step: earlier } } if *earlier == step.as_str());
        let is_it = |record: &StepRecord| record.step == *step;
        if ruling == Ruling::Done {
            if let Some(record) = self.steps.iter_mut().find(|record| is_it(record)) {
                record.outcome = Outcome::Done;
            }
        } else {
            self.steps.retain(|record| !is_it(record));
        }
        if ruling == Ruling::NotDone || self.steps.iter().any(waited) {
            self.steps.retain(|record| !waited(record));
            self.end = None;
        }
    }

    /// Where its last sealed bag is, below the run directory.
    pub fn bag(&self) -> Option<&str> {
        self.bags.last().map(String::as_str)
    }

    /// The steps of which a person has to say what came of them.
    pub fn unknowns(&self) -> impl Iterator<Item = &StepId> {
        let ended = self.steps.iter().filter_map(|record| match record.outcome {
            Outcome::Unknown { .. } => Some(&record.step),
            _ => None,
        });
        let cut = self.pending.iter().filter(|_| self.end.is_some());
        ended.chain(cut.filter_map(|pending| pending.doubt().map(|_| &pending.step)))
    }

    /// Its last bag is in its place.
    pub fn is_sealed(&self) -> bool {
        self.is_published
    }

    /// The command that may have run, and of which nobody heard.
    pub fn doubt(&self) -> Option<&Doubt> {
        self.pending.iter().find_map(Pending::doubt)
    }

    /// The final state with its reason, once there is one.
    pub fn state(&self) -> Option<(DeviceState, Option<Reason<'_>>)> {
        Some(match self.end.as_ref()? {
            DeviceEnd::Walked => self.walked(),
            DeviceEnd::Unreachable { cause } => {
                self.unless_unknown(DeviceState::Unreachable, cause)
            }
            DeviceEnd::Skipped { cause } => self.unless_unknown(DeviceState::Skipped, cause),
            DeviceEnd::Failed { cause } => self.unless_unknown(DeviceState::Failed, cause),
            DeviceEnd::Cancelled { cause } => self.unless_unknown(DeviceState::Cancelled, cause),
        })
    }

    /// What a step may have done outweighs how the walk ended.
    fn unless_unknown<'a>(
        &'a self,
        state: DeviceState,
        cause: &'a Cause,
    ) -> (DeviceState, Option<Reason<'a>>) {
        let doubted = || {
            let pending = self.pending.iter().find(|one| one.doubt().is_some())?;
            let step = Some(&pending.step);
            Some((DeviceState::Unknown, Some(Reason { step, cause })))
        };
        let ended = || (state, Some(Reason { step: None, cause }));
        self.unknown().or_else(doubted).unwrap_or_else(ended)
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
