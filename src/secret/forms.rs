//! The ways in which a text may be written, as one pattern.
//!
//! Each character may stand as it is or escaped, so that texts in JSON in a URL are found too; base64 has
//! no characters, and is spelled out for each place within a longer text. Not covered: compressed and
//! encrypted texts, other cases, and code pages in which a character has other bytes.

use super::MAX_BYTES;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use regex::{Regex, RegexBuilder, escape};
use std::fmt::Write;

/// Bytes that the pattern of a value may take; the longest value needs a good part of them.
const MAX_PATTERN: usize = 256 << 20;

/// Quotes and backslashes: each quoting puts some before or after those that are there.
const QUOTE: &str = r#"(?:['"\\]|%27|%22|%5[cC]|u00(?:27|22|5[cC])|u\{0*(?:27|22|5[cC])\})"#;
/// The other half of a UTF-16 character that somebody read as bytes.
const HALF: &str = r"(?:\x00|%00|\\+u0000|\\+u\{0+\}|\\+0)?";
const DIGIT: &str = "[A-Za-z0-9+/_-]";

/// Matches the value in every form.
pub(super) fn of(value: &str) -> Regex {
    debug_assert!(value.len() <= MAX_BYTES, "longer values are refused");
    let mut pattern = value.chars().map(character).collect::<Vec<_>>().join(HALF);
    let wide: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [value.as_bytes(), &wide] {
        for shift in 0..3 {
            pattern.push('|');
            base64(bytes, shift, &mut pattern);
        }
    }
    RegexBuilder::new(&pattern)
        .size_limit(MAX_PATTERN)
        .build()
        .expect("literals and escapes of a value of limited length")
}

fn character(c: char) -> String {
    if matches!(c, '\'' | '"' | '\\') {
        return format!("{QUOTE}+");
    }
    let mut forms = format!("(?:{}", escape(&c.to_string()));
    if matches!(c, '\u{2018}'..='\u{201b}') {
        // PowerShell takes them for quotes, and they are doubled for it.
        forms.push('+');
    }
    forms.push('|');
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        let _ = write!(forms, "%(?i:{byte:02x})");
    }
    forms.push('|');
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(forms, r"\\+u(?i:{unit:04x})");
    }
    let _ = write!(forms, r"|\\+u\{{0*(?i:{:x})\}}", u32::from(c));
    forms.push_str(match c {
        ' ' => r"|\+",
        '/' => r"|\\+/",
        '\n' => r"|\\+n",
        '\r' => r"|\\+r",
        '\t' => r"|\\+t",
        '\u{8}' => r"|\\+b",
        '\u{c}' => r"|\\+f",
        _ => "",
    });
    forms.push(')');
    forms
}

/// The bytes in base64 behind `shift` others: the digits that are theirs alone, and at either end the one
/// that they share.
fn base64(bytes: &[u8], shift: usize, pattern: &mut String) {
    let mut shifted = vec![0; shift];
    shifted.extend_from_slice(bytes);
    let digits = STANDARD_NO_PAD.encode(&shifted);
    let (first, end) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
    if shift > 0 {
        pattern.push_str(DIGIT);
    }
    for digit in digits[first..end].chars() {
        match digit {
            '+' => pattern.push_str(r"(?:[+-]|%2[bB]|\\+u002[bB])"),
            '/' => pattern.push_str(r"(?:\\*/|_|%2[fF])"),
            other => pattern.push(other),
        }
    }
    if !shifted.len().is_multiple_of(3) {
        pattern.push_str(DIGIT);
    }
}
