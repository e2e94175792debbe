//! Fetches a program by its hash out of the backend's own store, without asking the endpoint.
//!
//! ```yaml
//! name: The dropper's binary
//! fetch_binary: {md5: 9e107d9d372bb6826bd81d3542a419d6, max_size: 64MiB}
//! ```

use super::guard::Md5;
use super::{Arguments, Built, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Field, Fields, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::size::Size;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "fetch_binary",
    summary: "fetch a program from the backend",
    permissions: &[Permission::Read],
    effect: Effect::Read,
    os: &Os::NAMED,
    commands: &[],
    results: &[
        ResultField::new(
            "files",
            Shape::List,
            "the file, with `path`, `size`, `sha256`, `stored_path`",
        ),
        ResultField::new("found", Shape::Flag, "whether the store has it"),
        ResultField::new("sha256", Shape::Text, "its hash"),
    ],
    source: include_str!("fetch_binary.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<FetchBinary>,
};

/// Which program to fetch.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("md5"))]
pub struct FetchBinary {
    /// Its hash, under which the store has it.
    pub md5: Field<Md5>,
    /// Nothing is kept of a larger file.
    pub max_size: Option<Field<Size>>,
}

impl FetchBinary {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "md5", all);
        let md5 = fields.required("md5");
        let max_size = fields.optional("max_size");
        fields.finish();
        Some(Self {
            md5: md5?,
            max_size,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let max_size = self.max_size.iter().flat_map(Field::references);
        Arguments {
            others: self.md5.references().chain(max_size).collect(),
            ..Arguments::costing(0, 1)
        }
    }
}
