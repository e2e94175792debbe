//! Finds files by patterns, by walking directories from the first part of the pattern that varies.
//!
//! In `paths`, `*`, `?` and `[…]` stand for parts of one name, `**` for any 10 levels and `**3` for 3.
//! Links, junctions and placeholders of files that are elsewhere are not followed. `get: true` fetches
//! what was found.
//!
//! ```yaml
//! name: Ransom notes
//! find_files:
//!   paths: ['C:\Users\*\Desktop\*README*.txt']
//!   newer_than: 7d
//!   get: true
//! register: notes
//! ```

use super::{Arguments, Built, Cost, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Bounded, Field, Fields, Template, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::duration::Duration;
use crate::text::size::Size;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "find_files",
    summary: "find files by patterns",
    permissions: &[Permission::Read],
    effect: Effect::Read,
    os: &Os::NAMED,
    commands: &["directory list", "get file"],
    results: &[
        ResultField::new(
            "files",
            Shape::List,
            "the files found, each with `path`, `name`, `size`, `created`, `accessed`, `written`",
        ),
        ResultField::new("names", Shape::List, "their names"),
        ResultField::new("found", Shape::Flag, "whether any file was found"),
    ],
    source: include_str!("find_files.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<FindFiles>,
};

/// More levels than any playbook needs; a loop of mount points ends here.
type Depth = Bounded<1, 32>;
const DEPTH: Depth = Depth::new(10);
/// More files than a person or a table can use.
type Most = Bounded<1, 100_000>;
const MOST: Most = Most::new(1000);

/// Which files to find.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("paths"))]
pub struct FindFiles {
    /// Patterns of whole paths.
    pub paths: Vec<Template>,
    /// How many levels `**` stands for.
    #[schemars(extend("default" = 10))]
    pub depth: Field<Depth>,
    /// Only files written within this time.
    pub newer_than: Option<Field<Duration>>,
    /// Only files not written within this time.
    pub older_than: Option<Field<Duration>>,
    /// Only files of at least this size.
    pub min_size: Option<Field<Size>>,
    /// Only files of at most this size.
    pub max_size: Option<Field<Size>>,
    /// Patterns of paths that are left out.
    #[schemars(extend("default" = []))]
    pub exclude: Vec<Template>,
    /// Where more are found, the step fails with those that it has.
    #[schemars(extend("default" = 1000))]
    pub max_results: Field<Most>,
    /// Whether the files are fetched too.
    #[schemars(extend("default" = false))]
    pub get: bool,
}

impl FindFiles {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "paths", all);
        let paths = fields.required("paths");
        let depth = fields.or("depth", Field::Literal(DEPTH));
        let newer_than = fields.optional("newer_than");
        let older_than = fields.optional("older_than");
        let min_size = fields.optional("min_size");
        let max_size = fields.optional("max_size");
        let exclude = fields.or("exclude", Vec::new());
        let max_results = fields.or("max_results", Field::Literal(MOST));
        let get = fields.or("get", false);
        fields.finish();
        Some(Self {
            paths: paths?,
            depth,
            newer_than,
            older_than,
            min_size,
            max_size,
            exclude,
            max_results,
            get,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let times = self.newer_than.iter().chain(&self.older_than);
        let sizes = self.min_size.iter().chain(&self.max_size);
        Arguments {
            others: (self.depth.references())
                .chain(self.max_results.references())
                .chain(times.flat_map(Field::references))
                .chain(sizes.flat_map(Field::references))
                .collect(),
            cost: Cost {
                commands: self.paths.len() as u64,
                contents: 0,
                open_ended: true,
            },
            ..Arguments::default()
                .with("paths", &self.paths)
                .with("exclude", &self.exclude)
        }
    }
}
