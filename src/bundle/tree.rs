//! What lies in a directory and below it, as far as no link leads out of it.

use super::disk::{self, At, DiskError};
use std::fs;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// A link, a pipe, a device.
    Other,
}

/// One thing in the tree.
pub(super) struct Entry<'a> {
    pub(super) path: &'a Path,
    /// From the root, with `/` between the parts; none where one of them is not of our own alphabet.
    pub(super) name: Option<&'a str>,
    pub(super) kind: Kind,
}

/// Shows everything below `root`. A directory is entered only if the visitor says so.
pub(super) fn walk(
    root: &Path,
    visit: &mut dyn FnMut(&Entry<'_>) -> Result<bool, DiskError>,
) -> Result<(), DiskError> {
    let mut open = vec![(root.to_owned(), String::new())];
    while let Some((directory, parent)) = open.pop() {
        for entry in fs::read_dir(&directory).at("listing", &directory)? {
            let entry = entry.at("listing", &directory)?;
            let path = entry.path();
            // Of the entry itself: nothing is followed.
            let found = entry.file_type().at("looking at", &path)?;
            let kind = match (found.is_file(), found.is_dir()) {
                (true, _) => Kind::File,
                (_, true) => Kind::Directory,
                _ => Kind::Other,
            };
            let own = entry.file_name();
            let name = own.to_str().map(|own| match parent.as_str() {
                "" => own.to_owned(),
                parent => format!("{parent}/{own}"),
            });
            let name = name.filter(|name| disk::beneath(root, name).is_ok());
            let shown = Entry {
                path: &path,
                name: name.as_deref(),
                kind,
            };
            if visit(&shown)?
                && kind == Kind::Directory
                && let Some(name) = name
            {
                open.push((path, name));
            }
        }
    }
    Ok(())
}
