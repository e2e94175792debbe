//! The real program: one command line with a clean environment, and a simulator beside it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A program that takes longer hangs; no case needs a tenth of it.
const LONGEST: Duration = Duration::from_mins(2);

/// What a command line came to.
pub(crate) struct Answer {
    /// None when a signal ended it.
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Nothing of whoever runs the tests reaches the program: no credentials, no colours, no home.
fn command(work: &Path, args: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sortie"));
    command
        .args(args)
        .current_dir(work)
        .env_clear()
        .env("HOME", work.join("home"))
        .env("XDG_STATE_HOME", work.join("state"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs one command line to its end.
pub(crate) fn run(
    work: &Path,
    args: &[String],
    env: &BTreeMap<String, String>,
    stdin: &str,
) -> Result<Answer, String> {
    let mut child = command(work, args)
        .envs(env)
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut input = child.stdin.take().expect("it is piped");
    // A program that does not read its input may be gone already.
    let _ = input.write_all(stdin.as_bytes());
    drop(input);
    let output = within(child, |child| {
        child.wait_with_output().map_err(|error| error.to_string())
    })?;
    Ok(Answer {
        exit: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Does something with a process, and ends it if that takes for ever.
fn within<T>(child: Child, act: impl FnOnce(Child) -> Result<T, String>) -> Result<T, String> {
    let id = child.id();
    let (done, wait) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        let hangs = wait.recv_timeout(LONGEST) == Err(mpsc::RecvTimeoutError::Timeout);
        if hangs {
            signal(id, "KILL");
        }
        hangs
    });
    let acted = act(child);
    drop(done);
    if guard.join().expect("the guard does not panic") {
        return Err(format!("it did not end within {LONGEST:?}"));
    }
    acted
}

fn signal(id: u32, name: &str) -> bool {
    Command::new("kill")
        .args(["-s", name, &id.to_string()])
        .status()
        .is_ok_and(|status| status.success())
}

/// `sortie simulate`, in a process of its own.
pub(crate) struct Server {
    child: Option<Child>,
    /// The variables that it prints.
    pub(crate) exports: BTreeMap<String, String>,
}

impl Server {
    pub(crate) fn start(work: &Path, devices: u32) -> Result<Self, String> {
        let args = ["simulate", "--devices", &devices.to_string()].map(str::to_owned);
        let mut child = command(work, &args)
            .spawn()
            .map_err(|error| error.to_string())?;
        let stdout = child.stdout.as_mut().expect("it is piped");
        let exports: BTreeMap<String, String> = BufReader::new(stdout)
            .lines()
            .take(3)
            .map_while(Result::ok)
            .filter_map(|line| {
                let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            })
            .collect();
        let server = Self {
            child: Some(child),
            exports,
        };
        if server.exports.len() == 3 {
            Ok(server)
        } else {
            Err(format!("the simulator printed only {:?}", server.exports))
        }
    }

    /// Ends it as Ctrl-C would; what it says then is what really was executed.
    pub(crate) fn stop(mut self) -> Result<String, String> {
        let child = self.child.take().expect("it is stopped once");
        within(child, |mut child| {
            if !signal(child.id(), "INT") {
                let _ = child.kill();
            }
            let mut said = String::new();
            let stderr = child.stderr.as_mut().expect("it is piped");
            stderr
                .read_to_string(&mut said)
                .map_err(|error| error.to_string())?;
            child.wait().map_err(|error| error.to_string())?;
            Ok(said)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
