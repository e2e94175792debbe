//! `computer`: an agent on each device.
//!
//! A policy that is written into one shows at once as its number; name and level follow once the agent has
//! reported, if nothing else decides about the policy.

use super::super::devices::{last_contact, mac, registered};
use super::super::{Problem, orders};
use super::fields::{Cell, Column, Field, object};
use super::listing::Listing;
use super::{body, flag, is_on, level, missing};
use crate::model::device::Os;
use crate::sim::actions::Action;
use crate::sim::app_control::{Kept, Switch};
use crate::sim::contact;
use crate::sim::device::SimDevice;
use crate::sim::endpoint::content::mix;
use crate::sim::organisation::Times;
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use jiff::Timestamp;

const DAY: i64 = 86_400;
/// What `changeDiagnostics` is needed for, in the order in which it is kept.
const DIAGNOSTICS: [&str; 6] = [
    "debugLevel",
    "kernelDebugLevel",
    "debugFlags",
    "debugDuration",
    "ccLevel",
    "ccFlags",
];

struct Computer {
    id: u64,
    name: String,
    policy_id: u64,
    policy_name: String,
    is_pending: bool,
    os: Os,
    os_name: String,
    users: String,
    ip: String,
    mac: String,
    sensor_version: String,
    password: String,
    is_connected: bool,
    is_gone: bool,
    registered: Timestamp,
    polled: Timestamp,
    days_offline: u64,
    kept: Kept,
}

const FIELDS: &[Field<Computer>] = &[
    ("id", Column::Number(|c| c.id)),
    ("name", Column::Text(|c| &c.name)),
    ("computerTag", Column::Text(|c| &c.kept.tag)),
    ("description", Column::Text(|c| &c.kept.description)),
    ("policyId", Column::Number(|c| c.policy_id)),
    ("policyName", Column::Text(|c| &c.policy_name)),
    (
        "previousPolicyId",
        Column::Number(|c| c.kept.previous_policy.unwrap_or(0)),
    ),
    (
        "automaticPolicy",
        Column::Flag(|c| c.kept.is_on(Switch::AutomaticPolicy)),
    ),
    (
        "localApproval",
        Column::Flag(|c| c.kept.is_on(Switch::LocalApproval)),
    ),
    (
        "enforcementLevel",
        Column::Number(|c| level(&c.policy_name)),
    ),
    (
        "disconnectedEnforcementLevel",
        Column::Number(|c| level(&c.policy_name)),
    ),
    ("policyStatus", Column::Text(Computer::policy_status)),
    ("policyStatusDetails", Column::Always(Cell::Text(""))),
    ("connected", Column::Flag(|c| c.is_connected)),
    ("daysOffline", Column::Number(|c| c.days_offline)),
    ("isActive", Column::Flag(|c| !c.is_gone)),
    ("deleted", Column::Always(Cell::Flag(false))),
    ("uninstalled", Column::Flag(|c| c.is_gone)),
    (
        "prioritized",
        Column::Flag(|c| c.kept.is_on(Switch::Prioritized)),
    ),
    ("ipAddress", Column::Text(|c| &c.ip)),
    ("macAddress", Column::Text(|c| &c.mac)),
    ("users", Column::Text(|c| &c.users)),
    ("osName", Column::Text(|c| &c.os_name)),
    ("osShortName", Column::Text(Computer::os_short_name)),
    ("platformId", Column::Number(|c| platform(c.os))),
    ("agentVersion", Column::Always(Cell::Text("8.9.0.612"))),
    ("lastRegisterDate", Column::Date(|c| Some(c.registered))),
    ("lastPollDate", Column::Date(|c| Some(c.polled))),
    ("dateCreated", Column::Date(|c| Some(c.registered))),
    ("syncFlags", Column::Always(Cell::Number(0))),
    ("syncPercent", Column::Always(Cell::Number(100))),
    ("initializing", Column::Always(Cell::Flag(false))),
    ("initPercent", Column::Always(Cell::Number(100))),
    ("clVersion", Column::Always(Cell::Number(1000))),
    ("ccLevel", Column::Number(|c| c.kept.diagnostics[4])),
    ("ccFlags", Column::Number(|c| c.kept.diagnostics[5])),
    (
        "tamperProtectionActive",
        Column::Flag(|c| !c.kept.is_on(Switch::NoTamperProtection)),
    ),
    ("upgradeStatus", Column::Always(Cell::Text("Up to date"))),
    ("upgradeError", Column::Always(Cell::Text(""))),
    ("upgradeErrorCount", Column::Always(Cell::Number(0))),
    ("upgradeErrorTime", Column::Date(|_| None)),
    ("CLIPassword", Column::Text(|c| &c.password)),
    ("template", Column::Flag(|c| c.kept.is_on(Switch::Template))),
    ("templateComputerId", Column::Always(Cell::Number(0))),
    ("virtualized", Column::Always(Cell::Text("No"))),
    ("virtualPlatform", Column::Always(Cell::Text(""))),
    ("processorCount", Column::Always(Cell::Number(4))),
    ("processorModel", Column::Always(Cell::Text("x64"))),
    ("processorSpeed", Column::Always(Cell::Number(2800))),
    ("memorySize", Column::Always(Cell::Number(8192))),
    ("machineModel", Column::Always(Cell::Text("Simulated"))),
    ("cbSensorId", Column::Number(|c| c.id)),
    ("cbSensorVersion", Column::Text(|c| &c.sensor_version)),
    ("cbSensorFlags", Column::Always(Cell::Number(0))),
    ("debugLevel", Column::Number(|c| c.kept.diagnostics[0])),
    (
        "kernelDebugLevel",
        Column::Number(|c| c.kept.diagnostics[1]),
    ),
    ("debugFlags", Column::Number(|c| c.kept.diagnostics[2])),
    ("debugDuration", Column::Number(|c| c.kept.diagnostics[3])),
    (
        "activeDebugLevel",
        Column::Number(|c| c.kept.diagnostics[0]),
    ),
    (
        "activeKernelDebugLevel",
        Column::Number(|c| c.kept.diagnostics[1]),
    ),
    (
        "activeDebugFlags",
        Column::Number(|c| c.kept.diagnostics[2]),
    ),
    ("SCEPStatus", Column::Always(Cell::Number(0))),
    ("hasHealthCheckErrors", Column::Always(Cell::Flag(false))),
    ("hasDuplicates", Column::Always(Cell::Flag(false))),
];

