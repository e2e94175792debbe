//! What really happened in a simulated organisation: the oracle that tests and drills are judged by.

use super::session::Opener;
use serde::Serialize;
use std::collections::BTreeMap;

/// A snapshot. Counts are since the world began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Books {
    /// By method and route, ids as placeholders.
    pub requests: BTreeMap<String, u64>,
    /// Commands that ran (not those merely asked for), by name.
    pub commands: BTreeMap<String, u64>,
    /// The same by device.
    pub commands_by_device: BTreeMap<u64, BTreeMap<&'static str, u64>>,
    /// Every command that ran and may have changed an endpoint, in order.
    pub changes: Vec<Change>,
    pub sessions_opened: u64,
    pub sessions_closed: u64,
    /// Expired without anybody closing them, or never checked in.
    pub sessions_leaked: u64,
    pub sessions_open: u64,
    /// Opened by people in the console; none of the other figures counts them.
    pub sessions_of_the_console: u64,
    pub max_concurrent_sessions: u64,
    /// Bytes of file content that were sent.
    pub content_bytes: u64,
    /// Bytes of files that were uploaded for endpoints.
    pub upload_bytes: u64,
    /// Routes that the simulator does not have.
    pub unknown_routes: BTreeMap<String, u64>,
    /// Command lines that the table of programs does not know.
    pub unknown_executables: BTreeMap<String, u64>,
    /// What went wrong on purpose, by the key that a scenario has for it.
    pub faults: BTreeMap<String, u64>,
    /// Vanished because a fault took them, or went with their device.
    pub sessions_lost: u64,
    /// Requests to the content host that carried a credential.
    pub credentials_leaked: u64,
}

/// A command that ran, or an action that a sensor carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub device: u64,
    pub command: &'static str,
    /// The path, pid, command line or option.
    pub what: String,
    /// Zero, or the HRESULT with which the endpoint refused.
    pub code: u32,
    /// Milliseconds since the world began.
    pub at: i64,
}

impl Books {
    pub(super) fn request(&mut self, route: &str) {
        count(&mut self.requests, route);
    }

    pub(super) fn command(&mut self, device: u64, name: &'static str) {
        count(&mut self.commands, name);
        let of_device = self.commands_by_device.entry(device).or_default();
        *of_device.entry(name).or_default() += 1;
    }

    pub(super) fn unknown_route(&mut self, route: &str) {
        count(&mut self.unknown_routes, route);
    }

    pub(super) fn fault(&mut self, word: &str) {
        count(&mut self.faults, word);
    }

    pub(super) fn unknown_executable(&mut self, line: &str) {
        count(&mut self.unknown_executables, line);
    }

    pub(super) fn opened(&mut self, by: Opener) {
        if by == Opener::Console {
            self.sessions_of_the_console += 1;
            return;
        }
        self.sessions_opened += 1;
        self.sessions_open += 1;
        self.max_concurrent_sessions = self.max_concurrent_sessions.max(self.sessions_open);
    }

    pub(super) fn closed(&mut self, opened_by: Opener) {
        if opened_by == Opener::Console {
            return;
        }
        self.sessions_closed += 1;
        self.sessions_open -= 1;
    }

    pub(super) fn lost(&mut self, opened_by: Opener) {
        if opened_by == Opener::Console {
            return;
        }
        self.sessions_lost += 1;
        self.sessions_open -= 1;
    }

    pub(super) fn leaked(&mut self, opened_by: Opener) {
        if opened_by == Opener::Console {
            return;
        }
        self.sessions_leaked += 1;
        self.sessions_open -= 1;
    }

    /// Begins anew, but for the sessions that are open.
    pub(super) fn reset(&mut self) -> Self {
        let fresh = Self {
            sessions_open: self.sessions_open,
            max_concurrent_sessions: self.sessions_open,
            ..Self::default()
        };
        std::mem::replace(self, fresh)
    }

    /// Changes that the endpoint carried out, as `(command, what)`.
    pub fn done(&self, device: u64) -> Vec<(&'static str, &str)> {
        self.changes
            .iter()
            .filter(|change| change.device == device && change.code == 0)
            .map(|change| (change.command, change.what.as_str()))
            .collect()
    }
}

fn count(counts: &mut BTreeMap<String, u64>, key: &str) {
    if let Some(count) = counts.get_mut(key) {
        *count += 1;
    } else {
        counts.insert(key.to_owned(), 1);
    }
}
