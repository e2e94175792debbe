//! A directory for what nobody keeps; it is gone when it is dropped.

use super::disk::{self, DiskError};
use crate::clock;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty directory of our own, where the system keeps what is temporary.
    pub fn begin() -> Result<Self, DiskError> {
        let path = std::env::temp_dir().join(format!("sortie-{}", clock::nonce(12)));
        disk::create_dir(&path).map(|()| Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        disk::discard_tree(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_all_it_holds() {
        let scratch = Scratch::begin().expect("there is room");
        let path = scratch.path().to_owned();
        disk::create_dir(&path.join("inside")).expect("it is ours");
        drop(scratch);
        assert!(!path.exists());
    }
}
