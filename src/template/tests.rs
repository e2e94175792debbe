use super::*;
use crate::text::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::text::source::Source;
use crate::text::yaml::{self, Node};
use serde_json::json;

fn scope() -> Scope {
    Scope::from_iter([
        (
            "inputs",
            to_value(&json!({"case": "IR-1", "n": 5, "flag": true, "list": ["a", "b"]})),
        ),
        (
            "device",
            to_value(&json!({"name": "DC-01", "fqdn": null, "evil": "{{ inputs.case }}"})),
        ),
        (
            "procs",
            to_value(
                &json!({"all": [{"path": "C:\\a.exe", "pid": 4}, {"path": "C:\\b.exe", "pid": 8}]}),
            ),
        ),
    ])
}

fn node(value: &str) -> (Source, Node) {
    let mut diagnostics = Diagnostics::new();
    let (source, node) = yaml::load(
        "p.yaml",
        format!("v: {value}\n").as_bytes(),
        &mut diagnostics,
    );
    assert!(diagnostics.is_empty(), "{value}: {diagnostics:?}");
    (
        source,
        node.and_then(|node| node.get("v").cloned())
            .expect("the value is there"),
    )
}

fn template(value: &str) -> (Source, Result<Template, Vec<Diagnostic>>) {
    let (source, node) = node(value);
    let mut diagnostics = Diagnostics::new();
    let template = Template::from_scalar(&node, &mut diagnostics);
    (source, template.ok_or(diagnostics.into_vec()))
}

fn expr(value: &str) -> Expr {
    let mut diagnostics = Diagnostics::new();
    let expr = Expr::from_scalar(&node(value).1, &mut diagnostics);
    expr.unwrap_or_else(|| panic!("{value}: {diagnostics:?}"))
}

#[test]
fn what_renders() {
    let table = [
        ("plain", "plain"),
        ("0123", "0123"),
        ("true", "true"),
        ("'{{ inputs.case }}'", "IR-1"),
        ("'C:\\{{ inputs.case }}\\x'", "C:\\IR-1\\x"),
        (
            "'{{ inputs.flag }} {{ inputs.n }} {{ inputs.list }}'",
            "true 5 [\"a\",\"b\"]",
        ),
        ("'{{ device.evil }}'", "{{ inputs.case }}"),
        ("'{{ device.fqdn | default(\"-\") }}'", "-"),
        ("'{{ nope | default(inputs.case) }}'", "IR-1"),
        (
            "'{{ procs.all | map(attribute=\"path\") | join(\", \") }}'",
            "C:\\a.exe, C:\\b.exe",
        ),
        (
            "'{{ procs.all | selectattr(\"pid\", \"gt\", 4) | map(attribute=\"pid\") | first }}'",
            "8",
        ),
        ("'{{ \"yes\" if inputs.flag else \"no\" }}'", "yes"),
        ("'{{ (inputs.n | int) * 2 }}'", "10"),
        ("'{{ {\"a\": {\"b\": 1}} }}'", "{\"a\":{\"b\":1}}"),
        ("'{{ \"}}\" }}{{ \"{{\" }}'", "}}{{"),
        ("'{{ \"it''s\" }}'", "it's"),
        ("'a { b } {% {#'", "a { b } {% {#"),
        ("|\n  one\n  {{ inputs.case }}\n\n", "one\nIR-1\n"),
        ("'{{ range(3) }}'", "[0,1,2]"),
        ("'{{ \"C:\\\\a\\\\b.exe\" | basename }}'", "b.exe"),
    ];
    for (value, text) in table {
        let (_, template) = template(value);
        let template = template.unwrap_or_else(|all| panic!("{value}: {all:?}"));
        assert_eq!(
            template.render(&scope()).as_deref(),
            Ok(text),
            "for {value}"
        );
    }
}

