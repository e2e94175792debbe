//! Lists the running processes, with path, command line, user and parent.
//!
//! `match` keeps the processes for which the expression holds; inside it the fields of a process
//! stand bare: `pid`, `parent_pid`, `path`, `name`, `command_line`, `user`, `created`. Without it all
//! processes are kept.
//!
//! ```yaml
//! name: PowerShell with an encoded command
//! list_processes:
//!   match: '"-enc" in command_line | lower'
//! register: encoded
//! ```

use super::cx::{StepCx, Stop};
use super::{Arguments, Built, ResultField, Shape, Spec, base_name, unexpected};
use crate::model::command::{Command, CommandResult, Process};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::Cause;
use crate::model::row::{Row, RowKind};
use crate::template::{Expr, Fields};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

pub(super) const SPEC: Spec = Spec {
    key: "list_processes",
    summary: "list the running processes",
    permissions: &[Permission::Read],
    effect: Effect::Read,
    os: &Os::NAMED,
    commands: &["process list"],
    results: &[
        ResultField::new(
            "processes",
            Shape::List,
            "the processes kept, each with the fields that `match` knows",
        ),
        ResultField::new("names", Shape::List, "the processes' file names"),
        ResultField::new("found", Shape::Flag, "whether any process was kept"),
    ],
    source: include_str!("list_processes.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<ListProcesses>,
};

/// The names that an expression under `match` can use.
pub const ROW_FIELDS: [&str; 7] = [
    "pid",
    "parent_pid",
    "path",
    "name",
    "command_line",
    "user",
    "created",
];

/// Which processes to keep.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, extend("type" = ["object", "null"]))]
pub struct ListProcesses {
    /// Keeps the processes for which this expression holds; `pid`, `parent_pid`, `path`, `name`,
    /// `command_line`, `user` and `created` stand bare in it.
    #[schemars(rename = "match")]
    pub matching: Option<Expr>,
}

impl ListProcesses {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Self {
        let mut fields = Fields::new(node, SPEC.key, all);
        let matching = fields.optional("match");
        fields.finish();
        Self { matching }
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments {
            expressions: self.matching.iter().collect(),
            row_fields: &ROW_FIELDS,
            ..Arguments::costing(1, 0)
        }
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let mut kept = Vec::new();
        for process in all(cx).await? {
            let fields = fields_of(&process);
            if let Some(expression) = &self.matching
                && !expression.test(&cx.scope.with_row(&fields))?
            {
                continue;
            }
            cx.rows.push(row_of(&process, &fields));
            kept.push(fields);
        }
        let names: Vec<&Value> = kept.iter().map(|fields| &fields["name"]).collect();
        Ok(json!({"names": names, "found": !kept.is_empty(), "processes": kept}))
    }
}

/// All that run now.
pub(super) async fn all(cx: &mut StepCx<'_>) -> Result<Vec<Process>, Cause> {
    let reply = cx.ask(Command::ProcessList).await?;
    match reply.result {
        CommandResult::Processes(processes) => Ok(processes),
        _ => Err(unexpected(&reply)),
    }
}

pub(super) fn fields_of(process: &Process) -> Value {
    json!({
        "pid": process.pid, "parent_pid": process.parent_pid, "path": process.path,
        "name": base_name(process.path.raw()), "command_line": process.command_line,
        "user": process.user, "created": process.created,
    })
}

pub(super) fn row_of(process: &Process, fields: &Value) -> Row {
    let mut row = Row::new(RowKind::Process);
    row.path = Some(process.path.clone());
    row.name = Some(base_name(process.path.raw()).into());
    row.data = Some(process.command_line.clone());
    for key in ["pid", "parent_pid", "user", "created"] {
        row.extra.insert(key.to_owned(), fields[key].clone());
    }
    row
}
