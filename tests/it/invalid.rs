//! What authors do wrong, and what they are told: `tests/invalid/<slug>[-N].yaml` with the message in
//! `.stderr`, and beside each a twin in `.ok.yaml` of which there is nothing to say.
//!
//! `SORTIE_BLESS=1 cargo test --test it invalid` writes the messages; the diff shows what changed.

use sortie::playbook::check::{Checked, check_with};
use sortie::playbook::used::Unavailable;
use sortie::text::diagnostic::Code;
use sortie::text::render::{Style, render};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const STYLE: Style = Style {
    color: false,
    width: 100,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid")
}

/// The names of the pairs: what stands before `.yaml` where it does not end with `.ok`.
fn names() -> BTreeSet<String> {
    let entries = folder().read_dir().expect("the folder is there");
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry.expect("it can be listed");
        // What the playbooks use is not itself shown.
        if entry.path().is_dir() {
            continue;
        }
        let file = entry.file_name();
        let file = file.to_string_lossy();
        let name = [".ok.yaml", ".yaml", ".stderr"]
            .iter()
            .find_map(|suffix| file.strip_suffix(suffix))
            .unwrap_or_else(|| panic!("tests/invalid/{file} is neither .yaml nor .stderr"));
        names.insert(name.to_owned());
    }
    names
}

/// `trap-3` is about `trap`.
fn slug(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((slug, number)) if number.bytes().all(|b| b.is_ascii_digit()) => slug,
        _ => name,
    }
}

fn read(file: &str) -> Vec<u8> {
    fs::read(folder().join(file)).unwrap_or_else(|error| {
        panic!("tests/invalid/{file}: {error}; every name has .yaml, .ok.yaml and .stderr")
    })
}

/// The playbooks in the folder may use others, which lie in folders below it.
fn checked(file: &str) -> Checked {
    let library = |path: &str| {
        if path.starts_with("..") {
            return Err(Unavailable::Outside);
        }
        fs::read(folder().join(path)).map_err(|_| Unavailable::Missing)
    };
    check_with(file, &read(file), &library)
}

#[test]
fn every_code_is_shown() {
    let names = names();
    let shown: BTreeSet<&str> = names.iter().map(|name| slug(name)).collect();
    for code in Code::ALL {
        assert!(
            shown.contains(code.slug()),
            "add tests/invalid/{code}.yaml, which provokes the diagnostic, and {code}.ok.yaml, which does not"
        );
    }
}

#[test]
fn what_is_wrong_is_told() {
    let mut wrong = Vec::new();
    for name in names() {
        let file = format!("{name}.yaml");
        let checked = checked(&file);
        for diagnostic in &checked.diagnostics {
            if diagnostic.code.slug() != slug(&name) {
                wrong.push(format!("{file} provokes `{}` too", diagnostic.code));
            }
        }
        if checked.diagnostics.is_empty() {
            wrong.push(format!("{file} provokes nothing"));
        }
        let said = render(&checked.diagnostics, &checked.source, STYLE);
        let told = format!("{name}.stderr");
        if std::env::var_os("SORTIE_BLESS").is_some() {
            bless(&told, &said);
        }
        if read(&told) != said.as_bytes() {
            wrong.push(format!("{told} is not what is said now:\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_right_is_not_complained_about() {
    let mut wrong = String::new();
    for name in names() {
        let file = format!("{name}.ok.yaml");
        let checked = checked(&file);
        wrong.push_str(&render(&checked.diagnostics, &checked.source, STYLE));
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "an expectation is a file of the repository, not of the program"
)]
fn bless(file: &str, text: &str) {
    fs::write(folder().join(file), text).expect("the folder is ours");
}
