//! From command line to suites: which playbooks, the cases beside them, and every mistake in either before
//! anything is run.

use super::super::Failure;
use super::super::exit::Exit;
use super::super::output::Output;
use super::super::{library, load};
use super::case::{self, Case};
use crate::playbook::Playbook;
use crate::text::diagnostic::Diagnostics;
use crate::text::escape::Escaped;
use crate::text::source::Source;
use crate::text::words::Count;
use crate::text::yaml;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CASES: &str = ".test.yaml";
const PLAYBOOK: &str = ".yaml";
/// Folders within folders; a link that leads back to its own folder ends there too.
const DEEPEST: usize = 16;

/// A playbook with its cases.
pub(super) struct Suite {
    pub(super) playbook: Arc<Playbook>,
    /// The file of the cases.
    pub(super) source: Source,
    pub(super) cases: Vec<Case>,
}

/// All suites, if there are any and nothing is wrong with one of them.
pub(super) fn load(paths: &[PathBuf], output: &Output) -> Result<Vec<Suite>, Failure> {
    let mut playbooks = Vec::new();
    for path in paths {
        if path.is_dir() {
            below(path, DEEPEST, &mut playbooks)?;
        } else {
            playbooks.push(playbook_of(path));
        }
    }
    let mut seen = Vec::new();
    let (mut suites, mut wrong) = (Vec::new(), 0);
    for path in playbooks {
        if seen.contains(&path) {
            continue;
        }
        let name = path.display().to_string();
        match cases_of(&path).filter(|cases| cases.exists()) {
            None if !path.exists() => {
                load::read(&path)?;
            }
            None => Output::say(&format!(
                "{}: has no cases: there is no {} beside it",
                Escaped(&name),
                Escaped(&name_of_cases(&path))
            )),
            Some(cases) => match suite(&path, &cases, output) {
                Ok(suite) => suites.push(suite),
                Err(failure) => {
                    failure.report();
                    wrong += 1;
                }
            },
        }
        seen.push(path);
    }
    if wrong > 0 {
        let files = Count(wrong, "playbook");
        return Err(Failure::new(
            Exit::Usage,
            format!("{files} cannot be tested; nothing was run"),
        ));
    }
    if suites.is_empty() {
        return Err(Failure::new(Exit::Usage, "there is nothing to test")
            .hint("the cases of NAME.yaml are in NAME.test.yaml beside it"));
    }
    Ok(suites)
}

/// The playbooks of a folder: what has cases, and what says that it is one.
fn below(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| {
        let name = folder.display().to_string();
        Failure::new(
            Exit::Usage,
            format!("cannot read {}: {error}", Escaped(&name)),
        )
    };
    let mut paths = Vec::new();
    for entry in folder.read_dir().map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.to_string_lossy();
        if path.is_dir() {
            if depth > 0 {
                below(&path, depth - 1, found)?;
            }
        } else if name.ends_with(CASES) {
            found.push(playbook_of(&path));
        } else if name.ends_with(PLAYBOOK) && says_that_it_is_one(&load::read(&path)?) {
            found.push(path);
        }
    }
    Ok(())
}

fn says_that_it_is_one(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"sortie:"))
}

/// Whoever names the cases means their playbook.
fn playbook_of(path: &Path) -> PathBuf {
    match path.to_string_lossy().strip_suffix(CASES) {
        Some(stem) => PathBuf::from(format!("{stem}{PLAYBOOK}")),
        None => path.to_owned(),
    }
}

fn cases_of(path: &Path) -> Option<PathBuf> {
    path.file_stem()?;
    Some(path.with_extension(CASES.trim_start_matches('.')))
}

fn name_of_cases(path: &Path) -> String {
    let cases = cases_of(path).unwrap_or_default();
    cases
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn suite(path: &Path, cases: &Path, output: &Output) -> Result<Suite, Failure> {
    let name = path.display().to_string();
    let playbook = load::playbook(&name, &load::read(path)?, &library::beside(path), output)?;
    load::refuse_not_built(&playbook.not_built(), &playbook.source, output)?;
    load::refuse_not_built(&playbook.targets.not_built, &playbook.source, output)?;
    let name = cases.display().to_string();
    let mut all = Diagnostics::new();
    let (source, node) = yaml::load(name.clone(), &load::read(cases)?, &mut all);
    let read = node.and_then(|node| case::cases(&node, &playbook, &mut all));
    let verdict = load::show(&all.into_vec(), &source, output);
    let Some(mut read) = read.filter(|_| verdict.errors == 0) else {
        let count = Count(verdict.errors, "error");
        let message = format!("{}: {count}", Escaped(&name));
        return Err(Failure::new(Exit::Usage, message));
    };
    for case in &mut read {
        case.stage.open(cases, output)?;
    }
    Ok(Suite {
        playbook,
        source,
        cases: read,
    })
}
