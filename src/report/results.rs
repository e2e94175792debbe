//! `results.ndjson` and `findings.ndjson`: every row of every device, always with the same columns.
//!
//! ```json
//! {"ts":"…","run_id":"…","playbook":"…","device_id":7,"device_name":"ws-7","os":"windows","step_id":"procs",
//!  "kind":"process","path":"C:\\…","name":"a.exe","type":null,"data":"a.exe -x","size":null,"sha256":null,
//!  "status":"ok","error_code":null,"error":null,"extra":{"pid":7}}
//! ```

use super::{ReportError, View};
use crate::bundle::RunFile;
use crate::model::device::Device;
use crate::model::outcome::Cause;
use crate::model::remote::RemoteText;
use crate::model::row::{Row, RowKind};
use crate::model::state::DeviceRecord;
use crate::text::json;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the `data` column holds at most; the bag has the whole.
const MAX_DATA: usize = 64 * 1024;

/// The columns, in the order in which they are written.
#[derive(Serialize)]
struct Columns<'a> {
    ts: &'a str,
    run_id: &'a str,
    playbook: &'a str,
    device_id: u64,
    device_name: &'a RemoteText,
    os: &'a str,
    step_id: Option<&'a str>,
    kind: RowKind,
    path: Option<&'a RemoteText>,
    name: Option<&'a RemoteText>,
    #[serde(rename = "type")]
    type_: Option<&'a str>,
    data: Option<RemoteText>,
    size: Option<u64>,
    sha256: Option<&'a str>,
    status: &'a str,
    error_code: Option<String>,
    error: Option<String>,
    extra: Map<String, Value>,
}

/// What the steps of a device found, in their order; nothing of a device without a bag.
pub fn rows(view: &View<'_>, device: &Device) -> Result<Vec<Row>, ReportError> {
    let mut rows = Vec::new();
    for step in steps(&data(view, device))? {
        rows.append(&mut step?.rows);
    }
    Ok(rows)
}

/// Where the bags of a device keep what was found, the oldest first.
fn data(view: &View<'_>, device: &Device) -> Vec<PathBuf> {
    let bags = view.state.device(device.id).map(|record| &record.bags);
    let bags = bags.into_iter().flatten();
    bags.map(|bag| view.dir.path().join(bag).join("data"))
        .collect()
}

/// What the steps left, in their order and read one at a time; each as it was the last time that it ran.
fn steps(
    bags: &[PathBuf],
) -> Result<impl Iterator<Item = Result<StepFile, ReportError>>, ReportError> {
    let mut steps = BTreeMap::new();
    for data in bags {
        let files = files(&data.join("steps"))?.into_iter();
        steps.extend(files.map(|path| (path.file_name().map(OsStr::to_owned), path)));
    }
    Ok(steps.into_values().map(|path| read(&path)))
}

/// The parts of a step's file that are told on.
#[derive(Deserialize)]
struct StepFile {
    end: StepEnd,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct StepEnd {
    step_id: String,
    ended: String,
}

#[derive(Deserialize)]
struct OutcomeFile {
    ended: String,
    state: String,
    reason: Option<String>,
    outputs: Map<String, Value>,
    steps: Vec<StepOutcome>,
}

#[derive(Deserialize)]
struct StepOutcome {
    step_id: String,
    /// Only where there is something that should prove it.
    verified: Option<bool>,
}

/// Writes both files, one device at a time.
pub fn write(view: &View<'_>) -> Result<(), ReportError> {
    let mut results = view.dir.create("results.ndjson")?;
    let mut findings = view.dir.create("findings.ndjson")?;
    for device in &view.devices {
        let bags = data(view, device);
        let Some(last) = bags.last() else {
            continue;
        };
        let outcome: OutcomeFile = read(&last.join("outcome.json"))?;
        for step in steps(&bags)? {
            let mut step = step?;
            let is_it = |one: &&StepOutcome| one.step_id == step.end.step_id;
            let verified = outcome.steps.iter().find(is_it);
            let verified = verified.and_then(|one| one.verified);
            for row in &mut step.rows {
                if let Some(verified) = verified {
                    row.extra.insert("verified".into(), verified.into());
                }
                let line = line(view, device, Some(&step.end.step_id), &step.end.ended, row);
                put(&mut results, &line)?;
                if row.kind == RowKind::Finding {
                    put(&mut findings, &line)?;
                }
            }
        }
        let mut row = Row::new(RowKind::Device);
        row.name = Some(device.name.clone());
        row.data = Some(outcome.state.into());
        row.extra.insert("reason".into(), json!(outcome.reason));
        let record = view.state.device(device.id);
        if let Some((_, Some(reason))) = record.and_then(DeviceRecord::state) {
            row.extra.extend(reason.cause.spot(view.source));
        }
        put(
            &mut results,
            &line(view, device, None, &outcome.ended, &row),
        )?;
        for (name, value) in outcome.outputs {
            let mut row = Row::new(RowKind::Output);
            let mut failed = record.iter().flat_map(|record| &record.outputs_failed);
            if let Some((_, cause)) = failed.find(|(output, _)| *output == name) {
                row.extra.extend(cause.spot(view.source));
                row.cause = Some(cause.clone());
            }
            row.name = Some(name.into());
            row.data = match value {
                // It has no value: a step that it is made of did not come to its result.
                Value::Null => None,
                Value::String(text) => Some(text.into()),
                other => Some(other.to_string().into()),
            };
            put(
                &mut results,
                &line(view, device, None, &outcome.ended, &row),
            )?;
        }
    }
    results.finish()?;
    findings.finish()?;
    Ok(())
}

fn put(file: &mut RunFile, line: &str) -> Result<(), ReportError> {
    writeln!(file, "{line}").map_err(|source| ReportError::Write { source })
}

fn line(view: &View<'_>, device: &Device, step: Option<&str>, ended: &str, row: &Row) -> String {
    let mut extra = row.extra.clone();
    let data = row.data.as_ref().map(|data| {
        let raw = data.raw();
        if raw.len() <= MAX_DATA {
            return data.clone();
        }
        extra.insert("data_truncated".into(), Value::Bool(true));
        raw[..raw.floor_char_boundary(MAX_DATA)].into()
    });
    json::raw_line(&Columns {
        ts: ended,
        run_id: view.run_id.as_str(),
        playbook: view.playbook,
        device_id: device.id.0,
        device_name: &device.name,
        os: device.os.as_str(),
        step_id: step,
        kind: row.kind,
        path: row.path.as_ref(),
        name: row.name.as_ref(),
        type_: row.type_.as_deref(),
        data,
        size: row.size,
        sha256: row.sha256.as_deref(),
        status: status(row.cause.as_ref()),
        error_code: row.cause.as_ref().and_then(Cause::code),
        error: row.cause.as_ref().map(Cause::summary),
        extra,
    })
}

const fn status(cause: Option<&Cause>) -> &'static str {
    match cause {
        None => "ok",
        Some(Cause::Missing { .. }) => "missing",
        Some(Cause::Locked { .. }) => "locked",
        Some(_) => "failed",
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let failed = |source| ReportError::Read {
        path: folder.display().to_string(),
        source,
    };
    if !folder.exists() {
        return Ok(Vec::new());
    }
    folder
        .read_dir()
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()).map_err(failed))
        .collect()
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, ReportError> {
    let text = std::fs::read(path).map_err(|source| ReportError::Read {
        path: path.display().to_string(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|source| ReportError::Garbage {
        path: path.display().to_string(),
        source,
    })
}
