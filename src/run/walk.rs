//! The walk through the steps of one device: which of them runs, and what its outcome means for the rest.
//!
//! How one step runs is `attempt`'s business, and what becomes of session and bag that of `device`.

use super::attempt;
use super::course::{Course, Left, Turn};
use super::device::Visit;
use super::foresight;
use super::frames::Frames;
use super::hold::end_of;
use super::patience::{ALWAYS, always_over};
use super::retry::Fate;
use super::step_end::StepEnd;
use crate::model::event::{DeviceEnd, EventKind, OnError, Stop};
use crate::model::outcome::{Cause, Outcome};
use crate::plan::scope;
use crate::playbook::{Place, Step};
use crate::template::{Scope, Template};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// What a step that reached the end of `always` may still take for cleaning up after itself.
const CLEAN_UP: Duration = Duration::from_secs(30);

/// As the word of an outcome.
const FAILED: &str = "failed";

impl Visit {
    pub(super) async fn walk(&mut self) -> DeviceEnd {
        let facts = match self.link.hold.open().await {
            Ok(facts) => facts,
            Err(cause) => return end_of(cause),
        };
        let job = Arc::clone(&self.job);
        let playbook = &job.plan.playbook;
        let scope = match scope::for_device(
            &job.plan,
            &self.device,
            Some(&facts),
            Some((&job.run_id, job.started)),
        ) {
            Ok(scope) => scope,
            Err(error) => {
                return DeviceEnd::Failed {
                    cause: error.into(),
                };
            }
        };
        let mut early = None;
        let in_doubt = self.link.settle_past().await;
        let mut course = Course::new(playbook, self.device.os);
        let mut frames = Frames::new(playbook, scope);
        for (ordinal, step) in (1..).zip(&playbook.steps) {
            if self.job.ledger.is_broken() {
                return DeviceEnd::Failed {
                    cause: Cause::Journal,
                };
            }
            self.leave(course.go(step.place), &mut frames).await;
            if let Some(past) = self.past.remove(&step.id) {
                // Blocks open and frames begin as they did then.
                let _ = course.turn(step, &mut frames);
                let end = StepEnd::restored(step, &past);
                end.publish(step, frames.of(step.frame));
                self.farewell.note(step, &end);
                course.ended(step, &past.outcome);
                self.ends.push(past.entry);
                continue;
            }
            let is_last = playbook.is_last(step);
            if !is_last && self.job.cancel.is_draining() {
                early.get_or_insert(DeviceEnd::Cancelled {
                    cause: Cause::Interrupted,
                });
            }
            if early.is_some() && !course.tidies(step) {
                // It has no outcome; what refers to it finds nothing.
                let cause = Cause::Interrupted;
                course.passed_over(step);
                StepEnd::skipped(step, cause).publish(step, frames.of(step.frame));
                continue;
            }
            let turn = match &job.plan.left_out[ordinal - 1] {
                Some(cause) => Turn::Skip(cause.clone()),
                None => course.turn(step, &mut frames),
            };
            let scope = frames.of(step.frame);
            self.link.ahead.later = match &turn {
                Turn::Run if early.is_none() => {
                    foresight::after(ordinal - 1, &job.plan, self.link.ground(), scope)
                }
                _ => Vec::new(),
            };
            let end = match turn {
                // Whatever would keep it from running now, it may have run.
                _ if in_doubt.contains(&step.id) => {
                    let cause = Cause::Interrupted;
                    StepEnd::cut(step, Outcome::Unknown { cause }, 1)
                }
                Turn::Skip(cause) => StepEnd::skipped(step, cause),
                Turn::Fail(error) => StepEnd::failed(step, error),
                Turn::Run if is_last || early.is_some() => self.run_last(step, scope).await,
                Turn::Run => attempt::run(&mut self.link, &self.device, step, scope).await,
            };
            end.publish(step, scope);
            self.farewell.note(step, &end);
            let on_error = course.on_error(step);
            if let Err(cause) = self.keep(ordinal, step, &end, on_error).await {
                early.get_or_insert(DeviceEnd::Failed { cause });
            }
            if was_stopped(&end.outcome) && self.job.cancel.is_draining() && !is_last {
                early.get_or_insert(DeviceEnd::Cancelled {
                    cause: Cause::Interrupted,
                });
            }
            course.ended(step, &end.recorded(step).outcome);
            if is_broken(&end.outcome) && !course.may_be_rescued(step.place) {
                self.stop_run(step, on_error).await;
            }
        }
        self.leave(course.go(Place::default()), &mut frames).await;
        self.say_farewell().await;
        if let Some(end) = early {
            return end;
        }
        for (name, template) in &playbook.outputs {
            self.output(&name.text, template, frames.of(0)).await;
        }
        DeviceEnd::Walked
    }

