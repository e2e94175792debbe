//! How a step, and from its steps a device, ended, and why.
//!
//! A [`Cause`] is made where the fact is known, holds data and no sentences, and answers what a
//! person and the retry table ask of it.

pub use super::device_state::DeviceState;
use super::effect::Reached;
use super::endpoint_code::known;
pub use super::endpoint_code::{LOCKED, NO_FOLDER, NOT_FOUND, PAST_END, TIMED_OUT};
use super::remote::RemoteText;
use crate::text::source::Span;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Outcome {
    Done,
    Failed {
        cause: Cause,
    },
    Skipped {
        cause: Cause,
    },
    /// It may have happened; a person decides.
    Unknown {
        cause: Cause,
    },
}

impl Outcome {
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Unknown { .. } => "unknown",
        }
    }

    pub const fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Done => None,
            Self::Failed { cause } | Self::Skipped { cause } | Self::Unknown { cause } => {
                Some(cause)
            }
        }
    }
}

/// Why something did not go as asked. Durations are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Cause {
    // Between us and the backend.
    /// No connection: name, network, proxy.
    Unconnected {
        host: String,
        detail: String,
    },
    Tls {
        host: String,
        detail: String,
    },
    /// The connection broke after something may have been sent.
    ConnectionLost {
        detail: String,
    },
    NoAnswer {
        seconds: u64,
    },
    RateLimited {
        retry_after: Option<u64>,
    },
    /// A 5xx answer.
    BackendDown {
        status: u16,
    },
    Unauthorized,
    Forbidden {
        detail: String,
    },
    /// A redirect where the API has none.
    Redirected {
        host: String,
    },
    /// Any other 4xx answer.
    Rejected {
        status: u16,
        detail: String,
    },
    /// An answer that is not what the API says.
    BadAnswer {
        detail: String,
    },
    /// The run's allowance of repeated requests is used up.
    RetryBudgetSpent,

    // Sessions.
    SessionLimit,
    LiveResponseOff,
    DeviceNotFound,
    /// Another run of ours works on it.
    InUse,
    /// It is not the device that was planned for.
    DeviceChanged {
        detail: String,
    },
    NeverCheckedIn {
        seconds: u64,
    },
    SessionLost,

    // Commands.
    /// The endpoint refused: an HRESULT, or a small number of the sensor's own.
    Endpoint {
        code: u32,
    },
    CommandTimeout {
        seconds: u64,
    },
    CommandCancelled,
    Unsupported {
        command: String,
    },

    // Files.
    SizeMismatch {
        announced: u64,
        received: u64,
    },
    TooLarge {
        limit: u64,
    },
    TooMuchOutput {
        limit: u64,
    },
    TooMany {
        limit: u64,
    },

    // Steps.
    ExitCode {
        code: Option<i64>,
        expected: i64,
    },
    /// What a script of ours told, or failed to tell.
    Script {
        detail: String,
    },
    /// `retry.until` did not hold, however often the step was tried.
    UntilFalse {
        attempts: u32,
        /// Where it stands in the playbook.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Span>,
    },
    AssertFailed {
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Span>,
    },
    Template {
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Span>,
    },
    OtherOs {
        os: String,
    },
    WhenFalse,
    Missing {
        what: RemoteText,
    },
    Locked {
        what: RemoteText,
    },
    /// It is locked, and Windows cannot save it either.
    NotAHive {
        what: RemoteText,
    },
    /// `reg.exe` did not do what it was started for.
    RegFailed {
        code: Option<i64>,
        said: RemoteText,
    },
    /// Nobody loaded the user's hive, and loading it is not permitted.
    LoggedOff,
    /// Somebody else's file lies where ours should go.
    InTheWay {
        what: RemoteText,
    },
    /// What lies there is not what is meant, so that it is left alone.
    OtherHash {
        what: RemoteText,
        found: String,
        meant: String,
    },
    /// More hangs on it than the author spoke of.
    NeedsRecursive {
        what: RemoteText,
    },
    /// The sensor, or the system itself: it is never taken away.
    Protected {
        what: RemoteText,
    },
    /// It was taken away, and is there all the same.
    StillThere {
        what: RemoteText,
    },
    /// It was written, and something else is there.
    Differs {
        what: RemoteText,
        found: RemoteText,
    },
    /// A program that was brought there cannot be made one that runs.
    NotExecutable {
        code: Option<i64>,
    },
    /// A program that nobody waits for has not shown that it is done.
    NotDone {
        /// The file by which it would have.
        what: RemoteText,
        seconds: u64,
        pid: Option<u64>,
    },
    /// An earlier step failed with `on_error: fail`.
    EarlierFailure {
        step: String,
    },

    /// What should prove the step did not hold.
    Disproved {
        step: String,
        cause: Box<Cause>,
    },
    /// The step that it should prove was skipped.
    NothingToProve {
        step: String,
    },

    /// The command line chose other steps.
    LeftOut {
        by: String,
    },
    /// It stands under `rescue`, and no step of its block failed.
    NothingToRescue,
    /// The time that all steps of `always` have together was over.
    AlwaysOver {
        seconds: u64,
    },

    // Here.
    Disk {
        detail: String,
    },
    Journal,
    Interrupted,
    /// A bug in sortie.
    Internal {
        detail: String,
    },
}

