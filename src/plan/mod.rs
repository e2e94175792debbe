//! What will happen, before it does: a playbook, the devices it means, and every value that is known.
//!
//! A plan is what is shown, saved and run. It is made from devices that are given to it and asks nobody
//! for anything.

pub mod document;
pub mod price;
pub mod scope;

use crate::live::Backend;
use crate::model::device::{Device, Os};
use crate::model::id::DeviceId;
use crate::model::outcome::Cause;
use crate::model::remote::RemoteText;
use crate::playbook::Playbook;
use crate::playbook::chosen::Selection;
use crate::playbook::input::take_secrets;
use crate::playbook::references::is_known_before_session;
use crate::secret::Secrets;
use crate::step::{Arguments, StepKind};
use crate::template::{Scope, Template, TemplateError};
use crate::text::json;
use jiff::Timestamp;
use price::Price;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A playbook made definite.
#[derive(Debug, Clone)]
pub struct Plan {
    pub playbook: Arc<Playbook>,
    /// Marks stand in the places of secrets.
    pub inputs: Map<String, Value>,
    /// No part of what is shown, saved or hashed.
    pub secrets: Secrets,
    pub settings: RunSettings,
    pub backend: Backend,
    /// In the order in which they start and are reported.
    pub devices: Vec<PlannedDevice>,
    /// Per device, the values of the templates that are known before its session: the columns of [`Self::columns`].
    pub table: Vec<Vec<String>>,
    pub columns: Vec<Column>,
    /// Per step of the playbook, why it is left out.
    pub left_out: Vec<Option<Cause>>,
    /// The approval handle: covers everything above but who answers under which address.
    pub sha256: String,
}

#[derive(Debug, Clone)]
pub struct PlannedDevice {
    pub device: Device,
    /// Why a saved plan does not run on it any more.
    pub gone: Option<Cause>,
}

/// How the run goes, after playbook and command line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunSettings {
    pub max_sessions: usize,
    #[serde(default, skip_serializing_if = "Selection::is_all")]
    pub selection: Selection,
}

/// A templated argument whose value is known before the run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Column {
    /// Index into the playbook's steps.
    pub step: usize,
    /// Index into the step's templates; an argument that is a list has several.
    pub nth: usize,
    pub argument: String,
}

/// A value that cannot be rendered for a device.
#[derive(Debug, Clone, thiserror::Error)]
#[error("on {device}: {error}")]
pub struct PlanError {
    pub device: String,
    pub error: TemplateError,
}

/// Freezes everything that can be known now.
pub fn build(
    playbook: Arc<Playbook>,
    mut inputs: Map<String, Value>,
    settings: RunSettings,
    backend: Backend,
    devices: Vec<PlannedDevice>,
) -> Result<Plan, PlanError> {
    let secrets = take_secrets(&playbook.inputs, &mut inputs);
    let left_out = settings.selection.left_out(&playbook);
    let columns = columns(&playbook, &left_out);
    let (table, sha256) = (Vec::new(), String::new());
    let mut plan = Plan {
        playbook,
        inputs,
        secrets,
        settings,
        backend,
        devices,
        table,
        columns,
        left_out,
        sha256,
    };
    let arguments: Vec<Arguments<'_>> = plan
        .playbook
        .steps
        .iter()
        .map(|step| step.kind.arguments())
        .collect();
    let templates: Vec<&Template> = plan
        .columns
        .iter()
        .map(|column| arguments[column.step].templates[column.nth].1)
        .collect();
    let rows: Result<_, _> = plan
        .devices
        .iter()
        .map(|planned| {
            row(&plan, &templates, &planned.device).map_err(|mut error| {
                plan.secrets.hide(&mut error.message);
                PlanError {
                    device: planned.device.name.to_string(),
                    error,
                }
            })
        })
        .collect();
    plan.table = rows?;
    let covered = plan
        .devices
        .iter()
        .zip(&plan.table)
        .map(|(planned, values)| Covered {
            id: planned.device.id,
            name: &planned.device.name,
            os: planned.device.os,
            registered: planned.device.registered,
            values,
        });
    plan.sha256 = fingerprint(
        &plan.playbook.source.text,
        &plan.inputs,
        &plan.settings,
        &plan.backend,
        covered,
    );
    Ok(plan)
}

