//! One case: its folder is copied into an empty directory, its command lines are run there, and all
//! that they answered and left is compared at once.

use super::program::{Answer, Server, run as start};
use super::redact::Redactor;
use super::tree::{self, Tree};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// `case.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case shows, for whoever has to decide whether a change of it is right.
    #[expect(dead_code, reason = "it speaks to readers of the file")]
    about: String,
    /// Playbooks of the repository that are needed, by their path below `playbooks/`.
    #[serde(default)]
    playbooks: Vec<String>,
    /// Files that only their owner may read, as credentials must be.
    #[serde(default)]
    private: Vec<String>,
    /// A simulator that the command lines talk to; its exports are in their environment, where `$NAME`
    /// stands for them in arguments; `$CONTROL` for its control address. `$RUN` is the newest run below `runs`.
    server: Option<ServerSpec>,
    runs: Vec<Run>,
    /// Whether every file of a run directory is listed, or only the directory.
    #[serde(default)]
    tree: Depth,
    /// Files whose text is compared, by the name that they have below `expect/`. `*` in a path stands
    /// for the one entry of a folder.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Depth {
    #[default]
    Top,
    All,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerSpec {
    devices: u32,
    #[serde(default)]
    control: bool,
}

/// One command line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    stdin: String,
    /// Changes that somebody makes to a file before the command line is run.
    edit: Option<Edit>,
    /// An empty file that somebody makes before it.
    make: Option<String>,
    /// A file that somebody removes before it.
    remove: Option<String>,
    exit: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    file: String,
    from: String,
    to: String,
}

/// Runs the case in a folder; the error tells every difference.
pub(crate) fn run(folder: &Path) -> Result<(), String> {
    let text = fs::read_to_string(folder.join("case.yaml"))
        .map_err(|error| format!("case.yaml: {error}"))?;
    let case: Case =
        serde_saphyr::from_str(&text).map_err(|error| format!("case.yaml: {error}"))?;
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    // A link on the way would make paths look different to the program and to us.
    let work = directory.path().canonicalize().map_err(|e| e.to_string())?;
    prepare(&case, folder, &work)?;
    let before = Tree::of(&work);
    let redactor = Redactor::new(&work);
    let mut found = BTreeMap::new();
    let mut wrong = String::new();
    let server = case
        .server
        .as_ref()
        .map(|spec| Server::start(&work, spec.devices, spec.control))
        .transpose()?;
    for (index, run) in case.runs.iter().enumerate() {
        let mut env = server
            .as_ref()
            .map(|server| server.exports.clone())
            .unwrap_or_default();
        env.extend(run.env.clone());
        if let Some(edit) = &run.edit {
            change(&work, edit)?;
        }
        let failed = |error: std::io::Error| format!("run {}: {error}", index + 1);
        if let Some(path) = &run.make {
            let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
            fs::write(tree::one(&work, folder)?.join(name), "").map_err(failed)?;
        }
        if let Some(path) = &run.remove {
            fs::remove_file(tree::one(&work, path)?).map_err(failed)?;
        }
        let newest = newest_run(&work);
        let args: Vec<String> = (run.args.iter())
            .map(|arg| arg.replace("$RUN", &newest))
            .map(|arg| {
                server
                    .as_ref()
                    .map_or_else(|| arg.clone(), |server| server.fill_in(&arg))
            })
            .collect();
        let answer = start(&work, &args, &env, &run.stdin)?;
        let prefix = match case.runs.len() {
            1 => String::new(),
            _ => format!("{}.", index + 1),
        };
        if answer.exit != Some(run.exit) {
            writeln!(
                wrong,
                "sortie {}\n  exit code: expected {}, found {:?}\n",
                run.args.join(" "),
                run.exit,
                answer.exit
            )
            .expect("a string takes everything");
        }
        keep(&mut found, &prefix, &answer, &redactor);
    }
    if let Some(server) = server {
        found.insert("server".to_owned(), redactor.text(&server.stop()?));
    }
    let mut changes = before.changes(&Tree::of(&work), &redactor);
    if case.tree == Depth::Top {
        changes = tops(&changes);
    }
    found.insert("tree".to_owned(), changes);
    for (name, pattern) in &case.files {
        let path = tree::one(&work, pattern)?;
        let bytes = fs::read(&path).map_err(|error| format!("{pattern}: {error}"))?;
        found.insert(
            name.clone(),
            redactor.text(&String::from_utf8_lossy(&bytes)),
        );
    }
    // A file that is not there says the same as an empty one.
    found.retain(|_, text| !text.is_empty());
    let expect = folder.join("expect");
    if std::env::var_os("SORTIE_BLESS").is_some() {
        bless(&expect, &found).map_err(|error| format!("cannot write expectations: {error}"))?;
    }
    compare(&read(&expect)?, &found, &mut wrong);
    if wrong.is_empty() {
        return Ok(());
    }
    wrong.push_str(
        "if this is as it should be: SORTIE_BLESS=1 cargo test --test cases, and read the diff",
    );
    Err(wrong)
}

