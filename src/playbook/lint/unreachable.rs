//! Steps that no device will ever run.

use crate::model::device::Os;
use crate::model::event::OnError;
use crate::playbook::{Playbook, Step};
use crate::step::StepKind;
use crate::target::Selector;
use crate::template::Expr;
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::words::List;

pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    systems(playbook, all);
    for step in &playbook.steps {
        if let Some(when) = step.when.as_ref().filter(|when| is_false(when)) {
            let message = "this condition never holds, so the step never runs";
            all.warn(Code::Unreachable, when.span(), message)
                .help("remove the step, or mend its `when`");
        }
    }
    let end = playbook.steps.iter().position(always_ends);
    if let Some(next) = end.and_then(|at| playbook.steps.get(at + 1)) {
        let message = "the assertion above never holds, so nothing from here on runs";
        all.warn(Code::Unreachable, next.span, message)
            .help("mend the assertion, or remove what follows");
    }
}

/// Systems that the action, the step and the targets have in common.
fn systems(playbook: &Playbook, all: &mut Diagnostics) {
    for step in &playbook.steps {
        let spec = step.kind.spec();
        let wanted: Vec<Os> = Os::NAMED
            .into_iter()
            .filter(|os| step.os.is_empty() || step.os.contains(os))
            .collect();
        let possible: Vec<Os> = wanted
            .iter()
            .copied()
            .filter(|os| spec.os.contains(os))
            .collect();
        let targets: Vec<Os> = Os::NAMED
            .into_iter()
            .filter(|os| is_targeted(playbook, *os))
            .collect();
        if possible.is_empty() {
            let message = format!(
                "`{}` runs on {} only, so this step never runs",
                spec.key,
                List::and(spec.os)
            );
            all.warn(Code::Unreachable, step.span, message)
                .help("remove the step, or change its `os`");
        } else if !possible.iter().any(|os| targets.contains(os)) {
            let message = format!(
                "this step is for {}, and the playbook's targets are {} only",
                List::and(&possible),
                List::and(&targets)
            );
            all.warn(Code::Unreachable, step.span, message)
                .help("remove the step, or change its `os` or that of `targets`");
        }
    }
}

fn is_targeted(playbook: &Playbook, os: Os) -> bool {
    playbook
        .targets
        .selectors
        .iter()
        .all(|selector| match selector {
            Selector::Os(families) => families.0.contains(&os),
            _ => true,
        })
}

fn is_false(expression: &Expr) -> bool {
    expression.text().eq_ignore_ascii_case("false")
}

/// An assertion that fails on every device and ends its walk.
fn always_ends(step: &Step) -> bool {
    let StepKind::Assert(assert) = &step.kind else {
        return false;
    };
    assert.that.iter().any(is_false)
        && step.when.is_none()
        && step.os.is_empty()
        && step.for_each.is_none()
        && matches!(step.on_error, OnError::Fail | OnError::StopRun)
}
