//! What a plan will cost, before it is run: the requests are scarce and shared with others.

use crate::playbook::Step;
use crate::playbook::modifier::ForEach;
use crate::step::Cost;
use serde::Serialize;

/// A session costs its opening, one look at the list of sessions, and its closing.
const SESSION: u64 = 3;
/// A command is sent and, usually, asked after once.
const COMMAND: u64 = 2;
/// A file's content costs its size, its address, and the address itself.
const CONTENT: u64 = 3;

/// The cloud's budget for one address, as we spend it.
pub const REQUESTS_A_MINUTE: u64 = 180;

/// What is expected; `at_least` where the endpoint decides how much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Price {
    pub sessions: u64,
    pub commands: u64,
    pub requests: u64,
    pub at_least: bool,
}

impl Price {
    /// Of these steps on one device.
    pub fn of_steps<'s>(steps: impl Iterator<Item = &'s Step>) -> Self {
        let mut price = Self {
            sessions: 1,
            requests: SESSION,
            ..Self::default()
        };
        for step in steps {
            price.add(step);
        }
        price
    }

    fn add(&mut self, step: &Step) {
        let Cost {
            commands,
            contents,
            open_ended,
        } = step.kind.arguments().cost;
        let times = match &step.for_each {
            None => 1,
            Some(ForEach::List(items)) => items.len() as u64,
            Some(ForEach::Expr(_)) => {
                self.at_least = true;
                1
            }
        };
        self.commands += commands * times;
        self.requests += (commands * COMMAND + contents * CONTENT) * times;
        self.at_least |= open_ended;
    }

    /// Together with another's.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            sessions: self.sessions + other.sessions,
            commands: self.commands + other.commands,
            requests: self.requests + other.requests,
            at_least: self.at_least || other.at_least,
        }
    }

    /// How long the requests alone take at the cloud's budget, in minutes, rounded up.
    pub const fn minutes(self) -> u64 {
        self.requests.div_ceil(REQUESTS_A_MINUTE)
    }
}
