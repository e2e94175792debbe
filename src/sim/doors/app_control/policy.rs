//! `policy`: the organisation's policies, and how many computers have each.

use super::super::Problem;
use super::fields::{Cell, Column, Field, object};
use super::listing::Listing;
use super::{level, missing};
use crate::sim::contact;
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use std::collections::BTreeMap;

struct Policy {
    id: u64,
    name: String,
    total: u64,
    connected: u64,
    /// Whose agents have heard of no other policy that they are to have.
    at_enforcement: u64,
}

const FIELDS: &[Field<Policy>] = &[
    ("id", Column::Number(|p| p.id)),
    ("name", Column::Text(|p| &p.name)),
    ("description", Column::Always(Cell::Text(""))),
    ("packageName", Column::Text(|p| &p.name)),
    ("enforcementLevel", Column::Number(|p| level(&p.name))),
    (
        "disconnectedEnforcementLevel",
        Column::Number(|p| level(&p.name)),
    ),
    ("totalComputers", Column::Number(|p| p.total)),
    ("connectedComputers", Column::Number(|p| p.connected)),
    (
        "atEnforcementComputers",
        Column::Number(|p| p.at_enforcement),
    ),
    ("readOnly", Column::Always(Cell::Flag(false))),
    ("hidden", Column::Always(Cell::Flag(false))),
    ("automatic", Column::Always(Cell::Flag(false))),
    ("loadAgentInSafeMode", Column::Always(Cell::Flag(false))),
    ("reputationEnabled", Column::Always(Cell::Flag(true))),
    ("fileTrackingEnabled", Column::Always(Cell::Flag(true))),
    ("customLogo", Column::Always(Cell::Flag(false))),
    (
        "automaticApprovalsOnTransition",
        Column::Always(Cell::Flag(false)),
    ),
    ("allowAgentUpgrades", Column::Always(Cell::Flag(true))),
    ("helpDeskUrl", Column::Always(Cell::Text(""))),
    ("imageUrl", Column::Always(Cell::Text(""))),
    ("clVersionMax", Column::Always(Cell::Number(1000))),
];

pub(super) fn list(world: &World, request: &Request) -> Result<Response, Problem> {
    if request.method != Method::Get {
        return Err(Problem::wrong_method());
    }
    let policies = all(world);
    let now = world.survey(|_, times| times.now);
    let listing = Listing::read(FIELDS, &request.query, now)?;
    Ok(Response::json(200, &listing.of(policies.into_values())))
}

pub(super) fn one(world: &World, request: &Request, id: &str) -> Result<Response, Problem> {
    if request.method != Method::Get {
        return Err(Problem::wrong_method());
    }
    let policies = all(world);
    let policy = id.parse().ok().and_then(|id: u64| policies.get(&id));
    let policy = policy.ok_or_else(|| missing("policy", id))?;
    Ok(Response::json(200, &object(FIELDS, policy)))
}

fn all(world: &World) -> BTreeMap<u64, Policy> {
    let policies = world.policies().into_iter().map(|(id, name)| {
        let policy = Policy {
            id,
            name,
            total: 0,
            connected: 0,
            at_enforcement: 0,
        };
        (id, policy)
    });
    let mut policies: BTreeMap<u64, Policy> = policies.collect();
    world.app_control(|kept, catalogue| {
        let now = catalogue.times.elapsed();
        for device in catalogue.devices.values() {
            let Some(policy) = policies.get_mut(&device.policy.0) else {
                continue;
            };
            let asked = kept.kept(device.id).asked_policy(now);
            policy.total += 1;
            policy.connected += u64::from(contact::is_reachable(device, now));
            policy.at_enforcement += u64::from(asked.is_none_or(|asked| asked == policy.id));
        }
    });
    policies
}
