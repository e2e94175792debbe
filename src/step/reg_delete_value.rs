//! Deletes a registry value, after its data is in the bag.
//!
//! An empty name would mean the key's default value, and is nearly always a template that came out
//! empty; it is an error.
//!
//! ```yaml
//! name: The run value
//! reg_delete_value:
//!   key: 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run'
//!   value: Updater
//! ```

use super::guard::{Absent, Waiver};
use super::{Arguments, Built, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Fields, Template, Word};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "reg_delete_value",
    summary: "delete a registry value",
    permissions: &[Permission::Delete],
    effect: Effect::Converge,
    os: &[Os::Windows],
    commands: &["reg query value", "reg delete value"],
    results: &[ResultField::new(
        "found",
        Shape::Flag,
        "whether there was anything to delete",
    )],
    source: include_str!("reg_delete_value.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<RegDeleteValue>,
};

/// Which value to delete.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RegDeleteValue {
    /// The key that has the value.
    pub key: Template,
    /// The value's name; never empty.
    pub value: Template,
    /// What a value that is gone already means for the step.
    #[schemars(with = "Word<Absent>", extend("default" = "ok"))]
    pub if_missing: Absent,
    /// The value is kept first, unless this says why not.
    pub evidence: Option<Waiver>,
}

impl RegDeleteValue {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, SPEC.key, all);
        let key = fields.required("key");
        let value: Option<Template> = fields.required("value");
        let if_missing = fields.or("if_missing", Absent::Ok);
        let evidence = fields.optional("evidence");
        if let Some(value) = &value
            && value.is_literal()
            && value.text().is_empty()
        {
            fields
                .diagnostics()
                .error(Code::BadValue, value.span(), "`value` is empty")
                .help("name the value that is to go");
        }
        fields.finish();
        Some(Self {
            key: key?,
            value: value?,
            if_missing,
            evidence,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments::costing(2, 0)
            .with("key", [&self.key])
            .with("value", [&self.value])
    }
}
