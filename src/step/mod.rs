//! What an author can ask for: one file per kind of step, and the closed enum over them.
//!
//! A step is data: its arguments are plain fields, its behaviour an `async fn` over [`cx::StepCx`],
//! through which alone it touches anything. This file has the only list of the kinds and the only
//! matches over them.

mod assert;
pub mod cx;
mod exec;
mod finding;
mod get_file;
mod list_directory;
mod list_processes;
mod reg_query;
mod set;
mod wait;

pub use assert::Assert;
pub use exec::Exec;
pub use finding::Finding;
pub use get_file::GetFile;
pub use list_directory::ListDirectory;
pub use list_processes::{ListProcesses, ROW_FIELDS};
pub use reg_query::RegQuery;
pub use set::Set;
pub use wait::Wait;

use crate::model::command::Reply;
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::Cause;
use crate::template::{Expr, Reference, Template};
use crate::text::diagnostic::Diagnostics;
use crate::text::words::List;
use crate::text::yaml::Node;
use cx::{StepCx, Stop};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fmt::Write;

/// An action with its arguments.
#[derive(Debug, Clone)]
pub enum StepKind {
    GetFile(GetFile),
    ListDirectory(ListDirectory),
    ListProcesses(ListProcesses),
    RegQuery(RegQuery),
    Exec(Exec),
    Assert(Assert),
    Finding(Finding),
    Set(Set),
    Wait(Wait),
}

/// What is known of a kind of step without its arguments.
#[derive(Debug)]
pub struct Spec {
    /// The action key in a playbook.
    pub key: &'static str,
    /// What it does, after "it will".
    pub summary: &'static str,
    /// The right it needs in `permissions:`.
    pub permission: Option<Permission>,
    /// Unless the arguments say otherwise.
    pub effect: Effect,
    /// The systems whose sensors know its commands.
    pub os: &'static [Os],
    /// The Live Response commands it is made of.
    pub commands: &'static [&'static str],
    /// What a registered result has, besides `status` and, under `for_each`, `results`.
    pub results: &'static [ResultField],
    /// What its arguments look like.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// A field of a registered result.
#[derive(Debug)]
pub struct ResultField {
    pub name: &'static str,
    pub shape: Shape,
    pub meaning: &'static str,
}

impl ResultField {
    const fn new(name: &'static str, shape: Shape, meaning: &'static str) -> Self {
        Self {
            name,
            shape,
            meaning,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    List,
    Text,
    Number,
    Flag,
}

/// What running a step once is expected to cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    pub commands: u64,
    /// Files whose content is fetched.
    pub contents: u64,
    /// The endpoint decides how much more there is.
    pub open_ended: bool,
}

/// Reads an action's arguments.
type Read = fn(&Node, &mut Diagnostics) -> Option<StepKind>;

/// Every kind of step: the one list.
pub const KINDS: [(&Spec, Read); 9] = [
    (&get_file::SPEC, |node, all| {
        GetFile::read(node, all).map(StepKind::GetFile)
    }),
    (&list_directory::SPEC, |node, all| {
        ListDirectory::read(node, all).map(StepKind::ListDirectory)
    }),
    (&list_processes::SPEC, |node, all| {
        Some(StepKind::ListProcesses(ListProcesses::read(node, all)))
    }),
    (&reg_query::SPEC, |node, all| {
        RegQuery::read(node, all).map(StepKind::RegQuery)
    }),
    (&exec::SPEC, |node, all| {
        Exec::read(node, all).map(StepKind::Exec)
    }),
    (&assert::SPEC, |node, all| {
        Assert::read(node, all).map(StepKind::Assert)
    }),
    (&finding::SPEC, |node, all| {
        Finding::read(node, all).map(StepKind::Finding)
    }),
    (&set::SPEC, |node, all| {
        Set::read(node, all).map(StepKind::Set)
    }),
    (&wait::SPEC, |node, all| {
        Wait::read(node, all).map(StepKind::Wait)
    }),
];

/// Actions that the language has and this version does not carry out.
pub const NOT_BUILT: [&str; 22] = [
    "find_files",
    "collect",
    "put_file",
    "create_directory",
    "delete_file",
    "reg_set",
    "reg_create_key",
    "reg_delete_value",
    "reg_delete_key",
    "remove_service",
    "remove_task",
    "gather",
    "run_tool",
    "kill_process",
    "memdump",
    "isolate",
    "release",
    "set_policy",
    "ban_hash",
    "fetch_binary",
    "use",
    "quarantine",
];

/// The action keys of a step, of which it has exactly one.
impl JsonSchema for StepKind {
    fn schema_name() -> Cow<'static, str> {
        "Action".into()
    }

