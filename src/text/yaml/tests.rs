use super::*;
use crate::text::diagnostic::Severity;
use crate::text::render::{Style, render};
use proptest::prelude::*;

fn read(
    text: &str,
) -> (
    Source,
    Option<Node>,
    Vec<crate::text::diagnostic::Diagnostic>,
) {
    let mut diagnostics = Diagnostics::new();
    let (source, node) = load("p.yaml", text.as_bytes(), &mut diagnostics);
    (source, node, diagnostics.into_vec())
}

fn good(text: &str) -> (Source, Node) {
    let (source, node, diagnostics) = read(text);
    assert!(diagnostics.is_empty(), "{text:?}: {diagnostics:?}");
    (source, node.expect("no diagnostics, so there is a node"))
}

#[test]
fn every_value_has_its_place_and_text() {
    let text = "a: 1\nb:\n  - x y\n  - 'it''s'\nc: {x: [1, 2], 'y': ~ }\nd: |\n  one\n\n    two\n\n\
                f: [ # c\n  a,\n  b, # ]\n  ]\ng:\nh: plain\n  cont\ni: {}\nj: ünï\nk: \"q\\n\"\n";
    let (source, node) = good(text);
    let table = [
        ("a", "1"),
        ("b", "- x y\n  - 'it''s'"),
        ("c", "{x: [1, 2], 'y': ~ }"),
        ("d", "one\n\n    two"),
        ("f", "[ # c\n  a,\n  b, # ]\n  ]"),
        ("g", ""),
        ("h", "plain\n  cont"),
        ("i", "{}"),
        ("j", "ünï"),
        ("k", "\"q\\n\""),
    ];
    for (key, written) in table {
        let value = node.get(key).expect("the key is there");
        // The first list begins at its first dash or its first item.
        let slice = source.slice(value.span);
        assert!(
            written.ends_with(slice) && (slice.len() + 2 >= written.len()),
            "{key}: {slice:?}"
        );
    }
    let keys = node.as_map().expect("is a map");
    assert!(
        keys.iter()
            .all(|(key, _)| source.slice(key.span) == key.text)
    );
    assert_eq!(
        node.get("d").and_then(Node::as_text),
        Some("one\n\n  two\n")
    );
    assert_eq!(node.get("h").and_then(Node::as_text), Some("plain cont"));
}

#[test]
fn scalars_keep_their_text() {
    use NodeKind::{Bool, Float, Int, Null, Text};
    let table = [
        ("5", Int(5), Some("5")),
        ("-5", Int(-5), Some("-5")),
        ("0x1f", Int(31), Some("0x1f")),
        ("1.10", Float(1.1), Some("1.10")),
        (
            "18446744073709551615",
            Float(18_446_744_073_709_551_615.0),
            Some("18446744073709551615"),
        ),
        ("true", Bool(true), Some("true")),
        ("no", Text("no".into()), Some("no")),
        ("0123", Text("0123".into()), Some("0123")),
        ("1_000", Text("1_000".into()), Some("1_000")),
        ("1e999", Text("1e999".into()), Some("1e999")),
        (".inf", Text(".inf".into()), Some(".inf")),
        ("'5'", Text("5".into()), Some("5")),
        ("'a\"b'", Text("a\"b".into()), Some("a\"b")),
        ("~", Null, None),
        ("", Null, None),
        ("''", Text(String::new()), Some("")),
        ("90s", Text("90s".into()), Some("90s")),
        ("2026-11-21", Text("2026-11-21".into()), Some("2026-11-21")),
    ];
    for (written, kind, text) in table {
        let (_, node) = good(&format!("v: {written}\n"));
        let value = node.get("v").expect("the key is there");
        assert_eq!(
            (&value.kind, value.scalar()),
            (&kind, text),
            "for {written}"
        );
    }
}

#[test]
fn a_part_of_a_scalar_has_its_place() {
    let table = [
        ("v: ab NEEDLE c", true),
        ("v: 'it''s '' NEEDLE'", true),
        ("v: \"ab NEEDLE\"", true),
        ("v: |\n   one\n\n     é NEEDLE\n   two\n", true),
        ("v: |2\n    one\n  NEEDLE", true),
        ("v: \"\\t NEEDLE\"", false),
        ("v: >\n  one\n  NEEDLE\n", false),
        ("v: plain\n  NEEDLE", false),
        ("v: 'a\n  NEEDLE'", false),
    ];
    for (text, exact) in table {
        let (source, node) = good(text);
        let value = node.get("v").expect("the key is there");
        let at = value
            .scalar()
            .and_then(|text| text.find("NEEDLE"))
            .expect("it is in there");
        let found = value.origin().span(at..at + 6);
        let slice = source.slice(found);
        if exact {
            assert_eq!(slice, "NEEDLE", "in {text:?}");
        } else {
            assert_eq!(found, value.span, "in {text:?}");
        }
    }
}

