//! What a file holds: bytes that are shared, or bytes that are computed when read, so that a large log costs nothing.

use std::sync::Arc;

#[derive(Debug, Clone)]
pub enum Content {
    Bytes(Arc<[u8]>),
    /// `magic`, then pseudo-random bytes of a seed, `length` bytes in all.
    Seeded {
        magic: &'static [u8],
        seed: u64,
        length: u64,
    },
}

impl Content {
    pub fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().into())
    }

    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Seeded { length, .. } => *length,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first few bytes, by which a loader knows an executable.
    pub fn head(&self) -> Vec<u8> {
        self.read(0, 8)
    }

    /// At most `count` bytes from `offset`; fewer at the end.
    pub fn read(&self, offset: u64, count: usize) -> Vec<u8> {
        let left = self.len().saturating_sub(offset);
        let count = usize::try_from(left).map_or(count, |left| left.min(count));
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(offset).map_or(bytes.len(), |at| at.min(bytes.len()));
                bytes[start..start + count].to_vec()
            }
            Self::Seeded { magic, seed, .. } => {
                let mut out = Vec::with_capacity(count + 16);
                let mut word = offset / 8;
                while out.len() < count + 8 {
                    out.extend_from_slice(&mix(seed.wrapping_add(word)).to_le_bytes());
                    word += 1;
                }
                // Words start at multiples of eight; the range need not.
                out.drain(..usize::try_from(offset % 8).expect("below eight"));
                out.truncate(count);
                for (at, byte) in (0u64..).zip(*magic) {
                    let place = at.checked_sub(offset).and_then(|p| usize::try_from(p).ok());
                    if let Some(slot) = place.and_then(|p| out.get_mut(p)) {
                        *slot = *byte;
                    }
                }
                out
            }
        }
    }
}

/// A well-spread number out of a counter (SplitMix64).
pub(crate) fn mix(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number for a text, the same on every machine and in every run.
pub(crate) fn seed_of(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A stretch of a content: what a ranged `get file` put into a session's store.
#[derive(Debug, Clone)]
pub struct Clip {
    content: Content,
    start: u64,
    length: u64,
}

impl Clip {
    /// `count` of none or zero means: to the end. Beyond the end there is nothing.
    pub fn of(content: Content, offset: u64, count: Option<u64>) -> Self {
        let left = content.len().saturating_sub(offset);
        let length = match count {
            None | Some(0) => left,
            Some(count) => left.min(count),
        };
        Self {
            content,
            start: offset,
            length,
        }
    }

    pub fn whole(content: Content) -> Self {
        Self::of(content, 0, None)
    }

    /// Its beginning, at most so long.
    #[must_use]
    pub fn first(self, length: u64) -> Self {
        Self {
            length: self.length.min(length),
            ..self
        }
    }

    pub fn len(&self) -> u64 {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// At most `count` bytes from `offset` within the stretch.
    pub fn read(&self, offset: u64, count: usize) -> Vec<u8> {
        let left = self.length.saturating_sub(offset);
        let count = usize::try_from(left).map_or(count, |left| left.min(count));
        self.content.read(self.start + offset, count)
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.read(0, usize::try_from(self.length).unwrap_or(usize::MAX))
    }

    /// What tells it from others, and costs nothing however large it is: its length, and its first bytes and last.
    pub fn tag(&self) -> String {
        const LOOK: usize = 4096;
        let ends = [
            self.read(0, LOOK),
            self.read(self.length.saturating_sub(LOOK as u64), LOOK),
        ];
        let hash = ends.concat().iter().fold(self.length, |hash, byte| {
            mix(hash.wrapping_add(u64::from(*byte)))
        });
        format!("\"{:x}-{hash:016x}\"", self.length)
    }

    /// The whole stretch as a content of its own, for putting it onto an endpoint.
    pub fn into_content(self) -> Content {
        if self.start == 0 && self.length == self.content.len() {
            self.content
        } else {
            Content::Bytes(self.bytes().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_of_a_generated_file_agrees_with_the_whole() {
        let content = Content::Seeded {
            magic: b"ElfFile\0",
            seed: 7,
            length: 1003,
        };
        let whole = content.read(0, 5000);
        assert_eq!(whole.len(), 1003);
        assert!(whole.starts_with(b"ElfFile\0"));
        for (offset, count) in [
            (0, 3),
            (3, 9),
            (7, 1),
            (8, 8),
            (995, 100),
            (1003, 5),
            (4000, 1),
        ] {
            let from = offset.min(whole.len());
            let to = (offset + count).min(whole.len());
            assert_eq!(content.read(offset as u64, count), whole[from..to]);
        }
        let bytes = Content::Bytes(whole.clone().into());
        for (offset, count, from, to) in [
            (0, None, 0, 1003),
            (10, Some(0), 10, 1003),
            (10, Some(5), 10, 15),
            (1000, Some(50), 1000, 1003),
            (2000, None, 1003, 1003),
        ] {
            for content in [&content, &bytes] {
                let clip = Clip::of(content.clone(), offset, count);
                assert_eq!(clip.bytes(), whole[from..to], "{offset} {count:?}");
            }
        }
    }
}
