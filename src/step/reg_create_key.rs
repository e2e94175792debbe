//! Creates a registry key; one that is there already is as good. Reading it proves that it is there.
//!
//! ```yaml
//! name: Policy key
//! reg_create_key: 'HKLM\SOFTWARE\Policies\Example'
//! ```

use super::cx::{StepCx, Stop};
use super::{Arguments, Built, ResultField, Shape, Spec, registry, there};
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
    key: "reg_create_key",
    summary: "create a registry key",
    permissions: &[Permission::Write],
    effect: Effect::Converge,
    os: &[Os::Windows],
    commands: &["reg enum key", "reg create key"],
    results: &[ResultField::new(
        "created",
        Shape::Flag,
        "whether it had to be created",
    )],
    source: include_str!("reg_create_key.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<RegCreateKey>,
};

/// Which key to create.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("key"))]
pub struct RegCreateKey {
    /// The key, such as `HKLM\SOFTWARE\Policies\Example`.
    pub key: Template,
}

impl RegCreateKey {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "key", all);
        let key = fields.required("key");
        fields.finish();
        Some(Self { key: key? })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments::costing(3, 0).with("key", [&self.key])
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let key = registry::key(&self.key, cx.scope)?;
        let is_done = there::has_run(cx, "reg create key", &key);
        if registry::enumerate(cx, &key).await?.is_some() {
            return Ok(json!({ "created": is_done }));
        }
        let path = key.clone();
        let made = match (cx
            .hands
            .command(Command::RegCreateKey { path }, SPEC.effect))
        .await
        {
            Ok(_) => Ok(()),
            // Somebody else may have been faster.
            Err(cause) if cause.is_refusal() => Err(cause),
            Err(cause) => return Err(cause.into()),
        };
        match (registry::enumerate(cx, &key).await?, made) {
            (Some(_), made) => Ok(json!({ "created": made.is_ok() })),
            (None, Err(cause)) => Err(cause.into()),
            (None, Ok(())) => Err(Cause::Missing { what: key.into() }.into()),
        }
    }
}
