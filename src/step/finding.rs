//! Records something that an analyst should see, in `findings.ndjson` and on screen. Sends nothing.
//!
//! `severity` is info, low, medium, high or critical; `attack` lists ATT&CK technique ids; `evidence`
//! is any value.
//!
//! ```yaml
//! name: Shadow copies are gone
//! when: '"No items found" in shadows.stdout'
//! finding:
//!   title: No shadow copies left on {{ device.name }}
//!   severity: high
//!   attack: [T1490]
//! ```

use super::cx::{StepCx, Stop};
use super::{Arguments, Built, Spec};
use crate::model::device::Os;
use crate::model::effect::Effect;
use crate::model::row::{Finding as Found, Row, RowKind, Severity};
use crate::template::{Choice, Data, Fields, Template, Word, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

pub(super) const SPEC: Spec = Spec {
    key: "finding",
    summary: "record a finding",
    permissions: &[],
    effect: Effect::Read,
    os: &Os::NAMED,
    commands: &[],
    results: &[],
    source: include_str!("finding.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<Finding>,
};

/// What an analyst should see.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("title"))]
pub struct Finding {
    /// What was found, in one line.
    pub title: Template,
    /// How bad it is.
    #[schemars(with = "Word<Severity>", extend("default" = "info"))]
    pub severity: Severity,
    /// ATT&CK technique ids such as `T1547.001`.
    #[schemars(extend("default" = []))]
    pub attack: Vec<String>,
    /// What shows it: any value, often a registered result.
    pub evidence: Option<Data>,
}

impl Choice for Severity {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("info", Self::Info),
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
        ("critical", Self::Critical),
    ];
}

impl Finding {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "title", all);
        let title = fields.required("title");
        let severity = fields.or("severity", Severity::Info);
        let attack = fields.or("attack", Vec::new());
        let evidence = fields.optional("evidence");
        fields.finish();
        Some(Self {
            title: title?,
            severity,
            attack,
            evidence,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments::default()
            .with("title", [&self.title])
            .with("evidence", self.evidence.iter().flat_map(Data::templates))
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let evidence = match &self.evidence {
            Some(data) => data.json(cx.scope)?,
            None => Value::Null,
        };
        let found = Found {
            title: self.title.render(cx.scope)?.into(),
            severity: self.severity,
            attack: self.attack.clone(),
            evidence,
        };
        cx.rows.push(row_of(&found));
        cx.hands.finding(found).await?;
        Ok(json!({}))
    }
}

fn row_of(found: &Found) -> Row {
    let mut row = Row::new(RowKind::Finding);
    row.name = Some(found.title.clone());
    row.type_ = Some(found.severity.to_string());
    row.extra.insert("attack".into(), json!(found.attack));
    row.extra.insert("evidence".into(), found.evidence.clone());
    row
}
