//! `schemas/playbook.json` against the types it is made of, the playbooks, and what `check` says.

use serde_json::Value;
use sortie::playbook::check::check;
use sortie::playbook::schema::schema;
use sortie::sim::scenario::Scenario;
use sortie::sim::scenario::schema::schema as scenario_schema;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn valid(text: &str) -> Result<(), String> {
    let document: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let validator = jsonschema::draft7::new(&schema()).expect("is a schema");
    validator
        .validate(&document)
        .map_err(|error| format!("{}: {error}", error.instance_path()))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a blessed file is not evidence")]
fn the_file_is_the_generated_one() {
    for (name, schema) in [("playbook", schema()), ("scenario", scenario_schema())] {
        let path = root().join(format!("schemas/{name}.json"));
        let made = format!("{schema:#}\n");
        if std::env::var_os("SORTIE_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &made).unwrap();
        }
        let held = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            held == made,
            "schemas/{name}.json is not what the types say; run the tests with SORTIE_BLESS=1 and look at the diff"
        );
    }
}

#[test]
fn it_is_draft_7() {
    for schema in [schema(), scenario_schema()] {
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        if let Err(error) = jsonschema::draft7::meta::validate(&schema) {
            panic!("{}: {error}", error.instance_path());
        }
        assert!(!schema.to_string().contains("null,") && !schema.to_string().contains(",null"));
    }
}

#[test]
fn every_key_is_explained() {
    fn explained(at: &Value, path: &str) {
        for (key, property) in at["properties"].as_object().into_iter().flatten() {
            let text = property["description"].as_str().unwrap_or_default();
            assert!(
                text.len() > 10 && text.ends_with('.'),
                "{path}/{key}: `{text}`"
            );
        }
        for (key, part) in at.as_object().into_iter().flatten() {
            explained(part, &format!("{path}/{key}"));
        }
        for (index, part) in at.as_array().into_iter().flatten().enumerate() {
            explained(part, &format!("{path}/{index}"));
        }
    }
    explained(&schema(), "");
    explained(&scenario_schema(), "");
}

