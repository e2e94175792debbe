//! Dumps the endpoint's memory into a file there, and fetches it where `download: true`.
//!
//! A dump is as large as the memory, and takes long: `timeout` is for the dump and for fetching it. With
//! `compress` the sensor writes an archive and puts `.zip` after its name. One that was fetched is deleted
//! from the endpoint afterwards. One that was not, also because fetching it failed, stays, and reports
//! list it as left behind.
//!
//! ```yaml
//! name: Memory
//! memdump: {path: 'C:\Windows\Temp\memory.dmp', download: true}
//! timeout: 2h
//! ```

use super::cx::{FileRequest, Removal, StepCx, Stop};
use super::{Arguments, Built, ResultField, Shape, Spec, base_name, get_file, unexpected};
use crate::model::command::{Command, CommandResult};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission, Reached};
use crate::model::outcome::Cause;
use crate::model::row::{Row, RowKind, StoredFile};
use crate::template::{Fields, Template, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

pub(super) const SPEC: Spec = Spec {
    key: "memdump",
    summary: "dump the memory",
    permissions: &[Permission::Memory],
    effect: Effect::Once,
    os: &[Os::Windows],
    commands: &["memdump", "get file", "directory list", "delete file"],
    results: &[
        ResultField::new(
            "files",
            Shape::List,
            "the dump, if it was fetched, with `path`, `size`, `sha256`, `stored_path`",
        ),
        ResultField::new("found", Shape::Flag, "whether it was fetched"),
    ],
    source: include_str!("memdump.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<Memdump>,
};

/// Refusals because of something that was there before: access denied, a sharing or lock violation, and a
/// file that exists. It is not ours to delete.
const NOT_OURS: [u32; 5] = [
    0x8007_0005,
    0x8007_0020,
    0x8007_0021,
    0x8007_0050,
    0x8007_00b7,
];

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

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let path = self.path.render(cx.scope)?;
        let written = if self.compress {
            format!("{path}.zip")
        } else {
            path.clone()
        };
        let (fetched, removal) = match self.dump(cx, &path).await {
            Ok(()) if self.download => {
                match get_file::fetch(cx, &FileRequest::whole(&written), None).await {
                    Ok(file) => (Ok(Some(file)), cx.remove(&written).await?),
                    // It is the only one, and what was in the memory then is not there any more.
                    Err(cause) => {
                        cx.hands.left_behind(written.clone()).await?;
                        (Err(cause), Removal::LeftBehind)
                    }
                }
            }
            Ok(()) => {
                cx.hands.left_behind(written.clone()).await?;
                (Ok(None), Removal::LeftBehind)
            }
            Err(cause) if may_have_written(&cause) => (Err(cause), cx.remove(&written).await?),
            Err(cause) => (Err(cause), Removal::Gone),
        };
        cx.rows.push(self.row(&written, &fetched, removal));
        let files: Vec<Value> = fetched?.iter().map(get_file::listed).collect();
        Ok(json!({"found": !files.is_empty(), "files": files}))
    }

    async fn dump(&self, cx: &mut StepCx<'_>, path: &str) -> Result<(), Cause> {
        let command = Command::MemDump {
            path: path.to_owned(),
            compress: self.compress,
        };
        let reply = cx.hands.command(command, SPEC.effect).await?;
        match reply.result {
            CommandResult::Done => Ok(()),
            _ => Err(unexpected(&reply)),
        }
    }

    fn row(
        &self,
        written: &str,
        fetched: &Result<Option<StoredFile>, Cause>,
        removal: Removal,
    ) -> Row {
        let file = fetched.as_ref().ok().and_then(Option::as_ref);
        let mut row = Row {
            path: Some(written.into()),
            name: Some(base_name(written).into()),
            size: file.map(|file| file.size_received),
            sha256: file.map(|file| file.sha256.clone()),
            data: file.map(|file| file.stored_path.clone().into()),
            cause: fetched.as_ref().err().cloned(),
            ..Row::new(RowKind::File)
        };
        row.extra.insert("compress".into(), json!(self.compress));
        let left_behind = removal == Removal::LeftBehind;
        row.extra.insert("left_behind".into(), json!(left_behind));
        row
    }
}

/// Whether writing a file that failed may have left one. What was never begun has not: what lies there then
/// is somebody else's.
pub(super) fn may_have_written(cause: &Cause) -> bool {
    match cause {
        Cause::Endpoint { .. } => !cause.is_endpoint_code(&NOT_OURS),
        Cause::Interrupted => true,
        other => other.reached() != Reached::No,
    }
}
