//! What people read of a cause.

use super::endpoint_code::known;
use super::outcome::Cause;
use super::remote::RemoteText;
use crate::text::escape::Escaped;
use crate::text::words::Count;

impl Cause {
    /// One line, without a full stop, safe to print.
    pub fn summary(&self) -> String {
        match self {
            Self::Unconnected { host, detail } => {
                format!("cannot connect to {}: {}", Escaped(host), Escaped(detail))
            }
            Self::Tls { host, detail } => format!(
                "no trusted connection to {}: {}",
                Escaped(host),
                Escaped(detail)
            ),
            Self::ConnectionLost { detail } => format!("the connection broke: {}", Escaped(detail)),
            Self::NoAnswer { seconds } => format!("no answer within {seconds} s"),
            Self::RateLimited { retry_after } => rate_limited(*retry_after),
            Self::BackendDown { status } => format!("the backend answered {status}"),
            Self::Unauthorized => "the backend refused the token (401)".into(),
            Self::Forbidden { detail } => format!("not permitted (403): {}", Escaped(detail)),
            Self::Redirected { host } => {
                format!("redirected to {}, which is not followed", Escaped(host))
            }
            Self::Rejected { status, detail } => format!(
                "the backend rejected the request ({status}): {}",
                Escaped(detail)
            ),
            Self::BadAnswer { detail } => {
                format!("an answer that the API does not have: {}", Escaped(detail))
            }
            Self::RetryBudgetSpent => "too many repeated requests in this run".into(),
            Self::SessionLimit => "the organisation's session limit is reached".into(),
            Self::LiveResponseOff => "Live Response is off for this device".into(),
            Self::InUse => "another run of sortie on this machine works on this device".into(),
            Self::DeviceNotFound => "the backend does not know this device".into(),
            Self::DeviceChanged { detail } => {
                format!("changed since the plan was made: {}", Escaped(detail))
            }
            Self::NeverCheckedIn { seconds } => format!("did not check in within {seconds} s"),
            Self::SessionLost => "the session ended early".into(),
            Self::Endpoint { code } => match known(*code) {
                Some(row) => format!("{} (0x{code:08x} {})", row.meaning, row.symbol),
                None => format!("the endpoint answered 0x{code:08x}"),
            },
            Self::CommandTimeout { seconds } => format!("not finished within {seconds} s"),
            Self::CommandCancelled => "the command was cancelled".into(),
            Self::Unsupported { command } => {
                format!("the sensor does not know `{}`", Escaped(command))
            }
            Self::SizeMismatch {
                announced,
                received,
            } => format!("announced {announced} bytes, received {received}"),
            Self::TooLarge { limit } => format!("larger than max_size ({limit} bytes)"),
            Self::TooMuchOutput { limit } => {
                format!("more output than is taken as text ({limit} bytes); use `output: file`")
            }
            Self::TooMany { limit } => format!("more than {limit} entries"),
            Self::ExitCode { code, expected } => unexpected_code(*code, *expected),
            Self::Script { detail } => format!("the script: {}", Escaped(detail)),
            Self::UntilFalse { attempts, .. } => {
                format!(
                    "`until` does not hold after {}",
                    Count(u64::from(*attempts), "try")
                )
            }
            Self::AssertFailed { message, .. } => format!("assertion failed: {}", Escaped(message)),
            Self::Template { message, .. } => format!("template: {}", Escaped(message)),
            Self::OtherOs { os } => format!("not for {os}"),
            Self::WhenFalse => "`when` is false".into(),
            Self::Missing { what } => format!("not there: {what}"),
            Self::Locked { what } => format!("locked: {what}"),
            Self::NotAHive { what } => {
                format!("locked, and no registry hive that reg.exe could save: {what}")
            }
            Self::RegFailed { code, said } => reg_failed(*code, said),
            Self::LoggedOff => {
                "not read: the user is logged off, and the playbook does not permit `exec`".into()
            }
            Self::InTheWay { what } => format!("already there, and not ours: {what}"),
            Self::OtherHash { what, found, meant } => other_hash(what, found, meant),
            Self::NeedsRecursive { what } => format!("`recursive` is not given: {what}"),
            Self::Protected { what } => format!("the sensor or the system itself: {what}"),
            Self::StillThere { what } => format!("still there: {what}"),
            Self::Differs { what, found } => format!("not what was written: {what} is {found}"),
            Self::NotExecutable { code } => not_executable(*code),
            Self::NotDone { what, seconds, pid } => {
                let pid = pid.map_or("unknown".to_owned(), |pid| pid.to_string());
                format!("process {pid} not done within {seconds} s: not there: {what}")
            }
            Self::EarlierFailure { step } => format!("not run, because `{step}` failed"),
            Self::Disproved { step, cause } => {
                format!("its proof `{step}` failed: {}", cause.summary())
            }
            Self::NothingToProve { step } => format!("nothing to prove: `{step}` was skipped"),
            Self::LeftOut { by } => format!("left out by {}", Escaped(by)),
            Self::NothingToRescue => "nothing to rescue".into(),
            Self::AlwaysOver { seconds } => {
                format!("the {seconds} s of `always` were over")
            }
            Self::Disk { detail } => format!("cannot write here: {}", Escaped(detail)),
            Self::Journal => "the journal could not be written".into(),
            Self::Interrupted => "the run was stopped".into(),
            Self::Internal { detail } => format!("a bug in sortie: {}", Escaped(detail)),
        }
    }

