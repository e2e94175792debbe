//! What the scripts print, read back. All of it is hostile: whatever is no line of theirs becomes a row that says so.
//!
//! A line is fields with TABs between them: kind, path, name, type, data, size, and then any number of
//! `key=value`. Fields hold printable ASCII without `%`; `%XX` stands for another byte, `%uXXXX` for another
//! unit of UTF-16. The first line is of the kind `sortie-gather` and has the version of the format as its
//! path; `@` begins a place; `error` tells in `data` what could not be had of `path`; the last line is of the
//! kind `END` and has the number of those before it. Without it the output was cut. Times are microseconds
//! since 1970.

use super::Place;
use crate::model::outcome::Cause;
use crate::model::remote::RemoteText;
use crate::model::row::{Row, RowKind};
use crate::template::Choice;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::num::ParseIntError;

const VERSION: &str = "1";
/// More than a person or a table can use.
const MAX_ROWS: usize = 200_000;
/// What a row shows of a line that is none.
const MAX_LINE: usize = 1024;

/// The attributes of files by their bits, in the API's words.
const ATTRIBUTES: [(u64, &str); 15] = [
    (0x1, "READONLY"),
    (0x2, "HIDDEN"),
    (0x4, "SYSTEM"),
    (0x10, "DIRECTORY"),
    (0x20, "ARCHIVE"),
    (0x40, "DEVICE"),
    (0x80, "NORMAL"),
    (0x100, "TEMPORARY"),
    (0x200, "SPARSE_FILE"),
    (0x400, "REPARSE_POINT"),
    (0x800, "COMPRESSED"),
    (0x1000, "OFFLINE"),
    (0x2000, "NOT_CONTENT_INDEXED"),
    (0x4000, "ENCRYPTED"),
    (0x1_0000, "VIRTUAL"),
];

/// The rows of an output, also where it does not come to its end.
pub(super) fn read(output: &[u8], rows: &mut Vec<Row>) -> Result<(), Cause> {
    let mut reader = Reader::default();
    let output = output.strip_suffix(b"\n").unwrap_or(output);
    let lines = output.split(|byte| *byte == b'\n');
    for bytes in lines.filter(|_| !output.is_empty()) {
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        match reader.line(bytes) {
            Some(Line::Row(row)) => rows.push(*row),
            Some(Line::Mark) => {}
            None => rows.push(reader.stranger(bytes)),
        }
        if rows.len() >= MAX_ROWS {
            return Err(Cause::TooMany {
                limit: MAX_ROWS as u64,
            });
        }
    }
    let lines = reader.lines;
    match reader.end {
        Some(told) if told == lines => Ok(()),
        Some(told) => Err(broken(format!(
            "{lines} lines of its output came, and it wrote {told}"
        ))),
        None => Err(broken(format!(
            "its output was cut, or something else ran in its place: {lines} lines came and no end"
        ))),
    }
}

fn broken(detail: String) -> Cause {
    Cause::Script { detail }
}

#[derive(Default)]
struct Reader {
    place: &'static str,
    /// Lines that are the script's, without the last one.
    lines: u64,
    /// What the last one tells.
    end: Option<u64>,
}

enum Line {
    Row(Box<Row>),
    /// It begins something, or ends it.
    Mark,
}

