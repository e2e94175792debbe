//! What a step does to an endpoint, what right it needs, and what may therefore be repeated.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What repeating a step would do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Changes nothing; may be repeated freely.
    Read,
    /// Leads to the same end state however often it runs.
    Converge,
    /// Happens each time it runs; must not run twice.
    Once,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Read => "read",
            Self::Converge => "converge",
            Self::Once => "once",
        })
    }
}

/// What a playbook declares that it may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    Read,
    Write,
    Delete,
    Exec,
    Kill,
    Memory,
    Isolate,
    Policy,
}

impl Permission {
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Write,
        Self::Delete,
        Self::Exec,
        Self::Kill,
        Self::Memory,
        Self::Isolate,
        Self::Policy,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Exec => "exec",
            Self::Kill => "kill",
            Self::Memory => "memory",
            Self::Isolate => "isolate",
            Self::Policy => "policy",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Could what was asked have happened?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reached {
    /// It was not sent, or was definitely refused.
    No,
    /// It may have left, and no answer tells.
    Maybe,
    /// It was carried out, or the endpoint itself answered.
    Yes,
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Retry,
    Fail,
    /// Nobody can tell whether it happened: a person decides, nothing repeats it.
    Unknown,
}

/// The one table over what may be repeated. `transient`: the cause may pass by itself.
///
/// An ambiguous `Converge` is repeated where that may help, because its end state is the same. Where nothing
/// repeats it, nobody knows its end state.
pub const fn verdict(reached: Reached, effect: Effect, transient: bool) -> Verdict {
    match (reached, effect) {
        (Reached::Maybe, Effect::Once) => Verdict::Unknown,
        (Reached::Maybe, Effect::Converge) if !transient => Verdict::Unknown,
        // Not sent, refused, harmless to repeat, or refused by the endpoint itself: it did not happen,
        // and asking again is right where the answer may change.
        _ if transient => Verdict::Retry,
        _ => Verdict::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_retry_table() {
        use {
            Effect::{Converge, Once, Read},
            Reached::{Maybe, No, Yes},
            Verdict::{Fail, Retry, Unknown},
        };
        let table = [
            (No, Read, true, Retry),
            (No, Converge, true, Retry),
            (No, Once, true, Retry),
            (No, Read, false, Fail),
            (No, Converge, false, Fail),
            (No, Once, false, Fail),
            (Maybe, Read, true, Retry),
            (Maybe, Converge, true, Retry),
            (Maybe, Once, true, Unknown),
            (Maybe, Read, false, Fail),
            (Maybe, Converge, false, Unknown),
            (Maybe, Once, false, Unknown),
            (Yes, Read, true, Retry),
            (Yes, Converge, true, Retry),
            (Yes, Once, true, Retry),
            (Yes, Read, false, Fail),
            (Yes, Converge, false, Fail),
            (Yes, Once, false, Fail),
        ];
        for (reached, effect, transient, expected) in table {
            assert_eq!(
                verdict(reached, effect, transient),
                expected,
                "{reached:?} {effect:?} transient={transient}"
            );
        }
    }
}
