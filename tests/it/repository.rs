//! The files of this repository, for the tests that hold its rules.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Paths and texts of the files below a folder with a suffix; every one if the suffix is empty. Files
/// that are no text are left out, as is a folder that is not there.
pub(crate) fn files(folder: &str, suffix: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&root().join(folder), suffix, &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, suffix: &str, found: &mut Vec<(String, String)>) {
    let Ok(entries) = folder.read_dir() else {
        return;
    };
    for entry in entries {
        let path = entry.expect("the repository can be listed").path();
        if path.is_dir() {
            collect(&path, suffix, found);
        } else if suffix.is_empty() || path.extension().is_some_and(|found| found == suffix) {
            let name = path.strip_prefix(root()).expect("it is below the root");
            let name = name.to_string_lossy().replace('\\', "/");
            if let Ok(text) = fs::read_to_string(&path) {
                found.push((name, text));
            }
        }
    }
}

/// The text with its comment lines emptied, so that lines keep their numbers.
pub(crate) fn lines_of_code(text: &str) -> String {
    text.lines()
        .map(|line| {
            if line.trim_start().starts_with("//") {
                ""
            } else {
                line
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// The blocks between fences of a language in a Markdown text.
pub(crate) fn blocks(text: &str, languages: &[&str]) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some((languages.contains(&language.trim()), String::new()));
            }
            (Some(_), Some(_)) => blocks.extend(
                open.take()
                    .filter(|(wanted, _)| *wanted)
                    .map(|(_, block)| block),
            ),
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}