/// Value, code, text under the carets, part of the message.
const REFUSED_AT_CHECK: &[(&str, Code, &str, &str)] = &[
    (
        "'{{ inputs.case | uper }}'",
        Code::UndefinedFilter,
        "uper",
        "no filter `uper`",
    ),
    (
        "'{{ x is startingwth(\"I\") }}'",
        Code::UndefinedFilter,
        "startingwth",
        "no test",
    ),
    (
        "'{{ rang(3) }}'",
        Code::UndefinedFilter,
        "rang",
        "no function",
    ),
    (
        "'{{ x | map(\"uper\") }}'",
        Code::UndefinedFilter,
        "\"uper\"",
        "no filter",
    ),
    (
        "'{{ x | selectattr(\"a\", \"gtt\", 3) }}'",
        Code::UndefinedFilter,
        "\"gtt\"",
        "no test",
    ),
    (
        "'{{ x.upper() }}'",
        Code::TemplateSyntax,
        ".upper()",
        "no methods",
    ),
    (
        "'it''s {{ inputs. }}'",
        Code::TemplateSyntax,
        ".",
        "cannot read",
    ),
    ("'{{ a b }}'", Code::TemplateSyntax, "b", "cannot read"),
    ("'a {{ b'", Code::TemplateSyntax, "{{", "never closed"),
    ("'{{ \"a }}'", Code::TemplateSyntax, "{{", "never closed"),
    ("'{{ }}'", Code::TemplateSyntax, " ", "empty"),
    (
        "'{% if x %}a{% endif %}'",
        Code::TemplateSyntax,
        "{% if x %}",
        "not part of",
    ),
    (
        "'a {# b #}'",
        Code::TemplateSyntax,
        "{# b #}",
        "not part of",
    ),
    (
        "'{{- x }}'",
        Code::TemplateSyntax,
        "{{- x }}",
        "not part of",
    ),
    (
        "'{{ \"x\" * 9 }}'",
        Code::TemplateSyntax,
        "\"x\"",
        "needs numbers",
    ),
    (
        "'{{ \"C:\\temp\\new\" }}'",
        Code::Trap,
        "\"C:\\temp\\new\"",
        "begins an escape",
    ),
    (
        "'{{ 9 * [x] }}'",
        Code::TemplateSyntax,
        "[x]",
        "needs numbers",
    ),
    (
        "'{{ inputs.n * 2 }}'",
        Code::TemplateSyntax,
        "inputs.n",
        "needs numbers",
    ),
];

#[test]
fn what_check_refuses() {
    for (value, code, under, said) in REFUSED_AT_CHECK {
        let (source, template) = template(value);
        let all = template.expect_err(value);
        let [one] = &all[..] else {
            panic!("one message for {value}: {all:#?}");
        };
        assert_eq!(
            (one.code, source.slice(one.span)),
            (*code, *under),
            "for {value}: {one:?}"
        );
        assert!(one.message.contains(said), "for {value}: {}", one.message);
    }
}

#[test]
fn all_mistakes_of_a_template_are_told() {
    let (source, template) = template("'{{ a | uper }} {{ b c }} {{ d | nope | lowr }}'");
    let all = template.expect_err("three are wrong");
    let places: Vec<_> = all.iter().map(|one| source.slice(one.span)).collect();
    assert_eq!(places, ["uper", "c", "nope", "lowr"]);
}

#[test]
fn what_fails_when_rendered() {
    let table = [
        (
            "'{{ inputs.cas }}'",
            Code::UndefinedVariable,
            "inputs.cas",
            "`inputs.cas` is undefined",
        ),
        (
            "'a{{ nope }}b'",
            Code::UndefinedVariable,
            "nope",
            "undefined",
        ),
        (
            "'{{ \"é\" ~ nope }}'",
            Code::UndefinedVariable,
            "nope",
            "undefined",
        ),
        (
            "'{{ inputs.n + nope }}'",
            Code::UndefinedVariable,
            "nope",
            "undefined",
        ),
        (
            "'{{ inputs.cas.x | upper }}'",
            Code::UndefinedVariable,
            "inputs.cas.x",
            "undefined",
        ),
        (
            "'{{ procs.all[7].pid }}'",
            Code::UndefinedVariable,
            "[7].pid",
            "there is no",
        ),
        (
            "'{{ device.fqdn }}'",
            Code::UndefinedVariable,
            "device.fqdn",
            "has no value",
        ),
        ("'{{ 1 / 0 }}'", Code::BadValue, "1 / 0", "1 / 0"),
        (
            "'{{ range(20000) }}'",
            Code::BadValue,
            "range(20000)",
            "10,000",
        ),
        (
            "'{{ \"a%b\" | cmd_quote }}'",
            Code::BadValue,
            "cmd_quote",
            "refuses %",
        ),
        (
            "|\n  one\n  two {{ nope.x }}\n",
            Code::UndefinedVariable,
            "nope.x",
            "undefined",
        ),
    ];
    for (value, code, under, said) in table {
        let (source, template) = template(value);
        let template = template.unwrap_or_else(|all| panic!("{value}: {all:?}"));
        let error = template.render(&scope()).expect_err(value);
        assert_eq!(
            (error.code, source.slice(error.span)),
            (code, under),
            "for {value}: {error}"
        );
        assert!(error.message.contains(said), "for {value}: {error}");
    }
}

