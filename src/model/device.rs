//! A device as its backend describes it.

use super::id::DeviceId;
use super::remote::RemoteText;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The families that Live Response knows.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Os {
    Windows,
    Linux,
    Macos,
    /// Something that a playbook cannot name; only steps without `os` run on it.
    #[schemars(skip)]
    Other,
}

impl Os {
    /// The families that a playbook can name.
    pub const NAMED: [Self; 3] = [Self::Windows, Self::Linux, Self::Macos];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Linux => "linux",
            Self::Macos => "macos",
            Self::Other => "other",
        }
    }

    /// What stands between the parts of a path there.
    pub const fn separator(self) -> char {
        if matches!(self, Self::Windows) {
            '\\'
        } else {
            '/'
        }
    }
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One device, as found; times are the backend's own.
#[derive(Debug, Clone)]
pub struct Device {
    pub id: DeviceId,
    /// As the backend writes it: `WS-7`, `CORP\WS-7` or `ws-7.corp.example`.
    pub name: RemoteText,
    pub os: Os,
    pub os_version: RemoteText,
    pub policy: RemoteText,
    pub groups: Vec<RemoteText>,
    pub ip: RemoteText,
    pub last_seen: Option<Timestamp>,
    /// Tells a host from another one that got its name or number later.
    pub registered: Option<Timestamp>,
    pub isolated: bool,
    /// Words like `LIVE_RESPONSE_DISABLED`.
    pub sensor_states: Vec<String>,
    /// The record as it came, without codes that would let a reader remove the sensor.
    pub verbatim: serde_json::Value,
}

impl Device {
    /// The host part alone: without a domain before or after it.
    pub fn short_name(&self) -> RemoteText {
        let raw = self.name.raw();
        let host = raw.rsplit_once('\\').map_or(raw, |(_, host)| host);
        // An address stays whole: cutting it at its first dot would make all of them alike.
        let short = if host.parse::<std::net::IpAddr>().is_ok() {
            host
        } else {
            host.split('.').next().unwrap_or(host)
        };
        short.into()
    }

    /// The host with its DNS domain, where the backend gives one; otherwise the short name.
    pub fn fqdn(&self) -> RemoteText {
        let raw = self.name.raw();
        raw.rsplit_once('\\').map_or(raw, |(_, host)| host).into()
    }
}

#[cfg(test)]
pub(crate) fn sample(id: u64, name: &str, os: Os) -> Device {
    Device {
        id: DeviceId(id),
        name: name.into(),
        os,
        os_version: "test".into(),
        policy: "default".into(),
        groups: Vec::new(),
        ip: "10.0.0.7".into(),
        last_seen: None,
        registered: None,
        isolated: false,
        sensor_states: Vec::new(),
        verbatim: serde_json::json!({"id": id, "name": name}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_three_forms() {
        let table = [
            ("WS-7", "WS-7", "WS-7"),
            ("CORP\\WS-7", "WS-7", "WS-7"),
            ("dc-01.corp.example", "dc-01", "dc-01.corp.example"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.3"),
            ("", "", ""),
        ];
        for (name, short, fqdn) in table {
            let device = sample(1, name, Os::Windows);
            assert_eq!(
                (device.short_name().raw(), device.fqdn().raw()),
                (short, fqdn)
            );
        }
    }
}
