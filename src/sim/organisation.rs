//! The state of a simulated organisation, behind the lock of its [`World`](super::world::World).
//!
//! Every entry takes the present moment and first lets happen what is due.

use super::books::Books;
use super::device::{LiveResponse, SimDevice};
use super::session::{Ground, Session};
use super::tickets::Tickets;
use super::world::{Opened, Refusal, Settings};
use crate::clock;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

pub(super) struct Organisation {
    pub settings: Settings,
    pub origin: Instant,
    pub wall: Timestamp,
    pub devices: BTreeMap<u64, SimDevice>,
    pub sessions: BTreeMap<u64, Session>,
    pub last_session: u64,
    pub tickets: Tickets,
    pub books: Books,
}

impl Organisation {
    pub(super) fn new(devices: Vec<SimDevice>, settings: Settings) -> Self {
        Self {
            settings,
            origin: Instant::now(),
            wall: whole_milliseconds(clock::now()),
            devices: devices.into_iter().map(|d| (d.id, d)).collect(),
            sessions: BTreeMap::new(),
            last_session: 0,
            tickets: Tickets::default(),
            books: Books::default(),
        }
    }

    pub(super) fn times(&self) -> Times {
        Times {
            begun: self.wall,
            now: wall(
                self.wall,
                Instant::now().saturating_duration_since(self.origin),
            ),
        }
    }

    pub(super) fn open(&mut self, device: u64, now: Instant) -> Result<Opened, Refusal> {
        self.advance_all(now);
        let known = self.devices.get(&device);
        let known = known.ok_or_else(|| Refusal::NotFound(format!("device {device}")))?;
        if known.live_response == LiveResponse::Off {
            return Err(Refusal::LiveResponseOff(device));
        }
        let check_in = known.check_in_delay(self.settings.check_in);
        let mut open = self.sessions.values().filter(|s| s.is_open());
        if let Some(session) = open.clone().find(|s| s.device == device) {
            return Ok(Opened {
                session: self.shown(device).session(session),
                existed: true,
            });
        }
        if open.by_ref().count() >= self.settings.max_sessions {
            return Err(Refusal::SessionLimit);
        }
        self.last_session += 1;
        let session = Session::new(self.last_session, device, now, check_in);
        let session = self.sessions.entry(self.last_session).or_insert(session);
        self.books.opened();
        let shown = Shown {
            origin: self.origin,
            wall: self.wall,
            device: self.devices.get(&device),
        };
        Ok(Opened {
            session: shown.session(session),
            existed: false,
        })
    }

    /// Keeps the sensor away from the session that was opened last; says when that one will change.
    pub(super) fn never_checks_in(&mut self) -> Option<Instant> {
        let session = self.sessions.get_mut(&self.last_session)?;
        session.check_in = None;
        session.next_change()
    }

    /// The number of a session that is still known at `now`, brought up to date.
    pub(super) fn known(&mut self, id: &str, now: Instant) -> Result<u64, Refusal> {
        let absent = || Refusal::NotFound(format!("session {id}"));
        let number = id
            .split(':')
            .next()
            .and_then(|n| n.parse().ok())
            .ok_or_else(absent)?;
        self.advance(number, now);
        match self.sessions.get(&number) {
            Some(session) if session.id() == id => Ok(number),
            _ => Err(absent()),
        }
    }

    pub(super) fn advance_all(&mut self, now: Instant) {
        let numbers: Vec<u64> = self.sessions.keys().copied().collect();
        for number in numbers {
            self.advance(number, now);
        }
    }

    fn advance(&mut self, number: u64, now: Instant) {
        let Some(session) = self.sessions.get_mut(&number) else {
            return;
        };
        if let Some(device) = self.devices.get_mut(&session.device) {
            let mut ground = Ground {
                device,
                books: &mut self.books,
                origin: self.origin,
                command: self.settings.command,
            };
            session.advance(now, &mut ground);
        }
        if session.is_gone(now) {
            self.sessions.remove(&number);
        }
    }

    pub(super) fn shown(&self, device: u64) -> Shown<'_> {
        Shown {
            origin: self.origin,
            wall: self.wall,
            device: self.devices.get(&device),
        }
    }
}

/// The wall clock of a world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub begun: Timestamp,
    pub now: Timestamp,
}

/// What is needed to show a session to somebody outside.
pub(super) struct Shown<'a> {
    pub origin: Instant,
    pub wall: Timestamp,
    pub device: Option<&'a SimDevice>,
}

impl Shown<'_> {
    pub(super) fn at(&self, moment: Instant) -> Timestamp {
        wall(self.wall, moment.saturating_duration_since(self.origin))
    }

    pub(super) fn supported(&self) -> Vec<&'static str> {
        self.device
            .map(|d| d.endpoint.supported())
            .unwrap_or_default()
    }
}

/// The wall clock, so long after the world began; it never jumps.
fn wall(origin: Timestamp, elapsed: Duration) -> Timestamp {
    let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
    origin.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
}

/// The API tells milliseconds, and the port must not know better.
fn whole_milliseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