fn prepare(case: &Case, folder: &Path, work: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot prepare the case: {error}");
    copy(folder, work).map_err(failed)?;
    fs::remove_file(work.join("case.yaml")).map_err(failed)?;
    if work.join("expect").exists() {
        fs::remove_dir_all(work.join("expect")).map_err(failed)?;
    }
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks");
    for name in &case.playbooks {
        let to = work.join("playbooks").join(name);
        fs::create_dir_all(to.parent().expect("it is below playbooks/")).map_err(failed)?;
        fs::copy(library.join(name), to).map_err(|error| format!("playbooks/{name}: {error}"))?;
    }
    for name in &case.private {
        private(&work.join(name)).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// Of what is in a run directory, the directory alone.
fn tops(changes: &str) -> String {
    const RUN: &str = "[RUN]/";
    let top = |line: &str| match line.split_once(RUN) {
        Some((before, "run.json")) => Some(format!("{before}{RUN}\n")),
        Some(_) => None,
        None => Some(format!("{line}\n")),
    };
    changes.lines().filter_map(top).collect()
}

/// The id of the run that was made last; they sort by time.
fn newest_run(work: &Path) -> String {
    let runs = work.join("runs").read_dir().into_iter().flatten().flatten();
    let names = runs.map(|run| run.file_name().to_string_lossy().into_owned());
    names.max().unwrap_or_default()
}

fn change(work: &Path, edit: &Edit) -> Result<(), String> {
    let path = tree::one(work, &edit.file)?;
    let failed = |error: std::io::Error| format!("{}: {error}", edit.file);
    let text = fs::read_to_string(&path).map_err(failed)?;
    if !text.contains(&edit.from) {
        return Err(format!("{}: `{}` is not in it", edit.file, edit.from));
    }
    fs::write(path, text.replace(&edit.from, &edit.to)).map_err(failed)
}

#[cfg(unix)]
fn private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn private(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in from.read_dir()? {
        let path = entry?.path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            fs::create_dir(&target)?;
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

fn keep(found: &mut BTreeMap<String, String>, prefix: &str, answer: &Answer, redactor: &Redactor) {
    found.insert(format!("{prefix}stdout"), redactor.text(&answer.stdout));
    let stderr = sort_progress(&redactor.text(&answer.stderr));
    found.insert(format!("{prefix}stderr"), stderr);
}

/// Devices end in any order: lines about them that follow each other are sorted.
fn sort_progress(text: &str) -> String {
    const STATES: [&str; 7] = [
        "ok",
        "failed",
        "partial",
        "skipped",
        "unreachable",
        "unknown",
        "cancelled",
    ];
    let tells_a_device = |line: &str| {
        STATES.iter().any(|state| {
            line.strip_prefix(state)
                .is_some_and(|rest| rest.starts_with("  "))
        })
    };
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    for block in lines.chunk_by_mut(|a, b| tells_a_device(a) && tells_a_device(b)) {
        block.sort_unstable();
    }
    lines.concat()
}

fn read(expect: &Path) -> Result<BTreeMap<String, String>, String> {
    let mut texts = BTreeMap::new();
    for path in super::entries(expect) {
        let name = path
            .file_name()
            .expect("an entry has a name")
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&path).map_err(|error| format!("expect/{name}: {error}"))?;
        texts.insert(name, text);
    }
    Ok(texts)
}

fn bless(expect: &Path, found: &BTreeMap<String, String>) -> std::io::Result<()> {
    if expect.exists() {
        fs::remove_dir_all(expect)?;
    }
    if !found.is_empty() {
        fs::create_dir(expect)?;
    }
    found
        .iter()
        .try_for_each(|(name, text)| fs::write(expect.join(name), text))
}

fn compare(
    expected: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
    wrong: &mut String,
) {
    let mut names: Vec<&String> = expected.keys().chain(found.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let texts = (expected.get(name), found.get(name));
        if texts.0 == texts.1 {
            continue;
        }
        let what = match texts {
            (None, _) => "nothing of this was expected",
            (_, None) => "it was expected, and there is nothing",
            _ => "it differs",
        };
        let (expected, found) = (texts.0.map_or("", |t| t), texts.1.map_or("", |t| t));
        let difference = difference(expected, found);
        writeln!(
            wrong,
            "expect/{name}: {what} (- expected, + found)\n{difference}"
        )
        .expect("a string takes everything");
    }
}

/// The lines between the parts that two texts begin and end with alike.
pub(crate) fn difference(expected: &str, found: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let shorter = old.len().min(new.len());
    let head = (0..shorter).take_while(|&i| old[i] == new[i]).count();
    let tail = (1..=shorter - head)
        .take_while(|&i| old[old.len() - i] == new[new.len() - i])
        .count();
    let mut text = String::new();
    if head > 0 {
        writeln!(text, "  … line {}", head + 1).expect("a string takes everything");
    }
    let parts = [("-", &old, old.len() - tail), ("+", &new, new.len() - tail)];
    for (sign, lines, end) in parts {
        for line in &lines[head..end] {
            writeln!(text, "{sign} {line}").expect("a string takes everything");
        }
    }
    text
}
