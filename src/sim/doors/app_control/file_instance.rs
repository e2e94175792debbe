//! `fileInstance`: a copy of a file on a computer, which can be approved there alone.

use super::super::{Problem, orders};
use super::copies::{APPROVED, BANNED, Copy, UNAPPROVED, computer_of, copies, state};
use super::fields::{Cell, Column, Field, object};
use super::listing::Listing;
use super::{body, missing};
use crate::sim::app_control::AppControl;
use crate::sim::bans::Bans;
use crate::sim::catalogue::Catalogue;
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};

struct Instance {
    copy: Copy,
    state: u64,
}

const FIELDS: &[Field<Instance>] = &[
    ("id", Column::Number(|i| i.copy.id)),
    ("fileCatalogId", Column::Number(|i| i.copy.file)),
    ("fileInstanceGroupId", Column::Number(|i| i.copy.computer)),
    ("computerId", Column::Number(|i| i.copy.computer)),
    ("policyId", Column::Number(|i| i.copy.policy)),
    ("pathName", Column::Text(|i| i.copy.directory())),
    ("fileName", Column::Text(|i| i.copy.name())),
    ("localState", Column::Number(|i| i.state)),
    ("detailedLocalState", Column::Number(|i| i.state)),
    ("executed", Column::Always(Cell::Flag(false))),
    ("initialized", Column::Always(Cell::Flag(true))),
    ("topLevel", Column::Always(Cell::Flag(true))),
    ("certificateId", Column::Always(Cell::Number(0))),
    ("dateCreated", Column::Date(|i| Some(i.copy.created))),
];

impl Instance {
    /// A rule about the file goes before what was decided about this copy.
    fn of(kept: &AppControl, bans: &Bans, copy: Copy) -> Self {
        let state = match state(bans, &copy.hashes, Some(copy.policy)) {
            UNAPPROVED => kept.local_state(copy.id, copy.file).unwrap_or(UNAPPROVED),
            decided => decided,
        };
        Self { copy, state }
    }
}

pub(super) fn list(world: &World, request: &Request) -> Result<Response, Problem> {
    if request.method != Method::Get {
        return Err(Problem::wrong_method());
    }
    world.app_control(|kept, catalogue| {
        let listing = Listing::read(FIELDS, &request.query, catalogue.times.now)?;
        let mut all = Vec::new();
        // Nobody goes over all computers who asks for one.
        let wanted = listing.only("computerId");
        let devices = catalogue.devices.values();
        for device in devices.filter(|device| wanted.is_none_or(|id| id == device.id.into())) {
            for copy in copies(kept, catalogue, device) {
                all.push(Instance::of(kept, catalogue.bans, copy));
            }
        }
        Ok(Response::json(200, &listing.of(all)))
    })
}

/// Approving locally is done by either method.
pub(super) fn one(world: &World, request: &Request, id: &str) -> Result<Response, Problem> {
    let wanted = match request.method {
        Method::Get => None,
        Method::Put | Method::Post => orders::natural(&body(request)?, "localState")?,
        Method::Delete => return Err(Problem::wrong_method()),
    };
    world.app_control(|kept, catalogue| {
        let found = id.parse().ok().and_then(|id| find(kept, catalogue, id));
        let mut instance = found.ok_or_else(|| missing("file instance", id))?;
        match wanted.filter(|state| *state != instance.state) {
            None => {}
            Some(state @ (UNAPPROVED | APPROVED)) => {
                let copy = &instance.copy;
                kept.set_local_state(copy.id, copy.file, state);
                instance = Instance::of(kept, catalogue.bans, instance.copy);
            }
            Some(BANNED) => {
                let why = "a file is banned by a fileRule, not on one computer";
                return Err(Problem::bad_request(why));
            }
            Some(state) => {
                return Err(Problem::bad_request(format!("no localState: {state}")));
            }
        }
        Ok(Response::json(200, &object(FIELDS, &instance)))
    })
}

fn find(kept: &mut AppControl, catalogue: &Catalogue<'_>, id: u64) -> Option<Instance> {
    let device = catalogue.devices.get(&computer_of(id))?;
    let mut copies = copies(kept, catalogue, device).into_iter();
    let copy = copies.find(|copy| copy.id == id)?;
    Some(Instance::of(kept, catalogue.bans, copy))
}
