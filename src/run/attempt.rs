//! One step on one device: its guards, its items, its attempts.

use super::ahead::Planned;
use super::foresight;
use super::link::{Link, Now};
use super::retry::{self, Exposure, Next};
use super::step_end::{ITEMS, StepEnd};
use crate::clock;
use crate::model::conceal::withhold;
use crate::model::device::Device;
use crate::model::effect::{Effect, Reached};
use crate::model::event::EventKind;
use crate::model::outcome::{Cause, Outcome};
use crate::playbook::Step;
use crate::step::StepKind;
use crate::step::cx::{StepCx, Stop};
use crate::template::Scope;
use serde_json::Value;
use std::time::Duration;

/// Runs a step to its outcome.
pub(super) async fn run(link: &mut Link, device: &Device, step: &Step, scope: &Scope) -> StepEnd {
    if !step.is_for(device.os) {
        return StepEnd::skipped(
            step,
            Cause::OtherOs {
                os: device.os.to_string(),
            },
        );
    }
    let Some(for_each) = &step.for_each else {
        return guarded(link, device, step, scope).await;
    };
    match for_each.items(scope) {
        Ok(items) => over(link, device, step, scope, items).await,
        Err(error) => StepEnd::failed(step, error),
    }
}

/// Runs the action for each item in turn. The whole ends as the worst of its items.
async fn over(
    link: &mut Link,
    device: &Device,
    step: &Step,
    scope: &Scope,
    items: Vec<Value>,
) -> StepEnd {
    let mut whole = StepEnd::skipped(step, Cause::WhenFalse);
    let mut results = Vec::with_capacity(items.len());
    let afterwards = std::mem::take(&mut link.ahead.later);
    for (position, item) in items.iter().enumerate() {
        if !link.may_go_on() {
            // Unless what has run already weighs more.
            let cause = link.stopped();
            whole.worsen(Outcome::Failed { cause });
            break;
        }
        link.item = u32::try_from(position).ok();
        link.ahead.later = next_items(link, step, scope, &items[position + 1..], &afterwards);
        let mut inner = scope.clone();
        inner.set_json("item", item);
        let end = guarded(link, device, step, &inner).await;
        let mut result = end.result;
        if let (StepKind::Set(_), Value::Object(whole), Value::Object(values)) =
            (&step.kind, &mut whole.result, &result)
        {
            // Each item sets the variables again; the last one stays.
            whole.extend(values.clone());
        }
        if let Value::Object(fields) = &mut result {
            fields.insert("item".into(), item.clone());
            fields.insert("status".into(), end.outcome.word().into());
        }
        results.push(result);
        whole.rows.extend(end.rows);
        whole.raw.extend(end.raw);
        whole.attempts = whole.attempts.max(end.attempts);
        if position == 0 {
            whole.outcome = end.outcome;
        } else {
            whole.worsen(end.outcome);
        }
    }
    link.item = None;
    if let Value::Object(fields) = &mut whole.result {
        fields.insert(ITEMS.into(), results.into());
    }
    whole.ended = clock::now();
    whole
}

/// The reads that follow those of an item: of the items after it, and then of the steps after this one.
fn next_items(
    link: &Link,
    step: &Step,
    scope: &Scope,
    items: &[Value],
    afterwards: &[Planned],
) -> Vec<Planned> {
    let is_waited_for = step.retry.until.is_some();
    if is_waited_for || step.when.is_some() && !items.is_empty() {
        return Vec::new();
    }
    match foresight::of_items(step, link.ground(), scope, items) {
        Ok((mut planned, true)) => {
            planned.extend_from_slice(afterwards);
            planned
        }
        Ok((planned, false)) => planned,
        Err(_) => Vec::new(),
    }
}

async fn guarded(link: &mut Link, device: &Device, step: &Step, scope: &Scope) -> StepEnd {
    match step.enter(scope) {
        Ok(Some(scope)) => attempts(link, device, step, &scope).await,
        Ok(None) => StepEnd::skipped(step, Cause::WhenFalse),
        Err(error) => StepEnd::failed(step, error),
    }
}

async fn attempts(link: &mut Link, device: &Device, step: &Step, scope: &Scope) -> StepEnd {
    link.memo = link.recalled(step);
    let end = repeated(link, device, step, scope).await;
    link.give_up_files().await;
    end
}

