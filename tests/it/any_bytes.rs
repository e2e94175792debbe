//! Whatever bytes somebody hands over as a playbook or a scenario: an answer, never a panic.

use crate::repository;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use sortie::playbook::check::check;
use sortie::sim::scenario::Scenario;
use sortie::text::diagnostic::Severity;
use sortie::text::render::{Style, render};

/// What playbooks are made of, and what they should not be made of.
const FRAGMENTS: [&str; 56] = [
    "sortie: 1\n",
    "name: x\n",
    "steps:\n",
    "  - ",
    "    ",
    "\n",
    "\t",
    " ",
    "- ",
    ": ",
    ", ",
    "#",
    " # ",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    "{{ ",
    " }}",
    "{% ",
    "{{ inputs.a }}",
    "{{ item.path | sh_quote }}",
    "{{ (((",
    "&a ",
    "*a",
    "!!str ",
    "<<: ",
    "---\n",
    "...\n",
    "|\n",
    ">-\n",
    "exec: ",
    "get_file: ",
    "list_processes: {}\n",
    "assert: ",
    "set: ",
    "finding: ",
    "when: ",
    "for_each: ",
    "register: r\n",
    "retry: ",
    "timeout: ",
    "permissions: [exec]\n",
    "inputs: ",
    "vars: ",
    "C:\\",
    "\\u{0}",
    "\u{feff}",
    "\u{0}",
    "\u{202e}",
    "é漢😀",
    "999999999999999999999",
    "cmd /c \"del ",
    "> C:\\x && ",
];

fn fragments() -> impl Strategy<Value = Vec<u8>> {
    vec(select(&FRAGMENTS[..]), 0..40).prop_map(|parts| parts.concat().into_bytes())
}

/// A playbook of ours with a few of its bytes cut out, doubled, or replaced.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let texts: Vec<String> = [files("playbooks"), files("tests/invalid")].concat();
    let part = prop_oneof![
        vec(any::<u8>(), 0..4),
        select(&FRAGMENTS[..]).prop_map(|text| text.as_bytes().to_vec())
    ];
    let change = (any::<Index>(), 0..12_usize, part);
    (select(texts), vec(change, 1..5)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (at, length, part) in changes {
            let start = at.index(bytes.len() + 1);
            let end = (start + length).min(bytes.len());
            bytes.splice(start..end, part);
        }
        bytes
    })
}

fn files(folder: &str) -> Vec<String> {
    let texts = repository::files(folder, "yaml").into_iter();
    // One that is long for its own sake makes every case slow.
    texts
        .map(|(_, text)| text)
        .filter(|text| text.len() < 6_000)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_an_answer(
        bytes in prop_oneof![vec(any::<u8>(), 0..300), fragments(), mutated()],
        width in 1..200_usize,
        color: bool,
    ) {
        let checked = check("any.yaml", &bytes);
        let errors = checked
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .count();
        prop_assert_eq!(checked.playbook.is_some(), errors == 0);
        for diagnostic in &checked.diagnostics {
            let span = diagnostic.span;
            prop_assert!(span.start <= span.end, "{diagnostic:?}");
            let place = checked.source.place(span.start);
            prop_assert!(place.line >= 1 && place.column >= 1);
        }
        let drawn = render(&checked.diagnostics, &checked.source, Style { color, width });
        prop_assert_eq!(drawn.is_empty(), checked.diagnostics.is_empty());
        let loaded = Scenario::load("any.yaml", &bytes);
        let errors = loaded.diagnostics.iter().any(|one| one.severity == Severity::Error);
        prop_assert_eq!(loaded.scenario.is_some(), !errors);
    }
}
