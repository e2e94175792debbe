//! What befalls a run from outside, with the real program: who wants it to stop, who looks on, and streams that
//! nobody reads.

#![cfg(unix)]

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PLAYBOOK: &str =
    "sortie: 1\nname: outside\ntargets: {os: windows}\nsteps: [list_processes: {}]\n";

#[expect(
    clippy::disallowed_methods,
    reason = "a test's own input is no output of the program"
)]
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a directory can be made");
    fs::write(home.path().join("p.yaml"), PLAYBOOK).expect("it can be written");
    home
}

/// A run on so many devices, one after the other, begun by this in a shell.
fn begin(home: &Path, shell: &str, devices: &str, more: &[&str]) -> Child {
    Command::new("sh")
        .args(["-c", shell, env!("CARGO_BIN_EXE_sortie")])
        .args([
            "run",
            "p.yaml",
            "--simulate",
            devices,
            "--max-sessions",
            "1",
        ])
        .args(more)
        .current_dir(home)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

const PLAIN: &str = "exec \"$0\" \"$@\"";
/// More than can be done before it notices.
const MANY: &str = "40";

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status();
    assert!(sent.expect("there is kill").success());
}

/// The only run directory there is.
fn run_dir(home: &Path) -> PathBuf {
    let mut found = fs::read_dir(home.join("runs")).expect("it was made");
    found.next().expect("one").expect("it can be read").path()
}

fn summary(home: &Path) -> Value {
    let text = fs::read(run_dir(home).join("summary.json")).expect("it was written");
    serde_json::from_slice(&text).expect("it is JSON")
}

/// How a run ends to which this is done once its first device has ended, and what it says after that.
fn stopped(
    shell: &str,
    devices: &str,
    act: impl FnOnce(&Child, &Path),
) -> (Option<i32>, String, Value) {
    let home = home();
    let mut child = begin(home.path(), shell, devices, &[]);
    let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.starts_with("ok ") {
        line.clear();
        let length = stderr.read_line(&mut line).expect("it is text");
        assert_ne!(length, 0, "it ended");
    }
    act(&child, &run_dir(home.path()));
    let said = rest(stderr);
    let code = child.wait_with_output().expect("it ends").status.code();
    (code, said, summary(home.path()))
}

#[test]
fn each_signal_winds_a_run_down() {
    for (name, code) in [("HUP", 143), ("INT", 130), ("TERM", 143)] {
        let (ended, said, summary) = stopped(PLAIN, MANY, |child, _| signal(child, name));
        assert_eq!(ended, Some(code), "{name}: {said}");
        assert!(said.contains("again to leave at once"), "{said}");
        let counts = &summary["counts"];
        assert!(
            counts["ok"].as_u64() >= Some(1) && counts["cancelled"].as_u64() > Some(0),
            "{summary}"
        );
    }
}

/// As under `nohup`; elsewhere nobody knows.
#[cfg(target_os = "linux")]
#[test]
fn a_run_that_is_to_outlive_its_terminal_does() {
    let shell = format!("trap '' HUP; {PLAIN}");
    let (ended, said, summary) = stopped(&shell, "4", |child, _| signal(child, "HUP"));
    assert_eq!(
        (ended, &summary["counts"]["ok"]),
        (Some(0), &4.into()),
        "{said}"
    );
}

#[test]
fn a_file_named_stop_winds_a_run_down() {
    let (ended, said, summary) = stopped(PLAIN, MANY, |_, dir| {
        fs::create_dir(dir.join("STOP")).expect("it is not there");
    });
    assert_eq!(ended, Some(12), "{said}");
    assert!(
        said.contains("STOP was found; once it is removed, `sortie resume` goes on"),
        "{said}"
    );
    let counts = &summary["counts"];
    assert!(
        counts["ok"].as_u64() >= Some(1) && counts["cancelled"].as_u64() > Some(0),
        "{summary}"
    );
}

#[test]
fn streams_that_nobody_reads_do_not_stop_a_run() {
    for (no_stdout, no_stderr) in [(true, false), (false, true), (true, true)] {
        let home = home();
        let mut child = begin(home.path(), PLAIN, "3", &["-vv"]);
        if no_stdout {
            drop(child.stdout.take());
        }
        if no_stderr {
            drop(child.stderr.take());
        }
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{no_stdout} {no_stderr}: {said}"
        );
        assert_eq!(summary(home.path())["counts"]["ok"], 3);
    }
}

/// `sortie show --watch` on the only run, from when it has said its first line.
fn watcher(home: &Path) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sortie"))
        .args(["show", "--watch"])
        .current_dir(home)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it is text");
    assert!(line.starts_with("ok  "), "{line}");
    (child, stdout)
}

fn rest(mut stdout: impl Read) -> String {
    let mut said = String::new();
    stdout.read_to_string(&mut said).expect("it is text");
    said
}

#[test]
fn a_run_is_followed_to_its_end() {
    let mut watching = None;
    let (ended, said, _) = stopped(PLAIN, "6", |_, dir| {
        watching = Some(watcher(
            dir.parent()
                .and_then(Path::parent)
                .expect("it is below one"),
        ));
    });
    assert_eq!(ended, Some(0), "{said}");
    let (child, stdout) = watching.expect("it was started");
    let said = rest(stdout);
    assert_eq!(
        said.lines().filter(|line| line.starts_with("ok  ")).count(),
        5,
        "{said}"
    );
    assert!(
        said.ends_with("\nended, simulated\n6 devices: 6 ok\n"),
        "{said}"
    );
    assert_eq!(
        child.wait_with_output().expect("it ends").status.code(),
        Some(0)
    );
}

#[test]
fn whoever_follows_a_run_that_is_killed_hears_how_to_go_on() {
    let home = home();
    let mut child = begin(home.path(), PLAIN, MANY, &[]);
    let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("it is text");
    let (watching, stdout) = watcher(home.path());
    let (unread, gone) = watcher(home.path());
    drop(gone);
    child.kill().expect("it goes on");
    child.wait().expect("it ends");
    let said = rest(stdout);
    let name = run_dir(home.path());
    let name = name.file_name().expect("it has one").to_string_lossy();
    assert!(said.contains("\ninterrupted, simulated\n"), "{said}");
    assert!(
        said.ends_with(&format!("\ngo on: sortie resume {name}\n")),
        "{said}"
    );
    for watching in [watching, unread] {
        let output = watching.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
    }
}
