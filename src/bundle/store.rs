//! A bag under construction: what comes from one device goes here, hashed as it arrives.
//!
//! Memory holds names and digests, never contents. An unsealed bag stays in `work/` when dropped:
//! what was collected before a crash is evidence too.

use super::disk::{self, At, DiskError};
use super::hashed::{self, Digest, HashedFile};
use super::known::Known;
use super::path::{self, PathMap, Way};
use super::sink::FileSink;
use crate::model::device::Os;
use crate::model::id::{DeviceId, RunId, StepId};
use crate::model::remote::RemoteText;
use crate::model::row::StoredFile;
use crate::text::json;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

pub(super) const DEVICE: &str = "data/device.json";
pub(super) const OUTCOME: &str = "data/outcome.json";
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
    /// The bag's own directory, the same before and after it is published.
    pub(super) name: Box<str>,
    pub(super) known: Arc<Known>,
    pub(super) contents: Mutex<Contents>,
    /// Held while something is made durable: who finds nothing to do must not be ahead of who does it.
    pub(super) syncing: Mutex<()>,
}

/// A line of the index.
#[derive(Serialize, Deserialize)]
pub(super) struct Line<File> {
    #[serde(flatten)]
    pub(super) file: File,
    /// The path that the file is filed under, where it is not the one that it was fetched from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) filed_as: Option<RemoteText>,
}

pub(super) struct Contents {
    /// Finished files by their path from the bag's root, in the order of the manifest.
    pub(super) files: BTreeMap<String, Digest>,
    /// Every directory that was made, from the bag's root.
    pub(super) directories: BTreeSet<String>,
    pub(super) index: HashedFile,
    pub(super) transcript: HashedFile,
    pub(super) paths: PathMap,
    /// What the versions of an original hold and where they lie, by the way in which they do.
    pub(super) places: HashMap<(RemoteText, Way), Vec<(Digest, String)>>,
    /// Under which path what lies at a place is filed, until the index has its line.
    pub(super) unlisted: HashMap<String, RemoteText>,
    /// Files begun, to name the next.
    pub(super) parts: u64,
    /// Directories with names that may lie in the operating system's memory only.
    pub(super) dirty: BTreeSet<PathBuf>,
    /// A sync failed. What it should have kept may be gone, however the next one ends.
    pub(super) is_lost: bool,
}

impl Bag {
    /// Starts the bag `name`, of which there is no other in the run.
    pub(super) fn start(
        run_path: &Path,
        run: &RunId,
        name: &str,
        device: DeviceId,
        known: &Arc<Known>,
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
            unlisted: HashMap::new(),
            parts: 0,
            dirty: new_names(run_path, &root),
            is_lost: false,
        };
        Self::with(run_path, run, name, device, known, contents)
    }

    /// The bag `name` under construction, which holds this.
    pub(super) fn with(
        run_path: &Path,
        run: &RunId,
        name: &str,
        device: DeviceId,
        known: &Arc<Known>,
        contents: Contents,
    ) -> Result<Self, DiskError> {
        Ok(Self {
            run: run.clone(),
            run_path: run_path.to_owned(),
            device,
            destination: format!("devices/{name}"),
            shared: Arc::new(Shared {
                root: disk::beneath(run_path, &format!("work/{name}"))?,
                name: name.into(),
                known: Arc::clone(known),
                contents: Mutex::new(contents),
                syncing: Mutex::default(),
            }),
        })
    }

    /// A place for the bytes of an endpoint's file. Nothing remains of a sink that is dropped unfinished.
    pub fn file(&self, original: &RemoteText, os: Os) -> Result<FileSink, DiskError> {
        FileSink::plain(&self.shared, original, os)
    }

    /// The same for what a scanner may take away: it goes into a zip with the usual password as it comes.
    pub fn sample(&self, original: &RemoteText, os: Os) -> Result<FileSink, DiskError> {
        FileSink::zipped(&self.shared, original, os)
    }

    /// Adds a line to the index of stored files.
    pub fn index(&self, file: &StoredFile) -> Result<(), DiskError> {
        let mut contents = self.shared.lock();
        let filed_as = contents.unlisted.remove(&file.stored_path);
        let filed_as = filed_as.filter(|original| *original != file.original_path);
        let line = json::line(&Line { file, filed_as });
        append(&mut contents.index, line)
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
        self.shared.document(OUTCOME, outcome)
    }

    /// The result of the step with this number in the playbook, counted from 1.
    pub fn step(
        &self,
        ordinal: usize,
        step: &StepId,
        result: &impl Serialize,
    ) -> Result<(), DiskError> {
        self.shared.document(&step_file(ordinal, step), result)?;
        // Whoever is told that the step has ended may count on what it brought.
        self.shared.sync(&[Part::Index])
    }

    /// The bytes of a step's file, if the bag has it.
    pub fn read_step(&self, ordinal: usize, step: &StepId) -> Result<Option<Vec<u8>>, DiskError> {
        self.read(&step_file(ordinal, step))
    }

    /// How the device ended, as far as that was told before.
    pub fn read_outcome(&self) -> Result<Option<Vec<u8>>, DiskError> {
        self.read(OUTCOME)
    }

    fn read(&self, relative: &str) -> Result<Option<Vec<u8>>, DiskError> {
        if !self.shared.lock().files.contains_key(relative) {
            return Ok(None);
        }
        disk::read_beneath(&self.shared.root, relative)
    }

    /// Makes durable what came so far: every file that has its place, the index and the transcript.
    pub fn sync(&self) -> Result<(), DiskError> {
        self.shared.sync(&[Part::Index, Part::Transcript])
    }
}

