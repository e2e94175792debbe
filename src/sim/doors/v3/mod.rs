//! The third version of the cloud: `/integrationServices/v3/…`.

use super::Routed;
use crate::sim::world::World;
use crate::wire::Request;

pub(super) fn answer(_world: &World, _request: &Request, _path: &[&str]) -> Routed {
    None
}