impl Cause {
    /// Could what was asked have happened on the endpoint?
    pub const fn reached(&self) -> Reached {
        match self {
            Self::ConnectionLost { .. }
            | Self::NoAnswer { .. }
            | Self::BackendDown { .. }
            | Self::BadAnswer { .. }
            | Self::SessionLost
            | Self::CommandTimeout { .. }
            | Self::Endpoint { code: TIMED_OUT }
            | Self::Internal { .. } => Reached::Maybe,
            Self::Endpoint { .. }
            | Self::SizeMismatch { .. }
            | Self::TooLarge { .. }
            | Self::TooMuchOutput { .. }
            | Self::TooMany { .. }
            | Self::ExitCode { .. }
            | Self::Script { .. }
            | Self::UntilFalse { .. }
            | Self::AssertFailed { .. }
            | Self::Locked { .. }
            | Self::NotAHive { .. }
            | Self::RegFailed { .. }
            | Self::LoggedOff
            | Self::Disk { .. }
            | Self::Disproved { .. }
            | Self::NotExecutable { .. }
            | Self::NotDone { .. }
            | Self::StillThere { .. }
            | Self::Differs { .. }
            | Self::Missing { .. } => Reached::Yes,
            Self::Unconnected { .. }
            | Self::Tls { .. }
            | Self::RateLimited { .. }
            | Self::Unauthorized
            | Self::Forbidden { .. }
            | Self::Redirected { .. }
            | Self::Rejected { .. }
            | Self::RetryBudgetSpent
            | Self::SessionLimit
            | Self::LiveResponseOff
            | Self::DeviceNotFound
            | Self::InUse
            | Self::DeviceChanged { .. }
            | Self::NeverCheckedIn { .. }
            | Self::CommandCancelled
            | Self::Unsupported { .. }
            | Self::Template { .. }
            | Self::OtherOs { .. }
            | Self::WhenFalse
            | Self::InTheWay { .. }
            | Self::OtherHash { .. }
            | Self::NeedsRecursive { .. }
            | Self::Protected { .. }
            | Self::EarlierFailure { .. }
            | Self::LeftOut { .. }
            | Self::NothingToProve { .. }
            | Self::NothingToRescue
            | Self::AlwaysOver { .. }
            | Self::Journal
            | Self::Interrupted => Reached::No,
        }
    }

    /// May it pass by itself?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unconnected { .. }
            | Self::ConnectionLost { .. }
            | Self::NoAnswer { .. }
            | Self::RateLimited { .. }
            | Self::BackendDown { .. }
            | Self::BadAnswer { .. }
            | Self::SessionLimit
            | Self::SessionLost
            | Self::CommandTimeout { .. }
            | Self::UntilFalse { .. }
            | Self::SizeMismatch { .. } => true,
            Self::Endpoint { code } => known(*code).is_some_and(|row| row.transient),
            _ => false,
        }
    }

    /// Is the whole backend unusable, so that no other device will fare better?
    pub const fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::Unauthorized | Self::Tls { .. } | Self::Redirected { .. }
        )
    }

    /// Did it go wrong on the way, rather than on the endpoint?
    pub const fn is_transport(&self) -> bool {
        matches!(
            self,
            Self::Unconnected { .. }
                | Self::Tls { .. }
                | Self::ConnectionLost { .. }
                | Self::NoAnswer { .. }
                | Self::RateLimited { .. }
                | Self::BackendDown { .. }
                | Self::Unauthorized
                | Self::Forbidden { .. }
                | Self::Redirected { .. }
                | Self::Rejected { .. }
                | Self::BadAnswer { .. }
                | Self::RetryBudgetSpent
        )
    }

    /// The endpoint's code in hexadecimal, for tables.
    pub fn code(&self) -> Option<String> {
        match self {
            Self::Endpoint { code } => Some(format!("0x{code:08x}")),
            _ => None,
        }
    }

    /// The endpoint said no: what was asked for has not begun.
    pub const fn is_refusal(&self) -> bool {
        matches!(
            (self, self.reached()),
            (Self::Endpoint { .. }, Reached::Yes)
        )
    }

    pub fn is_endpoint_code(&self, codes: &[u32]) -> bool {
        matches!(self, Self::Endpoint { code } if codes.contains(code))
    }
}

/// Whole seconds, at least one, for causes.
pub fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_codes_are_classified() {
        for (code, transient) in [
            (0x8007_0020, true),
            (0x8007_0015, true),
            (0x8007_0002, false),
            (0x8007_0070, false),
            (7, false),
        ] {
            assert_eq!(
                Cause::Endpoint { code }.is_transient(),
                transient,
                "{code:#x}"
            );
        }
        assert_eq!(
            Cause::Endpoint { code: 0x8007_0002 }.summary(),
            "not found (0x80070002 ERROR_FILE_NOT_FOUND)"
        );
        assert_eq!(
            Cause::Endpoint { code: 7 }.summary(),
            "the endpoint answered 0x00000007"
        );
    }

    #[test]
    fn foreign_words_stay_harmless_in_a_summary() {
        let cause = Cause::Missing {
            what: "C:\\\u{1b}[2Jx".into(),
        };
        assert_eq!(cause.summary(), "not there: C:\\\\u{1b}[2Jx");
    }

    #[test]
    fn causes_read_back_from_the_journal() {
        let outcome = Outcome::Failed {
            cause: Cause::Endpoint { code: 0x8007_0005 },
        };
        let text = serde_json::to_string(&outcome).expect("writes");
        assert_eq!(
            text,
            r#"{"is":"failed","cause":{"why":"endpoint","code":2147942405}}"#
        );
        assert_eq!(
            serde_json::from_str::<Outcome>(&text).expect("reads"),
            outcome
        );
    }
}
