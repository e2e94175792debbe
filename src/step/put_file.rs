//! Writes a file to the endpoint: a local one, or text from the playbook.
//!
//! Exactly one of `source` and `content` says what. A file that is there already is left alone, and the
//! step fails, unless `overwrite: true`. `remove_after` takes the file away again at the device's end.
//!
//! ```yaml
//! name: Banner
//! put_file:
//!   path: 'C:\ProgramData\notice.txt'
//!   content: this host is under investigation
//! ```

use super::guard::one_of;
use super::{Arguments, Built, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Fields, Template};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "put_file",
    summary: "write a file to the endpoint",
    permissions: &[Permission::Write],
    effect: Effect::Converge,
    os: &Os::NAMED,
    commands: &["put file"],
    results: &[ResultField::new(
        "sha256",
        Shape::Text,
        "the hash of what was written",
    )],
    source: include_str!("put_file.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<PutFile>,
};

/// What to write, and where.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [{"required": ["source"]}, {"required": ["content"]}])
)]
pub struct PutFile {
    /// The local file that is sent, relative to the playbook.
    pub source: Option<Template>,
    /// The text that is written, in place of `source`.
    pub content: Option<Template>,
    /// Where it goes on the endpoint.
    pub path: Template,
    /// Whether a file that is there already is replaced.
    #[schemars(extend("default" = false))]
    pub overwrite: bool,
    /// Whether the file is taken away again at the device's end.
    #[schemars(extend("default" = false))]
    pub remove_after: bool,
}

impl PutFile {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, SPEC.key, all);
        let source = fields.optional("source");
        let content = fields.optional("content");
        let path = fields.required("path");
        let overwrite = fields.or("overwrite", false);
        let remove_after = fields.or("remove_after", false);
        one_of(
            &mut fields,
            SPEC.key,
            ["source", "content"],
            "name a local file, or give the text itself",
        );
        fields.finish();
        Some(Self {
            source,
            content,
            path: path?,
            overwrite,
            remove_after,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments::costing(1, 0)
            .with("source", &self.source)
            .with("content", &self.content)
            .with("path", [&self.path])
    }
}
