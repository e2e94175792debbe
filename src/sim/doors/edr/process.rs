//! Process search, and one process with its family: whatever runs on the devices now, none that has ended.

use super::super::guid::guid;
use super::super::{Problem, Reply, Routed, shapes};
use super::query::{self, Asked, Key, Kind, Span};
use crate::model::device::Os;
use crate::sim::catalogue::{Catalogue, Running};
use crate::sim::device::SimDevice;
use crate::sim::organisation::Times;
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Every process has one segment, the first.
const SEGMENT: u64 = 1;

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    let (route, answer) = match path {
        ["v1", "process"] => ("api/v1/process", search(world, request)),
        ["v1", "process", guid, _] => ("api/v1/process/{guid}/{segment}", one(world, guid)),
        ["v2", "process", guid, _] => ("api/v2/process/{guid}/{segment}", one(world, guid)),
        _ => return None,
    };
    let answer = match request.method {
        Method::Get => answer,
        _ => Err(Problem::wrong_method()),
    };
    Some((route, answer))
}

/// A process among those that run beside it.
struct Seen<'a> {
    device: &'a SimDevice,
    all: &'a [Running],
    one: &'a Running,
    times: Times,
}

struct Hit {
    key: Key,
    device: u64,
    pid: u64,
}

fn search(world: &World, request: &Request) -> Result<Reply, Problem> {
    let asked = Asked::read(request, Some("last_update desc"), kind)?;
    let span = Span::read(request)?;
    let (field, descends) = asked.sort.clone().unwrap_or_default();
    if !is_sortable(&field) {
        return Err(Problem::bad_query(format!("{field} is not sortable")));
    }
    let body = world.catalogue(|catalogue| {
        let mut hits = hits(catalogue, &asked, &span, &field);
        if descends {
            // Those that are equal keep their order.
            hits.sort_by(|a, b| b.key.cmp(&a.key));
        } else {
            hits.sort_by(|a, b| a.key.cmp(&b.key));
        }
        let total = hits.len();
        let results = shown(catalogue, asked.page(hits));
        asked.envelope(&results, total)
    });
    Ok(Response::json(200, &body).into())
}

/// Of a hit only so much is kept as its place in the list takes.
fn hits(catalogue: &Catalogue<'_>, asked: &Asked, span: &Span, field: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    for device in catalogue.devices.values() {
        let all = catalogue.processes(device);
        for seen in each(device, &all, catalogue.times) {
            let fits = |field: Option<&str>, value: &str| seen.fits(field, value);
            if asked.query.holds(&fits) && span.has(seen.start()) {
                hits.push(Hit {
                    key: seen.key(field),
                    device: device.id,
                    pid: seen.one.process.pid,
                });
            }
        }
    }
    hits
}

fn shown(catalogue: &Catalogue<'_>, hits: impl Iterator<Item = Hit>) -> Vec<Value> {
    let mut looked: BTreeMap<u64, Vec<Running>> = BTreeMap::new();
    let records = hits.filter_map(|hit| {
        let device = catalogue.devices.get(&hit.device)?;
        let all = looked
            .entry(hit.device)
            .or_insert_with(|| catalogue.processes(device));
        let mut each = each(device, all, catalogue.times);
        Some(each.find(|seen| seen.one.process.pid == hit.pid)?.record())
    });
    records.collect()
}

/// The process of a GUID, with those that it started and the one that started it.
fn one(world: &World, guid: &str) -> Result<Reply, Problem> {
    let missing = || Problem::new(404, "NOT_FOUND", format!("Process {guid} not found"));
    let sensor = guid.get(..8);
    let sensor = sensor.and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let sensor = sensor.ok_or_else(missing)?;
    let body = world.catalogue(|catalogue| {
        let device = catalogue.devices.get(&sensor)?;
        let all = catalogue.processes(device);
        let mut those = each(device, &all, catalogue.times);
        let seen = those.find(|seen| seen.guid().eq_ignore_ascii_case(guid))?;
        let beside = |one: &'_ Running| {
            let mut all = each(device, &all, catalogue.times);
            all.find(|seen| seen.one.process.pid == one.process.pid)
                .map(|seen| seen.record())
        };
        let children: Vec<Value> = seen.children().filter_map(beside).collect();
        let parent = seen.parent().and_then(beside);
        Some(json!({
            "process": seen.record(),
            "parent": parent.unwrap_or_else(|| json!({})),
            "children": children,
            "siblings": [],
        }))
    });
    Ok(Response::json(200, &body.ok_or_else(missing)?).into())
}

fn each<'a>(
    device: &'a SimDevice,
    all: &'a [Running],
    times: Times,
) -> impl Iterator<Item = Seen<'a>> {
    all.iter().map(move |one| Seen {
        device,
        all,
        one,
        times,
    })
}

fn kind(field: &str) -> Option<Kind> {
    Some(match field {
        "process_name" | "md5" | "process_md5" | "sha256" | "process_sha256" | "path"
        | "hostname" | "cmdline" | "username" | "parent_name" | "os_type" | "host_type"
        | "group" | "process_id" => Kind::Text,
        "sensor_id" | "process_pid" | "parent_pid" => Kind::Number,
        "start" | "last_update" => Kind::Time,
        _ => return None,
    })
}

fn is_sortable(field: &str) -> bool {
    matches!(
        field,
        "last_update" | "start" | "process_name" | "hostname" | "sensor_id" | "process_pid"
    )
}

