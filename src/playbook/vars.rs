//! Variables of a step or a block: derived for the step, seen by nothing else.
//!
//! They hide the playbook's variables of the same name. Those of a block go over to its steps, as far as
//! a step looks at them, so that no step derives what it does not need.

use super::references::of_action;
use super::{Block, Playbook, Step, syntax};
use crate::template::{Data, Expr, Fields, Reference, Scope, TemplateError};
use crate::text::source::Span;
use crate::text::yaml::Key;
use serde_json::Map;
use std::collections::BTreeSet;

/// In the order in which they are derived; a later one sees the earlier.
#[derive(Debug, Clone, Default)]
pub struct Vars(Vec<(Key, Data)>);

impl Vars {
    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self(syntax::named(fields, "vars"))
    }

    /// These, and those of something within.
    pub(super) fn and(&self, inner: &Self) -> Self {
        Self([&self.0[..], &inner.0[..]].concat())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each with those that it sees.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = (&Data, &[(Key, Data)])> {
        let entries = self.0.iter().enumerate();
        entries.map(|(at, (_, data))| (data, &self.0[..at]))
    }

    pub(super) fn as_slice(&self) -> &[(Key, Data)] {
        &self.0
    }

    /// What a reference means: the last of that name.
    pub(super) fn get(&self, reference: &Reference) -> Option<&Data> {
        find(&self.0, reference).map(|(_, data)| data)
    }

    /// Without those that nothing looks at; from `keep` on all stay.
    fn needed<'r>(&self, keep: usize, by: impl Iterator<Item = &'r Reference>) -> Self {
        let mut wanted: BTreeSet<Means<'_>> = by.map(meant).collect();
        let mut needed = Vec::new();
        for (at, entry) in self.0.iter().enumerate().rev() {
            let (key, data) = entry;
            if at >= keep || wanted.contains(&Means::All) || wanted.contains(&Means::One(&key.text))
            {
                wanted.extend(data.references().map(meant));
                needed.push(entry.clone());
            }
        }
        needed.reverse();
        Self(needed)
    }

    /// Those that the condition of a block looks at.
    pub(super) fn for_condition(&self, when: Option<&Expr>) -> Self {
        self.needed(self.0.len(), when.into_iter().flat_map(Expr::references))
    }

    /// The scope with these in it.
    pub fn enter(&self, scope: &Scope) -> Result<Scope, TemplateError> {
        self.derive(scope, |_| true)
    }

    fn derive(
        &self,
        scope: &Scope,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Scope, TemplateError> {
        let mut scope = scope.clone();
        for (at, (key, data)) in self.0.iter().enumerate() {
            if wanted(at) {
                let value = data.json(&scope)?;
                scope.extend_json("vars", &Map::from_iter([(key.text.clone(), value)]));
            }
        }
        Ok(scope)
    }
}

/// What a reference is to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Means<'r> {
    /// This variable.
    One(&'r str),
    /// All of them.
    All,
    SomethingElse,
}

fn meant(reference: &Reference) -> Means<'_> {
    match (reference.root(), reference.path.get(1)) {
        ("vars", Some(name)) => Means::One(name),
        ("vars", None) => Means::All,
        _ => Means::SomethingElse,
    }
}

/// Where the variable is declared that a reference means.
pub(super) fn find<'v>(vars: &'v [(Key, Data)], reference: &Reference) -> Option<&'v (Key, Data)> {
    let Means::One(name) = meant(reference) else {
        return None;
    };
    vars.iter().rfind(|(key, _)| key.text == name)
}

impl Step {
    /// Gives it its own variables, and of those around it the ones that it looks at.
    pub(super) fn take_vars(&mut self, around: &Vars, own: &Vars) {
        let until = self.retry.until.iter().flat_map(Expr::references);
        let used = of_action(self).into_iter().chain(until);
        let vars = around.and(own).needed(around.0.len(), used);
        self.vars = vars;
    }

    /// The scope that the step runs in; none where its condition does not hold.
    ///
    /// A condition that does not look at the step's own variables is asked before they are derived, so
    /// that it can keep them from failing.
    pub fn enter(&self, scope: &Scope) -> Result<Option<Scope>, TemplateError> {
        let Some(when) = &self.when else {
            return self.vars.enter(scope).map(Some);
        };
        let own = |reference: &Reference| {
            let whole = meant(reference) == Means::All;
            whole || self.vars.get(reference).is_some()
        };
        if when.references().any(own) {
            let inner = self.vars.enter(scope)?;
            return Ok(when.test(&inner)?.then_some(inner));
        }
        if !when.test(scope)? {
            return Ok(None);
        }
        self.vars.enter(scope).map(Some)
    }
}

impl Block {
    /// All that its condition refers to outside of the block.
    pub(super) fn references(&self) -> Vec<&Reference> {
        let vars = self
            .when_vars
            .as_slice()
            .iter()
            .flat_map(|(_, data)| data.references());
        let condition = self.when.iter().flat_map(Expr::references);
        condition
            .chain(vars)
            .filter(|reference| self.when_vars.get(reference).is_none())
            .collect()
    }
}

/// What of a step is known before its session.
pub struct Known<'s> {
    step: &'s Step,
    /// Whether what stands around the step is.
    outer: &'s dyn Fn(&Reference) -> bool,
    /// For each of the step's variables.
    vars: Vec<bool>,
}

impl<'s> Known<'s> {
    pub fn of(step: &'s Step, outer: &'s dyn Fn(&Reference) -> bool) -> Self {
        let mut known = Self {
            step,
            outer,
            vars: Vec::new(),
        };
        for (data, _) in step.vars.in_turn() {
            let is_known = known.covers(data.references());
            known.vars.push(is_known);
        }
        known
    }

    /// Whether what looks at these needs nothing else.
    pub fn covers<'r>(&self, mut references: impl Iterator<Item = &'r Reference>) -> bool {
        references.all(|reference| match meant(reference) {
            Means::SomethingElse => (self.outer)(reference),
            Means::All => (self.outer)(reference) && self.vars.iter().all(|known| *known),
            Means::One(name) => {
                let vars = self.step.vars.as_slice().iter().zip(&self.vars);
                let mut same = vars.rev().filter(|((key, _), _)| key.text == name);
                same.next()
                    .map_or_else(|| (self.outer)(reference), |(_, known)| *known)
            }
        })
    }

    /// The scope of a device with the step's variables that are known.
    pub fn enter(&self, scope: &Scope) -> Result<Scope, TemplateError> {
        self.step.vars.derive(scope, |at| self.vars[at])
    }
}

/// Where variables of steps and blocks are declared, with their names.
pub(super) fn declared(playbook: &Playbook) -> BTreeSet<(Span, &str)> {
    let steps = playbook.written().map(|step| &step.vars);
    let blocks = playbook.blocks.iter().map(|block| &block.vars);
    let all = steps.chain(blocks).flat_map(Vars::as_slice);
    all.map(|(key, _)| (key.span, key.text.as_str())).collect()
}
