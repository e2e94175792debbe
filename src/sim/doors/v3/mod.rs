//! The third version of the cloud: `/integrationServices/v3/…`.

mod devices;
mod live_response;
mod shapes;

use super::Routed;
use crate::sim::world::World;
use crate::wire::Request;

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    match path {
        ["cblr", rest @ ..] => live_response::answer(world, request, rest),
        ["device", rest @ ..] => devices::answer(world, request, rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
