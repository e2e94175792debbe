//! Runs as their journals tell them: a line for each, or one with all its devices.

use super::progress;
use super::style::{self, BAD, DIM, STRONG, fit, paint};
use super::summary::MOST_NAMES;
use crate::model::id::{DeviceId, RunId};
use crate::model::outcome::DeviceState;
use crate::model::state::RunState;
use crate::text::escape::Escaped;
use crate::text::words::Count;

/// A run that lies on the disk.
pub struct Past {
    pub id: RunId,
    pub playbook: String,
    pub simulated: bool,
    pub devices: Vec<(DeviceId, String)>,
    pub steps: usize,
    pub state: RunState,
    pub progress: Progress,
    /// What to type to go on with it.
    pub resume: String,
    /// What to type for each step of which a person has to say what came of it.
    pub unknown: Vec<String>,
}

impl Past {
    /// Says whether more is to come, by whether a process works on it.
    pub fn settle(&mut self, is_held: bool) {
        let is_open = self.state.devices().any(|(_, one)| one.end.is_none());
        self.progress = match (is_held, self.state.is_over()) {
            (true, _) => Progress::UnderWay,
            (false, true) if is_open => Progress::Outstanding,
            (false, true) => Progress::Ended,
            (false, false) => Progress::Interrupted,
        };
    }
}

/// Whether more is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    UnderWay,
    Ended,
    /// It has ended, and a person made something of it outstanding again.
    Outstanding,
    /// It has no end, and no process works on it.
    Interrupted,
}

