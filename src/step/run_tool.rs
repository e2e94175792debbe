//! Brings a tool to the endpoint, runs it, fetches what it wrote, and takes everything away again.
//!
//! `sha256` pins the tool: another file is never sent. `outputs` are paths below `directory`. A tool that
//! runs long is started with `detach`: the step then looks, every `poll`, whether the file `done_when`
//! is there. `effect` says what running it means, as for `exec`.
//!
//! ```yaml
//! name: Autoruns
//! run_tool:
//!   source: tools/autorunsc64.exe
//!   sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//!   args: [-accepteula, -a, '*', -o, out.csv]
//!   outputs: [out.csv]
//!   effect: read
//! ```

use super::guard::Sha256;
use super::{Arguments, Built, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Field, Fields, FromNode, Template, Word};
use crate::text::diagnostic::Diagnostics;
use crate::text::duration::Duration;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "run_tool",
    summary: "run a tool and fetch what it writes",
    permissions: &[Permission::Exec],
    effect: Effect::Once,
    os: &Os::NAMED,
    commands: &["put file", "create process", "get file", "delete file"],
    results: &[
        ResultField::new("stdout", Shape::Text, "what it printed"),
        ResultField::new("code", Shape::Number, "the exit code"),
        ResultField::new(
            "files",
            Shape::List,
            "the files fetched, each with `path`, `size`, `sha256`, `stored_path`",
        ),
    ],
    source: include_str!("run_tool.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<RunTool>,
};

/// Which tool to run, and what it leaves.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RunTool {
    /// The local file that is sent, relative to the playbook.
    pub source: Template,
    /// The hash that the local file must have.
    pub sha256: Field<Sha256>,
    /// Its arguments, each quoted for the target.
    #[schemars(extend("default" = []))]
    pub args: Vec<Template>,
    /// The directory on the endpoint where it runs; one of its own, made for the step, unless given.
    pub directory: Option<Template>,
    /// The files it writes, below `directory`, that are fetched.
    #[schemars(extend("default" = []))]
    pub outputs: Vec<Template>,
    /// Whether tool and outputs stay on the endpoint.
    #[schemars(extend("default" = false))]
    pub keep: bool,
    /// Does not wait for its end with a command of its own, for tools that run longer than one may.
    pub detach: Option<Detach>,
    /// What running it means: `read` changes nothing and may be repeated, `converge` leads to the same
    /// end state however often it runs, `once` must never run twice.
    #[schemars(with = "Word<Effect>", extend("default" = "once"))]
    pub effect: Effect,
}

/// How the end of a detached tool is seen.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Detach {
    /// The file on the endpoint that is there once the tool is done.
    pub done_when: Template,
    /// How often to look.
    #[schemars(extend("default" = "30s"))]
    pub poll: Field<Duration>,
}

impl FromNode for Detach {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "detach", all);
        let done_when = fields.required("done_when");
        let poll = fields.or("poll", Field::Literal(Duration::from_secs(30)));
        fields.finish();
        Some(Self {
            done_when: done_when?,
            poll,
        })
    }
}

impl RunTool {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, SPEC.key, all);
        let source = fields.required("source");
        let sha256 = fields.required("sha256");
        let args = fields.or("args", Vec::new());
        let directory = fields.optional("directory");
        let outputs = fields.or("outputs", Vec::new());
        let keep = fields.or("keep", false);
        let detach = fields.optional("detach");
        let effect = fields.or("effect", SPEC.effect);
        fields.finish();
        Some(Self {
            source: source?,
            sha256: sha256?,
            args,
            directory,
            outputs,
            keep,
            detach,
            effect,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let outputs = self.outputs.len() as u64;
        let poll = self.detach.iter().flat_map(|one| one.poll.references());
        Arguments {
            others: self.sha256.references().chain(poll).collect(),
            ..Arguments::costing(4 + 2 * outputs, 1 + outputs)
                .with("source", [&self.source])
                .with("args", &self.args)
                .with("directory", &self.directory)
                .with("outputs", &self.outputs)
                .with("done_when", self.detach.iter().map(|one| &one.done_when))
        }
    }
}
