//! Local files that are sent: which they are is approved with the plan, so the inputs alone decide it.

use crate::playbook::Playbook;
use crate::playbook::settled::Settled;
use crate::playbook::used::{TOOL, join};
use crate::text::diagnostic::{Code, Diagnostics};

/// A path that is written down leads somewhere.
pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    for step in playbook.written() {
        let Some((source, _)) = step.kind.local_file() else {
            continue;
        };
        if let Some(path) = source.as_literal()
            && let Err((message, help)) = join("", path, &TOOL)
        {
            all.error(Code::BadValue, source.span(), message).help(help);
        }
    }
}

/// Nothing else decides which file it is.
pub(super) fn whole(playbook: &Playbook, all: &mut Diagnostics) {
    for step in &playbook.steps {
        let Some((source, sha256)) = step.kind.local_file() else {
            continue;
        };
        let references = source.references().chain(
            sha256
                .into_iter()
                .flat_map(|sha256| sha256.value.references()),
        );
        let Some(other) = Settled(playbook).other(step, references) else {
            continue;
        };
        let name = other.path.join(".");
        let inputs = playbook.of_frame(step.frame).inputs.iter();
        let is_secret = inputs
            .filter(|input| input.secret)
            .any(|input| other.root() == "inputs" && other.path.get(1) == Some(&input.name));
        let (message, help) = if is_secret {
            (
                format!("a plan shows which file is sent, and `{name}` is secret"),
                "take an input that is not",
            )
        } else {
            (
                format!(
                    "which file is sent is approved before any device is asked, and inputs alone do not say what `{name}` is"
                ),
                "write a step for each file, with `os` or `when`",
            )
        };
        all.error(Code::BadValue, other.span, message).help(help);
    }
}
