//! What came back from a device, for whoever asked for one thing and wants to see it.

use super::style::{BAD, DIM, STRONG, fit, paint};
use crate::model::remote::RemoteText;
use crate::model::row::{Row, RowKind};
use crate::text::escape::Escaped;
use crate::text::size::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

/// What one device brought.
pub struct Came<'a> {
    pub name: &'a RemoteText,
    /// Where its bag is.
    pub bag: Option<&'a str>,
    pub rows: &'a [Row],
    /// What is said where there are none, and no reason for it.
    pub nothing: &'a str,
    /// Why there is nothing, or not all.
    pub why: Option<String>,
}

/// A column is no wider than this, so that one long path does not push the others off the screen.
const WIDEST: usize = 80;
/// Characters of one value; the results have the whole.
const LONGEST: usize = 1_000;
/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// Draws the device's name and its rows. Only names of devices stand at the left edge, so no output can
/// pass for another device's.
pub fn draw(came: &Came<'_>) -> String {
    let mut out = String::new();
    let is = |kind| move |row: &&Row| row.kind == kind;
    put!(
        out,
        "\n{STRONG}{}{STRONG:#}{}",
        came.name,
        match came
            .bag
            .filter(|_| came.rows.iter().any(|row| row.kind == RowKind::File))
        {
            Some(bag) => format!("  {DIM}{}{DIM:#}", Escaped(bag)),
            None => String::new(),
        }
    );
    for row in came.rows.iter().filter(is(RowKind::Exec)) {
        output(row, came.bag, &mut out);
    }
    let whole = !one_directory(came.rows);
    let cells: Vec<Vec<String>> = came
        .rows
        .iter()
        .filter(|row| row.kind != RowKind::Exec)
        .map(|row| cells(row, whole))
        .collect();
    table(&cells, &mut out);
    match &came.why {
        // The row that has it says it already.
        Some(_) if came.rows.iter().any(|row| row.cause.is_some()) => {}
        Some(why) => put!(out, "  {}", paint(BAD, why, 0)),
        None if came.rows.is_empty() => put!(out, "  {DIM}{}{DIM:#}", came.nothing),
        None => {}
    }
    out
}

/// The columns of a row; the last may be as wide as it likes.
fn cells(row: &Row, whole_paths: bool) -> Vec<String> {
    let (path, name) = (shown(row.path.as_ref()), shown(row.name.as_ref()));
    let type_ = row.type_.as_deref().map(short).unwrap_or_default();
    let size = row.size.map(|size| Bytes(size).to_string());
    let size = size.unwrap_or_default();
    let data = shown(row.data.as_ref());
    if let Some(cause) = &row.cause {
        return vec![path, paint(BAD, cause.summary(), 0)];
    }
    match row.kind {
        RowKind::File => vec![path, size, data],
        RowKind::DirEntry => vec![
            type_,
            if row.type_.as_deref() == Some("directory") {
                String::new()
            } else {
                size
            },
            time(row.extra.get("written")),
            if whole_paths { path } else { name },
        ],
        RowKind::Process => vec![
            plain(row.extra.get("pid")),
            plain(row.extra.get("parent_pid")),
            plain(row.extra.get("user")),
            if data.is_empty() { path } else { data },
        ],
        RowKind::RegistryValue => {
            let name = if name.is_empty() { "(default)" } else { &name };
            vec![format!("{path}\\{name}"), type_, data]
        }
        RowKind::Device | RowKind::Exec | RowKind::Finding | RowKind::Output => vec![name, data],
    }
}

/// Whether names alone say which entry is meant.
fn one_directory(rows: &[Row]) -> bool {
    let parents: BTreeSet<&str> = rows
        .iter()
        .filter(|row| row.kind == RowKind::DirEntry)
        .filter_map(|row| {
            let path = row.path.as_ref()?.raw();
            path.strip_suffix(row.name.as_ref()?.raw())
        })
        .collect();
    parents.len() <= 1
}

fn shown(text: Option<&RemoteText>) -> String {
    text.map(|text| short(text.raw())).unwrap_or_default()
}

fn short(text: &str) -> String {
    fit(&Escaped(text).to_string(), LONGEST)
}

/// A value as a word, and nothing where there is none.
fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => short(text),
        Some(other) => short(&other.to_string()),
    }
}

/// A time to the second, which is as exact as all systems are.
fn time(value: Option<&Value>) -> String {
    let parsed = value
        .and_then(Value::as_str)
        .and_then(|text| text.parse::<Timestamp>().ok());
    match parsed.and_then(|time| Timestamp::from_second(time.as_second()).ok()) {
        Some(time) => time.to_string(),
        None => plain(value),
    }
}

fn table(rows: &[Vec<String>], out: &mut String) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter(|row| column + 1 < row.len())
                .map(|row| row[column].chars().count())
                .filter(|width| *width <= WIDEST)
                .max()
                .unwrap_or_default()
        })
        .collect();
    for row in rows {
        let padded: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        put!(out, "  {}", padded.join("  ").trim_end());
    }
}

