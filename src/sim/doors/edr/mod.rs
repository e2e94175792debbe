//! EDR, the product that runs on the customer's own server: `/api/…`.

mod archive;
mod banning;
mod binary;
mod cblr;
mod info;
mod process;
mod query;
#[cfg(test)]
mod rig;
mod sensor_shape;
mod sensors;
mod shapes;
#[cfg(test)]
mod tests;

use super::Routed;
use crate::sim::world::World;
use crate::wire::Request;

/// Whose token it is.
const USER: &str = "analyst";

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    cblr::answer(world, request, path)
        .or_else(|| sensors::answer(world, request, path))
        .or_else(|| info::answer(world, request, path))
        .or_else(|| process::answer(world, request, path))
        .or_else(|| binary::answer(world, request, path))
        .or_else(|| banning::answer(world, request, path))
}

/// What a query says under a name.
fn asked<'a>(request: &'a Request, key: &str) -> Option<&'a str> {
    let given = request.query.iter().find(|(name, _)| name == key);
    given.map(|(_, value)| value.as_str())
}
