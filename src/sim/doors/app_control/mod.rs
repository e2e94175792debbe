//! App Control: `/api/bit9platform/v1/…`. One file per resource; what they all share is how lists are asked for.

mod computer;
mod conditions;
mod copies;
mod fields;
mod file_catalog;
mod file_instance;
mod file_rule;
mod file_upload;
mod listing;
mod policy;
mod server_config;
#[cfg(test)]
mod tests;

use super::cloud_v6::body;
use super::{Problem, Reply, Routed};
use crate::sim::world::World;
use crate::wire::Request;
use serde_json::Value;
use std::fmt::Display;

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    let (resource, rest) = path.split_first()?;
    // Paths have no case here.
    let resource = resource.to_ascii_lowercase();
    let (route, answer) = match (resource.as_str(), rest) {
        ("serverconfig", []) => (
            "bit9platform/v1/serverConfig",
            server_config::list(world, request),
        ),
        ("computer", []) => ("bit9platform/v1/computer", computer::list(world, request)),
        ("computer", [id]) => (
            "bit9platform/v1/computer/{id}",
            computer::one(world, request, id),
        ),
        ("policy", []) => ("bit9platform/v1/policy", policy::list(world, request)),
        ("policy", [id]) => (
            "bit9platform/v1/policy/{id}",
            policy::one(world, request, id),
        ),
        ("filecatalog", []) => (
            "bit9platform/v1/fileCatalog",
            file_catalog::list(world, request),
        ),
        ("filecatalog", [id]) => (
            "bit9platform/v1/fileCatalog/{id}",
            file_catalog::one(world, request, id),
        ),
        ("fileinstance", []) => (
            "bit9platform/v1/fileInstance",
            file_instance::list(world, request),
        ),
        ("fileinstance", [id]) => (
            "bit9platform/v1/fileInstance/{id}",
            file_instance::one(world, request, id),
        ),
        ("filerule", []) => ("bit9platform/v1/fileRule", file_rule::all(world, request)),
        ("filerule", [id]) => (
            "bit9platform/v1/fileRule/{id}",
            file_rule::one(world, request, id),
        ),
        ("fileupload", []) => (
            "bit9platform/v1/fileUpload",
            file_upload::all(world, request),
        ),
        ("fileupload", [id]) => (
            "bit9platform/v1/fileUpload/{id}",
            file_upload::one(world, request, id),
        ),
        _ => return None,
    };
    Some((route, answer.map(Reply::Whole)))
}

fn missing(what: &str, id: impl Display) -> Problem {
    Problem::new(404, "NOT_FOUND", format!("there is no {what} {id}"))
}

/// A switch in the query; none if it is neither on nor off.
fn is_on(query: &[(String, String)], name: &str) -> Option<bool> {
    let mut named = query
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name));
    match named.next()?.1.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// How much a policy forbids: the products share policies, and only their names say anything of it.
fn level(policy: &str) -> u64 {
    match policy {
        "Restrictive" => 20,
        "Monitored" => 40,
        _ => 30,
    }
}

/// None if it is absent or null.
fn flag(body: &Value, key: &str) -> Result<Option<bool>, Problem> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(Problem::bad_request(format!("{key} is not a boolean"))),
    }
}
