//! An endpoint's process table.

use super::code::Code;
use super::layered::Layered;
use crate::model::device::Os;
use std::sync::Arc;

/// A running process. Texts are shared: most of them are the same on every device.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: u64,
    pub parent: u64,
    pub path: Arc<str>,
    pub line: Arc<str>,
    pub user: Arc<str>,
    pub sid: Arc<str>,
    /// Milliseconds since the world began; negative is before.
    pub created: i64,
    /// The system or the sensor protects it.
    pub protected: bool,
    /// When it ends by itself.
    pub ends: Option<i64>,
}

#[derive(Debug, Clone, Default)]
pub struct Processes {
    table: Layered<u64, Process>,
    /// The last pid given away; zero until a process is started.
    last: u64,
}

/// Whom the system's own processes belong to: name and SID.
pub const fn system(os: Os) -> (&'static str, &'static str) {
    match os {
        Os::Windows => ("NT AUTHORITY\\SYSTEM", "S-1-5-18"),
        _ => ("root", ""),
    }
}

/// Windows numbers its processes in steps of four.
const STEP: u64 = 4;
const FIRST: u64 = 9_000;

impl Processes {
    pub fn on(table: Layered<u64, Process>) -> Self {
        Self { table, last: FIRST }
    }

    pub fn all(&self) -> Vec<&Process> {
        self.table
            .from(&0, |_| true)
            .into_iter()
            .map(|(_, p)| p)
            .collect()
    }

    pub fn get(&self, pid: u64) -> Option<&Process> {
        self.table.get(&pid)
    }

    pub fn plant(&mut self, process: Process) {
        self.table.insert(process.pid, process);
    }

    /// A number that no process has.
    pub fn next_pid(&mut self) -> u64 {
        self.last += STEP;
        while self.table.get(&self.last).is_some() {
            self.last += STEP;
        }
        self.last
    }

    pub fn kill(&mut self, pid: u64) -> Result<(), Code> {
        match self.table.get(&pid) {
            None => Err(Code::INVALID_PARAMETER),
            Some(process) if process.protected => Err(Code::ACCESS_DENIED),
            Some(_) => {
                self.table.remove(&pid);
                Ok(())
            }
        }
    }

    /// Takes away what has ended by `now`.
    pub fn reap(&mut self, now: i64) {
        let ended: Vec<u64> = self
            .all()
            .into_iter()
            .filter(|p| p.ends.is_some_and(|end| end <= now))
            .map(|p| p.pid)
            .collect();
        for pid in ended {
            self.table.remove(&pid);
        }
    }

    /// Makes everything the base of whoever clones it from now on.
    pub fn share(&mut self) {
        self.table.share();
    }

    /// Does a process run this image? Windows will not let it be deleted then.
    pub fn runs(&self, path: &str) -> bool {
        self.all()
            .iter()
            .any(|process| process.path.to_lowercase() == path.to_lowercase())
    }
}
