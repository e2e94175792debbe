//! Deletes a registry key, after its values are in the bag.
//!
//! A key with sub keys is left alone, and the step fails, unless `recursive: true`, which needs
//! `unguarded: true`.
//!
//! ```yaml
//! name: The implant's own key
//! reg_delete_key:
//!   key: 'HKLM\SOFTWARE\Implant'
//!   recursive: true
//!   unguarded: true
//! ```

use super::guard::{Absent, Guarded, Waiver, recursive};
use super::{Arguments, Built, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Fields, Template, Word, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "reg_delete_key",
    summary: "delete a registry key",
    permissions: &[Permission::Delete],
    effect: Effect::Converge,
    os: &[Os::Windows],
    commands: &["reg enum key", "reg delete key"],
    results: &[ResultField::new(
        "found",
        Shape::Flag,
        "whether there was anything to delete",
    )],
    source: include_str!("reg_delete_key.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<RegDeleteKey>,
};

/// Which key to delete.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("key"))]
pub struct RegDeleteKey {
    /// The key, such as `HKLM\SOFTWARE\Implant`.
    pub key: Template,
    /// Whether its sub keys go with it; needs `unguarded`.
    #[schemars(extend("default" = false))]
    pub recursive: bool,
    /// `true` is needed for `recursive`, because no guard covers what lies below.
    #[schemars(with = "Word<Guarded>", extend("default" = false))]
    pub unguarded: Guarded,
    /// What a key that is gone already means for the step.
    #[schemars(with = "Word<Absent>", extend("default" = "ok"))]
    pub if_missing: Absent,
    /// Its values are kept first, unless this says why not.
    pub evidence: Option<Waiver>,
}

impl RegDeleteKey {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "key", all);
        let key = fields.required("key");
        let whole_tree = fields.or("recursive", false);
        let unguarded = fields.or("unguarded", Guarded::Yes);
        let if_missing = fields.or("if_missing", Absent::Ok);
        let evidence = fields.optional("evidence");
        recursive(&mut fields, whole_tree, unguarded);
        fields.finish();
        Some(Self {
            key: key?,
            recursive: whole_tree,
            unguarded,
            if_missing,
            evidence,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments::costing(2, 0).with("key", [&self.key])
    }
}
