//! App Control: `/api/bit9platform/v1/…`.

use super::Routed;
use crate::sim::world::World;
use crate::wire::Request;

pub(super) fn answer(_world: &World, _request: &Request, _path: &[&str]) -> Routed {
    None
}
