//! What to ask an endpoint to see whether a command was carried out, and what its answer says.
//!
//! A program that ran leaves no trace that it did, and a dump none that it is whole: nothing is asked for them.

use crate::model::command::{Command, CommandResult, DirEntry, Process, RegistryValue};
use crate::model::conceal::NO_LOG;
use crate::model::device::Os;
use crate::model::event::Settled;
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::secret::mark;
use std::cell::Cell;

/// What is asked, if anything can tell.
pub(super) fn question(command: &Command, os: Os) -> Option<Command> {
    if is_withheld(command) {
        return None;
    }
    let path = operand_of(command)?;
    Some(match command {
        Command::PutFile { .. } | Command::CreateDirectory { .. } | Command::DeleteFile { .. } => {
            let path = entry_path(path, os)?.to_owned();
            Command::DirectoryList { path }
        }
        Command::RegCreateKey { .. } | Command::RegDeleteKey { .. } => {
            let path = path.to_owned();
            Command::RegEnumKey { path }
        }
        Command::RegSetValue { .. } | Command::RegDeleteValue { .. } => {
            let path = path.to_owned();
            Command::RegQueryValue { path }
        }
        _ => Command::ProcessList,
    })
}

/// Whether there is a question that tells.
pub(super) fn can_tell(command: &Command) -> bool {
    operand_of(command).is_some()
}

/// What a command of which a trace is left is about; the path of a process for one that ends it.
fn operand_of(command: &Command) -> Option<&str> {
    match command {
        Command::PutFile { path, .. }
        | Command::CreateDirectory { path }
        | Command::DeleteFile { path }
        | Command::RegCreateKey { path }
        | Command::RegDeleteKey { path }
        | Command::RegSetValue { path, .. }
        | Command::RegDeleteValue { path } => Some(path),
        Command::Kill { path, .. } => Some(path.raw()),
        Command::GetFile { .. }
        | Command::DirectoryList { .. }
        | Command::RegEnumKey { .. }
        | Command::RegQueryValue { .. }
        | Command::ProcessList
        | Command::CreateProcess { .. }
        | Command::MemDump { .. } => None,
    }
}

/// Whether it comes from a journal that withholds part of it: nothing of such a name is on the endpoint, which
/// would pass for an absence.
fn is_withheld(command: &Command) -> bool {
    let secret = mark("");
    let secret = secret.trim_end_matches(']');
    let found = Cell::new(false);
    let mark = |text: &mut String| {
        found.set(found.get() || text.contains(NO_LOG) || text.contains(secret));
    };
    command.clone().conceal(&mark);
    found.get()
}

/// A path by which the one entry is listed; a root is none.
fn entry_path(path: &str, os: Os) -> Option<&str> {
    let ends = |c| c == '/' || (os == Os::Windows && c == '\\');
    let path = path.trim_end_matches(ends);
    (!path.is_empty() && !path.ends_with(':')).then_some(path)
}

/// What the answer to the question says of the command.
pub(super) fn judge(command: &Command, answer: &Result<CommandResult, Cause>) -> Settled {
    let seen = match answer {
        Ok(result) => result,
        Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => return of_absence(command),
        Err(_) => return Settled::Unclear,
    };
    match (command, seen) {
        (Command::Kill { .. }, CommandResult::Processes(all)) => {
            done_if(!all.iter().any(|process| is_it(command, process)))
        }
        (Command::RegCreateKey { .. }, CommandResult::Key { .. }) => Settled::Done,
        (Command::RegDeleteKey { .. }, CommandResult::Key { .. })
        | (Command::RegDeleteValue { .. }, CommandResult::Value(_)) => Settled::NotDone,
        (Command::RegSetValue { kind, data, .. }, CommandResult::Value(value)) => {
            of_value(kind, data, value)
        }
        (_, CommandResult::Entries(entries)) => match &entries[..] {
            [] => of_absence(command),
            [entry] => of_entry(command, entry),
            _ => Settled::Unclear,
        },
        _ => Settled::Unclear,
    }
}

/// What it is about is not there; nor is what that would be in, which comes to the same.
const fn of_absence(command: &Command) -> Settled {
    match command {
        Command::DeleteFile { .. }
        | Command::RegDeleteKey { .. }
        | Command::RegDeleteValue { .. } => Settled::Done,
        Command::PutFile { .. }
        | Command::CreateDirectory { .. }
        | Command::RegSetValue { .. }
        | Command::RegCreateKey { .. } => Settled::NotDone,
        _ => Settled::Unclear,
    }
}

fn of_entry(command: &Command, entry: &DirEntry) -> Settled {
    match command {
        Command::DeleteFile { .. } => Settled::NotDone,
        Command::CreateDirectory { .. } => done_if(entry.is_directory()),
        Command::PutFile { size, .. } if !entry.is_directory() && entry.size == *size => {
            Settled::Done
        }
        _ => Settled::Unclear,
    }
}

fn done_if(done: bool) -> Settled {
    if done {
        Settled::Done
    } else {
        Settled::NotDone
    }
}

