//! The port's commands as the world's orders, and what an order brought as the port's answers.

use crate::model::command::{Command, CommandResult, DirEntry, Process, RegistryValue};
use crate::model::id::FileId;
use crate::sim::endpoint::files::Entry;
use crate::sim::endpoint::order::{Order, Yield};
use crate::sim::endpoint::registry::Overwrite;
use crate::sim::endpoint::{process, registry};
use crate::sim::view::CommandView;

pub(super) fn order(command: &Command) -> Order {
    match command.clone() {
        Command::GetFile {
            path,
            offset,
            count,
        } => Order::GetFile {
            path,
            offset,
            count,
        },
        Command::PutFile { path, file, .. } => Order::PutFile {
            path,
            file_id: file.0,
        },
        Command::DeleteFile { path } => Order::DeleteFile { path },
        Command::CreateDirectory { path } => Order::CreateDirectory { path },
        Command::DirectoryList { path } => Order::DirectoryList { path },
        Command::RegEnumKey { path } => Order::RegEnumKey { path },
        Command::RegQueryValue { path } => Order::RegQueryValue { path },
        Command::RegSetValue {
            path,
            kind,
            data,
            overwrite,
        } => Order::RegSetValue {
            path,
            kind: registry::Value::kind(&kind).unwrap_or("REG_NONE"),
            data: data.join(","),
            overwrite: if overwrite {
                Overwrite::Yes
            } else {
                Overwrite::No
            },
        },
        Command::RegCreateKey { path } => Order::RegCreateKey { path },
        Command::RegDeleteKey { path } => Order::RegDeleteKey { path },
        Command::RegDeleteValue { path } => Order::RegDeleteValue { path },
        Command::ProcessList => Order::ProcessList,
        Command::Kill { pid, .. } => Order::Kill { pid },
        Command::CreateProcess {
            command_line,
            wait,
            working_directory,
            output_file,
        } => Order::CreateProcess {
            line: command_line,
            wait,
            working_directory,
            output_file,
        },
        Command::MemDump { path, compress } => Order::MemDump { path, compress },
    }
}

pub(super) fn shown(view: &CommandView, result: &Yield) -> CommandResult {
    match result {
        Yield::Done | Yield::Dumped => CommandResult::Done,
        Yield::File(_) => {
            let id = view.file.as_ref().map(|file| file.uuid.clone());
            CommandResult::File(FileId(id.unwrap_or_default()))
        }
        Yield::Entries(entries) => {
            CommandResult::Entries(entries.iter().map(|entry| listed(view, entry)).collect())
        }
        Yield::Processes(all) => {
            CommandResult::Processes(all.iter().map(|one| process(view, one)).collect())
        }
        Yield::Key { values, sub_keys } => CommandResult::Key {
            values: values.iter().map(value).collect(),
            sub_keys: sub_keys.iter().map(|key| key.as_str().into()).collect(),
        },
        Yield::Value(one) => CommandResult::Value(value(one)),
        Yield::Started { pid, return_code } => CommandResult::Started {
            pid: Some(*pid),
            return_code: Some(*return_code),
        },
    }
}

fn listed(view: &CommandView, entry: &Entry) -> DirEntry {
    DirEntry {
        name: entry.name.as_str().into(),
        size: entry.size,
        attributes: entry.attributes.iter().map(ToString::to_string).collect(),
        created: Some(view.moment(entry.created)),
        accessed: Some(view.moment(entry.accessed)),
        written: Some(view.moment(entry.written)),
    }
}

fn process(view: &CommandView, process: &process::Process) -> Process {
    Process {
        pid: process.pid,
        parent_pid: Some(process.parent),
        path: (*process.path).into(),
        command_line: (*process.line).into(),
        user: (*process.user).into(),
        created: Some(view.moment(process.created)),
    }
}

fn value(value: &registry::Value) -> RegistryValue {
    RegistryValue {
        name: value.name.as_str().into(),
        kind: value.kind.to_owned(),
        data: value.data.as_str().into(),
    }
}
