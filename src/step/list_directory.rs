//! Lists a directory, with sizes, times and attributes; `depth` says how many levels.
//!
//! Links and junctions are listed and not followed.
//!
//! ```yaml
//! name: Scheduled tasks
//! list_directory: {path: 'C:\Windows\System32\Tasks', depth: 3}
//! register: tasks
//! ```

use super::cx::{StepCx, Stop};
use super::{AHEAD, Arguments, Built, Cost, Foretold, ResultField, Shape, Spec, unexpected};
use crate::model::command::{Command, CommandResult, DirEntry, directory_operand};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::Cause;
use crate::model::remote::RemoteText;
use crate::model::row::{Row, RowKind};
use crate::template::{Bounded, Field, Fields, Scope, Template, TemplateError, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};
use std::collections::VecDeque;

pub(super) const SPEC: Spec = Spec {
    key: "list_directory",
    summary: "list a directory",
    permissions: &[Permission::Read],
    effect: Effect::Read,
    os: &Os::NAMED,
    commands: &["directory list"],
    results: &[
        ResultField::new(
            "files",
            Shape::List,
            "the entries, each with `path`, `name`, `size`, `directory`, `attributes`, `created`, `accessed`, `written`",
        ),
        ResultField::new("names", Shape::List, "the entries' names"),
        ResultField::new("found", Shape::Flag, "whether there is any entry"),
    ],
    source: include_str!("list_directory.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<ListDirectory>,
};

/// More levels than any playbook needs; a loop of mount points ends here.
type Depth = Bounded<1, 32>;
const FLAT: Depth = Depth::new(1);
/// More entries than a person or a table can use; a directory that grows while it is listed ends here.
const MAX_ENTRIES: usize = 200_000;

/// What to list.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("path"))]
pub struct ListDirectory {
    /// The directory on the endpoint; no wildcards.
    pub path: Template,
    /// How many levels are listed; 1 is the directory alone.
    #[schemars(extend("default" = 1))]
    pub depth: Field<Depth>,
}

impl ListDirectory {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "path", all);
        let path = fields.required("path");
        let depth = fields.or("depth", Field::Literal(FLAT));
        fields.finish();
        Some(Self { path: path?, depth })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments {
            others: self.depth.references().collect(),
            cost: Cost {
                commands: 1,
                open_ended: self.depth.literal() != Some(&FLAT),
                ..Cost::default()
            },
            ..Arguments::default().with("path", [&self.path])
        }
    }

    pub(super) fn foretell(&self, scope: &Scope, os: Os) -> Result<Foretold, TemplateError> {
        let path = directory_operand(&self.path.render(scope)?, os);
        Ok(Foretold {
            commands: vec![Command::DirectoryList { path }],
            is_all: self.depth.resolve(scope)? == FLAT,
        })
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let root = self.path.render(cx.scope)?;
        let depth = self.depth.resolve(cx.scope)?.get();
        let mut files = Vec::new();
        let mut pending = VecDeque::from([(root, 1)]);
        while let Some((path, level)) = pending.pop_front() {
            let listing = |path: &str| Command::DirectoryList {
                path: directory_operand(path, cx.device.os),
            };
            if depth > FLAT.get() {
                let next = pending.iter().take(AHEAD).map(|(path, _)| listing(path));
                cx.hands.expect(next.collect());
            }
            let operand = directory_operand(&path, cx.device.os);
            let reply = match cx
                .ask(Command::DirectoryList {
                    path: operand.clone(),
                })
                .await
            {
                // A folder below the first may vanish or be closed to us; that is a row, not the end.
                Err(cause @ Cause::Endpoint { .. }) if level > 1 => {
                    cx.rows.push(Row {
                        path: Some(path.into()),
                        cause: Some(cause),
                        ..Row::new(RowKind::DirEntry)
                    });
                    continue;
                }
                other => other?,
            };
            let CommandResult::Entries(entries) = reply.result else {
                return Err(unexpected(&reply).into());
            };
            for entry in entries
                .iter()
                .filter(|entry| !matches!(entry.name.raw(), "." | ".."))
            {
                let full = format!("{operand}{}", entry.name.raw());
                if level < depth && entry.is_directory() && !entry.is_reparse_point() {
                    pending.push_back((full.clone(), level + 1));
                }
                cx.rows.push(row_of(entry, &full));
                files.push(json!({
                    "path": full, "name": entry.name, "size": entry.size, "directory": entry.is_directory(),
                    "attributes": entry.attributes, "created": entry.created, "accessed": entry.accessed,
                    "written": entry.written,
                }));
                if files.len() >= MAX_ENTRIES {
                    return Err(Cause::TooMany {
                        limit: MAX_ENTRIES as u64,
                    }
                    .into());
                }
            }
        }
        let names: Vec<&Value> = files.iter().map(|file| &file["name"]).collect();
        Ok(json!({"names": names, "found": !files.is_empty(), "files": files}))
    }
}

fn row_of(entry: &DirEntry, path: &str) -> Row {
    let kind = if entry.is_reparse_point() {
        "link"
    } else if entry.is_directory() {
        "directory"
    } else {
        "file"
    };
    let mut row = Row::new(RowKind::DirEntry);
    row.path = Some(RemoteText::from(path));
    row.name = Some(entry.name.clone());
    row.type_ = Some(kind.to_owned());
    row.size = Some(entry.size);
    row.extra
        .insert("attributes".into(), json!(entry.attributes));
    for (key, time) in [
        ("created", entry.created),
        ("accessed", entry.accessed),
        ("written", entry.written),
    ] {
        row.extra.insert(key.into(), json!(time));
    }
    row
}
