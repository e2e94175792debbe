//! Creates a directory on the endpoint, with those above it; one that is there already is as good.
//!
//! ```yaml
//! name: Room for the tool
//! create_directory: 'C:\ProgramData\Triage\out'
//! ```

use super::{Arguments, Built, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Fields, Template, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "create_directory",
    summary: "create a directory",
    permissions: &[Permission::Write],
    effect: Effect::Converge,
    os: &Os::NAMED,
    commands: &["create directory"],
    results: &[],
    source: include_str!("create_directory.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<CreateDirectory>,
};

/// Which directory to create.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("path"))]
pub struct CreateDirectory {
    /// The directory on the endpoint.
    pub path: Template,
    /// Whether missing directories above it are created too.
    #[schemars(extend("default" = true))]
    pub parents: bool,
}

impl CreateDirectory {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "path", all);
        let path = fields.required("path");
        let parents = fields.or("parents", true);
        fields.finish();
        Some(Self {
            path: path?,
            parents,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments::costing(1, 0).with("path", [&self.path])
    }
}