/// What grows line by line.
#[derive(Clone, Copy)]
enum Part {
    Index,
    Transcript,
}

/// Where the result of a step lies, from the bag's root.
pub(super) fn step_file(ordinal: usize, step: &StepId) -> String {
    let name = path::component(format!("{ordinal:02}-{step}.json").as_bytes());
    format!("data/steps/{name}")
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents
            .lock()
            .expect("nobody panics while holding it")
    }

    fn sync(&self, parts: &[Part]) -> Result<(), DiskError> {
        let _turn = self.syncing.lock().expect("nobody panics while holding it");
        let mut contents = self.lock();
        contents.check()?;
        let mut files = Vec::new();
        for part in parts {
            let part = match part {
                Part::Index => &mut contents.index,
                Part::Transcript => &mut contents.transcript,
            };
            let path = part.path().to_owned();
            files.extend(part.unsynced()?.map(|file| (file, path)));
        }
        let directories = std::mem::take(&mut contents.dirty);
        drop(contents);
        // Not under the lock: others go on while the disk works.
        let mut synced = Ok(());
        for (file, path) in files {
            synced = synced.and_then(|()| file.sync_all().at("syncing", &path));
        }
        // In reverse order a directory comes before the one that it lies in.
        for directory in directories.iter().rev() {
            synced = synced.and_then(|()| disk::sync_dir(directory));
        }
        self.lock().is_lost |= synced.is_err();
        synced
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
    pub(super) fn next_part(&self) -> Result<PathBuf, DiskError> {
        let mut contents = self.lock();
        contents.parts += 1;
        disk::beneath(&self.root, &format!("{}.part", contents.parts))
    }
}

impl Contents {
    /// The path of a file to be, in directories that exist.
    pub(super) fn make_place(&mut self, root: &Path, relative: &str) -> Result<PathBuf, DiskError> {
        let place = disk::beneath(root, relative)?;
        let mut parent = root.to_owned();
        for directory in path::directories(relative) {
            let path = disk::beneath(root, directory)?;
            if !self.directories.contains(directory) {
                disk::create_dir(&path)?;
                self.directories.insert(directory.to_owned());
                self.dirty.insert(parent);
            }
            parent = path;
        }
        self.dirty.insert(parent);
        Ok(place)
    }

    /// Refuses to go on after something was lost.
    pub(super) fn check(&self) -> Result<(), DiskError> {
        if self.is_lost {
            let lost = io::Error::other("an earlier sync failed, and what it was for may be gone");
            return Err(lost).at("syncing", self.index.path());
        }
        Ok(())
    }
}

/// Where the names of a bag that is new lie.
pub(super) fn new_names(run_path: &Path, root: &Path) -> BTreeSet<PathBuf> {
    BTreeSet::from([run_path.join("work"), root.to_owned(), root.join("data")])
}

fn append(file: &mut HashedFile, mut line: String) -> Result<(), DiskError> {
    line.push('\n');
    file.write(line.as_bytes()).at("writing", file.path())
}
