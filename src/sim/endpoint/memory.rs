//! An endpoint's memory, and how it is dumped: a file as large as the memory, and time that follows the size.
//!
//! A compressed dump begins like a ZIP archive and holds none: nobody opens it here.

use super::code::Code;
use super::content::{Content, seed_of};
use super::order::Yield;
use super::{Endpoint, Late, Performed};
use crate::model::device::Os;
use std::time::Duration;

/// Bytes that are dumped in a second.
const RATE: u64 = 8 << 20;
/// Of the time of a compressed dump, how much goes into dumping.
const DUMPING: f64 = 2.0 / 3.0;

/// How much memory there is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory(pub u64);

impl Default for Memory {
    /// Little, so that nobody who tries it waits for long.
    fn default() -> Self {
        Self(16 << 20)
    }
}

impl Memory {
    fn takes(self, compress: bool) -> Duration {
        let dumping = Duration::from_millis(self.0.saturating_mul(1000) / RATE);
        if compress {
            dumping + dumping / 2
        } else {
            dumping
        }
    }
}

/// How far a dump has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub percent: u8,
    pub step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Waiting,
    Dumping,
    Compressing,
    Complete,
}

impl Progress {
    /// After so much of its time, from 0 to 1.
    pub fn at(share: f64, compress: bool) -> Self {
        let (share, step) = match (compress, share < DUMPING) {
            (false, _) => (share, Step::Dumping),
            (true, true) => (share / DUMPING, Step::Dumping),
            (true, false) => ((share - DUMPING) / (1.0 - DUMPING), Step::Compressing),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 0 and 99"
        )]
        let percent = (share * 100.0).clamp(0.0, 99.0) as u8;
        Self { percent, step }
    }
}

impl Endpoint {
    pub(super) fn dump_memory(&mut self, path: &str, compress: bool, now: i64) -> Performed {
        let takes = self.memory.takes(compress);
        let begun = self.begin_dump(path, compress, now, takes);
        Performed {
            takes: if begun.is_ok() { takes } else { Duration::ZERO },
            result: begun.map(|()| Yield::Dumped),
            unknown_program: None,
        }
    }

    fn begin_dump(
        &mut self,
        path: &str,
        compress: bool,
        now: i64,
        takes: Duration,
    ) -> Result<(), Code> {
        if self.os != Os::Windows {
            return Err(Code::NOT_SUPPORTED);
        }
        // Clients ask for the name with the ending, and never give it.
        let parts = if compress {
            self.locate(&format!("{path}.zip"))?
        } else {
            self.locate(path)?
        };
        self.files.check_folder(&parts)?;
        match self.files.node(&parts) {
            Some(node) if node.is_directory() => return Err(Code::ACCESS_DENIED),
            Some(node) if node.locked => return Err(Code::SHARING_VIOLATION),
            _ => {}
        }
        // The dump comes first, and shrinks afterwards.
        if self.memory.0 > self.free {
            return Err(Code::DISK_FULL);
        }
        let (magic, length): (&[u8], u64) = if compress {
            (b"PK\x03\x04", self.memory.0 / 3)
        } else {
            (b"PAGEDU64", self.memory.0)
        };
        self.free -= length;
        let takes = i64::try_from(takes.as_millis()).unwrap_or(i64::MAX);
        self.late.push(Late {
            pid: None,
            due: now.saturating_add(takes),
            parts,
            content: Content::Seeded {
                magic,
                seed: seed_of(path),
                length,
            },
            within: None,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_goes_through_its_steps() {
        let table = [
            (0.0, false, 0, Step::Dumping),
            (0.5, false, 50, Step::Dumping),
            (1.0, false, 99, Step::Dumping),
            (0.334, true, 50, Step::Dumping),
            (0.834, true, 50, Step::Compressing),
            (1.0, true, 99, Step::Compressing),
        ];
        for (share, compress, percent, step) in table {
            assert_eq!(
                Progress::at(share, compress),
                Progress { percent, step },
                "{share} {compress}"
            );
        }
        assert_eq!(Memory(4 << 30).takes(false).as_secs(), 512);
    }
}
