//! Fails the step unless every expression under `that` holds. Sends nothing.
//!
//! ```yaml
//! name: Somebody is logged on
//! assert:
//!   that: users.stdout | length > 0
//!   message: nobody is logged on to {{ device.name }}
//! ```

use super::cx::{StepCx, Stop};
use super::{Arguments, Built, Spec};
use crate::model::device::Os;
use crate::model::effect::Effect;
use crate::model::outcome::Cause;
use crate::template::{Expr, Fields, Template, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

pub(super) const SPEC: Spec = Spec {
    key: "assert",
    summary: "fail unless something holds",
    permissions: &[],
    effect: Effect::Read,
    os: &Os::NAMED,
    commands: &[],
    results: &[],
    source: include_str!("assert.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<Assert>,
};

/// What has to hold for the device to go on.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("that"))]
pub struct Assert {
    /// What has to hold: one expression or a list of them, without `{{ }}`.
    pub that: Vec<Expr>,
    /// What to say when it does not hold; the expression unless given.
    pub message: Option<Template>,
}

impl Assert {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "that", all);
        let that = fields.required("that");
        let message = fields.optional("message");
        fields.finish();
        Some(Self {
            that: that?,
            message,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments {
            expressions: self.that.iter().collect(),
            ..Arguments::default().with("message", &self.message)
        }
    }

    pub(super) fn run(&self, cx: &StepCx<'_>) -> Result<Value, Stop> {
        for expression in &self.that {
            if !expression.test(cx.scope)? {
                let message = match &self.message {
                    Some(message) => message.render(cx.scope)?,
                    None => expression.text().to_owned(),
                };
                let at = Some(expression.span());
                return Err(Cause::AssertFailed { message, at }.into());
            }
        }
        Ok(json!({}))
    }
}
