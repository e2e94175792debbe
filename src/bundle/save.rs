//! A file that a person asked for by name: it appears whole, in place of an earlier one.

use super::disk::{self, At, DiskError};
use super::hashed;
use crate::clock;
use std::path::Path;

/// Writes `bytes` to `path`, through a file beside it that takes its place.
pub fn save(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let name = path
        .file_name()
        .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::IsADirectory))
        .at("writing", path)?;
    let part = path.with_file_name(format!(
        ".{}.{}.part",
        name.to_string_lossy(),
        clock::nonce(6)
    ));
    let written =
        hashed::write_new(part.clone(), bytes).and_then(|_| disk::rename_over(&part, path));
    written.map_err(|error| {
        disk::discard_file(&part);
        match error {
            // Whoever asked for it knows the file by its own name only.
            DiskError::Io { source, .. } => DiskError::Io {
                operation: "writing",
                path: path.to_owned(),
                source,
            },
            other => other,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_stays_until_the_new_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.json");
        save(&path, b"one").unwrap();
        save(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert!(save(&dir.path().join("missing/plan.json"), b"x").is_err());
        assert!(save(Path::new("/"), b"x").is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
