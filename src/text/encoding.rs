//! What a console program wrote, as text.

use encoding_rs::{UTF_16BE, UTF_16LE};

/// How bytes are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// By byte order mark, else UTF-16 by its zero bytes, else UTF-8, else OEM 437.
    Auto,
    Known(&'static encoding_rs::Encoding),
    /// A code page of the Windows console.
    Oem(u16),
}

/// Code page 437 is what English consoles use, and shows every byte as something.
const DEFAULT_PAGE: u16 = 437;

impl Encoding {
    /// Reads `auto`, a name such as `utf-8` or `windows-1252`, or a console's page such as `cp850`.
    pub fn from_label(label: &str) -> Option<Self> {
        let label = label.trim().to_ascii_lowercase();
        if label == "auto" {
            return Some(Self::Auto);
        }
        let page = label
            .strip_prefix("cp")
            .or_else(|| label.strip_prefix("ibm"))
            .and_then(|page| page.parse().ok());
        if let Some(page) = page
            && oem_cp::code_table::DECODING_TABLE_CP_MAP.contains_key(&page)
        {
            return Some(Self::Oem(page));
        }
        encoding_rs::Encoding::for_label(label.as_bytes()).map(Self::Known)
    }

    /// Decodes all of it; what does not fit becomes U+FFFD.
    pub fn decode(self, bytes: &[u8]) -> String {
        match self {
            // A mark of its own goes; that of another encoding is two letters of this one.
            Self::Known(encoding) => encoding.decode_with_bom_removal(bytes).0.into_owned(),
            Self::Oem(page) => oem(page, bytes),
            Self::Auto => {
                if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
                    return encoding
                        .decode_without_bom_handling(&bytes[mark..])
                        .0
                        .into_owned();
                }
                if let Some(encoding) = by_zero_bytes(bytes) {
                    return encoding.decode_without_bom_handling(bytes).0.into_owned();
                }
                match std::str::from_utf8(bytes) {
                    Ok(text) => text.to_owned(),
                    Err(_) => oem(DEFAULT_PAGE, bytes),
                }
            }
        }
    }
}

