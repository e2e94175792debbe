//! The files of one session: what was uploaded for the endpoint, and what came from it.

use super::endpoint::content::{Clip, mix};

#[derive(Debug)]
pub(super) struct Store {
    session: u64,
    given: u64,
    /// In the order of their making.
    files: Vec<Stored>,
}

/// What a file is called: services of this family count, or draw UUIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileId {
    /// Counts from 1 in its session.
    pub number: u64,
    pub uuid: String,
}

#[derive(Debug, Clone)]
pub struct Stored {
    pub id: FileId,
    /// The upload's name, or the path on the endpoint.
    pub name: String,
    pub origin: Origin,
    /// None until the endpoint has sent it, and for ever if it refused.
    pub clip: Option<Clip>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Upload,
    Endpoint,
}

impl Store {
    pub(super) fn new(session: u64) -> Self {
        Self {
            session,
            given: 0,
            files: Vec::new(),
        }
    }

    pub(super) fn files(&self) -> &[Stored] {
        &self.files
    }

    pub(super) fn find(&self, id: &str) -> Option<&Stored> {
        self.files.iter().find(|file| file.id.uuid == id)
    }

    pub(super) fn clip(&self, id: &str) -> Option<Clip> {
        self.find(id)?.clip.clone()
    }

    pub(super) fn upload(&mut self, name: &str, clip: Clip) -> Stored {
        self.add(name, Origin::Upload, Some(clip))
    }

    /// Makes room for a file that the endpoint is asked for, and names it.
    pub(super) fn expect(&mut self, path: &str) -> FileId {
        self.add(path, Origin::Endpoint, None).id
    }

    pub(super) fn fill(&mut self, id: &str, clip: Clip) {
        if let Some(file) = self.files.iter_mut().find(|file| file.id.uuid == id) {
            file.clip = Some(clip);
        }
    }

    /// False if there was none of that id.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let before = self.files.len();
        self.files.retain(|file| file.id.uuid != id);
        self.files.len() < before
    }

    fn add(&mut self, name: &str, origin: Origin, clip: Option<Clip>) -> Stored {
        self.given += 1;
        let file = Stored {
            id: FileId {
                number: self.given,
                uuid: uuid(self.session, self.given),
            },
            name: name.to_owned(),
            origin,
            clip,
        };
        self.files.push(file.clone());
        file
    }
}

/// Looks like a random UUID, and is the same in every run.
fn uuid(session: u64, number: u64) -> String {
    let high = mix(session << 20 | number);
    let low = mix(high);
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 48 & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}
