//! Writes a file to the endpoint: a local one, or text from the playbook.
//!
//! Exactly one of `source` and `content` says what. `source` is read when the plan is made, and what it
//! is then is part of what is approved. A file that is there already is left alone, and the step fails,
//! unless `overwrite: true`: then a copy of it goes into the bag, and it is deleted first, which needs the
//! permission `delete` too. `remove_after` takes the file away again at the device's end, also after a
//! failure or a stop; where that fails, reports list it as left behind. The list of the directory proves that
//! it is there in its size.
//!
//! ```yaml
//! name: Banner
//! put_file:
//!   path: 'C:\ProgramData\notice.txt'
//!   content: this host is under investigation
//! ```

use super::cx::{Content, StepCx, Stop};
use super::given::names_something;
use super::guard::one_of;
use super::{Arguments, Built, Cost, ResultField, Shape, Spec, base_name, memdump, there};
use crate::model::command::Command;
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::model::row::{Row, RowKind};
use crate::template::{Fields, Scope, Template, TemplateError};
use crate::text::diagnostic::Diagnostics;
use crate::text::json;
use crate::text::source::Span;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

pub(super) const SPEC: Spec = Spec {
    key: "put_file",
    summary: "write a file to the endpoint",
    permissions: &[Permission::Write],
    effect: Effect::Converge,
    os: &Os::NAMED,
    commands: &["directory list", "get file", "delete file", "put file"],
    results: &[
        ResultField::new("path", Shape::Text, "where it was written"),
        ResultField::new("sha256", Shape::Text, "the hash of what was written"),
    ],
    source: include_str!("put_file.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<PutFile>,
};

/// What to write, and where.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [{"required": ["source"]}, {"required": ["content"]}])
)]
pub struct PutFile {
    /// The local file that is sent, relative to the playbook.
    pub source: Option<Template>,
    /// The text that is written, in place of `source`.
    pub content: Option<Template>,
    /// Where it goes on the endpoint.
    pub path: Template,
    /// Whether a file that is there already is replaced; needs the permission `delete`.
    #[schemars(extend("default" = false))]
    pub overwrite: bool,
    /// Where that is said.
    #[schemars(skip)]
    pub(super) overwrite_span: Span,
    /// Whether the file is taken away again at the device's end.
    #[schemars(extend("default" = false))]
    pub remove_after: bool,
}

