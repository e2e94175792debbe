//! What people stumble over in YAML, in our words.
//!
//! The library says where it stopped; what the author meant is guessed from the line there. Nothing
//! here decides whether a document is good: it only explains, and warns of what went unnoticed.

use super::origin::Style;
use crate::text::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::text::source::{Place, Source, Span};
use crate::text::words::Grouped;
use serde_saphyr::budget::BudgetBreach;

/// The library's complaint, explained.
pub(super) fn explain(error: &serde_saphyr::Error, source: &Source) -> Diagnostic {
    let error = error.without_snippet();
    let at = error.location().map_or(source.text.len(), |location| {
        let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
        source.offset(Place {
            line: number(location.line()),
            column: number(location.column()),
        })
    });
    let line = Line::at(source, at);
    match error {
        serde_saphyr::Error::Budget { breach, .. } => budget(breach, &line, source, at),
        serde_saphyr::Error::UnknownAnchor { .. } => star(&line, at),
        serde_saphyr::Error::UnsupportedTag { .. } => feature(line.value_or(at), "tags"),
        serde_saphyr::Error::MultipleDocuments { .. } => documents(at),
        serde_saphyr::Error::ExternalMessage { msg, .. } => {
            syntax(&line, source, at, &msg.to_ascii_lowercase())
        }
        _ => Diagnostic::error(Code::Syntax, rest_of(source, at), "this is not valid YAML"),
    }
}

fn budget(breach: &BudgetBreach, line: &Line<'_>, source: &Source, at: usize) -> Diagnostic {
    let limit = |message: String| Diagnostic::error(Code::Limit, rest_of(source, at), message);
    match breach {
        BudgetBreach::Aliases { .. } => star(line, at),
        BudgetBreach::Anchors { .. } => feature(line.value_or(at), "anchors"),
        BudgetBreach::Documents { .. } => documents(at),
        BudgetBreach::Depth { .. } => limit(format!(
            "more than {} levels within each other",
            super::MAX_DEPTH
        )),
        _ => limit(format!(
            "a file has at most {} values",
            Grouped(super::MAX_NODES as u64)
        ))
        .with_help("split it"),
    }
}

fn feature(span: Span, what: &str) -> Diagnostic {
    let message = format!("{what} are not part of the language");
    Diagnostic::error(Code::YamlFeature, span, message)
        .with_help("quote the value if it is meant as text; otherwise write it out")
}

fn documents(at: usize) -> Diagnostic {
    let message = "a file holds one document";
    Diagnostic::error(Code::YamlFeature, Span::new(at, at + 3), message)
        .with_help("move what follows into a file of its own")
}

/// `*` begins an alias, and a file pattern too.
fn star(line: &Line<'_>, at: usize) -> Diagnostic {
    let name = line.value.strip_prefix('*').unwrap_or_default();
    if name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return feature(line.value_or(at), "aliases");
    }
    quote_it(line, "a value cannot begin with * unless it is quoted")
}

fn quote_it(line: &Line<'_>, message: &str) -> Diagnostic {
    Diagnostic::error(Code::Trap, line.span, message)
        .with_help(format!("quote it: {}", line.quoted()))
}

fn syntax(line: &Line<'_>, source: &Source, at: usize, said: &str) -> Diagnostic {
    if said.contains("escape") || said.contains("hexadecimal") || said.contains("surrogate") {
        return escapes(line, source, at);
    }
    if said.contains("trailing content after") {
        return quotes_end_early(line);
    }
    if said.contains("tab") && line.has_tab {
        return Diagnostic::error(Code::Trap, rest_of(source, at), "tabs cannot indent YAML")
            .with_help("use spaces");
    }
    if let Some(diagnostic) = first_character(line) {
        return diagnostic;
    }
    if said.contains("quote") {
        return unclosed_quote(source, at);
    }
    if said.contains("mapping values are not allowed") && at > line.span.start {
        return quote_it(line, "a colon with a space after it begins a map");
    }
    if said.contains("flow") && line.value.starts_with('{') && line.value.contains("{{") {
        return Diagnostic::error(
            Code::Trap,
            rest_of(source, at),
            "between brackets, a value that holds {{ must be quoted",
        )
        .with_help("put the value into single quotes");
    }
    let (message, help) = plain_words(said);
    let mut diagnostic = Diagnostic::error(Code::Syntax, rest_of(source, at), message);
    diagnostic.maybe_help(help);
    diagnostic
}