impl Computer {
    fn of(device: &SimDevice, kept: Kept, times: Times) -> Self {
        let polled = last_contact(device, times);
        let is_connected = contact::is_reachable(device, times.elapsed());
        let asked = kept.asked_policy(times.elapsed());
        let offline = times.now.duration_since(polled).as_secs() / DAY;
        Self {
            id: device.id,
            name: format!("CORP\\{}", device.name),
            policy_id: asked.unwrap_or(device.policy.0),
            policy_name: device.policy.1.clone(),
            is_pending: asked.is_some_and(|policy| policy != device.policy.0),
            os: device.os,
            os_name: device.os_version.clone(),
            users: format!("CORP\\{}", device.user),
            ip: device.ip.clone(),
            mac: mac(device),
            sensor_version: device.sensor_version.clone(),
            password: format!("{:016X}", mix(mix(device.id) ^ kept.password_resets)),
            is_connected,
            is_gone: device.gone.is_some(),
            registered: registered(device),
            polled,
            days_offline: if is_connected {
                0
            } else {
                u64::try_from(offline).unwrap_or(0)
            },
            kept,
        }
    }

    fn policy_status(&self) -> &str {
        if self.is_pending {
            "Pending"
        } else {
            "Up to date"
        }
    }

    /// The system without its version.
    fn os_short_name(&self) -> &str {
        let mut blanks = self.os_name.match_indices(' ');
        let end = blanks.nth(1).map_or(self.os_name.len(), |(at, _)| at);
        &self.os_name[..end]
    }
}

fn platform(os: Os) -> u64 {
    match os {
        Os::Windows => 1,
        Os::Macos => 2,
        Os::Linux => 4,
        Os::Other => 0,
    }
}

