//! What is left to do of a run, by its plan and the fold of its journal. Pure: nobody is asked.
//!
//! An unknown outcome is nobody's to repeat, and what was done stays done.

use crate::model::event::DeviceEnd;
use crate::model::id::{DeviceId, StepId};
use crate::model::outcome::{Cause, DeviceState, Outcome};
use crate::model::state::{DeviceRecord, RunState, StepRecord};
use std::collections::BTreeMap;

/// What a resume is for, besides what was interrupted and who was not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    GoOn,
    /// What failed is tried once more.
    RetryFailed,
}

/// What is left to do on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    Nothing,
    /// Its end stands, and its bag is not in its place yet.
    Seal,
    /// Its steps, but for those whose outcomes stand; those of `anew` run again.
    Walk {
        anew: Vec<StepId>,
    },
}

/// How much of the walk through a device's steps stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// All that has ended: the walk was cut off, and goes on there.
    All,
    /// What was not itself interrupted. What runs in any case runs once more, after the others.
    Finished,
    /// What was done.
    Done,
}

/// What is left of each planned device. `is_main` says of a step that it is part of the playbook's ordinary
/// course, and no rescue, proof, or tidying up.
pub fn remaining(
    devices: impl IntoIterator<Item = DeviceId>,
    state: &RunState,
    wish: Wish,
    is_main: &dyn Fn(&StepId) -> bool,
) -> BTreeMap<DeviceId, Rest> {
    let untouched = DeviceRecord::default();
    devices
        .into_iter()
        .map(|id| {
            let record = state.device(id).unwrap_or(&untouched);
            (id, rest(record, wish, is_main))
        })
        .collect()
}

fn rest(record: &DeviceRecord, wish: Wish, is_main: &dyn Fn(&StepId) -> bool) -> Rest {
    let Some(stands) = what_stands(record, wish) else {
        return if record.is_sealed() {
            Rest::Nothing
        } else {
            Rest::Seal
        };
    };
    let anew = record.steps.iter().filter(|step| {
        let stays = match stands {
            Stands::All => true,
            Stands::Finished => is_main(&step.step) && is_finished(step),
            Stands::Done => is_main(&step.step) && step.outcome == Outcome::Done,
        };
        !stays
    });
    Rest::Walk {
        anew: anew.map(|step| step.step.clone()).collect(),
    }
}

/// Nothing, if the device's end stands.
fn what_stands(record: &DeviceRecord, wish: Wish) -> Option<Stands> {
    let Some((state, _)) = record.state() else {
        return Some(Stands::All);
    };
    let is_local = matches!(
        record.end,
        Some(DeviceEnd::Failed {
            cause: Cause::Journal | Cause::Disk { .. }
        })
    );
    match state {
        // A doubt of a step that was cut short may be settled yet; an outcome that is unknown waits for a person.
        DeviceState::Unknown if record.doubt().is_some() => Some(Stands::Finished),
        DeviceState::Unreachable | DeviceState::Cancelled => Some(Stands::Finished),
        DeviceState::Failed if is_local => Some(Stands::Finished),
        DeviceState::Failed | DeviceState::Partial if wish == Wish::RetryFailed => {
            Some(Stands::Done)
        }
        DeviceState::Unknown
        | DeviceState::Failed
        | DeviceState::Partial
        | DeviceState::Ok
        | DeviceState::Skipped => None,
    }
}

