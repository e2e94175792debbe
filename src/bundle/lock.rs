//! Locks of the operating system: whoever dies lets go of them.

use super::disk::{At, DiskError};
use crate::clock;
use crate::text::json;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

/// A line that a process of ours writes is shorter.
const LONGEST: u64 = 4096;

/// The process that works on a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    /// Other machines may work on the same disk.
    pub host: Option<String>,
    pub started: Timestamp,
}

/// Takes the lock on an open file; false if another holds it.
pub(super) fn try_lock(file: &File, path: &Path) -> Result<bool, DiskError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).at("locking", path),
    }
}

impl Holder {
    /// Writes into a file that we have locked who we are. It is a courtesy: the lock holds without it.
    pub(super) fn tell(mut file: &File) {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let holder = Self {
            pid: std::process::id(),
            host: host.map(|name| name.trim().to_owned()),
            started: clock::now(),
        };
        let line = json::line(&holder) + "\n";
        let _ = file
            .set_len(0)
            .and_then(|()| file.write_all(line.as_bytes()));
    }

    /// Who has written so, where that can be read. Windows keeps a locked file to its holder.
    pub(super) fn of(file: File) -> Option<Self> {
        let mut line = Vec::new();
        file.take(LONGEST).read_to_end(&mut line).ok()?;
        serde_json::from_slice(&line).ok()
    }
}
