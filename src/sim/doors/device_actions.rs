//! `device_actions`: what is asked of sensors. The answer says only that it was asked.

use super::cloud_v6::body;
use super::device_search::Search;
use super::{Problem, Reply, Routed, orders};
use crate::sim::actions::{Action, Toggle};
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use serde_json::Value;

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    if path != ["device_actions"] {
        return None;
    }
    let answer = match request.method {
        Method::Post => act(world, request),
        _ => Err(Problem::wrong_method()),
    };
    Some(("device_actions", answer.map(Reply::Whole)))
}

fn act(world: &World, request: &Request) -> Result<Response, Problem> {
    let body = body(request)?;
    let action = action(world, &body)?;
    let devices = devices(world, &body)?;
    world.act(&devices, &action);
    Ok(Response::new(204))
}

fn action(world: &World, body: &Value) -> Result<Action, Problem> {
    let name = body.get("action_type").and_then(Value::as_str);
    let name = name.ok_or_else(|| Problem::bad_request("action_type is missing"))?;
    let nothing = Value::Null;
    let options = body.get("options").unwrap_or(&nothing);
    Ok(match name {
        "QUARANTINE" => Action::Quarantine(toggle(options)?),
        "BYPASS" => Action::Bypass(toggle(options)?),
        "BACKGROUND_SCAN" => Action::BackgroundScan(toggle(options)?),
        "UPDATE_POLICY" => policy(world, options)?,
        "UPDATE_SENSOR_VERSION" => sensor_version(options)?,
        "UNINSTALL_SENSOR" => Action::UninstallSensor,
        "DELETE_SENSOR" => Action::DeleteSensor,
        _ => return Err(Problem::bad_request(format!("unknown action_type: {name}"))),
    })
}

fn toggle(options: &Value) -> Result<Toggle, Problem> {
    match options.get("toggle").and_then(Value::as_str) {
        Some("ON") => Ok(Toggle::On),
        Some("OFF") => Ok(Toggle::Off),
        _ => Err(Problem::bad_request("toggle is neither ON nor OFF")),
    }
}

fn policy(world: &World, options: &Value) -> Result<Action, Problem> {
    let id = orders::integer(options, "policy_id")?;
    let id = id.ok_or_else(|| Problem::bad_request("policy_id is missing"))?;
    let id = u64::try_from(id).unwrap_or(0);
    let name = world.policy(id);
    let name = name.ok_or_else(|| Problem::bad_request(format!("policy {id} not found")))?;
    Ok(Action::UpdatePolicy { id, name })
}

fn sensor_version(options: &Value) -> Result<Action, Problem> {
    let versions = options.get("sensor_version").and_then(Value::as_object);
    let version = versions.and_then(|versions| versions.values().next()?.as_str());
    version
        .map(|version| Action::UpdateSensorVersion(version.to_owned()))
        .ok_or_else(|| Problem::bad_request("sensor_version has no platform with a version"))
}

/// Named one by one, or found by a search.
fn devices(world: &World, body: &Value) -> Result<Vec<u64>, Problem> {
    match (body.get("device_id"), body.get("search")) {
        (Some(Value::Array(ids)), None) => ids.iter().map(id).collect(),
        (None, Some(search @ Value::Object(_))) => {
            let search = Search::read(search)?;
            Ok(world.survey(|devices, times| {
                let hits = search.run(devices.values(), times);
                hits.into_iter().map(|device| device.id).collect()
            }))
        }
        _ => Err(Problem::bad_request(
            "either device_id, a list, or search, an object, says which devices",
        )),
    }
}

/// A number, or a text that holds one.
fn id(value: &Value) -> Result<u64, Problem> {
    let id = value
        .as_u64()
        .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
    id.ok_or_else(|| Problem::bad_request("device_id holds something that is no id"))
}
