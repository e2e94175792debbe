//! The gate: a document becomes a [`Playbook`] here, or every reason why it does not is told at once.

use super::expand::expand;
use super::used::{Files, Library, alone};
use super::{Playbook, Step, lint, references, undo};
use crate::model::effect::Permission;
use crate::model::id::StepId;
use crate::text::diagnostic::{Code, Diagnostic, Diagnostics, Severity};
use crate::text::source::{Source, Span};
use crate::text::words::Grouped;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of one Live Response command, as the service accepts it.
const MAX_COMMAND: usize = 10 * 1024;
/// Expressions in braces of one file: some for each step that a playbook may have.
const MAX_EXPRESSIONS: usize = 25_000;
/// Steps of one playbook.
pub(super) const MAX_STEPS: usize = 5_000;

/// What a check gives: a playbook if nothing is wrong, and all that is to be said, in order of place.
#[derive(Debug)]
pub struct Checked {
    pub source: Arc<Source>,
    pub playbook: Option<Playbook>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Checked {
    /// With what somebody else found, who could look further.
    pub fn add(&mut self, found: Vec<Diagnostic>) {
        let has_errors = found.iter().any(|one| one.severity == Severity::Error);
        self.playbook = self.playbook.take().filter(|_| !has_errors);
        self.diagnostics.extend(found);
        self.diagnostics.sort_by_key(|one| one.span);
    }
}

/// Checks a playbook that uses no others, as far as that is possible without devices.
pub fn check(name: &str, bytes: &[u8]) -> Checked {
    check_with(name, bytes, &alone)
}

/// Checks a playbook and those that it uses, as far as that is possible without devices.
pub fn check_with(name: &str, bytes: &[u8], library: &Library<'_>) -> Checked {
    let mut files = Files::new(name, library);
    let top = files.top(bytes);
    let Files {
        source,
        paths,
        mut all,
        ..
    } = files;
    let source = Arc::new(source);
    let sound = !all.has_errors();
    let playbook = top.map(|top| {
        let mut playbook = if sound { expand(top) } else { top.alone() };
        playbook.source = Arc::clone(&source);
        playbook.files = paths;
        lint::whole(&playbook, &mut all);
        playbook
    });
    let sound = !all.has_errors();
    Checked {
        source,
        playbook: playbook.filter(|_| sound),
        diagnostics: all.into_vec(),
    }
}

/// Whether there are no more expressions than a playbook may have; each takes its memory.
pub(super) fn expressions(source: &Source, all: &mut Diagnostics) -> bool {
    let Some((at, _)) = source.text.match_indices("{{").nth(MAX_EXPRESSIONS) else {
        return true;
    };
    let message = format!(
        "a playbook has at most {} expressions",
        Grouped(MAX_EXPRESSIONS as u64)
    );
    all.error(Code::Limit, Span::new(at, at + 2), message)
        .help("split it, or use for_each");
    false
}

/// Checks one file, when it is known what the playbooks that it uses give back.
pub(super) fn one(playbook: &mut Playbook, all: &mut Diagnostics) {
    ids(&mut playbook.steps, all);
    references::check(playbook, all);
    permissions(playbook, all);
    sizes(playbook, all);
    lint::check(playbook, all);
}

/// Ids are distinct: those that an author chose must be, the others are made so.
fn ids(steps: &mut [Step], all: &mut Diagnostics) {
    let mut seen: HashMap<StepId, usize> = HashMap::new();
    let mut ids = undo::ids(steps);
    for (id, chosen, _) in &ids {
        if let Some(span) = *chosen
            && seen.insert((**id).clone(), 1).is_some()
        {
            let message = format!("another step has the id `{id}`");
            all.error(Code::DuplicateId, span, message)
                .help("give each step an id of its own");
        }
    }
    for (id, ..) in ids.iter_mut().filter(|(_, chosen, _)| chosen.is_none()) {
        let count = seen.entry((**id).clone()).or_default();
        *count += 1;
        if *count > 1 {
            **id = StepId(format!("{id}-{count}"));
        }
    }
}

fn permissions(playbook: &Playbook, all: &mut Diagnostics) {
    for step in playbook.written() {
        for needed in step.kind.permissions() {
            if playbook.permissions.contains(needed) {
                continue;
            }
            let key = step.kind.spec().key;
            let (span, what) = match step.kind.reason(*needed) {
                Some((span, what)) => (span, format!("{what}, and")),
                None => (step.span, format!("`{key}`")),
            };
            let message = format!("{what} needs the permission `{needed}`");
            all.error(Code::Permission, span, message)
                .help(declare(playbook, *needed));
        }
    }
}

/// How a playbook is given one more permission.
pub(super) fn declare(playbook: &Playbook, needed: Permission) -> String {
    let own = playbook.permissions.iter().chain([&needed]);
    let list: Vec<String> = own.map(ToString::to_string).collect();
    format!("declare it at the top: permissions: [{}]", list.join(", "))
}

fn sizes(playbook: &Playbook, all: &mut Diagnostics) {
    if let Some(step) = playbook.steps.get(MAX_STEPS) {
        all.error(
            Code::Limit,
            step.span,
            format!("a playbook has at most {MAX_STEPS} steps"),
        );
    }
    for step in playbook.written() {
        for (name, template) in step.kind.arguments().templates {
            let fixed: usize = template.literal_parts().map(str::len).sum();
            if fixed > MAX_COMMAND {
                let message =
                    format!("`{name}` is {fixed} bytes long, and a command takes {MAX_COMMAND}");
                all.error(Code::Limit, template.span(), message)
                    .help("put it into a file, and run that");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_playbook_of_nothing_but_expressions_is_refused_before_they_take_memory() {
        let texts = "'{{ a }}', ".repeat(MAX_EXPRESSIONS + 1);
        let text = format!("sortie: 1\nname: x\nsteps:\n  - set: {{a: [{texts}]}}\n");
        let checked = check("x.yaml", text.as_bytes());
        assert_eq!(checked.diagnostics.len(), 1, "{:?}", checked.diagnostics);
        assert_eq!(checked.diagnostics[0].code, Code::Limit);
    }
}