async fn repeated(link: &mut Link, device: &Device, step: &Step, scope: &Scope) -> StepEnd {
    let timeout = match step.timeout.resolve(scope) {
        Ok(timeout) => timeout.get(),
        Err(error) => return StepEnd::failed(step, error),
    };
    let started = clock::now();
    let mut attempt = 0;
    let mut lost = 0;
    loop {
        attempt += 1;
        link.now = Now::new(step.id.clone(), attempt, link.deadline(timeout));
        link.now.no_log = step.no_log;
        if let Some(nonce) = link.memo.nonce.take() {
            link.now.nonce = nonce;
        }
        link.note(EventKind::StepStarted {
            device: device.id,
            step: step.id.clone(),
            attempt,
            item: link.item,
            nonce: link.now.nonce.clone(),
        })
        .await;
        if step.kind.effect() != Effect::Read {
            // What is changed is looked at as it is now.
            link.listings.forget();
        }
        if attempt == 1 {
            let own = foresight::of_action(step, link.ground(), scope);
            // What cannot be rendered says so when the step runs.
            let (own, is_all) = own.unwrap_or_default();
            link.begin(own, is_all).await;
        } else {
            // Whoever tries again wants to see what has changed meanwhile.
            link.withdraw().await;
            link.listings.forget();
        }
        let mut rows = Vec::new();
        let ran = match link.hold.ensure().await {
            Ok(()) => {
                // Waiting for another session is not the endpoint's time.
                link.now.deadline = link.deadline(timeout);
                let mut cx = StepCx {
                    step: &step.id,
                    device,
                    scope,
                    piece: link.job.piece,
                    hands: &mut *link,
                    rows: &mut rows,
                };
                step.kind.run(&mut cx).await
            }
            Err(cause) => Err(Stop::Failed(cause)),
        };
        let (ran, found) = match ran {
            Ok(found) => (holds(step, scope, &found, attempt - lost), Some(found)),
            Err(other) => (Err(other), None),
        };
        let result = || found.unwrap_or_else(|| step.kind.empty_result());
        let (outcome, result) = match ran {
            Ok(()) => (Outcome::Done, result()),
            Err(Stop::Skipped(cause)) => (Outcome::Skipped { cause }, result()),
            Err(Stop::Failed(cause)) => match next(link, step, attempt - lost, &cause) {
                Follow::Elsewhere if link.may_go_on() => {
                    lost += 1;
                    link.files.hand_on();
                    retried(link, device, step, attempt, cause, Duration::ZERO).await;
                    continue;
                }
                Follow::Is(Next::Again { after }) if link.may_go_on() => {
                    link.files.ask_anew();
                    retried(link, device, step, attempt, cause, after).await;
                    link.pass(after).await;
                    continue;
                }
                Follow::Elsewhere | Follow::Is(Next::Again { .. } | Next::Fail) => {
                    (Outcome::Failed { cause }, result())
                }
                Follow::Is(Next::Unknown) => (Outcome::Unknown { cause }, result()),
            },
        };
        let raw = std::mem::take(&mut link.now.raw);
        return StepEnd {
            outcome,
            attempts: attempt,
            started,
            ended: clock::now(),
            rows,
            raw,
            result,
        };
    }
}

/// Whether a try that came to its result came to the one that the author waits for.
fn holds(step: &Step, scope: &Scope, found: &Value, tries: u32) -> Result<(), Stop> {
    let Some(until) = &step.retry.until else {
        return Ok(());
    };
    let mut result = found.clone();
    result["status"] = Outcome::Done.word().into();
    let mut scope = scope.clone();
    for name in step.register.as_deref().into_iter().chain(["result"]) {
        scope.set_json(name, &result);
    }
    if until.test(&scope)? {
        return Ok(());
    }
    Err(Cause::UntilFalse {
        attempts: tries,
        at: Some(until.span()),
    }
    .into())
}

/// What follows a failed attempt.
enum Follow {
    Is(Next),
    /// The same again in a new session, which is nothing that the author's tries are for.
    Elsewhere,
}

fn next(link: &Link, step: &Step, attempt: u32, cause: &Cause) -> Follow {
    let exposure = link.now.exposure;
    if *cause == Cause::SessionLost {
        let nothing_came_of_it = match exposure {
            Exposure::None => true,
            Exposure::Failed { reached, .. } => reached == Reached::No,
            Exposure::Spent => false,
        };
        if nothing_came_of_it {
            return if link.hold.can_reopen() {
                Follow::Elsewhere
            } else {
                Follow::Is(Next::Fail)
            };
        }
    }
    // Whoever may not go on has used up the tries.
    let attempt = if link.may_go_on() { attempt } else { u32::MAX };
    Follow::Is(retry::next(
        &step.retry,
        attempt,
        cause,
        exposure,
        clock::fraction(),
    ))
}

async fn retried(
    link: &Link,
    device: &Device,
    step: &Step,
    attempt: u32,
    mut cause: Cause,
    after: Duration,
) {
    if step.no_log {
        cause.conceal(&withhold);
    }
    link.note(EventKind::StepRetried {
        device: device.id,
        step: step.id.clone(),
        attempt,
        cause,
        delay_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
    })
    .await;
}
