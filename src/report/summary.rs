//! `summary.json`, and what `run --json` prints: every device with its state and reason, and what it cost.

use super::View;
use crate::model::outcome::DeviceState;
use crate::model::state::DeviceRecord;
use crate::text::escape::Escaped;
use serde_json::{Map, Value, json};

/// The whole summary as one value.
pub fn summary(view: &View<'_>, exit_code: u8) -> Value {
    let counts = view.state.counts();
    let counts: Map<String, Value> = DeviceState::ALL
        .iter()
        .map(|state| {
            (
                state.to_string(),
                json!(counts.get(state).copied().unwrap_or_default()),
            )
        })
        .collect();
    let devices: Vec<Value> = view
        .devices
        .iter()
        .map(|device| entry(view, device))
        .collect();
    let spent = view.state.spent();
    json!({
        "run_id": view.run_id, "playbook": view.playbook, "simulated": view.simulated, "exit_code": exit_code,
        "counts": counts, "devices": devices,
        "spent": {
            "requests": spent.requests, "commands": view.state.commands(),
            "sessions": view.state.sessions(), "bytes": spent.bytes,
        },
    })
}

fn entry(view: &View<'_>, device: &crate::model::device::Device) -> Value {
    let record = view.state.device(device.id);
    let state = record.and_then(|record| record.state());
    let mut entry = json!({
        "id": device.id,
        "name": Escaped(device.name.raw()).to_string(),
        "state": state.map(|(state, _)| state),
        "reason": state.and_then(|(_, reason)| reason).map(|reason| reason.summary()),
        "bag": record.and_then(DeviceRecord::bag),
    });
    if let (Value::Object(fields), Some((_, Some(reason)))) = (&mut entry, state) {
        fields.extend(reason.cause.spot(view.source));
    }
    entry
}
