//! A virtual endpoint: files, registry, processes and programs, and what each command does to them.
//!
//! Knows nothing of sessions, HTTP or clocks: it is told what time it is. Devices share their base image.

pub mod code;
pub mod content;
pub mod files;
mod gather;
mod hives;
pub mod layered;
pub mod memory;
pub mod order;
mod path;
pub mod process;
pub mod programs;
pub mod registry;
mod shell;

use crate::model::device::Os;
use code::Code;
use content::{Clip, Content};
use files::{Files, Node};
use jiff::Timestamp;
use memory::Memory;
use order::{Order, Yield};
use process::{Process, Processes};
use programs::Row;
use registry::{Registry, Value};
use std::sync::Arc;
use std::time::Duration;

/// What texts on an endpoint say about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub host: String,
    pub user: String,
    pub ip: String,
    pub os_version: String,
    /// When the world began, by the wall clock.
    pub begun: Timestamp,
}

impl Facts {
    /// The text with the device's own words in place of `{host}` and its like.
    pub fn fill(&self, text: &str) -> String {
        if !text.contains('{') {
            return text.to_owned();
        }
        text.replace("{host}", &self.host)
            .replace("{user}", &self.user)
            .replace("{ip}", &self.ip)
            .replace("{os_version}", &self.os_version)
    }
}

#[derive(Debug, Clone)]
pub struct Endpoint {
    pub os: Os,
    pub files: Files,
    pub registry: Registry,
    pub processes: Processes,
    pub drives: Vec<String>,
    pub cwd: String,
    /// Programs that only this endpoint has; they come before those of the table.
    pub programs: Arc<[Row]>,
    pub memory: Memory,
    /// Bytes that still fit on its disks.
    pub free: u64,
    /// Files that are still being written.
    late: Vec<Late>,
}

/// A file that will be there when what writes it has ended.
#[derive(Debug, Clone)]
struct Late {
    /// The program that writes it; none for the sensor itself.
    pid: Option<u64>,
    due: i64,
    parts: Vec<String>,
    content: Content,
    /// The folder that its program runs in, without which it writes nothing.
    within: Option<Vec<String>>,
}

/// The outcome of an order, and how long it took beyond the ordinary.
#[derive(Debug, Clone)]
pub struct Performed {
    pub result: Result<Yield, Code>,
    pub takes: Duration,
    /// A command line that the table of programs does not know.
    pub unknown_program: Option<String>,
}

impl Performed {
    /// Nothing was done.
    pub fn refused(code: Code) -> Self {
        Self {
            result: Err(code),
            takes: Duration::ZERO,
            unknown_program: None,
        }
    }
}

impl Endpoint {
    /// An endpoint with files and nothing else.
    pub fn new(os: Os, files: Files) -> Self {
        let (drive, cwd) = if os == Os::Windows {
            (r"C:\", r"C:\Windows\system32")
        } else {
            ("/", "/")
        };
        Self {
            os,
            files,
            registry: Registry::default(),
            processes: Processes::default(),
            drives: vec![drive.to_owned()],
            cwd: cwd.to_owned(),
            programs: Arc::default(),
            memory: Memory::default(),
            free: u64::MAX,
            late: Vec::new(),
        }
    }

    /// What its sensor can do.
    pub fn supported(&self) -> Vec<&'static str> {
        order::NAMES
            .into_iter()
            .filter(|name| self.os == Os::Windows || !is_of_windows(name))
            .collect()
    }

    /// Puts a file or an empty directory there, with the folders that lead to it.
    pub fn plant(
        &mut self,
        path: &str,
        content: Option<Content>,
        edit: impl FnOnce(&mut Node),
    ) -> Result<(), Code> {
        let parts = self.locate(path)?;
        let name = parts.last().map_or("", String::as_str);
        let mut node = match content {
            Some(content) => Node::file(name, content, 0),
            None => Node::directory(name, 0),
        };
        edit(&mut node);
        self.files.plant(&parts, node);
        Ok(())
    }