fn oem(page: u16, bytes: &[u8]) -> String {
    match oem_cp::code_table::DECODING_TABLE_CP_MAP.get(&page) {
        Some(table) => table.decode_string_lossy(bytes),
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Western text in UTF-16 has a zero in nearly every other byte, and nothing else has.
fn by_zero_bytes(bytes: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let pairs = bytes.chunks_exact(2);
    let total = pairs.len();
    if total == 0 || !bytes.len().is_multiple_of(2) {
        return None;
    }
    let (high, low) = pairs.fold((0, 0), |(high, low), pair| {
        (
            high + usize::from(pair[0] == 0),
            low + usize::from(pair[1] == 0),
        )
    });
    if low * 10 >= total * 7 && high * 10 < total {
        Some(UTF_16LE)
    } else if high * 10 >= total * 7 && low * 10 < total {
        Some(UTF_16BE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::WINDOWS_1252;
    use proptest::prelude::*;

    #[test]
    fn what_consoles_write_becomes_text() {
        let table: [(&str, &[u8], &str); 18] = [
            ("auto", b"plain\r\n", "plain\r\n"),
            ("auto", "gr\u{fc}n".as_bytes(), "gr\u{fc}n"),
            ("auto", b"\xef\xbb\xbfmarked", "marked"),
            ("auto", b"\xff\xfeh\0i\0", "hi"),
            ("auto", b"\xfe\xff\0h\0i", "hi"),
            ("auto", b"h\0e\0l\0l\0o\0", "hello"),
            ("auto", b"gr\x81n", "gr\u{fc}n"),
            ("auto", b"", ""),
            ("cp850", b"\x9d", "\u{d8}"),
            ("windows-1252", b"gr\xfcn", "gr\u{fc}n"),
            ("utf-16le", b"h\0i\0\0\xd8", "hi\u{fffd}"),
            ("cp437", b"\x80\xe1\xff", "\u{c7}\u{df}\u{a0}"),
            ("cp850", b"\x80\xd5\x9e", "\u{c7}\u{131}\u{d7}"),
            ("windows-1252", b"\x80\x9f", "\u{20ac}\u{178}"),
            // A page is taken at its author's word, also where its first letters look like a mark.
            ("windows-1252", b"\xff\xfeo", "\u{ff}\u{fe}o"),
            ("windows-1252", b"\xef\xbb\xbf", "\u{ef}\u{bb}\u{bf}"),
            ("utf-16le", b"\xff\xfeh\0", "h"),
            ("utf-8", b"\xef\xbb\xbfh", "h"),
        ];
        for (label, bytes, text) in table {
            assert_eq!(
                Encoding::from_label(label).unwrap().decode(bytes),
                text,
                "{label} {bytes:?}"
            );
        }
        assert_eq!(Encoding::from_label("klingon"), None);
        assert_eq!(Encoding::from_label("cp99"), None);
    }

    /// A text out of the letters of a console's page, and its bytes in it.
    fn of_console(page: u16) -> impl Strategy<Value = (String, Vec<u8>)> {
        let text = prop::collection::vec(any::<u8>(), 0..60);
        text.prop_map(move |bytes| {
            let letters = &oem_cp::code_table::DECODING_TABLE_CP_MAP[&page];
            let letter = |byte: &u8| letters.decode_char_checked(*byte);
            let text: String = bytes.iter().filter_map(letter).collect();
            let table = &oem_cp::code_table::ENCODING_TABLE_CP_MAP[&page];
            let bytes = oem_cp::encode_string_checked(&text, table).expect("it is of the page");
            (text, bytes)
        })
    }

    /// The same of windows-1252, in which every byte is a letter.
    fn of_windows() -> impl Strategy<Value = (String, Vec<u8>)> {
        let text = prop::collection::vec(any::<u8>(), 0..60);
        text.prop_map(|bytes| {
            let text = WINDOWS_1252.decode_without_bom_handling(&bytes).0;
            let (bytes, _, is_lossy) = WINDOWS_1252.encode(&text);
            assert!(!is_lossy, "{text:?}");
            (text.clone().into_owned(), bytes.into_owned())
        })
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn decoded(label: &str, bytes: &[u8]) -> String {
        Encoding::from_label(label).expect("known").decode(bytes)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_mark_is_enough(text in any::<String>()) {
            let marked = format!("\u{feff}{text}");
            let forms = [
                ("utf-8", marked.clone().into_bytes()),
                ("utf-16le", utf16(&marked, u16::to_le_bytes)),
                ("utf-16be", utf16(&marked, u16::to_be_bytes)),
            ];
            for (label, bytes) in forms {
                prop_assert_eq!(&decoded("auto", &bytes), &text, "auto, as {}", label);
                prop_assert_eq!(&decoded(label, &bytes), &text, "{}", label);
            }
        }

        #[test]
        fn what_is_named_needs_no_mark(text in "[^\u{feff}][^\u{0}]{0,40}") {
            prop_assert_eq!(&decoded("utf-8", text.as_bytes()), &text);
            prop_assert_eq!(&decoded("utf-16le", &utf16(&text, u16::to_le_bytes)), &text);
            prop_assert_eq!(&decoded("utf-16be", &utf16(&text, u16::to_be_bytes)), &text);
        }

        #[test]
        fn utf_8_is_known_without_a_mark(text in "[^\u{0}\u{feff}][^\u{0}]{0,40}") {
            prop_assert_eq!(&decoded("auto", text.as_bytes()), &text);
        }

        #[test]
        fn western_utf_16_is_known_without_a_mark(text in "[\r\n\t -\u{ff}]{1,60}") {
            prop_assert_eq!(&decoded("auto", &utf16(&text, u16::to_le_bytes)), &text);
            prop_assert_eq!(&decoded("auto", &utf16(&text, u16::to_be_bytes)), &text);
        }

        #[test]
        fn pages_are_read_as_they_are_written(
            english in of_console(437),
            western in of_console(850),
            windows in of_windows(),
        ) {
            let all = [("cp437", english), ("cp850", western), ("windows-1252", windows)];
            for (label, (text, bytes)) in all {
                prop_assert_eq!(decoded(label, &bytes), text, "{}", label);
            }
        }

        #[test]
        fn any_bytes_are_shown_and_none_is_lost(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let text = decoded("auto", &bytes);
            for label in ["utf-8", "utf-16le", "utf-16be", "cp437", "cp850", "cp1252", "windows-1252", "shift_jis"] {
                decoded(label, &bytes);
            }
            let is_marked = encoding_rs::Encoding::for_bom(&bytes).is_some();
            if is_marked || by_zero_bytes(&bytes).is_some() {
                return Ok(());
            }
            let kept = if std::str::from_utf8(&bytes).is_ok() {
                text.into_bytes()
            } else {
                let table = &oem_cp::code_table::ENCODING_TABLE_CP_MAP[&DEFAULT_PAGE];
                oem_cp::encode_string_checked(&text, table).expect("every byte is a letter")
            };
            prop_assert_eq!(kept, bytes);
        }
    }
}
