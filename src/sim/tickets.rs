//! Signed addresses of the content host: good for one fetch, and for five minutes.

use super::endpoint::content::Clip;
use crate::clock;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

const LIFE: Duration = Duration::from_mins(5);
/// Where all signed paths begin.
pub(super) const PREFIX: &str = "/signed/";

#[derive(Debug, Default)]
pub(super) struct Tickets {
    by_path: HashMap<String, Ticket>,
}

#[derive(Debug)]
struct Ticket {
    signature: String,
    expires: Instant,
    session: String,
    clip: Clip,
}

impl Tickets {
    /// Path and query of a new address. The signature holds what a careless client decodes once too often.
    pub(super) fn mint(
        &mut self,
        (session, file): (&str, &str),
        clip: Clip,
        now: Instant,
    ) -> String {
        self.by_path.retain(|_, ticket| ticket.expires > now);
        let path = format!("{PREFIX}{}/{file}", clock::nonce(8));
        let signature = format!("{}/{}=", clock::nonce(12), clock::nonce(12));
        let shown = signature.replace('/', "%2F").replace('=', "%3D");
        let ticket = Ticket {
            signature,
            expires: now + LIFE,
            session: session.to_owned(),
            clip,
        };
        self.by_path.insert(path.clone(), ticket);
        format!("{path}?expires={}&signature={shown}", LIFE.as_secs())
    }

    /// The session whose content is at an address.
    pub(super) fn holder(&self, path: &str) -> Option<String> {
        Some(self.by_path.get(path)?.session.clone())
    }

    pub(super) fn redeem(&mut self, path: &str, signature: &str, now: Instant) -> Option<Clip> {
        let ticket = self.by_path.get(path)?;
        if ticket.expires <= now || ticket.signature != signature {
            return None;
        }
        self.by_path.remove(path).map(|ticket| ticket.clip)
    }
}
