//! JSON as foreign systems write it, read so that one odd value never hides the rest.
//!
//! Numbers keep their digits, text keeps lone surrogates, names may have several spellings, and null
//! is absent. What stays an error: duplicate keys (which of them is true?) and needless depth.

use crate::model::outcome::Cause;
use crate::model::remote::RemoteText;
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::Deserialize;
use serde::de::{self, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Answers of the API are at most six deep.
const DEEPEST: usize = 32;
/// More elements than this in one list are not a listing any more.
const LONGEST: usize = 200_000;

/// A JSON value with forgiving accessors.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    /// The digits as they came: 64 bits and doubles are both too small for what is sent.
    Number(String),
    Text(RemoteText),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

/// What is absent reads as this.
static ABSENT: Node = Node::Null;

impl Node {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, Cause> {
        // Invalid UTF-8 becomes U+FFFD: the body as it came is kept elsewhere.
        let text = String::from_utf8_lossy(body);
        let raw =
            serde_json::from_str::<&RawValue>(&text).map_err(|error| not_json(&text, &error))?;
        build(raw, DEEPEST)
    }

    /// The first of these members that is there and not null.
    pub fn get(&self, names: &[&str]) -> &Self {
        let Self::Map(members) = self else {
            return &ABSENT;
        };
        names
            .iter()
            .filter_map(|name| members.get(*name))
            .find(|node| **node != Self::Null)
            .unwrap_or(&ABSENT)
    }

    pub fn is_absent(&self) -> bool {
        *self == Self::Null
    }

    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// Text, or what is written as a number or a truth value; absent is empty.
    pub fn text(&self) -> RemoteText {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(digits) => digits.clone().into(),
            Self::Bool(value) => value.to_string().into(),
            Self::List(items) => {
                let parts: Vec<_> = items
                    .iter()
                    .map(|item| item.text().raw().to_owned())
                    .collect();
                parts.join(",").into()
            }
            Self::Null | Self::Map(_) => RemoteText::default(),
        }
    }

    pub fn texts(&self) -> Vec<RemoteText> {
        self.list().iter().map(Self::text).collect()
    }

    /// A word to compare: trimmed, lower case, with blanks for underscores and hyphens.
    pub fn word(&self) -> String {
        let text = self.text().raw().trim().to_ascii_lowercase();
        text.replace(['_', '-'], " ")
    }

    /// An identifier that may be text or a number; none if empty.
    pub fn id(&self) -> Option<String> {
        match self {
            Self::Text(text) if !text.raw().trim().is_empty() => Some(text.raw().trim().to_owned()),
            Self::Number(digits) => Some(digits.clone()),
            _ => None,
        }
    }

    pub fn unsigned(&self) -> Option<u64> {
        self.whole().and_then(|number| u64::try_from(number).ok())
    }

    pub fn signed(&self) -> Option<i64> {
        self.whole().and_then(|number| i64::try_from(number).ok())
    }

    pub fn is_true(&self) -> bool {
        match self {
            Self::Bool(value) => *value,
            _ => matches!(self.word().as_str(), "true" | "1" | "yes" | "on"),
        }
    }

    /// A result code in any of its forms, as its 32 bits.
    pub fn code(&self) -> Option<u32> {
        let number = self.whole()?;
        u32::try_from(number)
            .ok()
            .or_else(|| i32::try_from(number).ok().map(i32::cast_unsigned))
    }

    /// A point in time in any of the forms that are about; none where it makes no sense.
    pub fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Number(digits) => epoch(digits),
            Self::Text(text) => {
                let text = text.raw().trim();
                epoch(text)
                    .or_else(|| text.parse().ok())
                    .or_else(|| civil(text))
            }
            _ => None,
        }
    }

    fn whole(&self) -> Option<i128> {
        let digits: Cow<'_, str> = match self {
            Self::Number(digits) => Cow::Borrowed(digits),
            Self::Text(text) => Cow::Owned(text.raw().trim().to_ascii_lowercase()),
            Self::Bool(value) => return Some(i128::from(*value)),
            _ => return None,
        };
        if let Some(hex) = digits.strip_prefix("0x") {
            return i128::from_str_radix(hex, 16).ok();
        }
        digits.parse().ok().or_else(|| {
            let number: f64 = digits.parse().ok()?;
            // Every whole double below 2^53 is exact; beyond, the sender has lost digits already.
            #[expect(clippy::cast_possible_truncation, reason = "is whole and within range")]
            (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0)
                .then_some(number as i128)
        })
    }

    /// As ordinary JSON, for keeping: lone surrogates become U+FFFD.
    pub fn to_value(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Number(digits) => {
                serde_json::from_str(digits).unwrap_or_else(|_| digits.as_str().into())
            }
            Self::Text(text) => text.raw().into(),
            Self::List(items) => items.iter().map(Self::to_value).collect(),
            Self::Map(members) => members
                .iter()
                .map(|(name, node)| (name.clone(), node.to_value()))
                .collect(),
        }
    }
}

