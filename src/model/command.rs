//! The closed vocabulary of one Live Response conversation, in the API's own words.

use super::device::Os;
use super::event::Started;
use super::id::{CommandId, FileId, SessionId};
use super::remote::RemoteText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What can be asked of an endpoint. Paths are the endpoint's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name")]
pub enum Command {
    #[serde(rename = "get file")]
    GetFile {
        path: String,
        offset: u64,
        count: Option<u64>,
    },
    /// Writes a file that was uploaded to the session's store; one that is there already is never replaced.
    #[serde(rename = "put file")]
    PutFile {
        path: String,
        file: FileId,
        /// Bytes, so that a look at the path can tell whether it is done. No part of what is sent.
        size: u64,
    },
    /// Takes away a file, or a directory with nothing in it.
    #[serde(rename = "delete file")]
    DeleteFile { path: String },
    /// One level: what it stands in has to be there.
    #[serde(rename = "create directory")]
    CreateDirectory { path: String },
    /// A path that ends in the separator lists the directory; without it the one entry.
    #[serde(rename = "directory list")]
    DirectoryList { path: String },
    #[serde(rename = "reg enum key")]
    RegEnumKey { path: String },
    #[serde(rename = "reg query value")]
    RegQueryValue { path: String },
    #[serde(rename = "reg set value")]
    RegSetValue {
        path: String,
        /// `REG_SZ` and so on.
        #[serde(rename = "type")]
        kind: String,
        /// One text; several of `REG_MULTI_SZ`.
        data: Vec<String>,
        overwrite: bool,
    },
    #[serde(rename = "reg create key")]
    RegCreateKey { path: String },
    #[serde(rename = "reg delete key")]
    RegDeleteKey { path: String },
    #[serde(rename = "reg delete value")]
    RegDeleteValue { path: String },
    #[serde(rename = "process list")]
    ProcessList,
    /// Ends a process.
    #[serde(rename = "kill")]
    Kill {
        pid: u64,
        /// With its path, which process it is: a number is given to another one later. No part of what is sent.
        created: Option<Timestamp>,
        path: RemoteText,
    },
    #[serde(rename = "create process")]
    CreateProcess {
        command_line: String,
        wait: bool,
        working_directory: Option<String>,
        /// Standard output and error, merged, on the endpoint.
        output_file: Option<String>,
    },
    #[serde(rename = "memdump")]
    MemDump {
        path: String,
        /// The sensor writes the dump to the path with `.zip` after it.
        compress: bool,
    },
}

impl Command {
    /// The API's own name of it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::GetFile { .. } => "get file",
            Self::PutFile { .. } => "put file",
            Self::DeleteFile { .. } => "delete file",
            Self::CreateDirectory { .. } => "create directory",
            Self::DirectoryList { .. } => "directory list",
            Self::RegEnumKey { .. } => "reg enum key",
            Self::RegQueryValue { .. } => "reg query value",
            Self::RegSetValue { .. } => "reg set value",
            Self::RegCreateKey { .. } => "reg create key",
            Self::RegDeleteKey { .. } => "reg delete key",
            Self::RegDeleteValue { .. } => "reg delete value",
            Self::ProcessList => "process list",
            Self::Kill { .. } => "kill",
            Self::CreateProcess { .. } => "create process",
            Self::MemDump { .. } => "memdump",
        }
    }

    /// What it is about, as backends echo it.
    pub fn operand(&self) -> Option<String> {
        match self {
            Self::GetFile { path, .. }
            | Self::PutFile { path, .. }
            | Self::DeleteFile { path }
            | Self::CreateDirectory { path }
            | Self::DirectoryList { path }
            | Self::RegEnumKey { path }
            | Self::RegQueryValue { path }
            | Self::RegSetValue { path, .. }
            | Self::RegCreateKey { path }
            | Self::RegDeleteKey { path }
            | Self::RegDeleteValue { path }
            | Self::MemDump { path, .. } => Some(path.clone()),
            Self::CreateProcess { command_line, .. } => Some(command_line.clone()),
            Self::Kill { pid, .. } => Some(pid.to_string()),
            Self::ProcessList => None,
        }
    }

    /// It changes nothing, whoever asks: asking twice is asking once.
    pub const fn is_read(&self) -> bool {
        match self {
            Self::GetFile { .. }
            | Self::DirectoryList { .. }
            | Self::RegEnumKey { .. }
            | Self::RegQueryValue { .. }
            | Self::ProcessList => true,
            Self::PutFile { .. }
            | Self::DeleteFile { .. }
            | Self::CreateDirectory { .. }
            | Self::RegSetValue { .. }
            | Self::RegCreateKey { .. }
            | Self::RegDeleteKey { .. }
            | Self::RegDeleteValue { .. }
            | Self::Kill { .. }
            | Self::CreateProcess { .. }
            | Self::MemDump { .. } => false,
        }
    }
}

