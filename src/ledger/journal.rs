//! The journal's format: one ASCII JSON object a line, each naming the hash of the line before it.

use crate::model::event::{EventKind, RunEvent};
use crate::text::json;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::path::Path;

/// The first event names it, so that another version can refuse what it does not know.
pub const FORMAT: &str = "sortie-journal/1";

/// What a journal is written on.
pub trait Tape: Send {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;

    /// What was written, where it can be had without asking the disk.
    fn bytes(&self) -> &[u8] {
        &[]
    }
}

impl Tape for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Begins a journal's file: new, and for its owner alone.
pub fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// In memory, for runs that leave nothing behind.
impl Tape for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        self
    }
}

/// Links lines to one another.
#[derive(Debug, Default)]
pub struct Chain {
    /// Hash of the last line without its line end; empty before the first.
    prev: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    ev: EventKind,
    mono: u64,
    n: u64,
    prev: String,
    t: Timestamp,
}

impl Chain {
    /// Appends the event's line to `out`.
    pub fn append(&mut self, event: &RunEvent, out: &mut Vec<u8>) {
        let prev = std::mem::take(&mut self.prev);
        let line = json::line(&Line {
            ev: event.ev.clone(),
            mono: event.mono,
            n: event.n,
            prev,
            t: event.t,
        });
        self.prev = hash(line.as_bytes());
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
}

fn hash(line: &[u8]) -> String {
    crate::text::json::hex(&Sha256::digest(line))
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("cannot read the journal: {0}")]
    Io(#[from] io::Error),
    #[error("line {line} of the journal is not an event: {detail}")]
    Garbage { line: u64, detail: String },
    #[error("line {line} of the journal does not follow from the line before it")]
    Broken { line: u64 },
}

/// Reads a journal front to back, checking the chain. A torn last line (no line end) was never
/// answered for, and is passed over.
pub fn replay(journal: impl BufRead, mut event: impl FnMut(RunEvent)) -> Result<(), JournalError> {
    let mut journal = journal;
    let mut prev = String::new();
    let mut bytes = Vec::new();
    for expected in 0_u64.. {
        bytes.clear();
        if journal.read_until(b'\n', &mut bytes)? == 0 || bytes.pop() != Some(b'\n') {
            break;
        }
        let line: Line = serde_json::from_slice(&bytes).map_err(|error| JournalError::Garbage {
            line: expected + 1,
            // All events that there are would be listed behind it.
            detail: error
                .to_string()
                .split(", expected")
                .next()
                .unwrap_or_default()
                .to_owned(),
        })?;
        if line.prev != prev || line.n != expected {
            return Err(JournalError::Broken { line: expected + 1 });
        }
        prev = hash(&bytes);
        event(RunEvent {
            n: line.n,
            t: line.t,
            mono: line.mono,
            ev: line.ev,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::DeviceId;

    fn journal() -> Vec<u8> {
        let mut chain = Chain::default();
        let mut out = Vec::new();
        for n in 0..5 {
            let ev = EventKind::DeviceStarted {
                device: DeviceId(n),
            };
            chain.append(
                &RunEvent {
                    n,
                    t: Timestamp::UNIX_EPOCH,
                    mono: n,
                    ev,
                },
                &mut out,
            );
        }
        out
    }

    fn count(bytes: &[u8]) -> Result<u64, JournalError> {
        let mut seen = 0;
        replay(bytes, |_| seen += 1).map(|()| seen)
    }

    #[test]
    fn any_torn_tail_is_passed_over() {
        let whole = journal();
        for cut in 0..=whole.len() {
            let lines = whole[..cut].split(|b| *b == b'\n').count() - 1;
            assert_eq!(count(&whole[..cut]).unwrap(), lines as u64, "cut at {cut}");
        }
    }

    #[test]
    fn a_changed_byte_is_found() {
        let whole = journal();
        let second_to_last = whole.iter().rposition(|b| *b == b'{').unwrap();
        for at in 0..second_to_last {
            let mut changed = whole.clone();
            // A digit or letter into another one keeps most lines readable, which is the hard case.
            changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
            assert!(
                count(&changed).is_err(),
                "byte {at} was changed and nobody noticed"
            );
        }
    }
}
