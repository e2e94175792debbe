//! `sortie steps`: the kinds of steps, and the manual of each, out of the step files themselves.

use super::Failure;
use super::exit::Exit;
use super::output::Output;
use crate::playbook::schema::schema;
use crate::step::{Built, KINDS, NOT_BUILT, Spec};
use crate::text::escape::Escaped;
use crate::text::words::{List, suggest};
use crate::ui::style::{DIM, STRONG, paint};
use clap::Args;
use serde_json::Value;
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct StepsArgs {
    /// The step to show the manual of.
    name: Option<String>,
}

/// Manuals are made for screens of this width, and wider lines are hard to read.
const WIDTH: usize = 80;

pub(super) fn run(args: &StepsArgs, output: &Output) -> Result<Exit, Failure> {
    let width = output.width.min(WIDTH);
    let Some(name) = &args.name else {
        Output::result(&table(width));
        return Ok(Exit::Ok);
    };
    if let Some((spec, _)) = KINDS.iter().find(|(spec, _)| spec.key == name) {
        Output::result(&manual(spec, width));
        return Ok(Exit::Ok);
    }
    if NOT_BUILT.contains(&name.as_str()) {
        let message = format!("`{name}` is part of the language and not built yet");
        return Err(Failure::new(Exit::Usage, message));
    }
    let failure = Failure::new(Exit::Usage, format!("there is no step `{}`", Escaped(name)));
    Err(
        match suggest(name, KINDS.iter().map(|(spec, _)| spec.key)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`sortie steps` lists them"),
        },
    )
}

fn table(width: usize) -> String {
    let mut out = format!(
        "{STRONG}{:<16} {:<12}  {:<8}  what it does{STRONG:#}\n",
        "step", "permission", "effect"
    );
    for (spec, _) in KINDS {
        let permissions: Vec<&str> = spec.permissions.iter().map(|one| one.as_str()).collect();
        let permissions = match &permissions[..] {
            [] => "-".to_owned(),
            some => some.join(", "),
        };
        let line = format!(
            "{:<16} {permissions:<12}  {}  ",
            spec.key,
            paint(DIM, spec.effect, 8)
        );
        out.push_str(&line);
        out.push_str(spec.summary);
        out.push('\n');
    }
    let understood = KINDS.iter().filter(|(spec, _)| spec.built == Built::NotYet);
    let understood: Vec<&str> = understood.map(|(spec, _)| spec.key).collect();
    let _ = writeln!(out, "\n{STRONG}not built yet{STRONG:#}");
    let text = format!(
        "{}. They pass `check`, `plan` marks them, `run` refuses them.",
        List::and(&understood)
    );
    paragraph(&text, 2, width, &mut out);
    let text = format!("Also {}, which `check` refuses.", List::and(&NOT_BUILT));
    paragraph(&text, 2, width, &mut out);
    out
}

fn manual(spec: &Spec, width: usize) -> String {
    let mut out = format!("{STRONG}{}{STRONG:#}  {}\n", spec.key, spec.summary);
    if spec.built == Built::NotYet {
        out.push_str("Not built yet: `check` understands it, `run` refuses it.\n");
    }
    out.push('\n');
    prose(&spec.manual(), width, &mut out);
    let arguments = arguments(spec);
    if !arguments.is_empty() {
        let _ = writeln!(out, "\n{STRONG}arguments{STRONG:#}");
    }
    for (name, note, text) in &arguments {
        let _ = writeln!(out, "  {STRONG}{name}{STRONG:#}{DIM}{note}{DIM:#}");
        paragraph(text, 6, width, &mut out);
    }
    let mut fact = |name: &str, text: &str| {
        if !text.is_empty() {
            let _ = writeln!(out, "\n{STRONG}{name}{STRONG:#}");
            paragraph(text, 2, width, &mut out);
        }
    };
    fact("permissions", &List::and(spec.permissions).to_string());
    fact("effect", &spec.effect.to_string());
    fact("systems", &List::and(spec.os).to_string());
    fact("commands", &List::and(spec.commands).to_string());
    if !spec.results.is_empty() {
        let _ = writeln!(out, "\n{STRONG}results{STRONG:#}");
    }
    for field in spec.results {
        let _ = writeln!(out, "  {STRONG}{}{STRONG:#}", field.name);
        paragraph(field.meaning, 6, width, &mut out);
    }
    out
}

