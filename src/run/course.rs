//! Which steps of a playbook run, after what came of those before: blocks, what rescues them, and what runs
//! in any case.
//!
//! It decides and remembers; running a step and writing down how it ended is the walk's business.

use super::frames::Frames;
use crate::model::device::Os;
use crate::model::event::OnError;
use crate::model::id::StepId;
use crate::model::outcome::{Cause, Outcome};
use crate::playbook::{Block, Part, Place, Playbook, Step};
use crate::template::TemplateError;

pub(super) struct Course<'p> {
    playbook: &'p Playbook,
    os: Os,
    /// The steps whose end nobody knows.
    unknown: Vec<&'p StepId>,
    top: Track<'p>,
    blocks: Vec<Track<'p>>,
    /// Where the last step stood.
    at: Place,
    /// How the last step ended that proves no other.
    last: Option<Outcome>,
}

/// What is known of a block, or of the whole.
#[derive(Default)]
struct Track<'p> {
    /// Whether its condition holds; nothing before its first step.
    open: Option<bool>,
    /// Why none of its steps runs, if that is not because its condition does not hold.
    shut: Option<Cause>,
    /// A stop of the run kept some of its steps from running.
    is_cut: bool,
    /// The step that failed in the place of a used playbook which could not be begun.
    blamed: Option<&'p StepId>,
    /// The failure after which no further step of its main part runs.
    halted: Option<&'p StepId>,
    failed: Vec<&'p Step>,
    rescue: Rescue<'p>,
    /// What failed in its `always`.
    failed_last: Vec<&'p Step>,
    proof: Proof,
}

/// What came of the steps that prove another.
#[derive(Default)]
struct Proof {
    held: u32,
    /// Something of it could not be looked at.
    is_open: bool,
    disproof: Option<Cause>,
}

#[derive(Default)]
struct Rescue<'p> {
    has_done: bool,
    halted: Option<&'p StepId>,
    failed: Vec<&'p Step>,
}

/// What is to be done with a step.
pub(super) enum Turn {
    Run,
    Skip(Cause),
    /// The condition of its block has no value.
    Fail(TemplateError),
}

