//! Paths as a simulated endpoint reads them: into parts, absolute, without dots.

use super::code::Code;
use super::layered::Place;
use crate::model::device::Os;

/// A path taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// From the drive (Windows) or from below the root; as written, not folded.
    pub parts: Vec<String>,
    /// It ended in a separator.
    pub lists: bool,
}

/// What two spellings of one name have in common.
pub(super) fn fold(os: Os, name: &str) -> String {
    if os == Os::Windows {
        name.to_lowercase()
    } else {
        name.to_owned()
    }
}

/// Takes a path apart; a relative one stands below `cwd`. Wildcards are legal in the last part only.
pub(super) fn locate(os: Os, text: &str, cwd: &str) -> Result<Located, Code> {
    let text = text.strip_prefix(r"\\?\").unwrap_or(text);
    if text.is_empty() || text.contains('\0') {
        return Err(Code::INVALID_NAME);
    }
    let is_separator = |c: char| c == '/' || (os == Os::Windows && c == '\\');
    let mut parts: Vec<String> = start(os, text, cwd)?;
    for part in text.split(is_separator) {
        match part {
            "" | "." => {}
            ".." => {
                // There is nothing above a drive or the root.
                if parts.len() > usize::from(os == Os::Windows) {
                    parts.pop();
                }
            }
            part => parts.push(part.to_owned()),
        }
    }
    if os == Os::Windows {
        check_names(&parts)?;
    }
    Ok(Located {
        lists: text.ends_with(is_separator),
        parts,
    })
}

/// What stands before a path that does not begin at the top.
fn start(os: Os, text: &str, cwd: &str) -> Result<Vec<String>, Code> {
    let below = |path: &str| -> Vec<String> {
        path.split(['\\', '/'])
            .filter(|p| !p.is_empty())
            .map(str::to_owned)
            .collect()
    };
    if os != Os::Windows {
        return Ok(if text.starts_with('/') {
            Vec::new()
        } else {
            below(cwd)
        });
    }
    if text.starts_with(r"\\") {
        // Shares of other hosts do not exist here.
        return Err(Code::PATH_NOT_FOUND);
    }
    if text.as_bytes().get(1) == Some(&b':') {
        return Ok(Vec::new());
    }
    let mut cwd = below(cwd);
    if text.starts_with(['\\', '/']) {
        cwd.truncate(1);
    }
    Ok(cwd)
}

fn check_names(parts: &[String]) -> Result<(), Code> {
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        let is_drive = index == 0;
        let illegal = part.chars().any(|c| match c {
            '<' | '>' | '|' | '"' | '\0'..='\u{1f}' => true,
            ':' => !is_drive,
            '*' | '?' => !is_last,
            _ => false,
        });
        if illegal {
            return Err(Code::INVALID_NAME);
        }
    }
    Ok(())
}

/// The key of a path's folder: what its children have as `parent`.
pub(super) fn folder_key(os: Os, parts: &[String]) -> String {
    fold(os, &parts.join(&os.separator().to_string()))
}

/// The key of what the path names; none for the root itself.
pub(super) fn place(os: Os, parts: &[String]) -> Option<Place> {
    let (name, parent) = parts.split_last()?;
    Some(Place {
        parent: folder_key(os, parent).into(),
        name: fold(os, name).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let cwd = r"C:\Windows\system32";
        let table = [
            (r"C:\Users\", Ok(("C:|Users", true))),
            ("C:/Users/x", Ok(("C:|Users|x", false))),
            (r"\\?\C:\a", Ok(("C:|a", false))),
            (
                r"drivers\etc\hosts",
                Ok(("C:|Windows|system32|drivers|etc|hosts", false)),
            ),
            (r"\Temp", Ok(("C:|Temp", false))),
            (r"C:\a\..\..\..\b\.\c", Ok(("C:|b|c", false))),
            (r"C:\a\*.txt", Ok(("C:|a|*.txt", false))),
            (r"C:\*\a", Err(Code::INVALID_NAME)),
            (r"C:\a:stream", Err(Code::INVALID_NAME)),
            (r"\\server\share", Err(Code::PATH_NOT_FOUND)),
        ];
        for (text, expected) in table {
            let got = locate(Os::Windows, text, cwd).map(|l| (l.parts.join("|"), l.lists));
            assert_eq!(got, expected.map(|(p, l)| (p.to_owned(), l)), "{text}");
        }
        let unix = locate(Os::Linux, "/var/../etc/", "/").expect("legal");
        assert_eq!((unix.parts.join("|"), unix.lists), ("etc".into(), true));
    }
}
