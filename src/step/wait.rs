//! Lets time pass on the device before the next step. Sends nothing.
//!
//! The step's `timeout` does not apply. A stop of the run ends the wait early. A session that idles out
//! meanwhile is replaced when the next step needs one.
//!
//! ```yaml
//! name: Give the service time to start
//! wait: 30s
//! ```

use super::cx::{StepCx, Stop};
use super::{Arguments, Built, Spec};
use crate::model::device::Os;
use crate::model::effect::Effect;
use crate::template::{Field, FromNode};
use crate::text::diagnostic::Diagnostics;
use crate::text::duration::Duration;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

pub(super) const SPEC: Spec = Spec {
    key: "wait",
    summary: "let time pass",
    permissions: &[],
    effect: Effect::Read,
    os: &Os::NAMED,
    commands: &[],
    results: &[],
    source: include_str!("wait.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<Wait>,
};

/// How long.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(transparent)]
pub struct Wait(Field<Duration>);

impl Wait {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        Field::from_node(node, all).map(Self)
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments {
            others: self.0.references().collect(),
            ..Arguments::default()
        }
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let time = self.0.resolve(cx.scope)?.get();
        cx.hands.wait(time).await?;
        Ok(json!({}))
    }
}
