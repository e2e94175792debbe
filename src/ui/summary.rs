//! The last thing a run shows: what came of it, who is not ok and why, and what to type next.

use super::style::{self, DIM, STRONG, fit, paint};
use super::{failures, past};
use crate::ledger::resume::Wish;
use crate::model::device::Device;
use crate::model::id::{DeviceId, StepId};
use crate::model::outcome::DeviceState;
use crate::model::row::Severity;
use crate::model::state::{DeviceRecord, FindingRecord, RunState};
use crate::text::escape::Escaped;
use crate::text::size::Bytes;
use crate::text::source::Source;
use crate::text::words::Count;
use std::collections::BTreeMap;

/// Everything that the summary tells.
pub struct Ending<'a> {
    pub playbook: &'a str,
    /// The playbook that was run, to draw what failed on it.
    pub source: &'a Source,
    pub simulated: bool,
    /// The simulator ended with the run, so that nobody can go on with it.
    pub is_gone: bool,
    pub run_dir: &'a str,
    pub devices: &'a [&'a Device],
    pub state: &'a RunState,
    pub took: std::time::Duration,
    /// Columns of the terminal.
    pub width: usize,
    /// What to type to go on with it.
    pub resume: &'a dyn Fn(Wish) -> String,
    /// What to type to say what came of a step.
    pub resolve: &'a dyn Fn(DeviceId, &StepId) -> String,
}

/// More names than these are in the summary file, not on the screen.
pub(super) const MOST_NAMES: usize = 40;
const NAME: usize = 24;

/// Draws the summary.
pub fn draw(ending: &Ending<'_>) -> String {
    let mut out = String::new();
    head(ending, &mut out);
    findings(ending, &mut out);
    not_ok(ending, &mut out);
    unknown(ending, &mut out);
    failures::draw(ending, &mut out);
    left_behind(ending, &mut out);
    facts(ending, &mut out);
    out
}

fn head(ending: &Ending<'_>, out: &mut String) {
    let counts = ending.state.counts();
    let tally: Vec<String> = DeviceState::ALL
        .iter()
        .filter_map(|state| {
            counts
                .get(state)
                .map(|n| paint(style::of_state(*state), format!("{n} {state}"), 0))
        })
        .collect();
    let kind = if ending.simulated {
        "simulated device"
    } else {
        "device"
    };
    let devices = Count(ending.devices.len() as u64, kind);
    put!(
        out,
        "\n{STRONG}{}{STRONG:#} on {devices}: {}",
        Escaped(ending.playbook),
        tally.join(", ")
    );
}

fn findings(ending: &Ending<'_>, out: &mut String) {
    // The same title on many hosts is one line; a title that names its host is one line each.
    let mut grouped: BTreeMap<(std::cmp::Reverse<Severity>, String), Vec<String>> = BTreeMap::new();
    for device in ending.devices {
        let Some(record) = ending.state.device(device.id) else {
            continue;
        };
        for FindingRecord {
            severity, title, ..
        } in &record.findings
        {
            let name = device.name.to_string();
            let hosts = grouped
                .entry((std::cmp::Reverse(*severity), title.clone()))
                .or_default();
            if hosts.last() != Some(&name) {
                hosts.push(name);
            }
        }
    }
    if grouped.is_empty() {
        return;
    }
    put!(out, "\n{STRONG}findings{STRONG:#}");
    for ((std::cmp::Reverse(severity), title), hosts) in grouped.iter().take(MOST_NAMES) {
        let severity = paint(style::of_severity(*severity), severity, 8);
        let more = if hosts.len() > 3 {
            format!(" and {} more", hosts.len() - 3)
        } else {
            String::new()
        };
        let names = hosts[..hosts.len().min(3)].join(", ");
        put!(
            out,
            "  {severity}  {}  {DIM}{names}{more}{DIM:#}",
            Escaped(title)
        );
    }
    rest(grouped.len(), "findings.ndjson", out);
}

/// Every device that is not ok, those with the same state and reason together.
fn not_ok(ending: &Ending<'_>, out: &mut String) {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for device in ending.devices {
        let Some((state, reason)) = ending.state.device(device.id).and_then(DeviceRecord::state)
        else {
            continue;
        };
        if state == DeviceState::Ok {
            continue;
        }
        let summary = reason.map(|reason| reason.summary()).unwrap_or_default();
        match groups
            .iter_mut()
            .find(|group| group.state == state && group.summary == summary)
        {
            Some(group) => group.names.push(device.name.to_string()),
            None => groups.push(Group {
                state,
                summary,
                hint: reason.and_then(|reason| reason.cause.hint()),
                names: vec![device.name.to_string()],
            }),
        }
    }
    if groups.is_empty() {
        return;
    }
    put!(out, "\n{STRONG}not ok{STRONG:#}");
    for group in &groups {
        group.draw(ending.width, out);
    }
}

