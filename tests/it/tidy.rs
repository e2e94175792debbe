//! Rules of this repository that no compiler knows. Each failure says what to do.

use crate::repository::{self, blocks, files, root};
use sortie::playbook::check::check_with;
use sortie::playbook::used::Unavailable;
use sortie::sim::scenario::Scenario;
use sortie::step::{Built, KINDS};
use sortie::text::diagnostic::Severity;
use sortie::text::render::{Style, render};
use std::collections::BTreeSet;

/// Lines of a file without its tests. What is longer has more than one subject.
const LONGEST: usize = 500;

/// Everything that may stand at the top.
const TOP: [&str; 16] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "LICENSE",
    "src",
    "playbooks",
    "schemas",
    "tests",
    ".ci",
    ".cargo",
    ".config",
    ".github",
    ".gitignore",
    // Made by tools, and ignored.
    ".git",
    "target",
    "runs",
];

#[test]
fn no_file_is_too_long() {
    let mut wrong = Vec::new();
    for (path, text) in [files("src", "rs"), files("tests", "rs")].concat() {
        let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().count();
        if lines > LONGEST && !path.ends_with("/tests.rs") {
            wrong.push(format!(
                "{path} has {lines} lines; move one of its subjects into a file of its own"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_undone() {
    // In two parts, so that this file does not find itself.
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("TO", "DO"),
        concat!("#[ign", "ore"),
    ];
    let machines = [
        concat!("/work", "/shared"),
        concat!("/work", "/main"),
        concat!("/tmp", "/wt"),
        concat!("/tmp", "/tgt"),
        concat!("/root", "/.cargo"),
    ];
    let mut wrong = Vec::new();
    let folders = [
        "src",
        "tests",
        "playbooks",
        "schemas",
        ".ci",
        ".github",
        ".cargo",
        ".config",
    ];
    let texts = folders.into_iter().flat_map(|folder| files(folder, ""));
    for (path, text) in texts {
        for (number, line) in (1..).zip(text.lines()) {
            for word in words.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{path}:{number}: finish what `{word}` stands for"));
            }
            for place in machines.iter().filter(|place| line.contains(**place)) {
                wrong.push(format!("{path}:{number}: {place} is on one machine only"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_top_holds_only_what_must_be_there() {
    for entry in root().read_dir().expect("the repository can be listed") {
        let name = entry.expect("it can be listed").file_name();
        let name = name.to_string_lossy();
        assert!(
            TOP.contains(&&*name),
            "{name} may not stand at the top of the repository; put it below src, tests, playbooks or schemas"
        );
    }
}

#[test]
fn playbooks_are_named_by_their_place_and_run_by_a_case() {
    let cases: String = files("tests/cases", "yaml")
        .into_iter()
        .filter(|(path, _)| path.ends_with("/case.yaml"))
        .map(|(_, text)| text)
        .collect();
    let (tests, playbooks): (Vec<_>, Vec<_>) = files("playbooks", "yaml")
        .into_iter()
        .partition(|(path, _)| path.ends_with(".test.yaml"));
    let tests: BTreeSet<String> = tests.into_iter().map(|(path, _)| path).collect();
    assert!(!playbooks.is_empty(), "playbooks/ has no playbook");
    let mut wrong = Vec::new();
    for (path, text) in playbooks {
        let name = path
            .trim_start_matches("playbooks/")
            .trim_end_matches(".yaml");
        let mut must = |holds: bool, instruction: String| {
            if !holds {
                wrong.push(format!("{path}: {instruction}"));
            }
        };
        must(
            text.lines().next()
                == Some("# yaml-language-server: $schema=../../schemas/playbook.json"),
            "begin it with # yaml-language-server: $schema=../../schemas/playbook.json".into(),
        );
        must(
            name.split('/').count() == 2,
            "put it at playbooks/<os or area>/<name>.yaml".into(),
        );
        must(
            text.lines().any(|line| line == format!("name: {name}")),
            format!("write name: {name}"),
        );
        must(
            cases.contains(&format!("[run, playbooks/{name}.yaml")),
            "add a case that runs it, below tests/cases/run".into(),
        );
        must(
            tests.contains(&format!("playbooks/{name}.test.yaml")),
            format!("write its cases, playbooks/{name}.test.yaml"),
        );
        must(
            cases.contains(&format!("{name}.test.yaml")),
            "add its cases to tests/cases/test/playbooks, which runs them".into(),
        );
        let said = complaints(&path, &text, Severity::Warning);
        must(said.is_empty(), format!("it must check clean:\n{said}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_step_has_a_manual_with_a_sample_that_works() {
    let mut wrong = Vec::new();
    for (path, text) in files("src/step", "rs") {
        let name = path.trim_start_matches("src/step/").trim_end_matches(".rs");
        // What stands in a folder belongs to the kind that the folder is called by.
        let of_several = [
            "mod", "cx", "foretold", "given", "guard", "registry", "spec", "there",
        ];
        if of_several.contains(&name) || name.contains('/') {
            continue;
        }
        let manual = text
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n");
        let key = path.trim_start_matches("src/step/").trim_end_matches(".rs");
        if !text.contains("const SPEC: Spec") || !text.contains(&format!("key: \"{key}\"")) {
            wrong.push(format!("{path}: give it a SPEC with the key \"{key}\""));
        }
        let samples = blocks(&manual, &["yaml"]);
        if samples.is_empty() {
            wrong.push(format!("{path}: add a ```yaml sample to the module's doc"));
        }
        for sample in samples {
            if !sample
                .lines()
                .any(|line| line.starts_with(&format!("{key}:")))
            {
                wrong.push(format!("{path}: the sample does not show `{key}:`"));
            }
            let document = playbook_around(&sample);
            let said = complaints(&path, &document, Severity::Error);
            if !said.is_empty() {
                wrong.push(format!("{path}: the sample does not check:\n{said}"));
            }
            let is_built = KINDS
                .iter()
                .any(|(spec, _)| spec.key == key && spec.built == Built::Yes);
            let playbook = check_with(&path, document.as_bytes(), &library).playbook;
            if playbook.is_some_and(|playbook| playbook.not_built().is_empty() != is_built) {
                wrong.push(format!(
                    "{path}: `run` must refuse the sample if, and only if, its SPEC says that it is not built"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A playbook with one step, behind steps that register whatever output the sample looks at.
pub(crate) fn playbook_around(sample: &str) -> String {
    let mut text = String::from(
        "sortie: 1\nname: sample\npermissions: [read, write, delete, exec, kill, memory, isolate, policy]\nsteps:\n",
    );
    let results: BTreeSet<&str> = sample
        .match_indices(".stdout")
        .filter_map(|(at, _)| {
            sample[..at]
                .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .next()
        })
        .collect();
    for result in results {
        text.extend(["  - exec: netstat.exe -ano\n    register: ", result, "\n"]);
    }
    for (number, line) in sample.lines().enumerate() {
        let lead = if number == 0 { "  - " } else { "    " };
        text.extend([lead, line, "\n"]);
    }
    text
}

/// Samples use the playbooks of the repository as one that lies in `playbooks/windows` does.
fn library(path: &str) -> Result<Vec<u8>, Unavailable> {
    let path = path.trim_start_matches("../");
    std::fs::read(root().join("playbooks").join(path)).map_err(|_| Unavailable::Missing)
}

/// What a check says of a text that is at least so severe.
pub(crate) fn complaints(name: &str, text: &str, least: Severity) -> String {
    let checked = check_with(name, text.as_bytes(), &library);
    let mut found = checked.diagnostics;
    found.retain(|diagnostic| diagnostic.severity <= least);
    render(&found, &checked.source, Style::default())
}

#[test]
fn what_the_readme_shows_works() {
    let text = repository::read("README.md");
    let mut wrong = String::new();
    for block in blocks(&text, &["yaml"]) {
        if block.starts_with("sortie: 1") || block.starts_with("# yaml-language-server:") {
            wrong.push_str(&complaints("README.md", &block, Severity::Warning));
        }
        if block.starts_with("devices:") {
            let loaded = Scenario::load("README.md", block.as_bytes());
            let said = render(&loaded.diagnostics, &loaded.source, Style::default());
            wrong.push_str(&said);
        }
    }
    for block in blocks(&text, &["console", "sh"]) {
        let joined = block.replace("\\\n", " ");
        let lines = joined.lines().map(|line| line.trim_start_matches("$ "));
        for line in lines.filter(|line| line.starts_with("sortie ")) {
            let mut words = words(line);
            // Help is shown once everything before it was understood.
            words.push("--help".to_owned());
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_sortie"))
                .args(&words[1..])
                .output()
                .expect("the program starts");
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                wrong.extend(["README.md: ", line, "\n", &said, "\n"]);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The words of a shell's line, as far as a pipe, a redirection or a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '|' | '>' | '<' | '&' | ';') => break,
            (None, '#') if word.is_none() => break,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn a_shell_line_has_words() {
    let table = [
        ("sortie run a.yaml", vec!["sortie", "run", "a.yaml"]),
        ("sortie ls 'C:\\a b' # x", vec!["sortie", "ls", "C:\\a b"]),
        (
            "sortie plan -e a='' | less",
            vec!["sortie", "plan", "-e", "a="],
        ),
        ("sortie x \"\" > f", vec!["sortie", "x", ""]),
    ];
    for (line, expected) in table {
        assert_eq!(words(line), expected, "{line}");
    }
}
