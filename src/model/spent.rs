//! The price of a run so far, as the backend's side of it counts.

use serde::{Deserialize, Serialize};

/// What talking to the backend has cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    pub requests: u64,
    /// Bodies of both directions.
    pub bytes: u64,
}

impl Spent {
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            bytes: self.bytes + other.bytes,
        }
    }
}