fn columns(playbook: &Playbook, left_out: &[Option<Cause>]) -> Vec<Column> {
    let mut columns = Vec::new();
    // A derived value that needs a session makes everything that uses it wait for one too.
    let late_vars = playbook
        .vars
        .iter()
        .any(|(_, data)| !is_known_before_session(data.references()));
    let sets = playbook
        .steps
        .iter()
        .any(|step| matches!(step.kind, StepKind::Set(_)));
    for (index, step) in playbook.steps.iter().enumerate() {
        for (nth, (argument, template)) in step.kind.arguments().templates.iter().enumerate() {
            let waits = (late_vars || sets) && template.roots().contains("vars");
            if left_out[index].is_none()
                && !step.no_log
                && !template.is_literal()
                && is_known_before_session(template.references())
                && !waits
            {
                columns.push(Column {
                    step: index,
                    nth,
                    argument: (*argument).to_owned(),
                });
            }
        }
    }
    columns
}

fn row(
    plan: &Plan,
    templates: &[&Template],
    device: &Device,
) -> Result<Vec<String>, TemplateError> {
    if templates.is_empty() {
        return Ok(Vec::new());
    }
    let render = |scope: Scope| {
        let rendered = templates.iter().map(|template| template.render(&scope));
        rendered.collect::<Result<Vec<_>, _>>()
    };
    if !plan.secrets.is_empty() {
        // What cannot be rendered with the values themselves should not wait for the run to fail.
        render(scope::for_device(plan, device, None, None)?)?;
    }
    render(scope::marked(plan, device)?)
}

/// What the fingerprint covers of a device.
pub(crate) struct Covered<'a> {
    pub(crate) id: DeviceId,
    pub(crate) name: &'a RemoteText,
    pub(crate) os: Os,
    pub(crate) registered: Option<Timestamp>,
    pub(crate) values: &'a [String],
}

/// SHA-256 over what an approval means: the playbook's bytes, inputs, limits, the organisation, the
/// devices with names and registration times, and what was rendered for each. Not the time, not the address.
pub(crate) fn fingerprint<'a>(
    playbook: &str,
    inputs: &Map<String, Value>,
    settings: &RunSettings,
    backend: &Backend,
    devices: impl Iterator<Item = Covered<'a>>,
) -> String {
    let mut hash = Sha256::new();
    let mut part = |value: &Value| {
        hash.update(json::line(value).as_bytes());
        hash.update(b"\n");
    };
    part(&json!({
        "format": document::FORMAT, "playbook": playbook, "inputs": inputs, "settings": settings,
        "organisation": backend.organisation, "api": backend.api,
    }));
    // The order in which devices start is no part of what is approved.
    let mut devices: Vec<Covered<'_>> = devices.collect();
    devices.sort_by_key(|device| device.id);
    for Covered {
        id,
        name,
        os,
        registered,
        values,
    } in devices
    {
        part(
            &json!({"id": id, "name": name, "os": os, "registered": registered, "values": values}),
        );
    }
    json::hex(&hash.finalize())
}

impl Plan {
    /// What one device of this system will cost.
    pub fn price_of(&self, os: Os) -> Price {
        let steps = self.playbook.steps.iter().zip(&self.left_out);
        Price::of_steps(
            steps
                .filter(|(step, left_out)| left_out.is_none() && step.is_for(os))
                .map(|(step, _)| step),
        )
    }

    /// What all devices together will cost.
    pub fn price(&self) -> Price {
        self.devices
            .iter()
            .map(|planned| self.price_of(planned.device.os))
            .fold(Price::default(), Price::plus)
    }
}
