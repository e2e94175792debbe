//! What an answer without success means.
//!
//! Texts are matched by a few words in any case: the vendor documents the codes, not the words.

use super::node::Node;
use crate::clock;
use crate::model::outcome::Cause;
use crate::wire::Response;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use std::time::Duration;

/// What was asked for; a 404 means something else for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A new session for a device.
    Open,
    /// A session or something that lives and dies with it.
    Session,
    /// A file of a session.
    File,
    /// Anything that no session owns.
    Other,
}

/// Waiting longer than this for a backend is nothing a run should do.
const LONGEST_PAUSE: u64 = 600;
/// Of a foreign text only the start is told.
const TOLD: usize = 300;

/// Lets a 2xx through; everything else is a [`Cause`].
pub fn check(response: &Response, asked: Asked) -> Result<(), Cause> {
    match response.status {
        200..300 => Ok(()),
        300..400 => Err(Cause::Redirected {
            host: response
                .header("location")
                .map_or_else(String::new, host_of),
        }),
        401 => Err(Cause::Unauthorized),
        404 => Err(not_found(asked, detail(response))),
        429 => Err(Cause::RateLimited {
            retry_after: retry_after(response).map(|pause| pause.as_secs()),
        }),
        status @ 400..500 => Err(refused(status, detail(response))),
        status @ 500..600 => Err(Cause::BackendDown { status }),
        status => Err(Cause::BadAnswer {
            detail: format!("HTTP status {status}"),
        }),
    }
}

/// The body of a success, unless it says that it is none.
pub fn body(response: &Response, asked: Asked) -> Result<Node, Cause> {
    check(response, asked)?;
    let node = Node::parse(&response.body)?;
    let error = node.get(&["errorMessage"]);
    if error.is_absent() {
        Ok(node)
    } else {
        Err(Cause::BadAnswer {
            detail: format!("errorMessage: {}", start(error.text().raw())),
        })
    }
}

/// How long the backend wants to be left alone: 1 to 600 seconds.
pub fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.header("retry-after")?.trim();
    let seconds = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        // More digits than fit are a long time too.
        text.parse().unwrap_or(LONGEST_PAUSE)
    } else {
        // Their clock, where they tell it: ours may be wrong.
        let now = response
            .header("date")
            .and_then(http_date)
            .unwrap_or_else(clock::now);
        u64::try_from(http_date(text)?.duration_since(now).as_secs()).unwrap_or(0)
    };
    Some(Duration::from_secs(seconds.clamp(1, LONGEST_PAUSE)))
}

fn http_date(text: &str) -> Option<Timestamp> {
    // A wrong weekday beside a right date is no reason to hurry.
    let parser = DateTimeParser::new().relaxed_weekday(true);
    parser.parse_timestamp(text).ok()
}

fn not_found(asked: Asked, detail: String) -> Cause {
    let words = detail.to_lowercase();
    match asked {
        // A wrong organisation key is answered with 404 too.
        Asked::Open if words.contains("org_id") || words.contains("org_key") => Cause::Rejected {
            status: 404,
            detail,
        },
        Asked::Open => Cause::DeviceNotFound,
        Asked::File if words.contains("file") && !words.contains("session") => Cause::Rejected {
            status: 404,
            detail,
        },
        Asked::Session | Asked::File => Cause::SessionLost,
        Asked::Other => Cause::Rejected {
            status: 404,
            detail,
        },
    }
}

fn refused(status: u16, detail: String) -> Cause {
    let words = detail.to_lowercase().replace(['_', '-'], " ");
    let says = |list: &[&str]| list.iter().any(|word| words.contains(word));
    if status == 403
        && says(&[
            "session limit",
            "limit of sessions",
            "maximum number of sessions",
        ])
    {
        return Cause::SessionLimit;
    }
    let about_live_response = says(&["live response", "liveresponse"]);
    if about_live_response && says(&["disabled", "not enabled", "turned off", "is off", "killed"]) {
        return Cause::LiveResponseOff;
    }
    if status == 403 {
        Cause::Forbidden { detail }
    } else {
        Cause::Rejected { status, detail }
    }
}

/// The text of an error, from whichever member holds it, or the start of the body.
fn detail(response: &Response) -> String {
    let told = Node::parse(&response.body).ok().and_then(|node| {
        let text = node
            .get(&["message", "errorMessage", "error", "reason", "error_code"])
            .text();
        (!text.is_empty()).then(|| text.raw().to_owned())
    });
    start(&told.unwrap_or_else(|| String::from_utf8_lossy(&response.body).trim().to_owned()))
}

fn start(text: &str) -> String {
    text.chars().take(TOLD).collect()
}

/// The host of an absolute address, never more of it: a signed one is a key.
pub fn host_of(url: &str) -> String {
    let rest = url.split_once("//").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(retry_after_text: &str, date: &str) -> Option<u64> {
        let mut response = Response::new(429);
        response.headers = vec![
            ("Retry-After".into(), retry_after_text.into()),
            ("Date".into(), date.into()),
        ];
        retry_after(&response).map(|pause| pause.as_secs())
    }

    #[test]
    fn a_pause_has_two_forms_and_bounds() {
        let date = "Sat, 03 Feb 2024 04:05:06 GMT";
        let table = [
            ("7", Some(7)),
            ("0", Some(1)),
            ("99999999999999999999999", Some(600)),
            ("Sat, 03 Feb 2024 04:06:06 GMT", Some(60)),
            ("Sat, 03 Feb 2034 04:06:06 GMT", Some(600)),
            ("Sat, 03 Feb 2014 04:06:06 GMT", Some(1)),
            ("-5", None),
            ("", None),
            ("soon", None),
        ];
        for (text, expected) in table {
            assert_eq!(wait(text, date), expected, "{text}");
        }
    }

    #[test]
    fn only_the_host_of_an_address_is_told() {
        let table = [
            (
                "https://store.example:8443/key?sig=secret",
                "store.example:8443",
            ),
            ("//store.example/key", "store.example"),
            ("https://user:pass@store.example?x", "store.example"),
            ("/relative?sig=secret", ""),
            ("", ""),
        ];
        for (url, host) in table {
            assert_eq!(host_of(url), host);
        }
    }
}