/// It came to an end of its own, which has nothing to do with what came of others.
fn is_finished(step: &StepRecord) -> bool {
    match &step.outcome {
        Outcome::Done | Outcome::Unknown { .. } => true,
        // What it has run it would run again, so that only whoever wants that may have it.
        Outcome::Failed { .. } if step.has_run_once => true,
        Outcome::Failed { cause } => !matches!(
            cause,
            Cause::Interrupted | Cause::Journal | Cause::Disk { .. } | Cause::AlwaysOver { .. }
        ),
        Outcome::Skipped { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{EventKind, OnError, RunEvent};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const DEVICE: DeviceId = DeviceId(1);
    const STEPS: usize = 4;
    /// The last step tidies up.
    const TIDIES: usize = STEPS - 1;

    /// How one step ends in a visit.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum End {
        Done,
        Failed,
        Cut,
        Skipped,
        Unknown,
    }

    /// How a visit of a device ends, if a crash lets it.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Over {
        Crash,
        CrashBeforeSealing,
        Walked,
        Cancelled,
        Unreachable,
    }

    #[derive(Debug, Clone)]
    struct Story {
        ends: Vec<End>,
        /// How many steps the visit comes to.
        walked: usize,
        over: Over,
        wish: Wish,
    }

    fn stories() -> impl Strategy<Value = Vec<Story>> {
        let end = prop_oneof![
            4 => Just(End::Done), 2 => Just(End::Failed), 1 => Just(End::Cut), 1 => Just(End::Skipped),
            1 => Just(End::Unknown)
        ];
        let over = prop_oneof![
            Just(Over::Crash),
            Just(Over::CrashBeforeSealing),
            Just(Over::Walked),
            Just(Over::Cancelled),
            Just(Over::Unreachable)
        ];
        let wish = prop_oneof![Just(Wish::GoOn), Just(Wish::RetryFailed)];
        let ends = proptest::collection::vec(end, STEPS);
        let story = (ends, 0..=STEPS, over, wish).prop_map(|(ends, walked, over, wish)| Story {
            ends,
            walked,
            over,
            wish,
        });
        proptest::collection::vec(story, 1..6)
    }

    /// What a person would say of the device, who keeps a sheet of paper with a line for each step.
    #[derive(Debug, Default)]
    struct Sheet {
        lines: BTreeMap<usize, End>,
        over: Option<Over>,
    }

    impl Sheet {
        /// The steps that are to run; none if the device is left alone.
        fn to_run(&self, wish: Wish) -> Option<BTreeSet<usize>> {
            let has = |end| self.lines.values().any(|line| *line == end);
            let all = 0..STEPS;
            let failed = has(End::Failed) || has(End::Cut);
            match self.over {
                None | Some(Over::Crash) => {
                    Some(all.filter(|step| !self.lines.contains_key(step)).collect())
                }
                _ if has(End::Unknown) => None,
                Some(Over::Walked | Over::CrashBeforeSealing) => {
                    let again =
                        |step: &usize| *step == TIDIES || self.lines.get(step) != Some(&End::Done);
                    (failed && wish == Wish::RetryFailed).then(|| all.filter(again).collect())
                }
                Some(Over::Cancelled | Over::Unreachable) => {
                    let again = |step: &usize| {
                        *step == TIDIES
                            || !matches!(self.lines.get(step), Some(End::Done | End::Failed))
                    };
                    Some(all.filter(again).collect())
                }
            }
        }
    }

    fn id(step: usize) -> StepId {
        StepId::from(step.to_string().as_str())
    }

    fn outcome(end: End) -> Outcome {
        match end {
            End::Done => Outcome::Done,
            End::Failed => Outcome::Failed {
                cause: Cause::SessionLost,
            },
            End::Cut => Outcome::Failed {
                cause: Cause::Interrupted,
            },
            End::Skipped => Outcome::Skipped {
                cause: Cause::WhenFalse,
            },
            End::Unknown => Outcome::Unknown {
                cause: Cause::SessionLost,
            },
        }
    }

    struct Run {
        state: RunState,
        n: u64,
    }

    impl Run {
        fn tell(&mut self, ev: EventKind) {
            let t = jiff::Timestamp::UNIX_EPOCH;
            let n = self.n;
            self.state.apply(&RunEvent { n, t, mono: n, ev });
            self.n += 1;
        }

        fn publish(&mut self) {
            let (device, sha256) = (DEVICE, "00".to_owned());
            self.tell(EventKind::BagSealed { device, sha256 });
            let path = format!("devices/{}", self.n);
            self.tell(EventKind::BagPublished { device, path });
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_what_a_person_would_say(stories in stories()) {
            let mut run = Run { state: RunState::new([DEVICE]), n: 0 };
            let mut sheet = Sheet::default();
            let is_main = |step: &StepId| *step != id(TIDIES);
            for story in stories {
                let rest = remaining([DEVICE], &run.state, story.wish, &is_main);
                let standing = |run: &Run, anew: &[StepId]| -> BTreeSet<usize> {
                    let steps = &run.state.device(DEVICE).expect("it is planned").steps;
                    (0..STEPS)
                        .filter(|step| steps.iter().any(|one| one.step == id(*step)))
                        .filter(|step| !anew.contains(&id(*step)))
                        .collect()
                };
                let told = match &rest[&DEVICE] {
                    Rest::Walk { anew } => {
                        let standing = standing(&run, anew);
                        Some((0..STEPS).filter(|step| !standing.contains(step)).collect())
                    }
                    Rest::Nothing | Rest::Seal => None,
                };
                let expected = sheet.to_run(story.wish);
                prop_assert_eq!(&told, &expected, "{:?}", &sheet);
                let Some(to_run) = expected else {
                    let is_unsealed = sheet.over == Some(Over::CrashBeforeSealing);
                    prop_assert_eq!(rest[&DEVICE] == Rest::Seal, is_unsealed);
                    if is_unsealed {
                        run.publish();
                        sheet.over = Some(Over::Walked);
                    }
                    continue;
                };
                let Rest::Walk { anew } = rest[&DEVICE].clone() else {
                    unreachable!("it is to be walked");
                };
                run.tell(EventKind::DeviceStarted { device: DEVICE, anew });
                sheet.lines.retain(|step, _| !to_run.contains(step));
                let reached = if story.over == Over::Unreachable { 0 } else { story.walked };
                for step in (0..STEPS).filter(|step| to_run.contains(step)).take(reached) {
                    let end = story.ends[step];
                    sheet.lines.insert(step, end);
                    run.tell(EventKind::StepFinished {
                        device: DEVICE,
                        step: id(step),
                        outcome: outcome(end),
                        attempts: 1,
                        on_error: OnError::Fail,
                    });
                }
                sheet.over = Some(story.over);
                let cause = Cause::Interrupted;
                let end = match story.over {
                    Over::Crash => continue,
                    Over::Walked | Over::CrashBeforeSealing => DeviceEnd::Walked,
                    Over::Cancelled => DeviceEnd::Cancelled { cause },
                    Over::Unreachable => DeviceEnd::Unreachable { cause },
                };
                run.tell(EventKind::DeviceEnded { device: DEVICE, end });
                if story.over != Over::CrashBeforeSealing {
                    run.publish();
                }
            }
        }
    }
}