/// What an ACTIVE session says of its endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFacts {
    pub drives: Vec<RemoteText>,
    pub working_directory: RemoteText,
    /// Empty means: not told.
    pub supported_commands: Vec<String>,
}

/// The answer to a finished command.
#[derive(Debug, Clone)]
pub struct Reply {
    pub session: SessionId,
    pub command: CommandId,
    pub result: CommandResult,
    /// The body as it came, for the bag.
    pub raw: Vec<u8>,
}

impl Reply {
    /// Nobody heard the answer: a look at the endpoint said that it is done.
    pub const fn is_inferred(&self) -> bool {
        self.raw.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum CommandResult {
    /// It is done, and says no more.
    Done,
    /// The file now lies in the session's store.
    File(FileId),
    Entries(Vec<DirEntry>),
    Processes(Vec<Process>),
    Key {
        values: Vec<RegistryValue>,
        sub_keys: Vec<RemoteText>,
    },
    Value(RegistryValue),
    /// `return_code` is absent or -1 when nobody waited.
    Started {
        pid: Option<u64>,
        return_code: Option<i64>,
    },
}

impl CommandResult {
    /// Of a program that was started.
    pub const fn started(&self) -> Option<Started> {
        match self {
            Self::Started { pid, return_code } => Some(Started {
                pid: *pid,
                return_code: *return_code,
            }),
            _ => None,
        }
    }

    /// What the answer was, in short: the whole of it stays in the body as it came.
    pub fn brief(&self) -> Value {
        match self {
            Self::Done => json!({}),
            Self::File(id) => json!({"file_id": id}),
            Self::Entries(entries) => json!({"entries": entries.len()}),
            Self::Processes(processes) => json!({"processes": processes.len()}),
            Self::Key { values, sub_keys } => {
                json!({"values": values.len(), "sub_keys": sub_keys.len()})
            }
            Self::Value(value) => json!({"type": value.kind}),
            Self::Started { pid, return_code } => json!({"pid": pid, "return_code": return_code}),
        }
    }
}

/// One line of a directory listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DirEntry {
    pub name: RemoteText,
    /// Bytes.
    pub size: u64,
    /// `FILE_ATTRIBUTE_` names without the prefix.
    pub attributes: Vec<String>,
    pub created: Option<Timestamp>,
    pub accessed: Option<Timestamp>,
    pub written: Option<Timestamp>,
}

impl DirEntry {
    pub fn is_directory(&self) -> bool {
        self.has("DIRECTORY")
    }

    /// Links and junctions: following them leads out of what was asked for.
    pub fn is_reparse_point(&self) -> bool {
        self.has("REPARSE_POINT")
    }

    /// A placeholder of what lies elsewhere: reading it would bring it here.
    pub fn is_offline(&self) -> bool {
        self.has("OFFLINE")
    }

    fn has(&self, attribute: &str) -> bool {
        self.attributes
            .iter()
            .any(|a| a.eq_ignore_ascii_case(attribute))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u64,
    pub parent_pid: Option<u64>,
    pub path: RemoteText,
    pub command_line: RemoteText,
    pub user: RemoteText,
    pub created: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegistryValue {
    /// Empty for a key's default value.
    pub name: RemoteText,
    /// `REG_SZ` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// Always text: numbers decimal, binary as hex, as the API gives it.
    pub data: RemoteText,
}

/// `path` with what stands between its parts at the end, once: that is how a directory is listed.
pub fn directory_operand(path: &str, os: Os) -> String {
    let ends = path.ends_with('/') || (os == Os::Windows && path.ends_with('\\'));
    if ends {
        path.to_owned()
    } else {
        format!("{path}{}", os.separator())
    }
}
