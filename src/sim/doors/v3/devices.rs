//! Devices: one, and their list, page by page.

use super::super::devices::{email, last_contact, record, registered};
use super::super::{Problem, Reply, Routed};
use crate::sim::device::SimDevice;
use crate::sim::organisation::Times;
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use serde_json::{Value, json};

const DEFAULT_ROWS: usize = 20;

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    let (route, answer) = match path {
        [] => ("v3/device", list(world, request)),
        [id] => ("v3/device/{id}", one(world, id)),
        _ => return None,
    };
    let answer = match request.method {
        Method::Get => answer.map(|body| Reply::Whole(Response::json(200, &body))),
        _ => Err(Problem::wrong_method()),
    };
    Some((route, answer))
}

fn one(world: &World, id: &str) -> Result<Value, Problem> {
    world
        .survey(|devices, times| Some(info(devices.get(&id.parse().ok()?)?, times)))
        .map(|info| json!({"success": true, "message": "Success", "deviceInfo": info}))
        .ok_or_else(|| Problem::new(404, "NOT_FOUND", format!("Unable to find: device {id}")))
}

fn list(world: &World, request: &Request) -> Result<Value, Problem> {
    let search = Search::read(&request.query)?;
    Ok(world.survey(|devices, times| {
        let fits = |device: &&SimDevice| search.filters.iter().all(|(by, text)| by(device, text));
        let hits: Vec<&SimDevice> = devices.values().filter(fits).collect();
        let page = hits.iter().skip(search.skip).take(search.rows);
        let page: Vec<Value> = page.map(|device| info(device, times)).collect();
        json!({"success": true, "message": "Success", "totalResults": hits.len(), "results": page})
    }))
}

/// Is this what a filter asks for? Its text is in lower case.
type Filter = fn(&SimDevice, &str) -> bool;

struct Search {
    skip: usize,
    rows: usize,
    /// All of them must fit.
    filters: Vec<(Filter, String)>,
}

impl Search {
    /// A parameter that is not known is an error: to ignore it would quietly widen what is found.
    fn read(query: &[(String, String)]) -> Result<Self, Problem> {
        let (mut start, mut rows, mut limit) = (1, DEFAULT_ROWS, usize::MAX);
        let mut filters = Vec::new();
        for (key, value) in query {
            let number = || {
                let number = value.trim().parse::<usize>();
                number.map_err(|_| Problem::bad_request(format!("{key} cannot be {value}")))
            };
            match key.as_str() {
                "start" => start = number()?,
                "rows" => rows = number()?,
                // Who only counts asks for none.
                "limit" => limit = number()?,
                _ => {
                    let filter = filter(key)
                        .ok_or_else(|| Problem::bad_request(format!("unknown parameter: {key}")))?;
                    filters.push((filter, value.to_lowercase()));
                }
            }
        }
        Ok(Self {
            // Counted from one.
            skip: start.saturating_sub(1),
            rows: rows.min(limit),
            filters,
        })
    }
}

fn filter(key: &str) -> Option<Filter> {
    Some(match key {
        "hostNameExact" => |device, text| device.name.to_lowercase() == text,
        "hostName" => |device, text| device.name.to_lowercase().contains(text),
        "ipAddress" => |device, text| device.ip == text,
        "ownerName" => |device, text| email(device).to_lowercase().contains(text),
        _ => return None,
    })
}

/// What v6 tells of a device, under older names, and with times in milliseconds.
fn info(device: &SimDevice, times: Times) -> Value {
    let record = record(device, times);
    let contact = last_contact(device, times).as_millisecond();
    json!({
        "deviceId": device.id,
        "deviceType": record["os"],
        "name": device.name,
        "status": record["status"],
        "sensorVersion": record["sensor_version"],
        "lastContact": contact,
        "lastReportedTime": contact,
        "registeredTime": registered(device).as_millisecond(),
        "policyId": record["policy_id"],
        "policyName": record["policy_name"],
        "quarantined": record["quarantined"],
        "passiveMode": record["passive_mode"],
        "sensorStates": record["sensor_states"],
        "lastInternalIpAddress": record["last_internal_ip_address"],
        "lastExternalIpAddress": record["last_external_ip_address"],
        "email": record["email"],
        "deviceOwnerId": record["device_owner_id"],
        "organizationId": record["organization_id"],
        "organizationName": record["organization_name"],
    })
}
