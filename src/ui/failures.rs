//! What failed because of an expression or a template, drawn on the playbook: once for each place and
//! message, however many devices it happened on.

use super::summary::Ending;
use crate::model::event::{DeviceEnd, OnError};
use crate::model::outcome::{Cause, Outcome};
use crate::model::state::{DeviceRecord, Reason};
use crate::text::diagnostic::Severity;
use crate::text::escape::Escaped;
use crate::text::render::{Style, point};
use crate::text::source::Span;
use crate::text::words::Count;

/// Blocks that are drawn; the files have the rest.
const MOST: usize = 12;
/// Blocks at one place, where the message differs by device.
const MOST_AT_ONE: usize = 3;
/// Names in a block.
const MOST_NAMES: usize = 3;

struct Failure {
    severity: Severity,
    message: String,
    at: Span,
    names: Vec<String>,
}

/// Draws the failures that count.
pub(super) fn draw(ending: &Ending<'_>, out: &mut String) {
    let failures = gather(ending);
    let mut drawn: Vec<Span> = Vec::new();
    for failure in &failures {
        let here = drawn.iter().filter(|at| **at == failure.at).count();
        if here < MOST_AT_ONE && drawn.len() < MOST {
            drawn.push(failure.at);
            put!(out);
            out.push_str(&block(failure, ending));
        }
    }
    let rest = (failures.len() - drawn.len()) as u64;
    if rest > 0 {
        put!(
            out,
            "\n… and {}: devices/*/data/outcome.json",
            Count(rest, "more failure")
        );
    }
}

fn block(failure: &Failure, ending: &Ending<'_>) -> String {
    let names = failure.names[..failure.names.len().min(MOST_NAMES)].join(", ");
    let count = Count(failure.names.len() as u64, "device");
    let note = match failure.names.len() {
        1 => format!("on {names}"),
        2..=MOST_NAMES => format!("on {count}: {names}"),
        many => format!("on {count}: {names} and {} more", many - MOST_NAMES),
    };
    // Whoever prints this takes the colors out again where nobody can see them.
    let style = Style {
        color: true,
        width: ending.width,
    };
    point(
        failure.severity,
        &failure.message,
        failure.at,
        &[note],
        ending.source,
        style,
    )
}

/// In the order of the playbook, each with all of its devices.
fn gather(ending: &Ending<'_>) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    for device in ending.devices {
        let record = ending.state.device(device.id);
        for (severity, at, message) in record.into_iter().flat_map(of_device) {
            let name = device.name.to_string();
            let same = |one: &&mut Failure| one.at == at && one.message == message;
            match failures.iter_mut().find(same) {
                Some(failure) => failure.names.push(name),
                None => failures.push(Failure {
                    severity,
                    message,
                    at,
                    names: vec![name],
                }),
            }
        }
    }
    failures.sort_by_key(|failure| failure.at);
    failures
}

/// What is to be mended in the playbook for one device. What is ignored or was rescued is not told.
fn of_device(record: &DeviceRecord) -> Vec<(Severity, Span, String)> {
    let placed = |severity, cause: &Cause, message| Some((severity, cause.at()?, message));
    let steps = record.steps.iter().filter_map(|step| match &step.outcome {
        Outcome::Failed { cause } | Outcome::Unknown { cause }
            if step.on_error != OnError::Ignore && !step.rescued =>
        {
            let reason = Reason {
                step: Some(&step.step),
                cause,
            };
            placed(Severity::Error, cause, reason.summary())
        }
        _ => None,
    });
    let end = record.end.iter().filter_map(|end| match end {
        DeviceEnd::Failed { cause } => placed(Severity::Error, cause, cause.summary()),
        _ => None,
    });
    let outputs = record.outputs_failed.iter();
    let outputs = outputs.filter_map(|(name, cause)| {
        let message = format!(
            "the output {} has no value: {}",
            Escaped(name),
            cause.summary()
        );
        placed(Severity::Warning, cause, message)
    });
    end.chain(steps).chain(outputs).collect()
}
