//! What the scripts that gather the usual places would print on this endpoint. Nothing of them is run: their first
//! statement says which places are asked for, and what is there comes from the registry, the files and the processes.
//!
//! The statement is `$sortie_gather='1 PLACE…'` in PowerShell and `sortie_gather="1 PLACE…"` in a shell; 1 is the
//! version of what is printed. That is lines of fields with TABs between them, at least six: kind, path, name, type,
//! data, size, and then `key=value`. What is not printable ASCII, and `%`, is written as `%uXXXX` by PowerShell, which
//! knows units of UTF-16, and as `%XX` by a shell, which knows bytes. The first line is of the kind `sortie-gather` with
//! the version as its path, `@` begins the place that is its path, and the last one is `END` with the count of the
//! lines before it. Times are microseconds since 1970, in a shell whole seconds of them. On Windows lines end with CRLF.

mod unix;
mod windows;

use super::content::Clip;
use super::files::{Entry, Node};
use super::programs::{self, Run, base_name};
use super::{Endpoint, Facts, path};
use crate::model::device::Os;
use crate::text::encoding::Encoding;
use crate::text::wildcard;
use std::fmt::Write;
use std::time::Duration;

/// What a shell takes to begin, and what a place takes, on the scale of the other programs' times.
const BEGINS: Duration = Duration::from_millis(30);
const PLACE: Duration = Duration::from_millis(5);
/// Of a text, what is at its end.
const TEXT: usize = 64 << 10;

/// What it prints, if a command line is one of the scripts.
pub(super) fn run(program: &str, args: &str, endpoint: &Endpoint, facts: &Facts) -> Option<Run> {
    let places = asked(endpoint.os, program, args)?;
    let mut page = Page {
        endpoint,
        facts,
        text: String::new(),
        lines: 0,
    };
    page.row("sortie-gather", ["1", "", "", ""], None, &[]);
    for place in &places {
        page.row("@", [place, "", "", ""], None, &[]);
        if endpoint.os == Os::Windows {
            windows::place(place, &mut page);
        } else {
            unix::place(place, &mut page);
        }
    }
    let lines = page.lines.to_string();
    page.row("END", [&lines, "", "", ""], None, &[]);
    Some(Run {
        output: page.text.into_bytes(),
        takes: BEGINS + PLACE * u32::try_from(places.len()).unwrap_or(u32::MAX),
        ..Run::quiet(program.to_owned())
    })
}

fn asked<'a>(os: Os, program: &str, args: &'a str) -> Option<Vec<&'a str>> {
    let name = base_name(os, program);
    let (script, statement, quote) = if os == Os::Windows && name == "powershell" {
        let (_, script) = args.split_once("-Command \"")?;
        (script, "$sortie_gather='1 ", '\'')
    } else if os != Os::Windows && name == "sh" {
        (args.strip_prefix("-c '")?, "sortie_gather=\"1 ", '"')
    } else {
        return None;
    };
    let (places, _) = script.strip_prefix(statement)?.split_once(quote)?;
    Some(places.split(' ').collect())
}

/// What is printed, while it is.
struct Page<'a> {
    endpoint: &'a Endpoint,
    facts: &'a Facts,
    text: String,
    lines: u64,
}

