//! MD5, SHA-1 and SHA-256 of what files hold, each content hashed once for all devices that share it.

use crate::sim::endpoint::content::Content;
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

/// The three names of one content, in lower case.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sim) struct Hashes {
    pub md5: String,
    pub sha1: String,
    pub sha256: String,
}

/// Of a longer generated content only so much is hashed, and then its length: a disk image of gigabytes
/// would stall everybody, and hardly anybody fetches one to compare.
const STRETCH: u64 = 8 << 20;
/// Generated contents and texts that are remembered; beyond that all are forgotten.
const REMEMBERED: usize = 1 << 16;

static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

/// What was hashed before.
#[derive(Default)]
struct Known {
    made: HashMap<Source, Arc<Hashes>>,
    /// By the address of the bytes, which is nobody else's for as long as the reference to them is kept.
    held: HashMap<usize, (Weak<[u8]>, Arc<Hashes>)>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Source {
    Seeded {
        magic: &'static [u8],
        seed: u64,
        length: u64,
    },
    Text(String),
}

impl Hashes {
    pub(in crate::sim) fn of(content: &Content) -> Arc<Self> {
        match content {
            Content::Bytes(bytes) => Self::of_bytes(bytes),
            Content::Seeded {
                magic,
                seed,
                length,
            } => {
                let source = Source::Seeded {
                    magic,
                    seed: *seed,
                    length: *length,
                };
                Self::remembered(source, || {
                    let stretch = usize::try_from(STRETCH.min(*length)).unwrap_or(usize::MAX);
                    let mut bytes = content.read(0, stretch);
                    if *length > STRETCH {
                        bytes.extend_from_slice(&length.to_le_bytes());
                    }
                    Self::hash(&bytes)
                })
            }
        }
    }

    /// Of a program of which there is nothing but its name.
    pub(in crate::sim) fn of_text(text: &str) -> Arc<Self> {
        Self::remembered(Source::Text(text.to_owned()), || {
            Self::hash(text.as_bytes())
        })
    }

    fn of_bytes(bytes: &Arc<[u8]>) -> Arc<Self> {
        let address = bytes.as_ptr().addr();
        let held = |known: &Known| {
            let (kept, hashes) = known.held.get(&address)?;
            let same = kept.upgrade().is_some_and(|kept| Arc::ptr_eq(&kept, bytes));
            same.then(|| Arc::clone(hashes))
        };
        if let Some(hashes) = held(&lock()) {
            return hashes;
        }
        let hashes = Arc::new(Self::hash(bytes));
        let mut known = lock();
        known.held.retain(|_, (kept, _)| kept.strong_count() > 0);
        let entry = (Arc::downgrade(bytes), Arc::clone(&hashes));
        known.held.insert(address, entry);
        hashes
    }

    fn remembered(source: Source, hash: impl FnOnce() -> Self) -> Arc<Self> {
        if let Some(hashes) = lock().made.get(&source) {
            return Arc::clone(hashes);
        }
        let hashes = Arc::new(hash());
        let mut known = lock();
        if known.made.len() >= REMEMBERED {
            known.made.clear();
        }
        known.made.insert(source, Arc::clone(&hashes));
        hashes
    }

    fn hash(bytes: &[u8]) -> Self {
        Self {
            md5: hex(&Md5::digest(bytes)),
            sha1: hex(&Sha1::digest(bytes)),
            sha256: hex(&Sha256::digest(bytes)),
        }
    }

    /// Is this one of the three?
    pub(in crate::sim) fn has(&self, hash: &str) -> bool {
        [&self.md5, &self.sha1, &self.sha256]
            .iter()
            .any(|own| own.eq_ignore_ascii_case(hash))
    }
}

fn lock() -> std::sync::MutexGuard<'static, Known> {
    // Whoever panicked in here left a map of true statements.
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_has_three_names() {
        let hashes = Hashes::of(&Content::text("abc"));
        assert_eq!(hashes.md5, "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hashes.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hashes.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(hashes.has("900150983CD24FB0D6963F7D28E17F72"));
        assert!(!hashes.has(""));
        assert_eq!(Hashes::of_text("abc"), hashes);
    }

    #[test]
    fn a_generated_content_is_hashed_as_it_is_read_and_only_once() {
        let made = |length| Content::Seeded {
            magic: b"MZ",
            seed: 77,
            length,
        };
        let small = made(70_001);
        let read = Content::Bytes(small.read(0, 100_000).into());
        assert_eq!(Hashes::of(&small), Hashes::of(&read));
        assert!(Arc::ptr_eq(&Hashes::of(&small), &Hashes::of(&made(70_001))));
        assert!(Arc::ptr_eq(&Hashes::of(&read), &Hashes::of(&read)));
        let (huge, huger) = (made(1 << 40), made(1 << 41));
        assert_ne!(Hashes::of(&huge), Hashes::of(&huger));
    }
}
