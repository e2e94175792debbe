//! Which reads come next, whatever the ones before them say.
//!
//! Pure: a look into the playbook, from the step that begins to the first one that might not run, that is no
//! read, or that needs what is not known yet.

use super::ahead::Planned;
use crate::plan::Plan;
use crate::playbook::Step;
use crate::playbook::modifier::ForEach;
use crate::playbook::vars::Known;
use crate::step::Ground;
use crate::template::{Data, Expr, Reference, Scope, TemplateError};

/// No window is wider.
pub(super) const MOST: usize = 16;

/// The first reads of the steps after the one with this index, in their order. Behind a step that waits for
/// something, others want to see what has come by then.
pub(super) fn after(at: usize, plan: &Plan, ground: Ground, scope: &Scope) -> Vec<Planned> {
    let first = &plan.playbook.steps[at];
    if first.retry.until.is_some() {
        return Vec::new();
    }
    let mut pending: Vec<&str> = first.register.as_deref().into_iter().collect();
    let mut planned = Vec::new();
    let steps = plan.playbook.steps.iter().zip(&plan.left_out);
    for (step, left_out) in steps.skip(at + 1) {
        if step.place != first.place || step.frame != first.frame || planned.len() >= MOST {
            break;
        }
        // A step that is never run on this device is none between others.
        if left_out.is_none() && step.is_for(ground.os) {
            if step.when.is_some() || !needs_none_of(step, &pending) {
                break;
            }
            match of_step(step, ground, scope) {
                Ok((commands, is_all)) if !commands.is_empty() => {
                    planned.extend(commands);
                    if !is_all || step.retry.until.is_some() {
                        break;
                    }
                }
                _ => break,
            }
        }
        pending.extend(step.register.as_deref());
    }
    planned
}

/// Whether nothing in a step looks at these results.
fn needs_none_of(step: &Step, pending: &[&str]) -> bool {
    let outer = |reference: &Reference| !pending.contains(&reference.root());
    let known = Known::of(step, &outer);
    let arguments = step.kind.arguments();
    let items: Vec<&Reference> = match &step.for_each {
        None => Vec::new(),
        Some(ForEach::List(items)) => items.iter().flat_map(Data::references).collect(),
        Some(ForEach::Expr(expression)) => expression.references().collect(),
    };
    let templates = arguments.templates.iter();
    known.covers(templates.flat_map(|(_, template)| template.references()))
        && known.covers(arguments.others.into_iter())
        && known.covers(arguments.expressions.into_iter().flat_map(Expr::references))
        && known.covers(items.into_iter())
}

/// The reads that a step begins with, and whether it has no others.
fn of_step(
    step: &Step,
    ground: Ground,
    scope: &Scope,
) -> Result<(Vec<Planned>, bool), TemplateError> {
    let Some(for_each) = &step.for_each else {
        let scope = step.vars.enter(scope)?;
        return of_action(step, ground, &scope);
    };
    let items = for_each.items(scope)?;
    of_items(step, ground, scope, &items)
}

/// The same of a step that runs over these items.
pub(super) fn of_items(
    step: &Step,
    ground: Ground,
    scope: &Scope,
    items: &[serde_json::Value],
) -> Result<(Vec<Planned>, bool), TemplateError> {
    let mut planned = Vec::new();
    for item in items {
        let mut inner = scope.clone();
        inner.set_json("item", item);
        let (commands, is_all) = of_action(step, ground, &step.vars.enter(&inner)?)?;
        planned.extend(commands);
        if !is_all || planned.len() >= MOST {
            return Ok((planned, false));
        }
    }
    Ok((planned, true))
}

/// The same of one run of its action.
pub(super) fn of_action(
    step: &Step,
    ground: Ground,
    scope: &Scope,
) -> Result<(Vec<Planned>, bool), TemplateError> {
    let foretold = step.kind.foretell(scope, ground)?;
    let planned = foretold.commands.into_iter().map(|command| Planned {
        step: step.id.clone(),
        command,
    });
    Ok((planned.collect(), foretold.is_all))
}
