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
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    /// The bag's own directory, the same before and after it is published.
    pub(super) name: Box<str>,
    pub(super) known: Arc<Known>,
    pub(super) contents: Mutex<Contents>,
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
    /// Files begun, to name the next.
    parts: u64,
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
            parts: 0,
        };
        Ok(Self {
            run: run.clone(),
            run_path: run_path.to_owned(),
            device,
            destination: format!("devices/{name}"),
            shared: Arc::new(Shared {
                root,
                name: name.into(),
                known: Arc::clone(known),
                contents: Mutex::new(contents),
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
    pub(super) fn lock(&self) -> MutexGuard<'_, Contents> {
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
        for directory in path::directories(relative) {
            if !self.directories.contains(directory) {
                disk::create_dir(&disk::beneath(root, directory)?)?;
                self.directories.insert(directory.to_owned());
            }
        }
        Ok(place)
    }
}

fn append(file: &mut HashedFile, mut line: String) -> Result<(), DiskError> {
    line.push('\n');
    file.write(line.as_bytes()).at("writing", file.path())
}
