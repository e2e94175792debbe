//! Stops and removes a Windows service, after its key and its binary are in the bag; proof is that both
//! the service and its process are gone.
//!
//! `image_sha256` is the guard: a service whose binary has another hash is left alone.
//!
//! ```yaml
//! name: The implant's service
//! remove_service:
//!   name: WinDefendUpdate
//!   image_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! ```

use super::guard::{Guarded, Sha256, Waiver, guarded};
use super::{Arguments, Built, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Field, Fields, Template, Word, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "remove_service",
    summary: "stop and remove a service",
    permissions: &[Permission::Delete, Permission::Exec],
    effect: Effect::Converge,
    os: &[Os::Windows],
    commands: &["reg enum key", "get file", "create process"],
    results: &[],
    source: include_str!("remove_service.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<RemoveService>,
};

/// Which service to remove, and what must hold before.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("anyOf" = [{"required": ["image_sha256"]}, {"required": ["unguarded"]}]),
    transform = short_form("name")
)]
pub struct RemoveService {
    /// The service's name, not the one that people are shown.
    pub name: Template,
    /// The hash that the service's binary must have right before; one with another is left alone.
    pub image_sha256: Option<Field<Sha256>>,
    /// `true` removes whatever service has that name.
    #[schemars(with = "Option<Word<Guarded>>")]
    pub unguarded: Guarded,
    /// Its key and binary are kept first, unless this says why not.
    pub evidence: Option<Waiver>,
}

impl RemoveService {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "name", all);
        let name = fields.required("name");
        let image_sha256 = fields.optional("image_sha256");
        let unguarded = fields.or("unguarded", Guarded::Yes);
        let evidence = fields.optional("evidence");
        guarded(&mut fields, SPEC.key, "image_sha256", unguarded);
        fields.finish();
        Some(Self {
            name: name?,
            image_sha256,
            unguarded,
            evidence,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments {
            others: self
                .image_sha256
                .iter()
                .flat_map(Field::references)
                .collect(),
            ..Arguments::costing(3, 1).with("name", [&self.name])
        }
    }
}
