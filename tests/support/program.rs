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
    /// Where it tells what happens; nothing if it does not.
    control: String,
    /// What it has said, as far as somebody had to listen.
    said: String,
}

impl Server {
    pub(crate) fn start(work: &Path, devices: u32, control: bool) -> Result<Self, String> {
        let mut args = ["simulate", "--devices", &devices.to_string()]
            .map(str::to_owned)
            .to_vec();
        if control {
            args.extend(["--control", "127.0.0.1:0"].map(str::to_owned));
        }
        let mut child = command(work, &args)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut server = Self {
            child: None,
            exports: BTreeMap::new(),
            control: String::new(),
            said: String::new(),
        };
        if control {
            server.hear(&mut child)?;
        }
        let stdout = child.stdout.as_mut().expect("it is piped");
        server.exports = BufReader::new(stdout)
            .lines()
            .take(3)
            .map_while(Result::ok)
            .filter_map(|line| {
                let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            })
            .collect();
        server.child = Some(child);
        if server.exports.len() == 3 {
            Ok(server)
        } else {
            Err(format!("the simulator printed only {:?}", server.exports))
        }
    }

    /// Listens until it says where it tells what happens.
    fn hear(&mut self, child: &mut Child) -> Result<(), String> {
        let stderr = child.stderr.as_mut().expect("it is piped");
        let mut byte = [0];
        while self.control.is_empty() {
            // Byte by byte, so that nothing is taken that is read later.
            stderr
                .read_exact(&mut byte)
                .map_err(|error| format!("the simulator ended: {error}: {}", self.said))?;
            self.said.push(char::from(byte[0]));
            let line = self
                .said
                .strip_suffix('\n')
                .and_then(|said| said.lines().last());
            let address = line.and_then(|line| line.strip_prefix("what really happens: "));
            if let Some(address) = address.and_then(|books| books.strip_suffix("/books")) {
                self.control = address.to_owned();
            }
        }
        Ok(())
    }

    /// An argument with addresses in place of their names.
    pub(crate) fn fill_in(&self, arg: &str) -> String {
        let exports = self.exports.iter();
        exports.fold(
            arg.replace("$CONTROL", &self.control),
            |arg, (name, value)| arg.replace(&format!("${name}"), value),
        )
    }

    /// Ends it as Ctrl-C would; what it says then is what really was executed.
    pub(crate) fn stop(mut self) -> Result<String, String> {
        let child = self.child.take().expect("it is stopped once");
        within(child, |mut child| {
            if !signal(child.id(), "INT") {
                let _ = child.kill();
            }
            let mut said = std::mem::take(&mut self.said);
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
