//! The state of a simulated organisation, behind the lock of its [`World`](super::world::World).
//!
//! Every entry takes the present moment and first lets happen what is due.

use super::actions::{Action, Queue};
use super::app_control::AppControl;
use super::bans::Bans;
use super::books::Books;
use super::console::{Agenda, Deed, Leaves, Visit};
use super::csp::Bearers;
use super::device::{LiveResponse, SimDevice};
use super::fault::Fate;
use super::manners::Reopening;
use super::session::{GRACE, Ground, Opener, Session, Status, Terms};
use super::tickets::Tickets;
use super::world::{Missing, Opened, Refusal, Settings};
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
    pub bearers: Bearers,
    pub actions: Queue,
    pub bans: Bans,
    pub app_control: AppControl,
    agenda: Agenda,
    pub books: Books,
}

/// How many sessions are kept after their end.
const KEPT: usize = 100;

impl Organisation {
    pub(super) fn new(devices: Vec<SimDevice>, settings: Settings) -> Self {
        let origin = Instant::now();
        let mut agenda = Agenda::default();
        for device in &devices {
            agenda.invite(device.id, &device.visits, origin);
        }
        Self {
            settings,
            origin,
            wall: whole_milliseconds(clock::now()),
            devices: devices.into_iter().map(|d| (d.id, d)).collect(),
            sessions: BTreeMap::new(),
            last_session: 0,
            tickets: Tickets::default(),
            bearers: Bearers::default(),
            actions: Queue::default(),
            bans: Bans::default(),
            app_control: AppControl::default(),
            agenda,
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

    pub(super) fn open(
        &mut self,
        device: u64,
        terms: Terms,
        now: Instant,
    ) -> Result<Opened, Refusal> {
        self.advance_all(now);
        let opened = self.open_at(device, Opener::Client, terms, now)?;
        if !opened.existed
            && let Some(known) = self.devices.get_mut(&device)
        {
            // Everybody comes once.
            let visits = std::mem::take(&mut known.visits);
            self.agenda.attract(device, &visits, now);
        }
        Ok(opened)
    }

    fn open_at(
        &mut self,
        device: u64,
        opener: Opener,
        terms: Terms,
        now: Instant,
    ) -> Result<Opened, Refusal> {
        let known = self.devices.get(&device);
        let known = known.ok_or(Refusal::NotFound(Missing::Device(device)))?;
        if known.live_response == LiveResponse::Off {
            return Err(Refusal::LiveResponseOff(device));
        }
        let check_in = known.check_in_delay(self.settings.check_in, self.elapsed(now));
        let mut open = self.sessions.values_mut().filter(|s| s.is_open());
        if let Some(session) = open.find(|s| s.device == device) {
            if session.status == Status::Inactive {
                // Nobody can do anything with it any more.
                session.expire(now, &mut self.books);
            } else if terms.reopening == Reopening::Refused {
                return Err(Refusal::SessionExists(session.id()));
            } else {
                let number = session.number;
                return Ok(Opened {
                    session: self.shown(device).session(&self.sessions[&number]),
                    existed: true,
                });
            }
        }
        let open = self.sessions.values().filter(|s| s.is_open());
        if open.count() >= terms.max_sessions {
            return Err(Refusal::SessionLimit);
        }
        self.last_session += 1;
        let mut session = Session::new((self.last_session, device), terms, now, check_in);
        session.opener = opener;
        session.silent_from = known.silent_from().map(|end| self.origin + end);
        let session = self.sessions.entry(self.last_session).or_insert(session);
        self.books.opened(opener);
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
        let absent = || Refusal::NotFound(Missing::Session(id.to_owned()));
        let number = id
            .split(':')
            .next()
            .and_then(|n| n.parse().ok())
            .ok_or_else(absent)?;
        self.catch_up(now);
        self.advance(number, now);
        match self.sessions.get(&number) {
            Some(session) if session.id() == id && !session.is_gone(now) => Ok(number),
            _ => Err(absent()),
        }
    }

    /// Lets people and sensors do what they meant to do by `now`.
    pub(super) fn catch_up(&mut self, now: Instant) {
        let elapsed = self.elapsed(now);
        self.actions
            .settle(elapsed, &mut self.devices, &mut self.books);
        while let Some((at, device, deed)) = self.agenda.next(now) {
            match deed {
                Deed::Come(visit) => self.come(device, &visit, at),
                Deed::Run { session, order } => {
                    self.advance(session, at);
                    let active = self.sessions.get_mut(&session).filter(|session| {
                        session.status == Status::Active
                            && session.commands.len() < session.max_commands
                    });
                    if let Some(session) = active {
                        session.post(order, Fate::Usual, at);
                    }
                }
                Deed::Leave { session, leaves } => {
                    self.advance(session, at);
                    if leaves == Leaves::SessionClosed {
                        self.close(session, at);
                    }
                }
            }
        }
    }

    /// Somebody sits down at a device. Where there is no session to be had, they go away.
    fn come(&mut self, device: u64, visit: &Visit, at: Instant) {
        let numbers: Vec<u64> = self.sessions.keys().copied().collect();
        for number in numbers {
            self.advance(number, at);
        }
        let terms = Terms::of_the_cloud(&self.settings);
        if self.open_at(device, Opener::Console, terms, at).is_err() {
            return;
        }
        let session = self
            .sessions
            .values_mut()
            .find(|session| session.device == device && session.is_open());
        if let Some(session) = session {
            session.held = session.held.max(at + visit.stays);
            let number = session.number;
            self.agenda.stay(device, number, visit, at);
        }
    }

    /// Ends a session for everybody: what is pending is cancelled, what runs goes on.
    pub(super) fn close(&mut self, number: u64, now: Instant) {
        let Some(session) = self.sessions.get_mut(&number) else {
            return;
        };
        if session.is_open() {
            self.books.closed(session.opener);
        }
        if session.kept > GRACE {
            session.end(Status::Closed, now);
        } else {
            self.sessions.remove(&number);
        }
    }

    /// Takes a session away that nobody closed; what runs goes on.
    pub(super) fn lose(&mut self, number: u64) {
        if let Some(session) = self.sessions.remove(&number).filter(Session::is_open) {
            self.books.lost(session.opener);
        }
    }

    /// Asks an action of devices; those that are not known are passed over in silence.
    pub(super) fn act(&mut self, devices: &[u64], action: &Action, now: Instant) {
        let elapsed = self.elapsed(now);
        for id in devices {
            let Some(device) = self.devices.get_mut(id) else {
                continue;
            };
            if *action != Action::DeleteSensor {
                self.actions.ask(device, action.clone(), elapsed);
            } else if device.gone.is_some() {
                self.devices.remove(id);
                self.books.changes.push(action.done(*id, elapsed));
                let of_it = self.sessions.values().filter(|s| s.device == *id);
                let numbers: Vec<u64> = of_it.map(|session| session.number).collect();
                for number in numbers {
                    self.lose(number);
                }
            }
        }
    }

    pub(super) fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }

    pub(super) fn advance_all(&mut self, now: Instant) {
        self.catch_up(now);
        let numbers: Vec<u64> = self.sessions.keys().copied().collect();
        for number in numbers {
            self.advance(number, now);
        }
        self.forget_oldest();
    }

    /// Lets go of those that ended first, where too many are kept.
    fn forget_oldest(&mut self) {
        let kept = self.sessions.values();
        let mut kept: Vec<(Instant, u64)> = kept
            .filter_map(|session| Some((session.kept_since()?, session.number)))
            .collect();
        kept.sort_unstable();
        for (_, number) in kept.iter().take(kept.len().saturating_sub(KEPT)) {
            self.sessions.remove(number);
        }
    }

    fn advance(&mut self, number: u64, now: Instant) {
        let Some(session) = self.sessions.get_mut(&number) else {
            return;
        };
        if let Some(device) = self.devices.get_mut(&session.device) {
            // Its sensor may have been removed since the session was opened.
            session.silent_from = device.silent_from().map(|end| self.origin + end);
            let mut ground = Ground {
                device,
                books: &mut self.books,
                bans: &mut self.bans,
                origin: self.origin,
                wall: self.wall,
                command: self.settings.command,
            };
            session.advance(now, &mut ground);
        }
        if session.is_forgotten(now) {
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

impl Times {
    /// Since the world began.
    pub(super) fn elapsed(self) -> Duration {
        Duration::try_from(self.now.duration_since(self.begun)).unwrap_or_default()
    }

    /// So long after the world began.
    pub(super) fn at(self, elapsed: Duration) -> Timestamp {
        wall(self.begun, elapsed)
    }
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
