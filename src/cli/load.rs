//! From files and options to a checked playbook with targets.

use super::Failure;
use super::exit::Exit;
use super::options::Scope;
use super::output::Output;
use crate::plan::assets::{self, Assets};
use crate::playbook::Playbook;
use crate::playbook::check::check_with;
use crate::playbook::chosen::Selection;
use crate::playbook::used::Library;
use crate::sim::scenario::Scenario;
use crate::target::names::Names;
use crate::target::{Selector, SelectorError, Targets};
use crate::text::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::text::escape::Escaped;
use crate::text::render::{Style, render};
use crate::text::source::Source;
use crate::text::words::Count;
use crate::text::yaml::MAX_BYTES;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Reads a file that a person wrote, no further than the language allows.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        let name = path.display().to_string();
        Failure::new(
            Exit::Usage,
            format!("cannot read {}: {error}", Escaped(&name)),
        )
    };
    bytes(path, MAX_BYTES).map_err(failed)
}

/// The bytes of a file; one more than there may be, if there are too many.
pub(super) fn bytes(path: &Path, most: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(most as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Shows diagnostics; says whether any is an error.
pub(super) fn show(diagnostics: &[Diagnostic], source: &Source, output: &Output) -> Verdict {
    let style = Style {
        color: output.color,
        width: output.width,
    };
    if !diagnostics.is_empty() {
        Output::say(&render(diagnostics, source, style));
        Output::say("");
    }
    Verdict::of(diagnostics)
}

/// How many of each there were.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Verdict {
    pub(super) errors: u64,
    pub(super) warnings: u64,
}

impl Verdict {
    pub(super) fn of(diagnostics: &[Diagnostic]) -> Self {
        let count = |severity| {
            diagnostics
                .iter()
                .filter(|diagnostic| diagnostic.severity == severity)
                .count() as u64
        };
        Self {
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
        }
    }
}

/// A playbook that passed its check, or the failure that was told.
pub(super) fn playbook(
    name: &str,
    bytes: &[u8],
    library: &Library<'_>,
    output: &Output,
) -> Result<Arc<Playbook>, Failure> {
    let checked = check_with(name, bytes, library);
    let verdict = show(&checked.diagnostics, &checked.source, output);
    if let Some(playbook) = checked.playbook {
        Ok(Arc::new(playbook))
    } else {
        let count = Count(verdict.errors, "error");
        Err(Failure::new(
            Exit::Usage,
            format!("{}: {count}; nothing was sent", Escaped(name)),
        ))
    }
}

/// How a simulator is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Http,
    Port,
}

/// An organisation for the simulator, or the failure that was told.
pub(super) fn scenario(path: &Path, door: Door, output: &Output) -> Result<Scenario, Failure> {
    let name = path.display().to_string();
    let mut loaded = Scenario::load(&name, &read(path)?);
    if let (Door::Port, Some(scenario)) = (door, &loaded.scenario) {
        let mut all = Diagnostics::new();
        scenario.refuse_http(&mut all);
        loaded.diagnostics.extend(all.into_vec());
    }
    let verdict = show(&loaded.diagnostics, &loaded.source, output);
    loaded
        .scenario
        .filter(|_| verdict.errors == 0)
        .ok_or_else(|| {
            let count = Count(verdict.errors, "error");
            Failure::new(Exit::Usage, format!("{}: {count}", Escaped(&name)))
        })
}

/// The local files that a playbook sends, or the failure that was told.
pub(super) fn assets(
    playbook: &Playbook,
    inputs: &Map<String, Value>,
    selection: &Selection,
    library: &Library<'_>,
    output: &Output,
) -> Result<Assets, Failure> {
    let left_out = selection.left_out(playbook);
    assets::of(playbook, inputs, &left_out, library).map_err(|problems| {
        let verdict = show(&problems, &playbook.source, output);
        let (files, are) = match verdict.errors {
            1 => ("1 file".to_owned(), "is"),
            many => (format!("{many} files"), "are"),
        };
        let name = Escaped(&playbook.source.name);
        let message =
            format!("{name}: {files} that it sends {are} not what it says; nothing was sent");
        Failure::new(Exit::Usage, message)
    })
}

/// Refuses what this version understands and does not carry out, and draws it on the playbook.
pub(super) fn refuse_not_built(
    not_built: &[Diagnostic],
    source: &Source,
    output: &Output,
) -> Result<(), Failure> {
    if not_built.is_empty() {
        return Ok(());
    }
    let verdict = show(not_built, source, output);
    let (things, are) = match verdict.errors {
        1 => ("1 thing".to_owned(), "is"),
        many => (format!("{many} things"), "are"),
    };
    let message = format!(
        "{}: {things} that it asks for {are} not built yet; nothing was sent",
        Escaped(&source.name)
    );
    Err(Failure::new(Exit::Usage, message).hint("`sortie steps` lists the steps that are built"))
}

/// What the playbook's selectors ask for that is not built; targets on the command line replace them.
pub(super) fn targets_not_built(playbook: &Playbook, scope: &Scope) -> Vec<Diagnostic> {
    if scope.targets.is_empty() {
        playbook.targets.not_built.clone()
    } else {
        Vec::new()
    }
}

/// The targets: the playbook's, unless the command line names some.
pub(super) fn targets(playbook: &Playbook, scope: &Scope) -> Result<Targets, Failure> {
    let refused =
        |error: SelectorError| Failure::new(Exit::Usage, Escaped(&error.to_string()).to_string());
    let mut targets = playbook.targets.clone();
    if !scope.targets.is_empty() {
        targets.selectors = scope
            .targets
            .iter()
            .map(|text| Selector::parse(text))
            .collect::<Result<_, _>>()
            .map_err(refused)?;
    }
    for (patterns, list) in [
        (&scope.limit, &mut targets.limit),
        (&scope.exclude, &mut targets.exclude),
    ] {
        for pattern in patterns {
            let parts: Vec<&str> = pattern
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .collect();
            list.push(Names::parse(&parts).map_err(refused)?);
        }
    }
    if targets.is_empty() {
        return Err(Failure::new(Exit::Usage, "no device is selected, and that never means all of them")
            .hint("name some with --targets, for example -t 'names:WS-*', or under `targets` in the playbook"));
    }
    Ok(targets)
}
