//! A device belongs to one run of ours at a time, as far as this machine can tell.
//!
//! A file per device below the user's state directory; what counts is the operating system's lock on it, and
//! the file stays.

use super::disk::{self, At, DiskError};
use super::hashed::Digest;
use super::lock;
use crate::clock;
use crate::model::id::DeviceId;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Where leases lie.
#[derive(Debug, Clone)]
pub struct Leases {
    dir: PathBuf,
}

/// The right to a device, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lease {
    _lock: File,
}

impl Leases {
    /// Below the user's state directory, which is made if it is missing, and can be written.
    pub fn at(state: &Path) -> Result<Self, DiskError> {
        disk::ensure_dir(state)?;
        let sortie = directory(state, "sortie")?;
        let dir = directory(&sortie, "leases")?;
        let trial = dir.join(format!(".probe-{}", clock::nonce(8)));
        disk::create_file(&trial)?;
        disk::discard_file(&trial);
        Ok(Self { dir })
    }

    /// The lease on a device; none while another holds it.
    pub fn take(&self, organisation: &str, device: DeviceId) -> Result<Option<Lease>, DiskError> {
        let hash = Digest::of(organisation.as_bytes()).sha256;
        let dir = directory(&self.dir, &hash[..16])?;
        let name = format!("{device}.lock");
        let path = disk::beneath(&dir, &name)?;
        let file = match disk::create_file(&path) {
            Ok(file) => file,
            Err(error) => {
                disk::open_beneath(&dir, &name, OpenOptions::new().write(true))?.ok_or(error)?
            }
        };
        let is_ours = lock::try_lock(&file, &path)?;
        Ok(is_ours.then_some(Lease { _lock: file }))
    }
}

/// A directory of ours in another, where no link is one.
fn directory(parent: &Path, name: &str) -> Result<PathBuf, DiskError> {
    let path = disk::beneath(parent, name)?;
    // Another process may have made it meanwhile.
    let made = disk::create_dir(&path);
    if disk::is_directory(&path)? {
        return Ok(path);
    }
    made?;
    Err(io::Error::from(io::ErrorKind::NotADirectory)).at("opening", &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_leased_once_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/state");
        let (one, other) = (Leases::at(&state).unwrap(), Leases::at(&state).unwrap());
        let device = DeviceId(7);
        let held = one.take("ORG", device).unwrap().unwrap();
        assert!(other.take("ORG", device).unwrap().is_none());
        assert!(other.take("ORG", DeviceId(8)).unwrap().is_some());
        assert!(other.take("../OTHER\n", device).unwrap().is_some());
        drop(held);
        assert!(other.take("ORG", device).unwrap().is_some());
        let leases = state.join("sortie/leases");
        let hash = Digest::of(b"ORG").sha256;
        let file = leases.join(&hash[..16]).join("7.lock");
        assert!(file.is_file(), "it stays");
        assert_eq!(std::fs::read_dir(&leases).unwrap().count(), 2);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&file), mode(&leases)), (0o600, 0o700));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_no_lease() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::at(&dir.path().join("state")).unwrap();
        let outside = dir.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        let place = leases.dir.join(&Digest::of(b"ORG").sha256[..16]);
        symlink(&outside, &place).unwrap();
        assert!(leases.take("ORG", DeviceId(7)).is_err());
        disk::remove(&place).unwrap();
        leases.take("ORG", DeviceId(7)).unwrap();
        symlink(outside.join("x"), place.join("8.lock")).unwrap();
        assert!(leases.take("ORG", DeviceId(8)).is_err());
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);

        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(Leases::at(&dir.path().join("file")).is_err());
    }
}
