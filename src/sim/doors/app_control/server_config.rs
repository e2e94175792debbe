//! `serverConfig`: what clients ask first, to learn the server's version.

use super::super::Problem;
use super::fields::{Column, Field};
use super::listing::Listing;
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};

struct Entry {
    id: u64,
    name: &'static str,
    value: &'static str,
}

const FIELDS: &[Field<Entry>] = &[
    ("id", Column::Number(|e| e.id)),
    ("name", Column::Text(|e| e.name)),
    ("value", Column::Text(|e| e.value)),
];

pub(super) fn list(world: &World, request: &Request) -> Result<Response, Problem> {
    if request.method != Method::Get {
        return Err(Problem::wrong_method());
    }
    let now = world.survey(|_, times| times.now);
    let listing = Listing::read(FIELDS, &request.query, now)?;
    let version = Entry {
        id: 1,
        name: "ParityServerVersion",
        value: "8.9.0.1234",
    };
    Ok(Response::json(200, &listing.of([version])))
}
