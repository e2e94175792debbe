//! Diagnostics for machines: JSON, and the workflow commands of GitHub.

use crate::playbook::check::Checked;
use crate::text::diagnostic::{Diagnostic, Severity};
use crate::text::escape::Escaped;
use crate::text::json;
use crate::text::source::Source;
use serde::Serialize;
use std::fmt::Write;

/// A file that could not be read, and why.
type Unreadable = (String, String);

/// One diagnostic; places count from 1, columns in characters, and an end is behind the last one.
#[derive(Serialize)]
struct Told<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    code: &'static str,
    severity: &'static str,
    message: &'a str,
    help: Option<&'a str>,
}

/// One array with all diagnostics of all files, each on its own line.
pub(super) fn json(all: &[Checked], unreadable: &[Unreadable]) -> String {
    let lines: Vec<String> = told(all, unreadable)
        .map(|told| json::raw_line(&told))
        .collect();
    if lines.is_empty() {
        return "[]\n".to_owned();
    }
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// One workflow command for each diagnostic.
pub(super) fn github(all: &[Checked], unreadable: &[Unreadable]) -> String {
    let mut text = String::new();
    for told in told(all, unreadable) {
        let mut message = Escaped(told.message).to_string();
        if let Some(help) = told.help {
            let _ = write!(message, "\nhelp: {}", Escaped(help));
        }
        let _ = writeln!(
            text,
            "::{} file={},line={},col={},endLine={},endColumn={},title={}::{}",
            told.severity,
            property(&Escaped(told.file).to_string()),
            told.line,
            told.column,
            told.end_line,
            told.end_column,
            property(told.code),
            data(&message)
        );
    }
    text
}

fn told<'a>(all: &'a [Checked], unreadable: &'a [Unreadable]) -> impl Iterator<Item = Told<'a>> {
    // What nobody could read has no places, and what reads this wants some.
    let unreadable = unreadable.iter().map(|(file, message)| Told {
        file,
        line: 1,
        column: 1,
        end_line: 1,
        end_column: 1,
        code: "unreadable",
        severity: "error",
        message,
        help: None,
    });
    let diagnostics = all.iter().flat_map(|checked| {
        let source = &checked.source;
        checked
            .diagnostics
            .iter()
            .map(|diagnostic| tell(source, diagnostic))
    });
    unreadable.chain(diagnostics)
}

fn tell<'a>(source: &'a Source, diagnostic: &'a Diagnostic) -> Told<'a> {
    let start = source.place(diagnostic.span.start);
    let end = source.place(diagnostic.span.end.max(diagnostic.span.start));
    Told {
        file: source.name_of(diagnostic.span.start),
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
        code: diagnostic.code.slug(),
        severity: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: &diagnostic.message,
        help: diagnostic.help.as_deref(),
    }
}

/// What would end a command or its line.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Within the list of properties, what would end one of them too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::check::check;

    #[test]
    fn nothing_breaks_out_of_a_command() {
        let name = "a,b:100%\n::error::x";
        let text = github(
            &[check(
                name,
                b"sortie: 1\nname: x\nsteps:\n  - get_file: C:\\a #b\n",
            )],
            &[],
        );
        assert_eq!(
            text,
            "::warning file=a%2Cb%3A100%25\\u{a}%3A%3Aerror%3A%3Ax,line=4,col=20,endLine=4,endColumn=22,\
             title=trap::a comment cut the path here%0A\
             help: quote the path: 'C:\\a #b' if this belongs to it, 'C:\\a' if it is a comment\n"
        );
        assert_eq!(data("50%\r\n"), "50%25%0D%0A");
    }

    #[test]
    fn json_is_one_ascii_array() {
        let all = [check("é.yaml", b"sortie: 1\nname: x\n"), check("b", b"[")];
        let text = json(&all, &[]);
        assert!(text.is_ascii(), "{text}");
        let array: Vec<serde_json::Value> = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(array.len(), 2);
        assert_eq!(array[0]["file"], "é.yaml");
        assert_eq!(array[0]["code"], "missing-key");
        assert_eq!(array[0]["severity"], "error");
        let place = |key: &str| array[0][key].as_u64();
        assert_eq!((place("line"), place("column")), (Some(1), Some(1)));
        assert!(place("end_line") > Some(0) && place("end_column") > Some(1));
        assert_eq!(json(&[], &[]), "[]\n");
    }
}
