//! What really happened in a simulated organisation: the oracle that tests and drills are judged by.

use serde::Serialize;
use std::collections::BTreeMap;

/// A snapshot. Counts are since the world began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Books {
    /// By method and route, ids as placeholders.
    pub requests: BTreeMap<String, u64>,
    /// Commands that ran (not those merely asked for), by name.
    pub commands: BTreeMap<String, u64>,
    /// Every command that ran and may have changed an endpoint, in order.
    pub changes: Vec<Change>,
    pub sessions_opened: u64,
    pub sessions_closed: u64,
    /// Expired without anybody closing them, or never checked in.
    pub sessions_leaked: u64,
    pub sessions_open: u64,
    pub max_concurrent_sessions: u64,
    /// Bytes of file content that were sent.
    pub content_bytes: u64,
    /// Routes that the simulator does not have.
    pub unknown_routes: BTreeMap<String, u64>,
    /// Command lines that the table of programs does not know.
    pub unknown_executables: BTreeMap<String, u64>,
    /// What went wrong on purpose, by the key that a scenario has for it.
    pub faults: BTreeMap<String, u64>,
    /// Sessions that vanished because a fault took them.
    pub sessions_lost: u64,
    /// Requests to the content host that carried a credential.
    pub credentials_leaked: u64,
}

/// A command that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub device: u64,
    pub command: &'static str,
    /// The path, pid or command line.
    pub what: String,
    /// Zero, or the HRESULT with which the endpoint refused.
    pub code: u32,
}

impl Books {
    pub(super) fn request(&mut self, route: &str) {
        count(&mut self.requests, route);
    }

    pub(super) fn command(&mut self, name: &str) {
        count(&mut self.commands, name);
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

    pub(super) fn opened(&mut self) {
        self.sessions_opened += 1;
        self.sessions_open += 1;
        self.max_concurrent_sessions = self.max_concurrent_sessions.max(self.sessions_open);
    }

    pub(super) fn closed(&mut self) {
        self.sessions_closed += 1;
        self.sessions_open -= 1;
    }

    pub(super) fn lost(&mut self) {
        self.sessions_lost += 1;
        self.sessions_open -= 1;
    }

    pub(super) fn leaked(&mut self) {
        self.sessions_leaked += 1;
        self.sessions_open -= 1;
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
