//! The other way to authenticate: an application or an API token is exchanged for an access token that ends.

use crate::clock;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// What may be exchanged for an access token.
#[derive(Debug, Clone)]
pub struct Csp {
    pub app_id: String,
    pub app_secret: String,
    pub api_token: String,
}

impl Csp {
    pub(super) fn new() -> Self {
        Self {
            app_id: clock::nonce(20),
            app_secret: clock::nonce(28),
            api_token: clock::nonce(32),
        }
    }
}

/// Access tokens that were given away.
#[derive(Debug, Default)]
pub(super) struct Bearers {
    ends: HashMap<String, Instant>,
}

impl Bearers {
    pub(super) fn grant(&mut self, life: Duration, now: Instant) -> String {
        self.ends.retain(|_, end| *end > now);
        let token = format!(
            "{}.{}.{}",
            clock::nonce(16),
            clock::nonce(48),
            clock::nonce(24)
        );
        self.ends.insert(token.clone(), now + life);
        token
    }

    pub(super) fn admits(&self, token: &str, now: Instant) -> bool {
        self.ends.get(token).is_some_and(|end| *end > now)
    }
}