    /// Editors complete keys out of `properties`; `oneOf` is what makes a second action an error.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = Map::new();
        let mut choice = Vec::new();
        for (spec, _) in KINDS {
            let mut arguments = (spec.schema)(generator);
            arguments.insert("description".into(), spec.describe().into());
            properties.insert(spec.key.to_owned(), arguments.into());
            // The message is for editors, which would otherwise ask for one of them by name.
            choice
                .push(json!({ "required": [spec.key], "errorMessage": "the step has no action" }));
        }
        json_schema!({ "type": "object", "properties": properties, "oneOf": choice })
    }
}

impl Spec {
    /// What an editor shows for the action key.
    fn describe(&self) -> String {
        let mut text = self.summary.to_owned();
        text[..1].make_ascii_uppercase();
        text.push('.');
        if let Some(permission) = self.permission {
            let _ = write!(text, " Needs the permission `{permission}`.");
        }
        if self.os != Os::NAMED {
            let _ = write!(text, " Runs on {} only.", List::and(self.os));
        }
        let results: Vec<_> = self.results.iter().map(|field| field.name).collect();
        if !results.is_empty() {
            let _ = write!(text, " Registers {}.", List::and(&results));
        }
        text
    }
}

impl StepKind {
    pub const fn spec(&self) -> &'static Spec {
        match self {
            Self::GetFile(_) => &get_file::SPEC,
            Self::ListDirectory(_) => &list_directory::SPEC,
            Self::ListProcesses(_) => &list_processes::SPEC,
            Self::RegQuery(_) => &reg_query::SPEC,
            Self::Exec(_) => &exec::SPEC,
            Self::Assert(_) => &assert::SPEC,
            Self::Finding(_) => &finding::SPEC,
            Self::Set(_) => &set::SPEC,
            Self::Wait(_) => &wait::SPEC,
        }
    }

    /// The arguments as far as a plan and a check look at them.
    pub fn arguments(&self) -> Arguments<'_> {
        match self {
            Self::GetFile(step) => step.arguments(),
            Self::ListDirectory(step) => step.arguments(),
            Self::ListProcesses(step) => step.arguments(),
            Self::RegQuery(step) => step.arguments(),
            Self::Exec(step) => step.arguments(),
            Self::Assert(step) => step.arguments(),
            Self::Finding(step) => step.arguments(),
            Self::Set(step) => step.arguments(),
            Self::Wait(step) => step.arguments(),
        }
    }

    pub async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        match self {
            Self::GetFile(step) => step.run(cx).await,
            Self::ListDirectory(step) => step.run(cx).await,
            Self::ListProcesses(step) => step.run(cx).await,
            Self::RegQuery(step) => step.run(cx).await,
            Self::Exec(step) => step.run(cx).await,
            Self::Assert(step) => step.run(cx),
            Self::Finding(step) => step.run(cx).await,
            Self::Set(step) => step.run(cx),
            Self::Wait(step) => step.run(cx).await,
        }
    }

    /// What repeating it would do.
    pub const fn effect(&self) -> Effect {
        match self {
            Self::Exec(step) => step.effect,
            _ => self.spec().effect,
        }
    }

    /// The result of a step that found nothing, because it failed or was skipped.
    pub fn empty_result(&self) -> Value {
        let empty = |shape| match shape {
            Shape::List => json!([]),
            Shape::Text => json!(""),
            Shape::Number => Value::Null,
            Shape::Flag => json!(false),
        };
        let fields = self
            .spec()
            .results
            .iter()
            .map(|field| (field.name.to_owned(), empty(field.shape)));
        Value::Object(fields.collect::<Map<_, _>>())
    }
}

/// A step's arguments, seen from outside.
#[derive(Debug, Default)]
pub struct Arguments<'a> {
    /// Templates by argument, for showing and for rendering ahead.
    pub templates: Vec<(&'static str, &'a Template)>,
    /// Bare expressions.
    pub expressions: Vec<&'a Expr>,
    /// References out of numbers, sizes and other typed fields.
    pub others: Vec<&'a Reference>,
    /// Names that expressions of this step know besides the scope's.
    pub row_fields: &'static [&'static str],
    pub cost: Cost,
}

impl<'a> Arguments<'a> {
    fn costing(commands: u64, contents: u64) -> Self {
        Self {
            cost: Cost {
                commands,
                contents,
                open_ended: false,
            },
            ..Self::default()
        }
    }

    fn with(
        mut self,
        name: &'static str,
        template: impl IntoIterator<Item = &'a Template>,
    ) -> Self {
        self.templates
            .extend(template.into_iter().map(|template| (name, template)));
        self
    }
}

/// An endpoint answered a command with something that belongs to another one.
fn unexpected(reply: &Reply) -> Cause {
    Cause::BadAnswer {
        detail: format!(
            "command {} was answered with another command's result",
            reply.command
        ),
    }
}

/// The last part of a path of any system.
fn base_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}
