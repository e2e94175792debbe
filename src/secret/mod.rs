//! Values that must not be seen: no `Display`, no `Debug`, no `Serialize`, wiped on drop; and texts
//! without them.

mod forms;

use regex::{NoExpand, Regex};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A token, password or secret input.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself; every call is a place where it could leak, so keep them few.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The secrets of a run by name. Whatever leaves the program goes through them first and comes out with
/// a mark where a value stood, as it is or escaped for JSON, a URL, a shell, or in base64.
///
/// Without secrets nothing is copied. A clone is one more reference.
#[derive(Clone, Default)]
pub struct Secrets(Option<Arc<[Known]>>);

struct Known {
    name: String,
    value: Secret,
    forms: Regex,
}

/// Shorter values stand in ordinary texts by accident.
pub const MIN_CHARS: usize = 8;
/// Longer values are files, and are sent as such.
pub const MAX_BYTES: usize = 4096;
/// A text that may have been cut keeps less than this much of a value at its end.
const SHORTEST_REST: usize = 4;
/// Texts from here on may have been cut to the width of a column, in bytes.
const MAY_BE_CUT: usize = 60 << 10;

/// What stands in the place of a value.
pub fn mark(name: &str) -> String {
    format!("[secret {name}]")
}

impl Secrets {
    /// Values shorter than [`MIN_CHARS`] and longer than [`MAX_BYTES`] are not given here.
    pub fn new(values: impl IntoIterator<Item = (String, Secret)>) -> Self {
        let mut known: Vec<Known> = values
            .into_iter()
            .map(|(name, value)| Known {
                forms: forms::of(value.expose()),
                name,
                value,
            })
            .collect();
        // Of values within one another the longest is marked whole.
        known.sort_by_key(|known| std::cmp::Reverse(known.value.expose().len()));
        Self((!known.is_empty()).then(|| known.into()))
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The values by name, for whoever sends them to an endpoint.
    pub fn values(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let known = self.0.as_deref().unwrap_or_default();
        known
            .iter()
            .map(|known| (known.name.as_str(), &known.value))
    }

    /// The text with every value marked.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut shown = Cow::Borrowed(text);
        for known in self.0.as_deref().unwrap_or_default() {
            let mark = mark(&known.name);
            if let Cow::Owned(marked) = known.forms.replace_all(&shown, NoExpand(&mark)) {
                shown = Cow::Owned(marked);
            }
            if let Some(marked) = without_rest(&shown, known.value.expose(), &mark) {
                shown = Cow::Owned(marked);
            }
        }
        shown
    }

    /// Marks every value in a text.
    pub fn hide(&self, text: &mut String) {
        if let Cow::Owned(marked) = self.text(text) {
            *text = marked;
        }
    }

    /// Marks every value in the texts of a document, and in its keys.
    pub fn hide_in(&self, document: &mut Value) {
        if self.is_empty() {
            return;
        }
        match document {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => self.hide(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide_in(item)),
            Value::Object(fields) => {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(key, mut value)| {
                        self.hide_in(&mut value);
                        (self.text(&key).into_owned(), value)
                    })
                    .collect::<Map<_, _>>();
            }
        }
    }
}

/// Messages quote the beginning of long values and columns have a width: marks what is left of a value
/// before such a cut.
fn without_rest(text: &str, value: &str, mark: &str) -> Option<String> {
    let cuts = text.match_indices('…').map(|(at, _)| at);
    let end = (text.len() >= MAY_BE_CUT).then_some(text.len());
    let (cut, length) = cuts.chain(end).find_map(|cut| {
        let rests = value.char_indices().map(|(at, _)| at).rev();
        let mut long_enough = rests.take_while(|length| *length >= SHORTEST_REST);
        let length = long_enough.find(|length| text[..cut].ends_with(&value[..*length]))?;
        Some((cut, length))
    })?;
    let marked = format!("{}{mark}{}", &text[..cut - length], &text[cut..]);
    Some(without_rest(&marked, value, mark).unwrap_or(marked))
}

