//! Text that nobody has seen yet must not become part of a command line as it is.
//!
//! A file name on an endpoint is chosen by whoever may write there, and an input by whoever runs the
//! playbook; either may hold what a shell takes for an operator. Numbers, words of our own and what
//! the playbook itself says are fine. One exception: a command that is nothing but an input is what
//! an operator wants to run, and quoting it would break it.

use super::commands;
use crate::playbook::input::InputType;
use crate::playbook::modifier::ForEach;
use crate::playbook::vars::Vars;
use crate::playbook::{Playbook, Step};
use crate::step::{Passed, Shape, StepKind};
use crate::template::{Data, Reference};
use crate::text::diagnostic::{Code, Diagnostics};
use std::collections::BTreeMap;

/// Who chose a text, the least trusted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// The author, or us.
    Playbook,
    /// Whoever runs the playbook.
    Operator,
    /// The endpoint, which may be an attacker's.
    Endpoint,
}

pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    if commands(playbook).next().is_none() {
        return;
    }
    let mut names = Names::of(playbook);
    for step in playbook.written() {
        names.item = names.of_item(step);
        let outer = names.enter(&step.vars);
        if let StepKind::Exec(exec) = &step.kind
            && let Some(command) = &exec.command
        {
            let sole = command.is_one_expression();
            for reference in command.references() {
                complain(reference, names.origin(reference), sole, all);
            }
        }
        names.after(step);
        names.leave(step, outer);
    }
}

/// A command that is nothing but an input is what an operator wants to run, and no endpoint: what a used
/// playbook is given for it must not come from there.
pub(super) fn passed(playbook: &Playbook, all: &mut Diagnostics) {
    if playbook.frames.is_empty() || commands(playbook).next().is_none() {
        return;
    }
    let mut frames = vec![Names::of(playbook)];
    for step in &playbook.steps {
        // A frame comes behind the one that it is used in, and both before their steps.
        while frames.len() <= step.frame {
            let frame = &playbook.frames[frames.len() - 1];
            let caller = &mut frames[frame.caller];
            let outer = caller.enter(&frame.vars);
            let given = frame.with.iter().map(|(key, passed)| match passed {
                Passed::Fixed(_) => (key.text.as_str(), Origin::Playbook),
                Passed::Rendered(data) => (key.text.as_str(), caller.of_data(data)),
            });
            let names = Names::given(&frame.used, &given.collect());
            if let Some(outer) = outer {
                caller.vars = outer;
            }
            frames.push(names);
        }
        let names = &mut frames[step.frame];
        names.item = names.of_item(step);
        let outer = names.enter(&step.vars);
        if let StepKind::Exec(exec) = &step.kind
            && let Some(command) = &exec.command
            && let Some(frame) = playbook.frame(step.frame)
            && let Some(reference) = command
                .references()
                .find(|reference| names.origin(reference) == Origin::Endpoint)
        {
            let input = reference.path.get(1).map_or("", String::as_str);
            let given = frame.with.iter().find(|(key, _)| key.text == input);
            let span = given.map_or(frame.span, |(key, _)| key.span);
            let message = format!(
                "this comes from the endpoint, and the step `{}` takes it for a command line",
                step.id
            );
            all.error(Code::Unquoted, span, message)
                .help("give the used playbook what an operator or an author chose");
        }
        names.after(step);
        names.leave(step, outer);
    }
}

fn complain(reference: &Reference, origin: Origin, sole: bool, all: &mut Diagnostics) {
    let name = reference.path.join(".");
    let (message, help) = match origin {
        Origin::Playbook => return,
        Origin::Operator if sole => return,
        Origin::Operator => (
            format!(
                "`{name}` is given by whoever runs this, and becomes part of a command line as it is"
            ),
            "",
        ),
        Origin::Endpoint => (
            format!(
                "`{name}` comes from the endpoint, and becomes part of a command line as it is"
            ),
            "; a number is made one with | int",
        ),
    };
    all.error(Code::Unquoted, reference.span, message).help(format!(
        "quote it for what reads it: {{{{ {name} | ps_quote }}}} for PowerShell, | sh_quote for sh, | cmd_quote for cmd.exe{help}"
    ));
}

/// What is known of names at one step.
struct Names<'p> {
    inputs: BTreeMap<&'p str, Origin>,
    vars: BTreeMap<&'p str, Origin>,
    results: BTreeMap<&'p str, &'p StepKind>,
    item: Origin,
}

