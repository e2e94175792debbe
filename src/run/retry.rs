//! Whether and when a failed attempt is followed by another: the retry table, read with the author's policy.

use crate::clock;
use crate::model::effect::{Effect, Reached, Verdict, verdict};
use crate::model::outcome::Cause;
use crate::playbook::modifier::{Jitter, Retry};
use std::time::Duration;

/// How far an attempt got with what may change the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Exposure {
    /// Nothing that changes anything was sent.
    #[default]
    None,
    /// A changing command was sent and its fate is what its cause says.
    Failed { reached: Reached, effect: Effect },
    /// A command that must not run twice has run.
    Spent,
}

impl Exposure {
    /// A doubt about a command that must not run twice stays, whatever becomes of those that clean up
    /// after it.
    const IN_DOUBT: Self = Self::Failed {
        reached: Reached::Maybe,
        effect: Effect::Once,
    };

    /// What was known, and that a command of this effect did not come to a good end.
    pub(crate) fn failed(self, reached: Reached, effect: Effect) -> Self {
        let new = Self::Failed { reached, effect };
        if effect == Effect::Read || self == Self::IN_DOUBT {
            self
        } else if self == Self::Spent && new != Self::IN_DOUBT {
            Self::Spent
        } else {
            new
        }
    }

    /// What was known, and that a command of this effect has run.
    pub(crate) fn done(self, effect: Effect) -> Self {
        if effect == Effect::Once && self != Self::IN_DOUBT {
            Self::Spent
        } else {
            self
        }
    }
}

/// What is known, over all attempts of a step, of its commands that must not run twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fate {
    /// None was sent that could have run.
    #[default]
    Untouched,
    Ran,
    /// One was sent, and nobody heard of its end.
    InDoubt,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Next {
    Again { after: Duration },
    Fail,
    Unknown,
}

/// What follows attempt number `attempt` (from 1) after `cause`. `chance` is in `0.0..1.0`.
pub(crate) fn next(
    policy: &Retry,
    attempt: u32,
    cause: &Cause,
    exposure: Exposure,
    chance: f64,
) -> Next {
    let (reached, effect) = match exposure {
        Exposure::Spent => return Next::Fail,
        Exposure::Failed { reached, effect } => (reached, effect),
        Exposure::None => (cause.reached(), Effect::Read),
    };
    let named = policy.only_on.iter().any(|class| class.covers(cause));
    // What `until` waits for may come, whatever else the author wants to be repeated.
    let named = named || matches!(cause, Cause::UntilFalse { .. });
    let transient = named || (policy.only_on.is_empty() && cause.is_transient());
    match verdict(reached, effect, transient) {
        Verdict::Unknown => Next::Unknown,
        Verdict::Retry if attempt < policy.attempts => Next::Again {
            after: delay(policy, attempt, cause, chance),
        },
        // What may have happened, and is not tried again, nobody knows.
        Verdict::Retry if (reached, effect) == (Reached::Maybe, Effect::Converge) => Next::Unknown,
        Verdict::Retry | Verdict::Fail => Next::Fail,
    }
}

fn delay(policy: &Retry, attempt: u32, cause: &Cause, chance: f64) -> Duration {
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let grown = policy.delay.as_secs_f64() * policy.backoff.powi(exponent);
    let whole = grown.min(policy.max_delay.as_secs_f64());
    let chosen = match policy.jitter {
        Jitter::Full => whole * chance,
        Jitter::None => whole,
    };
    // What the backend asks for is a floor that no policy goes below.
    let floor = match cause {
        Cause::RateLimited {
            retry_after: Some(seconds),
        } => Duration::from_secs(*seconds),
        _ => Duration::ZERO,
    };
    Duration::from_secs_f64(chosen).max(floor)
}

