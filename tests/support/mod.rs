//! The machinery of the cases; no expectation is written here.

pub(crate) mod case;
mod program;
mod redact;
mod tree;

use std::path::{Path, PathBuf};

/// The folders in a folder, by name.
pub(crate) fn folders(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = entries(root)
        .into_iter()
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.expect("a folder of ours can be listed").path())
        .collect()
}