fn build(raw: &RawValue, depth: usize) -> Result<Node, Cause> {
    let text = raw.get();
    let failed = |error: &serde_json::Error| not_json(text, error);
    Ok(match text.as_bytes().first() {
        Some(b'{' | b'[') if depth == 0 => {
            return Err(Cause::BadAnswer {
                detail: format!("JSON nested deeper than {DEEPEST}"),
            });
        }
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text).map_err(|error| failed(&error))?;
            let mut nodes = BTreeMap::new();
            for (name, raw) in members {
                nodes.insert(name.into_owned(), build(raw, depth - 1)?);
            }
            Node::Map(nodes)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> =
                serde_json::from_str(text).map_err(|error| failed(&error))?;
            if items.len() > LONGEST {
                return Err(Cause::TooMany {
                    limit: LONGEST as u64,
                });
            }
            let nodes: Result<_, _> = items.into_iter().map(|raw| build(raw, depth - 1)).collect();
            Node::List(nodes?)
        }
        Some(b'"') => Node::Text(serde_json::from_str(text).map_err(|error| failed(&error))?),
        Some(b't') => Node::Bool(true),
        Some(b'f') => Node::Bool(false),
        Some(b'n') | None => Node::Null,
        Some(_) => Node::Number(text.to_owned()),
    })
}

/// An object's members; a name that comes twice is an error.
struct Members<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, raw)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
            if members.insert(name.clone(), raw).is_some() {
                return Err(de::Error::custom(format_args!(
                    "the member `{name}` comes twice"
                )));
            }
        }
        Ok(Members(members))
    }
}

fn not_json(text: &str, error: &serde_json::Error) -> Cause {
    let start: String = text.trim_start().chars().take(60).collect();
    Cause::BadAnswer {
        detail: if start.is_empty() {
            "an empty body".into()
        } else {
            format!("{error}, in `{start}…`")
        },
    }
}

/// Seconds, milliseconds, FILETIME/1000 or FILETIME, told apart by size: each has centuries of its own.
fn epoch(digits: &str) -> Option<Timestamp> {
    /// From 1601 to 1970.
    const FILETIME_EPOCH: i128 = 11_644_473_600 * 10_000_000;
    let Ok(number) = digits.parse::<i128>() else {
        let seconds: f64 = digits
            .parse()
            .ok()
            .filter(|seconds: &f64| seconds.abs() < 1e11)?;
        return jiff::SignedDuration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|since| Timestamp::from_duration(since).ok());
    };
    let nanoseconds = match number.unsigned_abs() {
        0..100_000_000_000 => number * 1_000_000_000,
        100_000_000_000..10_000_000_000_000 => number * 1_000_000,
        10_000_000_000_000..10_000_000_000_000_000 => (number * 1_000 - FILETIME_EPOCH) * 100,
        10_000_000_000_000_000..10_000_000_000_000_000_000 => (number - FILETIME_EPOCH) * 100,
        _ => return None,
    };
    Timestamp::from_nanosecond(nanoseconds).ok()
}

