//! A command line taken apart, as far as that can be done without its shell.
//!
//! Not a parser of any shell: it splits at the operators that all of them share, looks into the
//! command that `cmd /c`, `sh -c` and `powershell -c` are given, and leaves what it does not know as
//! words. Good enough to recognise programs, never to decide what is sent.

use crate::template::Template;

/// Stands for a `{{ }}`, whose text nobody knows yet.
pub(super) const UNKNOWN: char = '\u{fffc}';

/// One program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invocation {
    /// In lower case, without folder and `.exe`.
    pub(super) program: String,
    /// As they were written, without quotes.
    pub(super) args: Vec<String>,
    /// Files that its output is redirected to.
    pub(super) writes: Vec<String>,
}

impl Invocation {
    /// Whether an argument is this word, without case; `/` and `-` begin the same switch, which may
    /// have a value behind a colon.
    pub(super) fn has(&self, word: &str) -> bool {
        let name = |arg: &str| match arg.split_once(':') {
            Some((name, _)) if arg.starts_with('/') => name.to_owned(),
            _ => arg.to_owned(),
        };
        self.args.iter().any(|arg| same(&name(arg), word))
    }

    /// The arguments that are no switches.
    pub(super) fn operands(&self) -> impl Iterator<Item = &str> {
        self.args
            .iter()
            .map(String::as_str)
            .filter(|arg| !arg.starts_with('-') && !is_windows_switch(arg))
    }

    /// The value of `/out:FILE` and `/out FILE`.
    pub(super) fn value_of(&self, switch: &str) -> Option<&str> {
        let mut args = self.args.iter();
        while let Some(arg) = args.next() {
            if same(arg, switch) {
                return args.next().map(String::as_str);
            }
            if let Some((name, value)) = arg.split_once([':', '='])
                && same(name, switch)
            {
                return Some(value);
            }
        }
        None
    }
}

fn same(arg: &str, word: &str) -> bool {
    let bare = |text: &str| text.trim_start_matches(['/', '-']).to_ascii_lowercase();
    let is_switch = |text: &str| text.starts_with(['/', '-']);
    is_switch(arg) == is_switch(word) && bare(arg) == bare(word)
}

/// `/q` and `/reg:64`, and not `/etc`.
fn is_windows_switch(arg: &str) -> bool {
    arg.strip_prefix('/')
        .is_some_and(|rest| rest.contains(':') || (!rest.is_empty() && rest.len() <= 2))
}

/// All programs that a command line starts, as far as it says so.
pub(super) fn invocations(template: &Template) -> Vec<Invocation> {
    invocations_in(&template.outline(UNKNOWN))
}

pub(super) fn invocations_in(line: &str) -> Vec<Invocation> {
    let mut found = Vec::new();
    collect(line, SHELLS, &mut found);
    found
}

/// The same for a program and its arguments, which no shell has to take apart.
pub(super) fn invocations_of(words: impl IntoIterator<Item = String>) -> Vec<Invocation> {
    let mut found = Vec::new();
    let words = words.into_iter().map(Word::Text).collect();
    collect_words(words, SHELLS, &mut found);
    found
}

/// How many shells within each other are looked into.
const SHELLS: usize = 3;

fn collect(text: &str, levels: usize, found: &mut Vec<Invocation>) {
    for words in segments(text) {
        collect_words(words, levels, found);
    }
}

fn collect_words(words: Vec<Word>, levels: usize, found: &mut Vec<Invocation>) {
    match inner_command(words) {
        Inner::Line(line) if levels > 0 => collect(&line, levels - 1, found),
        Inner::Line(line) => found.extend(invocation(vec![Word::Text(line)])),
        Inner::Words(words) => found.extend(invocation(words)),
    }
}

fn invocation(words: Vec<Word>) -> Option<Invocation> {
    let mut args = Vec::new();
    let mut writes = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word {
            Word::Text(text) => args.push(text),
            Word::Redirect => writes.extend(words.next().and_then(Word::text)),
        }
    }
    let nowhere = |path: &String| {
        matches!(
            path.to_ascii_lowercase().as_str(),
            "nul" | "/dev/null" | "$null"
        )
    };
    writes.retain(|path| !nowhere(path));
    let before = ["sudo", "nohup", "call"];
    let mut args = args
        .into_iter()
        .skip_while(|word| before.iter().any(|name| word.eq_ignore_ascii_case(name)));
    let program = program_name(&args.next()?);
    Some(Invocation {
        program,
        args: args.collect(),
        writes,
    })
}