impl Page<'_> {
    /// A line: its kind; path, name, type and data; the size; and the rest.
    fn row(&mut self, kind: &str, fields: [&str; 4], size: Option<u64>, rest: &[(&str, String)]) {
        self.text.push_str(kind);
        for field in fields {
            self.text.push('\t');
            self.field(field);
        }
        self.text.push('\t');
        if let Some(size) = size {
            self.field(&size.to_string());
        }
        for (key, value) in rest {
            let _ = write!(self.text, "\t{key}=");
            self.field(value);
        }
        let end = if self.is_windows() { "\r\n" } else { "\n" };
        self.text.push_str(end);
        self.lines += 1;
    }

    /// A line that is neither a file nor a value.
    fn told(&mut self, data: &str, rest: &[(&str, String)]) {
        self.row("exec", ["", "", "", data], None, rest);
    }

    fn field(&mut self, text: &str) {
        for c in text.chars() {
            let mut units = [0; 2];
            let mut bytes = [0; 4];
            match c {
                '%' | '\0'..='\u{1f}' | '\u{7f}'.. if self.is_windows() => {
                    for unit in c.encode_utf16(&mut units) {
                        let _ = write!(self.text, "%u{unit:04X}");
                    }
                }
                '%' | '\0'..='\u{1f}' | '\u{7f}'.. => {
                    for byte in c.encode_utf8(&mut bytes).bytes() {
                        let _ = write!(self.text, "%{byte:02X}");
                    }
                }
                plain => self.text.push(plain),
            }
        }
    }

    fn is_windows(&self) -> bool {
        self.endpoint.os == Os::Windows
    }

    /// The moment so many milliseconds after the world began.
    fn moment(&self, milliseconds: i64) -> String {
        let begun = self.facts.begun.as_millisecond();
        let at = begun.saturating_add(milliseconds);
        let at = if self.is_windows() {
            at
        } else {
            at.div_euclid(1000) * 1000
        };
        at.saturating_mul(1000).to_string()
    }

    /// The files of a folder whose names fit.
    fn files(&mut self, folder: &str, pattern: &str, text: impl Fn(&Endpoint, &str) -> String) {
        for (path, entry) in entries(self.endpoint, folder) {
            let is_directory = entry.attributes.contains(&"DIRECTORY");
            if !is_directory && wildcard::fits(pattern, &entry.name) {
                let text = text(self.endpoint, &path);
                self.file(&path, &entry, &text);
            }
        }
    }

    fn file(&mut self, path: &str, entry: &Entry, text: &str) {
        let bits = entry
            .attributes
            .iter()
            .filter_map(|name| Node::attribute(name));
        let bits: u16 = bits.fold(0, |all, one| all | one);
        let mut rest = vec![
            ("created", self.moment(entry.created)),
            ("accessed", self.moment(entry.accessed)),
            ("written", self.moment(entry.written)),
        ];
        if self.is_windows() {
            rest.insert(0, ("attributes", bits.to_string()));
        }
        self.row(
            "file",
            [path, &entry.name, "file", text],
            Some(entry.size),
            &rest,
        );
    }

    fn processes(&mut self) {
        for process in self.endpoint.processes.all() {
            let name = process.path.rsplit(['\\', '/']).next().unwrap_or_default();
            let rest = [
                ("pid", process.pid.to_string()),
                ("parent_pid", process.parent.to_string()),
                ("user", process.user.to_string()),
                ("created", self.moment(process.created)),
            ];
            self.row(
                "process",
                [&process.path, name, "", &process.line],
                None,
                &rest,
            );
        }
    }

    /// The lines that another program prints.
    fn printed(&self, program: &str, args: &str) -> Vec<String> {
        let run = programs::run(program, args, self.endpoint, self.facts);
        let text = run.map_or_else(|_| String::new(), |run| Encoding::Auto.decode(&run.output));
        text.lines().map(str::to_owned).collect()
    }

    fn connection(&mut self, [protocol, local, remote, state, pid]: [&str; 5]) {
        let rest = [
            ("protocol", protocol.to_lowercase()),
            ("local", local.to_owned()),
            ("remote", remote.to_owned()),
            ("state", state.to_owned()),
            ("pid", pid.to_owned()),
        ];
        self.told(&[protocol, local, remote, state, pid].join(" "), &rest);
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// What is in a folder, with whole paths; nothing where there is no such folder.
fn entries(endpoint: &Endpoint, folder: &str) -> Vec<(String, Entry)> {
    let separator = endpoint.os.separator();
    let Ok(at) = path::locate(endpoint.os, &format!("{folder}{separator}"), &endpoint.cwd) else {
        return Vec::new();
    };
    let all = endpoint.files.list(&at).unwrap_or_default().into_iter();
    all.filter(|entry| !matches!(entry.name.as_str(), "." | ".."))
        .map(|entry| (format!("{folder}{separator}{}", entry.name), entry))
        .collect()
}

/// The end of a file's text; nothing of one that cannot be read.
fn text_of(endpoint: &Endpoint, path: &str) -> String {
    let at = path::locate(endpoint.os, path, &endpoint.cwd);
    let clip = at.and_then(|at| endpoint.files.read(&at.parts, 0, None));
    let bytes = clip.as_ref().map_or_else(|_| Vec::new(), Clip::bytes);
    Encoding::Auto.decode(&bytes[bytes.len().saturating_sub(TEXT)..])
}

fn no_text(_: &Endpoint, _: &str) -> String {
    String::new()
}