#[test]
fn references_have_places() {
    let text = "'{{ inputs.case ~ device[\"name\"] }} {{ procs.all[0].pid }} {{ x is defined }} {{ y | default(z) }}'";
    let (source, template) = template(text);
    let template = template.expect("is sound");
    let found: Vec<_> = template
        .references()
        .map(|one| (one.path.join("."), source.slice(one.span), one.guarded))
        .collect();
    let expected = [
        ("inputs.case", "inputs.case", false),
        ("device.name", "device[\"name\"]", false),
        ("procs.all", "procs.all", false),
        ("x", "x", true),
        ("y", "y", true),
        ("z", "z", false),
    ];
    assert_eq!(
        found,
        expected.map(|(path, under, guarded)| (path.to_owned(), under, guarded))
    );
    assert_eq!(template.roots().len(), 6);
    assert!(!template.is_literal());
    assert_eq!(
        template.literal_parts().collect::<Vec<_>>(),
        [" ", " ", " "]
    );
}

#[test]
fn one_expression_keeps_its_type() {
    let evaluate = |value: &str| template(value).1.expect("is sound").evaluate(&scope());
    assert_eq!(evaluate("'{{ inputs.n }}'"), Ok(Value::from(5)));
    assert_eq!(
        evaluate("'{{ inputs.list }}'"),
        Ok(to_value(&vec!["a", "b"]))
    );
    assert_eq!(evaluate("'{{ inputs.n }} '"), Ok(Value::from("5 ")));
    assert_eq!(evaluate("'5'"), Ok(Value::from("5")));
}

#[test]
fn expressions() {
    let table = [
        ("inputs.n > 4 and device.name == \"DC-01\"", Ok(true)),
        ("'{{ procs.all | length > 2 }}'", Ok(false)),
        ("true", Ok(true)),
        ("0", Ok(false)),
        ("inputs.list", Ok(true)),
        ("'\"b\" in inputs.list'", Ok(true)),
        ("nope is defined", Ok(false)),
        ("device.fqdn", Ok(false)),
        ("false and nope", Ok(false)),
        ("not nope", Err("nope")),
        ("nope", Err("nope")),
        ("inputs.n > inputs.m", Err("inputs.m")),
    ];
    for (value, expected) in table {
        let found = expr(value).test(&scope());
        match (&found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(*found, expected, "for {value}"),
            (Err(error), Err(name)) => assert_eq!(error.message, format!("`{name}` is undefined")),
            _ => panic!("{value}: {found:?}"),
        }
    }
}

#[test]
fn bombs_are_refused() {
    let mut chain = "\"a\"".to_owned();
    for _ in 0..60 {
        chain.push_str(" | replace(\"a\", \"aaaaaaaaaa\")");
    }
    let long = format!("'{{{{ {chain} | length }}}}'");
    let error = template(&long)
        .1
        .expect("is sound")
        .render(&scope())
        .expect_err("grows");
    assert!(error.message.contains("too large"), "{error}");

    let each = format!(
        "'{{{{ range(10000) | map(\"string\") | map(\"replace\", \"\", \"{}\") | length }}}}'",
        "x".repeat(1_000)
    );
    let error = template(&each)
        .1
        .expect("is sound")
        .render(&scope())
        .expect_err("grows");
    assert!(error.message.contains("too large"), "{error}");

    // Shared parts cost nothing until somebody writes them out.
    let mut shared = to_value(&vec!["x"; 10]);
    for _ in 0..20 {
        shared = Value::from(vec![shared.clone(), shared]);
    }
    let scope = scope().with("shared", shared);
    for value in [
        "'{{ shared }}'",
        "'a {{ shared }}'",
        "'{{ shared | tojson }}'",
        "'{{ shared | string }}'",
    ] {
        let template = template(value).1.expect("is sound");
        let error = template.render(&scope).expect_err(value);
        assert!(error.message.contains("large"), "{value}: {error}");
    }

    let template = template(&format!("'{{{{ \"{}\" }}}}{{{{ 1 }}}}'", "x".repeat(5_000)))
        .1
        .expect("is sound");
    assert!(template.render(&scope).is_ok());
    let error = template
        .render_within(&scope, 5_000)
        .expect_err("is one too long");
    assert_eq!(error.code, Code::Limit);

    let deep = format!("'{{{{ {}1{} }}}}'", "(".repeat(2_000), ")".repeat(2_000));
    assert!(self::template(&deep).1.is_err());
    let sum = format!("'{{{{ 1{} }}}}'", " + 1".repeat(1_900));
    self::template(&sum)
        .1
        .expect("is sound")
        .render(&scope)
        .expect("is a number");
}