fn program_name(word: &str) -> String {
    let name = word.rsplit(['\\', '/']).next().unwrap_or(word);
    let name = name.trim_start_matches(['@', '(']).to_ascii_lowercase();
    [".exe", ".com", ".bat", ".cmd"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(&name)
        .to_owned()
}

/// What is left to look at once a shell before it is taken away.
enum Inner {
    /// One word that is a command line itself.
    Line(String),
    Words(Vec<Word>),
}

fn inner_command(mut words: Vec<Word>) -> Inner {
    let Some(Word::Text(first)) = words.first() else {
        return Inner::Words(words);
    };
    let switches: &[&str] = match program_name(first).as_str() {
        "cmd" => &["/c", "/k", "/r"],
        "sh" | "bash" | "dash" | "zsh" => &["-c", "-lc", "-ec"],
        "powershell" | "pwsh" => &["-c", "-command"],
        _ => return Inner::Words(words),
    };
    let is_switch = |word: &Word| match word {
        Word::Text(text) => switches
            .iter()
            .any(|switch| text.eq_ignore_ascii_case(switch)),
        Word::Redirect => false,
    };
    let Some(at) = words.iter().position(is_switch) else {
        return Inner::Words(words);
    };
    let mut rest = words.split_off(at + 1);
    match &mut rest[..] {
        [Word::Text(line)] => Inner::Line(std::mem::take(line)),
        // Its quotes are taken off already, and must hold its words together.
        _ => Inner::Words(rest),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Text(String),
    /// `>` and `>>`.
    Redirect,
}

impl Word {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Redirect => None,
        }
    }
}

/// Words between the operators `&`, `|` and `;` and line ends; quotes hold words together.
fn segments(text: &str) -> Vec<Vec<Word>> {
    let mut segments = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let segment = segments.last_mut().expect("there is always one");
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            // `2>&1` is one word that redirects to no file.
            (None, '>') => {
                if word
                    .as_deref()
                    .is_some_and(|word| matches!(word, "1" | "2" | "*"))
                {
                    word = None;
                }
                segment.extend(word.take().map(Word::Text));
                while chars.next_if_eq(&'>').is_some() {}
                if chars.next_if_eq(&'&').is_some() {
                    chars.next();
                } else {
                    segment.push(Word::Redirect);
                }
            }
            (None, '&' | '|' | ';' | '\n' | '\r') => {
                segment.extend(word.take().map(Word::Text));
                segments.push(Vec::new());
            }
            (None, c) if c.is_whitespace() => segment.extend(word.take().map(Word::Text)),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    segments
        .last_mut()
        .expect("there is always one")
        .extend(word.map(Word::Text));
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::source::Span;

    fn shown(text: &str) -> Vec<String> {
        invocations(&Template::literal(text, Span::at(0)))
            .into_iter()
            .map(|found| {
                let mut parts = vec![found.program];
                parts.extend(found.args);
                parts.extend(found.writes.iter().map(|path| format!("> {path}")));
                parts.join(" · ")
            })
            .collect()
    }

    #[test]
    fn programs_are_found_behind_shells_quotes_and_operators() {
        let table: [(&str, &[&str]); 9] = [
            (r"C:\Windows\System32\NETSTAT.EXE -ano", &["netstat · -ano"]),
            (r#""C:\Program Files\x y.exe" /a"#, &["x y · /a"]),
            (
                r#"cmd.exe /c "del /q C:\a & dir""#,
                &[r"del · /q · C:\a", "dir"],
            ),
            (
                "cmd /c reg query HKLM > C:\\x.txt 2>&1",
                &["reg · query · HKLM · > C:\\x.txt"],
            ),
            (
                "sh -c 'ps aux | grep x; sudo rm -rf /tmp/a'",
                &["ps · aux", "grep · x", "rm · -rf · /tmp/a"],
            ),
            (
                "powershell -NoProfile -Command \"Get-Process | Stop-Process\"",
                &["get-process", "stop-process"],
            ),
            ("a>nul && b 2>/dev/null", &["a", "b"]),
            ("", &[]),
            ("sh -c 'sh -c \"sh -c a\"'", &["a"]),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn switches_are_no_operands() {
        let text = r"reg save HKLM\SAM C:\sam /y /out:x -a /etc/x";
        let found = invocations(&Template::literal(text, Span::at(0)));
        let operands: Vec<_> = found[0].operands().collect();
        assert_eq!(operands, ["save", "HKLM\\SAM", "C:\\sam", "/etc/x"]);
        assert!(found[0].has("/Y") && !found[0].has("y"));
        assert_eq!(found[0].value_of("/OUT"), Some("x"));
    }
}