/// The output of a command, line by line.
fn output(row: &Row, bag: Option<&str>, out: &mut String) {
    let text = row.data.as_ref().map_or("", RemoteText::raw);
    for line in text.lines() {
        let line = format!("  {}", Escaped(&without_tabs(line)));
        put!(out, "{}", line.trim_end());
    }
    if row.size.is_some_and(|size| size > text.len() as u64) {
        let size = Bytes(row.size.unwrap_or_default());
        let bag = bag.unwrap_or_default();
        put!(
            out,
            "  {DIM}… {size} in all: {}/data/steps{DIM:#}",
            Escaped(bag)
        );
    }
    match row.extra.get("code").and_then(Value::as_i64) {
        Some(0) => {}
        Some(code) => put!(out, "  {DIM}ended with code {code}{DIM:#}"),
        None => put!(out, "  {DIM}ended without a code{DIM:#}"),
    }
}

/// The same line as a terminal shows it, with spaces for tabs.
fn without_tabs(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut column = 0;
    for c in line.chars() {
        let wide = if c == '\t' { TAB - column % TAB } else { 1 };
        column += wide;
        if c == '\t' {
            text.extend(std::iter::repeat_n(' ', wide));
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Cause;
    use serde_json::json;

    fn drawn(rows: &[Row], why: Option<&str>) -> String {
        let name = RemoteText::from("WS-\u{1b}[2J1");
        let text = draw(&Came {
            name: &name,
            bag: Some("runs/1/devices/ws-1_7"),
            rows,
            nothing: "nothing",
            why: why.map(str::to_owned),
        });
        anstream::adapter::strip_str(&text).to_string()
    }

    fn row(kind: RowKind, path: &str, extra: Value) -> Row {
        let Value::Object(extra) = extra else {
            panic!("{extra}");
        };
        Row {
            path: Some(path.into()),
            name: path.rsplit('\\').next().map(Into::into),
            extra,
            ..Row::new(kind)
        }
    }

    #[test]
    fn files_and_what_is_wrong_with_one() {
        let kept = Row {
            size: Some(13),
            data: Some("data/files/C/a".into()),
            ..row(RowKind::File, r"C:\a", json!({}))
        };
        let missing = Row {
            cause: Some(Cause::Missing { what: "b".into() }),
            ..row(RowKind::File, r"C:\bb", json!({}))
        };
        assert_eq!(
            drawn(&[kept, missing], Some("not there: b")),
            "\nWS-\\u{1b}[2J1  runs/1/devices/ws-1_7\n  C:\\a   13 B  data/files/C/a\n  C:\\bb  not there: b\n"
        );
    }

    #[test]
    fn entries_are_called_by_their_names_while_these_tell_them_apart() {
        let entry = |path| Row {
            type_: Some("file".into()),
            size: Some(2048),
            ..row(
                RowKind::DirEntry,
                path,
                json!({"written": "2026-01-02T03:04:05.6Z"}),
            )
        };
        assert!(
            drawn(&[entry(r"C:\a\x")], None)
                .ends_with("  file  2.0 KiB  2026-01-02T03:04:05Z  x\n")
        );
        let both = drawn(&[entry(r"C:\a\x"), entry(r"C:\b\x")], None);
        assert!(
            both.contains(r"Z  C:\a\x") && both.contains(r"Z  C:\b\x"),
            "{both}"
        );
    }

    #[test]
    fn no_row_can_pass_for_another() {
        let hostile = "x\n\nWS-2\n  all is well\u{1b}[2J\u{202e}\u{9b}31m";
        let process = Row {
            data: Some(hostile.into()),
            ..row(
                RowKind::Process,
                "p",
                json!({"pid": 4, "parent_pid": null, "user": hostile}),
            )
        };
        let value = Row {
            type_: Some(hostile.into()),
            data: Some(hostile.into()),
            ..row(RowKind::RegistryValue, hostile, json!({}))
        };
        let exec = Row {
            data: Some(format!("{hostile}\r\nnext\rover").into()),
            ..row(RowKind::Exec, "p", json!({"code": 2}))
        };
        let bare = row(RowKind::File, hostile, json!({}));
        for row in [process, value, exec, bare] {
            let text = drawn(std::slice::from_ref(&row), Some("why"));
            let (head, rest) = text[1..].split_once('\n').unwrap();
            assert!(head.starts_with("WS-"), "{text}");
            assert!(
                rest.lines()
                    .all(|line| line.is_empty() || line.starts_with("  ")),
                "{text}"
            );
            let deceptive = |c| c != '\n' && crate::text::escape::is_deceptive(c);
            assert!(!text.contains(deceptive), "{text:?}");
        }
    }

    #[test]
    fn an_output_keeps_its_lines_and_tells_how_it_ended() {
        let exec = |code: Value, size| Row {
            data: Some("a\tb\r\n\r\nc".into()),
            size: Some(size),
            ..row(RowKind::Exec, "p", json!({"code": code}))
        };
        let head = "\nWS-\\u{1b}[2J1\n  a       b\n\n  c\n";
        assert_eq!(drawn(&[exec(json!(0), 8)], None), head);
        assert_eq!(
            drawn(&[exec(json!(3), 4096)], None),
            format!(
                "{head}  … 4.0 KiB in all: runs/1/devices/ws-1_7/data/steps\n  ended with code 3\n"
            )
        );
        assert_eq!(
            drawn(&[exec(json!(null), 8)], None),
            format!("{head}  ended without a code\n")
        );
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert!(drawn(&[], None).ends_with("\n  nothing\n"));
        assert!(drawn(&[], Some("off")).ends_with("\n  off\n"));
    }
}