/// What a value cannot begin with, whatever the library made of it.
fn first_character(line: &Line<'_>) -> Option<Diagnostic> {
    let value = line.value;
    if value.starts_with("{{") {
        return Some(quote_it(line, "a value that begins with {{ must be quoted"));
    }
    let first = value.chars().next()?;
    match first {
        '%' if value[1..].contains('%') => Some(
            Diagnostic::error(
                Code::Trap,
                line.span,
                "a value cannot begin with % unless it is quoted",
            )
            .with_help(format!(
                "quote it: {}; Live Response does not expand variables, so use {{{{ device.… }}}}",
                line.quoted()
            )),
        ),
        '%' | '@' | '`' | '*' => Some(quote_it(
            line,
            &format!("a value cannot begin with {first} unless it is quoted"),
        )),
        '[' if value
            .trim_end()
            .find(']')
            .is_some_and(|at| at + 1 < value.trim_end().len()) =>
        {
            Some(quote_it(
                line,
                "a value that begins with [ is a list unless it is quoted",
            ))
        }
        _ => None,
    }
}

fn escapes(line: &Line<'_>, source: &Source, at: usize) -> Diagnostic {
    let help = match inner(line.value, '"') {
        Some(inner) if !inner.contains('\'') => {
            format!("use single quotes, or double every backslash: '{inner}'")
        }
        _ => "use single quotes, or double every backslash".to_owned(),
    };
    let span = if line.value.starts_with('"') {
        line.span
    } else {
        rest_of(source, at)
    };
    let message = "a backslash in double quotes begins an escape";
    Diagnostic::error(Code::Trap, span, message).with_help(help)
}

fn quotes_end_early(line: &Line<'_>) -> Diagnostic {
    let message = "the value goes on after its closing quote";
    let diagnostic = Diagnostic::error(Code::Trap, line.span, message);
    if inner(line.value, '\'').is_some() && !line.value.contains("' ") {
        return diagnostic.with_help("inside single quotes an apostrophe is written twice: ''");
    }
    diagnostic.with_help(format!(
        "single-quote the whole expression: {}",
        line.quoted()
    ))
}

/// The library notices at the end of the file; the author wants to see the beginning.
fn unclosed_quote(source: &Source, at: usize) -> Diagnostic {
    let mut from = at.min(source.text.len());
    for _ in 0..64 {
        let line = Line::at(source, from);
        let quote = line
            .value
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\''));
        if let Some(quote) = quote
            && inner(line.value, quote).is_none_or(|inner| inner.ends_with('\\'))
        {
            let message = "this quote is never closed";
            let mut diagnostic = Diagnostic::error(Code::Syntax, line.span, message);
            if quote == '"' && line.value.contains('\\') {
                diagnostic.help("a backslash before a double quote hides it: use single quotes");
            }
            return diagnostic;
        }
        let start = source.line_at(from).start;
        if start == 0 {
            break;
        }
        from = start - 1;
    }
    Diagnostic::error(
        Code::Syntax,
        rest_of(source, at),
        "a quote before this is never closed",
    )
}

/// The rest, by what the library says.
fn plain_words(said: &str) -> (&'static str, Option<&'static str>) {
    let table = [
        (
            "mapping values are not allowed",
            "a key cannot stand here",
            Some("check the indentation, and that the line above is complete"),
        ),
        (
            "block sequence entries are not allowed",
            "a list item cannot stand here",
            Some("begin the list on the next line, or write it as [a, b]"),
        ),
        (
            "did not find expected key",
            "this does not belong to the map above",
            Some("check the indentation"),
        ),
        (
            "did not find expected '-'",
            "this does not belong to the list above",
            Some("check the indentation"),
        ),
        (
            "indentation",
            "the indentation does not fit",
            Some("lines of one list or map begin in the same column"),
        ),
        (
            "flow",
            "a bracket is not closed here",
            Some("check the commas and brackets"),
        ),
        (
            "bracket",
            "the brackets do not match",
            Some("quote the value if the bracket is part of it"),
        ),
        (
            "placement of ':'",
            "a key cannot stand here",
            Some("a bracket before this may not be closed"),
        ),
        ("simple key", "a colon is missing after the key", None),
        ("directive", "a line cannot begin with %", Some("remove it")),
        (
            "block scalar",
            "the text block is not indented evenly",
            None,
        ),
        (
            "unexpected character",
            "this character cannot stand here",
            Some("quote the value"),
        ),
        ("tab", "a tab cannot stand here", Some("use spaces")),
    ];
    table
        .into_iter()
        .find(|(part, _, _)| said.contains(part))
        .map_or(("this is not valid YAML", None), |(_, message, help)| {
            (message, help)
        })
}

