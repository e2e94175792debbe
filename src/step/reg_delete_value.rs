//! Deletes a registry value, after its data is in the bag.
//!
//! An empty name would mean the key's default value, and is nearly always a template that came out
//! empty; it is an error. Reading the value again proves that it is gone.
//!
//! ```yaml
//! name: The run value
//! reg_delete_value:
//!   key: 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run'
//!   value: Updater
//! ```

use super::cx::{StepCx, Stop};
use super::guard::{Absent, Waiver, gone};
use super::{Arguments, Built, ResultField, Shape, Spec, registry, there};
use crate::model::command::Command;
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::template::{Fields, Template, TemplateError, Word};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

pub(super) const SPEC: Spec = Spec {
    key: "reg_delete_value",
    summary: "delete a registry value",
    permissions: &[Permission::Delete],
    effect: Effect::Converge,
    os: &[Os::Windows],
    commands: &["reg query value", "reg delete value"],
    results: &[ResultField::new(
        "found",
        Shape::Flag,
        "whether there was anything to delete",
    )],
    source: include_str!("reg_delete_value.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<RegDeleteValue>,
};

/// Which value to delete.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RegDeleteValue {
    /// The key that has the value.
    pub key: Template,
    /// The value's name; never empty.
    pub value: Template,
    /// What a value that is gone already means for the step.
    #[schemars(with = "Word<Absent>", extend("default" = "ok"))]
    pub if_missing: Absent,
    /// The value is kept first, unless this says why not.
    pub evidence: Option<Waiver>,
}

impl RegDeleteValue {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, SPEC.key, all);
        let key = fields.required("key");
        let value: Option<Template> = fields.required("value");
        let if_missing = fields.or("if_missing", Absent::Ok);
        let evidence = fields.optional("evidence");
        if let Some(value) = &value
            && value.is_literal()
            && value.text().is_empty()
        {
            fields
                .diagnostics()
                .error(Code::BadValue, value.span(), "`value` is empty")
                .help("name the value that is to go");
        }
        fields.finish();
        Some(Self {
            key: key?,
            value: value?,
            if_missing,
            evidence,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments::costing(3, 0)
            .with("key", [&self.key])
            .with("value", [&self.value])
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let key = registry::key(&self.key, cx.scope)?;
        let value = self.value.render(cx.scope)?;
        if value.is_empty() {
            let message = "`value` is empty";
            return Err(TemplateError::new(Code::BadValue, self.value.span(), message).into());
        }
        let path = registry::path(&key, &value);
        let is_done = there::has_run(cx, "reg delete value", &path);
        let Some(old) = registry::query(cx, &path).await? else {
            return gone(self.if_missing, is_done, &path);
        };
        let row = registry::kept(SPEC.key, &key, &old, self.evidence.as_ref());
        cx.rows.push(row);
        let delete = Command::RegDeleteValue { path: path.clone() };
        match cx.hands.command(delete, SPEC.effect).await {
            Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => {}
            other => drop(other?),
        }
        if registry::query(cx, &path).await?.is_some() {
            let what = path.into();
            return Err(Cause::StillThere { what }.into());
        }
        Ok(json!({"found": true}))
    }
}