impl Seen<'_> {
    fn fits(&self, field: Option<&str>, wanted: &str) -> bool {
        let Running { process, image } = self.one;
        let number = |own: u64| wanted == "*" || wanted.parse() == Ok(own);
        match field {
            None => [
                "process_name",
                "path",
                "cmdline",
                "hostname",
                "username",
                "md5",
            ]
            .iter()
            .any(|field| self.fits(Some(field), wanted)),
            Some("*") => true,
            Some("process_name") => query::is(wanted, &image.name),
            Some("process_md5") => query::is(wanted, &image.hashes().md5),
            Some("process_sha256" | "sha256") => query::is(wanted, &image.hashes().sha256),
            // Of anything that the server saw happen to the process: here, who started it and what it started.
            Some("md5") => {
                let kin = self.parent().into_iter().chain(self.children());
                std::iter::once(self.one)
                    .chain(kin)
                    .any(|one| query::is(wanted, &one.image.hashes().md5))
            }
            Some("path") => query::is_in(wanted, &image.path),
            Some("cmdline") => query::is_in(wanted, &process.line),
            Some("hostname") => query::is(wanted, &self.device.name),
            Some("username") => {
                let name = process.user.rsplit('\\').next().unwrap_or_default();
                query::is(wanted, &process.user) || query::is(wanted, name)
            }
            Some("parent_name") => self
                .parent()
                .is_some_and(|parent| query::is(wanted, &parent.image.name)),
            Some("os_type") => query::is(wanted, os_type(self.device.os)),
            Some("host_type") => query::is(wanted, host_type(self.device.os)),
            Some("group") => query::is(wanted, query::GROUP),
            Some("process_id") => query::is(wanted, &self.guid()),
            Some("sensor_id") => number(self.device.id),
            Some("process_pid") => number(process.pid),
            Some("parent_pid") => number(process.parent),
            Some("start" | "last_update") => query::is_since(wanted, self.start(), self.times.now),
            Some(_) => false,
        }
    }

    fn key(&self, field: &str) -> Key {
        match field {
            "process_name" => Key::Text(self.one.image.name.clone()),
            "hostname" => Key::Text(self.device.name.to_lowercase()),
            "sensor_id" => Key::of(self.device.id),
            "process_pid" => Key::of(self.one.process.pid),
            _ => Key::Number(self.one.process.created),
        }
    }

    /// None of what has ended, and of what the system itself started.
    fn parent(&self) -> Option<&Running> {
        let parent = self.one.process.parent;
        self.all.iter().find(|other| other.process.pid == parent)
    }

    fn children(&self) -> impl Iterator<Item = &Running> {
        let pid = self.one.process.pid;
        self.all
            .iter()
            .filter(move |other| other.process.parent == pid)
    }

    /// Also the last that was heard of it: so long as it only runs, nothing new is told of it, and who pages
    /// through a search meets each process once.
    fn start(&self) -> Timestamp {
        began(self.one.process.created, self.times)
    }

    fn guid(&self) -> String {
        guid(self.device.id, self.one.process.pid, Some(self.start()))
    }

    fn record(&self) -> Value {
        let Running { process, image } = self.one;
        let hashes = image.hashes();
        let id = self.guid();
        let start = shapes::precise(self.start());
        let address = address(&self.device.ip);
        let mut record = json!({
            "unique_id": unique(&id),
            "id": id,
            "segment_id": SEGMENT,
            "sensor_id": self.device.id,
            "hostname": self.device.name,
            "process_name": image.name,
            "process_pid": process.pid,
            "process_md5": hashes.md5,
            "process_sha256": hashes.sha256,
            "path": image.path,
            "cmdline": &*process.line,
            "username": &*process.user,
            "start": start,
            "last_update": start,
            "last_server_update": start,
            "terminated": false,
            "os_type": os_type(self.device.os),
            "host_type": host_type(self.device.os),
            "group": query::GROUP,
            "comms_ip": address,
            "interface_ip": address,
            "childproc_count": self.children().count(),
        });
        if let Some(record) = record.as_object_mut() {
            record.extend(self.descent());
            for never in [
                "modload_count",
                "filemod_count",
                "regmod_count",
                "netconn_count",
                "crossproc_count",
                "emet_count",
            ] {
                record.insert(never.to_owned(), json!(0));
            }
        }
        record
    }

    fn descent(&self) -> serde_json::Map<String, Value> {
        let parent = self.parent();
        let start = parent.map(|parent| began(parent.process.created, self.times));
        let id = guid(self.device.id, self.one.process.parent, start);
        let members = [
            ("parent_unique_id", json!(unique(&id))),
            ("parent_id", json!(id)),
            ("parent_pid", json!(self.one.process.parent)),
            ("parent_name", json!(parent.map(|one| &one.image.name))),
            (
                "parent_md5",
                json!(parent.map(|one| one.image.hashes().md5.clone())),
            ),
        ];
        members
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }
}

fn began(milliseconds: i64, times: Times) -> Timestamp {
    let offset = SignedDuration::from_millis(milliseconds);
    times.begun.saturating_add(offset).unwrap_or(times.begun)
}

fn unique(guid: &str) -> String {
    format!("{guid}-{SEGMENT:012x}")
}

fn os_type(os: Os) -> &'static str {
    match os {
        Os::Windows => "windows",
        Os::Macos => "osx",
        Os::Linux | Os::Other => "linux",
    }
}

fn host_type(os: Os) -> &'static str {
    match os {
        Os::Windows | Os::Macos => "workstation",
        Os::Linux | Os::Other => "server",
    }
}

/// An address of four bytes as the signed number that it makes.
fn address(text: &str) -> i32 {
    let address: Option<std::net::Ipv4Addr> = text.parse().ok();
    address.map_or(0, |address| i32::from_be_bytes(address.octets()))
}