/// Document, code, text under the carets, part of the message and help together.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    (
        "path: \"C:\\Users\\bob\"\n",
        "trap",
        "\"C:\\Users\\bob\"",
        "or double every backslash: 'C:\\Users\\bob'",
    ),
    (
        "path: \"C:\\dir\\\"\nb: c\n",
        "trap",
        "\"C:\\dir\\\"",
        "'C:\\dir\\'",
    ),
    (
        "path: \"C:\\temp\\new\"\n",
        "trap",
        "\"C:\\temp\\new\"",
        "control characters",
    ),
    (
        "path: \"C:\\tmp\\\"\nb: c\n",
        "syntax",
        "\"C:\\tmp\\\"",
        "never closed",
    ),
    (
        "key: \"HKLM\\SOFTWARE\"\n",
        "trap",
        "\"HKLM\\SOFTWARE\"",
        "'HKLM\\SOFTWARE'",
    ),
    ("- path: *.pf\n", "trap", "*.pf", "quote it: '*.pf'"),
    ("paths:\n  - *.pf\n", "trap", "*.pf", "quote it: '*.pf'"),
    ("path: *README*.txt\n", "trap", "*README*.txt", "quote it"),
    (
        "path: %TEMP%\\x\n",
        "trap",
        "%TEMP%\\x",
        "Live Response does not expand variables",
    ),
    (
        "a: 1\npath: {{ vars.x }}\\y\nb: 2\n",
        "trap",
        "{{ vars.x }}\\y",
        "quote it: '{{ vars.x }}\\y'",
    ),
    ("path: {{ x }}\n", "trap", "{{ x }}", "quote it: '{{ x }}'"),
    (
        "name: Step: one\n",
        "trap",
        "Step: one",
        "quote it: 'Step: one'",
    ),
    (
        "when: \"x\" in y.stdout\n",
        "trap",
        "\"x\" in y.stdout",
        "'\"x\" in y.stdout'",
    ),
    (
        "that:\n  - \"x\" == y\n",
        "trap",
        "\"x\" == y",
        "'\"x\" == y'",
    ),
    ("when: 'x' in y\n", "trap", "'x' in y", "'''x'' in y'"),
    ("'when': \"x\" in y\n", "trap", "\"x\" in y", "'\"x\" in y'"),
    ("a: 'it's'\n", "trap", "'it's'", "written twice"),
    (
        "a: [ab]*.txt\n",
        "trap",
        "[ab]*.txt",
        "quote it: '[ab]*.txt'",
    ),
    ("a: @x\n", "trap", "@x", "quote it"),
    ("a:\n\t- b\n", "trap", "- b", "tabs"),
    ("a: &x 1\n", "yaml-feature", "&x 1", "anchors"),
    ("a: *x\n", "yaml-feature", "*x", "aliases"),
    ("a: !foo x\n", "yaml-feature", "!foo x", "tags"),
    ("a: !!str 5\n", "yaml-feature", "!!str", "tags"),
    ("<<: {b: c}\n", "yaml-feature", "<<", "merge keys"),
    ("a: 1\n---\nb: 2\n", "yaml-feature", "---", "one document"),
    (
        "a: 1\nb: 2\na: 3\n",
        "duplicate-key",
        "a",
        "the first one is in line 1",
    ),
    ("? [a]\n: w\n", "wrong-type", "[a]", "a key is text"),
    ("a: b\n c: d\n", "syntax", ": d", "check the indentation"),
    ("- a\nb: c\n", "syntax", "b: c", "list above"),
    (
        "steps:\n  - name: x\n   exec: y\n",
        "syntax",
        "exec: y",
        "list above",
    ),
    ("a: - b\n", "syntax", "- b", "[a, b]"),
    ("a: {b\n", "syntax", "{b", "bracket"),
    ("path: [a, b\nc: d\n", "syntax", ": d", "bracket"),
    ("a: x\u{0}y\n", "syntax", "\u{0}y", "cannot stand here"),
    ("a: 'x\nb: c\n", "syntax", "'x", "never closed"),
    ("a: |\n   x\n  y\n", "syntax", "y", "indentation"),
];