/// Warns of texts that YAML read differently from what the author sees.
pub(super) fn check_text(
    source: &Source,
    span: Span,
    style: Style,
    text: &str,
    diagnostics: &mut Diagnostics,
) {
    let raw = source.slice(span);
    match style {
        Style::Double if looks_like_path(&raw[1..]) && text.contains(char::is_control) => {
            diagnostics
                .error(
                    Code::Trap,
                    span,
                    "this path holds control characters: a backslash in double quotes begins an escape",
                )
                .help("use single quotes, or double every backslash");
        }
        Style::Plain if looks_like_path(raw) => cut_by_comment(source, span, diagnostics),
        _ => {}
    }
}

fn cut_by_comment(source: &Source, path: Span, diagnostics: &mut Diagnostics) {
    let line = source.line_at(path.end);
    let after = source.slice(Span::new(path.end, line.end)).trim_end();
    // Two blanks before a comment are what people write when they mean one.
    if !after.starts_with(" #") {
        return;
    }
    let path_text = source.slice(path);
    diagnostics
        .warn(
            Code::Trap,
            Span::new(path.end + 1, line.end),
            "a comment cut the path here",
        )
        .help(format!(
            "quote the path: '{path_text}{after}' if this belongs to it, '{path_text}' if it is a comment"
        ));
}

/// A drive, a registry root, a variable, or a share.
fn looks_like_path(text: &str) -> bool {
    let upper: String = text
        .chars()
        .take(5)
        .collect::<String>()
        .to_ascii_uppercase();
    let drive = upper.as_bytes();
    (drive.len() > 2 && drive[0].is_ascii_alphabetic() && &drive[1..3] == b":\\")
        || upper.starts_with("HK") && text.contains('\\')
        || upper.starts_with('%') && text.contains("%\\")
        || upper.starts_with("\\\\")
}

/// `{{ x }}` alone is a map whose key is a map.
pub(super) fn template_as_map(source: &Source, key: Span, diagnostics: &mut Diagnostics) {
    let line = Line::at(source, key.start);
    if line.value.starts_with("{{") {
        diagnostics.push(quote_it(
            &line,
            "a value that begins with {{ must be quoted",
        ));
    } else {
        diagnostics
            .error(Code::Trap, key, "{{ begins a map here")
            .help("quote the value");
    }
}

/// A line taken apart: dashes, key, value.
struct Line<'a> {
    /// Of the value.
    span: Span,
    value: &'a str,
    has_tab: bool,
}

impl<'a> Line<'a> {
    fn at(source: &'a Source, offset: usize) -> Self {
        let line = source.line_at(offset);
        let text = source.slice(line);
        let mut rest = text.trim_start();
        let has_tab = text[..text.len() - rest.len()].contains('\t');
        while let Some(item) = rest.strip_prefix("- ") {
            rest = item.trim_start();
        }
        let value = match rest.chars().next() {
            Some('"') => behind(rest, "\": "),
            Some('\'') => behind(rest, "': "),
            _ => behind(rest, ": "),
        };
        let value = value.trim_end();
        let start = line.start + (text.trim_end().len() - value.len());
        Self {
            span: Span::new(start, start + value.len()),
            value,
            has_tab,
        }
    }

    fn value_or(&self, at: usize) -> Span {
        if self.value.is_empty() {
            Span::at(at)
        } else {
            self.span
        }
    }

    /// The value in single quotes.
    fn quoted(&self) -> String {
        format!("'{}'", self.value.replace('\'', "''"))
    }
}

/// What follows the end of a key, or all if there is none.
fn behind<'a>(rest: &'a str, end_of_key: &str) -> &'a str {
    rest.split_once(end_of_key)
        .map_or(rest, |(_, value)| value.trim_start())
}

/// What stands between the quotes, if the text begins and ends with one.
fn inner(value: &str, quote: char) -> Option<&str> {
    value.strip_prefix(quote)?.strip_suffix(quote)
}

/// From a place to the end of its line, one character at least.
fn rest_of(source: &Source, at: usize) -> Span {
    let line = source.line_at(at);
    Span::new(at, line.end.max(at))
}
