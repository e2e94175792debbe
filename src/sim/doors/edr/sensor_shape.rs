//! The record of a sensor.

use super::super::devices::{last_contact, mac, registered};
use crate::model::device::Os;
use crate::sim::contact;
use crate::sim::device::{LiveResponse, SimDevice};
use crate::sim::endpoint::content::mix;
use crate::sim::organisation::Times;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Bytes of a system volume.
const VOLUME: u64 = 256 << 30;
const DAY: u64 = 86_400;

pub(super) fn sensor(device: &SimDevice, times: Times) -> Value {
    let seen = last_contact(device, times);
    let mut record = standing(device, times);
    let members = [
        contacts(device, times, seen),
        machine(device, seen),
        same_for_all(),
    ];
    if let Value::Object(record) = &mut record {
        for more in members {
            record.extend(more.as_object().cloned().unwrap_or_default());
        }
    }
    record
}

/// What can be changed, and what comes of it.
fn standing(device: &SimDevice, times: Times) -> Value {
    let record = &device.record;
    json!({
        "id": device.id,
        "status": status(device, times),
        "group_id": record.group,
        "notes": record.notes,
        "network_isolation_enabled": device.isolation_wanted(),
        "is_isolating": device.quarantined,
        "restart_queued": restarts(device, times),
        "uninstall": record.uninstall,
        "uninstalled": device.gone.is_some(),
        "event_log_flush_time": record.flush.map(written),
    })
}

pub(super) fn status(device: &SimDevice, times: Times) -> &'static str {
    match device {
        SimDevice { gone: Some(_), .. } => "Uninstalled",
        _ if !contact::is_reachable(device, times.elapsed()) => "Offline",
        SimDevice { record, .. } if record.uninstall => "Uninstall Pending",
        _ if restarts(device, times) => "Restart Pending",
        _ => "Online",
    }
}

/// It was told to restart, and has not been heard of since.
pub(super) fn restarts(device: &SimDevice, times: Times) -> bool {
    let told = device.record.restart.map(|at| times.at(at));
    told.is_some_and(|told| last_contact(device, times) <= told)
}

fn contacts(device: &SimDevice, times: Times, seen: Timestamp) -> Value {
    let next = contact::next(device, times.elapsed()).map(|next| times.at(next));
    let period = SignedDuration::try_from(device.period).unwrap_or_default();
    // Of one that stays away it is a time long gone.
    let next = next.unwrap_or_else(|| seen.saturating_add(period).unwrap_or(seen));
    json!({
        "registration_time": written(registered(device)),
        "last_checkin_time": written(seen),
        "last_update": written(seen),
        "next_checkin_time": written(next),
    })
}

/// Large numbers are told as text.
fn machine(device: &SimDevice, seen: Timestamp) -> Value {
    let own = mix(device.id);
    let (os_type, environment) = match device.os {
        Os::Windows => (1, 1),
        Os::Macos => (2, 2),
        Os::Linux | Os::Other => (3, 3),
    };
    let sid = match device.os {
        Os::Windows => format!("S-1-5-21-{}-{}", own >> 32, own & 0xffff_ffff),
        _ => String::new(),
    };
    let since_registered = seen.duration_since(registered(device)).as_secs();
    let up = u64::try_from(since_registered).unwrap_or(0) % (20 * DAY);
    let memory = device.endpoint.memory.0;
    json!({
        "computer_name": device.name,
        "computer_dns_name": device.name,
        "computer_sid": sid,
        "os_type": os_type,
        "os_environment_id": environment,
        "os_environment_display_string": device.os_version,
        "build_version_string": device.sensor_version,
        "network_adapters": format!("{},{}|", device.ip, mac(device)),
        "supports_cblr": device.live_response == LiveResponse::On,
        "cookie": own & 0x7fff_ffff,
        "boot_id": (own % 40).to_string(),
        "uptime": up.to_string(),
        "sensor_uptime": up.saturating_sub(60).to_string(),
        "physical_memory_size": memory.to_string(),
        "systemvolume_total_size": VOLUME.to_string(),
        "systemvolume_free_size": device.endpoint.free.min(VOLUME / 2).to_string(),
    })
}

fn same_for_all() -> Value {
    json!({
        "supports_isolation": true,
        "supports_2nd_gen_modloads": false,
        "sensor_health_status": 100,
        "sensor_health_message": "Healthy",
        "build_id": 1,
        "node_id": 0,
        "shard_id": 0,
        "display": true,
        "power_state": 0,
        "clock_delta": "0",
        "num_eventlog_bytes": "0",
        "num_storefiles_bytes": "0",
        "parity_host_id": "0",
        "license_expiration": written(Timestamp::UNIX_EPOCH),
        "emet_version": "",
        "emet_telemetry_path": "",
        "emet_report_setting": "",
        "emet_dump_flags": "",
        "emet_exploit_action": "",
        "emet_process_count": 0,
        "emet_is_gpo": false,
    })
}

/// In the server's own zone, which is none.
fn written(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string()
}
