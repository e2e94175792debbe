//! What goes wrong on purpose: faults as data, chosen by rules, between the doors and what lies behind them.
//!
//! A request or a call of the port is an [`Event`]. Each [`Rule`] counts the events that it is about, and
//! strikes some of them; of several that strike the same event, the first does. Nothing here is random:
//! the same seed and the same events give the same faults. The file in which a person writes them down is
//! read by `scenario`.

mod judge;
pub(super) mod layer;
pub(super) mod line;
pub(super) mod port;
pub(super) mod route;
mod spoil;

pub use layer::{Broken, exchange};
pub(super) use spoil::Oddity;

pub(super) use judge::Judge;

use super::endpoint::code::Code;
use crate::text::source::Span;
use crate::wire::Method;
use globset::GlobMatcher;
use route::Route;
use std::sync::Arc;
use std::time::Duration;

/// All that is to go wrong in an organisation.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    pub(super) seed: u64,
    pub(super) rules: Arc<[Rule]>,
}

#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// Where a person wrote it.
    pub(super) place: Span,
    pub(super) about: About,
    pub(super) when: When,
    pub(super) fault: Fault,
}

/// Which events a rule is about; an empty list means any.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    pub(super) routes: Vec<Route>,
    pub(super) methods: Vec<Method>,
    pub(super) devices: Vec<GlobMatcher>,
    /// Names of commands.
    pub(super) commands: Vec<String>,
}

/// Which of these events it strikes; all that is said must hold.
#[derive(Debug, Clone, Default)]
pub(super) struct When {
    /// Ordinals, from 1.
    pub(super) nth: Vec<u64>,
    pub(super) from: Option<u64>,
    pub(super) to: Option<u64>,
    pub(super) every: Option<u64>,
    /// Since the organisation began.
    pub(super) after: Option<Duration>,
    pub(super) until: Option<Duration>,
    /// From 0 to 1.
    pub(super) chance: Option<f64>,
    pub(super) per: Per,
}

/// What ordinals count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Per {
    #[default]
    Organisation,
    Device,
    Session,
}

#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// How long nothing is answered. Over HTTP the request is carried out at once and its answer waits; at
    /// the port the call itself does.
    pub(super) delay: Duration,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// Late, and otherwise in order.
    Late,
    /// Another answer than the true one.
    Status {
        status: u16,
        retry_after: Option<String>,
        page: Page,
        /// The request is carried out before.
        executed: bool,
    },
    /// The connection ends.
    Break {
        how: End,
        at: Moment,
    },
    /// The body is shorter than it should be, and nothing says so.
    Truncate(Amount),
    /// The body comes in pieces, over so long.
    Slow(Duration),
    Odd(Vec<Oddity>),
    Redirect {
        status: u16,
        to: String,
    },
    /// The session that the request is about is gone when it arrives.
    Lose,
    Fate(Fate),
}

/// What the organisation itself does otherwise than usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Fate {
    #[default]
    Usual,
    /// The sensor never checks in to the session that is opened.
    NeverChecksIn,
    /// There are too many sessions.
    SessionLimit,
    /// The command is refused by the endpoint.
    Fails(Code),
    /// The command starts and never ends.
    Hangs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In order, as far as TCP knows.
    Close,
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Nothing has happened.
    Before,
    /// It is carried out, and nothing is answered.
    Executed,
    /// The head of the answer has gone out, and so much of its body.
    Answered(Amount),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    Half,
    Bytes(u64),
}

/// What the books and scenarios call the route of a path.
pub fn route_name(path: &str) -> Option<&'static str> {
    Route::of_path(path).map(Route::word)
}

impl Amount {
    pub(super) fn of(self, length: u64) -> u64 {
        match self {
            Self::Half => length / 2,
            Self::Bytes(bytes) => bytes.min(length),
        }
    }
}

/// What stands in an answer that is none of the API's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Json,
    Text,
    Html,
    Xml,
    Empty,
}

/// A request, or the call of the port that stands for one.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// None if nothing of ours is asked for.
    pub(super) route: Option<Route>,
    pub(super) method: Method,
    pub(super) device: Option<(u64, String)>,
    pub(super) session: Option<String>,
    /// Name of the command.
    pub(super) command: Option<String>,
}

impl Faults {
    pub(super) fn new(seed: u64, rules: Vec<Rule>) -> Self {
        Self {
            seed,
            rules: rules.into(),
        }
    }

    /// The places of those that have a meaning over HTTP only, with what they are called.
    pub fn only_over_http(&self) -> impl Iterator<Item = (Span, &'static str)> {
        let alien = self
            .rules
            .iter()
            .filter(|rule| !rule.has_meaning_at_the_port());
        alien.map(|rule| (rule.place, rule.fault.what.word()))
    }
}

impl Rule {
    fn has_meaning_at_the_port(&self) -> bool {
        matches!(self.fault.what, What::Late | What::Lose | What::Fate(_))
    }
}

impl What {
    /// The key that a person writes for it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Late => "delay",
            Self::Status { .. } => "status",
            Self::Break {
                how: End::Close, ..
            } => "close",
            Self::Break {
                how: End::Reset, ..
            } => "reset",
            Self::Truncate(_) => "truncate",
            Self::Slow(_) => "slow",
            Self::Odd(_) => "odd",
            Self::Redirect { .. } => "redirect",
            Self::Lose | Self::Fate(Fate::NeverChecksIn | Fate::SessionLimit) => "session",
            Self::Fate(Fate::Fails(_)) => "result",
            Self::Fate(Fate::Hangs | Fate::Usual) => "hang",
        }
    }

    /// At which routes, with POST, it can happen, if it cannot everywhere.
    pub(super) fn only_at(&self) -> Option<fn(Route) -> bool> {
        match self {
            Self::Fate(Fate::NeverChecksIn | Fate::SessionLimit) => Some(Route::opens_sessions),
            Self::Fate(_) => Some(Route::takes_commands),
            _ => None,
        }
    }

    fn can_happen(&self, event: &Event) -> bool {
        match self.only_at() {
            Some(fits) => event.route.is_some_and(fits) && event.method == Method::Post,
            None => !matches!(self, Self::Lose) || event.session.is_some(),
        }
    }
}
