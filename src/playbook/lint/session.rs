//! A session takes a limited number of commands, and a playbook that needs more needs a second one.

use crate::model::device::Os;
use crate::playbook::modifier::ForEach;
use crate::playbook::{Playbook, Step};
use crate::text::diagnostic::{Code, Diagnostics};

/// Commands after which a session is replaced; the cloud ends one at 250.
const COMMANDS: u64 = 240;

/// Of each system only the first step too many is told, and of all systems each step once.
pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    let mut told = Vec::new();
    for os in Os::NAMED {
        let mut commands = 0;
        let mut steps = playbook
            .steps
            .iter()
            .filter(|step| playbook.is_for(step, os));
        let crossing = steps.find(|step| {
            commands += at_least(step);
            commands > COMMANDS
        });
        let Some(step) = crossing.filter(|step| !told.contains(&step.span)) else {
            continue;
        };
        told.push(step.span);
        let message = format!(
            "with this step a device needs {commands} commands, and a session takes {COMMANDS}: a second one will be opened"
        );
        all.warn(Code::Limit, step.span, message)
            .help("split the playbook, or shorten the list: a second session may have to wait for its turn");
    }
}

fn at_least(step: &Step) -> u64 {
    let times = match &step.for_each {
        Some(ForEach::List(items)) => items.len() as u64,
        Some(ForEach::Expr(_)) | None => 1,
    };
    step.kind.arguments().cost.commands * times
}