/// What a person has to settle, with what to type.
fn unknown(ending: &Ending<'_>, out: &mut String) {
    let unknown = ending.state.devices().flat_map(|(id, record)| {
        let steps = record.unknowns();
        steps.map(move |step| (ending.resolve)(id, step))
    });
    let unknown: Vec<String> = unknown.collect();
    past::settle(&unknown, out);
    rest(unknown.len(), "summary.json", out);
}

/// Devices that ended alike.
struct Group<'a> {
    state: DeviceState,
    summary: String,
    hint: Option<&'a str>,
    names: Vec<String>,
}

impl Group<'_> {
    fn draw(&self, width: usize, out: &mut String) {
        const INDENT: usize = 15;
        let state = paint(style::of_state(self.state), self.state, 11);
        if let [name] = self.names.as_slice() {
            put!(
                out,
                "  {state}  {:<NAME$}  {}",
                fit(name, NAME),
                self.summary
            );
        } else {
            let count = Count(self.names.len() as u64, "device");
            put!(out, "  {state}  {count}: {}", self.summary);
            for line in filled(&self.names, width.saturating_sub(INDENT)) {
                put!(out, "{:INDENT$}{line}", "");
            }
        }
        if let Some(hint) = self.hint {
            put!(out, "{:INDENT$}{DIM}{hint}{DIM:#}", "");
        }
    }
}

/// Words in lines of at most `width` characters.
fn filled(words: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

fn left_behind(ending: &Ending<'_>, out: &mut String) {
    let left: Vec<String> = ending
        .devices
        .iter()
        .filter_map(|device| Some((device, ending.state.device(device.id)?)))
        .flat_map(|(device, record)| {
            record.left_behind.iter().map(move |path| {
                format!(
                    "{:<NAME$}  {}",
                    fit(&device.name.to_string(), NAME),
                    Escaped(path)
                )
            })
        })
        .collect();
    if left.is_empty() {
        return;
    }
    put!(out, "\n{STRONG}left behind{STRONG:#}");
    for line in left.iter().take(MOST_NAMES) {
        put!(out, "  {line}");
    }
    rest(left.len(), "devices/*/data/outcome.json", out);
}

fn rest(total: usize, file: &str, out: &mut String) {
    if total > MOST_NAMES {
        put!(out, "  … and {} more: {file}", total - MOST_NAMES);
    }
}

fn facts(ending: &Ending<'_>, out: &mut String) {
    let (state, dir) = (ending.state, Escaped(ending.run_dir));
    let spent = state.spent();
    let bags = state
        .devices()
        .filter(|(_, record)| record.bag().is_some())
        .count() as u64;
    put!(out);
    put!(
        out,
        "spent     {}, {}, {}, {}, {:.1} s",
        Count(spent.requests, "request"),
        Count(state.commands(), "command"),
        Count(state.sessions(), "session"),
        Bytes(spent.bytes),
        ending.took.as_secs_f64()
    );
    put!(
        out,
        "evidence  {dir}/devices  ({})",
        Count(bags, "sealed bag")
    );
    put!(out, "results   {dir}/results.ndjson");
    if ending.simulated {
        put!(out, "          simulated: no real device was touched");
    }
    put!(out, "\nnext      {}", next(ending));
}

/// The one command that most likely comes next.
fn next(ending: &Ending<'_>) -> String {
    let counts = ending.state.counts();
    let any = |wanted: &[DeviceState]| wanted.iter().any(|state| counts.contains_key(state));
    let has_open = counts.values().sum::<u64>() < ending.devices.len() as u64;
    if !ending.is_gone {
        if has_open || any(&[DeviceState::Unreachable, DeviceState::Cancelled]) {
            return (ending.resume)(Wish::GoOn);
        }
        if any(&[DeviceState::Failed, DeviceState::Partial]) {
            return (ending.resume)(Wish::RetryFailed);
        }
    }
    let file = match ending.state.worst_finding() {
        Some(_) => "findings.ndjson",
        None => "summary.json",
    };
    format!("less {}/{file}", Escaped(ending.run_dir))
}
