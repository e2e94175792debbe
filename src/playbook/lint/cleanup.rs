//! Files that a command line leaves on the endpoint and no later step takes away.
//!
//! Only what can be known: a literal path, written by a redirection or a switch that names a file.

use super::command_line::{Invocation, UNKNOWN, invocations};
use super::{line, programs};
use crate::playbook::Playbook;
use crate::step::StepKind;
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::escape::Escaped;
use std::collections::HashSet;

pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    // From the end, so that what later steps take away is known.
    let mut taken: HashSet<String> = HashSet::new();
    for step in playbook.steps.iter().rev() {
        let StepKind::Exec(exec) = &step.kind else {
            taken.extend(deleted(&step.kind));
            continue;
        };
        let Some(line) = line(exec) else {
            continue;
        };
        for found in invocations(line).iter().rev() {
            for path in written(found).filter(|path| !path.contains(UNKNOWN)) {
                if taken.contains(&path.to_ascii_lowercase()) {
                    continue;
                }
                let message = format!("this leaves `{}` on the endpoint", Escaped(path));
                all.warn(Code::Cleanup, line.span(), message).help(
                    "fetch it and remove it in a later step; output without a redirection is fetched and removed by itself",
                );
            }
            if removes(found) {
                taken.extend(found.args.iter().map(|arg| arg.to_ascii_lowercase()));
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

fn removes(found: &Invocation) -> bool {
    programs::destroys(found).is_some() || matches!(found.program.as_str(), "move" | "mv")
}

/// What a step of ours deletes.
fn deleted(kind: &StepKind) -> Vec<String> {
    if kind.spec().key != "delete_file" {
        return Vec::new();
    }
    let templates = kind.arguments().templates.into_iter();
    templates
        .map(|(_, template)| template.text().to_ascii_lowercase())
        .collect()
}
