//! What templates can name for one device: inputs, vars, the device, the run.

use super::Plan;
use crate::model::command::SessionFacts;
use crate::model::device::Device;
use crate::model::id::RunId;
use crate::playbook::references::is_known_before_session;
use crate::template::{Scope, TemplateError};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The scope in which a device's steps begin. Without `facts` or `run`, what they tell is undefined.
pub fn for_device(
    plan: &Plan,
    device: &Device,
    facts: Option<&SessionFacts>,
    run: Option<(&RunId, Timestamp)>,
) -> Result<Scope, TemplateError> {
    let mut inputs = plan.inputs.clone();
    for (name, value) in plan.secrets.values() {
        inputs.insert(name.to_owned(), value.expose().into());
    }
    over(inputs, plan, device, facts, run)
}

/// What is known before the session, for eyes: marks stand in the places of secrets.
pub(super) fn marked(plan: &Plan, device: &Device) -> Result<Scope, TemplateError> {
    over(plan.inputs.clone(), plan, device, None, None)
}

fn over(
    inputs: Map<String, Value>,
    plan: &Plan,
    device: &Device,
    facts: Option<&SessionFacts>,
    run: Option<(&RunId, Timestamp)>,
) -> Result<Scope, TemplateError> {
    let mut scope = Scope::new();
    scope.set_json("inputs", &Value::Object(inputs));
    scope.set_json("device", &fields(device, facts));
    if let Some((id, started)) = run {
        scope.set_json(
            "run",
            &json!({"id": id, "short_id": id.short(), "started": started}),
        );
    }
    let mut vars = Map::new();
    scope.set_json("vars", &json!({}));
    for (name, data) in &plan.playbook.vars {
        // A derived value may need what only a session tells; it is then derived later.
        if facts.is_none() && !is_known_before_session(data.references()) {
            continue;
        }
        vars.insert(name.text.clone(), data.json(&scope)?);
        scope.set_json("vars", &Value::Object(vars.clone()));
    }
    Ok(scope)
}

fn fields(device: &Device, facts: Option<&SessionFacts>) -> Value {
    let mut fields = json!({
        "id": device.id, "name": device.name, "short_name": device.short_name(), "fqdn": device.fqdn(),
        "os": device.os, "os_version": device.os_version, "policy": device.policy, "groups": device.groups,
        "ip": device.ip, "last_seen": device.last_seen, "isolated": device.isolated,
    });
    if let Some(facts) = facts {
        fields["drives"] = json!(facts.drives);
        fields["cwd"] = json!(facts.working_directory);
    }
    fields
}
