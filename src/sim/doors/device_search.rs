//! Which devices a search means: criteria, exclusions, query, order.
//!
//! A criterion that is not known is an error: to ignore it would quietly widen what is selected.

use super::Problem;
use super::devices::{email, last_contact, os_word, record, status};
use super::query::Query;
use crate::sim::contact;
use crate::sim::device::SimDevice;
use crate::sim::organisation::Times;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use std::cmp::Ordering;

pub(super) struct Search {
    criteria: Vec<Criterion>,
    exclusions: Vec<Criterion>,
    query: Query,
    sort: Option<(String, bool)>,
}

enum Criterion {
    AnyOf(Field, Vec<String>),
    Contact(Window),
}

#[derive(Clone, Copy)]
enum Field {
    Id,
    Os,
    Policy,
    Status,
    SensorVersion,
    Constant(&'static str),
    /// Of kinds of devices that there are none of here.
    Nobody,
}

enum Window {
    /// So long ago at most.
    Last(SignedDuration),
    Between(Option<Timestamp>, Option<Timestamp>),
}

impl Search {
    pub(super) fn read(body: &Value) -> Result<Self, Problem> {
        let query = match body.get("query") {
            None | Some(Value::Null) => Query::default(),
            Some(Value::String(text)) => {
                Query::read(text).map_err(|()| Problem::bad_query("the query cannot be read"))?
            }
            Some(_) => return Err(Problem::bad_request("query is not text")),
        };
        Ok(Self {
            criteria: criteria(body.get("criteria"))?,
            exclusions: criteria(body.get("exclusions"))?,
            query,
            sort: sort(body.get("sort"))?,
        })
    }

    pub(super) fn run<'a>(
        &self,
        devices: impl Iterator<Item = &'a SimDevice>,
        times: Times,
    ) -> Vec<&'a SimDevice> {
        let mut hits: Vec<&SimDevice> = devices
            .filter(|device| self.criteria.iter().all(|c| c.holds(device, times)))
            .filter(|device| !self.exclusions.iter().any(|c| c.holds(device, times)))
            .filter(|device| self.query.fits(&searched(device)))
            .collect();
        if let Some((field, descending)) = &self.sort {
            let key = |device: &SimDevice| {
                record(device, times)
                    .get(field)
                    .cloned()
                    .unwrap_or_default()
            };
            hits.sort_by_cached_key(|device| Sortable(key(device)));
            if *descending {
                hits.reverse();
            }
        }
        hits
    }
}

/// What a query looks into: the API's names of fields, and their values.
fn searched(device: &SimDevice) -> Vec<(&'static str, String)> {
    vec![
        ("name", device.name.clone()),
        ("os", os_word(device.os).to_owned()),
        ("os_version", device.os_version.clone()),
        ("last_internal_ip_address", device.ip.clone()),
        ("last_external_ip_address", "192.0.2.10".to_owned()),
        ("login_user_name", device.user.clone()),
        ("email", email(device)),
        ("policy_name", device.policy.1.clone()),
        ("id", device.id.to_string()),
    ]
}

impl Criterion {
    fn holds(&self, device: &SimDevice, times: Times) -> bool {
        match self {
            Self::AnyOf(field, wanted) => wanted.iter().any(|value| field.is(device, value, times)),
            Self::Contact(Window::Last(age)) => last_contact(device, times) >= times.now - *age,
            Self::Contact(Window::Between(start, end)) => {
                let contact = last_contact(device, times);
                start.is_none_or(|start| contact >= start) && end.is_none_or(|end| contact <= end)
            }
        }
    }
}

impl Field {
    fn of(key: &str) -> Option<Self> {
        Some(match key {
            "id" => Self::Id,
            "os" => Self::Os,
            "policy_id" => Self::Policy,
            "status" => Self::Status,
            "target_priority" => Self::Constant("MEDIUM"),
            "deployment_type" => Self::Constant("ENDPOINT"),
            "sensor_version" => Self::SensorVersion,
            "ad_group_id" => Self::Constant("0"),
            "cloud_provider_account_id"
            | "auto_scaling_group_name"
            | "virtual_private_cloud_id"
            | "asset_group"
            | "groups" => Self::Nobody,
            _ => return None,
        })
    }

