//! What differs from run to run, and the word that stands for it. There is no other list.

use Part::{Alnum, Digits, Hex, Text, Upper};
use std::path::Path;

/// A piece of a pattern.
#[derive(Clone, Copy)]
enum Part {
    Text(&'static str),
    /// One digit at least.
    Digits,
    /// So many hexadecimal digits.
    Hex(usize),
    /// So many lower-case letters and digits.
    Alnum(usize),
    /// The same in upper case.
    Upper(usize),
}

/// Patterns with what stands for them; the first that fits wins.
const LIST: &[(&[Part], &str)] = &[
    // The identity of a run, and a name that is made of it.
    (&[Digits, Text("T"), Digits, Text("Z-"), Alnum(6)], "[RUN]"),
    (
        &[
            Digits,
            Text("-"),
            Digits,
            Text("-"),
            Digits,
            Text("T"),
            Digits,
            Text(":"),
            Digits,
            Text(":"),
            Digits,
            Text("."),
            Digits,
            Text("Z"),
        ],
        "[TIME]",
    ),
    (
        &[
            Digits,
            Text("-"),
            Digits,
            Text("-"),
            Digits,
            Text("T"),
            Digits,
            Text(":"),
            Digits,
            Text(":"),
            Digits,
            Text("Z"),
        ],
        "[TIME]",
    ),
    (
        &[Text("http://127.0.0.1:"), Digits],
        "http://127.0.0.1:[PORT]",
    ),
    (&[Hex(64)], "[SHA256]"),
    // The keys of a simulator.
    (&[Hex(40)], "[KEY]"),
    (&[Upper(24), Text("/"), Upper(10)], "[KEY]"),
    // What we put onto endpoints has names that are never used twice.
    (
        &[Text("sortie-"), Alnum(6), Text("-"), Alnum(8)],
        "sortie-[RUN]-[NONCE]",
    ),
    (
        &[
            Text("Bagging-Date: "),
            Digits,
            Text("-"),
            Digits,
            Text("-"),
            Digits,
        ],
        "Bagging-Date: [DATE]",
    ),
    // The size of a bag has the lengths of times in it.
    (&[Text("Payload-Oxum: "), Digits], "Payload-Oxum: [N]"),
    (&[Text("Bag-Size: "), Digits], "Bag-Size: [N]"),
    (
        &[
            Hex(8),
            Text("-"),
            Hex(4),
            Text("-"),
            Hex(4),
            Text("-"),
            Hex(4),
            Text("-"),
            Hex(12),
        ],
        "[UUID]",
    ),
    // Bytes on the wire come with every request.
    (&[Digits, Text("."), Digits, Text(" KiB, ")], "[N] KiB, "),
    (&[Digits, Text(" KiB, ")], "[N] KiB, "),
    (&[Digits, Text("."), Digits, Text(" MiB, ")], "[N] MiB, "),
    (&[Text("\"bytes\":"), Digits], "\"bytes\":[N]"),
    (&[Digits, Text("."), Digits, Text(" s")], "[SECONDS] s"),
    // How often a command is asked for depends on how long it takes.
    (&[Digits, Text(" requests,")], "[N] requests,"),
    (&[Text("\"requests\":"), Digits], "\"requests\":[N]"),
];

/// Replaces what is in the list, and the directory that the case runs in.
pub(crate) struct Redactor {
    work: String,
}

impl Redactor {
    pub(crate) fn new(work: &Path) -> Self {
        Self {
            work: work.display().to_string(),
        }
    }

    pub(crate) fn text(&self, text: &str) -> String {
        let text = text.replace(&self.work, "[DIR]");
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        let mut before = None;
        while let Some(next) = rest.chars().next() {
            // A number begins where its first digit is, not in its middle.
            let inside = before.is_some_and(|c: char| c.is_ascii_alphanumeric())
                && next.is_ascii_alphanumeric();
            let hit = LIST
                .iter()
                .filter(|_| !inside)
                .find_map(|(parts, word)| Some((length(parts, rest)?, word)));
            let taken = if let Some((length, word)) = hit {
                out.push_str(word);
                length
            } else {
                out.push(next);
                next.len_utf8()
            };
            before = rest[..taken].chars().next_back();
            rest = &rest[taken..];
        }
        out
    }
}

/// How much of the beginning of a text a pattern takes.
fn length(parts: &[Part], text: &str) -> Option<usize> {
    let mut rest = text;
    for part in parts {
        rest = match *part {
            Text(literal) => rest.strip_prefix(literal)?,
            Digits => many(rest, usize::MAX, |c| c.is_ascii_digit())?,
            Hex(count) => exactly(rest, count, |c| matches!(c, '0'..='9' | 'a'..='f'))?,
            Alnum(count) => exactly(rest, count, |c| matches!(c, '0'..='9' | 'a'..='z'))?,
            Upper(count) => exactly(rest, count, |c| matches!(c, '0'..='9' | 'A'..='Z'))?,
        };
    }
    Some(text.len() - rest.len())
}

fn many(text: &str, most: usize, fits: impl Fn(char) -> bool) -> Option<&str> {
    let taken = text.chars().take(most).take_while(|c| fits(*c)).count();
    (taken > 0).then(|| &text[taken..])
}

fn exactly(text: &str, count: usize, fits: impl Fn(char) -> bool) -> Option<&str> {
    let rest = many(text, count, &fits)?;
    (text.len() - rest.len() == count).then_some(rest)
}
