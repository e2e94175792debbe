//! Isolates the device from the network, but for its sensor. Needs no session, and offline devices are
//! marked too.
//!
//! `wait` is how long to look for the proof; 0 leaves the proof for later. `quarantine` is another word
//! for it.
//!
//! ```yaml
//! name: Off the network
//! isolate: {reason: ransom note found}
//! ```

use super::{Arguments, Built, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Field, Fields, Template, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::duration::Duration;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "isolate",
    summary: "isolate the device from the network",
    permissions: &[Permission::Isolate],
    effect: Effect::Converge,
    os: &Os::NAMED,
    commands: &[],
    results: &[ResultField::new(
        "found",
        Shape::Flag,
        "whether it is proven",
    )],
    source: include_str!("isolate.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<Isolation>,
};

/// The cloud's own word, which fingers know.
pub(super) const QUARANTINE: Spec = Spec {
    key: "quarantine",
    summary: "another word for `isolate`",
    ..SPEC
};

/// What `isolate` and `release` take.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("type" = ["object", "null"]),
    transform = short_form("wait")
)]
pub struct Isolation {
    /// How long to look for the proof; 0 proves it later.
    #[schemars(extend("default" = "5m"))]
    pub wait: Field<Duration>,
    /// Why, for the console and for reports.
    pub reason: Option<Template>,
}

impl Isolation {
    pub(super) fn read(node: &Node, what: &'static str, all: &mut Diagnostics) -> Self {
        let mut fields = Fields::with_short_form(node, what, "wait", all);
        let step = Self {
            wait: fields.or("wait", Field::Literal(Duration::from_secs(300))),
            reason: fields.optional("reason"),
        };
        fields.finish();
        step
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments {
            others: self.wait.references().collect(),
            ..Arguments::default().with("reason", &self.reason)
        }
    }
}
