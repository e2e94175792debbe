//! What a simulated endpoint is told to do, and what it answers.

use super::content::Clip;
use super::files::Entry;
use super::process::Process;
use super::registry::{Overwrite, Value};
use serde_json::{Map, Value as Json, json};

/// One command of a Live Response session, checked for shape but not for sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    PutFile {
        path: String,
        file_id: String,
    },
    GetFile {
        path: String,
        offset: u64,
        count: Option<u64>,
    },
    DeleteFile {
        path: String,
    },
    CreateDirectory {
        path: String,
    },
    DirectoryList {
        path: String,
    },
    RegEnumKey {
        path: String,
    },
    RegQueryValue {
        path: String,
    },
    RegCreateKey {
        path: String,
    },
    RegDeleteKey {
        path: String,
    },
    RegDeleteValue {
        path: String,
    },
    RegSetValue {
        path: String,
        kind: &'static str,
        data: String,
        overwrite: Overwrite,
    },
    ProcessList,
    Kill {
        pid: u64,
    },
    CreateProcess {
        line: String,
        wait: bool,
        working_directory: Option<String>,
        output_file: Option<String>,
    },
    MemDump {
        path: String,
        compress: bool,
    },
}

/// Names in the order of the vendor's documents; memory and registry are for Windows only.
pub const NAMES: [&str; 15] = [
    "put file",
    "get file",
    "memdump",
    "create directory",
    "delete file",
    "directory list",
    "reg enum key",
    "reg query value",
    "reg create key",
    "reg delete key",
    "reg delete value",
    "reg set value",
    "process list",
    "kill",
    "create process",
];

impl Order {
    /// The API's own name of it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PutFile { .. } => "put file",
            Self::GetFile { .. } => "get file",
            Self::DeleteFile { .. } => "delete file",
            Self::CreateDirectory { .. } => "create directory",
            Self::DirectoryList { .. } => "directory list",
            Self::RegEnumKey { .. } => "reg enum key",
            Self::RegQueryValue { .. } => "reg query value",
            Self::RegCreateKey { .. } => "reg create key",
            Self::RegDeleteKey { .. } => "reg delete key",
            Self::RegDeleteValue { .. } => "reg delete value",
            Self::RegSetValue { .. } => "reg set value",
            Self::ProcessList => "process list",
            Self::Kill { .. } => "kill",
            Self::CreateProcess { .. } => "create process",
            Self::MemDump { .. } => "memdump",
        }
    }

    /// What it is about, as the books tell it; none for what only reads.
    pub fn change(&self) -> Option<String> {
        match self {
            Self::GetFile { .. }
            | Self::DirectoryList { .. }
            | Self::RegEnumKey { .. }
            | Self::RegQueryValue { .. }
            | Self::ProcessList => None,
            Self::Kill { pid } => Some(pid.to_string()),
            Self::CreateProcess { line, .. } => Some(line.clone()),
            Self::PutFile { path, .. }
            | Self::DeleteFile { path }
            | Self::CreateDirectory { path }
            | Self::RegCreateKey { path }
            | Self::RegDeleteKey { path }
            | Self::RegDeleteValue { path }
            | Self::RegSetValue { path, .. }
            | Self::MemDump { path, .. } => Some(path.clone()),
        }
    }

    /// The arguments as the service echoes them: the operand is always called `object`.
    pub fn echo(&self) -> Json {
        let mut echo = Map::from_iter([("name".to_owned(), json!(self.name()))]);
        let mut put = |key: &str, value: Json| {
            echo.insert(key.to_owned(), value);
        };
        match self {
            Self::ProcessList => {}
            Self::Kill { pid } => put("object", json!(pid)),
            Self::PutFile { path, file_id } => {
                put("object", json!(path));
                put("file_id", json!(file_id));
                put("chunkNumber", json!(0));
            }
            Self::GetFile {
                path,
                offset,
                count,
            } => {
                put("object", json!(path));
                if *offset > 0 || count.is_some() {
                    put("offset", json!(offset));
                    put("get_count", json!(count.unwrap_or(0)));
                }
            }
            Self::CreateProcess {
                line,
                wait,
                working_directory,
                output_file,
            } => {
                put("object", json!(line));
                put("wait", json!(wait));
                for (key, value) in [
                    ("working_directory", working_directory),
                    ("output_file", output_file),
                ] {
                    if let Some(value) = value {
                        put(key, json!(value));
                    }
                }
            }
            Self::RegSetValue {
                path,
                kind,
                data,
                overwrite,
            } => {
                put("object", json!(path));
                put("value_type", json!(kind));
                put("value_data", json!(data));
                put("overwrite", json!(*overwrite == Overwrite::Yes));
            }
            Self::MemDump { path, compress } => {
                put("object", json!(path));
                put("compress", json!(compress));
            }
            Self::DeleteFile { path }
            | Self::CreateDirectory { path }
            | Self::DirectoryList { path }
            | Self::RegEnumKey { path }
            | Self::RegQueryValue { path }
            | Self::RegCreateKey { path }
            | Self::RegDeleteKey { path }
            | Self::RegDeleteValue { path } => put("object", json!(path)),
        }
        Json::Object(echo)
    }
}

/// What a command brought.
#[derive(Debug, Clone)]
pub enum Yield {
    Done,
    File(Clip),
    Entries(Vec<Entry>),
    Processes(Vec<Process>),
    Key {
        values: Vec<Value>,
        sub_keys: Vec<String>,
    },
    Value(Value),
    /// `return_code` is -1 when nobody waited.
    Started {
        pid: u64,
        return_code: i64,
    },
    /// The memory lies in its file.
    Dumped,
}
