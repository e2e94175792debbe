//! A bag under construction: what comes from one device goes here, hashed as it arrives.
//!
//! Memory holds names and digests, never contents. An unsealed bag stays in `work/` when dropped:
//! what was collected before a crash is evidence too.

use super::disk::{self, At, DiskError};
use super::hashed::{self, Digest, HashedFile};
use super::path::{self, PathMap};
use crate::live::Sink;
use crate::model::device::Os;
use crate::model::id::{DeviceId, RunId, StepId};
use crate::model::remote::RemoteText;
use crate::model::row::{FileState, StoredFile};
use crate::text::json;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

pub(super) const DEVICE: &str = "data/device.json";
pub(super) const INDEX: &str = "data/files.ndjson";
pub(super) const TRANSCRIPT: &str = "data/transcript.jsonl";

/// One device's evidence, growing. Calls may come from several threads.
pub struct Bag {
    pub(super) run: RunId,
    pub(super) run_path: PathBuf,
    pub(super) device: DeviceId,
    /// Below the run directory, once published.
    pub(super) destination: String,
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) root: PathBuf,
    pub(super) contents: Mutex<Contents>,
}

pub(super) struct Contents {
    /// Finished files by their path from the bag's root, in the order of the manifest.
    pub(super) files: BTreeMap<String, Digest>,
    /// Every directory that was made, from the bag's root.
    pub(super) directories: BTreeSet<String>,
    pub(super) index: HashedFile,
    pub(super) transcript: HashedFile,
    paths: PathMap,
    /// Where the versions of an original lie; those in part apart.
    places: HashMap<(RemoteText, bool), Vec<String>>,
    /// Files begun, to name the next.
    parts: u64,
}

/// Where the bytes of a finished download lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredContent {
    /// From the bag's root: `data/files/C/…`.
    pub stored_path: String,
    /// Bytes.
    pub size: u64,
    /// Lower-case hex.
    pub sha256: String,
}

impl Bag {
    /// Starts the bag `name`, of which there is no other in the run.
    pub(super) fn start(
        run_path: &Path,
        run: &RunId,
        name: &str,
        device: DeviceId,
    ) -> Result<Self, DiskError> {
        let root = disk::beneath(run_path, &format!("work/{name}"))?;
        disk::create_dir(&root)?;
        disk::create_dir(&disk::beneath(&root, "data")?)?;
        let contents = Contents {
            files: BTreeMap::new(),
            directories: BTreeSet::from(["data".to_owned()]),
            index: HashedFile::create(disk::beneath(&root, INDEX)?)?,
            transcript: HashedFile::create(disk::beneath(&root, TRANSCRIPT)?)?,
            paths: PathMap::default(),
            places: HashMap::new(),
            parts: 0,
        };
        Ok(Self {
            run: run.clone(),
            run_path: run_path.to_owned(),
            device,
            destination: format!("devices/{name}"),
            shared: Arc::new(Shared {
                root,
                contents: Mutex::new(contents),
            }),
        })
    }

    /// A place for the bytes of an endpoint's file. Nothing remains of a sink that is dropped unfinished.
    pub fn file(&self, original: &RemoteText, os: Os) -> Result<FileSink, DiskError> {
        Ok(FileSink {
            file: HashedFile::create(self.shared.next_part()?)?,
            bag: Arc::clone(&self.shared),
            original: original.clone(),
            os,
            is_kept: false,
        })
    }

    /// Adds a line to the index of stored files.
    pub fn index(&self, file: &StoredFile) -> Result<(), DiskError> {
        append(&mut self.shared.lock().index, json::line(file))
    }

    /// Adds a line to the record of commands and answers; secrets are removed before.
    pub fn transcript(&self, entry: &impl Serialize) -> Result<(), DiskError> {
        append(&mut self.shared.lock().transcript, json::raw_line(entry))
    }

    /// What the backend said of the device; every bag needs it. As with all documents, a later one
    /// replaces an earlier one.
    pub fn device(&self, device: &serde_json::Value) -> Result<(), DiskError> {
        self.shared.document(DEVICE, device)
    }

    /// How the device and its steps ended.
    pub fn outcome(&self, outcome: &impl Serialize) -> Result<(), DiskError> {
        self.shared.document("data/outcome.json", outcome)
    }

    /// The result of the step with this number in the playbook, counted from 1.
    pub fn step(
        &self,
        ordinal: usize,
        step: &StepId,
        result: &impl Serialize,
    ) -> Result<(), DiskError> {
        let name = path::component(format!("{ordinal:02}-{step}.json").as_bytes());
        self.shared.document(&format!("data/steps/{name}"), result)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents
            .lock()
            .expect("nobody panics while holding it")
    }

    fn document(&self, relative: &str, value: &impl Serialize) -> Result<(), DiskError> {
        let mut text = json::raw_line(value);
        text.push('\n');
        let part = self.next_part()?;
        // Not under the lock: others go on while the disk works.
        let digest = hashed::write_new(part.clone(), text.as_bytes())?;
        let mut contents = self.lock();
        let moved = contents
            .make_place(&self.root, relative)
            .and_then(|place| disk::rename_over(&part, &place));
        if moved.is_err() {
            disk::discard_file(&part);
        }
        moved?;
        contents.files.insert(relative.to_owned(), digest);
        Ok(())
    }

    /// A name that no finished file has.
    fn next_part(&self) -> Result<PathBuf, DiskError> {
        let mut contents = self.lock();
        contents.parts += 1;
        disk::beneath(&self.root, &format!("{}.part", contents.parts))
    }
}

