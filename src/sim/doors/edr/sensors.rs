//! Sensors: lists of them, one, and what an analyst asks of it.

use super::super::cloud_v6::body;
use super::super::devices::{last_contact, registered};
use super::super::{Problem, Reply, Routed, orders};
use super::asked;
use super::sensor_shape::{restarts, sensor, status};
use crate::sim::actions::{Action, Toggle};
use crate::sim::device::SimDevice;
use crate::sim::manners::NoSensors;
use crate::sim::organisation::Times;
use crate::sim::world::{Missing, Refusal, World};
use crate::wire::{Method, Request, Response};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::{Value, json};
use std::cmp::Ordering;

const DEFAULT_ROWS: usize = 100;

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    let (route, answer) = match (path, request.method) {
        (["v1", "sensor"], Method::Get) => ("api/v1/sensor", list(world, request)),
        (["v2", "sensor"], Method::Get) => ("api/v2/sensor", page(world, request)),
        (["v1", "sensor", id], Method::Get) => ("api/v1/sensor/{id}", one(world, id)),
        (["v1", "sensor", id], Method::Put) => ("api/v1/sensor/{id}", change(world, request, id)),
        (["v1", "sensor"], _) => ("api/v1/sensor", Err(Problem::wrong_method())),
        (["v2", "sensor"], _) => ("api/v2/sensor", Err(Problem::wrong_method())),
        (["v1", "sensor", _], _) => ("api/v1/sensor/{id}", Err(Problem::wrong_method())),
        _ => return None,
    };
    Some((route, answer.map(Reply::Whole)))
}

type Answer = Result<Response, Problem>;

/// Which sensors a query picks: parts of a name or an address, with their case.
struct Filter<'a> {
    name: Option<&'a str>,
    address: Option<&'a str>,
    group: Option<u64>,
}

impl<'a> Filter<'a> {
    fn read(request: &'a Request) -> Result<Self, Problem> {
        let address = asked(request, "ip");
        Ok(Self {
            // Who gives both is asked for the address alone.
            name: asked(request, "hostname").filter(|_| address.is_none()),
            address,
            group: number(request, "groupid")?,
        })
    }

    fn picks(&self, device: &SimDevice) -> bool {
        self.name.is_none_or(|name| device.name.contains(name))
            && self.address.is_none_or(|ip| device.ip.contains(ip))
            && self.group.is_none_or(|id| device.record.group == id)
    }
}

fn number<T: std::str::FromStr>(request: &Request, key: &str) -> Result<Option<T>, Problem> {
    let wrong = || Problem::bad_request(format!("{key} is not a number"));
    let number = asked(request, key).map(|text| text.trim().parse().map_err(|_| wrong()));
    number.transpose()
}

fn list(world: &World, request: &Request) -> Answer {
    let filter = Filter::read(request)?;
    let found: Vec<Value> = world.survey(|devices, times| {
        let found = devices.values().filter(|device| filter.picks(device));
        found.map(|device| sensor(device, times)).collect()
    });
    Ok(match world.manners().edr.no_sensors {
        NoSensors::NoContent if found.is_empty() => Response::new(204),
        NoSensors::Error if found.is_empty() => {
            return Err(Problem::new(500, "INTERNAL_ERROR", "no sensor found"));
        }
        _ => Response::json(200, &Value::Array(found)),
    })
}

fn page(world: &World, request: &Request) -> Answer {
    let filter = Filter::read(request)?;
    let start = number(request, "start")?.unwrap_or(0);
    let rows = number(request, "rows")?.unwrap_or(DEFAULT_ROWS);
    let column = asked(request, "sort.col").unwrap_or("computer_name");
    let column = Column::read(column)?;
    let descends = match asked(request, "sort.dir").map(str::to_lowercase).as_deref() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => return Err(Problem::bad_request("sort.dir is neither asc nor desc")),
    };
    let answer = world.survey(|devices, times| {
        let mut found: Vec<&SimDevice> = devices.values().filter(|d| filter.picks(d)).collect();
        found.sort_by(|a, b| {
            let order = column.compare(a, b, times);
            let order = if descends { order.reverse() } else { order };
            order.then(a.id.cmp(&b.id))
        });
        let page = found.iter().skip(start).take(rows);
        let results: Vec<Value> = page.map(|device| sensor(device, times)).collect();
        json!({"total_results": found.len(), "results": results})
    });
    Ok(Response::json(200, &answer))
}

/// What a page may be sorted by.
#[derive(Clone, Copy)]
enum Column {
    Id,
    Name,
    Os,
    Status,
    Group,
    Registered,
    Seen,
}

impl Column {
    fn read(name: &str) -> Result<Self, Problem> {
        Ok(match name {
            "id" => Self::Id,
            "computer_name" | "computer_dns_name" => Self::Name,
            "os_environment_display_string" => Self::Os,
            "status" => Self::Status,
            "group_id" => Self::Group,
            "registration_time" => Self::Registered,
            "last_checkin_time" | "last_update" => Self::Seen,
            _ => return Err(Problem::bad_request(format!("{name} cannot be sorted by"))),
        })
    }