impl Progress {
    pub const fn word(self) -> &'static str {
        match self {
            Self::UnderWay => "under way",
            Self::Ended => "ended",
            Self::Outstanding => "outstanding",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One run on a line: `20261121T170311Z-k3v9q2  ended        windows/triage  25 devices: 24 ok, 1 failed`.
pub fn line(past: &Past, width: usize) -> String {
    let kind = if past.simulated {
        "simulated device"
    } else {
        "device"
    };
    let devices = Count(past.devices.len() as u64, kind);
    let text = format!(
        "{}  {:<11}  {}  {devices}: {}",
        past.id,
        past.progress.word(),
        Escaped(&past.playbook),
        tally(past)
    );
    fit(&text, width)
}

fn tally(past: &Past) -> String {
    let counts = past.state.counts();
    let ended: u64 = counts.values().sum();
    let open = past.devices.len() as u64 - ended.min(past.devices.len() as u64);
    let mut words: Vec<String> = DeviceState::ALL
        .iter()
        .filter_map(|state| counts.get(state).map(|n| format!("{n} {state}")))
        .collect();
    if open > 0 {
        words.push(format!("{open} outstanding"));
    }
    words.join(", ")
}

/// A run with all its devices, those first of which something is outstanding.
pub fn whole(past: &Past, width: usize) -> String {
    let mut out = head(past);
    put!(out);
    let (mut open, mut ended) = (Vec::new(), Vec::new());
    for (id, name) in &past.devices {
        let record = past.state.device(*id);
        match record.and_then(|record| progress::line(name, record)) {
            Some(line) => ended.push(line),
            None => open.push(outstanding(past, *id, name)),
        }
    }
    for line in open.iter().chain(&ended) {
        put!(out, "{line}");
    }
    let left: Vec<String> = past
        .devices
        .iter()
        .flat_map(|(id, name)| {
            let record = past.state.device(*id);
            let left = record.map_or(&[][..], |record| &record.left_behind);
            left.iter()
                .map(move |path| format!("  {}  {}", fit(name, 24), Escaped(path)))
        })
        .collect();
    if !left.is_empty() {
        put!(out, "\n{STRONG}left behind{STRONG:#}");
        for line in left {
            put!(out, "{}", fit(&line, width));
        }
    }
    out + &next(past)
}

/// What is told of a run whose devices were shown already.
pub fn closing(past: &Past) -> String {
    format!("\n{}{}", head(past), next(past))
}

fn head(past: &Past) -> String {
    let mut out = String::new();
    put!(
        out,
        "{STRONG}{}{STRONG:#}  {}",
        Escaped(&past.playbook),
        past.id
    );
    let simulated = if past.simulated { ", simulated" } else { "" };
    put!(out, "{DIM}{}{simulated}{DIM:#}", past.progress.word());
    let devices = Count(past.devices.len() as u64, "device");
    put!(out, "{devices}: {}", tally(past));
    out
}

/// What a person has to settle, and how to go on with a run of which something is outstanding.
fn next(past: &Past) -> String {
    let mut out = String::new();
    if past.progress == Progress::UnderWay {
        return out;
    }
    settle(&past.unknown, &mut out);
    let counts = past.state.counts();
    let waits = [DeviceState::Unreachable, DeviceState::Cancelled];
    if past.progress != Progress::Ended || waits.iter().any(|state| counts.contains_key(state)) {
        put!(out, "\ngo on: {}", past.resume);
    }
    out
}

/// The lines with which a person says what came of steps.
pub(super) fn settle(lines: &[String], out: &mut String) {
    if !lines.is_empty() {
        put!(
            out,
            "\n{STRONG}unknown{STRONG:#}: look at the device, then say what came of the step"
        );
    }
    for line in lines.iter().take(MOST_NAMES) {
        put!(out, "  {line}");
    }
}

/// A device that has no end: how far it is, and what may be open on it.
fn outstanding(past: &Past, id: DeviceId, name: &str) -> String {
    let record = past.state.device(id);
    let done = record.map_or(0, |record| record.steps.len());
    let session = record.and_then(|record| record.session.as_ref());
    let is_begun = done > 0 || session.is_some();
    let word = if is_begun {
        past.progress.word()
    } else {
        "outstanding"
    };
    let detail = match (is_begun, session) {
        (false, _) => "not started".to_owned(),
        (true, None) => format!("{done} of {}", Count(past.steps as u64, "step")),
        (true, Some(session)) => format!(
            "{done} of {}; session {} was not closed",
            Count(past.steps as u64, "step"),
            Escaped(session.as_str())
        ),
    };
    let colour = if past.progress == Progress::Interrupted {
        BAD
    } else {
        style::DIM
    };
    format!(
        "{}  {:<24}  {detail}",
        paint(colour, word, 11),
        fit(name, 24)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{DeviceEnd, EventKind, OnError, RunEvent};
    use crate::model::outcome::{Cause, Outcome};
    use jiff::Timestamp;

    /// Four devices: one has ended, one is in a session, one lost its own, one was never begun.
    fn past(progress: Progress) -> Past {
        let ids = [1, 2, 3, 4].map(DeviceId);
        let mut state = RunState::new(ids);
        let step = |device| EventKind::StepFinished {
            device,
            step: "one".into(),
            outcome: Outcome::Done,
            attempts: 1,
            on_error: OnError::Fail,
        };
        let granted = |device| EventKind::SessionGranted {
            device,
            session: "7:2".into(),
            joined: false,
        };
        let events = [
            EventKind::DeviceEnded {
                device: ids[0],
                end: DeviceEnd::Unreachable {
                    cause: Cause::NeverCheckedIn { seconds: 120 },
                },
            },
            granted(ids[1]),
            EventKind::LeftBehind {
                device: ids[1],
                step: "one".into(),
                path: r"C:\x".to_owned(),
            },
            step(ids[2]),
        ];
        for (n, ev) in (0..).zip(events) {
            let t = Timestamp::UNIX_EPOCH;
            state.apply(&RunEvent { n, t, mono: 0, ev });
        }
        Past {
            id: "20261121T170311Z-k3v9q2".into(),
            playbook: "windows/triage".to_owned(),
            simulated: false,
            devices: ids.map(|id| (id, format!("WS-{id}"))).to_vec(),
            steps: 3,
            state,
            progress,
            resume: "sortie resume 20261121T170311Z-k3v9q2".to_owned(),
            unknown: Vec::new(),
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn what_is_outstanding_comes_first_and_says_how_far_it_is() {
        let text = plain(&whole(&past(Progress::Interrupted), 100));
        let expected = "\
windows/triage  20261121T170311Z-k3v9q2
interrupted
4 devices: 1 unreachable, 3 outstanding

interrupted  WS-2                      0 of 3 steps; session 7:2 was not closed
interrupted  WS-3                      1 of 3 steps
outstanding  WS-4                      not started
unreachable  WS-1                      did not check in within 120 s

left behind
  WS-2  C:\\x

go on: sortie resume 20261121T170311Z-k3v9q2
";
        assert_eq!(text, expected);
        let closed = "\nwindows/triage  20261121T170311Z-k3v9q2\nunder way\n4 devices: 1 unreachable, 3 outstanding\n";
        assert_eq!(plain(&closing(&past(Progress::UnderWay))), closed);
    }

    #[test]
    fn a_line_has_what_tells_runs_apart_and_fits() {
        let line = line(&past(Progress::UnderWay), 80);
        assert_eq!(
            line,
            "20261121T170311Z-k3v9q2  under way    windows/triage  4 devices: 1 unreachable,…"
        );
    }
}
