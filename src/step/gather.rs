//! Gathers what persistence and activity leave behind with one read-only script of ours per system: a
//! dozen requests in place of a thousand. The rows are those of the native steps.
//!
//! ```yaml
//! name: The usual places
//! gather: [run_keys, services, tasks]
//! ```

use super::{Arguments, Built, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Choice, Fields, Word, short_form};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "gather",
    summary: "gather the usual places with one script",
    permissions: &[Permission::Exec],
    effect: Effect::Read,
    os: &Os::NAMED,
    commands: &["put file", "create process", "get file", "delete file"],
    results: &[ResultField::new(
        "values",
        Shape::List,
        "the rows, each with the fields of its kind",
    )],
    source: include_str!("gather.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<Gather>,
};

/// What to gather.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("what"))]
pub struct Gather {
    /// The places to look at.
    #[schemars(with = "Vec<Word<Place>>")]
    pub what: Vec<Place>,
}

/// A place that the script knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    RunKeys,
    Services,
    Tasks,
    Netstat,
    Users,
    PsHistory,
    Autoruns,
}

impl Choice for Place {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("run_keys", Self::RunKeys),
        ("services", Self::Services),
        ("tasks", Self::Tasks),
        ("netstat", Self::Netstat),
        ("users", Self::Users),
        ("ps_history", Self::PsHistory),
        ("autoruns", Self::Autoruns),
    ];
}

impl Gather {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "what", all);
        let what: Option<Vec<Place>> = fields.required("what");
        if what.as_ref().is_some_and(Vec::is_empty) {
            let span = fields.span();
            fields
                .diagnostics()
                .error(Code::BadValue, span, "the list of places is empty")
                .help("name some, for example gather: [run_keys, tasks]");
        }
        fields.finish();
        Some(Self { what: what? })
    }

    pub(super) fn arguments() -> Arguments<'static> {
        Arguments::costing(4, 1)
    }
}