    /// Keeps an output. One over a step that did not come to its result has no value; that is no failure.
    async fn output(&mut self, name: &str, template: &Template, scope: &Scope) {
        let value = match template.json(scope) {
            Ok(value) => value,
            Err(error) => {
                let came = |root: &String| {
                    let status = scope
                        .get(root)
                        .and_then(|value| value.get_attr("status").ok());
                    status.is_none_or(|status| {
                        status.is_undefined() || status.as_str() == Some(Outcome::Done.word())
                    })
                };
                if template.roots().iter().all(came) {
                    let event = EventKind::OutputFailed {
                        device: self.device.id,
                        output: name.to_owned(),
                        cause: error.into(),
                    };
                    self.link.note(event).await;
                }
                Value::Null
            }
        };
        self.outputs.insert(name.to_owned(), value);
    }

    /// Takes note of what became of the proofs of a step, and of the failures of a block.
    async fn leave(&mut self, left: Left<'_>, frames: &mut Frames<'_>) {
        for (step, disproof) in left.verified {
            self.verified(step, disproof, frames.of(step.frame)).await;
        }
        for (frame, status) in left.frames {
            frames.end(frame, status);
        }
        for step in left.rescued {
            let entry = self
                .ends
                .iter_mut()
                .rfind(|end| end["step_id"] == step.id.as_str());
            if let Some(entry) = entry {
                entry["rescued"] = true.into();
            }
            let event = EventKind::StepRescued {
                device: self.device.id,
                step: step.id.clone(),
            };
            self.link.note(event).await;
        }
        for (step, on_error) in left.lost {
            self.stop_run(step, on_error).await;
        }
    }

    /// Writes down that a step is proved, or that it did not hold and so counts as failed.
    async fn verified(&mut self, step: &Step, disproof: Option<Cause>, scope: &mut Scope) {
        let mut ends = self.ends.iter_mut();
        let entry = ends.rfind(|end| end["step_id"] == step.id.as_str());
        if let Some(Value::Object(entry)) = entry {
            entry.insert("verified".into(), disproof.is_none().into());
            if let Some(cause) = &disproof {
                entry.insert("outcome".into(), FAILED.into());
                entry.insert("cause".into(), json!(cause));
                entry.insert("reason".into(), cause.summary().into());
                entry.extend(cause.spot(&self.job.plan.playbook.source));
            }
        }
        if let (Some(name), true) = (&step.register, disproof.is_some()) {
            let status = Map::from_iter([("status".to_owned(), FAILED.into())]);
            scope.extend_json(name, &status);
        }
        let event = EventKind::StepVerified {
            device: self.device.id,
            step: step.id.clone(),
            disproof,
        };
        self.link.note(event).await;
    }

    /// Runs a step within the time that is left to those that tidy up.
    async fn run_last(&mut self, step: &Step, scope: &Scope) -> StepEnd {
        if self.link.always_until.is_none() {
            // What was read ahead of it is not its time.
            self.link.withdraw().await;
        }
        let until = *self
            .link
            .always_until
            .get_or_insert_with(|| Instant::now() + ALWAYS);
        if Instant::now() >= until {
            let cause = always_over();
            return StepEnd::cut(step, Outcome::Failed { cause }, 0);
        }
        tokio::select! {
            biased;
            end = attempt::run(&mut self.link, &self.device, step, scope) => return end,
            () = sleep_until(until + CLEAN_UP) => {}
        }
        self.link.give_up_files().await;
        let cause = always_over();
        let outcome = match self.link.fate {
            Fate::InDoubt => Outcome::Unknown { cause },
            Fate::Untouched | Fate::Ran => Outcome::Failed { cause },
        };
        StepEnd::cut(step, outcome, self.link.now.attempt)
    }

    /// Stops the run where the author wants that of a failure of this step.
    async fn stop_run(&self, step: &Step, on_error: OnError) {
        if on_error == OnError::StopRun {
            self.job
                .stop(Stop::Step {
                    device: self.device.id,
                    step: step.id.clone(),
                })
                .await;
        }
    }

    /// Writes down how a step ended.
    async fn keep(
        &mut self,
        ordinal: usize,
        step: &Step,
        end: &StepEnd,
        on_error: OnError,
    ) -> Result<(), Cause> {
        let end = end.recorded(step);
        let secrets = &self.job.plan.secrets;
        let mut entry = end.entry(step, &self.job.plan.playbook.source);
        secrets.hide_in(&mut entry);
        let file = end.file(&entry, step, secrets);
        let (bag, id) = (self.link.bag()?, step.id.clone());
        self.link
            .on_disk(move || bag.step(ordinal, &id, &file))
            .await??;
        if step.has_proof {
            // Until its proofs have run.
            entry["verified"] = false.into();
        }
        self.ends.push(entry);
        self.link.fate = Fate::Untouched;
        self.job
            .ledger
            .record(EventKind::StepFinished {
                device: self.device.id,
                step: step.id.clone(),
                outcome: end.outcome.clone(),
                attempts: end.attempts,
                on_error,
            })
            .await
    }
}

/// It did not fail by itself.
fn was_stopped(outcome: &Outcome) -> bool {
    outcome.cause() == Some(&Cause::Interrupted)
}

const fn is_broken(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { .. } | Outcome::Unknown { .. })
}
