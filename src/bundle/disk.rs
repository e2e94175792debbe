//! The only raw file operations of `bundle`: exclusive, private to the owner, synced, never replacing.
//!
//! No policy here: which names exist and in which order things become durable is decided above.

use super::lock::Holder;
use crate::model::outcome::Cause;
use crate::text::escape::Escaped;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Why something could not be put on disk, or not there.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("{operation} `{}`: {source}", shown(path))]
    Io {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("`{}` is in use by another process{}", shown(path), known_of(holder.as_ref()))]
    InUse {
        path: PathBuf,
        /// Where it can be told.
        holder: Option<Holder>,
    },
    /// Only names of our own alphabet become paths.
    #[error("`{}` cannot be the name of a file here", Escaped(name))]
    BadName { name: String },
    #[error("`{}` still has a file that is being received", shown(path))]
    Receiving { path: PathBuf },
    #[error("`{}` has no device.json yet", shown(path))]
    NoDevice { path: PathBuf },
    /// Evidence is never mended after it was sealed.
    #[error(
        "`{}` is not what was sealed: {what}; nothing in it was changed, compare it with a copy",
        shown(path)
    )]
    Changed { path: PathBuf, what: String },
    #[error(
        "`{}` is a bag that the run's journal does not know of; move it out of the run directory",
        shown(path)
    )]
    Unknown { path: PathBuf },
    #[error(
        "`{}` is no directory of ours; move it out of the run directory",
        shown(path)
    )]
    NotADirectory { path: PathBuf },
}

impl From<DiskError> for Cause {
    fn from(error: DiskError) -> Self {
        Self::Disk {
            detail: error.to_string(),
        }
    }
}

fn shown(path: &Path) -> String {
    Escaped(&path.to_string_lossy()).to_string()
}

fn known_of(holder: Option<&Holder>) -> String {
    match holder {
        None => String::new(),
        Some(Holder { pid, host, .. }) => {
            let host = host.as_ref().map(|host| format!(" on {}", Escaped(host)));
            format!(": {pid}{}", host.unwrap_or_default())
        }
    }
}

/// Names the operation and the path of an IO error.
pub(super) trait At<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T, DiskError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T, DiskError> {
        self.map_err(|source| DiskError::Io {
            operation,
            path: path.to_owned(),
            source,
        })
    }
}

/// `relative` below `root`, or a refusal: parts of our own alphabet, none empty, none of dots alone.
pub(super) fn beneath(root: &Path, relative: &str) -> Result<PathBuf, DiskError> {
    let plain = |part: &str| {
        part.bytes().all(|b| b == b'=' || super::path::is_plain(b))
            && !part.trim_matches('.').is_empty()
    };
    if !relative.split('/').all(plain) {
        return Err(DiskError::BadName {
            name: relative.to_owned(),
        });
    }
    // Part by part, so that Windows gets its own separators.
    Ok(relative.split('/').fold(root.to_owned(), |mut path, part| {
        path.push(part);
        path
    }))
}

/// Opens a regular file below `root` that is there already; no link on the way there is followed.
pub(super) fn open_beneath(
    root: &Path,
    relative: &str,
    options: &OpenOptions,
) -> Result<Option<File>, DiskError> {
    let path = beneath(root, relative)?;
    for directory in super::path::directories(relative) {
        if !is_directory(&beneath(root, directory)?)? {
            return Ok(None);
        }
    }
    let Some(found) = looked_at(&path)?.filter(fs::Metadata::is_file) else {
        return Ok(None);
    };
    let file = options.open(&path).at("opening", &path)?;
    // It may have been replaced by a link meanwhile.
    let opened = file.metadata().at("looking at", &path)?;
    Ok(Some(file).filter(|_| is_same(&found, &opened)))
}

#[cfg(unix)]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_: &fs::Metadata, other: &fs::Metadata) -> bool {
    other.is_file()
}

/// What a file below `root` holds, as [`open_beneath`] finds it.
pub(super) fn read_beneath(root: &Path, relative: &str) -> Result<Option<Vec<u8>>, DiskError> {
    let Some(mut file) = open_beneath(root, relative, OpenOptions::new().read(true))? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    let path = beneath(root, relative)?;
    file.read_to_end(&mut bytes).at("reading", &path)?;
    Ok(Some(bytes))
}

/// Whether a directory, and no link to one, lies there.
pub(super) fn is_directory(path: &Path) -> Result<bool, DiskError> {
    Ok(looked_at(path)?.is_some_and(|found| found.is_dir()))
}

/// What lies there by itself, if anything does.
pub(super) fn looked_at(path: &Path) -> Result<Option<fs::Metadata>, DiskError> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("looking at", path),
    }
}

/// Takes away what is no evidence, whatever it is; links are not followed.
#[expect(clippy::disallowed_methods, reason = "this is the place that may")]
pub(super) fn remove(path: &Path) -> Result<(), DiskError> {
    let removed = if is_directory(path)? {
        fs::remove_dir_all(path)
    } else {
        // Windows has links that count as directories.
        fs::remove_file(path).or_else(|error| fs::remove_dir(path).map_err(|_| error))
    };
    removed.at("removing", path)
}

