//! Deletes a file, after a copy of it is in the bag and its hash is the one that is meant.
//!
//! `sha256` is the guard: a file with another hash is left alone, and the step is skipped. `unguarded: true`
//! goes without, and `recursive`, which deletes a directory with all below it, always does: up to 10,000
//! files and directories, of which first all are in the bag. Links and junctions are deleted themselves, and
//! not followed. `evidence: {waived: REASON}` keeps no copy; a hash is compared with one all the same. The
//! sensor's own folders are left alone. The list of the directory proves that it is gone.
//!
//! ```yaml
//! name: The dropper
//! delete_file:
//!   path: 'C:\Users\Public\update.exe'
//!   sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! ```

use super::cx::{StepCx, Stop};
use super::given::names_something;
use super::guard::{
    Absent, Guarded, Hash, Sha256, Waiver, gone, guarded, holds_sensor, is_sensor, recursive,
};
use super::{Arguments, Built, Cost, ResultField, Shape, Spec, there, unexpected};
use crate::model::command::{Command, CommandResult, DirEntry, directory_operand};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::template::{Field, Fields, Template, Word, short_form};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

pub(super) const SPEC: Spec = Spec {
    key: "delete_file",
    summary: "delete a file",
    permissions: &[Permission::Delete],
    effect: Effect::Converge,
    os: &Os::NAMED,
    commands: &["directory list", "get file", "delete file"],
    results: &[ResultField::new(
        "found",
        Shape::Flag,
        "whether there was anything to delete",
    )],
    source: include_str!("delete_file.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<DeleteFile>,
};

/// Which file to delete, and what must hold before.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("anyOf" = [{"required": ["sha256"]}, {"required": ["unguarded"]}]),
    transform = short_form("path")
)]
pub struct DeleteFile {
    /// The file on the endpoint; no wildcards.
    pub path: Template,
    /// The hash that the file must have right before; one with another is left alone.
    pub sha256: Option<Field<Sha256>>,
    /// `true` deletes whatever is there under that name.
    #[schemars(with = "Option<Word<Guarded>>")]
    pub unguarded: Guarded,
    /// Whether a directory goes with all below it; needs `unguarded`.
    #[schemars(extend("default" = false))]
    pub recursive: bool,
    /// What a file that is gone already means for the step.
    #[schemars(with = "Word<Absent>", extend("default" = "ok"))]
    pub if_missing: Absent,
    /// A copy is kept first, unless this says why not.
    pub evidence: Option<Waiver>,
}

