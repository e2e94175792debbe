//! Fetches files from the endpoint into the bag, with hash, size and times.
//!
//! `path` is one path or a list. A file that is missing fails the step unless `if_missing: skip`; a file
//! that another program holds locked is skipped unless `if_locked: fail`. Of a file larger than
//! `max_size` nothing is kept. Of a list, the other files are fetched also when one makes the step fail.
//! `save_as` files it under another path than the one it was fetched from. `offset` and `count` fetch a part.
//! What is larger than 64 MiB comes in pieces, so that an interruption, a lost session too, costs one piece.
//! `sample: true` keeps a file in a zip with the password `infected`, `.zip` after its name; it comes in one go.
//!
//! With `if_locked: reg_save`, Windows saves a registry hive that is locked, and that is fetched in its
//! place: SAM, SECURITY, SOFTWARE, SYSTEM and DEFAULT of `C:\Windows\System32\config`, and NTUSER.DAT and
//! UsrClass.dat of every profile whose user is logged on. That runs `reg.exe save` into a file in
//! `C:\Windows\Temp`, which is deleted afterwards: it needs the permission `exec` too, and counts as a
//! change. What is saved is what the registry holds then; it has the same keys as the file, and not the
//! same bytes. Any other file that is locked fails.
//!
//! ```yaml
//! name: Security log
//! get_file:
//!   path: 'C:\Windows\System32\winevt\Logs\Security.evtx'
//!   max_size: 512MiB
//! ```

mod fetch;

pub(super) use fetch::{fetch, first};

use super::cx::{FileRequest, OnObstacle, StepCx, Stop};
use super::reg_query::hive;
use super::{Arguments, Built, Ceiling, Cost, Foretold, Ground, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::{Cause, LOCKED, NOT_FOUND};
use crate::model::row::{Row, RowKind, StoredFile};
use crate::template::{Choice, Field, Fields, Scope, Template, TemplateError, Word, short_form};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::size::Size;
use crate::text::source::Span;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

pub(super) const SPEC: Spec = Spec {
    key: "get_file",
    summary: "fetch files from the endpoint",
    permissions: &[Permission::Read],
    effect: Effect::Read,
    os: &Os::NAMED,
    commands: &[
        "get file",
        "directory list",
        "reg enum key",
        "reg query value",
        "create process",
        "delete file",
    ],
    results: &[
        ResultField::new(
            "files",
            Shape::List,
            "the files fetched, each with `path`, `size`, `sha256`, `stored_path`",
        ),
        ResultField::new("found", Shape::Flag, "whether any file was fetched"),
        ResultField::new("sha256", Shape::Text, "the hash of the first file fetched"),
    ],
    source: include_str!("get_file.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<GetFile>,
};

/// What to fetch.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("path"))]
pub struct GetFile {
    /// The file on the endpoint, or a list of files; no wildcards.
    pub path: Vec<Template>,
    /// The path it is filed under in the bag, if not the one it came from; for one file only.
    pub save_as: Option<Template>,
    /// Nothing is kept of a larger file; `defaults.max_size` unless given.
    pub max_size: Option<Field<Size>>,
    /// What a file that is not there means for the step.
    #[schemars(with = "Word<OnObstacle>", extend("default" = "fail"))]
    pub if_missing: OnObstacle,
    /// What a file that another program holds locked means for the step; `reg_save` has Windows save a
    /// registry hive first, and fetches that; it runs reg.exe, and needs the permission `exec`.
    #[schemars(with = "Word<OnLocked>", extend("default" = "skip"))]
    pub if_locked: OnLocked,
    /// Where that is said.
    #[schemars(skip)]
    pub(super) if_locked_span: Span,
    /// How many bytes at the beginning are left out.
    #[schemars(extend("default" = 0))]
    pub offset: Field<Size>,
    /// How many bytes are fetched; all unless given.
    pub count: Option<Field<Size>>,
    /// Whether the file is kept as a zip with the usual password, so that scanners leave the bag alone.
    #[schemars(extend("default" = false))]
    pub sample: bool,
}

/// What a locked file means for the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLocked {
    Fail,
    Skip,
    /// Has the hive saved under another name first.
    RegSave,
}

impl Choice for OnLocked {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("fail", Self::Fail),
        ("skip", Self::Skip),
        ("reg_save", Self::RegSave),
    ];
}

