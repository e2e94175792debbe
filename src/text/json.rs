//! JSON as we put it on disk: ASCII only and with sorted keys, so that a log can be read with `cat`
//! and hashed byte for byte.

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};
use std::io;

/// One line of JSON without its line end: ASCII, sorted keys.
pub fn line(value: &impl Serialize) -> String {
    // Going through `Value` sorts the keys: its map is a tree.
    let value =
        serde_json::to_value(value).expect("our own types have string keys and finite numbers");
    raw_line(&value)
}

/// As [`line`], keeping the order of fields and raw JSON within.
pub fn raw_line(value: &impl Serialize) -> String {
    let mut bytes = Vec::with_capacity(128);
    let mut out = serde_json::Serializer::with_formatter(&mut bytes, Ascii);
    value
        .serialize(&mut out)
        .expect("our own types have string keys and finite numbers");
    String::from_utf8(bytes).expect("the formatter writes ASCII")
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
}

struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c: char| !matches!(c, '\u{20}'..='\u{7e}')) {
            writer.write_all(&rest.as_bytes()[..at])?;
            let c = rest[at..]
                .chars()
                .next()
                .expect("find gave a character's place");
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_raw_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Outside strings raw JSON is ASCII already; inside them an escape means the same.
        if fragment.is_ascii() && !fragment.contains(['\u{7f}', '\n', '\r']) {
            CompactFormatter.write_raw_fragment(writer, fragment)
        } else {
            let joined = fragment.replace(['\n', '\r'], " ");
            self.write_string_fragment(writer, &joined)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_are_ascii_and_sorted() {
        let text = line(&json!({"z": "é\u{7f}\u{1f600}\u{202e}", "a": {"y": 1, "b": "\n\u{1b}"}}));
        assert_eq!(
            text,
            r#"{"a":{"b":"\n\u001b","y":1},"z":"\u00e9\u007f\ud83d\ude00\u202e"}"#
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).expect("reads back")["z"],
            "é\u{7f}\u{1f600}\u{202e}"
        );
    }

    #[test]
    fn raw_bodies_stay_on_their_line() {
        let raw = serde_json::value::RawValue::from_string("{\"b\":\n 1, \"a\": \"é\"}".into())
            .expect("is JSON");
        assert_eq!(raw_line(&raw), "{\"b\":  1, \"a\": \"\\u00e9\"}");
    }
}
