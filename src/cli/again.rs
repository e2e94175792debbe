//! The command line that goes on with a run, as a person can type it.

use super::options::Scope;
use super::run::OUT;
use crate::ledger::resume::Wish;
use crate::model::id::{DeviceId, StepId};
use crate::text::escape::Escaped;
use std::path::Path;

/// Goes on with the run in `dir`, with the same credentials.
pub(super) fn resume(dir: &Path, scope: &Scope, wish: Wish) -> String {
    let path = |path: &Path| path.display().to_string();
    let mut words: Vec<String> = vec!["sortie".into(), "resume".into(), name(dir)];
    if wish == Wish::RetryFailed {
        words.push("--retry-failed".into());
    }
    let options = [
        ("--credentials", scope.credentials.as_deref().map(path)),
        ("--profile", scope.profile.clone()),
        ("--inputs", scope.inputs.as_deref().map(path)),
    ];
    for (flag, value) in options {
        match value {
            // A value that looks like an option is tied to its own.
            Some(value) if value.starts_with('-') => words.push(format!("{flag}={value}")),
            Some(value) => words.extend([flag.to_owned(), value]),
            None => {}
        }
    }
    let typed: Vec<String> = words.iter().map(|word| shell(word)).collect();
    Escaped(&typed.join(" ")).to_string()
}

/// Says what came of a step whose outcome is unknown.
pub(super) fn resolve(dir: &Path, device: DeviceId, step: &StepId) -> String {
    let words = [&name(dir), &device.to_string(), step.as_str()].map(shell);
    let typed = format!(
        "sortie resolve {} --as done|not-done --reason …",
        words.join(" ")
    );
    Escaped(&typed).to_string()
}

/// What a run is called: where runs are by default, by its id.
fn name(dir: &Path) -> String {
    match (dir.parent(), dir.file_name()) {
        (Some(parent), Some(name)) if parent == Path::new(OUT) => name.to_string_lossy().into(),
        _ if dir.display().to_string().starts_with('-') => format!("./{}", dir.display()),
        _ => dir.display().to_string(),
    }
}

/// A word as a shell takes it.
pub(super) fn shell(word: &str) -> String {
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c));
    if plain && !word.is_empty() {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