/// Name, what may be left out, and meaning of each argument, as the schema has them.
fn arguments(spec: &Spec) -> Vec<(String, String, String)> {
    let root = schema();
    let Some(mut form) = find(&root, spec.key) else {
        return Vec::new();
    };
    // Where a plain value may stand for the map, the map is the first form.
    while form["properties"].is_null() {
        let next = match form["$ref"].as_str() {
            Some(path) => root.pointer(path.trim_start_matches('#')),
            None => form.pointer("/anyOf/0").or(form.pointer("/allOf/0")),
        };
        match next {
            Some(next) => form = next,
            None => return Vec::new(),
        }
    }
    let required = |name: &str| {
        let names = form["required"].as_array();
        names.is_some_and(|names| names.iter().any(|one| one == name))
    };
    let entries = form["properties"].as_object().into_iter().flatten();
    let line = |(name, property): (&String, &Value)| {
        let note = match &property["default"] {
            _ if required(name) => "  needed".to_owned(),
            Value::Null => String::new(),
            Value::String(word) => format!("  {word} unless given"),
            Value::Array(items) if items.is_empty() => "  none unless given".to_owned(),
            other => format!("  {other} unless given"),
        };
        let text = property["description"].as_str().unwrap_or_default();
        (name.clone(), note, text.to_owned())
    };
    entries.map(line).collect()
}

/// What the schema says of an action's key.
fn find<'a>(at: &'a Value, key: &str) -> Option<&'a Value> {
    let actions = &at["properties"];
    if actions[key].is_object() && actions["list_processes"].is_object() {
        return Some(&actions[key]);
    }
    match at {
        Value::Object(map) => map.values().find_map(|value| find(value, key)),
        Value::Array(items) => items.iter().find_map(|value| find(value, key)),
        _ => None,
    }
}

/// Markdown as plain text: paragraphs wrapped, samples as they are.
fn prose(markdown: &str, width: usize, out: &mut String) {
    let mut text = String::new();
    let mut in_sample = false;
    for line in markdown.lines() {
        let fence = line.starts_with("```");
        if (fence || line.is_empty()) && !in_sample && !text.is_empty() {
            paragraph(&text, 0, width, out);
            text.clear();
        }
        if fence {
            in_sample = !in_sample;
        } else if in_sample {
            out.extend(["  ", line, "\n"]);
        } else if line.is_empty() {
            out.push('\n');
        } else {
            text.extend([line, " "]);
        }
    }
    if !text.is_empty() {
        paragraph(&text, 0, width, out);
    }
}

/// Words on lines of at most `width` columns, each `indent` from the left.
fn paragraph(text: &str, indent: usize, width: usize, out: &mut String) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let long = word.chars().count();
        if column > 0 && column + 1 + long > width {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += long;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_page_within_80_columns() {
        let plain = |text: &str| anstream::adapter::strip_str(text).to_string();
        for (spec, _) in KINDS {
            let page = plain(&manual(spec, WIDTH));
            let all_told = !arguments(spec).is_empty() || ["set", "wait"].contains(&spec.key);
            assert!(all_told, "{} has no arguments", spec.key);
            // A hash has no place where it could be parted.
            for line in page.lines().filter(|line| !line.contains("sha256: ")) {
                assert!(line.chars().count() <= WIDTH, "{}: {line}", spec.key);
            }
        }
        for line in plain(&table(WIDTH)).lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn samples_stay_as_they_are_and_prose_is_wrapped() {
        let mut out = String::new();
        prose("one two\nthree\n\n```yaml\na:  b c\n```", 8, &mut out);
        assert_eq!(out, "one two\nthree\n\n  a:  b c\n");
    }
}
