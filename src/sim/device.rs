//! A simulated device: what the organisation knows of it, how it behaves, and its endpoint.

use super::actions::{Scan, Toggle};
use super::console::Visit;
use super::contact::{self, PERIOD};
use super::endpoint::content::mix;
use super::endpoint::files::Files;
use super::endpoint::layered::Layered;
use super::endpoint::{Endpoint, Facts};
use crate::model::device::Os;
use jiff::Timestamp;
use std::time::Duration;

const DAY: u64 = 86_400;
/// The start of 2024.
const FIRST_REGISTRATION: i64 = 1_704_067_200;

#[derive(Debug, Clone)]
pub struct SimDevice {
    pub id: u64,
    pub name: String,
    pub os: Os,
    pub policy: (u64, String),
    /// Who is logged in.
    pub user: String,
    pub ip: String,
    pub os_version: String,
    /// Something is there that a triage should find.
    pub planted: bool,
    pub quarantined: bool,
    /// What was asked last of its isolation; its sensor hears of it when it reports.
    pub(super) isolation_asked: Option<Toggle>,
    /// The sensor watches and does not interfere.
    pub bypassed: bool,
    pub sensor_version: String,
    /// How often its sensor reports.
    pub period: Duration,
    /// Who comes to it in the console.
    pub visits: Vec<Visit>,
    pub endpoint: Endpoint,
    pub(super) contact: Contact,
    pub(super) live_response: LiveResponse,
    /// What is its own and lies there once somebody looks: most of a large fleet nobody ever asks.
    pub(super) later: Later,
    /// Seconds since 1970; the same in every world, or a saved plan would take the device for another one.
    pub(super) registered: i64,
    pub(super) scan: Option<Scan>,
    /// The last action that was asked of it, and when.
    pub(super) asked: Option<(&'static str, Duration)>,
    pub(super) policy_changed: Option<Duration>,
    /// When its sensor was removed.
    pub(super) gone: Option<Duration>,
    pub(super) record: SensorRecord,
    /// When it will be switched off, in the middle of whatever it does.
    pub(super) off_at: Option<Duration>,
}

/// What an EDR server has written down of a sensor.
#[derive(Debug, Clone)]
pub(super) struct SensorRecord {
    pub group: u64,
    pub notes: Option<String>,
    /// Until when it sends its events without delay.
    pub flush: Option<Timestamp>,
    /// When it was told to restart; it does when it reports.
    pub restart: Option<Duration>,
    pub uninstall: bool,
}

impl Default for SensorRecord {
    fn default() -> Self {
        Self {
            group: 1,
            notes: None,
            flush: None,
            restart: None,
            uninstall: false,
        }
    }
}

/// What the endpoint's image still lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Later {
    Nothing,
    /// What is its own.
    Personal,
    /// And what is there to be found.
    Planted,
}

/// How the sensor answers when a session is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contact {
    /// After the world's usual delay.
    Usual,
    After(Duration),
    /// Never; it was last seen so long before the world began.
    Offline(Duration),
    /// Not before `back`, counted from the world's beginning; it was last seen `seen` before that.
    Away {
        seen: Duration,
        back: Duration,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LiveResponse {
    On,
    Off,
}

impl SimDevice {
    /// A device with an empty endpoint; `fleet` furnishes believable ones.
    pub fn new(id: u64, name: impl Into<String>, os: Os) -> Self {
        Self {
            id,
            name: name.into(),
            os,
            policy: (6525, "Standard".to_owned()),
            user: "jdoe".to_owned(),
            ip: format!("10.20.{}.{}", id / 250 % 250, id % 250 + 2),
            os_version: match os {
                Os::Windows => "Windows 10 x64",
                Os::Linux => "Ubuntu 22.04 x64",
                Os::Macos => "MAC OS X 14.4.1",
                Os::Other => "",
            }
            .to_owned(),
            planted: false,
            quarantined: false,
            isolation_asked: None,
            bypassed: false,
            sensor_version: "3.9.1.2464".to_owned(),
            period: PERIOD,
            visits: Vec::new(),
            endpoint: Endpoint::new(os, Files::new(os, Layered::default())),
            contact: Contact::Usual,
            live_response: LiveResponse::On,
            later: Later::Nothing,
            registered: FIRST_REGISTRATION + i64::try_from(mix(id) % (400 * DAY)).unwrap_or(0),
            scan: None,
            asked: None,
            policy_changed: None,
            gone: None,
            record: SensorRecord::default(),
            off_at: None,
        }
    }

    /// Never checks in; last seen three days before the world began.
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.contact = Contact::Offline(Duration::from_secs(3 * DAY));
        self
    }

    /// Not reachable before so long after the world began; last seen three days before it.
    #[must_use]
    pub fn away(mut self, until: Duration) -> Self {
        self.contact = Contact::Away {
            seen: Duration::from_secs(3 * DAY),
            back: until,
        };
        self
    }

    /// Is switched off so long after the world began, and not on again.
    #[must_use]
    pub fn off_after(mut self, on: Duration) -> Self {
        self.off_at = Some(on);
        self
    }

    /// From when on nothing is heard of it; none if it stays.
    pub(super) fn silent_from(&self) -> Option<Duration> {
        match (self.gone, self.off_at) {
            (Some(gone), Some(off)) => Some(gone.min(off)),
            (gone, off) => gone.or(off),
        }
    }

    /// Checks in so long after a session was asked for.
    #[must_use]
    pub fn check_in(mut self, after: Duration) -> Self {
        self.contact = Contact::After(after);
        self
    }

    /// Live Response is switched off for it.
    #[must_use]
    pub fn live_response_off(mut self) -> Self {
        self.live_response = LiveResponse::Off;
        self
    }

    /// Is it reachable when the world begins?
    pub fn is_online(&self) -> bool {
        contact::is_reachable(self, Duration::ZERO)
    }

    pub(super) fn facts(&self) -> Facts {
        Facts {
            host: self.name.clone(),
            user: self.user.clone(),
            ip: self.ip.clone(),
            os_version: self.os_version.clone(),
            ..Facts::default()
        }
    }

    /// How long its sensor takes to answer, asked `now` (since the world began); none if it never will.
    pub(super) fn check_in_delay(&self, usual: Duration, now: Duration) -> Option<Duration> {
        match self.contact {
            Contact::Usual => Some(usual),
            Contact::After(delay) => Some(delay),
            Contact::Away { back, .. } => Some(back.saturating_sub(now) + usual),
            Contact::Offline(_) => None,
        }
    }

    /// Is it isolated, or will it be once its sensor reports?
    pub(super) fn isolation_wanted(&self) -> bool {
        self.isolation_asked.map_or(self.quarantined, Toggle::is_on)
    }

    pub(super) fn sensor_states(&self) -> Vec<&'static str> {
        let switch = match self.live_response {
            LiveResponse::On => "LIVE_RESPONSE_ENABLED",
            LiveResponse::Off => "LIVE_RESPONSE_DISABLED",
        };
        vec![
            "ACTIVE",
            "LIVE_RESPONSE_NOT_RUNNING",
            "LIVE_RESPONSE_NOT_KILLED",
            switch,
        ]
    }
}