#[test]
fn our_playbooks_pass() {
    let mut folders = vec![root().join("playbooks")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(".test.yaml") {
                // Cases are no playbooks.
            } else if path.extension().is_some_and(|suffix| suffix == "yaml") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert_eq!(valid(&text), Ok(()), "{}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 0);
}

/// Documents that differ from a sound one below the top, and those of a step.
const SOUND: &[&str] = &[
    "steps: [get_file: /etc/passwd]",
    "steps: [get_file: [/etc/passwd, /etc/group]]",
    "steps: [get_file: {path: '{{ device.name }}', max_size: '{{ inputs.m }}'}]\ninputs: {m: {type: size}}",
    "steps: [{list_processes: }]",
    "steps: [list_processes: {match: pid > 4}]",
    "steps: [list_directory: {path: /tmp, depth: 32}]",
    "steps: [reg_query: 'HKLM\\SOFTWARE']",
    "steps: [assert: [true, device.name != 'x']]",
    "steps: [finding: Something]",
    "steps: [set: {a: 1, b: [x, {c: ~}]}]",
    "steps: [{exec: whoami, when: true, os: [linux, macos], timeout: 0, retry: 3}]\npermissions: exec",
    "steps: [{exec: {command: ls, wait: false, effect: read}, for_each: [1, 2], id: a-1}]\npermissions: [exec]",
    "steps: [{get_file: a, retry: {attempts: 2, delay: 5s, backoff: 1.5, jitter: false, only_on: 'win32:32'}}]",
    "steps: [{get_file: a, retry: {attempts: 2, until: result.status == 'done'}}]\nalways: [wait: 5s]",
    "steps: [{block: [get_file: a], rescue: [{block: [wait: 1s]}], always: [wait: 1s], when: true, os: linux, name: b}]",
    "steps: [{get_file: a, tags: [a, 2024]}, {block: [wait: 1s], tags: b}]",
    "steps: [{get_file: '{{ vars.p }}', vars: {p: a}}, {block: [wait: '{{ vars.t }}'], vars: {t: 1s}}]",
    "steps: [{get_file: a, verify: [{assert: true}, {get_file: b}]}, {get_file: c, verify: {steps: [assert: true], hold: 10m, recheck: 1d}}]",
    "steps: [{get_file: a, undo: [{get_file: b}, {wait: 1s}]}]",
    "steps: [{get_file: a, name: 5, on_error: stop_run, register: r}]",
    "steps: [get_file: a]\nrun: {max_sessions: 90}\ntargets: {ids: [1, 2], names: 'WS-*', os: windows}",
    "steps: [get_file: a]\ndefaults: {timeout: 5m, max_size: 1GiB, retry: {attempts: 2}, on_error: continue}",
    "steps: [get_file: a]\ninputs: {n: {type: int, default: 5, choices: [5, 6], description: a number}}",
    "steps: [get_file: a]\nvars: {v: 1}\noutputs: {o: '{{ vars.v }}'}\ntags: [a, 2024]",
];

/// The same, with the code of the complaint.
const UNSOUND: &[(&str, &str)] = &[
    ("steps: [{get_file: a, exec: b}]", "two-actions"),
    ("steps: [name: x]", "no-action"),
    ("steps: [{get_file: a, loop: [1]}]", "unknown-key"),
    ("steps: [get_file: {path: a, paht: b}]", "unknown-key"),
    ("steps: [get_file: a]\ntasks: []", "unknown-key"),
    (
        "steps: [get_file: a]\ninputs: {n: {tipe: int}}",
        "unknown-key",
    ),
    ("steps: [get_file: {path: a, if_missing: skp}]", "bad-value"),
    ("steps: [{get_file: a, os: beos}]", "bad-value"),
    ("steps: [{get_file: a, on_error: stop}]", "bad-value"),
    ("steps: [get_file: a]\npermissions: [reed]", "bad-value"),
    ("steps: [{get_file: a, timeout: 5}]", "bad-value"),
    ("steps: [{get_file: a, timeout: 5min}]", "bad-value"),
    ("steps: [get_file: {path: a, max_size: 5MB}]", "bad-value"),
    ("steps: [{get_file: a, retry: 0}]", "bad-value"),
    ("steps: [{get_file: a, retry: {delay: 5s}}]", "missing-key"),
    (
        "steps: [{get_file: a, retry: {attempts: 2, backoff: 0}}]",
        "bad-value",
    ),
    (
        "steps: [{get_file: a, retry: {attempts: 2, only_on: sometimes}}]",
        "bad-value",
    ),
    ("steps: [list_directory: {path: a, depth: 33}]", "bad-value"),
    ("steps: [list_directory: {path: a, depth: 0}]", "bad-value"),
    ("steps: [reg_query: {key: a, depth: 33}]", "bad-value"),
    ("steps: [exec: {cwd: a}]", "missing-key"),
    ("steps: [exec: ]", "missing-key"),
    ("steps: [{get_file: a, id: Loud}]", "bad-value"),
    ("steps: [{get_file: a, register: a b}]", "bad-value"),
    ("steps: [{get_file: a, when: [a]}]", "wrong-type"),
    ("steps: [{get_file: a, when: }]", "wrong-type"),
    ("steps: []", "bad-value"),
    ("steps: [{block: [get_file: a], exec: b}]", "two-actions"),
    ("steps: [{get_file: a, rescue: [wait: 1s]}]", "bad-value"),
    ("steps: [{block: []}]", "bad-value"),
    ("steps: [{block: [{get_file: a, loop: 1}]}]", "unknown-key"),
    ("steps: [get_file: a]\nalways: []", "bad-value"),
    ("steps: [wait: 5]", "bad-value"),
    ("steps: [{wait: 5s, vars: [a]}]", "wrong-type"),
    ("steps: [{wait: 5s, verify: []}]", "bad-value"),
    ("steps: [{wait: 5s, undo: []}]", "bad-value"),
    ("steps: [{wait: 5s, verify: {hold: 5m}}]", "missing-key"),
    (
        "steps: [{wait: 5s, verify: {steps: [wait: 1s], hold: 5}}]",
        "bad-value",
    ),
    ("steps: [{wait: 5s, verify: [name: x]}]", "no-action"),
    ("steps: [{wait: 5s, vars: {a-b: 1}}]", "bad-value"),
    ("steps: [wait: {time: 5s}]", "wrong-type"),
    ("steps: {get_file: a}", "wrong-type"),
    ("steps: [get_file: a]\nrun: {max_sessions: 91}", "bad-value"),
    ("steps: [get_file: a]\ntargets: {ids: here}", "bad-value"),
    ("steps: [get_file: a]\nvars: {a-b: 1}", "bad-value"),
    ("name: x", "missing-key"),
];

fn document(rest: &str) -> String {
    match rest {
        "name: x" => "sortie: 1\nname: x\n".to_owned(),
        rest => format!("sortie: 1\nname: x\n{rest}\n"),
    }
}

#[test]
fn check_and_schema_agree() {
    for rest in SOUND {
        let text = document(rest);
        assert_eq!(valid(&text), Ok(()), "{rest}");
        let checked = check("p.yaml", text.as_bytes());
        assert!(
            checked.playbook.is_some(),
            "{rest}: {:?}",
            checked.diagnostics
        );
    }
    for (rest, code) in UNSOUND {
        let text = document(rest);
        assert!(valid(&text).is_err(), "the schema takes {rest}");
        let checked = check("p.yaml", text.as_bytes());
        let slugs: Vec<_> = checked
            .diagnostics
            .iter()
            .map(|one| one.code.slug())
            .collect();
        assert!(slugs.contains(code), "{rest}: {:?}", checked.diagnostics);
    }
    for text in [
        "name: x\nsteps: [get_file: a]",
        "sortie: 1\nsteps: [get_file: a]",
        "sortie: 2\nname: x\nsteps: [get_file: a]",
    ] {
        assert!(valid(text).is_err(), "the schema takes {text}");
        assert!(
            check("p.yaml", text.as_bytes()).playbook.is_none(),
            "{text}"
        );
    }
}

#[test]
fn a_number_out_of_bounds_says_where_and_what_to_do() {
    for (step, help) in [
        ("list_directory: {path: /, depth: 40}", "the most is 32"),
        ("list_directory: {path: /, depth: 0}", "the least is 1"),
        (
            "reg_query: {key: HKLM, depth: 99999999999}",
            "the most is 32",
        ),
    ] {
        let text = document(&format!("steps: [{step}]"));
        let checked = check("p.yaml", text.as_bytes());
        let [one] = &checked.diagnostics[..] else {
            panic!("{step}: {:?}", checked.diagnostics);
        };
        let number = &text[one.span.range()];
        assert!(step.ends_with(&format!("depth: {number}}}")), "{number}");
        assert_eq!(one.help.as_deref(), Some(help), "{step}");
    }
}

#[test]
fn scenarios_are_judged_alike_by_reader_and_schema() {
    let validator = jsonschema::draft7::new(&scenario_schema()).expect("is a schema");
    let valid = |text: &str| {
        let document: Value = serde_saphyr::from_str(text).expect("is YAML");
        validator.is_valid(&document)
    };
    let devices = "devices: [{name: a, os: linux}]";
    let table = [
        (true, String::from("devices: {count: 3}")),
        (true, format!("{devices}\nseed: 5\nexecutables: [{{os: windows, program: a}}]")),
        (true, "devices: [{name: a, os: windows, files: 'C:\\a', processes: ['C:\\b'], registry: HKLM\\X}]".into()),
        (true, format!("{devices}\nfaults: [{{status: 503, body: html, chance: 5%, device: [a, 7]}}]")),
        (true, format!("{devices}\nfaults: {{route: 'devices/{{id}}', nth: [1, 3], reset: half, delay: 2s}}")),
        (true, format!("{devices}\nfaults: [{{close: 17}}, {{result: 0x80070005}}, {{odd: text_ids}}, {{chance: 0.5, hang: true}}]")),
        (true, format!("{devices}\nexecutables: [{{os: linux, program: a, writes: [b, {{path: c, text: d}}]}}]")),
        (false, format!("{devices}\nexecutables: [{{os: linux, program: a, writes: [{{text: d}}]}}]")),
        (false, String::from("seed: 5")),
        (false, String::from("devices: [{os: linux}]")),
        (false, String::from("devices: [{name: a}]")),
        (false, String::from("devices: [{count: 1, name: a, os: linux}]")),
        (false, format!("{devices}\nfaults: [{{nth: 3}}]")),
        (false, format!("{devices}\nfaults: [{{nth: 0, status: 503}}]")),
        (false, format!("{devices}\nfaults: [{{route: nowhere, status: 503}}]")),
        (false, format!("{devices}\nfaults: [{{status: 700}}]")),
        (false, format!("{devices}\nfaults: [{{reset: later}}]")),
        (false, format!("{devices}\nfaults: [{{session: away}}]")),
        (false, format!("{devices}\nfaults: [{{chance: 2, hang: true}}]")),
    ];
    for (sound, text) in table {
        let loaded = Scenario::load("s.yaml", text.as_bytes());
        assert_eq!(
            loaded.scenario.is_some(),
            sound,
            "{text}: {:?}",
            loaded.diagnostics
        );
        assert_eq!(valid(&text), sound, "{text}");
    }
}
