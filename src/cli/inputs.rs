//! Values for a playbook's inputs: from the environment, over them a file's, over them the command line's.
//!
//! Nothing that is wrong with a secret is told with its value; and of a file that may hold one, nothing is
//! shown.

use super::Failure;
use super::exit::Exit;
use super::load;
use super::options::Scope;
use super::output::Output;
use crate::playbook::Playbook;
use crate::playbook::input::{self, Given, Input, take_secrets};
use crate::text::diagnostic::Diagnostics;
use crate::text::escape::Escaped;
use crate::text::source::Source;
use crate::text::words::List;
use crate::text::yaml;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

type GivenInputs = BTreeMap<String, Given>;

/// Every input with its value. Secrets are in it; whoever talks or logs knows them from here on.
pub(super) fn resolve(
    playbook: &Playbook,
    scope: &Scope,
    output: &Output,
) -> Result<Map<String, Value>, Failure> {
    let given = given(playbook, scope, output)?;
    finished(playbook, &given)
}

/// The inputs of a saved plan, whose secrets are given again.
pub(super) fn again(
    playbook: &Playbook,
    saved: &Map<String, Value>,
    scope: &Scope,
    output: &Output,
) -> Result<Map<String, Value>, Failure> {
    let secret: Vec<&Input> = playbook.inputs.iter().filter(|one| one.secret).collect();
    let mut given = given(playbook, scope, output)?;
    // The environment holds what it holds; what was typed for this run is taken by its word.
    let typed = typed(playbook, scope)?.into_keys();
    let file = scope.inputs.as_deref();
    let filed = file
        .map(|path| file_of(path, playbook, output))
        .transpose()?;
    for name in typed.chain(filed.unwrap_or_default().into_keys()) {
        if !secret.iter().any(|input| input.name == name) {
            let message = format!(
                "input `{}`: the plan has its inputs, and takes only its secrets again",
                Escaped(&name)
            );
            return Err(Failure::new(Exit::Usage, message)
                .hint("leave it out; for other inputs, make another plan or another run"));
        }
    }
    let mut missing = Vec::new();
    for input in &secret {
        let was_given = saved.get(&input.name).is_some_and(|value| !value.is_null());
        match (was_given, given.contains_key(&input.name)) {
            (true, false) => missing.push(input.name.as_str()),
            // The plan was approved without it.
            (false, true) => _ = given.remove(&input.name),
            _ => {}
        }
    }
    if !missing.is_empty() {
        let message = format!(
            "the plan was made with the secret {}, which no plan holds",
            List::and(&missing)
        );
        let ways: Vec<String> = missing
            .iter()
            .map(|name| format!("SORTIE_INPUT_{}", name.to_ascii_uppercase()))
            .collect();
        return Err(Failure::new(Exit::Usage, message).hint(format!(
            "give it again with {}, or in a file with --inputs",
            List::and(&ways)
        )));
    }
    given.retain(|name, _| secret.iter().any(|input| input.name == *name));
    let asked = Playbook {
        inputs: secret.into_iter().cloned().collect(),
        ..playbook.clone()
    };
    let mut inputs = saved.clone();
    inputs.extend(finished(&asked, &given)?);
    Ok(inputs)
}

fn finished(playbook: &Playbook, given: &GivenInputs) -> Result<Map<String, Value>, Failure> {
    let inputs = input::resolve(&playbook.inputs, given).map_err(|errors| {
        let lines: Vec<String> = errors
            .iter()
            .map(|error| Escaped(&error.to_string()).to_string())
            .collect();
        Failure::new(Exit::Usage, lines.join("\nerror: "))
    })?;
    let secrets = take_secrets(&playbook.inputs, &mut inputs.clone());
    let used = playbook.source.more().map(|file| &file.text);
    let texts: Vec<&String> = std::iter::once(&playbook.source.text).chain(used).collect();
    for (name, value) in secrets.values() {
        if texts.iter().any(|text| text.contains(value.expose())) {
            let message = format!(
                "input `{name}`: its value stands in the playbook itself, or in one that it uses, which are kept and shown as they are"
            );
            return Err(Failure::new(Exit::Usage, message)
                .hint("use a value that is no word of a playbook"));
        }
    }
    Output::hide(&secrets);
    Ok(inputs)
}

fn given(playbook: &Playbook, scope: &Scope, output: &Output) -> Result<GivenInputs, Failure> {
    let mut given = BTreeMap::new();
    for input in &playbook.inputs {
        if let Ok(text) = std::env::var(variable(&input.name)) {
            given.insert(input.name.clone(), Given::Text(text));
        }
    }
    if let Some(path) = &scope.inputs {
        given.extend(file_of(path, playbook, output)?);
    }
    for (name, value) in typed(playbook, scope)? {
        if playbook
            .inputs
            .iter()
            .any(|input| input.secret && input.name == name)
        {
            Output::say(&format!(
                "warning: the secret `{name}` stands in the process list and in the shell's history; give it with {}, or in a file with --inputs",
                variable(&name)
            ));
        }
        given.insert(name, Given::Text(value));
    }
    Ok(given)
}

fn has_secrets(playbook: &Playbook) -> bool {
    playbook.inputs.iter().any(|input| input.secret)
}

fn variable(name: &str) -> String {
    format!("SORTIE_INPUT_{}", name.to_ascii_uppercase())
}

/// What stands behind `-e`. A word without `=` may be a value that nobody may see.
fn typed(playbook: &Playbook, scope: &Scope) -> Result<BTreeMap<String, String>, Failure> {
    let pairs = scope.input.iter().map(|pair| {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            let shown = if has_secrets(playbook) {
                String::new()
            } else {
                format!(" {}", Escaped(pair))
            };
            Failure::new(Exit::Usage, format!("-e{shown}: expected NAME=VALUE"))
        })?;
        Ok((name.trim().to_owned(), value.to_owned()))
    });
    pairs.collect()
}

fn file_of(path: &Path, playbook: &Playbook, output: &Output) -> Result<GivenInputs, Failure> {
    let bytes = load::read(path)?;
    let name = path.display().to_string();
    let mut all = Diagnostics::new();
    let (source, node) = yaml::load(name.clone(), &bytes, &mut all);
    if all.has_errors() {
        return Err(unreadable(all, &source, playbook, output));
    }
    let Some(entries) = node.as_ref().and_then(|node| node.as_map()) else {
        let message = format!(
            "{}: expected a map from input names to values",
            Escaped(&name)
        );
        return Err(Failure::new(Exit::Usage, message));
    };
    Ok(entries
        .iter()
        .map(|(key, node)| (key.text.clone(), Given::Node(node.clone())))
        .collect())
}

fn unreadable(all: Diagnostics, source: &Source, playbook: &Playbook, output: &Output) -> Failure {
    let name = Escaped(&source.name).to_string();
    let message = format!("{name}: not readable as inputs");
    if has_secrets(playbook) {
        let lines = all.iter().map(|one| source.place(one.span.start).line);
        let line = lines.min().unwrap_or(1);
        return Failure::new(Exit::Usage, format!("{message}, at line {line}"))
            .hint("the line is not shown, because the file may hold a secret");
    }
    load::show(&all.into_vec(), source, output);
    Failure::new(Exit::Usage, message)
}
