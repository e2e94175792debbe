//! People in the vendor's console: they share a device's session with whoever else works there.
//!
//! They come at a time of their own or when somebody opens a session, run a few commands, keep the session
//! alive while they stay, and leave it open or close it for everybody.

use super::endpoint::order::Order;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// One person's stay at one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    pub comes: Comes,
    pub stays: Duration,
    /// Commands that they run, evenly over their stay.
    pub commands: u32,
    pub leaves: Leaves,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comes {
    /// So long after the beginning of the world; opens a session if there is none.
    After(Duration),
    /// So long after a client has opened a session.
    Joining(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// The session stays, and idles.
    SessionOpen,
    /// Closes it, whoever else is there.
    SessionClosed,
}

/// What a person will do.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    Come(Visit),
    Run { session: u64, order: Order },
    Leave { session: u64, leaves: Leaves },
}

#[derive(Debug, Default)]
pub(super) struct Agenda {
    deeds: BTreeMap<(Instant, u64), (u64, Deed)>,
    planned: u64,
}

impl Agenda {
    /// Visits of a device that come by themselves.
    pub(super) fn invite(&mut self, device: u64, visits: &[Visit], origin: Instant) {
        for visit in visits {
            if let Comes::After(delay) = visit.comes {
                self.plan(origin + delay, device, Deed::Come(visit.clone()));
            }
        }
    }

    /// A client opened a session at `now`.
    pub(super) fn attract(&mut self, device: u64, visits: &[Visit], now: Instant) {
        for visit in visits {
            if let Comes::Joining(delay) = visit.comes {
                self.plan(now + delay, device, Deed::Come(visit.clone()));
            }
        }
    }

    /// Somebody is at the device in this session: what they will do there.
    pub(super) fn stay(&mut self, device: u64, session: u64, visit: &Visit, now: Instant) {
        for index in 0..visit.commands {
            let at = now + visit.stays * (index + 1) / (visit.commands + 1);
            let order = Order::ProcessList;
            self.plan(at, device, Deed::Run { session, order });
        }
        let leaves = visit.leaves;
        self.plan(now + visit.stays, device, Deed::Leave { session, leaves });
    }

    /// The next deed that is due by `now`, with its time and its device.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Instant, u64, Deed)> {
        let first = self.deeds.first_entry().filter(|e| e.key().0 <= now)?;
        let at = first.key().0;
        let (device, deed) = first.remove();
        Some((at, device, deed))
    }

    fn plan(&mut self, at: Instant, device: u64, deed: Deed) {
        self.planned += 1;
        self.deeds.insert((at, self.planned), (device, deed));
    }
}
