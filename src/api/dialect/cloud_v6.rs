//! Carbon Black Cloud: Live Response v6 and Devices v6. What is asked; `answer` and `device` read
//! what comes back.
//!
//! There is no function for disabling Live Response: nobody could undo it from here.

pub mod answer;
pub mod device;

use crate::model::command::Command;
use crate::model::device::Os;
use crate::model::id::{CommandId, DeviceId, FileId, SessionId};
use crate::wire::{Method, Request};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::sync::Arc;

/// The service refuses larger command bodies.
pub const LARGEST_COMMAND: usize = 10 * 1024;
/// The most devices that one search or one page of a scroll gives.
pub const LARGEST_PAGE: usize = 10_000;

/// The requests of one organisation.
#[derive(Debug, Clone)]
pub struct CloudV6 {
    devices: String,
    sessions: String,
}

/// Which devices to search for.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    Ids(&'a [DeviceId]),
    /// Of these families, or of all if none is named.
    Families(&'a [Os]),
}

impl CloudV6 {
    pub fn new(org_key: &str) -> Self {
        let organisation = format!("/appservices/v6/orgs/{}", segment(org_key));
        Self {
            devices: format!("{organisation}/devices"),
            sessions: format!("{organisation}/liveresponse/sessions"),
        }
    }

    pub fn open(&self, device: DeviceId) -> Request {
        Request::new(Method::Post, &self.sessions).json(&json!({"device_id": device.0}))
    }

    /// All sessions of the organisation.
    pub fn sessions(&self) -> Request {
        Request::new(Method::Get, &self.sessions)
    }

    pub fn session(&self, id: &SessionId) -> Request {
        Request::new(Method::Get, self.of(id, ""))
    }

    pub fn keep_alive(&self, id: &SessionId) -> Request {
        Request::new(Method::Get, self.of(id, "/keepalive"))
    }

    pub fn close(&self, id: &SessionId) -> Request {
        Request::new(Method::Delete, self.of(id, ""))
    }

    pub fn command(&self, id: &SessionId, command: &Command) -> Request {
        let mut members = arguments(command);
        members.insert("name".into(), command.name().into());
        members.insert("session_id".into(), id.as_str().into());
        Request::new(Method::Post, self.of(id, "/commands")).json(&Value::Object(members))
    }

    /// All commands of a session.
    pub fn commands(&self, id: &SessionId) -> Request {
        Request::new(Method::Get, self.of(id, "/commands"))
    }

    pub fn progress(&self, id: &SessionId, command: CommandId) -> Request {
        Request::new(Method::Get, self.of(id, &format!("/commands/{command}")))
    }

    pub fn cancel(&self, id: &SessionId, command: CommandId) -> Request {
        Request::new(Method::Delete, self.of(id, &format!("/commands/{command}")))
    }

    pub fn file(&self, id: &SessionId, file: &FileId) -> Request {
        let tail = format!("/files/{}", segment(file.as_str()));
        Request::new(Method::Get, self.of(id, &tail))
    }

    /// Brings a file into the session's store.
    pub fn upload(
        &self,
        id: &SessionId,
        name: &str,
        content: Arc<[u8]>,
        boundary: &str,
    ) -> Request {
        Request::new(Method::Post, self.of(id, "/files")).file(name, content, boundary)
    }

    pub fn content(&self, id: &SessionId, file: &FileId) -> Request {
        let tail = format!("/files/{}/content", segment(file.as_str()));
        Request::new(Method::Get, self.of(id, &tail))
    }

    /// Up to [`LARGEST_PAGE`] devices at once.
    pub fn search(&self, wanted: Wanted<'_>) -> Request {
        self.device_page("_search", wanted, None)
    }

    /// One page after another, without an end.
    pub fn scroll(&self, wanted: Wanted<'_>, after: Option<&str>) -> Request {
        self.device_page("_scroll", wanted, after)
    }

