//! Which rule strikes which event: counting and dice.

use super::{About, Event, Fault, Faults, Per, Rule, When};
use crate::sim::endpoint::content::{mix, seed_of};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Sees every event once, in the order in which they come.
#[derive(Debug)]
pub(in crate::sim) struct Judge {
    faults: Faults,
    begun: Instant,
    /// Of each rule, how many of its events there were: in all that it counts, and for the dice.
    seen: Mutex<HashMap<(usize, String), u64>>,
}

impl Judge {
    pub(in crate::sim) fn new(faults: Faults) -> Self {
        Self {
            faults,
            begun: Instant::now(),
            seen: Mutex::default(),
        }
    }

    /// Most organisations have nothing that goes wrong.
    pub(in crate::sim) fn is_idle(&self) -> bool {
        self.faults.rules.is_empty()
    }

    /// Whether somebody wants to know of which command an event is.
    pub(in crate::sim) fn asks_for_commands(&self) -> bool {
        let rules = self.faults.rules.iter();
        rules
            .into_iter()
            .any(|rule| !rule.about.commands.is_empty())
    }

    /// What happens to this event. Every rule that is about it counts it, also if another strikes.
    pub(in crate::sim) fn strike(&self, event: &Event) -> Option<&Fault> {
        let about = |(_, rule): &(usize, &Rule)| rule.concerns(event);
        let rules = self.faults.rules.iter().enumerate().filter(about);
        let elapsed = self.begun.elapsed();
        let struck: Vec<&Fault> = rules
            .filter(|(index, rule)| {
                let nth = self.count(*index, rule.when.per.key(event));
                rule.when.ordinal(nth)
                    && rule.when.time(elapsed)
                    && self.dice(*index, &rule.when, event)
            })
            .map(|(_, rule)| &rule.fault)
            .collect();
        struck.first().copied()
    }

    fn count(&self, rule: usize, key: String) -> u64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let count = seen.entry((rule, key)).or_default();
        *count += 1;
        *count
    }

    /// Each device has dice of its own, so that it does not matter who is faster.
    fn dice(&self, rule: usize, when: &When, event: &Event) -> bool {
        let Some(chance) = when.chance else {
            return true;
        };
        let device = Per::Device.key(event);
        let throw = self.count(rule, format!("dice {device}"));
        let number = [rule as u64, seed_of(&device), throw]
            .into_iter()
            .fold(self.faults.seed, |so_far, part| mix(so_far ^ mix(part)));
        #[expect(clippy::cast_precision_loss, reason = "32 bits are exact")]
        let share = (number >> 32) as f64 / f64::from(u32::MAX);
        share < chance
    }
}

impl Rule {
    fn concerns(&self, event: &Event) -> bool {
        self.fault.what.can_happen(event) && self.about.concerns(event)
    }
}

impl About {
    fn concerns(&self, event: &Event) -> bool {
        let Self {
            routes,
            methods,
            devices,
            commands,
        } = self;
        let device = || {
            let (id, name) = event.device.as_ref()?;
            let fits =
                |glob: &globset::GlobMatcher| glob.is_match(name) || glob.is_match(id.to_string());
            devices.iter().any(fits).then_some(())
        };
        (routes.is_empty() || event.route.is_some_and(|route| routes.contains(&route)))
            && (methods.is_empty() || methods.contains(&event.method))
            && (devices.is_empty() || device().is_some())
            && (commands.is_empty()
                || event
                    .command
                    .as_ref()
                    .is_some_and(|name| commands.contains(name)))
    }
}

impl When {
    fn time(&self, elapsed: Duration) -> bool {
        self.after.is_none_or(|after| elapsed >= after)
            && self.until.is_none_or(|until| elapsed < until)
    }

    fn ordinal(&self, nth: u64) -> bool {
        (self.nth.is_empty() || self.nth.contains(&nth))
            && self.from.is_none_or(|from| nth >= from)
            && self.to.is_none_or(|to| nth <= to)
            && self.every.is_none_or(|every| match self.from {
                None => nth.is_multiple_of(every),
                Some(from) => nth >= from && (nth - from).is_multiple_of(every),
            })
    }
}

impl Per {
    fn key(self, event: &Event) -> String {
        match self {
            Self::Organisation => String::new(),
            Self::Device => event
                .device
                .as_ref()
                .map_or_else(String::new, |(id, _)| id.to_string()),
            Self::Session => event.session.clone().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::fault::route::Route;
    use crate::sim::fault::{End, Moment, What};
    use crate::text::source::Span;
    use crate::wire::Method;

    fn event(device: u64) -> Event {
        Event {
            route: Some(Route::COMMANDS),
            method: Method::Post,
            device: Some((device, format!("WS-{device}"))),
            session: Some(format!("1:{device}")),
            command: None,
        }
    }

    fn judge(when: When) -> Judge {
        let fault = Fault {
            delay: Duration::ZERO,
            what: What::Break {
                how: End::Reset,
                at: Moment::Before,
            },
        };
        let rule = Rule {
            place: Span::default(),
            about: About::default(),
            when,
            fault,
        };
        Judge::new(Faults::new(7, vec![rule]))
    }

    /// Which of so many events of one device are struck.
    fn struck(when: When, events: u64) -> Vec<u64> {
        let judge = judge(when);
        (1..=events)
            .filter(|_| judge.strike(&event(1)).is_some())
            .collect()
    }

    #[test]
    fn ordinals_choose_what_they_say() {
        let when = When::default;
        let table = [
            (when(), vec![1, 2, 3, 4, 5, 6, 7, 8]),
            (
                When {
                    nth: vec![2, 5],
                    ..when()
                },
                vec![2, 5],
            ),
            (
                When {
                    from: Some(6),
                    ..when()
                },
                vec![6, 7, 8],
            ),
            (
                When {
                    to: Some(2),
                    ..when()
                },
                vec![1, 2],
            ),
            (
                When {
                    every: Some(3),
                    ..when()
                },
                vec![3, 6],
            ),
            (
                When {
                    from: Some(2),
                    every: Some(3),
                    to: Some(5),
                    ..when()
                },
                vec![2, 5],
            ),
            (
                When {
                    chance: Some(0.0),
                    ..when()
                },
                vec![],
            ),
        ];
        for (when, expected) in table {
            assert_eq!(struck(when.clone(), 8), expected, "{when:?}");
        }
    }

    #[test]
    fn a_device_counts_for_itself_if_it_should() {
        for (per, expected) in [
            (Per::Organisation, [false, true]),
            (Per::Device, [false, false]),
        ] {
            let judge = judge(When {
                nth: vec![2],
                per,
                ..When::default()
            });
            let struck = [1, 2].map(|device| judge.strike(&event(device)).is_some());
            assert_eq!(struck, expected);
        }
    }

    #[test]
    fn dice_fall_the_same_for_a_device_whoever_else_is_there() {
        let when = When {
            chance: Some(0.25),
            ..When::default()
        };
        let alone: Vec<u64> = struck(when.clone(), 400);
        assert!((60..140).contains(&alone.len()), "{}", alone.len());
        let judge = judge(when);
        let beside: Vec<u64> = (1..=400)
            .filter(|_| {
                judge.strike(&event(2));
                judge.strike(&event(1)).is_some()
            })
            .collect();
        assert_eq!(beside, alone);
    }
}
