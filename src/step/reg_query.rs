//! Reads the Windows registry: a key's values and sub keys, or one value.
//!
//! `depth` says how many levels of sub keys are read too. A key or value that does not exist skips the
//! step, unless `if_missing: fail`.
//!
//! ```yaml
//! name: Run keys
//! reg_query: 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run'
//! register: run_keys
//! ```

use super::cx::{OnObstacle, StepCx, Stop};
use super::{Arguments, Built, Cost, ResultField, Shape, Spec, unexpected};
use crate::model::command::{Command, CommandResult, RegistryValue};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::model::remote::RemoteText;
use crate::model::row::{Row, RowKind};
use crate::template::{Bounded, Field, Fields, Template, Word, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};
use std::collections::VecDeque;

pub(super) const SPEC: Spec = Spec {
    key: "reg_query",
    summary: "read registry keys and values",
    permissions: &[Permission::Read],
    effect: Effect::Read,
    os: &[Os::Windows],
    commands: &["reg enum key", "reg query value"],
    results: &[
        ResultField::new(
            "values",
            Shape::List,
            "the values, each with `path` (of its key), `name`, `type`, `data`",
        ),
        ResultField::new("names", Shape::List, "the paths of the sub keys"),
        ResultField::new(
            "found",
            Shape::Flag,
            "whether there is any value or sub key",
        ),
    ],
    source: include_str!("reg_query.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<RegQuery>,
};

/// More levels than any hive has in practice.
type Depth = Bounded<0, 32>;
const FLAT: Depth = Depth::new(0);
/// More values than a person or a table can use.
const MAX_VALUES: usize = 200_000;

/// What to read.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("key"))]
pub struct RegQuery {
    /// The key, such as `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run`.
    pub key: Template,
    /// The one value to read; without it the key's values and sub keys are read.
    pub value: Option<Template>,
    /// How many levels of sub keys are read too.
    #[schemars(extend("default" = 0))]
    pub depth: Field<Depth>,
    /// What a key or value that is not there means for the step.
    #[schemars(with = "Word<OnObstacle>", extend("default" = "skip"))]
    pub if_missing: OnObstacle,
}

impl RegQuery {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "key", all);
        let key = fields.required("key");
        let value = fields.optional("value");
        let depth = fields.or("depth", Field::Literal(FLAT));
        let if_missing = fields.or("if_missing", OnObstacle::Skip);
        fields.finish();
        Some(Self {
            key: key?,
            value,
            depth,
            if_missing,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments {
            others: self.depth.references().collect(),
            cost: Cost {
                commands: 1,
                contents: 0,
                open_ended: self.depth.literal() != Some(&FLAT),
            },
            ..Arguments::default()
                .with("key", [&self.key])
                .with("value", &self.value)
        }
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let key = self.key.render(cx.scope)?;
        let result = if let Some(value) = &self.value {
            let value = value.render(cx.scope)?;
            one_value(cx, &key, &value).await
        } else {
            let depth = self.depth.resolve(cx.scope)?.get();
            whole_key(cx, &key, depth).await
        };
        match result {
            Err(cause)
                if self.if_missing == OnObstacle::Skip && cause.is_endpoint_code(&NOT_FOUND) =>
            {
                Err(Stop::Skipped(Cause::Missing { what: key.into() }))
            }
            other => Ok(other?),
        }
    }
}

async fn one_value(cx: &mut StepCx<'_>, key: &str, value: &str) -> Result<Value, Cause> {
    let reply = cx
        .ask(Command::RegQueryValue {
            path: format!("{key}\\{value}"),
        })
        .await?;
    let CommandResult::Value(value) = &reply.result else {
        return Err(unexpected(&reply));
    };
    cx.rows.push(row_of(key, value));
    Ok(json!({"values": [value_of(key, value)], "names": [], "found": true}))
}

async fn whole_key(cx: &mut StepCx<'_>, root: &str, depth: u32) -> Result<Value, Cause> {
    let mut values = Vec::new();
    let mut names = Vec::new();
    let mut pending = VecDeque::from([(root.to_owned(), 0)]);
    while let Some((key, level)) = pending.pop_front() {
        let reply = match cx.ask(Command::RegEnumKey { path: key.clone() }).await {
            // A sub key may vanish or be closed to us; that is a row, not the end.
            Err(cause @ Cause::Endpoint { .. }) if level > 0 => {
                cx.rows.push(Row {
                    path: Some(key.into()),
                    cause: Some(cause),
                    ..Row::new(RowKind::RegistryValue)
                });
                continue;
            }
            other => other?,
        };
        let CommandResult::Key {
            values: found,
            sub_keys,
        } = &reply.result
        else {
            return Err(unexpected(&reply));
        };
        for value in found {
            cx.rows.push(row_of(&key, value));
            values.push(value_of(&key, value));
        }
        for sub_key in sub_keys {
            let path = format!("{key}\\{}", sub_key.raw());
            if level < depth {
                pending.push_back((path.clone(), level + 1));
            }
            names.push(path);
        }
        if values.len() + names.len() > MAX_VALUES {
            return Err(Cause::TooMany {
                limit: MAX_VALUES as u64,
            });
        }
    }
    Ok(json!({"found": !values.is_empty() || !names.is_empty(), "values": values, "names": names}))
}

fn value_of(key: &str, value: &RegistryValue) -> Value {
    json!({"path": key, "name": value.name, "type": value.kind, "data": value.data})
}

fn row_of(key: &str, value: &RegistryValue) -> Row {
    Row {
        path: Some(RemoteText::from(key)),
        name: Some(value.name.clone()),
        type_: Some(value.kind.clone()),
        data: Some(value.data.clone()),
        ..Row::new(RowKind::RegistryValue)
    }
}
