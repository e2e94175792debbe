//! Facts without what nobody may see: the free texts in them change, and what they are stays.
//!
//! Our own words (what kind of event, which command, which cause) are never touched, or a secret that
//! happens to be one of them would make a journal unreadable.

use super::command::Command;
use super::event::{DeviceEnd, EventKind, SessionEnd, Stop};
use super::outcome::{Cause, Outcome};
use super::remote::RemoteText;
use super::row::{Row, StoredFile};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Takes out of a text what nobody may see.
pub type Hide<'a> = &'a dyn Fn(&mut String);

/// What stands in the place of a text that an author wants nobody to see.
pub const NO_LOG: &str = "[no_log]";

/// Hides every text as a whole.
pub fn withhold(text: &mut String) {
    NO_LOG.clone_into(text);
}

impl Command {
    pub fn conceal(&mut self, hide: Hide<'_>) {
        fields(self, "name", hide);
    }
}

impl Cause {
    pub fn conceal(&mut self, hide: Hide<'_>) {
        // The cause within has a word of ours in it too.
        if let Self::Disproved { step, cause } = self {
            hide(step);
            return cause.conceal(hide);
        }
        fields(self, "why", hide);
    }
}

impl Outcome {
    pub fn conceal(&mut self, hide: Hide<'_>) {
        match self {
            Self::Done => {}
            Self::Failed { cause } | Self::Skipped { cause } | Self::Unknown { cause } => {
                cause.conceal(hide);
            }
        }
    }
}

impl RemoteText {
    pub fn conceal(&mut self, hide: Hide<'_>) {
        let mut text = self.raw().to_owned();
        hide(&mut text);
        if text != self.raw() {
            *self = text.into();
        }
    }
}

impl Row {
    pub fn conceal(&mut self, hide: Hide<'_>) {
        let texts = [&mut self.path, &mut self.name, &mut self.data];
        for text in texts.into_iter().flatten() {
            text.conceal(hide);
        }
        if let Some(cause) = &mut self.cause {
            cause.conceal(hide);
        }
        self.extra
            .values_mut()
            .for_each(|value| texts_of(value, hide));
    }
}

impl StoredFile {
    pub fn conceal(&mut self, hide: Hide<'_>) {
        self.original_path.conceal(hide);
        if let Some(cause) = &mut self.cause {
            cause.conceal(hide);
        }
    }
}

impl EventKind {
    pub fn conceal(&mut self, hide: Hide<'_>) {
        match self {
            Self::CommandPermitted { command, .. } => command.conceal(hide),
            Self::CommandEnded {
                cause: Some(cause), ..
            }
            | Self::StepRetried { cause, .. }
            | Self::StepVerified {
                disproof: Some(cause),
                ..
            }
            | Self::OutputFailed { cause, .. }
            | Self::SessionEnded {
                end: SessionEnd::NotClosed { cause },
                ..
            }
            | Self::DeviceEnded {
                end:
                    DeviceEnd::Unreachable { cause }
                    | DeviceEnd::Skipped { cause }
                    | DeviceEnd::Failed { cause }
                    | DeviceEnd::Cancelled { cause },
                ..
            }
            | Self::RunStopped {
                stop: Stop::Backend { cause } | Stop::Output { cause },
            } => cause.conceal(hide),
            Self::StepFinished { outcome, .. } => outcome.conceal(hide),
            Self::FileStored { path, .. } | Self::LeftBehind { path, .. } => hide(path),
            Self::FindingMade { title, .. } => hide(title),
            Self::StepResolved { reason, .. } => hide(reason),
            Self::RunStarted { .. }
            | Self::DeviceStarted { .. }
            | Self::SessionRequested { .. }
            | Self::SessionGranted { .. }
            | Self::SessionOpened { .. }
            | Self::SessionEnded { .. }
            | Self::StepStarted { .. }
            | Self::CommandIssued { .. }
            | Self::CommandEnded { .. }
            | Self::CommandSettled { .. }
            | Self::RunResumed { .. }
            | Self::JournalMended { .. }
            | Self::ClockJumped { .. }
            | Self::StepRescued { .. }
            | Self::StepVerified { .. }
            | Self::DeviceEnded { .. }
            | Self::BagSealed { .. }
            | Self::BagPublished { .. }
            | Self::RunStopped { .. }
            | Self::RunEnded { .. } => {}
        }
    }
}

/// Hides in every field but the one that says which variant it is.
fn fields<T: Serialize + DeserializeOwned>(whole: &mut T, tag: &str, hide: Hide<'_>) {
    let mut value = serde_json::to_value(&*whole).expect("our own types have string keys");
    if let Value::Object(fields) = &mut value {
        let free = fields.iter_mut().filter(|(key, _)| *key != tag);
        free.for_each(|(_, value)| texts_of(value, hide));
    }
    *whole = serde_json::from_value(value).expect("only texts changed, and into other texts");
}

fn texts_of(value: &mut Value, hide: Hide<'_>) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => hide(text),
        Value::Array(items) => items.iter_mut().for_each(|item| texts_of(item, hide)),
        Value::Object(fields) => fields.values_mut().for_each(|item| texts_of(item, hide)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::DeviceId;
    use crate::model::row::RowKind;
    use serde_json::json;

    #[test]
    fn texts_go_and_our_own_words_stay() {
        let mut command = Command::CreateProcess {
            command_line: "net use x".into(),
            wait: true,
            working_directory: None,
            output_file: Some("C:\\o".into()),
        };
        command.conceal(&withhold);
        assert_eq!(
            serde_json::to_value(&command).expect("writes"),
            json!({"name": "create process", "command_line": NO_LOG, "wait": true, "working_directory": null, "output_file": NO_LOG})
        );

        let mut event = EventKind::DeviceEnded {
            device: DeviceId(1),
            end: DeviceEnd::Failed {
                cause: Cause::Missing {
                    what: "C:\\x".into(),
                },
            },
        };
        event.conceal(&withhold);
        assert_eq!(
            serde_json::to_value(&event).expect("writes"),
            json!({"is": "device_ended", "device": 1, "end": {"is": "failed", "cause": {"why": "missing", "what": NO_LOG}}})
        );

        let mut cause = Cause::Disproved {
            step: "proof".into(),
            cause: Box::new(Cause::AssertFailed {
                message: "no".into(),
                at: None,
            }),
        };
        cause.conceal(&withhold);
        assert_eq!(
            serde_json::to_value(&cause).expect("writes"),
            json!({"why": "disproved", "step": NO_LOG, "cause": {"why": "assert_failed", "message": NO_LOG}})
        );

        let mut row = Row::new(RowKind::Exec);
        row.data = Some("said".into());
        row.extra.insert("a".into(), json!([1, "two"]));
        row.conceal(&withhold);
        assert_eq!(row.data, Some(NO_LOG.into()));
        assert_eq!(row.extra["a"], json!([1, NO_LOG]));
    }
}
