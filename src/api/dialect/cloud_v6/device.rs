//! Reads what the Devices API v6 answers.

use crate::api::dialect::DevicePage;
use crate::api::dialect::node::Node;
use crate::api::dialect::refusal::{self, Asked};
use crate::model::device::{Device, Os};
use crate::model::id::DeviceId;
use crate::model::outcome::Cause;
use crate::model::remote::RemoteText;
use crate::wire::Response;

/// One page of `_search` or `_scroll`.
pub fn page(response: &Response) -> Result<DevicePage, Cause> {
    let body = refusal::body(response, Asked::Other)?;
    let results = body.get(&["results"]);
    let devices: Result<Vec<_>, _> = results.list().iter().map(device).collect();
    let devices = devices?;
    let found = body.get(&["num_found"]).unsigned();
    Ok(DevicePage {
        found: found.unwrap_or(devices.len() as u64),
        after: body.get(&["search_after"]).id(),
        devices,
    })
}

fn device(node: &Node) -> Result<Device, Cause> {
    // A device that cannot be named could be any: better no answer than a wrong target.
    let id = node
        .get(&["id"])
        .unsigned()
        .ok_or_else(|| Cause::BadAnswer {
            detail: "a device without `id`".into(),
        })?;
    Ok(Device {
        id: DeviceId(id),
        name: node.get(&["name"]).text(),
        os: os(&node.get(&["os"]).word()),
        os_version: node.get(&["os_version"]).text(),
        policy: node.get(&["policy_name"]).text(),
        groups: groups(node.get(&["asset_group", "groups"])),
        ip: node.get(&["last_internal_ip_address"]).text(),
        last_seen: node.get(&["last_contact_time"]).time(),
        registered: node.get(&["registered_time"]).time(),
        isolated: node.get(&["quarantined"]).is_true(),
        sensor_states: node
            .get(&["sensor_states"])
            .list()
            .iter()
            .map(|state| state.text().raw().trim().to_ascii_uppercase())
            .collect(),
        verbatim: without_codes(node),
    })
}

fn os(word: &str) -> Os {
    match word {
        "windows" => Os::Windows,
        "linux" => Os::Linux,
        "mac" | "macos" | "osx" => Os::Macos,
        _ => Os::Other,
    }
}

fn groups(node: &Node) -> Vec<RemoteText> {
    node.list()
        .iter()
        .map(|group| match group {
            Node::Map(_) => group.get(&["name"]).text(),
            other => other.text(),
        })
        .collect()
}

/// The record, but nothing in it that would let a reader remove a sensor or enrol one.
fn without_codes(node: &Node) -> serde_json::Value {
    let mut value = node.to_value();
    if let Some(members) = value.as_object_mut() {
        members.retain(|name, _| {
            !name.contains("uninstall_code") && !name.contains("activation_code")
        });
    }
    value
}
