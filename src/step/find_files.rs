//! Finds files by patterns, by walking directories from the first part of the pattern that varies.
//!
//! In `paths`, `*`, `?` and `[…]` stand for parts of one name, `**` for up to 10 levels of folders and `**3`
//! for up to 3; a `~` at the beginning stands for the home of every user. On Windows and macOS case does not
//! count. Links, junctions and placeholders of files that are elsewhere are neither followed nor fetched.
//! For all patterns together a directory is listed once. `get: true` fetches what was found. Where more than
//! `max_results` are found, the step fails with those that it has.
//!
//! ```yaml
//! name: Ransom notes
//! find_files:
//!   paths: ['C:\Users\*\Desktop\*README*.txt']
//!   newer_than: 7d
//!   get: true
//! register: notes
//! ```

#[cfg(test)]
mod oracle;
mod pattern;
mod walk;

use super::cx::{FileRequest, StepCx, Stop};
use super::{
    AHEAD, Arguments, Built, Cost, Foretold, ResultField, Shape, Spec, get_file, unexpected,
};
use crate::clock;
use crate::model::command::{Command, CommandResult, DirEntry, directory_operand};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::{Cause, NO_FOLDER, NOT_FOUND};
use crate::model::row::{Row, RowKind};
use crate::template::{Bounded, Field, Fields, Scope, Template, TemplateError, short_form};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::duration::Duration;
use crate::text::size::Size;
use crate::text::yaml::Node;
use jiff::{SignedDuration, Timestamp};
use pattern::Pattern;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};
use walk::{Found, Look, Walk};

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
            "the files found, each with `path`, `name`, `size`, `created`, `accessed`, `written`; with `get`, also `sha256` and `stored_path`",
        ),
        ResultField::new("names", Shape::List, "their names"),
        ResultField::new("found", Shape::Flag, "whether any file was found"),
    ],
    source: include_str!("find_files.rs"),
    built: Built::Yes,
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
    /// Patterns of paths that are left out, with all that is below them.
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
        let paths: Option<Vec<Template>> = fields.required("paths");
        let depth = fields.or("depth", Field::Literal(DEPTH));
        let newer_than = fields.optional("newer_than");
        let older_than = fields.optional("older_than");
        let min_size = fields.optional("min_size");
        let max_size = fields.optional("max_size");
        let exclude: Vec<Template> = fields.or("exclude", Vec::new());
        let max_results = fields.or("max_results", Field::Literal(MOST));
        let get = fields.or("get", false);
        for template in paths.iter().flatten().chain(&exclude) {
            refuse(template, fields.diagnostics());
        }
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
                open_ended: true,
                ..Cost::default()
            },
            ..Arguments::default()
                .with("paths", &self.paths)
                .with("exclude", &self.exclude)
        }
    }

    /// The walk over all patterns of the step.
    fn walk(&self, scope: &Scope, os: Os) -> Result<Walk, TemplateError> {
        let levels = u8::try_from(self.depth.resolve(scope)?.get()).unwrap_or(u8::MAX);
        let paths = patterns(&self.paths, levels, scope, os)?;
        Ok(Walk::new(
            os,
            paths,
            patterns(&self.exclude, levels, scope, os)?,
        ))
    }

    pub(super) fn foretell(&self, scope: &Scope, os: Os) -> Result<Foretold, TemplateError> {
        Ok(Foretold {
            commands: coming(&self.walk(scope, os)?, os),
            is_all: false,
        })
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let most = usize::try_from(self.max_results.resolve(cx.scope)?.get()).unwrap_or(usize::MAX);
        let wanted = Wanted::of(self, cx)?;
        let mut walk = self.walk(cx.scope, cx.device.os)?;
        let (mut files, mut truncated) = (Vec::new(), None);
        while let Some(look) = walk.next() {
            cx.hands.expect(coming(&walk, cx.device.os));
            let mut found = look_up(cx, &mut walk, look).await?;
            found.retain(|found| wanted.fits(&found.entry));
            if found.len() > most - files.len() {
                truncated = Some(Cause::TooMany { limit: most as u64 });
                found.truncate(most - files.len());
            }
            for (at, one) in found.iter().enumerate() {
                if self.get {
                    let files = found[at + 1..].iter().filter(|found| is_here(&found.entry));
                    let piece = cx.piece;
                    let fetching =
                        |found: &Found| get_file::first(&FileRequest::whole(&found.path), piece);
                    let mut next: Vec<Command> = files.take(AHEAD).map(fetching).collect();
                    if truncated.is_none() {
                        next.extend(coming(&walk, cx.device.os));
                    }
                    cx.hands.expect(next);
                }
                files.push(self.take(cx, one).await?);
            }
            if truncated.is_some() {
                break;
            }
        }
        if let Some(cause) = truncated {
            return Err(cause.into());
        }
        let names: Vec<&Value> = files.iter().map(|file| &file["name"]).collect();
        Ok(json!({"names": names, "found": !files.is_empty(), "files": files}))
    }

    /// Writes a file down, and fetches it if it is there to be fetched.
    async fn take(&self, cx: &mut StepCx<'_>, found: &Found) -> Result<Value, Cause> {
        let entry = &found.entry;
        let mut file = json!({
            "path": found.path, "name": entry.name, "size": entry.size, "created": entry.created,
            "accessed": entry.accessed, "written": entry.written,
        });
        let mut row = row_of(found);
        if self.get && is_here(entry) {
            match get_file::fetch(cx, &FileRequest::whole(&found.path), Some(entry)).await {
                Ok(stored) => {
                    row.size = Some(stored.size_received);
                    row.sha256 = Some(stored.sha256.clone());
                    row.data = Some(stored.stored_path.clone().into());
                    file["sha256"] = json!(stored.sha256);
                    file["stored_path"] = json!(stored.stored_path);
                }
                // It is locked, or gone meanwhile: what is wrong with one file is wrong with that one only.
                Err(cause @ Cause::Endpoint { .. }) => row.cause = Some(cause),
                Err(cause) => {
                    row.cause = Some(cause.clone());
                    cx.rows.push(row);
                    return Err(cause);
                }
            }
        }
        cx.rows.push(row);
        Ok(file)
    }
}