    fn device_page(&self, route: &str, wanted: Wanted<'_>, after: Option<&str>) -> Request {
        let criteria = match wanted {
            Wanted::Ids(ids) => json!({"id": ids}),
            Wanted::Families([]) => json!({}),
            Wanted::Families(families) => {
                let words: Vec<_> = families.iter().map(|family| os_word(*family)).collect();
                json!({"os": words})
            }
        };
        let mut body = json!({"criteria": criteria, "rows": LARGEST_PAGE});
        if let Some(after) = after {
            body["search_after"] = after.into();
        }
        Request::new(Method::Post, format!("{}/{route}", self.devices)).json(&body)
    }

    fn of(&self, id: &SessionId, tail: &str) -> String {
        format!("{}/{}{tail}", self.sessions, segment(id.as_str()))
    }
}

const fn os_word(os: Os) -> &'static str {
    match os {
        Os::Windows => "WINDOWS",
        Os::Linux => "LINUX",
        Os::Macos => "MAC",
        Os::Other => "OTHER",
    }
}

fn arguments(command: &Command) -> Map<String, Value> {
    let mut members = Map::new();
    match command {
        Command::GetFile {
            path,
            offset,
            count,
        } => {
            members.insert("path".into(), path.as_str().into());
            // Whole files are asked for without either, as every other client does.
            if *offset > 0 || count.is_some() {
                members.insert("offset".into(), (*offset).into());
                members.insert("get_count".into(), count.unwrap_or(0).into());
            }
        }
        Command::PutFile { path, file, .. } => {
            members.insert("path".into(), path.as_str().into());
            members.insert("file_id".into(), file.as_str().into());
        }
        Command::DeleteFile { path }
        | Command::CreateDirectory { path }
        | Command::DirectoryList { path }
        | Command::RegEnumKey { path }
        | Command::RegCreateKey { path }
        | Command::RegDeleteKey { path }
        | Command::RegDeleteValue { path }
        | Command::RegQueryValue { path } => {
            members.insert("path".into(), path.as_str().into());
        }
        Command::RegSetValue {
            path,
            kind,
            data,
            overwrite,
        } => {
            let data = match &data[..] {
                [one] if kind != "REG_MULTI_SZ" => json!(one),
                several => json!(several),
            };
            members.insert("path".into(), path.as_str().into());
            members.insert("value_type".into(), kind.as_str().into());
            members.insert("value_data".into(), data);
            members.insert("overwrite".into(), (*overwrite).into());
        }
        Command::ProcessList => {}
        Command::Kill { pid, .. } => {
            members.insert("pid".into(), (*pid).into());
        }
        Command::CreateProcess {
            command_line,
            wait,
            working_directory,
            output_file,
        } => {
            members.insert("path".into(), command_line.as_str().into());
            members.insert("wait".into(), (*wait).into());
            let optional = [
                ("working_directory", working_directory),
                ("output_file", output_file),
            ];
            for (name, value) in optional {
                if let Some(value) = value {
                    members.insert(name.into(), value.as_str().into());
                }
            }
        }
        Command::MemDump { path, compress } => {
            members.insert("path".into(), path.as_str().into());
            members.insert("compress".into(), (*compress).into());
        }
    }
    members
}

/// One part of a path. The colon stays, as in every client; a slash in an id must not lead elsewhere.
fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // A part of dots alone would be taken for a step up.
    let is_dots = text.bytes().all(|byte| byte == b'.');
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_~:".contains(&byte);
        if plain || (byte == b'.' && !is_dots) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a String takes everything");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_leads_to_another_path() {
        let table = [
            ("7:98765", "7:98765"),
            ("../../devices", "..%2F..%2Fdevices"),
            ("..", "%2E%2E"),
            ("a b?c#d%", "a%20b%3Fc%23d%25"),
        ];
        for (id, part) in table {
            assert_eq!(segment(id), part);
        }
    }
}
