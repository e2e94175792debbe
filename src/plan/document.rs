//! `plan.json`: a plan as it is saved, shown to programs, and run later.
//!
//! Steps stand in it once and per-device values in a table, so that a plan for many devices stays small.
//! It holds the playbook itself and no path to it: what was approved is what runs.

use super::assets::{AssetLine, Sources};
use super::price::Price;
use super::{Column, Covered, Plan, RunSettings, fingerprint};
use crate::clock;
use crate::live::Backend;
use crate::model::device::{Device, Os};
use crate::model::effect::{Effect, Permission};
use crate::model::id::{DeviceId, StepId};
use crate::model::outcome::Cause;
use crate::model::remote::RemoteText;
use crate::playbook::Part;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Names the format.
pub const FORMAT: &str = "sortie-plan/1";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    pub format: String,
    /// When it was made; not covered by the fingerprint.
    pub made: Timestamp,
    pub sha256: String,
    pub name: String,
    /// Where the playbook came from, for messages.
    pub path: String,
    pub backend: Backend,
    pub settings: RunSettings,
    pub inputs: Map<String, Value>,
    pub steps: Vec<StepLine>,
    pub columns: Vec<Column>,
    pub devices: Vec<DeviceLine>,
    pub price: Price,
    /// The local files that it sends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<AssetLine>,
    /// The hashes of those of which the playbook does not say which they must be, by step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: Sources,
    /// The playbook's bytes.
    pub playbook: String,
    /// Those of the playbooks that it uses, by their paths relative to its own folder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub used: BTreeMap<String, String>,
}

/// A step, for readers; what runs is the playbook.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepLine {
    pub id: StepId,
    pub name: String,
    pub action: String,
    pub effect: Effect,
    pub permissions: Vec<Permission>,
    pub os: Vec<Os>,
    /// Left out where it is an ordinary step.
    #[serde(default, skip_serializing_if = "Part::is_main")]
    pub part: Part,
    /// The used playbook that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
    /// Why it will be skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<Cause>,
    pub arguments: Map<String, Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceLine {
    pub id: DeviceId,
    pub name: RemoteText,
    pub os: Os,
    pub registered: Option<Timestamp>,
    /// In the order of `columns`.
    pub values: Vec<String>,
}

/// Why a saved plan cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("it is not a plan that sortie saved: {0}")]
    Garbage(#[from] serde_json::Error),
    #[error("its format is {0}, and this sortie knows {FORMAT}")]
    Format(String),
    #[error(
        "it was changed after it was made: its content has the fingerprint {found}, and it claims {claimed}"
    )]
    Changed { claimed: String, found: String },
}

impl Document {
    pub fn of(plan: &Plan) -> Self {
        let playbook = &plan.playbook;
        Self {
            format: FORMAT.to_owned(),
            made: clock::now(),
            sha256: plan.sha256.clone(),
            name: playbook.name.clone(),
            path: playbook.source.name.clone(),
            backend: plan.backend.clone(),
            settings: plan.settings.clone(),
            inputs: plan.inputs.clone(),
            steps: playbook
                .steps
                .iter()
                .zip(&plan.left_out)
                .map(|(step, left_out)| StepLine {
                    left_out: left_out.clone(),
                    used: playbook
                        .frame(step.frame)
                        .map(|frame| frame.used.source.name.clone()),
                    ..step_line(step)
                })
                .collect(),
            columns: plan.columns.clone(),
            devices: plan
                .devices
                .iter()
                .zip(&plan.table)
                .map(|(planned, values)| DeviceLine {
                    id: planned.device.id,
                    name: planned.device.name.clone(),
                    os: planned.device.os,
                    registered: planned.device.registered,
                    values: values.clone(),
                })
                .collect(),
            price: plan.price(),
            assets: plan.assets.lines(),
            sources: plan.assets.sources().clone(),
            playbook: playbook.source.text.clone(),
            used: playbook.used_files(),
        }
    }

    /// Reads a saved plan and makes sure that it is the one that was made.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        let document: Self = serde_json::from_slice(bytes)?;
        if document.format != FORMAT {
            return Err(DocumentError::Format(document.format));
        }
        let covered = document.devices.iter().map(|line| Covered {
            id: line.id,
            name: &line.name,
            os: line.os,
            registered: line.registered,
            values: &line.values,
        });
        let found = fingerprint(
            &document.playbook,
            &document.used,
            &document.sources,
            &document.inputs,
            &document.settings,
            &document.backend,
            covered,
        );
        if found != document.sha256 {
            return Err(DocumentError::Changed {
                claimed: document.sha256,
                found,
            });
        }
        Ok(document)
    }

    /// Why a device as it is now is not the one of the plan. `values` are what is rendered for it now.
    pub fn drift(line: &DeviceLine, now: &Device, values: &[String]) -> Option<Cause> {
        let changed = |detail: &str| {
            Some(Cause::DeviceChanged {
                detail: detail.to_owned(),
            })
        };
        if now.name != line.name {
            return changed("it has another name");
        }
        if now.registered != line.registered {
            return changed("it was registered again");
        }
        if now.os != line.os {
            return changed("it has another operating system");
        }
        if values != line.values {
            return changed("a value in its steps came out differently");
        }
        None
    }
}

impl DeviceLine {
    /// What is known of a device that the backend does not know any more.
    pub fn last_known(&self) -> Device {
        Device {
            id: self.id,
            name: self.name.clone(),
            os: self.os,
            os_version: RemoteText::default(),
            policy: RemoteText::default(),
            groups: Vec::new(),
            ip: RemoteText::default(),
            last_seen: None,
            registered: self.registered,
            isolated: false,
            sensor_states: Vec::new(),
            verbatim: Value::Null,
        }
    }
}

fn step_line(step: &crate::playbook::Step) -> StepLine {
    let spec = step.kind.spec();
    let mut arguments: Map<String, Value> = Map::new();
    for (name, template) in step.kind.arguments().templates {
        let text = Value::from(template.text());
        match arguments.get_mut(name) {
            None => {
                arguments.insert(name.to_owned(), text);
            }
            Some(Value::Array(list)) => list.push(text),
            Some(first) => *first = Value::from(vec![first.take(), text]),
        }
    }
    StepLine {
        id: step.id.clone(),
        name: step.label.clone(),
        action: spec.key.to_owned(),
        effect: step.kind.effect(),
        permissions: step.kind.permissions().to_vec(),
        os: step.os.clone(),
        part: step.place.part,
        used: None,
        left_out: None,
        arguments,
    }
}
