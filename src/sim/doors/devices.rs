//! Devices v6: search, scroll, one device, and their list as CSV. Actions and facets have files of their own;
//! exports as jobs are not here.

use super::cloud_v6::body;
use super::device_search::Search;
use super::{Problem, Reply, Routed, facets, shapes};
use crate::model::device::{Device, Os};
use crate::model::id::DeviceId;
use crate::sim::actions::Scan;
use crate::sim::contact;
use crate::sim::device::SimDevice;
use crate::sim::endpoint::content::mix;
use crate::sim::organisation::Times;
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

/// Rows that a search can reach, and a page can hold.
const MAX_ROWS: usize = 10_000;
const DEFAULT_ROWS: usize = 20;

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    let (route, method, result) = match path {
        ["devices", "_search"] => ("devices/_search", Method::Post, search(world, request)),
        ["devices", "_scroll"] => ("devices/_scroll", Method::Post, scroll(world, request)),
        ["devices", "_facet"] => (
            "devices/_facet",
            Method::Post,
            facets::answer(world, request),
        ),
        ["devices", "_search", "download"] => (
            "devices/_search/download",
            Method::Get,
            facets::download(world, request),
        ),
        ["devices", id] if !id.starts_with('_') => ("devices/{id}", Method::Get, one(world, id)),
        _ => return None,
    };
    if request.method == method {
        Some((route, result.map(Reply::Whole)))
    } else {
        Some((route, Err(Problem::wrong_method())))
    }
}

fn one(world: &World, id: &str) -> Result<Response, Problem> {
    world
        .survey(|devices, times| {
            let device = devices.get(&id.parse().ok()?)?;
            Some(Response::json(200, &record(device, times)))
        })
        .ok_or_else(|| Problem::new(404, "NOT_FOUND", format!("device {id} not found")))
}

fn search(world: &World, request: &Request) -> Result<Response, Problem> {
    let body = body(request)?;
    let search = Search::read(&body)?;
    let rows = rows(&body)?;
    // Counted from one by some clients and from zero by others: both mean the first row.
    let skip = count(&body, "start")?.unwrap_or(1).saturating_sub(1);
    if skip + rows > MAX_ROWS {
        return Err(Problem::bad_request("start + rows must not exceed 10000"));
    }
    let (results, found) = world.survey(|devices, times| {
        let hits = search.run(devices.values(), times);
        let page = hits.iter().skip(skip).take(rows);
        let page: Vec<Value> = page.map(|device| record(device, times)).collect();
        (page, hits.len())
    });
    Ok(Response::json(
        200,
        &json!({"results": results, "num_found": found}),
    ))
}

/// Goes through any number of devices, page by page; what comes after is named by the last id.
fn scroll(world: &World, request: &Request) -> Result<Response, Problem> {
    let body = body(request)?;
    let search = Search::read(&body)?;
    let rows = rows(&body)?;
    let after = match body.get("search_after").filter(|after| !after.is_null()) {
        None => 0,
        Some(after) => after
            .as_str()
            .and_then(|text| text.strip_prefix("after-")?.parse::<u64>().ok())
            .ok_or_else(|| Problem::bad_request("search_after is not one of ours"))?,
    };
    let answer = world.survey(|devices, times| {
        let mut hits = search.run(devices.values(), times);
        hits.sort_by_key(|device| device.id);
        let found = hits.len();
        let page: Vec<_> = hits
            .into_iter()
            .filter(|d| d.id > after)
            .take(rows)
            .collect();
        let last = page.last().map_or(after, |device| device.id);
        let results: Vec<Value> = page
            .into_iter()
            .map(|device| record(device, times))
            .collect();
        json!({"results": results, "num_found": found, "search_after": format!("after-{last}")})
    });
    Ok(Response::json(200, &answer))
}

fn rows(body: &Value) -> Result<usize, Problem> {
    let rows = count(body, "rows")?.unwrap_or(DEFAULT_ROWS);
    if rows > MAX_ROWS {
        return Err(Problem::bad_request("rows must not exceed 10000"));
    }
    Ok(rows)
}

fn count(body: &Value, key: &str) -> Result<Option<usize>, Problem> {
    super::orders::integer(body, key)?
        .map(|n| usize::try_from(n).map_err(|_| Problem::bad_request(format!("{key} is negative"))))
        .transpose()
}

/// When its sensor was last heard of.
pub(super) fn last_contact(device: &SimDevice, times: Times) -> Timestamp {
    let offset = SignedDuration::from_millis(contact::last(device, times.elapsed()));
    times.begun.saturating_add(offset).unwrap_or(times.begun)
}

pub(super) fn registered(device: &SimDevice) -> Timestamp {
    Timestamp::from_second(device.registered).unwrap_or_default()
}

pub(super) fn mac(device: &SimDevice) -> String {
    format!("0050{:08x}", mix(device.id) & 0xffff_ffff)
}

