//! The files that a playbook may use, or send: those below one folder, and no way out of it.

use super::load;
use crate::plan::assets::MAX_TOTAL;
use crate::playbook::used::Unavailable;
use crate::text::yaml::MAX_BYTES;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The name of the folder that libraries are kept in.
const LIBRARY: &str = "playbooks";

/// Gives the playbooks that the playbook at this path may use.
pub(super) fn beside(playbook: &Path) -> impl Fn(&str) -> Result<Vec<u8>, Unavailable> + use<> {
    below(playbook, MAX_BYTES)
}

/// Gives the files that the playbook at this path may send.
pub(super) fn to_send(playbook: &Path) -> impl Fn(&str) -> Result<Vec<u8>, Unavailable> + use<> {
    below(playbook, MAX_TOTAL)
}

fn below(playbook: &Path, most: usize) -> impl Fn(&str) -> Result<Vec<u8>, Unavailable> + use<> {
    let folder = match playbook.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    move |path| read(&folder, path, most)
}

fn read(folder: &Path, path: &str, most: usize) -> Result<Vec<u8>, Unavailable> {
    let whole = |path: &Path| path.canonicalize().map_err(|error| why(&error));
    let folder = whole(folder)?;
    let root = folder
        .ancestors()
        .find(|above| above.file_name().is_some_and(|name| name == LIBRARY))
        .unwrap_or(&folder);
    // Before anything is looked at: what lies outside is nobody's business.
    let up = path.split('/').take_while(|part| *part == "..").count();
    if up
        >= folder
            .ancestors()
            .take_while(|above| above.starts_with(root))
            .count()
    {
        return Err(Unavailable::Outside);
    }
    // Where all links lead is what counts.
    let file = whole(&folder.join(path))?;
    if !file.starts_with(root) {
        return Err(Unavailable::Outside);
    }
    // A pipe would be waited for.
    if !file.is_file() {
        return Err(Unavailable::NotAFile);
    }
    load::bytes(&file, most).map_err(|error| why(&error))
}

fn why(error: &std::io::Error) -> Unavailable {
    match error.kind() {
        ErrorKind::NotFound => Unavailable::Missing,
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => Unavailable::NotAFile,
        _ => Unavailable::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test makes its own files in its own temporary directory"
)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn nothing_leads_out() {
        let home = tempfile::tempdir().unwrap();
        let at = |path: &str| home.path().join(path);
        for folder in ["playbooks/windows", "playbooks/any", "elsewhere"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for file in [
            "outer.yaml",
            "playbooks/any/a.yaml",
            "elsewhere/b.yaml",
            "elsewhere/c.yaml",
        ] {
            fs::write(at(file), file).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(at("outer.yaml"), at("playbooks/any/link.yaml")).unwrap();
        let table = [
            ("playbooks/windows/x.yaml", "../any/a.yaml", None),
            (
                "playbooks/windows/x.yaml",
                "../any/b.yaml",
                Some(Unavailable::Missing),
            ),
            (
                "playbooks/windows/x.yaml",
                "../any",
                Some(Unavailable::NotAFile),
            ),
            (
                "playbooks/windows/x.yaml",
                "../any/a.yaml/c",
                Some(Unavailable::NotAFile),
            ),
            (
                "playbooks/windows/x.yaml",
                "../../outer.yaml",
                Some(Unavailable::Outside),
            ),
            #[cfg(unix)]
            (
                "playbooks/windows/x.yaml",
                "../any/link.yaml",
                Some(Unavailable::Outside),
            ),
            ("playbooks/x.yaml", "any/a.yaml", None),
            ("elsewhere/b.yaml", "c.yaml", None),
            (
                "elsewhere/b.yaml",
                "../outer.yaml",
                Some(Unavailable::Outside),
            ),
        ];
        for (playbook, path, expected) in table {
            let found = beside(&at(playbook))(path);
            assert_eq!(found.err(), expected, "{playbook} {path}");
        }
    }
}
