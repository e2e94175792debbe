//! Binaries: every executable that lies or runs on a device, by its MD5.

use super::super::{Problem, Reply, Routed, devices, shapes};
use super::query::{self, Asked, Key, Kind};
use crate::model::device::Os;
use crate::sim::catalogue::{Catalogue, Hashes, Image};
use crate::sim::endpoint::content::Content;
use crate::sim::world::World;
use crate::sim::zipped::zipped;
use crate::wire::{Method, Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Of a longer file only so much is copied to the server.
const COPIED: u64 = 25 << 20;

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    let (route, answer) = match path {
        ["v1", "binary"] => ("api/v1/binary", search(world, request)),
        ["v1", "binary", md5] => ("api/v1/binary/{md5}", copy(world, md5)),
        ["v1", "binary", md5, "summary"] => ("api/v1/binary/{md5}/summary", summary(world, md5)),
        _ => return None,
    };
    let answer = match request.method {
        Method::Get => answer,
        _ => Err(Problem::wrong_method()),
    };
    Some((route, answer))
}

/// One content, with the places where it was seen.
struct Binary {
    hashes: Arc<Hashes>,
    image: Image,
    os: Os,
    paths: BTreeSet<String>,
    devices: Vec<u64>,
    /// Milliseconds since the world began.
    first: i64,
}

fn search(world: &World, request: &Request) -> Result<Reply, Problem> {
    let asked = Asked::read(request, None, kind)?;
    let unsortable = asked.sort.as_ref().filter(|(field, _)| !is_sortable(field));
    if let Some((field, _)) = unsortable {
        return Err(Problem::bad_query(format!("{field} is not sortable")));
    }
    let body = world.catalogue(|catalogue| {
        let mut hits: Vec<Binary> = gather(catalogue, |_| true)
            .into_values()
            .filter(|binary| {
                let fits = |field: Option<&str>, value: &str| binary.fits(catalogue, field, value);
                asked.query.holds(&fits)
            })
            .collect();
        if let Some((field, descends)) = &asked.sort {
            hits.sort_by_cached_key(|binary| binary.key(field));
            if *descends {
                hits.reverse();
            }
        }
        let total = hits.len();
        let page = asked.page(hits);
        let results: Vec<Value> = page.map(|binary| binary.record(catalogue)).collect();
        asked.envelope(&results, total)
    });
    Ok(Response::json(200, &body).into())
}

fn summary(world: &World, md5: &str) -> Result<Reply, Problem> {
    let record = world.catalogue(|catalogue| {
        let found = find(catalogue, md5)?;
        Some(found.record(catalogue))
    });
    let record = record.ok_or_else(|| missing(md5))?;
    Ok(Response::json(200, &record).into())
}

/// The file itself, as far as the server has it.
fn copy(world: &World, md5: &str) -> Result<Reply, Problem> {
    let found = world.catalogue(|catalogue| {
        let found = find(catalogue, md5)?;
        let added = shapes::precise(found.added(catalogue));
        Some((found.image.content.clone()?, found.image.name, added))
    });
    let (content, name, added) = found.ok_or_else(|| missing(md5))?;
    let count = usize::try_from(COPIED).unwrap_or(usize::MAX);
    let metadata = format!("Timestamp: {added}\nOrigFilename: {name}\n");
    let archive = zipped(&[
        ("filedata", &content.read(0, count)),
        ("metadata", metadata.as_bytes()),
    ]);
    let response = Response {
        headers: vec![("content-type".to_owned(), "application/zip".to_owned())],
        body: archive,
        ..Response::new(200)
    };
    Ok(response.into())
}

fn missing(md5: &str) -> Problem {
    Problem::new(404, "NOT_FOUND", format!("Binary {md5} not found"))
}

fn find(catalogue: &Catalogue<'_>, md5: &str) -> Option<Binary> {
    let wanted = md5.to_ascii_lowercase();
    gather(catalogue, |hashes| hashes.md5 == wanted).remove(&wanted)
}

/// The contents of all devices, by MD5.
fn gather(catalogue: &Catalogue<'_>, wanted: impl Fn(&Hashes) -> bool) -> BTreeMap<String, Binary> {
    let mut all: BTreeMap<String, Binary> = BTreeMap::new();
    for device in catalogue.devices.values() {
        for image in catalogue.images(device) {
            let hashes = image.hashes();
            if !wanted(&hashes) {
                continue;
            }
            let binary = all.entry(hashes.md5.clone()).or_insert_with(|| Binary {
                hashes,
                os: device.os,
                paths: BTreeSet::new(),
                devices: Vec::new(),
                first: image.created,
                image: image.clone(),
            });
            binary.first = binary.first.min(image.created);
            binary.paths.insert(image.path);
            if binary.devices.last() != Some(&device.id) {
                binary.devices.push(device.id);
            }
        }
    }
    all
}

fn kind(field: &str) -> Option<Kind> {
    Some(match field {
        "md5"
        | "sha256"
        | "observed_filename"
        | "original_filename"
        | "internal_name"
        | "hostname"
        | "group"
        | "os_type"
        | "company_name"
        | "digsig_result"
        | "signed"
        | "is_executable_image" => Kind::Text,
        "sensor_id" | "orig_mod_len" | "host_count" => Kind::Number,
        "server_added_timestamp" => Kind::Time,
        _ => return None,
    })
}

fn is_sortable(field: &str) -> bool {
    matches!(
        field,
        "server_added_timestamp" | "host_count" | "orig_mod_len" | "md5" | "original_filename"
    )
}

