//! What the server says of itself.

use super::super::{Problem, Routed};
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use serde_json::json;

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    let (route, body) = match path {
        ["info"] => (
            "api/info",
            json!({
                "version": "7.8.0.231120.1200",
                "version_release": "7.8.0-1",
                "cblrEnabled": world.manners().edr.live_response,
                "banningEnabled": true,
                "liveResponseAutoAttach": true,
                "maxSearchResultRows": 1000,
                "processPageSize": 10,
                "features": {},
            }),
        ),
        ["v1", "storage", "events", "partition"] => ("api/v1/storage/events/partition", json!({})),
        _ => return None,
    };
    let answer = match request.method {
        Method::Get => Ok(Response::json(200, &body).into()),
        _ => Err(Problem::wrong_method()),
    };
    Some((route, answer))
}

#[cfg(test)]
mod tests {
    use super::super::rig::{get, put, world};
    use crate::sim::manners::Edr;
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn the_server_says_what_it_is() {
        for live_response in [true, false] {
            let ways = Edr {
                live_response,
                ..Edr::default()
            };
            let world = world(vec![], ways);
            let (status, info) = get(&world, "info");
            assert_eq!((status, &info["cblrEnabled"]), (200, &json!(live_response)));
            assert_eq!(info["version"], json!("7.8.0.231120.1200"));
            assert_eq!(get(&world, "v1/storage/events/partition"), (200, json!({})));
            assert_eq!(put(&world, "info", &json!({})).0, 405);
        }
    }
}
