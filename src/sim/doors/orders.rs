//! Command bodies, read with the services' leniency: booleans as text, numbers as text.

use super::Problem;
use crate::sim::endpoint::order::Order;
use crate::sim::endpoint::registry::{self, Overwrite};
use serde_json::Value;

/// What commands call the things that they are about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operand {
    path: &'static [&'static str],
    pid: &'static [&'static str],
    /// Files are numbers, and not UUIDs alone.
    counts_files: bool,
}

impl Operand {
    /// The sixth version has names of its own, and still takes the older one.
    pub(super) const V6: Self = Self {
        path: &["path", "object"],
        pid: &["pid", "object", "path"],
        counts_files: false,
    };
    pub(super) const OBJECT: Self = Self {
        path: &["object"],
        pid: &["object"],
        counts_files: true,
    };
}

pub(super) fn read(body: &Value, operand: Operand) -> Result<Order, Problem> {
    let name = text(body, "name")?.ok_or_else(|| Problem::bad_request("name is missing"))?;
    let path = || {
        for key in operand.path {
            if let Some(path) = text(body, key)?.filter(|path| !path.is_empty()) {
                return Ok(path);
            }
        }
        let key = operand.path[0];
        Err(Problem::bad_request(format!("{name} needs its {key}")))
    };
    Ok(match name.as_str() {
        "put file" => Order::PutFile {
            path: path()?,
            file_id: file_id(body, operand)?
                .ok_or_else(|| Problem::bad_request("put file needs a file_id"))?,
        },
        "get file" => Order::GetFile {
            path: path()?,
            offset: natural(body, "offset")?.unwrap_or(0),
            count: natural(body, "get_count")?.or(natural(body, "count")?),
        },
        "delete file" => Order::DeleteFile { path: path()? },
        "create directory" => Order::CreateDirectory { path: path()? },
        "directory list" => Order::DirectoryList { path: path()? },
        "reg enum key" => Order::RegEnumKey { path: path()? },
        "reg query value" => Order::RegQueryValue { path: path()? },
        "reg create key" => Order::RegCreateKey { path: path()? },
        "reg delete key" => Order::RegDeleteKey { path: path()? },
        "reg delete value" => Order::RegDeleteValue { path: path()? },
        "reg set value" => set_value(body, path()?)?,
        "process list" => Order::ProcessList,
        "kill" => Order::Kill {
            pid: operand
                .pid
                .iter()
                .find_map(|key| natural(body, key).transpose())
                .unwrap_or_else(|| Err(Problem::bad_request("kill needs a pid")))?,
        },
        "create process" => Order::CreateProcess {
            line: path()?,
            wait: flag(body, "wait")?,
            working_directory: text(body, "working_directory")?,
            output_file: text(body, "output_file")?,
        },
        "memdump" => Order::MemDump {
            path: path()?,
            compress: flag(body, "compress")?,
        },
        _ => return Err(Problem::bad_request(format!("unknown command: {name}"))),
    })
}

fn set_value(body: &Value, path: String) -> Result<Order, Problem> {
    let kind = text(body, "value_type")?.unwrap_or_default();
    let kind = registry::Value::kind(&kind)
        .ok_or_else(|| Problem::bad_request(format!("unknown value_type: {kind}")))?;
    let data = body.get("value_data").unwrap_or(&Value::Null);
    let data = value_text(kind, data)
        .ok_or_else(|| Problem::bad_request(format!("value_data does not fit {kind}")))?;
    let overwrite = if flag(body, "overwrite")? {
        Overwrite::Yes
    } else {
        Overwrite::No
    };
    Ok(Order::RegSetValue {
        path,
        kind,
        data,
        overwrite,
    })
}

/// The data as the sensor will report it later: always text.
fn value_text(kind: &str, data: &Value) -> Option<String> {
    let number = || match data {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match kind {
        "REG_DWORD" | "REG_DWORD_BIG_ENDIAN" => number()
            .and_then(|n| u32::try_from(n).ok())
            .map(|n| n.to_string()),
        "REG_QWORD" => number().map(|n| n.to_string()),
        "REG_MULTI_SZ" => match data {
            Value::Array(items) => {
                let item = |item: &Value| match item {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                };
                let items: Option<Vec<String>> = items.iter().map(item).collect();
                items.map(|items| items.join(","))
            }
            other => other.as_str().map(str::to_owned),
        },
        _ => match data {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null => Some(String::new()),
            _ => None,
        },
    }
}

fn file_id(body: &Value, operand: Operand) -> Result<Option<String>, Problem> {
    match body.get("file_id") {
        Some(Value::Number(number)) if operand.counts_files => Ok(Some(number.to_string())),
        _ => text(body, "file_id"),
    }
}

/// None if it is absent or null.
pub(super) fn text(body: &Value, key: &str) -> Result<Option<String>, Problem> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Problem::bad_request(format!("{key} is not text"))),
    }
}

/// A number, or a text that holds one.
pub(super) fn integer(body: &Value, key: &str) -> Result<Option<i64>, Problem> {
    let wrong = || Problem::bad_request(format!("{key} is not a number"));
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => number.as_i64().map(Some).ok_or_else(wrong),
        Some(Value::String(text)) => text.trim().parse().map(Some).map_err(|_| wrong()),
        Some(_) => Err(wrong()),
    }
}

pub(super) fn natural(body: &Value, key: &str) -> Result<Option<u64>, Problem> {
    match integer(body, key)? {
        None => Ok(None),
        Some(number) => u64::try_from(number)
            .map(Some)
            .map_err(|_| Problem::bad_request(format!("{key} is negative"))),
    }
}

pub(super) fn flag(body: &Value, key: &str) -> Result<bool, Problem> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(Problem::bad_request(format!("{key} is not a boolean"))),
    }
}
