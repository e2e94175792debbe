//! Whether a sealed bag is still what was sealed.

use super::bag::{MANIFEST, TAG_MANIFEST};
use super::disk::{self, DiskError};
use super::hashed::{self, Digest};
use super::tree::{self, Kind};
use crate::text::escape::Escaped;
use std::collections::BTreeSet;
use std::path::Path;

/// Compares every file with the manifests, and those with the hash of the tag manifest. What no manifest names
/// is as wrong as what is not there.
pub(super) fn check(root: &Path, seal: &str) -> Result<(), DiskError> {
    let mut known = BTreeSet::from([TAG_MANIFEST.to_owned()]);
    known.extend(listed(root, TAG_MANIFEST, seal)?);
    let own = hashed::digest_beneath(root, MANIFEST)?;
    match own.filter(|_| known.contains(MANIFEST)) {
        Some(own) => known.extend(listed(root, MANIFEST, &own.sha256)?),
        None => return Err(changed(root, "it has no manifest")),
    }
    tree::walk(root, &mut |entry| {
        let is_known = match (entry.name, entry.kind) {
            (Some(_), Kind::Directory) => true,
            (Some(name), Kind::File) => known.contains(name),
            _ => false,
        };
        if !is_known {
            let name = entry.path.strip_prefix(root).unwrap_or(entry.path);
            let name = name.to_string_lossy();
            return Err(changed(
                root,
                &format!("no manifest has `{}`", Escaped(&name)),
            ));
        }
        Ok(true)
    })
}

/// The files that a manifest names, all of which are there and as it says.
fn listed(root: &Path, manifest: &str, sha256: &str) -> Result<Vec<String>, DiskError> {
    let bytes = disk::read_beneath(root, manifest)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    if Digest::of(&bytes).sha256 != sha256 {
        return Err(changed(root, &format!("`{manifest}` is another")));
    }
    let mut names = Vec::new();
    for line in text.lines() {
        let Some((hash, name)) = line.split_once("  ") else {
            return Err(changed(root, &format!("`{manifest}` is none")));
        };
        let found = hashed::digest_beneath(root, name)?;
        if found.is_none_or(|found| found.sha256 != hash) {
            return Err(changed(root, &format!("`{name}` is missing, or another")));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn changed(root: &Path, what: &str) -> DiskError {
    DiskError::Changed {
        path: root.to_owned(),
        what: what.to_owned(),
    }
}