pub(super) fn os_word(os: Os) -> &'static str {
    match os {
        Os::Windows => "WINDOWS",
        Os::Linux => "LINUX",
        Os::Macos => "MAC",
        Os::Other => "OTHER",
    }
}

pub(super) fn email(device: &SimDevice) -> String {
    format!("{}@corp.example", device.user)
}

/// A device's record, as searches and single look-ups give it.
pub(super) fn record(device: &SimDevice, times: Times) -> Value {
    let contact = shapes::precise(last_contact(device, times));
    let mut record = json!({
        "id": device.id,
        "name": device.name,
        "os": os_word(device.os),
        "os_version": device.os_version,
        "policy_id": device.policy.0,
        "policy_name": device.policy.1,
        "current_sensor_policy_name": device.policy.1,
        "last_contact_time": contact,
        "last_reported_time": contact,
        "registered_time": shapes::precise(registered(device)),
        "last_internal_ip_address": device.ip,
        "mac_address": mac(device),
        "login_user_name": login_name(device),
        "email": email(device),
        "device_owner_id": device.id + 500_000,
        "quarantined": device.quarantined,
        "sensor_states": device.sensor_states(),
        "sensor_kit_type": os_word(device.os),
        "windows_platform": (device.os == Os::Windows).then_some("CLIENT_X64"),
    });
    if let Value::Object(record) = &mut record {
        for more in [standing(device, times), same_for_all()] {
            record.extend(more.as_object().cloned().unwrap_or_default());
        }
    }
    record
}

/// What actions change.
fn standing(device: &SimDevice, times: Times) -> Value {
    let at = |elapsed: Option<Duration>| elapsed.map(|e| shapes::precise(times.at(e)));
    let scan = device.scan;
    let asked = device.asked.filter(|(name, _)| *name == "UPDATE_POLICY");
    json!({
        "status": status(device),
        "passive_mode": device.bypassed,
        "sensor_version": device.sensor_version,
        "deregistered_time": at(device.gone),
        "scan_status": scan.map_or("NEVER_RUN", |scan| scan.word(times.elapsed())),
        "scan_last_action_time": at(scan.map(Scan::at)),
        "scan_last_complete_time": at(scan.and_then(|scan| scan.completed(times.elapsed()))),
        "last_device_policy_requested_time": at(asked.map(|(_, when)| when)),
        "last_device_policy_changed_time": at(device.policy_changed),
    })
}

/// The word of a record; searches know more of them.
pub(super) fn status(device: &SimDevice) -> &'static str {
    match device {
        SimDevice { gone: Some(_), .. } => "DEREGISTERED",
        SimDevice { bypassed: true, .. } => "BYPASS",
        _ => "REGISTERED",
    }
}

fn same_for_all() -> Value {
    json!({
        "policy_override": false,
        "last_location": "ONSITE",
        "last_external_ip_address": "192.0.2.10",
        "first_name": null,
        "middle_name": null,
        "last_name": null,
        "sensor_out_of_date": false,
        "sensor_pending_update": false,
        "target_priority": "MEDIUM",
        "target_priority_type": "MEDIUM",
        "deployment_type": "ENDPOINT",
        "asset_group": [],
        "ad_group_id": 0,
        "organization_id": 1105,
        "organization_name": "sim.example",
        "uninstall_code": "SIM0UNINSTALL",
        "virtual_machine": false,
        "vdi_base_device": null,
    })
}

fn login_name(device: &SimDevice) -> String {
    if device.os == Os::Windows {
        format!("CORP\\{}", device.user)
    } else {
        device.user.clone()
    }
}

/// The devices that `wanted` picks, as the engine knows devices.
pub(in crate::sim) fn found(world: &World, wanted: impl Fn(u64, Os) -> bool) -> Vec<Device> {
    world.survey(|devices, times| {
        let picked = devices
            .values()
            .filter(|device| wanted(device.id, device.os));
        picked.map(|device| described(device, times)).collect()
    })
}

