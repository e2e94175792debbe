//! Reads what Live Response v6 answers.

use crate::api::dialect::node::Node;
use crate::api::dialect::refusal::{self, Asked};
use crate::api::dialect::{Progress, SessionStatus, SessionView};
use crate::live::Listed;
use crate::model::command::{
    Command, CommandResult, DirEntry, Process, RegistryValue, Reply, SessionFacts,
};
use crate::model::id::{CommandId, FileId, SessionId};
use crate::model::outcome::Cause;
use crate::wire::Response;
use std::time::Duration;

/// The answer to opening a session or asking for one.
pub fn session(response: &Response, asked: Asked) -> Result<SessionView, Cause> {
    session_view(&refusal::body(response, asked)?)
}

/// The answer to asking for all sessions. One that makes no sense does not hide the others.
pub fn sessions(response: &Response) -> Result<Vec<SessionView>, Cause> {
    let body = refusal::body(response, Asked::Other)?;
    let items = match &body {
        Node::List(items) => items.as_slice(),
        // Some proxies wrap lists.
        other => other.get(&["results", "sessions"]).list(),
    };
    Ok(items
        .iter()
        .filter_map(|item| session_view(item).ok())
        .collect())
}

fn session_view(node: &Node) -> Result<SessionView, Cause> {
    let id = node
        .get(&["id"])
        .id()
        .ok_or_else(|| lacks("a session", "id"))?;
    let status = match node.get(&["status"]).word().as_str() {
        "active" => SessionStatus::Active,
        "timeout" | "timed out" | "close" | "closed" | "error" | "cancelled" | "canceled"
        | "cancel" => SessionStatus::Over,
        _ => SessionStatus::Waiting,
    };
    let idle_limit = ["session_timeout", "sensor_wait_timeout"]
        .iter()
        .filter_map(|name| node.get(&[name]).unsigned())
        .filter(|seconds| *seconds > 0)
        .min();
    Ok(SessionView {
        id: SessionId(id),
        status,
        commands_so_far: node.get(&["current_command_index"]).unsigned().unwrap_or(0),
        created: node.get(&["create_time"]).time(),
        idle_limit: idle_limit.map(Duration::from_secs),
        facts: SessionFacts {
            drives: node.get(&["drives"]).texts(),
            working_directory: node.get(&["current_working_directory"]).text(),
            supported_commands: node
                .get(&["supported_commands"])
                .list()
                .iter()
                .map(Node::word)
                .collect(),
        },
    })
}

/// The answer to handing over a command.
pub fn issued(response: &Response) -> Result<CommandId, Cause> {
    refusal::body(response, Asked::Session)?
        .get(&["id"])
        .unsigned()
        .map(CommandId)
        .ok_or_else(|| lacks("a command", "id"))
}

/// All commands of a session. What is no list must not pass for an empty one.
pub fn commands(response: &Response) -> Result<Vec<Listed>, Cause> {
    let body = refusal::body(response, Asked::Session)?;
    let items = match &body {
        Node::List(items) => items,
        // Some proxies wrap lists.
        other => match other.get(&["results", "commands"]) {
            Node::List(items) => items,
            _ => return Err(lacks("a list of commands", "commands")),
        },
    };
    let read = |item: &Node| {
        let id = item.get(&["id"]).unsigned();
        let operand = nested(item, "input", "object");
        let number = operand.unsigned().map(|number| number.to_string());
        let text = || Some(operand.text().raw().to_owned()).filter(|text| !text.is_empty());
        Ok(Listed {
            id: CommandId(id.ok_or_else(|| lacks("a command", "id"))?),
            name: nested(item, "input", "name").word(),
            operand: number.or_else(text),
        })
    };
    items.iter().map(read).collect()
}

/// The number that the next command of a session will get.
pub fn next_command(response: &Response) -> Result<u64, Cause> {
    refusal::body(response, Asked::Session)?
        .get(&["current_command_index"])
        .unsigned()
        .ok_or_else(|| lacks("a session", "current_command_index"))
}

/// How far `command` is.
pub fn progress(
    response: &Response,
    session: &SessionId,
    id: CommandId,
    command: &Command,
) -> Result<Progress, Cause> {
    let node = refusal::body(response, Asked::Session)?;
    let code = node.get(&["result_code"]).code().unwrap_or(0);
    match node.get(&["status"]).word().as_str() {
        "complete" | "completed" if code == 0 => Ok(Progress::Ended(Reply {
            session: session.clone(),
            command: id,
            result: result(&node, command)?,
            raw: response.body.clone(),
        })),
        // A failure by its number, whatever its status says.
        "complete" | "completed" | "error" => Err(Cause::Endpoint { code }),
        "cancelled" | "canceled" | "cancel" => Err(Cause::CommandCancelled),
        _ => Ok(Progress::Running),
    }
}

