//! The terms on which a session is asked for, as far as its asker chooses them.

use super::{Problem, orders};
use crate::sim::session::{Terms, Timeouts};
use crate::sim::world::World;
use serde_json::Value;
use std::time::Duration;

/// Seconds that a client may choose for a timeout: a day at most.
const MAX_TIMEOUT: i64 = 86_400;

pub(super) fn cloud(world: &World, body: &Value) -> Result<Terms, Problem> {
    let usual = world.terms();
    Ok(Terms {
        timeouts: timeouts(body, usual.timeouts)?,
        ..usual
    })
}

/// How long a client wants its session to wait; all spellings are in use.
pub(super) fn timeouts(body: &Value, usual: Timeouts) -> Result<Timeouts, Problem> {
    let seconds = |keys: &[&str]| -> Result<Option<Duration>, Problem> {
        for key in keys {
            if let Some(seconds) = orders::integer(body, key)? {
                let seconds = seconds.clamp(1, MAX_TIMEOUT).unsigned_abs();
                return Ok(Some(Duration::from_secs(seconds)));
            }
        }
        Ok(None)
    };
    Ok(Timeouts {
        check_in: seconds(&["check_in_timeout", "checkin_timeout"])?.unwrap_or(usual.check_in),
        session: seconds(&["session_timeout"])?.unwrap_or(usual.session),
        command: seconds(&["default_command_timeout"])?.or(usual.command),
        sensor: seconds(&["sensor_wait_timeout"])?.or(usual.sensor),
    })
}