/// Without a zone it is UTC: no API of theirs speaks local time.
fn civil(text: &str) -> Option<Timestamp> {
    let time: DateTime = text.parse().ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(json: &str) -> Node {
        Node::parse(json.as_bytes()).expect(json)
    }

    #[test]
    fn times_come_in_many_forms_and_never_fail() {
        let table = [
            ("1706933106", "2024-02-03T04:05:06Z"),
            ("1706933106789", "2024-02-03T04:05:06.789Z"),
            ("1706933106.5", "2024-02-03T04:05:06.5Z"),
            ("133514067067890000", "2024-02-03T04:05:06.789Z"),
            ("133514067067890", "2024-02-03T04:05:06.789Z"),
            ("\"1706933106\"", "2024-02-03T04:05:06Z"),
            ("\"2024-02-03T04:05:06Z\"", "2024-02-03T04:05:06Z"),
            ("\"2024-02-03T04:05:06.789Z\"", "2024-02-03T04:05:06.789Z"),
            ("\"2024-02-03 04:05:06\"", "2024-02-03T04:05:06Z"),
            ("\"2024-02-03T06:05:06+02:00\"", "2024-02-03T04:05:06Z"),
            ("-1", "1969-12-31T23:59:59Z"),
        ];
        for (json, expected) in table {
            let time = node(json).time().map(|time| time.to_string());
            assert_eq!(time.as_deref(), Some(expected), "{json}");
        }
        for json in [
            "\"+53575-10-09T00:00:00.000+0000\"",
            "\"\"",
            "\"soon\"",
            "null",
            "[]",
            "true",
            "9e99999",
            "99999999999999999999999999999999999999999999",
            "-9e18",
        ] {
            assert_eq!(node(json).time(), None, "{json}");
        }
    }

    #[test]
    fn codes_are_their_32_bits() {
        let table = [
            ("2147942402", Some(0x8007_0002)),
            ("-2147024894", Some(0x8007_0002)),
            ("\"0x80070002\"", Some(0x8007_0002)),
            ("\" 0X80070002 \"", Some(0x8007_0002)),
            ("\"-2147024894\"", Some(0x8007_0002)),
            ("2147942402.0", Some(0x8007_0002)),
            ("0", Some(0)),
            ("null", None),
            ("\"\"", None),
            ("1e400", None),
            ("99999999999", None),
        ];
        for (json, expected) in table {
            assert_eq!(node(json).code(), expected, "{json}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_an_error() {
        let deep = "[".repeat(5_000) + &"]".repeat(5_000);
        let table = [
            (
                r#"{"status":"ERROR","status":"COMPLETE"}"#,
                "`status` comes twice",
            ),
            (r#"{"a":[{"b":1,"\u0062":2}]}"#, "`b` comes twice"),
            (&deep, "nested deeper than 32"),
            ("<html>502</html>", "expected value"),
            ("{\"a\":1} trailing", "trailing characters"),
            ("", "an empty body"),
        ];
        for (json, expected) in table {
            match Node::parse(json.as_bytes()) {
                Err(Cause::BadAnswer { detail }) => assert!(detail.contains(expected), "{detail}"),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_rest_of_an_odd_body_stays_readable() {
        let odd =
            Node::parse(b"{\"a\":\"x\\ud800\",\"b\":\"\xff\",\"c\":null,\"d\":\"7\",\"n\":1e999}")
                .expect("reads");
        assert_eq!(odd.get(&["a"]).text().exact(), Some(&b"x\xed\xa0\x80"[..]));
        assert_eq!(odd.get(&["b"]).text().raw(), "\u{fffd}");
        assert_eq!(odd.get(&["c", "d"]).unsigned(), Some(7));
        assert_eq!(odd.to_value()["n"], "1e999");
        assert!(odd.get(&["c"]).is_absent() && odd.get(&["c"]).list().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(body: Vec<u8>, json in r#"([\[\]{}:,"]|-?[0-9]{1,40}|[eE.+]|0x|\\ud[89a-f]0{2}|null|true){0,24}"#) {
            for bytes in [&body[..], json.as_bytes(), format!("[{json}]").as_bytes(), format!("\"{json}\"").as_bytes()] {
                if let Ok(node) = Node::parse(bytes) {
                    for item in node.list().iter().chain([&node]) {
                        drop((item.time(), item.code(), item.signed(), item.text(), item.to_value()));
                    }
                }
            }
        }
    }
}