/// The answer to an upload. How much the store has of it is no question: it says 0 at first.
pub fn uploaded(response: &Response) -> Result<FileId, Cause> {
    refusal::body(response, Asked::Session)?
        .get(&["id"])
        .id()
        .map(FileId)
        .ok_or_else(|| lacks("an upload", "id"))
}

/// The size of a file in the session's store. The store says 0 before it knows better, so 0 is no size.
pub fn file_size(response: &Response) -> Result<Option<u64>, Cause> {
    let size = refusal::body(response, Asked::File)?
        .get(&["size"])
        .unsigned();
    Ok(size.filter(|size| *size > 0))
}

fn result(node: &Node, command: &Command) -> Result<CommandResult, Cause> {
    Ok(match command {
        Command::GetFile { .. } => {
            let id = nested(node, "file_details", "file_id").id();
            // Without it there is nothing to fetch, and an empty file would be a lie.
            CommandResult::File(FileId(id.ok_or_else(|| lacks("get file", "file_id"))?))
        }
        // How far a dump says that it is, is often wrong: its status alone counts.
        Command::PutFile { .. }
        | Command::DeleteFile { .. }
        | Command::CreateDirectory { .. }
        | Command::RegSetValue { .. }
        | Command::RegCreateKey { .. }
        | Command::RegDeleteKey { .. }
        | Command::RegDeleteValue { .. }
        | Command::Kill { .. }
        | Command::MemDump { .. } => CommandResult::Done,
        Command::DirectoryList { .. } => CommandResult::Entries(each(node.get(&["files"]), entry)?),
        Command::ProcessList => CommandResult::Processes(each(node.get(&["processes"]), process)?),
        Command::RegEnumKey { .. } => CommandResult::Key {
            values: node.get(&["values"]).list().iter().map(value).collect(),
            sub_keys: node.get(&["sub_keys", "subKeys"]).texts(),
        },
        Command::RegQueryValue { .. } => {
            let found = node.get(&["value"]);
            if found.is_absent() {
                return Err(lacks("reg query value", "value"));
            }
            CommandResult::Value(value(found))
        }
        Command::CreateProcess { .. } => CommandResult::Started {
            pid: nested(node, "process_details", "pid").unsigned(),
            return_code: nested(node, "process_details", "return_code").signed(),
        },
    })
}

/// A member of a part, or of the whole as older services have it.
fn nested<'a>(node: &'a Node, part: &str, name: &str) -> &'a Node {
    let inner = node.get(&[part]).get(&[name]);
    if inner.is_absent() {
        node.get(&[name])
    } else {
        inner
    }
}

fn each<T>(node: &Node, read: fn(&Node) -> Result<T, Cause>) -> Result<Vec<T>, Cause> {
    node.list().iter().map(read).collect()
}

fn entry(node: &Node) -> Result<DirEntry, Cause> {
    let name = node.get(&["filename", "name", "file_name"]).text();
    // An empty name would be the directory itself, and a walk would never end.
    if name.is_empty() {
        return Err(lacks("a directory entry", "filename"));
    }
    let attribute = |node: &Node| {
        let word = node.text().raw().trim().to_ascii_uppercase();
        word.strip_prefix("FILE_ATTRIBUTE_")
            .map(str::to_owned)
            .unwrap_or(word)
    };
    Ok(DirEntry {
        name,
        size: node.get(&["size"]).unsigned().unwrap_or(0),
        attributes: node
            .get(&["attributes"])
            .list()
            .iter()
            .map(attribute)
            .collect(),
        created: node.get(&["create_time"]).time(),
        accessed: node.get(&["last_access_time"]).time(),
        written: node.get(&["last_write_time"]).time(),
    })
}

fn process(node: &Node) -> Result<Process, Cause> {
    let pid = node.get(&["process_pid", "pid"]).unsigned();
    Ok(Process {
        pid: pid.ok_or_else(|| lacks("a process", "process_pid"))?,
        parent_pid: node.get(&["parent_pid", "parent"]).unsigned(),
        path: node.get(&["process_path", "path"]).text(),
        command_line: node.get(&["process_cmdline", "command_line"]).text(),
        user: node.get(&["process_username", "username"]).text(),
        created: node.get(&["process_create_time", "create_time"]).time(),
    })
}

fn value(node: &Node) -> RegistryValue {
    let kind = node
        .get(&[
            "registry_type",
            "value_type",
            "registryType",
            "valueType",
            "type",
        ])
        .text();
    RegistryValue {
        name: node
            .get(&[
                "registry_name",
                "value_name",
                "registryName",
                "valueName",
                "name",
            ])
            .text(),
        kind: kind
            .raw()
            .strip_prefix("pb")
            .unwrap_or(kind.raw())
            .to_owned(),
        data: node
            .get(&[
                "registry_data",
                "value_data",
                "registryData",
                "valueData",
                "data",
            ])
            .text(),
    }
}

fn lacks(what: &str, member: &str) -> Cause {
    Cause::BadAnswer {
        detail: format!("{what} without `{member}`"),
    }
}