/// A delay with full jitter for the engine's own waiting, before try number `attempt + 1`.
pub(crate) fn pause(base: Duration, attempt: u32) -> Duration {
    base.saturating_mul(1 << attempt.min(5))
        .mul_f64(clock::fraction())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::modifier::RetryOn;

    fn policy(attempts: u32) -> Retry {
        Retry {
            attempts,
            jitter: Jitter::None,
            ..Retry::default()
        }
    }

    #[test]
    fn what_follows_a_failed_attempt() {
        let lost = Cause::SessionLost;
        let gone = Cause::Endpoint { code: 0x8007_0002 };
        let again = |seconds| Next::Again {
            after: Duration::from_secs(seconds),
        };
        let maybe = |effect| Exposure::Failed {
            reached: Reached::Maybe,
            effect,
        };
        let refused = |effect| Exposure::Failed {
            reached: Reached::No,
            effect,
        };
        let table = [
            (1, 3, &lost, Exposure::None, again(2)),
            (2, 3, &lost, Exposure::None, again(4)),
            (3, 3, &lost, Exposure::None, Next::Fail),
            (1, 1, &lost, Exposure::None, Next::Fail),
            (1, 3, &gone, Exposure::None, Next::Fail),
            (1, 3, &lost, maybe(Effect::Once), Next::Unknown),
            (1, 3, &lost, maybe(Effect::Converge), again(2)),
            (3, 3, &lost, maybe(Effect::Converge), Next::Unknown),
            (1, 3, &gone, maybe(Effect::Converge), Next::Unknown),
            (3, 3, &lost, refused(Effect::Converge), Next::Fail),
            (1, 3, &lost, refused(Effect::Once), again(2)),
            (1, 3, &lost, Exposure::Spent, Next::Fail),
        ];
        for (attempt, attempts, cause, exposure, expected) in table {
            assert_eq!(
                next(&policy(attempts), attempt, cause, exposure, 0.5),
                expected,
                "{cause:?} {exposure:?}"
            );
        }
    }

    #[test]
    fn cleaning_up_hides_no_doubt() {
        let failed = |reached, effect| Exposure::Failed { reached, effect };
        let doubt = failed(Reached::Maybe, Effect::Once);
        let clean = failed(Reached::Yes, Effect::Converge);
        for (before, reached, effect, after) in [
            (doubt, Reached::Yes, Effect::Converge, doubt),
            (
                Exposure::Spent,
                Reached::Maybe,
                Effect::Converge,
                Exposure::Spent,
            ),
            (Exposure::Spent, Reached::Maybe, Effect::Once, doubt),
            (Exposure::Spent, Reached::No, Effect::Once, Exposure::Spent),
            (clean, Reached::Maybe, Effect::Once, doubt),
            (Exposure::None, Reached::Maybe, Effect::Read, Exposure::None),
        ] {
            assert_eq!(
                before.failed(reached, effect),
                after,
                "{before:?} {reached:?} {effect:?}"
            );
        }
        for (before, effect, after) in [
            (doubt, Effect::Once, doubt),
            (doubt, Effect::Converge, doubt),
            (clean, Effect::Once, Exposure::Spent),
            (Exposure::None, Effect::Once, Exposure::Spent),
            (Exposure::None, Effect::Read, Exposure::None),
        ] {
            assert_eq!(before.done(effect), after, "{before:?} {effect:?}");
        }
    }

    #[test]
    fn delays_grow_to_their_limit_and_respect_the_backend() {
        let limited = Cause::RateLimited {
            retry_after: Some(90),
        };
        assert_eq!(
            delay(&policy(9), 8, &Cause::SessionLost, 0.5),
            Duration::from_mins(1)
        );
        assert_eq!(delay(&policy(9), 1, &limited, 0.5), Duration::from_secs(90));
        let jittered = Retry {
            jitter: Jitter::Full,
            ..policy(9)
        };
        assert_eq!(
            delay(&jittered, 2, &Cause::SessionLost, 0.25),
            Duration::from_secs(1)
        );
    }

    #[test]
    fn only_on_widens_and_narrows() {
        let only = |class: &str| Retry {
            only_on: vec![RetryOn::parse(class).unwrap()],
            ..policy(3)
        };
        let denied = Cause::Endpoint { code: 0x8007_0005 };
        assert!(matches!(
            next(&only("win32:5"), 1, &denied, Exposure::None, 0.5),
            Next::Again { .. }
        ));
        assert_eq!(
            next(
                &only("timeout"),
                1,
                &Cause::SessionLost,
                Exposure::None,
                0.5
            ),
            Next::Fail
        );
    }
}