impl Binary {
    fn fits(&self, catalogue: &Catalogue<'_>, field: Option<&str>, wanted: &str) -> bool {
        let number = |own: u64| wanted == "*" || wanted.parse() == Ok(own);
        match field {
            None => ["md5", "observed_filename"]
                .iter()
                .any(|field| self.fits(catalogue, Some(field), wanted)),
            Some("*") => true,
            Some("md5") => query::is(wanted, &self.hashes.md5),
            Some("sha256") => query::is(wanted, &self.hashes.sha256),
            Some("observed_filename") => self.paths.iter().any(|path| query::is_in(wanted, path)),
            Some("original_filename" | "internal_name") => query::is(wanted, &self.image.name),
            Some("hostname") => self
                .names(catalogue)
                .any(|(_, name)| query::is(wanted, name)),
            Some("group") => query::is(wanted, query::GROUP),
            Some("os_type") => query::is(wanted, os_type(self.os)),
            Some("company_name") => query::is(wanted, self.company()),
            Some("digsig_result" | "signed") => query::is(wanted, self.signed()),
            Some("is_executable_image") => query::is(wanted, "true"),
            Some("sensor_id") => {
                wanted == "*" || wanted.parse().is_ok_and(|id| self.devices.contains(&id))
            }
            Some("orig_mod_len") => number(self.image.size()),
            Some("host_count") => number(self.devices.len() as u64),
            Some("server_added_timestamp") => {
                query::is_since(wanted, self.added(catalogue), catalogue.times.now)
            }
            Some(_) => false,
        }
    }

    fn key(&self, field: &str) -> Key {
        match field {
            "server_added_timestamp" => Key::Number(self.first),
            "host_count" => Key::of(self.devices.len() as u64),
            "orig_mod_len" => Key::of(self.image.size()),
            "md5" => Key::Text(self.hashes.md5.clone()),
            _ => Key::Text(self.image.name.clone()),
        }
    }

    fn names<'a>(&'a self, catalogue: &'a Catalogue<'_>) -> impl Iterator<Item = (u64, &'a str)> {
        let devices = self.devices.iter();
        devices.filter_map(|id| Some((*id, catalogue.devices.get(id)?.name.as_str())))
    }

    fn added(&self, catalogue: &Catalogue<'_>) -> Timestamp {
        let begun = catalogue.times.begun;
        let offset = SignedDuration::from_millis(self.first);
        begun.saturating_add(offset).unwrap_or(begun)
    }

    /// What came with Windows has its maker's signature, and nothing else here has one.
    fn is_of_windows(&self) -> bool {
        let is_made = matches!(self.image.content, Some(Content::Seeded { .. }));
        is_made && self.image.path.starts_with(r"c:\windows\")
    }

    fn signed(&self) -> &'static str {
        if self.is_of_windows() {
            "Signed"
        } else {
            "Unsigned"
        }
    }

    fn company(&self) -> &'static str {
        if self.is_of_windows() {
            "Microsoft Corporation"
        } else {
            ""
        }
    }

    fn record(&self, catalogue: &Catalogue<'_>) -> Value {
        let devices = self.devices.iter();
        let reports = devices.filter_map(|id| catalogue.devices.get(id));
        let seen = reports.map(|device| devices::last_contact(device, catalogue.times));
        let added = self.added(catalogue);
        let seen = seen.max().unwrap_or(added).max(added);
        let hosts = self.names(catalogue);
        let hosts: Vec<String> = hosts.map(|(id, name)| format!("{name}|{id}")).collect();
        let mut record = json!({
            "md5": self.hashes.md5.to_uppercase(),
            "sha256": self.hashes.sha256.to_uppercase(),
            "orig_mod_len": self.image.size(),
            "copied_mod_len": self.image.size().min(COPIED),
            "observed_filename": self.paths,
            "is_executable_image": true,
            "is_64bit": true,
            "os_type": os_type(self.os),
            "host_count": hosts.len(),
            "endpoint": hosts,
            "group": [query::GROUP],
            "server_added_timestamp": shapes::precise(added),
            "timestamp": shapes::precise(added),
            "last_seen": shapes::precise(seen),
            "cb_version": 700,
            "watchlists": [],
        });
        if let (Some(record), Value::Object(more)) = (record.as_object_mut(), self.origin(added)) {
            record.extend(more);
        }
        record
    }

    /// Who says to have made it.
    fn origin(&self, added: Timestamp) -> Value {
        let company = self.company();
        let of_windows = self.is_of_windows();
        let version = if of_windows { "10.0.19041.1" } else { "" };
        json!({
            "original_filename": self.image.name,
            "internal_name": self.image.name,
            "product_name": if of_windows { "Microsoft Windows Operating System" } else { "" },
            "product_version": version,
            "file_version": version,
            "file_desc": "",
            "company_name": company,
            "legal_copyright": company,
            "signed": self.signed(),
            "digsig_result": self.signed(),
            "digsig_result_code": if of_windows { "0" } else { "2148204800" },
            "digsig_publisher": company,
            "digsig_issuer": company,
            "digsig_subject": company,
            "digsig_prog_name": "",
            "digsig_sign_time": of_windows.then(|| shapes::precise(added)),
        })
    }
}

fn os_type(os: Os) -> &'static str {
    match os {
        Os::Windows => "Windows",
        Os::Macos => "OSX",
        Os::Linux | Os::Other => "Linux",
    }
}
