//! Removes a scheduled task, after its XML is in the bag; the XML can bring it back.
//!
//! ```yaml
//! name: The implant's task
//! remove_task: '\Microsoft\Windows\UpdateOrchestrator\Sync'
//! ```

use super::guard::Waiver;
use super::{Arguments, Built, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Fields, Template, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "remove_task",
    summary: "remove a scheduled task",
    permissions: &[Permission::Delete, Permission::Exec],
    effect: Effect::Converge,
    os: &[Os::Windows],
    commands: &["get file", "create process"],
    results: &[],
    source: include_str!("remove_task.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<RemoveTask>,
};

/// Which task to remove.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("path"))]
pub struct RemoveTask {
    /// The task as the scheduler names it, such as `\Folder\Task`.
    pub path: Template,
    /// Its XML is kept first, unless this says why not.
    pub evidence: Option<Waiver>,
}

impl RemoveTask {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "path", all);
        let path = fields.required("path");
        let evidence = fields.optional("evidence");
        fields.finish();
        Some(Self {
            path: path?,
            evidence,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments::costing(2, 1).with("path", [&self.path])
    }
}