impl GetFile {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "path", all);
        let path: Option<Vec<Template>> = fields.required("path");
        let save_as = fields.optional("save_as");
        let max_size = fields.optional("max_size");
        let if_missing = fields.or("if_missing", OnObstacle::Fail);
        let if_locked = fields.or("if_locked", OnLocked::Skip);
        let if_locked_span = fields.key_span("if_locked");
        let offset = fields.or("offset", Field::Literal(Size::from_bytes(0)));
        let count: Option<Field<Size>> = fields.optional("count");
        if count
            .as_ref()
            .and_then(Field::literal)
            .is_some_and(|count| count.bytes() == 0)
        {
            let span = fields.key_span("count");
            fields
                .diagnostics()
                .error(
                    Code::BadValue,
                    span,
                    "`count` is nothing, which an endpoint takes for all",
                )
                .help("remove it, or say how many bytes you want");
        }
        let sample = fields.or("sample", false);
        if save_as.is_some() && path.as_ref().is_some_and(|paths| paths.len() > 1) {
            let span = fields.key_span("save_as");
            let message = "`save_as` names one file, and `path` is a list";
            fields
                .diagnostics()
                .error(Code::BadValue, span, message)
                .help("use for_each, with save_as naming each item");
        }
        fields.finish();
        Some(Self {
            path: path?,
            save_as,
            max_size,
            if_missing,
            if_locked,
            if_locked_span,
            offset,
            count,
            sample,
        })
    }

    pub(super) const fn permissions(&self) -> &'static [Permission] {
        match self.if_locked {
            OnLocked::RegSave => &[Permission::Read, Permission::Exec],
            OnLocked::Fail | OnLocked::Skip => SPEC.permissions,
        }
    }

    pub(super) const fn reason(&self, needed: Permission) -> Option<(Span, &'static str)> {
        match (self.if_locked, needed) {
            (OnLocked::RegSave, Permission::Exec) => {
                Some((self.if_locked_span, "`if_locked: reg_save` runs reg.exe"))
            }
            _ => None,
        }
    }

    pub(super) const fn effect(&self) -> Effect {
        match self.if_locked {
            // A hive that was saved can be saved again.
            OnLocked::RegSave => Effect::Converge,
            OnLocked::Fail | OnLocked::Skip => SPEC.effect,
        }
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let files = self.path.len() as u64;
        Arguments {
            others: (self
                .max_size
                .iter()
                .chain(&self.count)
                .chain([&self.offset]))
            .flat_map(Field::references)
            .collect(),
            ceiling: match self.count.as_ref().or(self.max_size.as_ref()) {
                Some(most) => Ceiling::Given(most),
                None => Ceiling::Open,
            },
            cost: Cost {
                commands: files,
                contents: files,
                uploads: 0,
                open_ended: self.if_locked == OnLocked::RegSave,
            },
            ..Arguments::default()
                .with("path", &self.path)
                .with("save_as", &self.save_as)
        }
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let mut files = Vec::new();
        let (mut obstacle, mut failure) = (None, None);
        for template in &self.path {
            let wanted = self.request(template, cx.scope)?;
            let mut fetched = fetch(cx, &wanted, None).await;
            let is_hive = self.if_locked == OnLocked::RegSave && is_locked(&fetched);
            if is_hive {
                fetched = hive::fetch(cx, &wanted).await;
            }
            let path = wanted.path.as_str();
            match fetched {
                Ok(file) => {
                    let mut row = row_of(&file, &wanted);
                    if is_hive {
                        row.extra.insert("saved_by".into(), json!("reg save"));
                    }
                    cx.rows.push(row);
                    files.push(listed(&file));
                }
                Err(cause) => {
                    let excuse = self.excuse(&cause, path).filter(|_| !is_hive);
                    cx.rows.push(Row {
                        cause: Some(excuse.clone().unwrap_or_else(|| cause.clone())),
                        path: Some(path.into()),
                        ..Row::new(RowKind::File)
                    });
                    match excuse {
                        Some(excuse) => drop(obstacle.get_or_insert(excuse)),
                        // What is wrong with one file is wrong with that one only.
                        None if is_of_the_file(&cause) => drop(failure.get_or_insert(cause)),
                        None => return Err(cause.into()),
                    }
                }
            }
        }
        match (failure, obstacle) {
            (Some(cause), _) => Err(cause.into()),
            (None, Some(cause)) if files.is_empty() => Err(Stop::Skipped(cause)),
            _ => Ok(json!({
                "found": !files.is_empty(),
                "sha256": files.first().map_or(&Value::Null, |file| &file["sha256"]),
                "files": files,
            })),
        }
    }

    /// What is to be fetched from one path.
    fn request(&self, path: &Template, scope: &Scope) -> Result<FileRequest, TemplateError> {
        let bytes = |size: &Option<Field<Size>>| {
            let size = size.as_ref().map(|size| size.resolve(scope));
            Ok(size.transpose()?.map(Size::bytes))
        };
        let path = path.render(scope)?;
        let save_as = self.save_as.as_ref().map(|name| name.render(scope));
        Ok(FileRequest {
            save_as: save_as.transpose()?.unwrap_or_else(|| path.clone()),
            offset: self.offset.resolve(scope)?.bytes(),
            count: bytes(&self.count)?,
            limit: bytes(&self.max_size)?,
            is_sample: self.sample,
            ..FileRequest::whole(&path)
        })
    }

    pub(super) fn foretell(
        &self,
        scope: &Scope,
        ground: Ground,
    ) -> Result<Foretold, TemplateError> {
        let commands = self.path.iter().map(|path| {
            let wanted = self.request(path, scope)?;
            Ok(first(&wanted, ground.piece))
        });
        let is_all = self.if_locked != OnLocked::RegSave;
        // Saving a hive changes something, and nothing is ahead of that.
        let most = if is_all { self.path.len() } else { 1 };
        Ok(Foretold {
            commands: commands.take(most).collect::<Result<_, _>>()?,
            is_all,
        })
    }

    /// The same cause in the author's words, where the author foresaw it.
    fn excuse(&self, cause: &Cause, path: &str) -> Option<Cause> {
        if self.if_missing == OnObstacle::Skip && cause.is_endpoint_code(&NOT_FOUND) {
            Some(Cause::Missing { what: path.into() })
        } else if self.if_locked == OnLocked::Skip && cause.is_endpoint_code(&LOCKED) {
            Some(Cause::Locked { what: path.into() })
        } else {
            None
        }
    }
}

