//! What was read of files of ours before they were taken away again: it lies beside a bag until that is
//! sealed, and is no part of it.

use super::disk::{self, At, DiskError};
use super::hashed;
use super::store::{Bag, INDEX};
use crate::model::id::StepId;
use crate::model::row::StoredFile;
use crate::text::json;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;

impl Bag {
    fn aside(&self) -> Result<PathBuf, DiskError> {
        disk::beneath(&self.run_path, &format!("work/{}.kept", self.shared.name))
    }

    /// Keeps what a path on the endpoint held.
    pub fn keep(&self, path: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let aside = self.aside()?;
        if !aside.is_dir() {
            disk::create_dir(&aside)?;
        }
        let file = aside.join(json::hex(&Sha256::digest(path.as_bytes())));
        disk::discard_file(&file);
        hashed::write_new(file, bytes)?;
        disk::sync_dir(&aside)
    }

    /// What was kept of a path.
    pub fn kept(&self, path: &str) -> Option<Vec<u8>> {
        let file = self.aside().ok()?;
        fs::read(file.join(json::hex(&Sha256::digest(path.as_bytes())))).ok()
    }

    /// The files that a step brought before this process, as the index has them.
    pub fn stored(&self, step: &StepId) -> Result<Vec<StoredFile>, DiskError> {
        let index = disk::beneath(&self.shared.root, INDEX)?;
        let text = fs::read(&index).at("reading", &index)?;
        let lines = text.split(|byte| *byte == b'\n');
        let files = lines.filter_map(|line| serde_json::from_slice::<StoredFile>(line).ok());
        Ok(files.filter(|file| file.step_id == *step).collect())
    }

    /// Forgets what was kept.
    pub fn forget(&self) {
        if let Ok(aside) = self.aside() {
            disk::discard_tree(&aside);
        }
    }
}
