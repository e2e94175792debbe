//! Dumps the endpoint's memory into a file there, and fetches it where `download: true`.
//!
//! Dumps are as large as the memory. One that is not fetched stays, and reports list it as left behind.
//!
//! ```yaml
//! name: Memory
//! memdump: {path: 'C:\Windows\Temp\memory.dmp', download: true}
//! ```

use super::{Arguments, Built, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Fields, Template, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "memdump",
    summary: "dump the memory",
    permissions: &[Permission::Memory],
    effect: Effect::Once,
    os: &[Os::Windows],
    commands: &["memdump", "get file", "delete file"],
    results: &[
        ResultField::new(
            "files",
            Shape::List,
            "the dump, if it was fetched, with `path`, `size`, `sha256`, `stored_path`",
        ),
        ResultField::new("found", Shape::Flag, "whether it was fetched"),
    ],
    source: include_str!("memdump.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<Memdump>,
};

/// Where the dump goes.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("path"))]
pub struct Memdump {
    /// The file on the endpoint that it is written to.
    pub path: Template,
    /// Whether the sensor compresses it.
    #[schemars(extend("default" = true))]
    pub compress: bool,
    /// Whether it is fetched, and then deleted from the endpoint.
    #[schemars(extend("default" = false))]
    pub download: bool,
}

impl Memdump {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "path", all);
        let path = fields.required("path");
        let compress = fields.or("compress", true);
        let download = fields.or("download", false);
        fields.finish();
        Some(Self {
            path: path?,
            compress,
            download,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let (commands, contents) = if self.download { (3, 1) } else { (1, 0) };
        Arguments::costing(commands, contents).with("path", [&self.path])
    }
}
