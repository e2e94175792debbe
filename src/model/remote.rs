//! Text that an endpoint or a backend said.

use crate::text::escape::Escaped;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Foreign text. It is shown escaped, is never a template, and becomes a local path only through
/// `bundle::path`.
///
/// Windows names may hold lone surrogates, which JSON can carry and Unicode cannot: those read as
/// U+FFFD here, and the exact bytes (WTF-8) are kept beside.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteText {
    text: String,
    exact: Option<Box<[u8]>>,
}

impl RemoteText {
    /// The text as it is, for comparing, sending back, and storing; never for showing.
    pub fn raw(&self) -> &str {
        &self.text
    }

    /// The original bytes (WTF-8), where they are not valid Unicode.
    pub fn exact(&self) -> Option<&[u8]> {
        self.exact.as_deref()
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Text as an endpoint has it: UTF-8, or WTF-8 out of Windows, or any bytes where names are bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self {
                text: text.to_owned(),
                exact: None,
            },
            Err(_) => Self {
                text: lossy(bytes),
                exact: Some(bytes.into()),
            },
        }
    }
}

/// One U+FFFD for each lone surrogate, and for each other run of bytes that is no text; `from_utf8_lossy`
/// would write three for a surrogate.
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut goes_on = false;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        let follows = goes_on && chunk.valid().is_empty();
        goes_on = !chunk.invalid().is_empty();
        let begins = !follows || matches!(chunk.invalid().first(), Some(0xc0..));
        if goes_on && begins {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

impl From<&str> for RemoteText {
    fn from(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            exact: None,
        }
    }
}

impl From<String> for RemoteText {
    fn from(text: String) -> Self {
        Self { text, exact: None }
    }
}

impl fmt::Display for RemoteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` keeps width and precision working in tables.
        f.pad(&Escaped(&self.text).to_string())
    }
}

impl fmt::Debug for RemoteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", Escaped(&self.text))
    }
}

impl Serialize for RemoteText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for RemoteText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Asking for bytes is what makes serde_json hand over lone surrogates instead of refusing the body.
        deserializer.deserialize_bytes(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = RemoteText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<RemoteText, E> {
        Ok(RemoteText::from_bytes(bytes))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RemoteText, E> {
        Ok(text.into())
    }

    fn visit_unit<E: de::Error>(self) -> Result<RemoteText, E> {
        Ok(RemoteText::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_surrogate_does_not_hide_the_rest() {
        let text: RemoteText = serde_json::from_str(r#""a\ud800b\u001b""#).expect("reads");
        assert_eq!(text.raw(), "a\u{fffd}b\u{1b}");
        assert_eq!(text.exact(), Some(&b"a\xed\xa0\x80b\x1b"[..]));
        assert_eq!(text.to_string(), "a\u{fffd}b\\u{1b}");
    }

    #[test]
    fn bytes_that_are_no_text_are_not_passed_over() {
        let table: [(&[u8], &str); 4] = [
            (b"a\x80\x81b\xff", "a\u{fffd}b\u{fffd}"),
            (b"\xed\xa0\x80\xed\xa0\x80", "\u{fffd}\u{fffd}"),
            (b"\xc3", "\u{fffd}"),
            (b"", ""),
        ];
        for (bytes, expected) in table {
            let text = RemoteText::from_bytes(bytes);
            assert_eq!(text.raw(), expected);
            assert_eq!(text.exact(), Some(bytes).filter(|bytes| !bytes.is_empty()));
        }
    }

    #[test]
    fn plain_text_is_exact_already() {
        let text: RemoteText = serde_json::from_str(r#""C:\\Users\\zo\u00eb""#).expect("reads");
        assert_eq!((text.raw(), text.exact()), ("C:\\Users\\zoë", None));
        assert_eq!(
            serde_json::to_string(&text).expect("writes"),
            r#""C:\\Users\\zoë""#
        );
    }
}