pub(super) fn list(world: &World, request: &Request) -> Result<Response, Problem> {
    if request.method != Method::Get {
        return Err(Problem::wrong_method());
    }
    world.app_control(|kept, catalogue| {
        let times = catalogue.times;
        let listing = Listing::read(FIELDS, &request.query, times.now)?;
        let computers = catalogue.devices.values();
        let computers = computers.map(|device| Computer::of(device, kept.kept(device.id), times));
        Ok(Response::json(200, &listing.of(computers)))
    })
}

pub(super) fn one(world: &World, request: &Request, id: &str) -> Result<Response, Problem> {
    let id = id.parse().map_err(|_| missing("computer", id))?;
    match request.method {
        Method::Get => {}
        Method::Put => change(world, request, id)?,
        _ => return Err(Problem::wrong_method()),
    }
    world.app_control(|kept, catalogue| {
        let device = catalogue.devices.get(&id);
        let device = device.ok_or_else(|| missing("computer", id))?;
        let computer = Computer::of(device, kept.kept(id), catalogue.times);
        Ok(Response::json(200, &object(FIELDS, &computer)))
    })
}

/// What a client wants changed. Whole objects come back as they were read, so nothing may depend on what
/// cannot be changed.
struct Change {
    policy: Option<u64>,
    switches: [(Switch, Option<bool>); 5],
    tag: Option<String>,
    description: Option<String>,
    diagnostics: [Option<u64>; 6],
    resets_password: bool,
}

impl Change {
    fn read(request: &Request) -> Result<Self, Problem> {
        let body = body(request)?;
        let query = |name: &str| is_on(&request.query, name);
        let mut diagnostics = [None; 6];
        for (slot, key) in diagnostics.iter_mut().zip(DIAGNOSTICS) {
            let wanted = orders::natural(&body, key)?;
            *slot = wanted.filter(|_| query("changeDiagnostics") == Some(true));
        }
        let template = flag(&body, "template")?;
        let template = template.filter(|_| query("changeTemplate") == Some(true));
        let unprotected = query("newTamperProtectionActive").map(|on| !on);
        Ok(Self {
            policy: orders::natural(&body, "policyId")?,
            switches: [
                (Switch::AutomaticPolicy, flag(&body, "automaticPolicy")?),
                (Switch::LocalApproval, flag(&body, "localApproval")?),
                (Switch::Prioritized, flag(&body, "prioritized")?),
                (Switch::Template, template),
                (Switch::NoTamperProtection, unprotected),
            ],
            tag: orders::text(&body, "computerTag")?,
            description: orders::text(&body, "description")?,
            diagnostics,
            resets_password: query("resetCLIPassword") == Some(true),
        })
    }

    fn write(self, kept: &mut Kept) {
        for (switch, wanted) in self.switches {
            if let Some(on) = wanted {
                kept.turn(switch, on);
            }
        }
        set(&mut kept.tag, self.tag);
        set(&mut kept.description, self.description);
        for (slot, wanted) in kept.diagnostics.iter_mut().zip(self.diagnostics) {
            set(slot, wanted);
        }
        kept.password_resets += u64::from(self.resets_password);
    }
}

fn set<T>(slot: &mut T, wanted: Option<T>) {
    if let Some(wanted) = wanted {
        *slot = wanted;
    }
}

fn change(world: &World, request: &Request, id: u64) -> Result<(), Problem> {
    let change = Change::read(request)?;
    let policies = world.policies();
    let told = world.app_control(|all, catalogue| {
        let now = catalogue.times.elapsed();
        let device = catalogue.devices.get(&id);
        let device = device.ok_or_else(|| missing("computer", id))?;
        let kept = all.kept_mut(id);
        let shown = kept.asked_policy(now).unwrap_or(device.policy.0);
        let wanted = change.policy.filter(|policy| *policy != shown);
        if let Some(policy) = wanted.filter(|policy| !policies.contains_key(policy)) {
            return Err(Problem::bad_request(format!("there is no policy {policy}")));
        }
        change.write(kept);
        Ok(wanted.filter(|policy| kept.ask_policy(*policy, device, now)))
    })?;
    if let Some(id_of_policy) = told {
        let name = policies.get(&id_of_policy).cloned().unwrap_or_default();
        let action = Action::UpdatePolicy {
            id: id_of_policy,
            name,
        };
        world.act(&[id], &action);
    }
    Ok(())
}
