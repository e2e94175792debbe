//! Ends processes, after their entries are in the bag.
//!
//! `pid`, `name`, `path` and `command_line` say which; where several are given, all must hold. Text is
//! compared exactly, `glob:…` and `regex:…` are written out. Right before the kill, pid, start time and
//! path must still be those that were found, and the file's hash `sha256` where that is given. More
//! than `max` matches end nothing at all.
//!
//! ```yaml
//! name: The miner
//! kill_process: {path: 'C:\Users\Public\xmrig.exe', max: 2}
//! ```

use super::guard::{Absent, Sha256, Waiver, any_of};
use super::{Arguments, Built, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Bounded, Field, Fields, Template, Word};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "kill_process",
    summary: "end processes",
    permissions: &[Permission::Kill],
    effect: Effect::Converge,
    os: &Os::NAMED,
    commands: &["process list", "kill"],
    results: &[
        ResultField::new(
            "processes",
            Shape::List,
            "the processes ended, each with the fields that `list_processes` knows",
        ),
        ResultField::new("found", Shape::Flag, "whether there was any process to end"),
    ],
    source: include_str!("kill_process.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<KillProcess>,
};

/// More processes than anybody ends on purpose.
type Most = Bounded<1, 1000>;
const MOST: Most = Most::new(10);

/// Which processes to end.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("anyOf" = [
        {"required": ["pid"]}, {"required": ["name"]}, {"required": ["path"]},
        {"required": ["command_line"]}
    ])
)]
pub struct KillProcess {
    /// The process id.
    pub pid: Option<Field<u32>>,
    /// The file name of the program, such as `xmrig.exe`.
    pub name: Option<Template>,
    /// The whole path of the program.
    pub path: Option<Template>,
    /// The whole command line.
    pub command_line: Option<Template>,
    /// The hash that the program's file must have right before.
    pub sha256: Option<Field<Sha256>>,
    /// Where more match, nothing is ended and the step fails.
    #[schemars(extend("default" = 10))]
    pub max: Field<Most>,
    /// What no match at all means for the step.
    #[schemars(with = "Word<Absent>", extend("default" = "ok"))]
    pub if_missing: Absent,
    /// The entries are kept first, unless this says why not.
    pub evidence: Option<Waiver>,
}

impl KillProcess {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Self {
        let mut fields = Fields::new(node, SPEC.key, all);
        let step = Self {
            pid: fields.optional("pid"),
            name: fields.optional("name"),
            path: fields.optional("path"),
            command_line: fields.optional("command_line"),
            sha256: fields.optional("sha256"),
            max: fields.or("max", Field::Literal(MOST)),
            if_missing: fields.or("if_missing", Absent::Ok),
            evidence: fields.optional("evidence"),
        };
        any_of(
            &mut fields,
            SPEC.key,
            &["pid", "name", "path", "command_line"],
            "say which processes are to end, for example path: 'C:\\evil.exe'",
        );
        fields.finish();
        step
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let pid = self.pid.iter().flat_map(Field::references);
        let sha256 = self.sha256.iter().flat_map(Field::references);
        Arguments {
            others: pid.chain(sha256).chain(self.max.references()).collect(),
            ..Arguments::costing(2, 0)
                .with("name", &self.name)
                .with("path", &self.path)
                .with("command_line", &self.command_line)
        }
    }
}