fn described(device: &SimDevice, times: Times) -> Device {
    let mut verbatim = record(device, times);
    if let Some(members) = verbatim.as_object_mut() {
        // With this code a reader of the record could remove the sensor.
        members.remove("uninstall_code");
    }
    Device {
        id: DeviceId(device.id),
        name: device.name.as_str().into(),
        os: device.os,
        os_version: device.os_version.as_str().into(),
        policy: device.policy.1.as_str().into(),
        groups: Vec::new(),
        ip: device.ip.as_str().into(),
        last_seen: Some(last_contact(device, times)),
        registered: Some(registered(device)),
        isolated: device.quarantined,
        sensor_states: device
            .sensor_states()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        verbatim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::doors;

    fn world() -> World {
        let mut devices: Vec<SimDevice> = (1..=30)
            .map(|id| SimDevice::new(id, format!("WS-{id:04}"), Os::Windows))
            .collect();
        devices.push(SimDevice::new(31, "srv-1", Os::Linux));
        devices.push(SimDevice::new(32, "MAC-1", Os::Macos).offline());
        World::new(devices)
    }

    fn post(world: &World, path: &str, body: &Value) -> (u16, Value) {
        let path = format!("/appservices/v6/orgs/{}/devices/{path}", world.org_key());
        let mut request = Request::new(Method::Post, path).json(body);
        request
            .headers
            .push(("x-auth-token".into(), world.token().into()));
        let response = doors::answer(world, &request);
        (
            response.status,
            serde_json::from_slice(&response.body).unwrap_or_default(),
        )
    }

    fn ids(body: &Value) -> Vec<u64> {
        let results = body["results"].as_array().expect("a list");
        results
            .iter()
            .filter_map(|device| device["id"].as_u64())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn searches_select_and_page() {
        let world = world();
        let table: [(Value, u64, &[u64]); 14] = [
            (json!({"rows": 2}), 32, &[1, 2]),
            (json!({"rows": 2, "start": 0}), 32, &[1, 2]),
            (json!({"rows": 2, "start": 1}), 32, &[1, 2]),
            (json!({"rows": 2, "start": 31}), 32, &[31, 32]),
            (json!({"criteria": {"os": ["MAC", "LINUX"]}}), 2, &[31, 32]),
            (json!({"criteria": {"id": [5, "7", 99]}}), 2, &[5, 7]),
            (
                json!({"criteria": {"id": [5, 7]}, "exclusions": {"id": [7]}}),
                1,
                &[5],
            ),
            (
                json!({"criteria": {"os": ["MAC"], "last_contact_time": {"range": "-2d"}}}),
                0,
                &[],
            ),
            (
                json!({"criteria": {"os": ["MAC"], "last_contact_time": {"range": "-1w"}}}),
                1,
                &[32],
            ),
            (
                json!({"criteria": {"policy_id": [6525], "status": ["INACTIVE"]}}),
                1,
                &[32],
            ),
            (json!({"query": "name:srv*"}), 1, &[31]),
            (
                json!({"query": "name:WS-000? AND NOT id:1", "rows": 1}),
                8,
                &[2],
            ),
            (
                json!({"rows": 2, "sort": [{"field": "name", "order": "DESC"}]}),
                32,
                &[31, 30],
            ),
            (
                json!({"criteria": {}, "query": "", "sort": null, "rows": 1}),
                32,
                &[1],
            ),
        ];
        for (body, found, expected) in table {
            let (status, answer) = post(&world, "_search", &body);
            assert_eq!(
                (status, &answer["num_found"]),
                (200, &json!(found)),
                "{body}"
            );
            assert_eq!(ids(&answer), expected, "{body}");
        }
        assert_eq!(ids(&post(&world, "_search", &json!({})).1).len(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_meant_is_refused() {
        let world = world();
        for body in [
            json!({"rows": 10_001}),
            json!({"rows": 10_000, "start": 2}),
            json!({"rows": -1}),
            json!({"criteria": {"osx": ["MAC"]}}),
            json!({"criteria": {"os": "MAC"}}),
            json!({"criteria": {"last_contact_time": {"range": "3w"}}}),
            json!({"query": "(name:x"}),
        ] {
            assert_eq!(post(&world, "_search", &body).0, 400, "{body}");
        }
        let (_, answer) = post(&world, "_search", &json!({"query": "(name:x"}));
        assert_eq!(answer["reason"], "query_malformed_syntax");
    }

    #[tokio::test(start_paused = true)]
    async fn a_scroll_meets_every_device_once() {
        let world = world();
        let mut body = json!({"rows": 15});
        let mut seen = Vec::new();
        for expected in [15, 15, 2, 0] {
            let (_, answer) = post(&world, "_scroll", &body);
            assert_eq!(ids(&answer).len(), expected);
            seen.extend(ids(&answer));
            body["search_after"] = answer["search_after"].clone();
        }
        assert_eq!(seen, (1..=32).collect::<Vec<u64>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_tells_what_clients_read() {
        let off = SimDevice::new(9, "WS-9", Os::Windows).live_response_off();
        let world = World::new(vec![off]);
        let path = format!("/appservices/v6/orgs/{}/devices/9", world.org_key());
        let mut request = Request::new(Method::Get, path);
        request
            .headers
            .push(("x-auth-token".into(), world.token().into()));
        let body = doors::answer(&world, &request).body;
        let record: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(
            (&record["name"], &record["os"]),
            (&json!("WS-9"), &json!("WINDOWS"))
        );
        let states = record["sensor_states"].as_array().expect("a list");
        assert!(states.contains(&json!("LIVE_RESPONSE_DISABLED")));
        let contact = record["last_contact_time"].as_str().expect("text");
        assert_eq!(
            (contact.len(), contact.find('.')),
            (24, Some(19)),
            "{contact}"
        );
        let port = found(&world, |_, _| true);
        assert_eq!(
            port[0].last_seen.map(shapes::precise).as_deref(),
            Some(contact)
        );
        assert!(port[0].verbatim.get("uninstall_code").is_none());
    }
}