#[test]
fn fields_are_known_or_rendered() {
    use crate::text::duration::Duration;
    let read = |value: &str| {
        let mut diagnostics = Diagnostics::new();
        Field::<Duration>::from_scalar(&node(value).1, &mut diagnostics)
            .ok_or_else(|| diagnostics.into_vec().remove(0).message)
    };
    let scope = scope().with("wait", "90s");
    assert_eq!(
        read("5m").map(|field| field.literal().copied()),
        Ok(Some(Duration::from_secs(300)))
    );
    let field = read("'{{ wait }}'").expect("is sound");
    assert_eq!(field.resolve(&scope), Ok(Duration::from_secs(90)));
    assert_eq!(field.references().count(), 1);
    let table = [
        (
            "5",
            "a duration needs a unit: write 5s for seconds or 5m for minutes, found `5`",
        ),
        (
            "soon",
            "expected a duration such as 90s, 5m, 4h or 7d, found `soon`",
        ),
        (
            "[5m]",
            "expected a duration such as 90s, 5m, 4h or 7d, found a list",
        ),
    ];
    for (value, message) in table {
        assert_eq!(read(value), Err(message.to_owned()));
    }
    let error = read("'{{ inputs.case }}'")
        .expect("is sound")
        .resolve(&scope);
    assert_eq!(
        error.expect_err("is no duration").message,
        "expected a duration such as 90s, 5m, 4h or 7d, found `IR-1`"
    );
}

#[test]
fn the_schema_takes_what_the_readers_take() {
    use crate::text::duration::Duration;
    use crate::text::size::Size;
    use schemars::generate::SchemaSettings;

    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is wanted")]
    struct Step {
        path: Template,
        when: Option<Expr>,
        timeout: Option<Field<Duration>>,
        max_size: Option<Field<Size>>,
        count: Option<Field<u64>>,
        vars: Option<Data>,
    }
    let schema = SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<Step>();
    let validator = jsonschema::validator_for(schema.as_value()).expect("is a schema");
    let table = [
        (
            json!({"path": "x", "when": "a > 1", "vars": [1, {"a": null}]}),
            true,
        ),
        (json!({"path": 5, "when": true}), true),
        (json!({"path": ["x"]}), false),
        (
            json!({"path": "x", "timeout": "5m", "max_size": "1GiB", "count": 3}),
            true,
        ),
        (
            json!({"path": "x", "timeout": "{{ t }}", "max_size": "{{ t }}", "count": "{{ t }}"}),
            true,
        ),
        (json!({"path": "x", "timeout": "5"}), false),
        (json!({"path": "x", "timeout": 5}), false),
        (json!({"path": "x", "timeout": 0}), true),
        (json!({"path": "x", "max_size": "5MB"}), false),
        (json!({"path": "x", "count": "3"}), false),
    ];
    for (value, valid) in table {
        assert_eq!(validator.is_valid(&value), valid, "{value}");
    }
}

mod properties {
    use super::*;
    use crate::text::source::Span;
    use crate::text::yaml::Origin;
    use proptest::prelude::*;

    fn parse(text: &str) -> Option<Template> {
        let span = Span::new(0, text.len());
        Template::parse(text, span, &Origin::whole(span), &mut Diagnostics::new())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_gives_an_answer(text in "([{}%#|.,+*~()\\[\\]\"'\\\\ éx0-9-]|\\{\\{|\\}\\}| if | else |inputs|device){0,40}") {
            if let Some(template) = parse(&text) {
                let _ = template.render(&scope());
                prop_assert_eq!(template.is_literal(), !text.contains("{{"));
            }
        }

        #[test]
        fn values_are_never_rendered_again(value in "([a-z{}%#\\n\"']|\\{\\{ inputs.case \\}\\}){0,40}") {
            let scope = scope().with("x", value.as_str());
            let template = parse("<{{ x }}>").expect("is sound");
            prop_assert_eq!(template.render(&scope), Ok(format!("<{value}>")));
        }
    }
}
