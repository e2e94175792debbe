//! Carries out the steps of another playbook, as a function with a scope of its own.
//!
//! `playbook` is the path of its file, relative to the file that this stands in, with `/` on every system. It
//! is literal, and never leads out of the folder that playbooks are used from: the nearest folder above the
//! playbook that is run which is called `playbooks`, or, without one, the playbook's own folder.
//!
//! Its steps see their own `inputs`, `vars` and results, `device` and `run`, and nothing of the playbook that
//! uses them. `with` gives the inputs; the others have their defaults. Its `defaults` hold for its steps, its
//! `always` runs when they have ended, and its `permissions` are a ceiling below that of the playbook that uses
//! it. Its `targets` and its `run` count for nothing here.
//!
//! `when`, `os` and `tags` are those of all its steps. `on_error` says what a failure among them, after what
//! they say themselves, means for the rest: with `continue` the steps after this one run. `register` keeps
//! its `outputs` by their names, and `status`, which is `done`, `failed`, `unknown` or `skipped`; one that was
//! begun when the run was stopped has `failed`. An output that has no value is null.
//!
//! A step of it has the id of this one before its own: `sweep.processes`. Without a `name`, this one is called
//! as the file is. Playbooks can use others that use
//! others, 16 at most, and with 5,000 steps in all.
//!
//! ```yaml
//! name: Sweep
//! use: {playbook: ../any/process-sweep.yaml, with: {pattern: '*mimikatz*'}}
//! ```

use super::{Arguments, Built, Spec};
use crate::model::device::Os;
use crate::model::effect::Effect;
use crate::template::{Data, Fields, FromNode, Named, Template, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::source::Span;
use crate::text::yaml::{Key, Node};
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "use",
    summary: "carry out the steps of another playbook",
    permissions: &[],
    effect: Effect::Read,
    os: &Os::NAMED,
    commands: &[],
    results: &[],
    source: include_str!("use.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<Use>,
};

/// Which playbook, and what for.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("playbook"))]
pub struct Use {
    /// The path of its file, relative to this one, such as `../any/process-sweep.yaml`. It is literal.
    pub playbook: String,
    #[schemars(skip)]
    pub playbook_span: Span,
    /// Values for its inputs, by their names.
    #[schemars(with = "Named<Data>", extend("default" = {}))]
    pub with: Vec<(Key, Passed)>,
    /// The names of its outputs, once the file was read.
    #[schemars(skip)]
    pub outputs: Option<Vec<String>>,
    /// The names of its inputs that are secret, likewise.
    #[schemars(skip)]
    pub secret: Option<Vec<String>>,
}

/// A value for an input.
#[derive(Debug, Clone)]
pub enum Passed {
    /// As it was written, so that `1.10` stays a version.
    Fixed(Node),
    Rendered(Data),
}

impl FromNode for Passed {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let data = Data::from_node(node, all)?;
        let is_fixed = data.templates().into_iter().all(Template::is_literal);
        Some(if is_fixed {
            Self::Fixed(node.clone())
        } else {
            Self::Rendered(data)
        })
    }
}

impl Use {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "playbook", all).hints(&[
            ("file", "the path is called `playbook`"),
            ("inputs", "values for its inputs are called `with`"),
            ("vars", "values for its inputs are called `with`"),
        ]);
        let playbook = fields.required("playbook");
        let playbook_span = fields.take("playbook").map_or(node.span, |node| node.span);
        let with = fields.map("with").unwrap_or_default();
        fields.finish();
        Some(Self {
            playbook: playbook?,
            playbook_span,
            with,
            outputs: None,
            secret: None,
        })
    }

    /// The name of the file without folder and suffix.
    pub(super) fn file_stem(&self) -> &str {
        let file = super::base_name(&self.playbook);
        file.split_once('.').map_or(file, |(stem, _)| stem)
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let rendered = self.with.iter().filter_map(|(_, passed)| match passed {
            Passed::Fixed(_) => None,
            Passed::Rendered(data) => Some(data),
        });
        Arguments::default().with("with", rendered.flat_map(Data::templates))
    }
}
