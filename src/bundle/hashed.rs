//! A new file whose bytes are hashed while they are written.

use super::disk::{self, At, DiskError};
use crate::text::json::hex;
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What a file holds, for manifests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Digest {
    /// Bytes.
    pub(super) size: u64,
    /// Lower-case hex.
    pub(super) sha256: String,
}

impl Digest {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            size: bytes.len() as u64,
            sha256: hex(&Sha256::digest(bytes)),
        }
    }
}

/// A file under construction. Nothing is buffered: what was written survives the process.
pub(super) struct HashedFile {
    file: File,
    path: PathBuf,
    hasher: Sha256,
    size: u64,
    /// Where it starts over: what is known of the bytes before is known for good.
    mark: (Sha256, u64),
    /// A failed write may have left bytes that were never hashed.
    is_torn: bool,
    /// Something may lie in the operating system's memory only.
    is_dirty: bool,
}

impl HashedFile {
    pub(super) fn create(path: PathBuf) -> Result<Self, DiskError> {
        Ok(Self {
            file: disk::create_file(&path)?,
            path,
            hasher: Sha256::new(),
            size: 0,
            mark: (Sha256::new(), 0),
            is_torn: false,
            is_dirty: true,
        })
    }

    /// Makes what was written so far durable and renames the file, in place of what has that name.
    pub(super) fn take_place(&mut self, path: PathBuf) -> Result<(), DiskError> {
        self.file.sync_all().at("syncing", &self.path)?;
        disk::rename_over(&self.path, &path)?;
        self.path = path;
        Ok(())
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.mend()?;
        self.is_dirty = true;
        if let Err(error) = self.file.write_all(bytes) {
            self.is_torn = true;
            return Err(error);
        }
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Goes back to the mark; without one to an empty file.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        (self.hasher, self.size) = self.mark.clone();
        self.is_torn = true;
        self.mend()
    }

    /// What was written so far stays, however often what follows starts over.
    pub(super) fn mark(&mut self) {
        self.mark = (self.hasher.clone(), self.size);
    }

    /// Another handle on it if anything was written since the last one was asked for, to be synced while
    /// others write on.
    pub(super) fn unsynced(&mut self) -> Result<Option<File>, DiskError> {
        if !std::mem::take(&mut self.is_dirty) {
            return Ok(None);
        }
        self.file.try_clone().at("syncing", &self.path).map(Some)
    }

    /// Makes the contents durable; the file keeps its name.
    pub(super) fn finish(&mut self) -> Result<Digest, DiskError> {
        self.mend().at("writing", &self.path)?;
        self.file.sync_all().at("syncing", &self.path)?;
        Ok(Digest {
            size: self.size,
            sha256: hex(&std::mem::take(&mut self.hasher).finalize()),
        })
    }

    fn mend(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.size)?;
            self.file.seek(SeekFrom::Start(self.size))?;
            self.is_torn = false;
        }
        Ok(())
    }
}

/// A new file with these contents, durable but for its name; or none.
pub(super) fn write_new(path: PathBuf, bytes: &[u8]) -> Result<Digest, DiskError> {
    let mut file = HashedFile::create(path)?;
    let written = file.write(bytes).at("writing", &file.path);
    let result = written.and_then(|()| file.finish());
    if result.is_err() {
        disk::discard_file(&file.path);
    }
    result
}

/// Lower-case hex of the SHA-256 of a file's contents, read in pieces.
pub(super) fn hash_file(path: &Path) -> Result<String, DiskError> {
    let file = File::open(path).at("opening", path)?;
    digest_of(file, path).map(|digest| digest.sha256)
}

/// What a file below `root` holds, if it is there; no link is followed.
pub(super) fn digest_beneath(root: &Path, relative: &str) -> Result<Option<Digest>, DiskError> {
    let file = disk::open_beneath(root, relative, OpenOptions::new().read(true))?;
    let path = disk::beneath(root, relative)?;
    file.map(|file| digest_of(file, &path)).transpose()
}

fn digest_of(mut file: File, path: &Path) -> Result<Digest, DiskError> {
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece) {
            Ok(0) => {
                let sha256 = hex(&hasher.finalize());
                return Ok(Digest { size, sha256 });
            }
            Ok(n) => {
                hasher.update(&piece[..n]);
                size += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).at("reading", path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_of_what_the_file_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut file = HashedFile::create(path.clone()).unwrap();
        file.write(b"a first attempt, which was longer").unwrap();
        file.restart().unwrap();
        file.write(b"ab").unwrap();
        // As after a full disk: bytes that the hash does not know.
        file.file.write_all(b"torn").unwrap();
        file.is_torn = true;
        file.write(b"c").unwrap();
        let digest = file.finish().unwrap();

        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        assert_eq!(digest, Digest::of(b"abc"));
        assert_eq!(hash_file(&path).unwrap(), digest.sha256);
        assert_eq!(
            digest.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn it_starts_over_from_its_mark() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut file = HashedFile::create(path.clone()).unwrap();
        for (whole, torn) in [("ab", "a piece that broke"), ("c", "x"), ("", "y")] {
            file.write(torn.as_bytes()).unwrap();
            file.restart().unwrap();
            file.write(whole.as_bytes()).unwrap();
            file.mark();
        }
        file.write(b"and more").unwrap();
        file.restart().unwrap();
        assert_eq!(file.finish().unwrap(), Digest::of(b"abc"));
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
    }
}
