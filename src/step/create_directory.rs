//! Creates a directory on the endpoint, with those above it; one that is there already is as good.
//!
//! A file of that name is in the way, and the step fails. With `parents: false` what it stands in has to be
//! there. The list of the directory proves that it is there.
//!
//! ```yaml
//! name: Room for the tool
//! create_directory: 'C:\ProgramData\Triage\out'
//! ```

use super::cx::{StepCx, Stop};
use super::given::names_something;
use super::{Arguments, Built, ResultField, Shape, Spec, there};
use crate::model::command::Command;
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::Cause;
use crate::template::{Fields, Template, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

pub(super) const SPEC: Spec = Spec {
    key: "create_directory",
    summary: "create a directory",
    permissions: &[Permission::Write],
    effect: Effect::Converge,
    os: &Os::NAMED,
    commands: &["directory list", "create directory"],
    results: &[ResultField::new(
        "created",
        Shape::Flag,
        "whether it had to be created",
    )],
    source: include_str!("create_directory.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<CreateDirectory>,
};

/// Which directory to create.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("path"))]
pub struct CreateDirectory {
    /// The directory on the endpoint.
    pub path: Template,
    /// Whether missing directories above it are created too.
    #[schemars(extend("default" = true))]
    pub parents: bool,
}

/// More levels than any path has.
const DEEPEST: usize = 128;

impl CreateDirectory {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "path", all);
        let path = fields.required("path");
        names_something(&mut fields, "path", path.as_ref());
        let parents = fields.or("parents", true);
        fields.finish();
        Some(Self {
            path: path?,
            parents,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        // Two looks, and one for each level that is missing.
        let mut arguments = Arguments::costing(3, 0).with("path", [&self.path]);
        arguments.cost.open_ended = self.parents;
        arguments
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let path = there::path(&self.path, cx.scope)?;
        let mut created = there::has_run(cx, CREATE, &path);
        let missing = self.missing(cx, &path).await?;
        for level in missing.iter().rev() {
            created |= make(cx, level).await?;
        }
        if !missing.is_empty() && !is_directory(cx, &path).await? {
            let what = path.into();
            return Err(Cause::Missing { what }.into());
        }
        Ok(json!({ "created": created }))
    }

    /// The directories that are to be made, the innermost first.
    async fn missing(&self, cx: &mut StepCx<'_>, path: &str) -> Result<Vec<String>, Cause> {
        let mut missing = Vec::new();
        let mut level = path;
        while missing.len() < DEEPEST && !there::is_root(level, cx.device.os) {
            if is_directory(cx, level).await? {
                break;
            }
            missing.push(level.to_owned());
            level = match level.rfind(['/', '\\']) {
                Some(end) if self.parents => level[..end].trim_end_matches(['/', '\\']),
                _ => break,
            };
        }
        Ok(missing)
    }
}

const CREATE: &str = "create directory";

/// Makes one level; says whether it was not there yet.
async fn make(cx: &mut StepCx<'_>, path: &str) -> Result<bool, Cause> {
    let create = Command::CreateDirectory {
        path: path.to_owned(),
    };
    match cx.hands.command(create, SPEC.effect).await {
        Ok(_) => Ok(true),
        // Somebody else may have been faster.
        Err(cause) if cause.is_refusal() && is_directory(cx, path).await? => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// Whether it is there; a file of that name is in the way.
async fn is_directory(cx: &mut StepCx<'_>, path: &str) -> Result<bool, Cause> {
    match there::entry(cx, path).await? {
        None => Ok(false),
        Some(entry) if entry.is_directory() => Ok(true),
        Some(_) => Err(Cause::InTheWay { what: path.into() }),
    }
}