impl Reader {
    /// None for what the script does not write, there or at all.
    fn line(&mut self, bytes: &[u8]) -> Option<Line> {
        if self.end.is_some() {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let mut fields = text.split('\t');
        let mut next = || fields.next();
        let [kind, path, name, type_, data, size] =
            [next()?, next()?, next()?, next()?, next()?, next()?];
        let line = match (kind, self.lines) {
            ("sortie-gather", 0) if path == VERSION => Line::Mark,
            (_, 0) => return None,
            ("@", _) => {
                self.place = Place::CHOICES.iter().find(|(word, _)| *word == path)?.0;
                Line::Mark
            }
            ("END", _) => {
                self.end = Some(path.parse().ok()?);
                return Some(Line::Mark);
            }
            _ => {
                let known = Known {
                    path: decoded(path)?,
                    name: decoded(name)?,
                    type_: decoded(type_)?,
                    data: decoded(data)?,
                    size: number(size).ok()?,
                };
                Line::Row(Box::new(self.row(kind, known, extras(fields)?)?))
            }
        };
        self.lines += 1;
        Some(line)
    }

    /// A row with the columns that the native steps give its kind.
    fn row(&self, kind: &str, known: Known, told: Map<String, Value>) -> Option<Row> {
        let mut row = match kind {
            "registry_value" => Row {
                path: Some(known.path),
                name: Some(known.name),
                type_: Some(known.type_.raw().to_owned()),
                data: Some(known.data),
                ..Row::new(RowKind::RegistryValue)
            },
            "process" => {
                let mut row = Row {
                    path: Some(known.path),
                    name: Some(known.name),
                    data: Some(known.data),
                    ..Row::new(RowKind::Process)
                };
                with_defaults(&mut row, &["pid", "parent_pid", "user", "created"]);
                row
            }
            "file" => {
                let mut row = Row {
                    path: Some(known.path),
                    name: Some(known.name),
                    type_: Some(known.type_.raw().to_owned()),
                    data: Some(known.data).filter(|data| !data.is_empty()),
                    size: known.size,
                    ..Row::new(RowKind::File)
                };
                with_defaults(&mut row, &["created", "accessed", "written"]);
                row.extra.insert("attributes".into(), json!([]));
                row
            }
            "exec" => Row {
                name: Some(self.place.into()),
                data: Some(known.data),
                ..Row::new(RowKind::Exec)
            },
            "error" => Row {
                path: Some(known.path),
                name: Some(self.place.into()),
                cause: Some(broken(known.data.raw().to_owned())),
                ..Row::new(RowKind::Exec)
            },
            _ => return None,
        };
        row.extra.extend(told);
        row.extra.insert("place".into(), self.place.into());
        Some(row)
    }

    fn stranger(&self, bytes: &[u8]) -> Row {
        let shown = &bytes[..bytes.len().min(MAX_LINE)];
        let mut row = Row {
            name: Some(self.place.into()),
            data: Some(RemoteText::from_bytes(shown)),
            cause: Some(broken("this is no line of its output".to_owned())),
            ..Row::new(RowKind::Exec)
        };
        row.extra.insert("place".into(), self.place.into());
        row
    }
}

/// The columns of a line.
struct Known {
    path: RemoteText,
    name: RemoteText,
    type_: RemoteText,
    data: RemoteText,
    size: Option<u64>,
}

fn with_defaults(row: &mut Row, keys: &[&str]) {
    let nothing = keys.iter().map(|key| ((*key).to_owned(), Value::Null));
    row.extra.extend(nothing);
}

/// An empty field is none.
fn number(text: &str) -> Result<Option<u64>, ParseIntError> {
    let told = Some(text).filter(|text| !text.is_empty());
    told.map(str::parse).transpose()
}

fn extras<'a>(fields: impl Iterator<Item = &'a str>) -> Option<Map<String, Value>> {
    let mut told = Map::new();
    for field in fields {
        let (key, value) = field.split_once('=')?;
        let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if !is_key {
            return None;
        }
        let value = match key {
            "pid" | "parent_pid" => json!(number(value).ok()?),
            "created" | "accessed" | "written" => json!(time(value)),
            "attributes" => attributes(value.parse().ok()?),
            _ => json!(decoded(value)?),
        };
        told.insert(key.to_owned(), value);
    }
    Some(told)
}

/// None where a file system or a program does not know it, which it says in many ways.
fn time(text: &str) -> Option<Timestamp> {
    let microseconds: i64 = text.parse().ok()?;
    Timestamp::from_microsecond(microseconds)
        .ok()
        .filter(|_| microseconds > 0)
}