impl Contents {
    /// The path of a file to be, in directories that exist.
    fn make_place(&mut self, root: &Path, relative: &str) -> Result<PathBuf, DiskError> {
        let place = disk::beneath(root, relative)?;
        for directory in path::directories(relative) {
            if !self.directories.contains(directory) {
                disk::create_dir(&disk::beneath(root, directory)?)?;
                self.directories.insert(directory.to_owned());
            }
        }
        Ok(place)
    }

    /// Where this very content of this original lies already.
    fn find(&self, original: &(RemoteText, bool), digest: &Digest) -> Option<&String> {
        let places = self.places.get(original)?;
        places
            .iter()
            .find(|place| self.files.get(*place) == Some(digest))
    }
}

fn append(file: &mut HashedFile, mut line: String) -> Result<(), DiskError> {
    line.push('\n');
    file.write(line.as_bytes()).at("writing", file.path())
}

/// A download under way.
pub struct FileSink {
    file: HashedFile,
    bag: Arc<Shared>,
    original: RemoteText,
    os: Os,
    is_kept: bool,
}

impl FileSink {
    /// Makes the bytes durable and gives them their place. Only a complete file gets the plain name;
    /// who has nothing worth keeping drops the sink instead. The same content of the same original
    /// is kept once.
    pub fn finish(mut self, state: FileState) -> Result<StoredContent, DiskError> {
        let digest = self.file.finish()?;
        let bag = Arc::clone(&self.bag);
        let mut contents = bag.lock();
        let is_partial = state != FileState::Complete;
        let origin = (self.original.clone(), is_partial);
        let stored_path = if let Some(known) = contents.find(&origin, &digest) {
            known.clone()
        } else {
            let place = if is_partial {
                contents.paths.claim_partial(&self.original, self.os)
            } else {
                contents.paths.claim(&self.original, self.os)
            };
            let stored_path = format!("data/files/{place}");
            let to = contents.make_place(&bag.root, &stored_path)?;
            disk::rename_new(self.file.path(), &to)?;
            self.is_kept = true;
            contents.files.insert(stored_path.clone(), digest.clone());
            let places = contents.places.entry(origin).or_default();
            places.push(stored_path.clone());
            stored_path
        };
        Ok(StoredContent {
            stored_path,
            size: digest.size,
            sha256: digest.sha256,
        })
    }
}

impl Sink for FileSink {
    fn restart(&mut self) -> io::Result<()> {
        self.file.restart()
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.file.write(chunk)
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        if !self.is_kept {
            disk::discard_file(self.file.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::layout;
    use std::fs;

    fn store(bag: &Bag, path: &str, bytes: &[u8], state: FileState) -> String {
        let mut sink = bag.file(&path.into(), Os::Windows).unwrap();
        sink.write(bytes).unwrap();
        sink.finish(state).unwrap().stored_path
    }

    #[test]
    fn downloads_get_their_place_when_they_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let run = layout::sample(dir.path());
        let bag = run.open_bag(&"ws-7".into(), DeviceId(7)).unwrap();
        let root = run.path().join("work/ws-7_7");

        let mut sink = bag.file(&r"C:\a\f".into(), Os::Windows).unwrap();
        sink.write(b"an attempt that broke").unwrap();
        sink.restart().unwrap();
        sink.write(b"ab").unwrap();
        sink.write(b"c").unwrap();
        assert!(!root.join("data/files").exists());
        let stored = sink.finish(FileState::Complete).unwrap();
        assert_eq!(stored.stored_path, "data/files/C/a/f");
        assert_eq!((stored.size, stored.sha256), (3, Digest::of(b"abc").sha256));
        assert_eq!(fs::read(root.join("data/files/C/a/f")).unwrap(), b"abc");

        let mut sink = bag.file(&r"C:\a\g".into(), Os::Windows).unwrap();
        sink.write(b"never finished").unwrap();
        drop(sink);
        let left: Vec<_> = fs::read_dir(&root)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, ["data"]);
        assert!(!root.join("data/files/C/a/g").exists());
    }

    #[test]
    fn versions_lie_side_by_side_and_equal_ones_once() {
        use FileState::{Complete, Partial};
        let dir = tempfile::tempdir().unwrap();
        let run = layout::sample(dir.path());
        let bag = run.open_bag(&"ws-7".into(), DeviceId(7)).unwrap();
        let table: [(&[u8], FileState, &str); 6] = [
            (b"one", Partial, "data/files/C/f=partial"),
            (b"one", Complete, "data/files/C/f"),
            (b"two", Complete, "data/files/C/f=2"),
            (b"one", Complete, "data/files/C/f"),
            (b"two", Partial, "data/files/C/f=partial=2"),
            (b"three", Complete, "data/files/C/f=3"),
        ];
        for (bytes, state, place) in table {
            assert_eq!(store(&bag, r"C:\f", bytes, state), place);
        }
        let held = bag.shared.lock().files.len();
        assert_eq!(held, 5, "each content once");
    }

    #[cfg(unix)]
    #[test]
    fn a_planted_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let run = layout::sample(dir.path());
        let bag = run.open_bag(&"ws-7".into(), DeviceId(7)).unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let planted = run.path().join("work/ws-7_7/data/files");
        std::os::unix::fs::symlink(&outside, planted).unwrap();
        let sink = bag.file(&r"C:\f".into(), Os::Windows).unwrap();
        assert!(sink.finish(FileState::Complete).is_err());
        assert!(fs::read_dir(&outside).unwrap().next().is_none());
    }
}