/// Names alone: the values are nobody's to print.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.values().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use serde_json::json;

    const VALUE: &str = "pä\"ss' \\wo+rd&1\n\u{202e}\u{1f600}";

    fn secrets() -> Secrets {
        Secrets::new([("pw".to_owned(), Secret::new(VALUE))])
    }

    fn percent(text: &str, kept: fn(u8) -> bool) -> String {
        text.bytes()
            .map(|byte| match byte {
                kept_byte if kept(kept_byte) => char::from(kept_byte).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect()
    }

    /// JSON as we write it.
    fn ascii(json: &str) -> String {
        let unit = |unit: u16| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        };
        json.encode_utf16().map(unit).collect()
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn a_value_is_found_in_every_form() {
        let json = serde_json::to_string(VALUE).expect("text is JSON");
        let nested = serde_json::to_string(&json).expect("text is JSON");
        let table = [
            ("as it is", VALUE.to_owned()),
            ("JSON", json.trim_matches('"').to_owned()),
            ("ASCII JSON", ascii(json.trim_matches('"'))),
            ("JSON in JSON", nested),
            (
                "percent",
                percent(VALUE, |byte| byte.is_ascii_alphanumeric()),
            ),
            ("all percent", percent(VALUE, |_| false).to_lowercase()),
            (
                "form",
                percent(VALUE, |byte| byte.is_ascii_alphanumeric()).replace("%20", "+"),
            ),
            ("terminal", VALUE.escape_unicode().to_string()),
            ("PowerShell", VALUE.replace('\'', "''")),
            ("sh", VALUE.replace('\'', r"'\''")),
            ("debug", format!("{VALUE:?}")),
            (
                "UTF-16 read as bytes",
                VALUE.chars().flat_map(|c| [c, '\0']).collect(),
            ),
        ];
        for (form, text) in table {
            let text = format!("a {text} z");
            let shown = secrets().text(&text).into_owned();
            assert!(shown.contains("[secret pw]"), "{form}: {shown}");
            assert!(
                !shown.contains("wo") && !shown.contains("%31"),
                "{form}: {shown}"
            );
        }
    }

    #[test]
    fn base64_hides_a_value_at_every_place() {
        for before in ["", "u", "us", "use", "user:"] {
            for after in ["", "x", "xy", "@host"] {
                let whole = format!("{before}{VALUE}{after}");
                for bytes in [whole.as_bytes().to_vec(), wide(&whole)] {
                    for text in [STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
                        let shown = secrets().text(&text).into_owned();
                        assert!(shown.contains("[secret pw]"), "{before:?} {after:?} {text}");
                        assert!(shown.len() < 48, "{shown}");
                    }
                }
            }
        }
    }

    #[test]
    fn documents_keep_their_shape() {
        let mut document = json!({"a": [VALUE, 7, {VALUE: "x"}], "b": "nothing"});
        secrets().hide_in(&mut document);
        let expected = json!({"a": ["[secret pw]", 7, {"[secret pw]": "x"}], "b": "nothing"});
        assert_eq!(document, expected);
        assert!(matches!(secrets().text("nothing"), Cow::Borrowed(_)));
        assert_eq!(format!("{:?}", secrets()), "{\"pw\"}");
    }

    #[test]
    fn what_a_cut_leaves_is_marked_too() {
        let secrets = Secrets::new([
            ("a".to_owned(), Secret::new("correct horse")),
            ("b".to_owned(), Secret::new("correct horse battery")),
        ]);
        let table = [
            ("found `correct ho…`", "found `[secret b]…`"),
            ("correct h… and correct…", "[secret b]… and [secret b]…"),
            ("correct horse battery", "[secret b]"),
            ("correct horses", "[secret a]s"),
            ("correct h", "correct h"),
            ("no…", "no…"),
        ];
        for (text, shown) in table {
            assert_eq!(secrets.text(text), shown);
        }
        let long = format!("{}correct", "x".repeat(64 << 10));
        assert!(secrets.text(&long).ends_with("x[secret b]"));
    }
}