/// A new file, readable by its owner alone. Fails if anything has that name, a dangling link too.
pub(super) fn create_file(path: &Path) -> Result<File, DiskError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).at("creating", path)
}

/// A new directory, open to its owner alone. Fails if anything has that name.
///
/// A tree whose every directory was made by this function holds no link that leads out of it, as
/// long as nobody with the owner's own rights puts one there.
pub(super) fn create_dir(path: &Path) -> Result<(), DiskError> {
    private_dir().create(path).at("creating", path)
}

/// The directory with all its parents, and those that were missing, deepest first.
pub(super) fn ensure_dir(path: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let made = path
        .ancestors()
        .filter(|dir| !dir.as_os_str().is_empty())
        .take_while(|dir| !dir.exists())
        .map(Path::to_owned)
        .collect::<Vec<_>>();
    private_dir()
        .recursive(true)
        .create(path)
        .at("creating", path)?;
    for directory in &made {
        sync_dir(&directory.join(".."))?;
    }
    Ok(made)
}

fn private_dir() -> DirBuilder {
    #[cfg_attr(
        not(unix),
        expect(unused_mut, reason = "permissions are inherited there")
    )]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Renames to a name that is free.
///
/// Looking and renaming are two calls, since safe std has no single one. What holds regardless of
/// who comes between: a directory never replaces one that has contents (the operating systems
/// refuse that), and files are renamed only inside directories that one process works on.
pub(super) fn rename_new(from: &Path, to: &Path) -> Result<(), DiskError> {
    match to.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => rename_over(from, to),
        Err(error) => Err(error).at("looking at", to),
        Ok(_) => Err(io::Error::from(io::ErrorKind::AlreadyExists)).at("renaming to", to),
    }
}

/// Renames, replacing a file of that name in one step.
#[expect(clippy::disallowed_methods, reason = "this is the place that may")]
pub(super) fn rename_over(from: &Path, to: &Path) -> Result<(), DiskError> {
    fs::rename(from, to).at("renaming to", to)
}

/// A second name, which must be free, for a file of this size; whether it is there now.
pub(super) fn link_new(existing: &Path, size: u64, to: &Path) -> bool {
    let is_that_file = |found: fs::Metadata| found.is_file() && found.len() == size;
    existing.symlink_metadata().is_ok_and(is_that_file) && fs::hard_link(existing, to).is_ok()
}

/// Makes the names in a directory durable. Windows has no such call; its renames are journaled.
pub(super) fn sync_dir(path: &Path) -> Result<(), DiskError> {
    if cfg!(windows) {
        return Ok(());
    }
    match File::open(path).and_then(|dir| dir.sync_all()) {
        // The documented answer of file systems that cannot sync a directory by itself.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result.at("syncing", path),
    }
}

/// Removes a file of ours as well as it can: this runs where an error is already being reported.
#[expect(clippy::disallowed_methods, reason = "this is the place that may")]
pub(super) fn discard_file(path: &Path) {
    // What cannot be removed stays visible by its name, which is never that of a finished file.
    fs::remove_file(path).ok();
}

/// As [`discard_file`], for a directory of ours with all it holds; links are not followed.
#[expect(clippy::disallowed_methods, reason = "this is the place that may")]
pub(super) fn discard_tree(path: &Path) {
    fs::remove_dir_all(path).ok();
}

/// Removes those of the directories that are empty, in the order given.
pub(super) fn discard_empty(directories: &[PathBuf]) {
    for directory in directories {
        fs::remove_dir(directory).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_lie_beneath() {
        let root = Path::new("bag");
        for good in ["a", "data/files/C/$MFT", "data/=2E=2E/a b", ".bashrc"] {
            assert!(beneath(root, good).is_ok(), "{good}");
        }
        for bad in [
            "", "/etc", "a//b", "../x", "a/..", "a/.", "a\\b", "a:b", "a\n", "é",
        ] {
            assert!(beneath(root, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nothing_is_replaced_and_errors_name_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        create_file(&a).unwrap();
        create_file(&b).unwrap();
        let error = rename_new(&a, &b).unwrap_err();
        assert!(error.to_string().starts_with("renaming to `"), "{error}");
        assert!(error.to_string().contains("/b`: "), "{error}");
        assert!(create_dir(&a).is_err());
        let Cause::Disk { detail } = Cause::from(error) else {
            panic!("is a disk's cause");
        };
        assert!(detail.contains("/b`"), "{detail}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_made_is_private_and_follows_no_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        create_file(&dir.path().join("file")).unwrap();
        create_dir(&dir.path().join("dir")).unwrap();
        assert_eq!(mode(&dir.path().join("file")), 0o600);
        assert_eq!(mode(&dir.path().join("dir")), 0o700);

        symlink("elsewhere", dir.path().join("link")).unwrap();
        assert!(create_file(&dir.path().join("link")).is_err());
        assert!(create_dir(&dir.path().join("link")).is_err());
        assert!(rename_new(&dir.path().join("file"), &dir.path().join("link")).is_err());
        assert!(!dir.path().join("elsewhere").exists());
    }
}
