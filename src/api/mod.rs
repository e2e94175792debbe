//! Talks to Carbon Black Cloud over HTTP, behind the ports in `live`.
//!
//! It decides how to ask, how often, and how to read the answer; never what is asked of a device, and
//! it repeats nothing that could have changed an endpoint.

mod budget;
pub mod dialect;
mod fleet;
mod http;
mod learn;
mod pace;
#[cfg(test)]
mod scripted;
mod session;
pub mod transport;
mod watch;

pub use fleet::ApiFleet;
pub use http::Http;
pub use pace::Tempo;

use crate::config::credentials::Profile;
use crate::live::Backend;
use crate::model::outcome::Cause;
use std::sync::Arc;

/// Whether there are real devices behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    Devices,
    Simulator,
}

/// Sets up a client for a profile. Nothing is sent yet.
pub fn connect(profile: &Profile, behind: Behind) -> Result<ApiFleet, Cause> {
    let backend = Backend {
        api: "v6".into(),
        url: profile.endpoint.url().into(),
        organisation: profile.org_key.clone(),
        simulated: behind == Behind::Simulator,
    };
    let usual = if profile.endpoint.is_loopback() {
        Tempo::LOOPBACK
    } else {
        Tempo::CLOUD
    };
    let tempo = Tempo {
        window: profile.read_ahead.unwrap_or(usual.window),
        ..usual
    };
    Ok(ApiFleet::over(
        Arc::new(Http::new(profile)?),
        backend,
        tempo,
    ))
}
