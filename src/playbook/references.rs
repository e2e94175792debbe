//! Who refers to what: every name in every template is one that exists at that point.

use super::modifier::ForEach;
use super::vars::{self, Vars};
use super::{Playbook, Step};
use crate::step::{Arguments, StepKind};
use crate::template::{Data, Expr, Reference};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::source::Span;
use crate::text::words::{List, suggest};
use crate::text::yaml::Key;
use std::collections::{BTreeMap, BTreeSet};

/// Fields of `device` that are known as soon as the device is.
pub const DEVICE_FIELDS: [&str; 11] = [
    "id",
    "name",
    "short_name",
    "fqdn",
    "os",
    "os_version",
    "policy",
    "groups",
    "ip",
    "last_seen",
    "isolated",
];
/// Fields of `device` that only its session tells.
pub const SESSION_FIELDS: [&str; 2] = ["drives", "cwd"];
/// Fields of `run`.
pub const RUN_FIELDS: [&str; 3] = ["id", "short_id", "started"];

/// Checks every reference of a playbook, and what is declared and never used.
pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    let mut walk = Walk {
        inputs: playbook
            .inputs
            .iter()
            .map(|input| input.name.as_str())
            .collect(),
        vars: BTreeSet::new(),
        results: BTreeMap::new(),
        later: playbook
            .steps
            .iter()
            .filter_map(|step| step.register.as_deref())
            .collect(),
        item: None,
        row: &[],
        local: &[],
        used: BTreeSet::new(),
        used_local: BTreeSet::new(),
        all,
    };
    for (name, data) in &playbook.vars {
        walk.references(data.references());
        walk.vars.insert(&name.text);
    }
    let mut blocks = playbook.blocks.iter();
    let mut begun = 0;
    for step in &playbook.steps {
        // A block's condition sees what was there before its first step.
        let within = step.place.block.map_or(0, |block| block + 1);
        for block in blocks.by_ref().take(within.saturating_sub(begun)) {
            walk.local(&block.when_vars);
            walk.references(block.when.iter().flat_map(Expr::references));
            walk.local = &[];
        }
        begun = begun.max(within);
        walk.step(step);
        walk.undo(step);
    }
    for (_, template) in &playbook.outputs {
        walk.references(template.references());
    }
    // Of a playbook that was not read whole nobody can say what it does not use.
    if !walk.all.has_errors() {
        walk.unused(playbook);
    }
}

struct Walk<'p, 'd> {
    inputs: BTreeSet<&'p str>,
    vars: BTreeSet<&'p str>,
    /// Results registered so far, by name.
    results: BTreeMap<&'p str, &'p StepKind>,
    /// All results that the playbook registers anywhere.
    later: BTreeSet<&'p str>,
    /// Whether `item` exists.
    item: Option<()>,
    /// Names that stand bare, as in `match`.
    row: &'static [&'static str],
    /// Variables that this step alone sees.
    local: &'p [(Key, Data)],
    used: BTreeSet<(String, String)>,
    /// Where those of steps are declared that something looks at.
    used_local: BTreeSet<Span>,
    all: &'d mut Diagnostics,
}