#[test]
fn what_is_refused_is_explained() {
    for (text, code, under, said) in REFUSED {
        let (source, _, diagnostics) = read(text);
        let [diagnostic] = &diagnostics[..] else {
            panic!("one message for {text:?}: {diagnostics:#?}");
        };
        let drawn = render(&diagnostics, &source, Style::default());
        assert_eq!(diagnostic.code.slug(), *code, "for {text:?}:\n{drawn}");
        assert_eq!(
            source.slice(diagnostic.span),
            *under,
            "for {text:?}:\n{drawn}"
        );
        assert!(drawn.contains(said), "{said:?} for {text:?}:\n{drawn}");
        assert_eq!(diagnostic.severity, Severity::Error);
    }
}

#[test]
fn a_comment_that_cuts_a_path_is_doubted() {
    let (source, node, diagnostics) =
        read("path: C:\\a #b\nok: C:\\a  # a comment\nq: 'C:\\a' # c\n");
    assert!(node.is_some());
    let [warning] = &diagnostics[..] else {
        panic!("{diagnostics:?}");
    };
    assert_eq!(
        (warning.severity, source.slice(warning.span)),
        (Severity::Warning, "#b")
    );
}

#[test]
fn limits_hold() {
    let deep = format!("k: {}x{}\n", "[".repeat(40), "]".repeat(40));
    let wide = format!("k: [{}]\n", "a,".repeat(260_000));
    let huge = "# ".repeat(MAX_BYTES);
    let bomb = "[".repeat(200_000);
    for text in [deep, wide, huge] {
        let (_, node, diagnostics) = read(&text);
        assert!(node.is_none());
        assert_eq!(
            diagnostics[0].code,
            Code::Limit,
            "{}",
            diagnostics[0].message
        );
    }
    assert!(read(&bomb).1.is_none());
}

#[test]
fn bytes_that_are_no_text() {
    let mut diagnostics = Diagnostics::new();
    let (source, node) = load("p", b"a: b\nc: \xff\xfe\n", &mut diagnostics);
    assert!(node.is_none());
    let diagnostic = &diagnostics.into_vec()[0];
    assert_eq!(source.place(diagnostic.span.start).line, 2);

    let mut diagnostics = Diagnostics::new();
    let (source, node) = load("p", b"\xef\xbb\xbfa: b\n", &mut diagnostics);
    assert_eq!(source.slice(node.expect("reads").span), "a: b");
}

const SEED: &str = "# c\nsortie: 1\nname: 'a ''b'' {{ x }}'\nsteps:\n  - get_file: {path: C:\\a, count: 5}\n    \
                    when: \"x\"\n  - exec: |\n      one\n        two\n    retry: [1, ~, true]\n";

fn survives(bytes: &[u8]) {
    let mut diagnostics = Diagnostics::new();
    let (source, node) = load("p", bytes, &mut diagnostics);
    let all = diagnostics.into_vec();
    assert!(node.is_some() || all.iter().any(|one| one.severity == Severity::Error));
    render(&all, &source, Style::default());
    if let Some(node) = node {
        inside(&node, Span::new(0, source.text.len()));
    }
}

/// Places are in the text, in order, and never cut a character.
fn inside(node: &Node, outer: Span) {
    let Span { start, end } = node.span;
    assert!(
        outer.start <= start && start <= end && end <= outer.end,
        "{node:?}"
    );
    for item in node.as_list().unwrap_or_default() {
        inside(item, node.span);
    }
    for (key, value) in node.as_map().unwrap_or_default() {
        assert!(start <= key.span.start && key.span.end <= end);
        inside(value, node.span);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(&bytes);
    }

    #[test]
    fn yaml_like_text_gives_an_answer(text in "[-a:{}\\[\\]'\"|>#&*!%@ \\n\\té\\\\0?,]{0,80}") {
        survives(text.as_bytes());
    }

    #[test]
    fn damaged_documents_give_an_answer(
        edits in prop::collection::vec((0..SEED.len(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut bytes = SEED.as_bytes().to_vec();
        for (at, byte, what) in edits {
            let at = at % bytes.len();
            match what {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, b"-:{}[]'\"|>#&*!% \n\t\\"[usize::from(byte) % 19]),
                _ => {
                    bytes.remove(at);
                }
            }
        }
        survives(&bytes);
    }
}
