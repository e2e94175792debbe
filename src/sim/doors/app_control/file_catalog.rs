//! `fileCatalog`: every content that lies on some computer, once.

use super::super::Problem;
use super::copies::{APPROVED, BANNED, Copy, copies, state};
use super::fields::{Cell, Column, Field, object};
use super::listing::Listing;
use super::missing;
use crate::sim::app_control::AppControl;
use crate::sim::catalogue::Catalogue;
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use std::collections::BTreeMap;

/// A content, as it was first seen.
struct File {
    first: Copy,
    /// On how many computers it lies.
    prevalence: u64,
    state: u64,
}

const FIELDS: &[Field<File>] = &[
    ("id", Column::Number(|f| f.first.file)),
    ("computerId", Column::Number(|f| f.first.computer)),
    ("fileName", Column::Text(|f| f.first.name())),
    ("pathName", Column::Text(|f| f.first.directory())),
    ("fileExtension", Column::Text(File::extension)),
    ("fileSize", Column::Number(|f| f.first.image.size())),
    ("fileType", Column::Always(Cell::Text("Application"))),
    ("fileFlags", Column::Always(Cell::Number(0))),
    ("md5", Column::Text(|f| &f.first.hashes.md5)),
    ("sha1", Column::Text(|f| &f.first.hashes.sha1)),
    ("sha256", Column::Text(|f| &f.first.hashes.sha256)),
    ("sha256HashType", Column::Always(Cell::Number(5))),
    ("fileState", Column::Number(|f| f.state)),
    ("effectiveState", Column::Text(File::effective_state)),
    ("prevalence", Column::Number(|f| f.prevalence)),
    ("publisher", Column::Always(Cell::Text(""))),
    ("publisherId", Column::Always(Cell::Number(0))),
    ("publisherState", Column::Always(Cell::Number(1))),
    ("certificateId", Column::Always(Cell::Number(0))),
    ("certificateState", Column::Always(Cell::Number(1))),
    ("company", Column::Always(Cell::Text(""))),
    ("productName", Column::Always(Cell::Text(""))),
    ("productVersion", Column::Always(Cell::Text(""))),
    ("threat", Column::Always(Cell::Number(-1))),
    ("trust", Column::Always(Cell::Number(-1))),
    ("dateCreated", Column::Date(|f| Some(f.first.created))),
];

impl File {
    fn extension(&self) -> &str {
        let name = self.first.name();
        name.rsplit_once('.').map_or("", |(_, ending)| ending)
    }

    fn effective_state(&self) -> &str {
        match self.state {
            BANNED => "Banned",
            APPROVED => "Approved",
            _ => "Unapproved",
        }
    }
}

pub(super) fn list(world: &World, request: &Request) -> Result<Response, Problem> {
    if request.method != Method::Get {
        return Err(Problem::wrong_method());
    }
    world.app_control(|kept, catalogue| {
        let listing = Listing::read(FIELDS, &request.query, catalogue.times.now)?;
        let files = files(kept, catalogue).into_values();
        Ok(Response::json(200, &listing.of(files)))
    })
}

pub(super) fn one(world: &World, request: &Request, id: &str) -> Result<Response, Problem> {
    if request.method != Method::Get {
        return Err(Problem::wrong_method());
    }
    world.app_control(|kept, catalogue| {
        let number: Option<u64> = id.parse().ok();
        let files = files(kept, catalogue);
        let file = number.and_then(|number| files.get(&number));
        let file = file.ok_or_else(|| missing("file", id))?;
        Ok(Response::json(200, &object(FIELDS, file)))
    })
}

/// By number.
fn files(kept: &mut AppControl, catalogue: &Catalogue<'_>) -> BTreeMap<u64, File> {
    let mut files: BTreeMap<u64, File> = BTreeMap::new();
    // Several copies on a computer count once.
    let mut last_seen: BTreeMap<u64, u64> = BTreeMap::new();
    for device in catalogue.devices.values() {
        for copy in copies(kept, catalogue, device) {
            let number = copy.file;
            let is_new_there = last_seen.insert(number, device.id) != Some(device.id);
            let file = files.entry(number).or_insert_with(|| File {
                state: state(catalogue.bans, &copy.hashes, None),
                first: copy,
                prevalence: 0,
            });
            file.prevalence += u64::from(is_new_there);
        }
    }
    files
}