fn attributes(bits: u64) -> Value {
    let set = ATTRIBUTES.iter().filter(|(bit, _)| bits & bit != 0);
    set.map(|(_, name)| *name).collect()
}

/// A field without its escapes; none if it holds what a field cannot hold.
fn decoded(field: &str) -> Option<RemoteText> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    // The first half of what UTF-16 has in two.
    let mut high = None;
    while let Some(first) = rest.chars().next() {
        if first != '%' {
            bytes.push(u8::try_from(first).ok().filter(|b| matches!(b, 32..127))?);
            rest = &rest[1..];
            high = None;
        } else if let Some(digits) = rest.strip_prefix("%u") {
            let unit = u16::try_from(hexadecimal(digits, 4)?).ok()?;
            high = push_unit(&mut bytes, high, unit);
            rest = &digits[4..];
        } else {
            let digits = &rest[1..];
            bytes.push(u8::try_from(hexadecimal(digits, 2)?).ok()?);
            rest = &digits[2..];
            high = None;
        }
    }
    Some(RemoteText::from_bytes(&bytes))
}

fn hexadecimal(text: &str, digits: usize) -> Option<u32> {
    let text = text.get(..digits)?;
    let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

/// Adds a unit of UTF-16 as WTF-8, and gives it back if another may belong to it.
fn push_unit(bytes: &mut Vec<u8>, high: Option<u16>, unit: u16) -> Option<u16> {
    let mut buffer = [0; 4];
    if let Some(high) = high
        && let Some(Ok(whole)) = char::decode_utf16([high, unit]).next()
    {
        bytes.truncate(bytes.len() - 3);
        bytes.extend(whole.encode_utf8(&mut buffer).as_bytes());
        return None;
    }
    if let Some(one) = char::from_u32(u32::from(unit)) {
        bytes.extend(one.encode_utf8(&mut buffer).as_bytes());
        return None;
    }
    let [high_byte, low_byte] = unit.to_be_bytes();
    let middle = 0x80 | (high_byte & 0xf) << 2 | low_byte >> 6;
    bytes.extend([0xed, middle, 0x80 | low_byte & 0x3f]);
    (unit < 0xdc00).then_some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str) -> (Vec<Row>, Result<(), Cause>) {
        let mut rows = Vec::new();
        let end = read(text.as_bytes(), &mut rows);
        (rows, end)
    }

    const START: &str = "sortie-gather\t1\t\t\t\t\n@\trun_keys\t\t\t\t\n";

    #[test]
    fn escapes_are_undone() {
        let table = [
            (r"C:\a b\%u00E9%41", Some((r"C:\a b\éA", false))),
            ("%uD83D%uDE00", Some(("😀", false))),
            ("%uD83Dx%uDE00", Some(("\u{fffd}x\u{fffd}", true))),
            ("%C3%A9%0A", Some(("é\n", false))),
            ("%E9", Some(("\u{fffd}", true))),
            ("%u%", None),
            ("%4", None),
            ("%uD83", None),
            ("%+1", None),
            ("%é1", None),
            ("é", None),
            ("\u{7f}", None),
        ];
        for (field, expected) in table {
            let text = decoded(field);
            let told = text
                .as_ref()
                .map(|text| (text.raw(), text.exact().is_some()));
            assert_eq!(told, expected, "{field}");
        }
    }

    #[test]
    fn a_line_becomes_a_row_of_its_kind() {
        let lines = "registry_value\tHKLM\\X\t\tREG_SZ\ta\t\n\
             process\tC:\\a.exe\ta.exe\t\ta -b\t\tpid=7\tparent_pid=4\tuser=A\\b\tcreated=1700000000000000\n\
             file\t/etc/crontab\tcrontab\tfile\tx%0A\t2\tcreated=0000000\twritten=1700000000000000\n\
             exec\t\t\t\ttcp a b\t\tpid=\tstate=\n\
             error\tHKLM\\Y\t\t\tno%21\t\n";
        let (rows, end) = rows(&format!("{START}{lines}END\t7\t\t\t\t\n").replace('\n', "\r\n"));
        assert_eq!(end, Ok(()));
        let kinds: Vec<RowKind> = rows.iter().map(|row| row.kind).collect();
        let expected = [
            RowKind::RegistryValue,
            RowKind::Process,
            RowKind::File,
            RowKind::Exec,
            RowKind::Exec,
        ];
        assert_eq!(kinds, expected);
        assert!(rows.iter().all(|row| row.extra["place"] == "run_keys"));
        assert_eq!(rows[1].extra["created"], "2023-11-14T22:13:20Z");
        assert_eq!(rows[1].extra["pid"], 7);
        assert_eq!(rows[2].extra["created"], Value::Null);
        assert_eq!((rows[2].size, rows[3].size), (Some(2), None));
        assert_eq!(rows[3].extra["pid"], Value::Null);
        let summary = rows[4].cause.as_ref().map(Cause::summary);
        assert_eq!(summary.as_deref(), Some("the script: no!"));
    }

    #[test]
    fn what_is_cut_fails_with_the_rows_that_came() {
        let row = "registry_value\tHKLM\\X\tv\tREG_SZ\ta\t\n";
        let table = [
            (format!("{START}{row}"), 1, "no end"),
            (format!("{START}{row}regis"), 2, "no end"),
            (format!("{START}{row}END\t4\t\t\t\t"), 1, "it wrote 4"),
            (format!("{START}{row}END\t3"), 2, "no end"),
            (String::new(), 0, "no end"),
            ("powershell.exe: cannot be run\r\n".into(), 1, "no end"),
            ("sortie-gather\t2\t\t\t\t\n".into(), 1, "no end"),
        ];
        for (text, count, word) in table {
            let (rows, end) = rows(&text);
            assert_eq!(rows.len(), count, "{text}");
            let why = end.expect_err(&text).summary();
            assert!(why.contains(word), "{text}: {why}");
        }
    }

    #[test]
    fn nothing_is_lost_silently() {
        let strangers = [
            "weather\t\t\t\t\t",
            "exec\t\t\t\t\tx",
            "exec\t\t\t\t",
            "exec\t\t\t\t\t\tPID=1",
            "exec\t\t\t\té\t",
            "process\t\t\t\t\t\tpid=-1",
            "file\t\t\t\t\tlarge",
            "@\tthe moon\t\t\t\t",
            "sortie-gather\t1\t\t\t\t",
        ];
        for line in strangers {
            let (rows, end) = rows(&format!("{START}{line}\nEND\t2\t\t\t\t\nafter\n"));
            assert_eq!(end, Ok(()), "{line}");
            let data: Vec<_> = rows.iter().map(|row| row.data.clone()).collect();
            assert_eq!(data, [Some(line.into()), Some("after".into())]);
            assert!(rows.iter().all(|row| row.cause.is_some()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, &mut Vec::new());
        }

        #[test]
        fn anything_like_an_output_is_read(
            text in "(sortie-gather\t1\t\t\t\t\n)?((@|process|file|exec|error|END)(\t[a-z%u0-9D=é]{0,6}){0,8}\n){0,6}",
        ) {
            let mut rows = Vec::new();
            let end = read(text.as_bytes(), &mut rows);
            prop_assert!(end.is_err() || text.contains("END"));
        }

        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            let bytes: Vec<String> = text.bytes().map(|b| format!("%{b:02X}")).collect();
            let units: Vec<String> = text.encode_utf16().map(|u| format!("%u{u:04X}")).collect();
            prop_assert_eq!(decoded(&bytes.concat()), Some(text.as_str().into()));
            prop_assert_eq!(decoded(&units.concat()), Some(text.as_str().into()));
        }
    }
}
