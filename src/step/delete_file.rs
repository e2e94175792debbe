//! Deletes a file, after a copy of it is in the bag and its hash is the one that is meant.
//!
//! `sha256` is the guard: a file with another hash is left alone. `unguarded: true` goes without, and
//! `recursive`, which deletes a directory with all below it, always does. `evidence: {waived: REASON}`
//! keeps no copy.
//!
//! ```yaml
//! name: The dropper
//! delete_file:
//!   path: 'C:\Users\Public\update.exe'
//!   sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! ```

use super::guard::{Absent, Guarded, Sha256, Waiver, guarded, recursive};
use super::{Arguments, Built, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Field, Fields, Template, Word, short_form};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "delete_file",
    summary: "delete a file",
    permissions: &[Permission::Delete],
    effect: Effect::Converge,
    os: &Os::NAMED,
    commands: &["get file", "delete file"],
    results: &[ResultField::new(
        "found",
        Shape::Flag,
        "whether there was anything to delete",
    )],
    source: include_str!("delete_file.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<DeleteFile>,
};

/// Which file to delete, and what must hold before.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("anyOf" = [{"required": ["sha256"]}, {"required": ["unguarded"]}]),
    transform = short_form("path")
)]
pub struct DeleteFile {
    /// The file on the endpoint; no wildcards.
    pub path: Template,
    /// The hash that the file must have right before; one with another is left alone.
    pub sha256: Option<Field<Sha256>>,
    /// `true` deletes whatever is there under that name.
    #[schemars(with = "Option<Word<Guarded>>")]
    pub unguarded: Guarded,
    /// Whether a directory goes with all below it; needs `unguarded`.
    #[schemars(extend("default" = false))]
    pub recursive: bool,
    /// What a file that is gone already means for the step.
    #[schemars(with = "Word<Absent>", extend("default" = "ok"))]
    pub if_missing: Absent,
    /// A copy is kept first, unless this says why not.
    pub evidence: Option<Waiver>,
}

impl DeleteFile {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "path", all);
        let path = fields.required("path");
        let sha256 = fields.optional("sha256");
        let unguarded = fields.or("unguarded", Guarded::Yes);
        let whole_tree = fields.or("recursive", false);
        let if_missing = fields.or("if_missing", Absent::Ok);
        let evidence = fields.optional("evidence");
        if whole_tree && fields.has("sha256") {
            let span = fields.key_span("sha256");
            fields
                .diagnostics()
                .error(
                    Code::BadValue,
                    span,
                    "`sha256` is the hash of one file, and `recursive` deletes a directory",
                )
                .help("write unguarded: true in its place, or remove `recursive`");
        } else if whole_tree {
            recursive(&mut fields, whole_tree, unguarded);
        } else {
            guarded(&mut fields, SPEC.key, "sha256", unguarded);
        }
        fields.finish();
        Some(Self {
            path: path?,
            sha256,
            unguarded,
            recursive: whole_tree,
            if_missing,
            evidence,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments {
            others: self.sha256.iter().flat_map(Field::references).collect(),
            ..Arguments::costing(2, 1).with("path", [&self.path])
        }
    }
}
