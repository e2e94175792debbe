//! Derives values for later steps: each name becomes a variable below `vars`, for this device.
//!
//! ```yaml
//! name: Remember the host
//! set: {host: '{{ device.short_name | lower }}'}
//! ```

use super::cx::{StepCx, Stop};
use super::{Arguments, Built, Spec};
use crate::model::device::Os;
use crate::model::effect::Effect;
use crate::template::{Data, entries};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) const SPEC: Spec = Spec {
    key: "set",
    summary: "derive values for later steps",
    permissions: &[],
    effect: Effect::Read,
    os: &Os::NAMED,
    commands: &[],
    results: &[],
    source: include_str!("set.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<Set>,
};

/// Names and what they become: `vars.NAME` in later templates.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(transparent)]
pub struct Set {
    #[schemars(with = "BTreeMap<String, Data>")]
    pub values: Vec<(String, Data)>,
}

impl Set {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let values = entries(node, SPEC.key, all)?;
        Some(Self {
            values: values
                .into_iter()
                .map(|(key, data)| (key.text, data))
                .collect(),
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments::default().with(
            "value",
            self.values.iter().flat_map(|(_, data)| data.templates()),
        )
    }

    /// The result is the new variables; the engine puts them below `vars`.
    pub(super) fn run(&self, cx: &StepCx<'_>) -> Result<Value, Stop> {
        let mut values = Map::new();
        for (name, data) in &self.values {
            values.insert(name.clone(), data.json(cx.scope)?);
        }
        Ok(Value::Object(values))
    }
}