impl<'p> Walk<'p, '_> {
    /// Looks at variables of a step, and lets what follows see them.
    fn local(&mut self, vars: &'p Vars) {
        for (data, seen) in vars.in_turn() {
            self.local = seen;
            self.references(data.references());
        }
        self.local = vars.as_slice();
    }

    fn step(&mut self, step: &'p Step) {
        match &step.for_each {
            Some(ForEach::List(items)) => items
                .iter()
                .for_each(|item| self.references(item.references())),
            Some(ForEach::Expr(expression)) => self.references(expression.references()),
            None => {}
        }
        self.item = step.for_each.as_ref().map(|_| ());
        self.local(&step.vars);
        self.references(step.when.iter().flat_map(Expr::references));
        self.references(step.timeout.references());
        let Arguments {
            templates,
            expressions,
            others,
            row_fields,
            ..
        } = step.kind.arguments();
        self.references(
            templates
                .iter()
                .flat_map(|(_, template)| template.references()),
        );
        self.references(others);
        self.row = row_fields;
        self.references(expressions.into_iter().flat_map(Expr::references));
        self.row = &[];
        self.until(step);
        self.item = None;
        self.local = &[];
        if let StepKind::Set(set) = &step.kind {
            self.vars
                .extend(set.values.iter().map(|(name, _)| name.as_str()));
        }
        if let Some(name) = &step.register {
            self.results.insert(name, &step.kind);
        }
    }

    /// What takes a step back sees its result; nothing else sees theirs.
    fn undo(&mut self, step: &'p Step) {
        if step.undo.is_empty() {
            return;
        }
        let before = (self.vars.clone(), self.results.clone());
        for step in &step.undo {
            self.step(step);
        }
        (self.vars, self.results) = before;
    }

    /// `until` sees the result of the step that it belongs to, under the name of that and as `result`.
    fn until(&mut self, step: &'p Step) {
        let Some(until) = &step.retry.until else {
            return;
        };
        let before = self.results.clone();
        let own = step.register.as_deref().into_iter().chain(["result"]);
        self.results.extend(own.map(|name| (name, &step.kind)));
        self.references(until.references());
        self.results = before;
    }

    fn references<'r>(&mut self, references: impl IntoIterator<Item = &'r Reference>) {
        for reference in references {
            self.reference(reference);
        }
    }

    fn reference(&mut self, reference: &Reference) {
        let root = reference.root();
        let field = reference.path.get(1).map(String::as_str);
        if let Some((key, _)) = vars::find(self.local, reference) {
            self.used_local.insert(key.span);
            return;
        }
        if root == "vars" && field.is_none() {
            let all = self.local.iter().map(|(key, _)| key.span);
            self.used_local.extend(all);
        }
        self.used
            .insert((root.to_owned(), field.unwrap_or_default().to_owned()));
        if self.row.contains(&root) || reference.guarded {
            return;
        }
        match root {
            "inputs" => self.field(
                reference,
                field,
                &self.inputs.iter().copied().collect::<Vec<_>>(),
                "declare it under `inputs`",
            ),
            "vars" => self.field(
                reference,
                field,
                &self.variables(),
                "declare it under `vars`, or set it in an earlier step",
            ),
            "device" => self.field(
                reference,
                field,
                &[&DEVICE_FIELDS[..], &SESSION_FIELDS].concat(),
                "`sortie steps` has the manual",
            ),
            "run" => self.field(reference, field, &RUN_FIELDS, ""),
            "item" if self.item.is_some() => {}
            "item" => {
                self.all
                    .error(
                        Code::UndefinedVariable,
                        reference.span,
                        "`item` exists only under `for_each`",
                    )
                    .help("add for_each to the step");
            }
            _ => self.result(reference, root, field),
        }
    }

    /// The names of those that can be seen here.
    fn variables(&self) -> Vec<&'p str> {
        let local = self.local.iter().map(|(key, _)| key.text.as_str());
        local.chain(self.vars.iter().copied()).collect()
    }

    fn result(&mut self, reference: &Reference, root: &str, field: Option<&str>) {
        if let Some(kind) = self.results.get(root) {
            if let Some(known) = kind.result_names() {
                self.field(reference, field, &known, "");
            }
            return;
        }
        let message = format!("`{root}` is undefined");
        if self.later.contains(root) {
            self.all
                .error(
                    Code::RegisterBeforeUse,
                    reference.span,
                    format!("`{root}` is registered by a later step"),
                )
                .help("move this step behind the one that registers it");
            return;
        }
        let known = ["inputs", "vars", "device", "run"]
            .into_iter()
            .chain(self.results.keys().copied())
            .chain(self.row.iter().copied());
        let mut help = suggest(root, known).map(|near| format!("did you mean `{near}`?"));
        // The commonest slip is to leave out where a name is declared.
        for (place, names) in [("inputs", &self.inputs), ("vars", &self.vars)] {
            if names.contains(root) {
                help = Some(format!("did you mean `{place}.{root}`?"));
            }
        }
        self.all
            .error(Code::UndefinedVariable, reference.span, message)
            .maybe_help(help);
    }

    fn field(
        &mut self,
        reference: &Reference,
        field: Option<&str>,
        known: &[&str],
        otherwise: &str,
    ) {
        let Some(field) = field else {
            return;
        };
        if known.contains(&field) {
            return;
        }
        let message = format!("`{}.{field}` is undefined", reference.root());
        let help = match suggest(field, known.iter().copied()) {
            Some(near) => format!("did you mean `{}.{near}`?", reference.root()),
            None if !otherwise.is_empty() && known.len() > 8 => otherwise.to_owned(),
            None if !known.is_empty() => format!("`{}` has {}", reference.root(), List::and(known)),
            None => otherwise.to_owned(),
        };
        self.all
            .error(Code::UndefinedVariable, reference.span, message)
            .help(help);
    }

    fn unused(&mut self, playbook: &Playbook) {
        for input in &playbook.inputs {
            self.unless_used(
                "inputs",
                &input.name,
                input.span,
                format!("the input `{}` is never used", input.name),
            );
        }
        for (name, _) in &playbook.vars {
            self.unless_used(
                "vars",
                &name.text,
                name.span,
                format!("the variable `{}` is never used", name.text),
            );
        }
        for (span, name) in vars::declared(playbook) {
            if !self.used_local.contains(&span) {
                let message = format!("the variable `{name}` is never used");
                self.all
                    .warn(Code::UnusedVariable, span, message)
                    .help("remove it, or use it");
            }
        }
        for step in &playbook.steps {
            if let Some(name) = &step.register
                && !self.used.iter().any(|(root, _)| root == name)
            {
                let message = format!("the result `{name}` is never used");
                self.all
                    .warn(Code::UnusedVariable, step.register_span, message)
                    .help("remove `register`");
            }
        }
    }

    fn unless_used(&mut self, root: &str, name: &str, span: Span, message: String) {
        let direct = self.used.contains(&(root.to_owned(), name.to_owned()));
        // `{{ inputs }}` as a whole, or `inputs[x]`, may mean any of them.
        let whole = self.used.contains(&(root.to_owned(), String::new()));
        if !direct && !whole {
            self.all
                .warn(Code::UnusedVariable, span, message)
                .help("remove it, or use it");
        }
    }
}

