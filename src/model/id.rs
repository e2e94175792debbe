//! Names of things, each a type of its own so that they cannot be mixed up.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

/// The backend's number of a device (called sensor id on EDR).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceId(pub u64);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_id! {
    /// Names a run: UTC start and random characters, sorts by time.
    RunId
}

impl RunId {
    /// Names a run that begins now.
    pub fn begin(now: jiff::Timestamp) -> Self {
        Self(format!(
            "{}-{}",
            now.strftime("%Y%m%dT%H%M%SZ"),
            crate::clock::nonce(6)
        ))
    }

    /// The random part, for names on endpoints.
    pub fn short(&self) -> &str {
        self.0
            .rsplit_once('-')
            .map_or(self.0.as_str(), |(_, nonce)| nonce)
    }
}

text_id! {
    /// Names a step within its playbook: the author's `id`, or the slug of its name.
    StepId
}

text_id! {
    /// A Live Response session; opaque, `"n:device"` in the cloud.
    SessionId
}

text_id! {
    /// A file in a session's store; opaque, a UUID on v6.
    FileId
}

/// Counts commands within their session, from 0 on v6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub u64);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
