//! What a playbook does with its secrets, as far as that decides whether they stay out of sight.
//!
//! At run time a secret is recognised by its text, escaped or quoted or in base64. So it may be passed on,
//! joined to other text, quoted for a command line and asked about; whatever would make another text of it
//! is refused. That goes for all that is made of it too: variables, and `item` over a list that holds it.
//! What an endpoint answers is an answer, and no part of this.

use crate::playbook::modifier::ForEach;
use crate::playbook::vars::Vars;
use crate::playbook::{Playbook, Step};
use crate::step::{Arguments, Passed, StepKind, Use};
use crate::template::{Data, Expr, Reference, Template};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::escape::Escaped;
use std::collections::BTreeSet;

pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    let secret = playbook.inputs.iter().filter(|input| input.secret);
    let mut walk = Walk {
        holders: secret
            .map(|input| ("inputs".to_owned(), input.name.clone()))
            .collect(),
        item: Holds::Nothing,
        all,
    };
    let uses = |step: &Step| matches!(&step.kind, StepKind::Use(call) if call.secret.as_ref().is_some_and(|secret| !secret.is_empty()));
    if walk.holders.is_empty() && !playbook.steps.iter().any(uses) {
        return;
    }
    for (key, data) in &playbook.vars {
        if walk.intact(data.references()) == Holds::Secret {
            walk.holders.insert(("vars".to_owned(), key.text.clone()));
        }
    }
    for block in &playbook.blocks {
        walk.within(&block.vars, |_| {});
        // With those of the blocks around it.
        walk.within(&block.when_vars, |walk| {
            walk.intact(block.when.iter().flat_map(Expr::references));
        });
    }
    for step in playbook.written() {
        walk.step(step);
    }
    for (_, template) in &playbook.outputs {
        walk.intact(template.references());
    }
}

/// Whether a secret is part of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    Secret,
}

struct Walk<'d> {
    /// Names whose value holds a secret: where they stand, and what they are called there. An empty name
    /// means all that stands there.
    holders: BTreeSet<(String, String)>,
    /// What the elements of the step's list hold.
    item: Holds,
    all: &'d mut Diagnostics,
}

impl Walk<'_> {
    fn step(&mut self, step: &Step) {
        self.item = match &step.for_each {
            None => Holds::Nothing,
            Some(ForEach::List(items)) => self.intact(items.iter().flat_map(Data::references)),
            Some(ForEach::Expr(expression)) => self.intact(expression.references()),
        };
        self.within(&step.vars, |walk| walk.action(step));
        self.item = Holds::Nothing;
    }

    /// What sees these variables.
    fn within(&mut self, vars: &Vars, walk: impl FnOnce(&mut Self)) {
        let outside = self.holders.clone();
        for (key, data) in vars.as_slice() {
            let holder = ("vars".to_owned(), key.text.clone());
            if self.intact(data.references()) == Holds::Secret {
                self.holders.insert(holder);
            }
        }
        walk(self);
        for (key, _) in vars.as_slice() {
            let holder = ("vars".to_owned(), key.text.clone());
            if !outside.contains(&holder) {
                self.holders.remove(&holder);
            }
        }
    }

    fn action(&mut self, step: &Step) {
        self.intact(step.when.iter().flat_map(Expr::references));
        self.text_only(step.timeout.references());
        let Arguments {
            templates,
            expressions,
            others,
            ..
        } = step.kind.arguments();
        self.intact(
            templates
                .into_iter()
                .flat_map(|(_, one)| Template::references(one)),
        );
        if let StepKind::Use(call) = &step.kind {
            self.passed_on(call, step.register.as_ref());
        }
        self.intact(expressions.into_iter().flat_map(Expr::references));
        self.text_only(others);
        if let StepKind::Set(set) = &step.kind {
            for (name, data) in &set.values {
                if data
                    .references()
                    .any(|one| self.holds(one) == Holds::Secret)
                {
                    self.holders.insert(("vars".to_owned(), name.clone()));
                    let results = step.register.iter().map(String::as_str).chain(["result"]);
                    let results = results.map(|result| (result.to_owned(), String::new()));
                    self.holders.extend(results);
                }
            }
        }
        self.intact(step.retry.until.iter().flat_map(Expr::references));
        self.holders.remove(&("result".to_owned(), String::new()));
    }

    /// A secret stays one in the playbook that it is given to, and nothing becomes one on the way.
    fn passed_on(&mut self, call: &Use, register: Option<&String>) {
        let Some(secret) = &call.secret else {
            return;
        };
        for (key, passed) in &call.with {
            let holds = match passed {
                Passed::Fixed(_) => Holds::Nothing,
                Passed::Rendered(data) => {
                    let mut references = data.references();
                    if references.any(|one| self.holds(one) == Holds::Secret) {
                        Holds::Secret
                    } else {
                        Holds::Nothing
                    }
                }
            };
            let name = Escaped(&key.text);
            let (message, help) = match (holds, secret.contains(&key.text)) {
                (Holds::Secret, false) => (
                    format!(
                        "this holds a secret, and the input `{name}` of the used playbook is none"
                    ),
                    "declare it there with secret: true",
                ),
                (Holds::Nothing, true) => (
                    format!("the input `{name}` of the used playbook is secret, and this is not"),
                    "give it an input of this playbook that has secret: true",
                ),
                _ => continue,
            };
            self.all.error(Code::Secret, key.span, message).help(help);
        }
        // Any of its outputs may hold what it was given.
        let result = register.filter(|_| !secret.is_empty());
        self.holders
            .extend(result.map(|name| (name.clone(), String::new())));
    }

    /// Complains of references that would change a secret; says whether there is one among them.
    fn intact<'r>(&mut self, references: impl IntoIterator<Item = &'r Reference>) -> Holds {
        let mut holds = Holds::Nothing;
        for reference in references {
            if self.holds(reference) == Holds::Nothing {
                continue;
            }
            holds = Holds::Secret;
            if !reference.intact {
                let name = reference.path.join(".");
                let message = format!(
                    "`{name}` holds a secret, and what this makes of it could not be recognised and kept out of sight"
                );
                self.all.error(Code::Secret, reference.span, message).help(
                    "use it as it is, join it with ~, quote it with ps_quote, sh_quote or cmd_quote, or compare it",
                );
            }
        }
        holds
    }

    /// Numbers, sizes and words are shown and counted with.
    fn text_only<'r>(&mut self, references: impl IntoIterator<Item = &'r Reference>) {
        for reference in references {
            if self.holds(reference) == Holds::Secret {
                let name = reference.path.join(".");
                let message = format!("`{name}` holds a secret, and this takes no text");
                self.all
                    .error(Code::Secret, reference.span, message)
                    .help("give it by an input that is no secret");
            }
        }
    }

    fn holds(&self, reference: &Reference) -> Holds {
        let root = reference.root();
        if root == "item" {
            return self.item;
        }
        let whole = |name: &str| self.holders.contains(&(root.to_owned(), name.to_owned()));
        let found = match reference.path.get(1) {
            Some(field) => whole(field) || whole(""),
            // All that stands there, or one of it that is not named.
            None => self.holders.iter().any(|(place, _)| place == root),
        };
        if found { Holds::Secret } else { Holds::Nothing }
    }
}
