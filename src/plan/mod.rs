//! What will happen, before it does: a playbook, the devices it means, and every value that is known.
//!
//! A plan is what is shown, saved and run. It is made from devices that are given to it and asks nobody
//! for anything.

pub mod assets;
pub mod document;
pub mod price;
pub mod scope;

use crate::live::Backend;
use crate::model::device::{Device, Os};
use crate::model::effect::Effect;
use crate::model::id::DeviceId;
use crate::model::outcome::Cause;
use crate::model::remote::RemoteText;
use crate::playbook::chosen::Selection;
use crate::playbook::frame::Frame;
use crate::playbook::input::take_secrets;
use crate::playbook::vars::Known;
use crate::playbook::{Playbook, Step};
use crate::secret::Secrets;
use crate::step::Arguments;
use crate::template::{Reference, Scope, Template, TemplateError};
use crate::text::json;
use assets::{Assets, Sources};
use jiff::Timestamp;
use price::Price;
use scope::{Early, Inputs, Scopes};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
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
    /// The local files that it sends. What they are is part of the playbook and its inputs, by their hashes;
    /// what those are of which no hash is given is covered too.
    pub assets: Assets,
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
    assets: Assets,
) -> Result<Plan, PlanError> {
    let secrets = take_secrets(&playbook.inputs, &mut inputs);
    let left_out = settings.selection.left_out(&playbook);
    let early = Early::of(&playbook);
    let columns = columns(&playbook, &left_out, &early);
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
        assets,
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
            row(&plan, &templates, &early, &planned.device).map_err(|mut error| {
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
        &plan.playbook.used_files(),
        plan.assets.sources(),
        &plan.inputs,
        &plan.settings,
        &plan.backend,
        covered,
    );
    Ok(plan)
}

fn columns(playbook: &Playbook, left_out: &[Option<Cause>], early: &[Early]) -> Vec<Column> {
    let mut columns = Vec::new();
    for (index, step) in playbook.steps.iter().enumerate() {
        let outer = |reference: &Reference| early[step.frame].knows(reference);
        let known = Known::of(step, &outer);
        for (nth, (argument, template)) in step.kind.arguments().templates.iter().enumerate() {
            if left_out[index].is_none()
                && !step.no_log
                && !template.is_literal()
                && known.covers(template.references())
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
    early: &[Early],
    device: &Device,
) -> Result<Vec<String>, TemplateError> {
    if templates.is_empty() {
        return Ok(Vec::new());
    }
    let scope = scope::for_device(plan, device, None, None)?;
    // With secrets too: what cannot be rendered with the values themselves should not wait for the run to fail.
    let values: Result<Vec<String>, _> =
        render(plan, templates, early, Frame::inputs, scope).collect();
    if plan.secrets.is_empty() {
        return values;
    }
    values?;
    let marked = scope::marked(plan, device)?;
    // A mark need not fit where the value does.
    Ok(render(plan, templates, early, Frame::marked, marked)
        .map(|value| value.unwrap_or_else(|_| "[secret]".to_owned()))
        .collect())
}

/// The values of the columns, over the scope of the playbook that is run.
fn render<'a>(
    plan: &'a Plan,
    templates: &'a [&Template],
    early: &'a [Early],
    inputs: Inputs,
    top: Scope,
) -> impl Iterator<Item = Result<String, TemplateError>> {
    let mut scopes = Scopes::new(&plan.playbook, early, inputs, top);
    plan.columns
        .iter()
        .zip(templates)
        .map(move |(column, template)| {
            let step = &plan.playbook.steps[column.step];
            scopes.of(step).and_then(|scope| template.render(&scope))
        })
}

/// What the fingerprint covers of a device.
pub(crate) struct Covered<'a> {
    pub(crate) id: DeviceId,
    pub(crate) name: &'a RemoteText,
    pub(crate) os: Os,
    pub(crate) registered: Option<Timestamp>,
    pub(crate) values: &'a [String],
}

/// SHA-256 over what an approval means: the bytes of the playbook and of those that it uses, the files that it
/// sends whatever they are, inputs, limits, the organisation, the devices with names and registration times, and what was rendered for each. Not the time, not the address.
pub(crate) fn fingerprint<'a>(
    playbook: &str,
    used: &BTreeMap<String, String>,
    sources: &Sources,
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
    if !used.is_empty() {
        part(&json!({ "used": used }));
    }
    if !sources.is_empty() {
        part(&json!({ "sources": sources }));
    }
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
    /// The steps that may change an endpoint, without those that are left out.
    pub fn changing(&self) -> impl Iterator<Item = &Step> {
        let steps = self.playbook.steps.iter().zip(&self.left_out);
        let run = steps.filter(|(_, left_out)| left_out.is_none());
        run.map(|(step, _)| step)
            .filter(|step| step.kind.effect() != Effect::Read)
    }

    /// The planned devices of each system.
    pub fn families(&self) -> BTreeMap<Os, u64> {
        let mut families = BTreeMap::new();
        for planned in &self.devices {
            *families.entry(planned.device.os).or_default() += 1;
        }
        families
    }

    /// What one device of this system will cost.
    pub fn price_of(&self, os: Os) -> Price {
        let one = self.devices.iter().find(|planned| planned.device.os == os);
        // Whatever has no value for that device has none here.
        let scope = one.and_then(|one| scope::for_device(self, &one.device, None, None).ok());
        let early = Early::of(&self.playbook);
        let scope = scope.unwrap_or_default();
        let mut scopes = Scopes::new(&self.playbook, &early, Frame::inputs, scope);
        let steps = self.playbook.steps.iter().zip(&self.left_out);
        let (sure, rescues): (Vec<&Step>, Vec<&Step>) = steps
            .filter(|(step, left_out)| left_out.is_none() && self.playbook.is_for(step, os))
            .map(|(step, _)| step)
            .partition(|step| !self.playbook.is_rescue(step));
        let mut price = Price::of_steps(&sure, |step, size| {
            scopes.of(step).and_then(|scope| size.resolve(&scope)).ok()
        });
        price.at_least |= !rescues.is_empty();
        price
    }

    /// What all devices together will cost.
    pub fn price(&self) -> Price {
        let nothing = Price {
            most_bytes: Some(0),
            ..Price::default()
        };
        self.families()
            .into_iter()
            .map(|(os, devices)| self.price_of(os).times(devices))
            .fold(nothing, Price::plus)
    }
}
