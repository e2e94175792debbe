//! The command line that does the same again, as a person can type it.

use super::inputs;
use super::options::Scope;
use super::run::{Asked, OUT};
use crate::playbook::Playbook;
use crate::text::escape::Escaped;
use std::path::Path;

/// What was typed, without the options that all runs share.
pub(super) struct Typed {
    pub(super) command: &'static str,
    pub(super) operands: Vec<String>,
    pub(super) options: Vec<(&'static str, String)>,
    /// A saved plan has its own devices.
    pub(super) has_devices: bool,
}

/// The command that does the same again on the devices with these ids.
pub(super) fn again(asked: &Asked<'_>, scope: &Scope, playbook: &Playbook, ids: &str) -> String {
    let path = |path: &Path| path.display().to_string();
    let Typed {
        command,
        operands,
        options,
        has_devices,
    } = &asked.typed;
    let mut words: Vec<String> = vec!["sortie".into(), (*command).into()];
    // Behind `--` nothing is taken for an option.
    let looks_like_options = operands.iter().any(|operand| operand.starts_with('-'));
    if !looks_like_options {
        words.extend_from_slice(operands);
    }
    for (flag, value) in options {
        push(&mut words, flag, value);
    }
    if !has_devices {
        words.extend(["--targets".into(), format!("ids:{ids}")]);
    }
    let once = [
        (
            "--out",
            Some(path(&asked.about.out)).filter(|out| out != OUT),
        ),
        ("--credentials", scope.credentials.as_deref().map(path)),
        ("--profile", scope.profile.clone()),
        ("--inputs", scope.inputs.as_deref().map(path)),
        ("--start-at", scope.start_at.clone()),
        (
            "--max-sessions",
            scope.max_sessions.map(|sessions| sessions.to_string()),
        ),
    ];
    for (flag, value) in once {
        if let Some(value) = value {
            push(&mut words, flag, &value);
        }
    }
    let typed = scope.input.iter().map(|pair| inputs::shown(pair, playbook));
    let many = [
        ("-e", &typed.collect()),
        ("--tags", &scope.tags),
        ("--skip-tags", &scope.skip_tags),
    ];
    for (flag, values) in many {
        for value in values {
            push(&mut words, flag, value);
        }
    }
    if looks_like_options {
        words.push("--".into());
        words.extend_from_slice(operands);
    }
    let typed: Vec<String> = words.iter().map(|word| shell(word)).collect();
    Escaped(&typed.join(" ")).to_string()
}

/// A value that looks like an option is tied to its own.
fn push(words: &mut Vec<String>, flag: &str, value: &str) {
    if value.starts_with('-') {
        words.push(format!("{flag}={value}"));
    } else {
        words.extend([flag.to_owned(), value.to_owned()]);
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