/// What became known when blocks ended.
#[derive(Default)]
pub(super) struct Left<'p> {
    pub(super) rescued: Vec<&'p Step>,
    /// Failures that nothing can make good any more.
    pub(super) lost: Vec<(&'p Step, OnError)>,
    /// Used playbooks that have ended, and how; what is used in one comes before it.
    pub(super) frames: Vec<(usize, &'static str)>,
    /// Steps that were proved, or did not hold for this reason.
    pub(super) verified: Vec<(&'p Step, Option<Cause>)>,
}

impl<'p> Course<'p> {
    pub(super) fn new(playbook: &'p Playbook, os: Os) -> Self {
        Self {
            playbook,
            os,
            unknown: Vec::new(),
            top: Track::default(),
            blocks: playbook.blocks.iter().map(|_| Track::default()).collect(),
            at: Place::default(),
            last: None,
        }
    }

    fn track(&mut self, block: Option<usize>) -> &mut Track<'p> {
        block.map_or(&mut self.top, |block| &mut self.blocks[block])
    }

    /// Whether a step tidies up after something that was begun, so that it runs also when the run is stopped.
    pub(super) fn tidies(&self, step: &Step) -> bool {
        let chain = self.playbook.chain(step.place);
        let begun = |place: &&Place| {
            place
                .block
                .is_none_or(|block| self.blocks[block].open == Some(true))
        };
        chain
            .iter()
            .take_while(begun)
            .any(|place| place.part == Part::Always)
    }

    /// What is to be done with a step, now that it is its turn.
    pub(super) fn turn(&mut self, step: &'p Step, frames: &mut Frames<'_>) -> Turn {
        if step.place.part == Part::Verify {
            return self.turn_of_proof(step.place);
        }
        for place in self.playbook.chain(step.place) {
            if let Some(block) = place.block {
                match self.open(block, step, frames) {
                    Ok(true) => {}
                    Ok(false) => {
                        let shut = self.blocks[block].shut.clone();
                        return Turn::Skip(shut.unwrap_or(Cause::WhenFalse));
                    }
                    Err(error) => return Turn::Fail(error),
                }
            }
            let track = self.track(place.block);
            let halted = match place.part {
                Part::Main => track.halted,
                Part::Rescue if track.failed.is_empty() => {
                    return Turn::Skip(Cause::NothingToRescue);
                }
                Part::Rescue => track.rescue.halted,
                Part::Always | Part::Verify => None,
            };
            if let Some(earlier) = halted {
                let step = earlier.to_string();
                return Turn::Skip(Cause::EarlierFailure { step });
            }
        }
        Turn::Run
    }

    /// A step that was not done has nothing to prove. Of one that nobody knows about, the proof tells a person
    /// something.
    fn turn_of_proof(&mut self, place: Place) -> Turn {
        let block = place.block.map(|block| &self.playbook.blocks[block]);
        let step = block.and_then(|block| block.proves);
        let step = step.map_or(String::new(), |at| self.playbook.steps[at].id.to_string());
        let skip = match self.last {
            Some(Outcome::Done | Outcome::Unknown { .. }) => None,
            Some(Outcome::Failed { .. }) => Some(Cause::EarlierFailure { step }),
            Some(Outcome::Skipped { .. }) | None => Some(Cause::NothingToProve { step }),
        };
        let track = self.track(place.block);
        track.open = Some(true);
        let halted = track.halted.map(|earlier| Cause::EarlierFailure {
            step: earlier.to_string(),
        });
        skip.or(halted).map_or(Turn::Run, Turn::Skip)
    }

    /// Takes note of how a step ended that proves another.
    fn ended_proof(&mut self, step: &'p Step, outcome: &Outcome) {
        let track = self.track(step.place.block);
        match outcome {
            Outcome::Done => track.proof.held += 1,
            // Its author says where it is no proof.
            Outcome::Skipped {
                cause: Cause::WhenFalse | Cause::OtherOs { .. },
            } => {}
            Outcome::Skipped { .. }
            | Outcome::Failed {
                cause: Cause::Interrupted,
            } => track.proof.is_open = true,
            Outcome::Failed { cause } | Outcome::Unknown { cause } => {
                track.halted.get_or_insert(&step.id);
                track.proof.disproof.get_or_insert(Cause::Disproved {
                    step: step.id.to_string(),
                    cause: Box::new(cause.clone()),
                });
            }
        }
    }

    /// What the proofs of a step come to, if it was done.
    fn conclude(&mut self, proved: &'p Step, proof: Proof, left: &mut Left<'p>) {
        if self.last != Some(Outcome::Done) {
            return;
        }
        if let Some(cause) = proof.disproof {
            self.failed(proved.place, proved);
            if !self.may_be_rescued(proved.place) {
                left.lost.push((proved, self.on_error(proved)));
            }
            left.verified.push((proved, Some(cause)));
        } else if proof.held > 0 && !proof.is_open {
            left.verified.push((proved, None));
        }
    }

    /// A block's condition is asked once. Where it has no value, nothing but what runs in any case runs; and
    /// nothing at all of a used playbook that cannot be begun.
    fn open(
        &mut self,
        block: usize,
        step: &'p Step,
        frames: &mut Frames<'_>,
    ) -> Result<bool, TemplateError> {
        if let Some(open) = self.blocks[block].open {
            return Ok(open);
        }
        let Block {
            when,
            when_vars,
            frame,
            begins,
            ..
        } = &self.playbook.blocks[block];
        let used = begins.and_then(|frame| self.playbook.frame(frame));
        let track = &mut self.blocks[block];
        if let Some(used) = used
            && !(used.os.is_empty() || used.os.contains(&self.os))
        {
            track.open = Some(false);
            let os = self.os.to_string();
            track.shut = Some(Cause::OtherOs { os });
            return Ok(false);
        }
        let scope = frames.of(*frame);
        let mut holds = match when {
            Some(when) => when_vars.enter(scope).and_then(|scope| when.test(&scope)),
            None => Ok(true),
        };
        if let (Ok(true), Some(begins)) = (&holds, begins) {
            holds = frames.begin(*begins).map(|()| true);
        }
        track.open = Some(*holds.as_ref().unwrap_or(&used.is_none()));
        if holds.is_err() {
            track.halted = Some(&step.id);
            if used.is_some() {
                track.blamed = Some(&step.id);
                let step = step.id.to_string();
                track.shut = Some(Cause::EarlierFailure { step });
            }
        }
        holds
    }

    /// What a failure of a step means at a place around it, or in the end. Where it stands for a used
    /// playbook that could not be begun, it means what that one's user says.
    fn on_error_at(&self, step: &Step, around: Option<Place>) -> OnError {
        let chain = self.playbook.chain(step.place);
        let has_failed_for = |place: &&Place| {
            place
                .block
                .is_some_and(|block| self.blocks[block].blamed == Some(&step.id))
        };
        let blamed = chain.iter().find(has_failed_for).and_then(|place| {
            let used = self
                .playbook
                .frame(self.playbook.blocks[place.block?].begins?)?;
            Some((used.on_error, used.caller))
        });
        let (within, frame) = blamed.unwrap_or((step.on_error, step.frame));
        let around = around.map_or(0, |place| self.playbook.frame_at(place));
        self.playbook.on_error_in(within, frame, around)
    }

    /// What a failure of a step means for the device.
    pub(super) fn on_error(&self, step: &Step) -> OnError {
        self.on_error_at(step, None)
    }

    /// Whether a failure there may still be made good.
    pub(super) fn may_be_rescued(&self, place: Place) -> bool {
        let rescued = |place: &Place| {
            place.part == Part::Main
                && place
                    .block
                    .is_some_and(|block| self.playbook.blocks[block].has_rescue)
        };
        self.playbook.chain(place).iter().any(rescued)
    }

    /// Takes note of how a step ended.
    pub(super) fn ended(&mut self, step: &'p Step, outcome: &Outcome) {
        if let Outcome::Unknown { .. } = outcome {
            self.unknown.push(&step.id);
        }
        if step.place.part == Part::Verify {
            return self.ended_proof(step, outcome);
        }
        self.last = Some(outcome.clone());
        match outcome {
            Outcome::Failed { .. } | Outcome::Unknown { .. } => self.failed(step.place, step),
            Outcome::Done => {
                for place in self.playbook.chain(step.place) {
                    if place.part == Part::Rescue {
                        self.track(place.block).rescue.has_done = true;
                    }
                }
            }
            Outcome::Skipped { .. } => {}
        }
    }

    /// Takes note that a step is passed over, because the run is stopped.
    pub(super) fn passed_over(&mut self, step: &Step) {
        for place in self.playbook.chain(step.place) {
            self.track(place.block).is_cut = true;
        }
    }

    fn failed(&mut self, place: Place, step: &'p Step) {
        let on_error = self.on_error_at(step, Some(place));
        if on_error == OnError::Ignore {
            return;
        }
        let halts = on_error != OnError::Continue;
        let track = self.track(place.block);
        let (failed, halted) = match place.part {
            Part::Main => (&mut track.failed, &mut track.halted),
            Part::Rescue => (&mut track.rescue.failed, &mut track.rescue.halted),
            Part::Always => return track.failed_last.push(step),
            // What it proves fails in its place.
            Part::Verify => return,
        };
        failed.push(step);
        if halts {
            halted.get_or_insert(&step.id);
        }
    }

    /// How a used playbook has ended.
    fn status(&self, block: usize) -> Option<(usize, &'static str)> {
        let frame = self.playbook.blocks[block].begins?;
        let track = &self.blocks[block];
        let mut failed = track.failed.iter().chain(&track.failed_last).peekable();
        let status = if failed.peek().is_none() {
            match (track.open, track.blamed) {
                (_, Some(_)) => "failed",
                (Some(true), None) if track.is_cut => "failed",
                (Some(true), None) => "done",
                (_, None) => "skipped",
            }
        } else if failed.any(|step| self.unknown.contains(&&step.id)) {
            "unknown"
        } else {
            "failed"
        };
        Some((frame, status))
    }

    /// Leaves the blocks that the next step does not stand in, the innermost first.
    pub(super) fn go(&mut self, next: Place) -> Left<'p> {
        let mut left = Left::default();
        let next_chain = self.playbook.chain(next);
        while let Some(block) = self.at.block
            && !next_chain.iter().any(|place| place.block == Some(block))
        {
            self.at = self.playbook.blocks[block].place;
            left.frames.extend(self.status(block));
            // What it blames is asked for until the failure has gone all the way up.
            let blamed = self.blocks[block].blamed;
            let track = std::mem::take(&mut self.blocks[block]);
            self.blocks[block].blamed = blamed;
            if let Some(at) = self.playbook.blocks[block].proves {
                self.conclude(&self.playbook.steps[at], track.proof, &mut left);
                continue;
            }
            let good = track.rescue.has_done && track.rescue.failed.is_empty();
            let mut failed = vec![(Part::Always, track.failed_last)];
            if good {
                left.rescued.extend(track.failed);
            } else {
                failed.push((Part::Main, track.failed));
                failed.push((Part::Rescue, track.rescue.failed));
            }
            for (part, steps) in failed {
                let place = Place {
                    block: Some(block),
                    part,
                };
                let lost = self.may_be_rescued(place) && !self.may_be_rescued(self.at);
                for step in steps {
                    self.failed(self.at, step);
                    let on_error = self.on_error(step);
                    left.lost.extend(lost.then_some((step, on_error)));
                }
            }
        }
        self.at = next;
        left
    }
}
