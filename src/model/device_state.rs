//! How a device ended, in one word.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a device ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    Ok,
    Partial,
    Failed,
    Unreachable,
    Skipped,
    Unknown,
    Cancelled,
}

impl DeviceState {
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Partial,
        Self::Failed,
        Self::Unreachable,
        Self::Skipped,
        Self::Unknown,
        Self::Cancelled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for DeviceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
