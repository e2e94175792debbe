//! A duration is not a size: where a typed value is one `{{ input }}`, the input must be able to
//! become it.

use crate::playbook::input::{Input, InputType};
use crate::playbook::{Playbook, Step};
use crate::template::{Choice, Data, Reference, Wanted};
use crate::text::diagnostic::{Code, Diagnostics};
use serde_json::Value;

pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    for step in playbook.written() {
        let others = step.kind.arguments().others;
        for reference in others.into_iter().chain(step.timeout.references()) {
            if let Some(wanted) = &reference.wanted {
                fits(playbook, step, reference, wanted, all);
            }
        }
    }
}

fn fits(
    playbook: &Playbook,
    step: &Step,
    reference: &Reference,
    wanted: &Wanted,
    all: &mut Diagnostics,
) {
    let [root, name] = &reference.path[..] else {
        return;
    };
    let why = match root.as_str() {
        "inputs" => playbook
            .inputs
            .iter()
            .find(|input| input.name == *name)
            .and_then(|input| of_input(input, wanted)),
        "vars" => step
            .vars
            .get(reference)
            .or_else(|| of_playbook(playbook, name))
            .and_then(of_data)
            .filter(|text| !wanted.accepts(text))
            .map(|text| format!("`vars.{name}` is `{text}`")),
        _ => None,
    };
    if let Some(why) = why {
        let message = format!("expected {}, and {why}", wanted.expected());
        all.error(Code::BadValue, reference.span, message);
    }
}

fn of_playbook<'p>(playbook: &'p Playbook, name: &str) -> Option<&'p Data> {
    let mut vars = playbook.vars.iter();
    vars.find(|(key, _)| key.text == *name)
        .map(|(_, data)| data)
}

/// Why no value, or not its own default, will do.
fn of_input(input: &Input, wanted: &Wanted) -> Option<String> {
    let name = &input.name;
    // Text may be anything that whoever runs the playbook types.
    let possible = match samples(input.kind) {
        None => true,
        Some(samples) => samples.iter().any(|sample| wanted.accepts(sample)),
    };
    if !possible {
        let word = InputType::CHOICES
            .iter()
            .find(|(_, kind)| *kind == input.kind)
            .map_or("", |(word, _)| word);
        return Some(format!("`inputs.{name}` is of type {word}"));
    }
    let default = input.default.iter().map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    default
        .chain(input.choices.iter().cloned())
        .find(|text| !wanted.accepts(text))
        .map(|text| format!("`inputs.{name}` may be `{text}`"))
}

/// Values of a type, such that some are taken wherever the type as such is; none for text.
const fn samples(kind: InputType) -> Option<&'static [&'static str]> {
    match kind {
        InputType::Int => Some(&["1", "5"]),
        InputType::Bool => Some(&["true"]),
        InputType::Duration => Some(&["90s"]),
        InputType::Size => Some(&["10MiB"]),
        InputType::List => Some(&[]),
        InputType::String | InputType::Path => None,
    }
}

/// A value that is known before anything is rendered.
fn of_data(data: &Data) -> Option<String> {
    match data {
        Data::Int(number) => Some(number.to_string()),
        Data::Text(template) => template.as_literal().map(str::to_owned),
        _ => None,
    }
}