impl<'p> Names<'p> {
    fn of(playbook: &'p Playbook) -> Self {
        Self::given(playbook, &BTreeMap::new())
    }

    /// Of a used playbook, where some inputs are given values of these origins.
    fn given(playbook: &'p Playbook, given: &BTreeMap<&str, Origin>) -> Self {
        let inputs = playbook.inputs.iter().map(|input| {
            let free = matches!(
                input.kind,
                InputType::String | InputType::Path | InputType::List
            );
            let origin = if free && input.choices.is_empty() {
                let given = given.get(input.name.as_str()).copied();
                given.unwrap_or(Origin::Operator)
            } else {
                Origin::Playbook
            };
            (input.name.as_str(), origin)
        });
        let mut names = Self {
            inputs: inputs.collect(),
            vars: BTreeMap::new(),
            results: BTreeMap::new(),
            item: Origin::Playbook,
        };
        for (key, data) in &playbook.vars {
            let origin = names.of_data(data);
            names.vars.insert(&key.text, origin);
        }
        names
    }

    /// Shows a step its own variables; what was there before comes back.
    fn enter(&mut self, vars: &'p Vars) -> Option<BTreeMap<&'p str, Origin>> {
        let outer = (!vars.is_empty()).then(|| self.vars.clone());
        for (key, data) in vars.as_slice() {
            let origin = self.of_data(data);
            self.vars.insert(&key.text, origin);
        }
        outer
    }

    /// What the step set stays.
    fn leave(&mut self, step: &'p Step, outer: Option<BTreeMap<&'p str, Origin>>) {
        let Some(outer) = outer else {
            return;
        };
        let inner = std::mem::replace(&mut self.vars, outer);
        if let StepKind::Set(set) = &step.kind {
            for (name, _) in &set.values {
                let origin = inner.get(name.as_str()).copied();
                let former = self.vars.entry(name).or_insert(Origin::Playbook);
                *former = origin.max(Some(*former)).unwrap_or(*former);
            }
        }
    }

    fn after(&mut self, step: &'p Step) {
        if let StepKind::Set(set) = &step.kind {
            for (name, data) in &set.values {
                // The step may be skipped, and then the former value stands.
                let origin = self.of_data(data);
                let former = self.vars.entry(name).or_insert(origin);
                *former = origin.max(*former);
            }
        }
        if let Some(name) = &step.register {
            self.results.insert(name, &step.kind);
        }
    }

    fn of_item(&self, step: &Step) -> Origin {
        match &step.for_each {
            None => Origin::Playbook,
            Some(ForEach::List(items)) => self.worst(items.iter().flat_map(Data::references)),
            Some(ForEach::Expr(expression)) => self.worst(expression.references()),
        }
    }

    fn of_data(&self, data: &Data) -> Origin {
        self.worst(data.references())
    }

    fn worst<'r>(&self, references: impl Iterator<Item = &'r Reference>) -> Origin {
        references
            .map(|reference| self.origin(reference))
            .max()
            .unwrap_or(Origin::Playbook)
    }

    fn origin(&self, reference: &Reference) -> Origin {
        if !reference.verbatim {
            return Origin::Playbook;
        }
        let all = |names: &BTreeMap<&str, Origin>| names.values().max().copied();
        let field = reference.path.get(1).map(String::as_str);
        let known = match (reference.root(), field) {
            ("run", _) | ("device", Some("id" | "os" | "isolated" | "last_seen")) => {
                Some(Origin::Playbook)
            }
            ("inputs", Some(name)) => self.inputs.get(name).copied(),
            ("inputs", None) => all(&self.inputs),
            ("vars", Some(name)) => self.vars.get(name).copied(),
            ("vars", None) => all(&self.vars),
            ("item", _) => Some(self.item),
            (root, Some(field)) => self.results.get(root).map(|kind| of_result(kind, field)),
            _ => None,
        };
        known.unwrap_or(Origin::Endpoint)
    }
}

fn of_result(kind: &StepKind, field: &str) -> Origin {
    let shape = kind.spec().results.iter().find(|known| known.name == field);
    match shape.map(|known| known.shape) {
        Some(Shape::Number | Shape::Flag) => Origin::Playbook,
        None if field == "status" => Origin::Playbook,
        _ => Origin::Endpoint,
    }
}