    /// Takes away what is there, with everything below it.
    pub fn remove(&mut self, path: &str) -> Result<(), Code> {
        let parts = self.locate(path)?;
        self.files.remove(&parts)
    }

    /// Does what is asked. `now` is in milliseconds since the world began; `upload` is what `put file` puts.
    pub fn perform(
        &mut self,
        order: &Order,
        now: i64,
        facts: &Facts,
        upload: Option<&Clip>,
    ) -> Performed {
        self.settle(now);
        match order {
            Order::CreateProcess { .. } => return self.create_process(order, now, facts),
            Order::MemDump { path, compress } => return self.dump_memory(path, *compress, now),
            _ => {}
        }
        Performed {
            result: self.answer(order, now, upload),
            takes: Duration::ZERO,
            unknown_program: None,
        }
    }

    fn answer(&mut self, order: &Order, now: i64, upload: Option<&Clip>) -> Result<Yield, Code> {
        if self.os != Os::Windows && is_of_windows(order.name()) {
            return Err(Code::NOT_SUPPORTED);
        }
        match order {
            Order::DirectoryList { path } => {
                let at = path::locate(self.os, path, &self.cwd)?;
                self.files.list(&at).map(Yield::Entries)
            }
            Order::GetFile {
                path,
                offset,
                count,
            } => {
                let parts = self.locate(path)?;
                self.files.read(&parts, *offset, *count).map(Yield::File)
            }
            Order::PutFile { path, .. } => {
                let content = upload.ok_or(Code::FILE_NOT_FOUND)?.clone().into_content();
                let parts = self.locate(path)?;
                let size = content.len();
                if size > self.free {
                    return Err(Code::DISK_FULL);
                }
                self.files.put(&parts, content, now)?;
                self.free -= size;
                Ok(Yield::Done)
            }
            Order::DeleteFile { path } => self.delete_file(path),
            Order::CreateDirectory { path } => {
                let parts = self.locate(path)?;
                self.files.create_directory(&parts, now)?;
                Ok(Yield::Done)
            }
            Order::ProcessList => Ok(Yield::Processes(
                self.processes.all().into_iter().cloned().collect(),
            )),
            Order::Kill { pid } => {
                self.processes.kill(*pid)?;
                // What a killed program had not written yet, it never will.
                self.late.retain(|late| late.pid != Some(*pid));
                Ok(Yield::Done)
            }
            _ => self.registry_answer(order),
        }
    }

    fn registry_answer(&mut self, order: &Order) -> Result<Yield, Code> {
        let done = |(): ()| Yield::Done;
        match order {
            Order::RegEnumKey { path } => self
                .registry
                .enumerate(path)
                .map(|(values, sub_keys)| Yield::Key { values, sub_keys }),
            Order::RegQueryValue { path } => self.registry.query(path).map(Yield::Value),
            Order::RegCreateKey { path } => self.registry.create(path).map(done),
            Order::RegDeleteKey { path } => self.registry.delete(path).map(done),
            Order::RegDeleteValue { path } => self.registry.delete_value(path).map(done),
            Order::RegSetValue {
                path,
                kind,
                data,
                overwrite,
            } => {
                let value = Value {
                    name: String::new(),
                    kind,
                    data: data.clone(),
                };
                self.registry.set(path, value, *overwrite).map(done)
            }
            _ => Err(Code::INVALID_PARAMETER),
        }
    }

    fn delete_file(&mut self, path: &str) -> Result<Yield, Code> {
        let parts = self.locate(path)?;
        let whole = parts.join(&self.os.separator().to_string());
        if self.os == Os::Windows
            && self.files.node(&parts).is_some()
            && self.processes.runs(&whole)
        {
            return Err(Code::ACCESS_DENIED);
        }
        let size = self
            .files
            .node(&parts)
            .and_then(|node| node.content.as_ref());
        let size = size.map_or(0, Content::len);
        self.files.delete(&parts)?;
        self.free = self.free.saturating_add(size);
        Ok(Yield::Done)
    }

