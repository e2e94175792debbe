//! Who may use whom: a module uses rows below its own, never its own row, never above.

use crate::repository::{self, lines_of_code};
use std::path::Path;

/// The rows of `src/lib.rs`, lowest first.
const ROWS: [&[&str]; 11] = [
    &["text", "secret", "clock"],
    &["model", "config"],
    &["template", "live", "wire"],
    &["step", "target"],
    &["playbook"],
    &["plan"],
    &["bundle"],
    &["ledger"],
    &["run"],
    &["report", "ui", "api", "sim"],
    &["cli"],
];

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// The names below the crate's root that a file uses, with the lines that do.
fn uses(path: &str, text: &str) -> Vec<(usize, String)> {
    let depth = Path::new(path).components().count() - usize::from(path.ends_with("/mod.rs"));
    let climb = "super::".repeat(depth);
    let mut found = Vec::new();
    let code = lines_of_code(text);
    for start in ["crate::", climb.as_str()] {
        for (at, _) in code.match_indices(start) {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            if code[..at].ends_with(word) {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            let names = names(&code[at + start.len()..]);
            found.extend(names.into_iter().map(|name| (line, name)));
        }
    }
    found
}

/// The first name of a path, or those of the group that it begins with.
fn names(rest: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![name(rest)];
    };
    let mut names = Vec::new();
    let (mut depth, mut begins) = (0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                names.push(name(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

#[test]
fn modules_use_rows_below_their_own_only() {
    let mut wrong = Vec::new();
    for (path, text) in repository::files("src", "rs") {
        let inside = path.strip_prefix("src/").expect("it was found there");
        let module = inside.split(['/', '.']).next().unwrap_or_default();
        if matches!(module, "lib" | "main") {
            continue;
        }
        let Some(mine) = row(module) else {
            wrong.push(format!(
                "{path}: `{module}` is in no row; add it to ROWS and to src/ARCHITECTURE.md"
            ));
            continue;
        };
        for (line, used) in uses(inside, &text) {
            // What is no module of the root was reached from an inner module.
            if used == module || row(&used).is_none_or(|other| other < mine) {
                continue;
            }
            wrong.push(format!(
                "{path}:{line}: {module} → {used} is forbidden; what both need belongs into a row below"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_crate_lists_its_modules_by_row() {
    let text = repository::read("src/lib.rs");
    let rows: Vec<Option<usize>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(row)
        .collect();
    assert!(
        rows.is_sorted() && !rows.contains(&None),
        "src/lib.rs lists modules lowest row first, and all are in ROWS: {rows:?}"
    );
}

#[test]
fn every_form_of_use_is_seen() {
    let text = "use crate::{api::Fleet, sim};\n// crate::ui\nuse super::super::report;\nfn f() { crate::cli::main() }\nuse my_crate::x;\n";
    let mut found = uses("run/job.rs", text);
    found.sort();
    let expected = [(1, "api"), (1, "sim"), (3, "report"), (4, "cli")];
    assert_eq!(found, expected.map(|(line, name)| (line, name.to_owned())));
    assert_eq!(uses("run/mod.rs", "use super::text;"), [(1, "text".into())]);
    assert_eq!(uses("run/job.rs", "use super::text;"), []);
}