    fn is(self, device: &SimDevice, value: &str, times: Times) -> bool {
        let is_live = || contact::is_reachable(device, times.elapsed());
        match self {
            Self::Id => value.parse() == Ok(device.id),
            Self::Os => value.eq_ignore_ascii_case(os_word(device.os)),
            Self::Policy => value.parse() == Ok(device.policy.0),
            Self::Constant(own) => value.eq_ignore_ascii_case(own),
            Self::SensorVersion => value == device.sensor_version,
            Self::Nobody => false,
            Self::Status => match value.to_ascii_uppercase().as_str() {
                "ALL" => true,
                "ACTIVE" => device.gone.is_none(),
                "LIVE" => is_live(),
                "INACTIVE" => !is_live() && device.gone.is_none(),
                "QUARANTINE" => device.quarantined,
                "BYPASS_ON" => device.bypassed,
                // The sensor that was told to go is both.
                "UNINSTALLED" => device.gone.is_some(),
                word => word == status(device),
            },
        }
    }
}

fn criteria(value: Option<&Value>) -> Result<Vec<Criterion>, Problem> {
    let members: &Map<String, Value> = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(Problem::bad_request("criteria is not an object")),
    };
    members
        .iter()
        .map(|(key, value)| criterion(key, value))
        .collect()
}

fn criterion(key: &str, value: &Value) -> Result<Criterion, Problem> {
    if key == "last_contact_time" {
        return window(value).map(Criterion::Contact);
    }
    let field =
        Field::of(key).ok_or_else(|| Problem::bad_request(format!("unknown criterion: {key}")))?;
    let wrong = || Problem::bad_request(format!("{key} is not a list of values"));
    let wanted: Option<Vec<String>> = value
        .as_array()
        .ok_or_else(wrong)?
        .iter()
        .map(word)
        .collect();
    Ok(Criterion::AnyOf(field, wanted.ok_or_else(wrong)?))
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn window(value: &Value) -> Result<Window, Problem> {
    let wrong = || Problem::bad_request("last_contact_time is neither a range nor start and end");
    if let Some(range) = value.get("range") {
        let age = range.as_str().and_then(age);
        return age.map(Window::Last).ok_or_else(wrong);
    }
    let bound = |key: &str| match value.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(at) => at
            .as_str()
            .and_then(|text| text.parse().ok())
            .map(Some)
            .ok_or_else(wrong),
    };
    match (bound("start")?, bound("end")?) {
        (None, None) => Err(wrong()),
        (start, end) => Ok(Window::Between(start, end)),
    }
}

/// `-3w` and its like.
pub(super) fn age(range: &str) -> Option<SignedDuration> {
    let range = range.trim().strip_prefix('-')?;
    let unit = range.chars().next_back()?;
    let seconds = match unit {
        'y' => 365 * 86_400,
        'w' => 7 * 86_400,
        'd' => 86_400,
        'h' => 3600,
        'm' => 60,
        's' => 1,
        _ => return None,
    };
    let count: i64 = range[..range.len() - unit.len_utf8()].parse().ok()?;
    // A century is longer than any record, and keeps the arithmetic in range.
    let seconds = count.checked_mul(seconds)?.clamp(0, 100 * 365 * 86_400);
    Some(SignedDuration::from_secs(seconds))
}

fn sort(value: Option<&Value>) -> Result<Option<(String, bool)>, Problem> {
    let first = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value
            .as_array()
            .ok_or_else(|| Problem::bad_request("sort is not a list"))?
            .first(),
    };
    let Some(first) = first else {
        return Ok(None);
    };
    let field = first.get("field").and_then(Value::as_str);
    let field = field.ok_or_else(|| Problem::bad_request("sort has no field"))?;
    let order = first.get("order").and_then(Value::as_str).unwrap_or("ASC");
    Ok(Some((field.to_owned(), order.eq_ignore_ascii_case("DESC"))))
}

/// Numbers by size, everything else by its text.
#[derive(PartialEq)]
struct Sortable(Value);

impl Eq for Sortable {}

impl PartialOrd for Sortable {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sortable {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0.as_u64(), other.0.as_u64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => self.0.to_string().cmp(&other.0.to_string()),
        }
    }
}
