//! When a sensor reports to its organisation: at its own second of every period, if it is reachable.
//!
//! All times are counted from the beginning of the world.

use super::device::{Contact, SimDevice};
use super::endpoint::content::mix;
use std::time::Duration;

/// How often a sensor reports if nothing else is said of it.
pub(super) const PERIOD: Duration = Duration::from_mins(1);

/// Milliseconds from the beginning of the world to its last report until `now`; negative is before.
pub(super) fn last(device: &SimDevice, now: Duration) -> i64 {
    let now = device.gone.map_or(now, |gone| gone.min(now));
    match device.contact {
        Contact::Offline(age) => -whole(age),
        Contact::Away { seen, back } if now < back => -whole(seen),
        _ => whole(now) - (whole(now) + phase(device)).rem_euclid(period(device)),
    }
}

/// Its first report after `now`; none if it never reports again.
pub(super) fn next(device: &SimDevice, now: Duration) -> Option<Duration> {
    match device.contact {
        _ if device.gone.is_some() => None,
        Contact::Offline(_) => None,
        // The first thing that it does when it is back.
        Contact::Away { back, .. } if now < back => Some(back),
        _ => {
            let until = period(device) - (whole(now) + phase(device)).rem_euclid(period(device));
            Some(now + Duration::from_millis(until.unsigned_abs()))
        }
    }
}

pub(super) fn is_reachable(device: &SimDevice, now: Duration) -> bool {
    match device.contact {
        _ if device.gone.is_some() => false,
        Contact::Offline(_) => false,
        Contact::Away { back, .. } => now >= back,
        Contact::Usual | Contact::After(_) => true,
    }
}

/// Devices report at different seconds of their period, and at the same ones in every world, so that those
/// seen last come in the same order every time.
fn phase(device: &SimDevice) -> i64 {
    let second = i64::try_from(mix(device.id) % 40).unwrap_or(0);
    second * 1000 % period(device)
}

fn period(device: &SimDevice) -> i64 {
    whole(device.period).max(1)
}

fn whole(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::Os;

    #[test]
    fn reports_come_once_a_period() {
        let seconds = Duration::from_secs;
        for id in 1..50 {
            let mut device = SimDevice::new(id, "WS", Os::Windows);
            device.period = seconds(30);
            let mut now = Duration::ZERO;
            for round in 0..5 {
                let next = next(&device, now).expect("it reports");
                let gap = if round == 0 { 1..=30 } else { 30..=30 };
                assert!(
                    gap.contains(&next.saturating_sub(now).as_secs()),
                    "{id}: {next:?}"
                );
                assert_eq!(last(&device, next), whole(next));
                assert!(last(&device, next.saturating_sub(seconds(1))) < whole(next));
                now = next;
            }
        }
    }

    #[test]
    fn who_is_away_reports_when_back() {
        let seconds = Duration::from_secs;
        let away = SimDevice::new(1, "WS", Os::Windows).away(seconds(600));
        assert_eq!(next(&away, seconds(5)), Some(seconds(600)));
        assert!(!is_reachable(&away, seconds(599)) && is_reachable(&away, seconds(600)));
        assert!(last(&away, seconds(599)) < 0);
        let offline = SimDevice::new(1, "WS", Os::Windows).offline();
        assert_eq!(next(&offline, seconds(5)), None);
    }
}