impl PutFile {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, SPEC.key, all);
        let source = fields.optional("source");
        let content = fields.optional("content");
        let path = fields.required("path");
        names_something(&mut fields, "path", path.as_ref());
        let overwrite = fields.or("overwrite", false);
        let overwrite_span = fields.key_span("overwrite");
        let remove_after = fields.or("remove_after", false);
        one_of(
            &mut fields,
            SPEC.key,
            ["source", "content"],
            "name a local file, or give the text itself",
        );
        fields.finish();
        Some(Self {
            source,
            content,
            path: path?,
            overwrite,
            overwrite_span,
            remove_after,
        })
    }

    pub(super) const fn permissions(&self) -> &'static [Permission] {
        if self.overwrite {
            &[Permission::Write, Permission::Delete]
        } else {
            SPEC.permissions
        }
    }

    pub(super) const fn reason(&self, needed: Permission) -> Option<(Span, &'static str)> {
        match (self.overwrite, needed) {
            (true, Permission::Delete) => Some((
                self.overwrite_span,
                "`overwrite: true` deletes what is there",
            )),
            _ => None,
        }
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let replaced = u64::from(self.overwrite);
        Arguments {
            cost: Cost {
                // Two looks and the file; a copy of what was there, and its end.
                commands: 3 + 2 * replaced + u64::from(self.remove_after),
                contents: replaced,
                uploads: 1,
                open_ended: false,
            },
            ..Arguments::default()
                .with("source", &self.source)
                .with("content", &self.content)
                .with("path", [&self.path])
        }
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let path = there::path(&self.path, cx.scope)?;
        let sent = self.sent(cx)?;
        let is_ours = there::has_run(cx, PUT, &path);
        match there::entry(cx, &path).await? {
            Some(entry) if is_ours => is_as_sent(&path, &sent, entry.size)?,
            found => {
                if let Some(entry) = found {
                    if !self.overwrite || entry.is_directory() {
                        let what = path.as_str().into();
                        return Err(Cause::InTheWay { what }.into());
                    }
                    there::keep(cx, SPEC.key, &path, Some(&entry)).await?;
                    let path = path.clone();
                    match (cx.hands.command(Command::DeleteFile { path }, SPEC.effect)).await {
                        Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => {}
                        other => drop(other?),
                    }
                }
                self.put(cx, &path, &sent).await?;
            }
        }
        cx.rows.push(Row {
            path: Some(path.as_str().into()),
            name: Some(base_name(&path).into()),
            size: Some(sent.size),
            sha256: Some(sent.sha256.clone()),
            ..Row::new(RowKind::File)
        });
        Ok(json!({"path": path, "sha256": sent.sha256}))
    }

    /// Writes it, and looks whether it is there; one that is to go again does not stay after a failure.
    async fn put(&self, cx: &mut StepCx<'_>, path: &str, sent: &Sent) -> Result<(), Cause> {
        let content = match &sent.text {
            Some(text) => Content::Bytes(Arc::clone(text)),
            None => Content::Asset(&sent.sha256),
        };
        let uploaded = cx.hands.upload(content, base_name(path)).await?;
        let put = Command::PutFile {
            path: path.to_owned(),
            file: uploaded.file,
            size: sent.size,
        };
        let put = cx.hands.command(put, SPEC.effect).await;
        let half = |cause: &Cause| {
            matches!(cause, Cause::Endpoint { .. }) && memdump::may_have_written(cause)
        };
        let may_be_there = there::has_run(cx, PUT, path) || put.as_ref().is_err_and(half);
        let proved = match put {
            Ok(_) => proof(cx, path, sent).await,
            Err(cause) => Err(cause),
        };
        if self.remove_after && may_be_there && proved.is_err() {
            // Without another session it is recorded that it stays.
            drop(cx.hands.renew().await);
            cx.remove(path).await?;
        }
        proved
    }

    /// What is written.
    fn sent(&self, cx: &StepCx<'_>) -> Result<Sent, Stop> {
        if let Some(content) = &self.content {
            return Ok(Sent::text(content, cx.scope)?);
        }
        let source = cx.hands.source().ok_or_else(|| Cause::Internal {
            detail: "a file that the plan does not have was to be sent".into(),
        })?;
        Ok(Sent {
            sha256: source.sha256,
            size: source.size,
            text: None,
        })
    }
}

const PUT: &str = "put file";

/// What is written.
struct Sent {
    sha256: String,
    size: u64,
    /// None for a local file.
    text: Option<Arc<[u8]>>,
}

impl Sent {
    fn text(content: &Template, scope: &Scope) -> Result<Self, TemplateError> {
        let text: Arc<[u8]> = content.render(scope)?.into_bytes().into();
        Ok(Self {
            sha256: json::hex(&Sha256::digest(&text)),
            size: text.len() as u64,
            text: Some(text),
        })
    }
}

/// It is there, in its size.
async fn proof(cx: &mut StepCx<'_>, path: &str, sent: &Sent) -> Result<(), Cause> {
    match there::entry(cx, path).await? {
        Some(entry) => is_as_sent(path, sent, entry.size),
        // What watches the endpoint may have taken it.
        None => Err(Cause::Missing { what: path.into() }),
    }
}

fn is_as_sent(path: &str, sent: &Sent, size: u64) -> Result<(), Cause> {
    if size == sent.size {
        return Ok(());
    }
    Err(Cause::Differs {
        what: path.into(),
        found: format!("{size} bytes, and not {}", sent.size).into(),
    })
}
