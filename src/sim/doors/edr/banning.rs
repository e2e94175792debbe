//! Banned hashes, `/api/v1/banning/blacklist`: the organisation's list as EDR shows it.

use super::super::{Problem, Reply, Routed, lenient_body};
use super::{USER, asked};
use crate::sim::bans::{Decision, Rule, Verdict};
use crate::sim::catalogue::Catalogue;
use crate::sim::organisation::Times;
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use serde_json::{Value, json};
use std::time::Duration;

/// The number of whose token it is.
const USER_ID: u64 = 1;
const DEFAULT_COUNT: usize = 10_000;

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    let (route, answer) = match path {
        ["v1", "banning", "blacklist"] => ("api/v1/banning/blacklist", all(world, request)),
        ["v1", "banning", "blacklist", md5] => {
            ("api/v1/banning/blacklist/{md5}", one(world, request, md5))
        }
        _ => return None,
    };
    Some((route, answer))
}

type Answer = Result<Reply, Problem>;

fn all(world: &World, request: &Request) -> Answer {
    match request.method {
        Method::Get => {
            let count = asked(request, "count").and_then(|text| text.parse().ok());
            let records: Vec<Value> = world.catalogue(|catalogue| {
                catalogue.complete_bans();
                let bans = catalogue.bans.rules().iter();
                let shown = bans.filter(|rule| rule.is_ban() && rule.md5().is_some());
                shown
                    .take(count.unwrap_or(DEFAULT_COUNT))
                    .map(|rule| record(rule, catalogue.times))
                    .collect()
            });
            if records.is_empty() {
                return Ok(Response::new(204).into());
            }
            Ok(Response::json(200, &Value::Array(records)).into())
        }
        Method::Post => ban(world, &lenient_body(request)),
        _ => Err(Problem::wrong_method()),
    }
}

fn ban(world: &World, body: &Value) -> Answer {
    let md5 = body["md5hash"].as_str().unwrap_or_default();
    if md5.len() != 32 {
        return Err(Problem::bad_request("md5hash is not an MD5"));
    }
    world.catalogue(|catalogue| {
        // What is banned on some devices alone can still be banned everywhere.
        if banned(catalogue, md5).is_some_and(|rule| rule.enabled && rule.policies.is_empty()) {
            let text = format!("{md5} is already banned");
            return Err(Problem::new(409, "CONFLICT", text));
        }
        let known = catalogue.hashes(md5);
        let decision = decision(catalogue.times, &body["text"], enabled(body));
        let set = catalogue
            .bans
            .set(md5, known.as_deref(), Verdict::Banned, decision);
        match set {
            Some(_) => Ok(done()),
            None => Err(Problem::bad_request("md5hash is not an MD5")),
        }
    })
}

fn one(world: &World, request: &Request, md5: &str) -> Answer {
    let missing = || Problem::new(404, "NOT_FOUND", format!("Hash {md5} not found"));
    world.catalogue(|catalogue| {
        catalogue.complete_bans();
        let times = catalogue.times;
        let known = banned(catalogue, md5);
        match request.method {
            Method::Get => {
                let record = record(known.ok_or_else(missing)?, times);
                Ok(Response::json(200, &record).into())
            }
            Method::Put => {
                let body = lenient_body(request);
                let decision = decision(times, &body["text"], enabled(&body));
                known.ok_or_else(missing)?.decide(decision);
                Ok(done())
            }
            Method::Delete => {
                let rule = known
                    .filter(|rule| rule.enabled)
                    .ok_or_else(|| Problem::new(409, "CONFLICT", format!("{md5} is not banned")))?;
                // The reason goes with the ban; who wants to keep it sends it again.
                rule.decide(decision(times, &Value::Null, false));
                Ok(done())
            }
            Method::Post => Err(Problem::wrong_method()),
        }
    })
}

/// Only what EDR could show: bans, by MD5.
fn banned<'a>(catalogue: &'a mut Catalogue<'_>, md5: &str) -> Option<&'a mut Rule> {
    let found = catalogue.bans.find_mut(md5);
    found
        .filter(|rule| rule.is_ban() && rule.md5().is_some_and(|own| own.eq_ignore_ascii_case(md5)))
}

fn enabled(body: &Value) -> bool {
    body["enabled"].as_bool().unwrap_or(true)
}

fn decision(times: Times, text: &Value, enabled: bool) -> Decision {
    Decision {
        who: USER.to_owned(),
        at: times.elapsed(),
        text: text.as_str().unwrap_or_default().to_owned(),
        enabled,
    }
}

fn done() -> Reply {
    Response::json(200, &json!({"result": "success"})).into()
}

fn record(rule: &Rule, times: Times) -> Value {
    let audit = rule.audit.iter().map(|decision| {
        json!({
            "username": decision.who,
            "user_id": USER_ID,
            "timestamp": shown(decision.at, times),
            "text": decision.text,
            "enabled": decision.enabled,
        })
    });
    let block = rule.last_block.as_ref();
    json!({
        "md5hash": rule.md5(),
        "text": rule.text,
        "username": rule.who,
        "user_id": USER_ID,
        "timestamp": shown(rule.at, times),
        "enabled": rule.enabled,
        "audit": audit.collect::<Vec<_>>(),
        "block_count": rule.blocks,
        "last_block_time": block.map(|block| shown(block.at, times)),
        "last_block_sensor_id": block.map(|block| block.device),
        "last_block_hostname": block.map(|block| &block.host),
    })
}

/// The time of a server in UTC, as EDR's tables have it.
fn shown(at: Duration, times: Times) -> String {
    let at = times.at(at);
    at.strftime("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string()
}