/// All that a step refers to outside of itself.
pub(super) fn of_step(step: &Step) -> Vec<&Reference> {
    let vars = step
        .vars
        .as_slice()
        .iter()
        .flat_map(|(_, data)| data.references());
    let own = |root: &str| root == "result" || Some(root) == step.register.as_deref();
    let until = step.retry.until.iter().flat_map(Expr::references);
    let until = until.filter(|reference| !own(reference.root()));
    let all = of_action(step).into_iter().chain(vars).chain(until);
    let mut all: Vec<&Reference> = all.collect();
    all.retain(|reference| step.vars.get(reference).is_none());
    all
}

/// All that a step refers to but for its variables and the result that it waits for.
pub(super) fn of_action(step: &Step) -> Vec<&Reference> {
    let arguments = step.kind.arguments();
    let mut all: Vec<&Reference> = arguments.others;
    match &step.for_each {
        Some(ForEach::List(items)) => all.extend(items.iter().flat_map(Data::references)),
        Some(ForEach::Expr(expression)) => all.extend(expression.references()),
        None => {}
    }
    let expressions = arguments.expressions.into_iter().chain(&step.when);
    all.extend(expressions.flat_map(Expr::references));
    for (_, template) in arguments.templates {
        all.extend(template.references());
    }
    all.extend(step.timeout.references());
    all
}

/// Whether a template needs nothing but inputs, vars and the device's record.
pub fn is_known_before_session<'r>(references: impl Iterator<Item = &'r Reference>) -> bool {
    let mut references = references;
    references.all(
        |reference| match (reference.root(), reference.path.get(1)) {
            ("inputs" | "vars", _) => true,
            ("device", Some(field)) => !SESSION_FIELDS.contains(&field.as_str()),
            _ => false,
        },
    )
}
