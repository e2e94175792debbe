//! What a plan will cost, before it is run: the requests are scarce and shared with others.

use crate::playbook::Step;
use crate::playbook::modifier::ForEach;
use crate::step::{Ceiling, Cost};
use crate::template::Field;
use crate::text::size::Size;
use serde::{Deserialize, Serialize};

/// A session costs its opening, one look at the list of sessions, and its closing.
const SESSION: u64 = 3;
/// A command is sent and, usually, asked after once.
const COMMAND: u64 = 2;
/// A file's content costs its size, its address, and the address itself.
const CONTENT: u64 = 3;

/// The cloud's budget for one address, as we spend it.
pub const REQUESTS_A_MINUTE: u64 = 180;

/// What is expected; `at_least` where the endpoint decides how much there is, or whether a rescue is needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub sessions: u64,
    pub commands: u64,
    pub requests: u64,
    /// Files whose content is fetched.
    pub contents: u64,
    /// How many bytes those are at most; none where nobody said how large a file may be.
    pub most_bytes: Option<u64>,
    pub at_least: bool,
}

impl Price {
    /// Of these steps on one device, with the sizes that they give as far as `size` knows them.
    pub fn of_steps(
        steps: &[&Step],
        mut size: impl FnMut(&Step, &Field<Size>) -> Option<Size>,
    ) -> Self {
        let mut price = Self {
            sessions: 1,
            requests: SESSION,
            most_bytes: Some(0),
            ..Self::default()
        };
        for step in steps {
            price.add(step, &mut size);
        }
        price
    }

    fn add(&mut self, step: &Step, size: impl FnOnce(&Step, &Field<Size>) -> Option<Size>) {
        let arguments = step.kind.arguments();
        let Cost {
            commands,
            contents,
            uploads,
            open_ended,
        } = arguments.cost;
        let (times, is_known) = match &step.for_each {
            None => (1, true),
            Some(ForEach::List(items)) => (items.len() as u64, true),
            Some(ForEach::Expr(_)) => (1, false),
        };
        self.commands += commands * times;
        self.requests += (commands * COMMAND + contents * CONTENT + uploads) * times;
        self.contents += contents * times;
        self.at_least |= open_ended || !is_known;
        if contents > 0 {
            let each = match arguments.ceiling {
                Ceiling::Bytes(bytes) => Some(bytes),
                // A size that depends on what only the run tells is none yet.
                Ceiling::Given(given) => size(step, given).map(Size::bytes),
                Ceiling::Open => None,
            };
            let all = each
                .filter(|_| is_known)
                .map(|each| each.saturating_mul(contents * times));
            self.most_bytes = sum(self.most_bytes, all);
        }
    }

    /// Of so many devices like this one.
    #[must_use]
    pub fn times(self, devices: u64) -> Self {
        Self {
            sessions: self.sessions * devices,
            commands: self.commands * devices,
            requests: self.requests * devices,
            contents: self.contents * devices,
            most_bytes: self.most_bytes.map(|bytes| bytes.saturating_mul(devices)),
            at_least: self.at_least,
        }
    }

    /// Together with another's.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            sessions: self.sessions + other.sessions,
            commands: self.commands + other.commands,
            requests: self.requests + other.requests,
            contents: self.contents + other.contents,
            most_bytes: sum(self.most_bytes, other.most_bytes),
            at_least: self.at_least || other.at_least,
        }
    }

    /// How long the requests alone take at the cloud's budget, in minutes, rounded up.
    pub const fn minutes(self) -> u64 {
        self.requests.div_ceil(REQUESTS_A_MINUTE)
    }
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one?.saturating_add(other?))
}