    fn compare(self, a: &SimDevice, b: &SimDevice, times: Times) -> Ordering {
        match self {
            Self::Id => a.id.cmp(&b.id),
            Self::Name => a.name.cmp(&b.name),
            Self::Os => a.os_version.cmp(&b.os_version),
            Self::Status => status(a, times).cmp(status(b, times)),
            Self::Group => a.record.group.cmp(&b.record.group),
            Self::Registered => registered(a).cmp(&registered(b)),
            Self::Seen => last_contact(a, times).cmp(&last_contact(b, times)),
        }
    }
}

fn one(world: &World, id: &str) -> Answer {
    let number: Option<u64> = id.parse().ok();
    let record = world.survey(|devices, times| {
        let device = devices.get(&number?)?;
        Some(sensor(device, times))
    });
    record
        .map(|record| Response::json(200, &record))
        .ok_or_else(|| missing(id))
}

fn missing(id: &str) -> Problem {
    Problem::new(404, "NOT_FOUND", format!("Sensor {id} not found"))
}

/// What may be changed of a sensor; the rest of an object that was read back is not looked at.
struct Change {
    isolation: Option<Toggle>,
    restart: Option<bool>,
    uninstall: Option<bool>,
    group: Option<u64>,
    notes: Said<String>,
    flush: Said<Timestamp>,
}

/// A member that may be absent, which is not the same as null.
enum Said<T> {
    Absent,
    Null,
    Value(T),
}

impl Said<String> {
    fn read(body: &Value, key: &str) -> Result<Self, Problem> {
        Ok(match (body.get(key), orders::text(body, key)?) {
            (None, _) => Self::Absent,
            (_, None) => Self::Null,
            (_, Some(text)) => Self::Value(text),
        })
    }
}

impl<T> Said<T> {
    fn write(self, place: &mut Option<T>) {
        match self {
            Self::Absent => {}
            Self::Null => *place = None,
            Self::Value(value) => *place = Some(value),
        }
    }
}

impl Change {
    fn read(body: &Value) -> Result<Self, Problem> {
        let flag = |key: &str| -> Result<Option<bool>, Problem> {
            let is_said = body.get(key).is_some_and(|value| !value.is_null());
            is_said.then(|| orders::flag(body, key)).transpose()
        };
        let isolation = flag("network_isolation_enabled")?;
        let group = orders::integer(body, "group_id")?.map(|id| {
            let wrong = |_| Problem::bad_request("group_id is negative");
            u64::try_from(id).map_err(wrong)
        });
        Ok(Self {
            isolation: isolation.map(|on| if on { Toggle::On } else { Toggle::Off }),
            restart: flag("restart_queued")?,
            uninstall: flag("uninstall")?,
            group: group.transpose()?,
            notes: Said::read(body, "notes")?,
            flush: match Said::read(body, "event_log_flush_time")? {
                Said::Absent => Said::Absent,
                Said::Null => Said::Null,
                Said::Value(text) => Said::Value(mail_time(&text)?),
            },
        })
    }
}

/// A time as mails have it; the server takes no other.
fn mail_time(text: &str) -> Result<Timestamp, Problem> {
    rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .map_err(|_| Problem::bad_request("event_log_flush_time is no time as in RFC 822"))
}

fn change(world: &World, request: &Request, id: &str) -> Answer {
    let change = Change::read(&body(request)?)?;
    let number: u64 = id.parse().map_err(|_| missing(id))?;
    let before = world.survey(|devices, times| {
        let device = devices.get(&number)?;
        Some((device.isolation_wanted(), restarts(device, times)))
    });
    let (isolated, restarting) = before.ok_or(Refusal::NotFound(Missing::Device(number)))?;
    let (was_to_go, is_to_go) = world.write_down(number, |record, elapsed| {
        if let Some(group) = change.group {
            record.group = group;
        }
        change.notes.write(&mut record.notes);
        change.flush.write(&mut record.flush);
        match change.restart {
            // Every object that is sent back says it again.
            Some(true) if !restarting => record.restart = Some(elapsed),
            Some(false) => record.restart = None,
            _ => {}
        }
        let before = record.uninstall;
        record.uninstall = change.uninstall.unwrap_or(before);
        (before, record.uninstall)
    })?;
    if let Some(toggle) = change.isolation.filter(|toggle| toggle.is_on() != isolated) {
        world.act(&[number], &Action::Quarantine(toggle));
    }
    match (was_to_go, is_to_go) {
        (false, true) => world.act(&[number], &Action::UninstallSensor),
        (true, false) => world.take_back(number, &Action::UninstallSensor),
        _ => {}
    }
    Ok(Response::new(204))
}

#[cfg(test)]
mod tests;
