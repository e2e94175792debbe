//! A run while it goes on: one line for each device that ends, and on a terminal a bar for the whole.

use super::style::{self, fit, paint};
use crate::model::event::{EventKind, RunEvent};
use crate::model::id::DeviceId;
use crate::model::outcome::DeviceState;
use crate::model::state::{DeviceRecord, RunState};
use crate::text::json;
use crate::text::size::Bytes;
use crate::text::words::Count;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// How often the bar tells where things are: counting devices for each event would take longer than the run.
const REDRAW: Duration = Duration::from_millis(250);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Lines, and a bar below them.
    Terminal,
    /// Lines alone.
    Plain,
    Nothing,
}

/// Shows events until there are no more, of devices by these names. `state` is what there was before them.
pub async fn watch(
    mut events: mpsc::UnboundedReceiver<RunEvent>,
    devices: Vec<(DeviceId, String)>,
    mut state: RunState,
    show: Show,
    mut out: impl Write,
) {
    let names: HashMap<DeviceId, String> = devices.into_iter().collect();
    let bar = bar(show, names.len() as u64);
    let mut redraw = interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = redraw.tick(), if show == Show::Terminal => {
                bar.set_message(tally(&state));
                continue;
            }
        };
        let Some(event) = event else {
            break;
        };
        state.apply(&event);
        tracing::info!("{}", json::line(&event.ev));
        if let EventKind::DeviceEnded { device, .. } = event.ev
            && show != Show::Nothing
            && let Some(record) = state.device(device)
            && let Some(line) = line(names.get(&device).map_or("?", String::as_str), record)
        {
            // A closed terminal must not stop the run.
            bar.suspend(|| {
                let _ = writeln!(out, "{line}");
            });
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
}

fn bar(show: Show, devices: u64) -> ProgressBar {
    if show != Show::Terminal {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} devices  {msg}  {elapsed}")
        .expect("the template is a constant and a test draws it");
    ProgressBar::new(devices).with_style(style)
}

/// `1 failed, 20 sessions, 212 commands, 17 outstanding`: what a run has to do with now.
fn tally(state: &RunState) -> String {
    let counts = state.counts();
    let mut words: Vec<String> = DeviceState::ALL
        .iter()
        .filter(|state| **state != DeviceState::Ok)
        .filter_map(|state| counts.get(state).map(|n| format!("{n} {state}")))
        .collect();
    words.push(Count(state.open_sessions(), "session").to_string());
    words.push(Count(state.commands(), "command").to_string());
    words.push(format!("{} outstanding", state.outstanding()));
    words.join(", ")
}

/// `ok           WS-0007  14 steps, 5 files (3.1 MiB), 1 finding`
pub(super) fn line(name: &str, record: &DeviceRecord) -> Option<String> {
    let (state, reason) = record.state()?;
    let detail = if let Some(reason) = reason {
        reason.summary()
    } else {
        let mut parts = vec![Count(record.steps.len() as u64, "step").to_string()];
        let verified = record.steps.iter().filter(|step| step.verified).count();
        if verified > 0 {
            parts.push(format!("{verified} verified"));
        }
        if record.files > 0 {
            parts.push(format!(
                "{} ({})",
                Count(record.files, "file"),
                Bytes(record.bytes)
            ));
        }
        if !record.findings.is_empty() {
            parts.push(Count(record.findings.len() as u64, "finding").to_string());
        }
        parts.join(", ")
    };
    let retried = record.steps.iter().filter(|step| step.attempts > 1).count() as u64;
    let again = if retried == 0 {
        String::new()
    } else {
        format!(", {} retried", Count(retried, "step"))
    };
    Some(format!(
        "{}  {:<24}  {detail}{again}",
        paint(style::of_state(state), state, 11),
        fit(name, 24)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{DeviceEnd, OnError};
    use crate::model::id::CommandId;
    use crate::model::outcome::{Cause, Outcome};

    #[test]
    fn the_bar_can_be_drawn_and_tells_what_is_open() {
        bar(Show::Terminal, 3).set_message("x");
        let device = DeviceId(1);
        let mut state = RunState::new([device, DeviceId(2)]);
        let session = || "7:1".into();
        let issued = |command| EventKind::CommandIssued {
            device,
            step: "s".into(),
            session: session(),
            command: CommandId(command),
            name: "get file".to_owned(),
        };
        let events = [
            EventKind::SessionGranted {
                device,
                session: session(),
                joined: false,
            },
            issued(0),
            issued(1),
            EventKind::CommandEnded {
                device,
                session: session(),
                command: CommandId(0),
                cause: None,
                started: None,
            },
            EventKind::DeviceEnded {
                device: DeviceId(2),
                end: DeviceEnd::Unreachable {
                    cause: Cause::SessionLost,
                },
            },
        ];
        for (n, ev) in (0..).zip(events) {
            let t = jiff::Timestamp::UNIX_EPOCH;
            state.apply(&RunEvent { n, t, mono: 0, ev });
        }
        let told = "1 unreachable, 1 session, 2 commands, 1 outstanding";
        assert_eq!(tally(&state), told);
    }

    #[tokio::test]
    async fn what_went_before_counts_when_a_resume_ends_a_device() {
        let device = DeviceId(1);
        let event = |ev| RunEvent {
            n: 0,
            t: jiff::Timestamp::UNIX_EPOCH,
            mono: 0,
            ev,
        };
        let mut before = RunState::new([device]);
        before.apply(&event(EventKind::StepFinished {
            device,
            step: "log".into(),
            outcome: Outcome::Failed {
                cause: Cause::SessionLost,
            },
            attempts: 1,
            on_error: OnError::Continue,
        }));
        let (events, inbox) = mpsc::unbounded_channel();
        let end = DeviceEnd::Walked;
        let ended = event(EventKind::DeviceEnded { device, end });
        events.send(ended).unwrap();
        drop(events);
        let mut out = Vec::new();
        let names = vec![(device, "WS-7".to_owned())];
        watch(inbox, names, before, Show::Plain, &mut out).await;
        let told = anstream::adapter::strip_bytes(&out).into_vec();
        let told = String::from_utf8(told).unwrap();
        assert!(told.starts_with("partial      WS-7"), "{told}");
    }

    #[test]
    fn a_device_that_failed_says_where_and_why() {
        let mut state = RunState::new([DeviceId(1)]);
        let cause = Cause::Endpoint { code: 0x8007_0005 };
        let events = [
            EventKind::StepFinished {
                device: DeviceId(1),
                step: "security-log".into(),
                outcome: Outcome::Failed { cause },
                attempts: 2,
                on_error: OnError::Fail,
            },
            EventKind::DeviceEnded {
                device: DeviceId(1),
                end: DeviceEnd::Walked,
            },
        ];
        for (n, ev) in (0..).zip(events) {
            state.apply(&RunEvent {
                n,
                t: jiff::Timestamp::UNIX_EPOCH,
                mono: 0,
                ev,
            });
        }
        let line = line("WS-7", state.device(DeviceId(1)).unwrap()).unwrap();
        let plain = anstream::adapter::strip_str(&line).to_string();
        assert_eq!(
            plain,
            "failed       WS-7                      security-log: access denied (0x80070005 ERROR_ACCESS_DENIED), 1 step retried"
        );
    }
}
