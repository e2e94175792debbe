//! A secret goes to the endpoint, comes back from it in every way that a playbook can think of, and stands
//! nowhere: not in what is printed, not in the log, not in any file of the run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Quotes, backslashes, blanks and non-ASCII around a word that would be seen in any escaped form.
const SECRET: &str = "Z\"ü\\r kanary'bird +9/%{1}";
/// Parts of it that no escape changes.
const WORDS: [&str; 2] = ["kanary", "bird"];

const PLAYBOOK: &str = r#"sortie: 1
name: canary
permissions: [read, exec]
inputs:
  pw: {secret: true, required: true}
vars:
  login: 'bob:{{ inputs.pw }}'
targets: {os: windows}
defaults: {on_error: ignore}
steps:
  - exec: 'echo {{ inputs.pw | ps_quote }} {{ vars.login | sh_quote }}'
    register: echoed
  - exec: '{{ inputs.pw }}'
  - exec: {command: 'echo {{ inputs.pw | ps_quote }}', cwd: 'C:\{{ inputs.pw }}', effect: read}
    retry: {attempts: 2, delay: 1s, until: inputs.pw == 'other'}
  - exec: {command: 'exit 3 {{ inputs.pw | ps_quote }}', expect_code: 0}
  - when: "'kan' in echoed.stdout"
    finding: {title: 'It said {{ inputs.pw }}', severity: high, evidence: {said: '{{ echoed.stdout }}', all: ['{{ vars.login }}']}}
  - assert: {that: inputs.pw == 'other', message: 'it is {{ inputs.pw }}'}
  - get_file: 'C:\{{ inputs.pw }}\nothing.txt'
  - get_file: {path: 'C:\Windows\System32\drivers\etc\hosts', save_as: 'C:\{{ inputs.pw }}\hosts'}
    register: hosts
  - list_directory: 'C:\{{ inputs.pw }}'
  - reg_query: {key: 'HKLM\SOFTWARE\{{ inputs.pw }}', if_missing: fail}
  - set: {copy: '{{ vars.login }}'}
  - for_each: ['{{ vars.copy }}', other]
    exec: 'echo {{ item | sh_quote }}'
outputs:
  copy: '{{ vars.copy }}'
  said: '{{ echoed.stdout }}'
  file: '{{ hosts.files }}'
"#;

fn percent(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn forms() -> Vec<String> {
    let wide: Vec<u8> = SECRET.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let json = serde_json::to_string(SECRET).expect("text is JSON");
    let mut forms = vec![
        SECRET.to_owned(),
        json.trim_matches('"').to_owned(),
        percent(SECRET),
        // Whole groups of digits, whatever stands behind.
        STANDARD.encode(SECRET)[..24].to_owned(),
        STANDARD.encode(&wide)[..32].to_owned(),
    ];
    forms.extend(WORDS.map(str::to_owned));
    forms
}

fn assert_clean(what: &str, text: &str) {
    for form in forms() {
        assert!(!text.contains(&form), "{what} has `{form}`:\n{text}");
    }
}

/// A directory with the playbook in it.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's own input is no output of the program"
)]
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a directory can be made");
    fs::write(home.path().join("p.yaml"), PLAYBOOK).expect("it can be written");
    home
}

fn files(root: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root).expect("it can be listed") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Both streams, looked through, and the exit code.
fn sortie(home: &Path, value: Option<&str>, args: &[&str]) -> (String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sortie"));
    command.current_dir(home).args(args).env_clear();
    if let Some(value) = value {
        command.env("SORTIE_INPUT_PW", value);
    }
    let output = command.output().expect("it starts");
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.concat();
    assert_clean(&format!("{args:?}"), &text);
    (text, output.status.code().expect("no signal"))
}

