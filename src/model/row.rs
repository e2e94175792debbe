//! One row of results: what was learnt, in one fixed set of columns for every kind.

use super::outcome::Cause;
use super::remote::RemoteText;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    Device,
    Process,
    File,
    DirEntry,
    RegistryValue,
    Exec,
    Finding,
    Output,
}

/// What a step found. Columns that a kind does not have stay empty; `data` is always text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub kind: RowKind,
    pub path: Option<RemoteText>,
    pub name: Option<RemoteText>,
    #[serde(rename = "type")]
    pub type_: Option<String>,
    pub data: Option<RemoteText>,
    /// Bytes.
    pub size: Option<u64>,
    pub sha256: Option<String>,
    /// Why this one could not be had, where the others could.
    pub cause: Option<Cause>,
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl Row {
    pub fn new(kind: RowKind) -> Self {
        Self {
            kind,
            path: None,
            name: None,
            type_: None,
            data: None,
            size: None,
            sha256: None,
            cause: None,
            extra: serde_json::Map::new(),
        }
    }
}

/// How grave a finding is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 5] = [
        Self::Info,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that an analyst should see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub title: RemoteText,
    pub severity: Severity,
    /// ATT&CK technique ids.
    pub attack: Vec<String>,
    pub evidence: serde_json::Value,
}

/// A file that came from the endpoint: one line of `files.ndjson`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredFile {
    pub original_path: RemoteText,
    /// The exact bytes of the path, where it is not valid Unicode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_path_b64: Option<String>,
    /// From the bag's root: `data/files/C/…`.
    pub stored_path: String,
    pub step_id: super::id::StepId,
    pub size_announced: Option<u64>,
    pub size_received: u64,
    pub sha256: String,
    /// What lies there in place of the file itself, and its own hash.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub packed: Option<Packed>,
    /// `created`, `accessed` and `written`, where the endpoint was asked for them.
    pub times: serde_json::Value,
    pub attributes: Vec<String>,
    pub command_id: super::id::CommandId,
    pub file_id: super::id::FileId,
    pub started: Timestamp,
    pub ended: Timestamp,
    pub attempts: u32,
    pub state: FileState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// How a file lies in the bag that does not lie there as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    pub stored_as: StoredAs,
    pub stored_sha256: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredAs {
    /// With the password `infected`.
    Zip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    Complete,
    /// Evidence too, but never counted as collected.
    Partial,
    Failed,
}
