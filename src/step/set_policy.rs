//! Moves the device to another policy of the backend. Needs no session.
//!
//! ```yaml
//! name: Under watch
//! set_policy: Enhanced monitoring
//! ```

use super::{Arguments, Built, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Fields, Template, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "set_policy",
    summary: "move the device to another policy",
    permissions: &[Permission::Policy],
    effect: Effect::Converge,
    os: &Os::NAMED,
    commands: &[],
    results: &[],
    source: include_str!("set_policy.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<SetPolicy>,
};

/// Which policy.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("policy"))]
pub struct SetPolicy {
    /// The policy's name or number.
    pub policy: Template,
}

impl SetPolicy {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "policy", all);
        let policy = fields.required("policy");
        fields.finish();
        Some(Self { policy: policy? })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments::default().with("policy", [&self.policy])
    }
}
