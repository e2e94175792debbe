//! Creates a registry key; one that is there already is as good.
//!
//! ```yaml
//! name: Policy key
//! reg_create_key: 'HKLM\SOFTWARE\Policies\Example'
//! ```

use super::{Arguments, Built, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Fields, Template, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "reg_create_key",
    summary: "create a registry key",
    permissions: &[Permission::Write],
    effect: Effect::Converge,
    os: &[Os::Windows],
    commands: &["reg create key"],
    results: &[],
    source: include_str!("reg_create_key.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<RegCreateKey>,
};

/// Which key to create.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("key"))]
pub struct RegCreateKey {
    /// The key, such as `HKLM\SOFTWARE\Policies\Example`.
    pub key: Template,
}

impl RegCreateKey {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "key", all);
        let key = fields.required("key");
        fields.finish();
        Some(Self { key: key? })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments::costing(1, 0).with("key", [&self.key])
    }
}
