//! What is known of a kind of step, and of a step's arguments, without running anything.

use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Expr, Field, Reference, Template};
use crate::text::size::Size;
use crate::text::words::List;
use schemars::{Schema, SchemaGenerator};
use std::fmt::Write;

/// What is known of a kind of step without its arguments.
#[derive(Debug)]
pub struct Spec {
    /// The action key in a playbook.
    pub key: &'static str,
    /// What it does, after "it will".
    pub summary: &'static str,
    /// The rights it needs in `permissions:`.
    pub permissions: &'static [Permission],
    /// Unless the arguments say otherwise.
    pub effect: Effect,
    /// The systems whose sensors know its commands.
    pub os: &'static [Os],
    /// The Live Response commands it is made of.
    pub commands: &'static [&'static str],
    /// What a registered result has, besides `status` and, under `for_each`, `results`.
    pub results: &'static [ResultField],
    /// The file that it is written in; [`Spec::manual`] is its beginning.
    pub source: &'static str,
    /// Whether this version carries it out.
    pub built: Built,
    /// What its arguments look like.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// Whether this version carries a kind of step out. What it does not carry out it understands all the
/// same: such a step is checked, and refused before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Built {
    Yes,
    NotYet,
}

/// A field of a registered result.
#[derive(Debug)]
pub struct ResultField {
    pub name: &'static str,
    pub shape: Shape,
    pub meaning: &'static str,
}

impl ResultField {
    pub(super) const fn new(name: &'static str, shape: Shape, meaning: &'static str) -> Self {
        Self {
            name,
            shape,
            meaning,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    List,
    Text,
    Number,
    Flag,
}

/// What running a step once is expected to cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    pub commands: u64,
    /// Files whose content is fetched.
    pub contents: u64,
    /// Local files that are sent.
    pub uploads: u64,
    /// The endpoint decides how much more there is.
    pub open_ended: bool,
}

/// How large each content is at most that a step fetches.
#[derive(Debug, Clone, Copy, Default)]
pub enum Ceiling<'a> {
    /// As large as it is on the endpoint.
    #[default]
    Open,
    Bytes(u64),
    /// As the author says.
    Given(&'a Field<Size>),
}

impl Spec {
    /// The manual entry, in Markdown: the documentation of the step's module.
    pub fn manual(&self) -> String {
        let lines = self
            .source
            .lines()
            .map_while(|line| line.strip_prefix("//!"));
        let lines: Vec<&str> = lines
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect();
        lines.join("\n")
    }

    /// What an editor shows for the action key.
    pub(super) fn describe(&self) -> String {
        let mut text = self.summary.to_owned();
        text[..1].make_ascii_uppercase();
        text.push('.');
        match self.permissions {
            [] => {}
            [one] => _ = write!(text, " Needs the permission `{one}`."),
            many => _ = write!(text, " Needs the permissions {}.", List::and(many)),
        }
        if self.built == Built::NotYet {
            text.push_str(" Not built yet: `check` understands it, `run` refuses it.");
        }
        if self.os != Os::NAMED {
            let _ = write!(text, " Runs on {} only.", List::and(self.os));
        }
        let results: Vec<_> = self.results.iter().map(|field| field.name).collect();
        if !results.is_empty() {
            let _ = write!(text, " Registers {}.", List::and(&results));
        }
        text
    }
}

/// A step's arguments, seen from outside.
#[derive(Debug, Default)]
pub struct Arguments<'a> {
    /// Templates by argument, for showing and for rendering ahead.
    pub templates: Vec<(&'static str, &'a Template)>,
    /// Bare expressions.
    pub expressions: Vec<&'a Expr>,
    /// References out of numbers, sizes and other typed fields.
    pub others: Vec<&'a Reference>,
    /// Names that expressions of this step know besides the scope's.
    pub row_fields: &'static [&'static str],
    pub cost: Cost,
    pub ceiling: Ceiling<'a>,
}

impl<'a> Arguments<'a> {
    pub(super) fn costing(commands: u64, contents: u64) -> Self {
        Self {
            cost: Cost {
                commands,
                contents,
                ..Cost::default()
            },
            ..Self::default()
        }
    }

    pub(super) fn with(
        mut self,
        name: &'static str,
        template: impl IntoIterator<Item = &'a Template>,
    ) -> Self {
        self.templates
            .extend(template.into_iter().map(|template| (name, template)));
        self
    }
}
