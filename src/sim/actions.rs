//! What an organisation asks of its sensors, and what becomes of it: nothing before the next report.
//!
//! The request is only queued. A sensor that never reports never hears of it.

use super::books::{Books, Change};
use super::contact;
use super::device::SimDevice;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Quarantine(Toggle),
    Bypass(Toggle),
    BackgroundScan(Toggle),
    UpdatePolicy {
        id: u64,
        name: String,
    },
    UpdateSensorVersion(String),
    UninstallSensor,
    /// Of a sensor that is deregistered already; others keep their record.
    DeleteSensor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toggle {
    On,
    Off,
}

/// A background scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    Begun(Duration),
    Stopped(Duration),
}

/// How long a background scan takes.
const SCAN: Duration = Duration::from_mins(10);

impl Action {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Quarantine(_) => "QUARANTINE",
            Self::Bypass(_) => "BYPASS",
            Self::BackgroundScan(_) => "BACKGROUND_SCAN",
            Self::UpdatePolicy { .. } => "UPDATE_POLICY",
            Self::UpdateSensorVersion(_) => "UPDATE_SENSOR_VERSION",
            Self::UninstallSensor => "UNINSTALL_SENSOR",
            Self::DeleteSensor => "DELETE_SENSOR",
        }
    }

    /// Its option, as the books tell it.
    fn what(&self) -> String {
        match self {
            Self::Quarantine(toggle) | Self::Bypass(toggle) | Self::BackgroundScan(toggle) => {
                toggle.word().to_owned()
            }
            Self::UpdatePolicy { id, .. } => id.to_string(),
            Self::UpdateSensorVersion(version) => version.clone(),
            Self::UninstallSensor | Self::DeleteSensor => String::new(),
        }
    }

    /// The line in the books.
    pub(super) fn done(&self, device: u64, at: Duration) -> Change {
        Change {
            device,
            command: self.name(),
            what: self.what(),
            code: 0,
            at: i64::try_from(at.as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn carry_out(&self, device: &mut SimDevice, at: Duration) {
        match self {
            Self::Quarantine(toggle) => device.quarantined = toggle.is_on(),
            Self::Bypass(toggle) => device.bypassed = toggle.is_on(),
            Self::BackgroundScan(Toggle::On) => device.scan = Some(Scan::Begun(at)),
            Self::BackgroundScan(Toggle::Off) => device.scan = Some(Scan::Stopped(at)),
            Self::UpdatePolicy { id, name } => device.policy = (*id, name.clone()),
            Self::UpdateSensorVersion(version) => device.sensor_version.clone_from(version),
            Self::UninstallSensor => device.gone = Some(at),
            Self::DeleteSensor => {}
        }
    }
}

impl Toggle {
    pub const fn word(self) -> &'static str {
        match self {
            Self::On => "ON",
            Self::Off => "OFF",
        }
    }

    pub const fn is_on(self) -> bool {
        matches!(self, Self::On)
    }
}

impl Scan {
    /// The service's word for it at `now`.
    pub(super) fn word(self, now: Duration) -> &'static str {
        match self {
            Self::Stopped(_) => "STOPPED",
            Self::Begun(at) if now < at + SCAN => "IN_PROGRESS",
            Self::Begun(_) => "COMPLETED",
        }
    }

    /// When it was last begun or stopped.
    pub(super) fn at(self) -> Duration {
        match self {
            Self::Begun(at) | Self::Stopped(at) => at,
        }
    }

    pub(super) fn completed(self, now: Duration) -> Option<Duration> {
        match self {
            Self::Begun(at) if at + SCAN <= now => Some(at + SCAN),
            _ => None,
        }
    }
}

/// What was asked and has not happened yet, in the order in which it will.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<(Duration, u64), (u64, Action)>,
    asked: u64,
}

impl Queue {
    pub(super) fn ask(&mut self, device: &mut SimDevice, action: Action, now: Duration) {
        device.asked = Some((action.name(), now));
        if let Action::Quarantine(toggle) = action {
            device.isolation_asked = Some(toggle);
        }
        if let Some(due) = contact::next(device, now) {
            self.asked += 1;
            self.waiting.insert((due, self.asked), (device.id, action));
        }
    }

    /// The sensor will not hear of it if it has not yet.
    pub(super) fn take_back(&mut self, device: u64, action: &Action) {
        self.waiting
            .retain(|_, (id, waiting)| *id != device || waiting != action);
    }

    /// Lets happen what is due by `now`.
    pub(super) fn settle(
        &mut self,
        now: Duration,
        devices: &mut BTreeMap<u64, SimDevice>,
        books: &mut Books,
    ) {
        while let Some(first) = self.waiting.first_entry().filter(|e| e.key().0 <= now) {
            let at = first.key().0;
            let (id, action) = first.remove();
            let Some(device) = devices.get_mut(&id) else {
                continue;
            };
            // Whoever has been uninstalled meanwhile hears nothing.
            if device.gone.is_some() {
                continue;
            }
            action.carry_out(device, at);
            if let Action::UpdatePolicy { .. } = action {
                device.policy_changed = Some(at);
            }
            books.changes.push(action.done(id, at));
        }
    }
}
