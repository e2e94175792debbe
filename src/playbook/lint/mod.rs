//! What is probably not meant, or not safe: one file for each lint, and the one list of them.
//!
//! A lint looks at a playbook that could be read; it never changes it, and asks nothing of a device.
//! Whoever adds one adds its code, if it needs one, and a pair under `tests/invalid`.

mod cleanup;
mod command_line;
mod credential_rules;
mod credentials;
mod danger;
mod destroying_steps;
mod effect_doubt;
mod fits;
mod local_files;
mod programs;
mod secrets;
mod session;
mod unquoted;
mod unreachable;
mod vital;
mod wildcards;

use super::Playbook;
use crate::step::{Exec, StepKind};
use crate::template::Template;
use crate::text::diagnostic::Diagnostics;
use command_line::{Invocation, UNKNOWN, invocations, invocations_of};

type Lint = fn(&Playbook, &mut Diagnostics);

const LINTS: [Lint; 11] = [
    unquoted::check,
    danger::check,
    destroying_steps::check,
    wildcards::check,
    secrets::check,
    credentials::check,
    effect_doubt::check,
    cleanup::check,
    fits::check,
    local_files::check,
    unreachable::check,
];

/// What only shows when the steps of all used playbooks stand in their places.
pub(super) fn whole(playbook: &Playbook, all: &mut Diagnostics) {
    session::check(playbook, all);
    unquoted::passed(playbook, all);
    local_files::whole(playbook, all);
}

/// Everything that the lints have to say of one file.
pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    for lint in LINTS {
        lint(playbook, all);
    }
}

/// The steps that run something, with the command line or the program that they name.
fn commands(playbook: &Playbook) -> impl Iterator<Item = (&Exec, &Template)> {
    playbook.written().filter_map(|step| match &step.kind {
        StepKind::Exec(exec) => Some((exec, line(exec)?)),
        _ => None,
    })
}

/// All programs that a step starts, as far as it says so.
fn invocations_of_step(exec: &Exec) -> Vec<Invocation> {
    match (&exec.command, &exec.program) {
        (Some(command), _) => invocations(command),
        (None, Some(program)) => {
            let words = std::iter::once(program).chain(&exec.args);
            invocations_of(words.map(|word| word.outline(UNKNOWN)))
        }
        (None, None) => Vec::new(),
    }
}

fn line(exec: &Exec) -> Option<&Template> {
    exec.command.as_ref().or(exec.program.as_ref())
}
