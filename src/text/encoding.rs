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
            Self::Known(encoding) => encoding.decode(bytes).0.into_owned(),
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

    #[test]
    fn what_consoles_write_becomes_text() {
        let table: [(&str, &[u8], &str); 11] = [
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
}