    fn create_process(&mut self, order: &Order, now: i64, facts: &Facts) -> Performed {
        let started = self.start(order, now, facts);
        let unknown_program = match (&started, order) {
            (Ok(begun), Order::CreateProcess { line, .. }) if !begun.known => Some(line.clone()),
            (Err(Code::FILE_NOT_FOUND), Order::CreateProcess { line, .. }) => Some(line.clone()),
            _ => None,
        };
        let waits = matches!(order, Order::CreateProcess { wait: true, .. });
        let takes = match &started {
            Ok(begun) if waits => begun.takes,
            _ => Duration::ZERO,
        };
        let result = started.map(|begun| Yield::Started {
            pid: begun.pid,
            return_code: if waits { begun.code } else { -1 },
        });
        Performed {
            result,
            takes,
            unknown_program,
        }
    }

    fn start(&mut self, order: &Order, now: i64, facts: &Facts) -> Result<Begun, Code> {
        let Order::CreateProcess {
            line,
            working_directory,
            output_file,
            ..
        } = order
        else {
            return Err(Code::INVALID_PARAMETER);
        };
        let folder = working_directory.as_ref().unwrap_or(&self.cwd).clone();
        let within = self.locate(&folder)?;
        if working_directory.is_some() && !self.files.is_directory(&within) {
            return Err(Code::NOT_A_DIRECTORY);
        }
        let output = match output_file {
            Some(path) => {
                let parts = self.locate(path)?;
                self.files.check_folder(&parts)?;
                Some(parts)
            }
            None => None,
        };
        let run = programs::start(line, self, facts)?;
        let written = run.writes.iter().map(|file| {
            let at = path::locate(self.os, &file.path, &folder)?;
            Ok((at.parts, Content::text(&file.text)))
        });
        let writes: Vec<_> = written.collect::<Result<_, Code>>()?;
        let pid = self.processes.next_pid();
        let due = now.saturating_add(i64::try_from(run.takes.as_millis()).unwrap_or(i64::MAX));
        let (user, sid) = process::system(self.os);
        self.processes.plant(Process {
            pid,
            parent: 0,
            path: run.image.as_str().into(),
            line: line.as_str().into(),
            user: user.into(),
            sid: sid.into(),
            created: now,
            protected: false,
            ends: Some(due),
        });
        let saved = run.change.and_then(|change| change.apply(self));
        let output = output.map(|parts| (parts, Content::Bytes(run.output.into())));
        for (parts, content) in saved.into_iter().chain(output) {
            self.late.push(Late {
                pid: Some(pid),
                due,
                parts,
                content,
                within: None,
            });
        }
        for (parts, content) in writes {
            self.late.push(Late {
                pid: Some(pid),
                due,
                parts,
                content,
                within: Some(within.clone()),
            });
        }
        Ok(Begun {
            pid,
            code: run.code,
            takes: run.takes,
            known: run.known,
        })
    }

    /// Lets everything happen that is due by `now`.
    fn settle(&mut self, now: i64) {
        self.processes.reap(now);
        let (due, late) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|late| late.due <= now);
        self.late = late;
        let due: Vec<Late> = due;
        for late in due {
            match (&late.within, late.parts.last()) {
                (Some(within), Some(name)) if self.files.is_directory(within) => {
                    let node = Node::file(name, late.content, late.due);
                    self.files.plant(&late.parts, node);
                }
                (Some(_), _) => {}
                (None, _) => self.files.write(&late.parts, late.content, late.due),
            }
        }
    }

    fn locate(&self, path: &str) -> Result<Vec<String>, Code> {
        path::locate(self.os, path, &self.cwd).map(|at| at.parts)
    }
}

/// Does only a Windows sensor have this command?
fn is_of_windows(name: &str) -> bool {
    name == "memdump" || name.starts_with("reg ")
}

struct Begun {
    pid: u64,
    code: i64,
    takes: Duration,
    known: bool,
}