/// What a walk will ask next.
fn coming(walk: &Walk, os: Os) -> Vec<Command> {
    let looks = walk.ahead(AHEAD).into_iter();
    looks
        .map(|look| Command::DirectoryList {
            path: operand(look, os),
        })
        .collect()
}

fn operand(look: Look, os: Os) -> String {
    match look {
        Look::Into(path) => directory_operand(&path, os),
        Look::At(path) => path,
    }
}

/// Whether reading it reads what lies there, and nothing elsewhere.
fn is_here(entry: &DirEntry) -> bool {
    !entry.is_reparse_point() && !entry.is_offline()
}

/// Asks the endpoint, and tells the walk.
async fn look_up(cx: &mut StepCx<'_>, walk: &mut Walk, look: Look) -> Result<Vec<Found>, Stop> {
    let path = operand(look, cx.device.os);
    let command = Command::DirectoryList { path: path.clone() };
    match cx.ask(command).await {
        Ok(reply) => match &reply.result {
            CommandResult::Entries(entries) => Ok(walk.seen(entries)),
            _ => Err(unexpected(&reply).into()),
        },
        Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => {
            walk.absent(cause.is_endpoint_code(&[NO_FOLDER]));
            Ok(Vec::new())
        }
        // A folder that is closed to us is a row, not the end.
        Err(cause @ Cause::Endpoint { .. }) => {
            cx.rows.push(Row {
                path: Some(path.into()),
                cause: Some(cause),
                ..Row::new(RowKind::DirEntry)
            });
            Ok(Vec::new())
        }
        Err(cause) => Err(cause.into()),
    }
}

/// What a file must be, besides being where it is looked for.
struct Wanted {
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
    smallest: u64,
    largest: u64,
}

impl Wanted {
    fn of(step: &FindFiles, cx: &StepCx<'_>) -> Result<Self, Stop> {
        let now = clock::now();
        let ago = |field: &Option<Field<Duration>>| -> Result<Option<Timestamp>, Stop> {
            let Some(field) = field else {
                return Ok(None);
            };
            let back = SignedDuration::try_from(field.resolve(cx.scope)?.get());
            let back = back.unwrap_or(SignedDuration::MAX);
            Ok(Some(now.checked_sub(back).unwrap_or(Timestamp::MIN)))
        };
        let bytes = |field: &Option<Field<Size>>, usual: u64| -> Result<u64, Stop> {
            let given = field.as_ref().map(|field| field.resolve(cx.scope));
            Ok(given.transpose()?.map_or(usual, Size::bytes))
        };
        Ok(Self {
            not_before: ago(&step.newer_than)?,
            not_after: ago(&step.older_than)?,
            smallest: bytes(&step.min_size, 0)?,
            largest: bytes(&step.max_size, u64::MAX)?,
        })
    }

    /// Of a file whose time nobody told, it is not known that it is too old or too new.
    fn fits(&self, entry: &DirEntry) -> bool {
        let in_time = |written: Timestamp| {
            self.not_before.is_none_or(|limit| written >= limit)
                && self.not_after.is_none_or(|limit| written <= limit)
        };
        (self.smallest..=self.largest).contains(&entry.size) && entry.written.is_none_or(in_time)
    }
}

fn patterns(
    templates: &[Template],
    levels: u8,
    scope: &Scope,
    os: Os,
) -> Result<Vec<Pattern>, TemplateError> {
    let mut all = Vec::new();
    for template in templates {
        let read = Pattern::read(&template.render(scope)?, os, levels);
        let error = |why| TemplateError::new(Code::BadValue, template.span(), why);
        all.extend(read.map_err(error)?);
    }
    Ok(all)
}

/// Complains of what is a pattern on no system.
fn refuse(template: &Template, all: &mut Diagnostics) {
    let Some(text) = template.as_literal() else {
        return;
    };
    let of_windows = Pattern::read(text, Os::Windows, 1);
    let of_others = Pattern::read(text, Os::Linux, 1);
    if let (Err(windows), Err(others)) = (of_windows, of_others) {
        let why = if text.starts_with('/') {
            others
        } else {
            windows
        };
        all.error(Code::BadValue, template.span(), why);
    }
}

fn row_of(found: &Found) -> Row {
    let entry = &found.entry;
    let kind = if entry.is_reparse_point() {
        "link"
    } else if entry.is_offline() {
        "placeholder"
    } else {
        "file"
    };
    let mut row = Row {
        path: Some(found.path.as_str().into()),
        name: Some(entry.name.clone()),
        type_: Some(kind.to_owned()),
        size: Some(entry.size),
        ..Row::new(RowKind::File)
    };
    let told = [
        ("attributes", json!(entry.attributes)),
        ("created", json!(entry.created)),
        ("accessed", json!(entry.accessed)),
        ("written", json!(entry.written)),
    ];
    let told = told.map(|(key, value)| (key.to_owned(), value));
    row.extra.extend(told);
    row
}
