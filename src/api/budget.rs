//! How many repeats a run may afford, so that an outage does not become a storm.
//!
//! It does not wait and does not send; time is given to it.

use std::time::Duration;
use tokio::time::Instant;

/// Always affordable.
const LEAST: u64 = 100;
/// One repeat for so many requests.
const SHARE: u64 = 10;
/// How long the circuit stays open.
const REST: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Budget {
    requests: u64,
    repeats: u64,
    open_until: Option<Instant>,
}

impl Budget {
    pub(super) const fn sent(&mut self) {
        self.requests += 1;
    }

    /// Takes one repeat; false if there is none left, which opens the circuit.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if self.repeats < LEAST.max(self.requests / SHARE) {
            self.repeats += 1;
            return true;
        }
        if !self.is_open(now) {
            self.open_until = Some(now + REST);
        }
        false
    }

    /// Something worked: after its rest the circuit closes, and the budget is whole again.
    pub(super) fn succeeded(&mut self, now: Instant) {
        if self.open_until.is_some() && !self.is_open(now) {
            *self = Self::default();
        }
    }

    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_requests_but_at_least_a_hundred() {
        let now = Instant::now();
        for (requests, affordable) in [(0, 100), (900, 100), (5_000, 500)] {
            let mut budget = Budget::default();
            (0..requests).for_each(|_| budget.sent());
            let taken = (0..10_000).take_while(|_| budget.take(now)).count();
            assert_eq!(taken, affordable, "{requests}");
            assert!(budget.is_open(now));
        }
    }

    #[test]
    fn an_open_circuit_rests_then_tries_then_closes() {
        let start = Instant::now();
        let mut budget = Budget::default();
        while budget.take(start) {}
        let late = start + Duration::from_secs(29);
        assert!(!budget.take(late), "nothing comes back during the rest");
        budget.succeeded(late);
        assert!(
            budget.is_open(late),
            "one success during the rest is no proof"
        );
        let rested = start + Duration::from_secs(31);
        assert!(!budget.is_open(rested));
        assert!(!budget.take(rested), "still failing");
        assert!(budget.is_open(rested), "so it opens again");
        let later = rested + Duration::from_secs(31);
        budget.succeeded(later);
        assert!(budget.take(later) && !budget.is_open(later));
    }
}
