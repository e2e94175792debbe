//! Steps that delete or end what a machine or its sensor cannot do without.
//!
//! `danger` says the same of command lines. What is guarded by a hash is known to the byte, so only the
//! sensor and whole folders are refused there.

use super::command_line::UNKNOWN;
use super::vital;
use crate::playbook::Playbook;
use crate::step::{DeleteFile, Guarded, KillProcess, StepKind};
use crate::template::Template;
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::escape::Escaped;
use regex::RegexBuilder;

pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    for step in playbook.written() {
        match &step.kind {
            StepKind::DeleteFile(delete) => delete_file(delete, all),
            StepKind::KillProcess(kill) => kill_process(kill, all),
            StepKind::RegDeleteKey(delete) => {
                let why = vital::fatal_key(&delete.key.outline(UNKNOWN));
                refuse("reg_delete_key", &delete.key, why, all);
            }
            StepKind::RegDeleteValue(delete) => {
                let why = vital::holds_sensor(&delete.key.outline(UNKNOWN));
                refuse(
                    "reg_delete_value",
                    &delete.key,
                    why.then_some(vital::SENSOR_LOST),
                    all,
                );
            }
            StepKind::RemoveService(remove) => {
                let why = vital::is_sensor_service(&remove.name.outline(UNKNOWN));
                refuse(
                    "remove_service",
                    &remove.name,
                    why.then_some(vital::SENSOR_LOST),
                    all,
                );
            }
            _ => {}
        }
    }
}

fn refuse(key: &str, target: &Template, why: Option<&str>, all: &mut Diagnostics) {
    if let Some(why) = why {
        let message = format!("`{key}` would take `{}`: {why}", Escaped(target.text()));
        all.error(Code::Danger, target.span(), message)
            .help("name exactly what is to go");
    }
}

fn delete_file(delete: &DeleteFile, all: &mut Diagnostics) {
    let path = delete.path.outline(UNKNOWN);
    let why = if delete.recursive {
        vital::fatal_tree(&path)
    } else {
        vital::fatal_path(&path)
    };
    refuse("delete_file", &delete.path, why, all);
    if why.is_some() || delete.unguarded == Guarded::Yes {
        return;
    }
    let shown = Escaped(delete.path.text());
    let (message, folder) = if vital::is_in_system(&path) {
        (
            format!("`delete_file` works where the system keeps itself, unguarded: `{shown}`"),
            "make sure of the path: a machine that does not start answers no more",
        )
    } else if vital::is_right_below_root(&path) {
        (
            format!("`delete_file` takes what stands right below a root, unguarded: `{shown}`"),
            "make sure of the path: what stands there is seldom one intruder's alone",
        )
    } else {
        return;
    };
    let help = if delete.recursive {
        folder
    } else {
        "give the file's sha256 in place of `unguarded: true`: then nothing else can go"
    };
    all.warn(Code::Danger, delete.path.span(), message)
        .help(help);
}

/// How one argument chooses processes, as far as that is known.
enum Choice {
    Everything,
    /// Some, or who knows.
    Text(Box<dyn Fn(&str) -> bool>),
    Unknown,
}

fn kill_process(kill: &KillProcess, all: &mut Diagnostics) {
    // These leave one process, or one program to the byte.
    if kill.pid.is_some() || kill.sha256.is_some() {
        return;
    }
    let given = [
        ("name", &kill.name),
        ("path", &kill.path),
        ("command_line", &kill.command_line),
    ];
    let given: Vec<(&str, &Template)> = given
        .into_iter()
        .filter_map(|(key, template)| Some((key, template.as_ref()?)))
        .collect();
    let Some((_, first)) = given.first() else {
        return;
    };
    let choices: Vec<(&str, Choice)> = given
        .iter()
        .map(|(key, template)| (*key, choice(template)))
        .collect();
    let shown = Escaped(first.text());
    if choices
        .iter()
        .all(|(_, choice)| matches!(choice, Choice::Everything))
    {
        let message = format!("`kill_process` would end every process: `{shown}` fits them all");
        all.error(Code::Danger, first.span(), message)
            .help(r"say which, for example name: xmrig.exe, or path: 'glob:C:\Users\Public\*'");
        return;
    }
    let takes = |path: &&str| {
        choices.iter().all(|(key, choice)| match (choice, *key) {
            (Choice::Everything, _) => true,
            (Choice::Text(fits), "path") => fits(path),
            (Choice::Text(fits), "name") => fits(path.rsplit(['\\', '/']).next().unwrap_or(path)),
            _ => false,
        })
    };
    let by_name = |key: &str| match given.as_slice() {
        [(only, template)] if *only == key => template.as_literal(),
        _ => None,
    };
    let victim = vital::vital_processes()
        .find(takes)
        .or_else(|| by_name("name").filter(|name| vital::is_vital_process(name)))
        .or_else(|| by_name("path").filter(|path| vital::is_sensor_path(path)));
    let Some(victim) = victim else {
        return;
    };
    let stops = vital::STOPS;
    let message = if victim.eq_ignore_ascii_case(first.text())
        || victim
            .to_ascii_lowercase()
            .ends_with(&first.text().to_ascii_lowercase())
    {
        format!("`kill_process` would end `{shown}`: {stops}")
    } else {
        format!("`kill_process` would end `{victim}` too, which fits `{shown}`: {stops}")
    };
    all.error(Code::Danger, first.span(), message)
        .help("name exactly what is to end; a program that only looks like it is told by its `path` or `sha256`");
}

fn choice(template: &Template) -> Choice {
    let Some(text) = template.as_literal() else {
        return Choice::Unknown;
    };
    if let Some(pattern) = text.strip_prefix("glob:") {
        if pattern
            .chars()
            .all(|c| matches!(c, '*' | '?' | '.' | '\\' | '/'))
        {
            return Choice::Everything;
        }
        let pattern = pattern.to_owned();
        return Choice::Text(Box::new(move |text| vital::fits(&pattern, text)));
    }
    if let Some(pattern) = text.strip_prefix("regex:") {
        let built = RegexBuilder::new(pattern).case_insensitive(true).build();
        return match built {
            // What fits no text at all, and what no program is called, fits everything.
            Ok(regex) if regex.is_match("") || regex.is_match("\u{1}") => Choice::Everything,
            Ok(regex) => Choice::Text(Box::new(move |text| regex.is_match(text))),
            Err(_) => Choice::Unknown,
        };
    }
    let text = text.to_owned();
    Choice::Text(Box::new(move |found| found.eq_ignore_ascii_case(&text)))
}