impl DeleteFile {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "path", all);
        let path = fields.required("path");
        names_something(&mut fields, "path", path.as_ref());
        let sha256 = fields.optional("sha256");
        let unguarded = fields.or("unguarded", Guarded::Yes);
        let whole_tree = fields.or("recursive", false);
        let if_missing = fields.or("if_missing", Absent::Ok);
        let evidence = fields.optional("evidence");
        if whole_tree && fields.has("sha256") {
            let span = fields.key_span("sha256");
            fields
                .diagnostics()
                .error(
                    Code::BadValue,
                    span,
                    "`sha256` is the hash of one file, and `recursive` deletes a directory",
                )
                .help("write unguarded: true in its place, or remove `recursive`");
        } else if whole_tree {
            recursive(&mut fields, whole_tree, unguarded);
        } else {
            guarded(&mut fields, SPEC.key, "sha256", unguarded);
        }
        fields.finish();
        Some(Self {
            path: path?,
            sha256,
            unguarded,
            recursive: whole_tree,
            if_missing,
            evidence,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let contents = u64::from(self.evidence.is_none() || self.sha256.is_some());
        Arguments {
            others: self.sha256.iter().flat_map(Field::references).collect(),
            cost: Cost {
                // Two looks, and the end of it.
                commands: 3 + contents,
                contents,
                uploads: 0,
                open_ended: self.recursive,
            },
            ..Arguments::default().with("path", [&self.path])
        }
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let path = there::path(&self.path, cx.scope)?;
        let guard = self.sha256.as_ref().map(|hash| hash.resolve(cx.scope));
        let guard = guard.transpose()?;
        if is_sensor(&path) || self.recursive && holds_sensor(&path) {
            let what = path.into();
            return Err(Cause::Protected { what }.into());
        }
        let is_done = there::has_run(cx, "delete file", &path);
        let Some(entry) = there::entry(cx, &path).await? else {
            return gone(self.if_missing, is_done, &path);
        };
        let root = Found { path, entry };
        let path = root.path.clone();
        let found = if !root.is_folder() {
            vec![root]
        } else if self.recursive {
            whole_tree(cx, root).await?
        } else {
            let what = path.into();
            return Err(Cause::NeedsRecursive { what }.into());
        };
        let mut meant = Vec::new();
        for one in found {
            if self.is_kept(cx, &one, guard.as_ref()).await? {
                meant.push(one);
            }
        }
        if meant.is_empty() {
            return gone(self.if_missing, is_done, &path);
        }
        // What is in a directory goes before it.
        for one in meant.into_iter().rev() {
            match (cx
                .hands
                .command(Command::DeleteFile { path: one.path }, SPEC.effect))
            .await
            {
                Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => {}
                other => drop(other?),
            }
        }
        if there::entry(cx, &path).await?.is_some() {
            let what = path.into();
            return Err(Cause::StillThere { what }.into());
        }
        Ok(json!({"found": true}))
    }

    /// Keeps a copy, and leaves alone what is not meant; says whether it is still there.
    async fn is_kept(
        &self,
        cx: &mut StepCx<'_>,
        found: &Found,
        guard: Option<&Sha256>,
    ) -> Result<bool, Stop> {
        let Found { path, entry } = found;
        if found.is_folder() {
            return Ok(true);
        }
        match (&self.evidence, guard) {
            (Some(waiver), None) => {
                let row = there::row_of(path, entry);
                cx.rows.push(there::waive(row, SPEC.key, waiver));
                return Ok(true);
            }
            // What a link leads to is not what goes.
            (None, None) if entry.is_reparse_point() => {
                cx.rows.push(there::row_of(path, entry));
                return Ok(true);
            }
            _ => {}
        }
        let kept = match there::keep(cx, SPEC.key, path, Some(entry)).await {
            Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => return Ok(false),
            other => other?,
        };
        match guard {
            Some(Hash(meant)) if *meant != kept.sha256 => Err(Stop::Skipped(Cause::OtherHash {
                what: path.as_str().into(),
                found: kept.sha256,
                meant: meant.clone(),
            })),
            _ => Ok(true),
        }
    }
}

/// More than anybody deletes on purpose.
const MOST: usize = 10_000;

/// Something that is to be deleted.
struct Found {
    path: String,
    entry: DirEntry,
}

impl Found {
    /// It has a content of its own that would go with it.
    fn is_folder(&self) -> bool {
        self.entry.is_directory() && !self.entry.is_reparse_point()
    }
}

/// A directory and all that is below it; each comes before what is in it.
async fn whole_tree(cx: &mut StepCx<'_>, root: Found) -> Result<Vec<Found>, Cause> {
    let os = cx.device.os;
    let mut all = vec![root];
    let mut at = 0;
    while at < all.len() {
        let one = &all[at];
        at += 1;
        if !one.is_folder() {
            continue;
        }
        let operand = directory_operand(&one.path, os);
        let path = operand.clone();
        let reply = match cx.ask(Command::DirectoryList { path }).await {
            Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => continue,
            other => other?,
        };
        let CommandResult::Entries(entries) = reply.result else {
            return Err(unexpected(&reply));
        };
        for entry in entries {
            if is_name(entry.name.raw(), os) {
                let path = format!("{operand}{}", entry.name.raw());
                all.push(Found { path, entry });
            }
        }
        if all.len() > MOST {
            return Err(Cause::TooMany { limit: MOST as u64 });
        }
    }
    Ok(all)
}

/// Whether it names something in the directory, and nothing elsewhere.
fn is_name(name: &str, os: Os) -> bool {
    let leads_away = name.contains('/') || (os == Os::Windows && name.contains(['\\', ':']));
    !leads_away && !matches!(name, "" | "." | "..")
}
