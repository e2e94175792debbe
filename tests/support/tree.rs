//! What the command lines left in their directory: everything that was not there before.

use super::entries;
use super::redact::Redactor;
use sha2::{Digest, Sha256};
use sortie::text::json::hex;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The entries below a directory, by path.
pub(crate) struct Tree(BTreeMap<String, Entry>);

#[derive(PartialEq)]
enum Entry {
    File(Vec<u8>),
    /// Only empty ones; the others show in the paths of what is in them.
    Folder,
}

impl Tree {
    pub(crate) fn of(root: &Path) -> Self {
        let mut tree = Self(BTreeMap::new());
        tree.add(root, "");
        tree
    }

    fn add(&mut self, folder: &Path, prefix: &str) {
        for path in entries(folder) {
            let name = path.file_name().expect("an entry has a name");
            let name = format!("{prefix}{}", name.to_string_lossy());
            if !path.is_dir() {
                let bytes = fs::read(&path).expect("a file of ours can be read");
                self.0.insert(name, Entry::File(bytes));
            } else if entries(&path).is_empty() {
                self.0.insert(format!("{name}/"), Entry::Folder);
            } else {
                self.add(&path, &format!("{name}/"));
            }
        }
    }

    /// A line for everything that is new, changed or gone.
    pub(crate) fn changes(&self, after: &Self, redactor: &Redactor) -> String {
        let new = after
            .0
            .iter()
            .filter_map(|(name, entry)| match self.0.get(name) {
                Some(before) if before == entry => None,
                Some(_) => Some(format!("changed: {name}\n")),
                None => Some(line(&redactor.text(name), entry)),
            });
        let gone = self.0.keys().filter(|name| !after.0.contains_key(*name));
        let mut lines: Vec<String> = new
            .chain(gone.map(|name| format!("gone: {name}\n")))
            .collect();
        // Names of runs begin with anything, so they are sorted by what stands for them.
        lines.sort();
        lines.concat()
    }
}

/// Evidence has its size and digest; what has times in it has only its name.
fn line(name: &str, entry: &Entry) -> String {
    let evidence = name.contains("/data/files/") || name.ends_with("/playbook.yaml");
    match entry {
        Entry::File(bytes) if evidence => {
            let digest = hex(&Sha256::digest(bytes)[..8]);
            format!("{name}  {} bytes  {digest}\n", bytes.len())
        }
        _ => format!("{name}\n"),
    }
}

/// The one path that a pattern means; `*` is the only entry of its folder.
pub(crate) fn one(root: &Path, pattern: &str) -> Result<PathBuf, String> {
    let mut path = root.to_owned();
    for part in pattern.split('/') {
        if part != "*" {
            path.push(part);
            continue;
        }
        let mut found = entries(&path);
        let (Some(only), true) = (found.pop(), found.is_empty()) else {
            return Err(format!("{pattern}: `*` must stand for exactly one entry"));
        };
        path = only;
    }
    Ok(path)
}