fn of_value(kind: &str, data: &[String], value: &RegistryValue) -> Settled {
    let (wanted, found) = (data.join(","), value.data.raw());
    let is_kind = value.kind.eq_ignore_ascii_case(kind);
    let is_same = match (number(&wanted), number(found)) {
        (Some(wanted), Some(found)) if is_number(kind) => wanted == found,
        _ => wanted == found,
    };
    match kind {
        _ if is_kind && is_same => Settled::Done,
        // Of what is no plain text sensors differ in how they write it.
        "REG_SZ" | "REG_EXPAND_SZ" => Settled::NotDone,
        _ if is_number(kind) && number(found).is_some() => Settled::NotDone,
        _ => Settled::Unclear,
    }
}

fn is_number(kind: &str) -> bool {
    matches!(kind, "REG_DWORD" | "REG_QWORD")
}

fn number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match digits {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Whether it is the process that was to end, and not another one that has got its number.
fn is_it(command: &Command, process: &Process) -> bool {
    let Command::Kill { pid, created, path } = command else {
        return false;
    };
    let is_then = match (created, &process.created) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => true,
    };
    let (wanted, found) = (path.raw(), process.path.raw());
    let is_there =
        wanted.is_empty() || found.is_empty() || wanted.to_lowercase() == found.to_lowercase();
    process.pid == *pid && is_then && is_there
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::FileId;

    fn at(path: &str) -> String {
        path.to_owned()
    }

    fn put(path: &str) -> Command {
        Command::PutFile {
            path: at(path),
            file: FileId::from("f"),
            size: 5,
        }
    }

    fn set(kind: &str, data: &[&str]) -> Command {
        Command::RegSetValue {
            path: at(r"HKLM\a\b"),
            kind: kind.into(),
            data: data.iter().map(|text| (*text).to_owned()).collect(),
            overwrite: true,
        }
    }

    fn kill(created: Option<&str>) -> Command {
        Command::Kill {
            pid: 7,
            created: created.map(|time| time.parse().expect("a time")),
            path: r"C:\bad.exe".into(),
        }
    }

    fn entry(size: u64, is_directory: bool) -> CommandResult {
        let attributes = is_directory.then(|| "DIRECTORY".to_owned());
        CommandResult::Entries(vec![DirEntry {
            name: "b".into(),
            size,
            attributes: attributes.into_iter().collect(),
            created: None,
            accessed: None,
            written: None,
        }])
    }

    fn value(kind: &str, data: &str) -> CommandResult {
        CommandResult::Value(RegistryValue {
            name: "b".into(),
            kind: kind.into(),
            data: data.into(),
        })
    }

    fn key() -> CommandResult {
        CommandResult::Key {
            values: Vec::new(),
            sub_keys: Vec::new(),
        }
    }

    fn processes(pid: u64, path: &str, created: Option<&str>) -> CommandResult {
        CommandResult::Processes(vec![Process {
            pid,
            parent_pid: None,
            path: path.into(),
            command_line: "".into(),
            user: "".into(),
            created: created.map(|time| time.parse().expect("a time")),
        }])
    }

    #[test]
    fn each_command_has_its_question() {
        let list = |path: &str| Some(Command::DirectoryList { path: at(path) });
        let (path, windows) = (at(r"HKLM\a\b"), Os::Windows);
        let table = [
            (put(r"C:\a\b"), windows, list(r"C:\a\b")),
            (
                Command::CreateDirectory { path: at(r"C:\a\") },
                windows,
                list(r"C:\a"),
            ),
            (
                Command::DeleteFile { path: at("/a\\") },
                Os::Linux,
                list("/a\\"),
            ),
            (Command::DeleteFile { path: at(r"C:\") }, windows, None),
            (Command::DeleteFile { path: at("/") }, Os::Linux, None),
            (
                set("REG_SZ", &["x"]),
                windows,
                Some(Command::RegQueryValue { path: path.clone() }),
            ),
            (
                Command::RegDeleteValue { path: path.clone() },
                windows,
                Some(Command::RegQueryValue { path: path.clone() }),
            ),
            (
                Command::RegCreateKey { path: path.clone() },
                windows,
                Some(Command::RegEnumKey { path: path.clone() }),
            ),
            (
                Command::RegDeleteKey { path: path.clone() },
                windows,
                Some(Command::RegEnumKey { path }),
            ),
            (kill(None), windows, Some(Command::ProcessList)),
            (
                Command::MemDump {
                    path: at("C:\\m"),
                    compress: true,
                },
                windows,
                None,
            ),
            (Command::ProcessList, windows, None),
        ];
        for (command, os, expected) in table {
            assert_eq!(question(&command, os), expected, "{command:?}");
        }
        let program = Command::CreateProcess {
            command_line: "x".into(),
            wait: true,
            working_directory: None,
            output_file: None,
        };
        assert!(!can_tell(&program) && can_tell(&kill(None)));
    }

    #[test]
    fn what_is_withheld_is_not_asked_for() {
        for path in [r"C:\[secret name]\a", NO_LOG] {
            let delete = Command::DeleteFile { path: at(path) };
            assert_eq!(question(&delete, Os::Windows), None);
        }
        let set = set("REG_SZ", &["a", "[secret word]"]);
        assert_eq!(question(&set, Os::Windows), None);
    }

    fn gone(code: u32) -> Result<CommandResult, Cause> {
        Err(Cause::Endpoint { code })
    }

    fn assert_all<const N: usize>(table: [(Command, Result<CommandResult, Cause>, Settled); N]) {
        for (command, answer, expected) in table {
            assert_eq!(judge(&command, &answer), expected, "{command:?} {answer:?}");
        }
    }

    #[test]
    fn a_listing_says_what_became_of_a_file() {
        use Settled::{Done, NotDone, Unclear};
        let delete = || Command::DeleteFile { path: at("b") };
        let create = || Command::CreateDirectory { path: at("b") };
        let none = || Ok(CommandResult::Entries(Vec::new()));
        assert_all([
            (put("b"), Ok(entry(5, false)), Done),
            (put("b"), Ok(entry(4, false)), Unclear),
            (put("b"), Ok(entry(5, true)), Unclear),
            (put("b"), gone(0x8007_0002), NotDone),
            (put("b"), gone(0x8007_0003), NotDone),
            (put("b"), none(), NotDone),
            (put("b"), gone(0x8007_0005), Unclear),
            (put("b"), Err(Cause::SessionLost), Unclear),
            (put("b"), Ok(key()), Unclear),
            (create(), Ok(entry(0, true)), Done),
            (create(), Ok(entry(0, false)), NotDone),
            (create(), gone(0x8007_0003), NotDone),
            (delete(), Ok(entry(5, false)), NotDone),
            (delete(), gone(0x8007_0002), Done),
            (delete(), none(), Done),
            (delete(), gone(0x8007_0015), Unclear),
        ]);
    }

    #[test]
    fn a_query_says_what_became_of_a_value_or_a_key() {
        use Settled::{Done, NotDone, Unclear};
        let path = || at(r"HKLM\a\b");
        assert_all([
            (set("REG_SZ", &["x"]), Ok(value("REG_SZ", "x")), Done),
            (set("REG_SZ", &["x"]), Ok(value("REG_SZ", "X")), NotDone),
            (
                set("REG_SZ", &["x"]),
                Ok(value("REG_EXPAND_SZ", "x")),
                NotDone,
            ),
            (
                set("REG_DWORD", &["0x10"]),
                Ok(value("REG_DWORD", "16")),
                Done,
            ),
            (
                set("REG_DWORD", &["1"]),
                Ok(value("reg_dword", "0x1")),
                Done,
            ),
            (
                set("REG_DWORD", &["1"]),
                Ok(value("REG_DWORD", "2")),
                NotDone,
            ),
            (
                set("REG_DWORD", &["1"]),
                Ok(value("REG_DWORD", "?")),
                Unclear,
            ),
            (
                set("REG_MULTI_SZ", &["a", "b"]),
                Ok(value("REG_MULTI_SZ", "a,b")),
                Done,
            ),
            (
                set("REG_MULTI_SZ", &["a", "b"]),
                Ok(value("REG_MULTI_SZ", "a b")),
                Unclear,
            ),
            (
                set("REG_BINARY", &["00ff"]),
                Ok(value("REG_BINARY", "00ff")),
                Done,
            ),
            (set("REG_SZ", &["x"]), gone(0x8007_0002), NotDone),
            (Command::RegCreateKey { path: path() }, Ok(key()), Done),
            (
                Command::RegCreateKey { path: path() },
                gone(0x8007_0002),
                NotDone,
            ),
            (Command::RegDeleteKey { path: path() }, Ok(key()), NotDone),
            (
                Command::RegDeleteKey { path: path() },
                gone(0x8007_0002),
                Done,
            ),
            (
                Command::RegDeleteValue { path: path() },
                Ok(value("REG_SZ", "x")),
                NotDone,
            ),
            (
                Command::RegDeleteValue { path: path() },
                gone(0x8007_0002),
                Done,
            ),
        ]);
    }

    #[test]
    fn a_list_of_processes_says_whether_one_ended() {
        use Settled::{Done, NotDone, Unclear};
        let (early, late) = ("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z");
        assert_all([
            (
                kill(Some(early)),
                Ok(processes(7, r"c:\BAD.exe", Some(early))),
                NotDone,
            ),
            (
                kill(Some(early)),
                Ok(processes(7, r"C:\bad.exe", Some(late))),
                Done,
            ),
            (
                kill(Some(early)),
                Ok(processes(7, r"C:\other.exe", None)),
                Done,
            ),
            (kill(Some(early)), Ok(processes(7, "", None)), NotDone),
            (
                kill(Some(early)),
                Ok(processes(8, r"C:\bad.exe", Some(early))),
                Done,
            ),
            (kill(None), gone(0x8007_0002), Unclear),
        ]);
    }
}
