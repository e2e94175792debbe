//! Files that a command line leaves on the endpoint and no later step takes away.
//!
//! Only what can be known: a literal path, written by a redirection or a switch that names a file.

use super::command_line::{Invocation, UNKNOWN, invocations};
use super::programs;
use crate::playbook::{Playbook, Step};
use crate::step::StepKind;
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::escape::Escaped;

pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    for (at, step) in playbook.steps.iter().enumerate() {
        let StepKind::Exec(exec) = &step.kind else {
            continue;
        };
        let found = invocations(&exec.command);
        for (within, one) in found.iter().enumerate() {
            for path in written(one).filter(|path| !path.contains(UNKNOWN)) {
                let soon = found[within + 1..]
                    .iter()
                    .any(|later| takes_away(later, path));
                let later = &playbook.steps[at + 1..];
                if soon || later.iter().any(|step| removes(step, path)) {
                    continue;
                }
                let message = format!("this leaves `{}` on the endpoint", Escaped(path));
                all.warn(Code::Cleanup, exec.command.span(), message).help(
                    "fetch it and remove it in a later step; output without a redirection is fetched and removed by itself",
                );
            }
        }
    }
}

/// The files that an invocation writes, as far as it says so.
fn written(found: &Invocation) -> impl Iterator<Item = &str> {
    let saved = match found.program.as_str() {
        "reg" if found.has("save") || found.has("export") => found.operands().nth(2),
        "wevtutil" if found.has("epl") || found.has("export-log") => found.operands().nth(2),
        "gpresult" | "msinfo32" => ["/h", "/x", "/report", "/nfo"]
            .iter()
            .find_map(|switch| found.value_of(switch)),
        _ => found.value_of("/out").or_else(|| found.value_of("--out")),
    };
    found.writes.iter().map(String::as_str).chain(saved)
}

fn removes(step: &Step, path: &str) -> bool {
    match &step.kind {
        StepKind::Exec(exec) => invocations(&exec.command)
            .iter()
            .any(|found| takes_away(found, path)),
        kind => {
            let arguments = kind.arguments();
            kind.spec().key == "delete_file"
                && arguments
                    .templates
                    .iter()
                    .any(|(_, template)| template.text().eq_ignore_ascii_case(path))
        }
    }
}

fn takes_away(found: &Invocation, path: &str) -> bool {
    let removes =
        programs::destroys(found).is_some() || matches!(found.program.as_str(), "move" | "mv");
    removes && found.args.iter().any(|arg| arg.eq_ignore_ascii_case(path))
}