fn is_locked(fetched: &Result<StoredFile, Cause>) -> bool {
    matches!(fetched, Err(cause) if cause.is_endpoint_code(&LOCKED))
}

/// Whether another file may well be fetched, and the same one will not be.
pub(super) fn is_of_the_file(cause: &Cause) -> bool {
    let is_its_own = matches!(
        cause,
        Cause::Endpoint { .. }
            | Cause::TooLarge { .. }
            | Cause::NotAHive { .. }
            | Cause::RegFailed { .. }
            | Cause::Missing { .. }
    );
    is_its_own && !cause.is_transient()
}

/// A file as results list it.
pub(super) fn listed(file: &StoredFile) -> Value {
    json!({
        "path": file.original_path, "size": file.size_received,
        "sha256": file.sha256, "stored_path": file.stored_path,
    })
}

pub(super) fn row_of(file: &StoredFile, wanted: &FileRequest) -> Row {
    let mut row = Row {
        path: Some(file.original_path.clone()),
        name: Some(super::base_name(file.original_path.raw()).into()),
        size: Some(file.size_received),
        sha256: Some(file.sha256.clone()),
        data: Some(file.stored_path.clone().into()),
        ..Row::new(RowKind::File)
    };
    let extra = &mut row.extra;
    if wanted.is_part() {
        extra.insert("offset".into(), json!(wanted.offset));
        extra.insert("count".into(), json!(wanted.count));
    }
    if let Some(packed) = &file.packed {
        extra.insert("stored_as".into(), json!(packed.stored_as));
        extra.insert("stored_sha256".into(), json!(packed.stored_sha256));
    }
    row
}