#[test]
fn a_secret_stands_nowhere() {
    let home = home();
    let home = home.path();
    let given = Some(SECRET);
    let (shown, _) = sortie(
        home,
        given,
        &["plan", "p.yaml", "--simulate", "1", "-o", "plan.json"],
    );
    assert!(shown.contains("echo '[secret pw]'"), "{shown}");
    sortie(
        home,
        given,
        &["plan", "p.yaml", "--simulate", "1", "--json"],
    );
    sortie(
        home,
        given,
        &["plan", "p.yaml", "--simulate", "1", "--yaml"],
    );

    let (told, _) = sortie(home, given, &["run", "p.yaml", "--simulate", "1", "-vv"]);
    assert!(told.contains("[secret pw]"), "{told}");
    let typed = format!("pw={SECRET}");
    let (told, _) = sortie(
        home,
        None,
        &[
            "run",
            "p.yaml",
            "--simulate",
            "1",
            "-e",
            &typed,
            "--reason",
            SECRET,
        ],
    );
    assert!(told.contains("SORTIE_INPUT_PW"), "{told}");
    let (told, code) = sortie(
        home,
        None,
        &["run", "--plan", "plan.json", "--simulate", "1"],
    );
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("SORTIE_INPUT_PW"), "{told}");
    let (_, code) = sortie(
        home,
        given,
        &["run", "--plan", "plan.json", "--simulate", "1"],
    );
    assert_ne!(code, 2);

    let mut all = Vec::new();
    files(home, &mut all);
    let named = |path: &PathBuf| {
        path.to_string_lossy()
            .contains("data/files/C/=5Bsecret pw=5D/hosts")
    };
    assert!(all.iter().any(named), "{all:?}");
    let mut marked = Vec::new();
    for path in &all {
        let name = path
            .strip_prefix(home)
            .expect("it is below")
            .to_string_lossy()
            .into_owned();
        assert_clean("a name", &name);
        if name == "p.yaml" || name.ends_with("playbook.yaml") || name.contains("data/files/") {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(path).expect("it can be read")).into_owned();
        assert_clean(&name, &text);
        if text.contains("[secret pw]") {
            marked.push(name);
        }
    }
    for part in [
        "plan.json",
        "run.json",
        "journal.jsonl",
        "results.ndjson",
        "findings.ndjson",
        "outcome.json",
        "transcript.jsonl",
        "data/steps/01",
        "data/steps/05",
        "data/steps/06",
    ] {
        assert!(
            marked.iter().any(|name| name.contains(part)),
            "nothing is marked in {part}: {marked:?}"
        );
    }
}

/// Who guesses the value has nothing to compare the guess with.
#[test]
fn a_plan_does_not_depend_on_the_value() {
    let home = home();
    let home = home.path();
    let plan = |value: &str| {
        let (text, _) = sortie(home, Some(value), &["plan", "p.yaml", "--simulate", "1"]);
        let line = text
            .lines()
            .find(|line| line.starts_with("sha256"))
            .map(str::to_owned);
        line.expect("a plan has a fingerprint")
    };
    assert_eq!(plan(SECRET), plan("another value altogether"));
}

/// What a step with `no_log` was asked and what it answered stands in the playbook alone.
#[test]
fn a_step_with_no_log_leaves_its_outcome_only() {
    let home = home();
    let home = home.path();
    let playbook = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/cases/run/no-log/playbook.yaml"
    );
    let (told, code) = sortie(home, None, &["run", playbook, "--simulate", "1", "-vv"]);
    assert_eq!(code, 10, "{told}");
    assert!(!told.contains("confidential"), "{told}");
    let mut all = Vec::new();
    files(&home.join("runs"), &mut all);
    for path in all {
        let name = path.to_string_lossy().into_owned();
        if ["playbook.yaml", "plan.json"]
            .iter()
            .any(|one| name.ends_with(one))
        {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(path).expect("it can be read")).into_owned();
        assert!(!text.contains("confidential"), "{name}:\n{text}");
        if name.ends_with("journal.jsonl") {
            assert!(text.contains("\"command_line\":\"[no_log]\"") && text.contains("echo plain"));
        }
    }
}
