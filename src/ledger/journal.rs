//! The journal's format: one ASCII JSON object a line, each naming the hash of the line before it.

use crate::model::event::{EventKind, RunEvent};
use crate::text::json;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
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
    /// Goes on after a journal that was read.
    pub fn after(tail: &Tail) -> Self {
        Self {
            prev: tail.hash.clone(),
        }
    }

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

/// A place in a journal, behind a whole line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// How many lines are before it.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Hash of the last of them, without its line end; empty at the beginning.
    hash: String,
    /// Microseconds since the run began, by the last of them.
    pub mono: u64,
}

/// Reads a journal front to back, checking the chain. A torn last line (no line end) was never
/// answered for, and is passed over.
pub fn replay(journal: impl BufRead, event: impl FnMut(RunEvent)) -> Result<Tail, JournalError> {
    let mut tail = Tail::default();
    tail.go_on(journal, event)?;
    Ok(tail)
}

/// Reads a journal that grows: each time from where it stopped.
pub struct Reader<R> {
    journal: R,
    tail: Tail,
}

impl<R: Read + Seek> Reader<R> {
    /// From the beginning.
    pub fn new(journal: R) -> Self {
        Self {
            journal,
            tail: Tail::default(),
        }
    }

    /// Reads the whole lines that have come since the last time.
    pub fn read(&mut self, event: impl FnMut(RunEvent)) -> Result<(), JournalError> {
        // A torn line is read again, as it may have been put aside meanwhile.
        self.journal.seek(SeekFrom::Start(self.tail.bytes))?;
        self.tail.go_on(BufReader::new(&mut self.journal), event)?;
        Ok(())
    }
}

impl Tail {
    /// Reads whole lines; gives what comes after them and is none.
    fn go_on(
        &mut self,
        mut journal: impl BufRead,
        mut event: impl FnMut(RunEvent),
    ) -> Result<Vec<u8>, JournalError> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            journal.read_until(b'\n', &mut bytes)?;
            if bytes.pop_if(|last| *last == b'\n').is_none() {
                return Ok(bytes);
            }
            event(self.take(&bytes)?);
        }
    }

    /// The event of the next line, which has no line end any more.
    fn take(&mut self, bytes: &[u8]) -> Result<RunEvent, JournalError> {
        let expected = self.lines;
        let line: Line = serde_json::from_slice(bytes).map_err(|error| JournalError::Garbage {
            line: expected + 1,
            // All events that there are would be listed behind it.
            detail: error
                .to_string()
                .split(", expected")
                .next()
                .unwrap_or_default()
                .to_owned(),
        })?;
        if line.prev != self.hash || line.n != expected {
            return Err(JournalError::Broken { line: expected + 1 });
        }
        self.hash = hash(bytes);
        self.lines += 1;
        self.bytes += bytes.len() as u64 + 1;
        self.mono = line.mono;
        Ok(RunEvent {
            n: line.n,
            t: line.t,
            mono: line.mono,
            ev: line.ev,
        })
    }
}

/// A journal that is written on.
pub struct Reopened {
    pub file: File,
    pub tail: Tail,
    /// How much of it was torn, and the file where that was put.
    pub mended: Option<(u64, String)>,
}

/// Opens a journal to go on with it. A torn last line is put aside, into a file beside it. `event` is told
/// what it holds.
pub fn reopen(path: &Path, event: impl FnMut(RunEvent)) -> Result<Reopened, JournalError> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut tail = Tail::default();
    let torn = tail.go_on(BufReader::new(&file), event)?;
    let mut mended = None;
    if !torn.is_empty() {
        let name = format!("journal.torn-{}", tail.lines);
        let aside = path.with_file_name(&name);
        // An earlier try may have been cut short between the two.
        if let Err(error) = create(&aside).and_then(|mut aside| aside.write_all(&torn))
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error.into());
        }
        file.set_len(tail.bytes)?;
        file.sync_all()?;
        mended = Some((torn.len() as u64, name));
    }
    file.seek(SeekFrom::End(0))?;
    Ok(Reopened { file, tail, mended })
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
                anew: Vec::new(),
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
        replay(bytes, |_| seen += 1).map(|_| seen)
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
    fn a_journal_that_grows_is_read_line_by_line() {
        let whole = journal();
        for step in [1, 7, 100, 1_000] {
            let mut reader = Reader::new(io::Cursor::new(Vec::new()));
            let mut seen = Vec::new();
            for end in (0..whole.len()).step_by(step).chain([whole.len()]) {
                *reader.journal.get_mut() = whole[..end].to_vec();
                reader.read(|event| seen.push(event.n)).unwrap();
                let lines = whole[..end].split(|b| *b == b'\n').count() - 1;
                assert_eq!(seen.len(), lines, "{step} {end}");
            }
            assert_eq!(seen, [0, 1, 2, 3, 4]);
            reader.journal.get_mut().extend_from_slice(&whole);
            let ended = reader.read(|_| panic!("it does not follow"));
            assert!(matches!(ended, Err(JournalError::Broken { line: 6 })));
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
