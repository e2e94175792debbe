//! Devices counted by what they have in common, and all of them as a table.

use super::Problem;
use super::cloud_v6::body;
use super::device_search::Search;
use super::devices::record;
use crate::sim::world::World;
use crate::wire::{Request, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const DEFAULT_ROWS: usize = 20;
const MAX_ROWS: usize = 10_000;
/// The columns of the table; the service has more.
const COLUMNS: [&str; 12] = [
    "id",
    "name",
    "os",
    "os_version",
    "status",
    "policy_name",
    "last_contact_time",
    "last_internal_ip_address",
    "login_user_name",
    "sensor_version",
    "quarantined",
    "target_priority",
];

pub(super) fn answer(world: &World, request: &Request) -> Result<Response, Problem> {
    let body = body(request)?;
    let search = Search::read(&body)?;
    let wrong = || Problem::bad_request("terms has no list of fields");
    let terms = body.get("terms").ok_or_else(wrong)?;
    let fields = terms.get("fields").and_then(Value::as_array);
    let fields: Option<Vec<&str>> = fields
        .ok_or_else(wrong)?
        .iter()
        .map(Value::as_str)
        .collect();
    let fields = fields.ok_or_else(wrong)?;
    let rows = super::orders::integer(terms, "rows")?.map(usize::try_from);
    let rows = rows
        .transpose()
        .map_err(|_| Problem::bad_request("rows is negative"))?
        .unwrap_or(DEFAULT_ROWS)
        .min(MAX_ROWS);
    let records: Vec<Value> = world.survey(|devices, times| {
        let hits = search.run(devices.values(), times);
        hits.into_iter()
            .map(|device| record(device, times))
            .collect()
    });
    let results: Vec<Value> = fields
        .into_iter()
        .map(|field| json!({"field": field, "values": values(&records, field, rows)}))
        .collect();
    Ok(Response::json(200, &json!({"results": results})))
}

/// The most frequent first, and those that are equally frequent by their names.
fn values(records: &[Value], field: &str, rows: usize) -> Vec<Value> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let members = records.iter().filter_map(|record| record.get(field));
    for member in members.filter(|member| !member.is_null()) {
        *counts.entry(text(member)).or_default() += 1;
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, total)| std::cmp::Reverse(*total));
    counts
        .into_iter()
        .take(rows)
        .map(|(value, total)| json!({"id": value, "name": value, "total": total}))
        .collect()
}

/// The devices that a status picks, as CSV; deprecated, and still in use.
pub(super) fn download(world: &World, request: &Request) -> Result<Response, Problem> {
    let given = request.query.iter().filter(|(key, _)| key == "status");
    let statuses: Vec<&str> = given.flat_map(|(_, value)| value.split(',')).collect();
    if statuses.is_empty() {
        return Err(Problem::bad_request("status is missing"));
    }
    let search = Search::read(&json!({"criteria": {"status": statuses}}))?;
    let table = world.survey(|devices, times| {
        let mut table = format!("{}\r\n", COLUMNS.join(","));
        for device in search.run(devices.values(), times) {
            let record = record(device, times);
            let cells = COLUMNS.map(|column| cell(&text(&record[column])));
            table.push_str(&cells.join(","));
            table.push_str("\r\n");
        }
        table
    });
    Ok(Response {
        headers: vec![("content-type".to_owned(), "text/csv".to_owned())],
        body: table.into_bytes(),
        ..Response::new(200)
    })
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn cell(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