    /// What to do about it, where there is something to do.
    pub const fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unconnected { .. } => "check the url of the profile, the network and the proxy",
            Self::Unauthorized => {
                "check the token: it is SECRET/ID, secret first, from a key of type Custom"
            }
            Self::Forbidden { .. } => {
                "check the organisation key, and the API key's permissions: Live Response needs org.liveresponse.* and device READ"
            }
            Self::Redirected { .. } => {
                "check the url of the profile: it must be the API's own host"
            }
            Self::RateLimited { .. } => {
                "other tools share the limit of this address; lower --max-sessions"
            }
            Self::SessionLimit => "others hold sessions; lower --max-sessions or try later",
            Self::LiveResponseOff => "switch Live Response on in the device's policy",
            Self::InUse => "wait for it, see `sortie runs`",
            Self::NeverCheckedIn { .. } => {
                "the device is offline or slow; run again when it is back"
            }
            Self::Script { .. } => {
                "the step's rows have what came, and the transcript the script as it was sent"
            }
            Self::InTheWay { .. } => {
                "name another place; put_file and reg_set replace what is there with `overwrite: true`"
            }
            Self::NeedsRecursive { .. } => {
                "look at what lies below first; `recursive: true` with `unguarded: true` takes all of it"
            }
            Self::Protected { .. } => "name exactly what is to go",
            Self::NotDone { .. } => {
                "give the step a longer timeout; the tool and what it writes are still there"
            }
            Self::Internal { .. } => "please report it, with the run directory's journal.jsonl",
            _ => return None,
        })
    }
}

fn rate_limited(retry_after: Option<u64>) -> String {
    match retry_after {
        Some(seconds) => format!("rate limit reached, try again after {seconds} s"),
        None => "rate limit reached".into(),
    }
}

fn other_hash(what: &RemoteText, found: &str, meant: &str) -> String {
    let (found, meant) = (Escaped(found), Escaped(meant));
    format!("left alone by its guard: the SHA-256 of {what} is {found}, and not {meant}")
}

fn not_executable(code: Option<i64>) -> String {
    let code = code.map_or("none".to_owned(), |code| code.to_string());
    format!("chmod did not make it executable: exit code {code}")
}

fn unexpected_code(code: Option<i64>, expected: i64) -> String {
    match code {
        Some(code) => format!("exit code {code}, expected {expected}"),
        None => format!("no exit code was reported, expected {expected}"),
    }
}

fn reg_failed(code: Option<i64>, said: &RemoteText) -> String {
    match code {
        Some(code) => format!("reg.exe ended with exit code {code}: {said}"),
        None => format!("reg.exe failed: {said}"),
    }
}
