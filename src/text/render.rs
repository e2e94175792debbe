//! Diagnostics drawn for a terminal: message, place, the line with a caret, help.
//!
//! It decides nothing: neither whether colors are wanted nor where the text goes.

use super::diagnostic::{Diagnostic, Severity};
use super::escape::{Escaped, is_deceptive};
use super::source::{Source, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Message, Renderer, Snippet, Title};
use std::fmt::Write;

/// How it should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub color: bool,
    /// Columns of the terminal; longer lines are cropped around the caret.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            color: false,
            width: 120,
        }
    }
}

/// Blocks that are drawn; nobody reads more before mending the first.
const MOST: usize = 100;
/// Characters of a message; some quote what the author wrote.
const LONGEST: usize = 400;

/// One block for each diagnostic, with an empty line between them and a line end at the end.
pub fn render(diagnostics: &[Diagnostic], source: &Source, style: Style) -> String {
    let renderer = renderer(style);
    let mut text = String::new();
    for diagnostic in diagnostics.iter().take(MOST) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&block(diagnostic, source, &renderer));
        text.push('\n');
    }
    if let Some(more) = diagnostics.len().checked_sub(MOST).filter(|more| *more > 0) {
        writeln!(text, "\nand {more} more").expect("a string takes everything");
    }
    text
}

/// What a message may quote: harmless and not endless.
fn shown(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", Escaped(&text[..end])),
        None => Escaped(text).to_string(),
    }
}

/// What went wrong in a run, drawn where the playbook says it, with notes below.
pub fn point(
    severity: Severity,
    message: &str,
    span: Span,
    notes: &[String],
    source: &Source,
    style: Style,
) -> String {
    let title = level(severity).primary_title(shown(message));
    let notes = notes.iter().map(|note| Level::NOTE.message(shown(note)));
    drawn(title, span, notes, source, &renderer(style)) + "\n"
}

fn renderer(style: Style) -> Renderer {
    let renderer = if style.color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.term_width(style.width)
}

const fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    }
}

fn block(diagnostic: &Diagnostic, source: &Source, renderer: &Renderer) -> String {
    let title = level(diagnostic.severity)
        .primary_title(shown(&diagnostic.message))
        .id(diagnostic.code.slug());
    let help = diagnostic.help.iter();
    let help = help.map(|help| Level::HELP.message(shown(help)));
    drawn(title, diagnostic.span, help, source, renderer)
}

/// A title, the line with a caret, and what is to be said below it.
fn drawn<'a>(
    title: Title<'a>,
    span: Span,
    below: impl Iterator<Item = Message<'a>>,
    source: &Source,
    renderer: &Renderer,
) -> String {
    // Only the line itself is handed over: searching a large file once per message adds up.
    let line = source.line_at(span.start);
    let (text, within) = harmless(source, line, span);
    let snippet = Snippet::source(text)
        .line_start(source.place(line.start).line)
        .path(shown(source.name_of(line.start)))
        .annotation(AnnotationKind::Primary.span(within.range()));
    let group = title.element(snippet);
    let group = below.fold(group, Group::element);
    renderer.render(&[group])
}

/// A line without characters that deceive, and where the part of the span that lies on it is then.
fn harmless(source: &Source, line: Span, span: Span) -> (String, Span) {
    let start = span.start.clamp(line.start, line.end);
    let end = span.end.clamp(start, line.end);
    let mut text = String::with_capacity(line.end - line.start);
    push_harmless(&mut text, source.slice(Span::new(line.start, start)));
    let from = text.len();
    push_harmless(&mut text, source.slice(Span::new(start, end)));
    let to = text.len();
    push_harmless(&mut text, source.slice(Span::new(end, line.end)));
    (text, Span::new(from, to))
}

/// The renderer has signs for ASCII control characters but lets C1 through; the rest becomes U+FFFD.
fn push_harmless(out: &mut String, text: &str) {
    out.extend(text.chars().map(|c| {
        if is_deceptive(c) && !c.is_ascii() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::diagnostic::Code;

    fn draw(text: &str, under: &str, style: Style) -> String {
        let source = Source::new("dir/a.yaml", text);
        let start = text.find(under).expect("is in there");
        let span = Span::new(start, start + under.len());
        let error = Diagnostic::error(Code::BadValue, span, "it is wrong").with_help("do it right");
        render(&[error], &source, style)
    }

    #[test]
    fn a_block_shows_place_line_caret_and_help() {
        let drawn = draw("a: 1\nñ: bad # c\n", "bad", Style::default());
        let expected = "\
error[bad-value]: it is wrong
 --> dir/a.yaml:2:4
  |
2 | ñ: bad # c
  |    ^^^
  |
  = help: do it right
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn blocks_stand_apart_and_long_spans_end_with_their_line() {
        let source = Source::new("p", "steps:\n  - a: b\n");
        let all = [
            Diagnostic::error(Code::MissingKey, Span::new(0, 16), "one"),
            Diagnostic::warning(Code::Trap, Span::at(99), "two"),
        ];
        let expected = "\
error[missing-key]: one
 --> p:1:1
  |
1 | steps:
  | ^^^^^^

warning[trap]: two
 --> p:3:1
  |
3 |
  | ^
";
        assert_eq!(render(&all, &source, Style::default()), expected);
    }

    #[test]
    fn long_lines_are_cropped_around_the_caret() {
        let text = format!("{}bad{}", "x".repeat(5_000), "y".repeat(5_000));
        let drawn = draw(
            &text,
            "bad",
            Style {
                color: false,
                width: 60,
            },
        );
        assert!(
            drawn.lines().all(|line| line.chars().count() <= 70),
            "{drawn}"
        );
        assert!(
            drawn.contains("xbady") && drawn.contains(" --> dir/a.yaml:1:5001"),
            "{drawn}"
        );
    }

    #[test]
    fn endless_messages_and_lists_end() {
        let source = Source::new("p", "a");
        let error = Diagnostic::error(Code::Trap, Span::at(0), "é".repeat(100_000));
        let drawn = render(&vec![error; 250], &source, Style::default());
        assert!(drawn.len() < 100 * 1_000, "{}", drawn.len());
        assert!(drawn.ends_with("\nand 150 more\n"));
    }

    #[test]
    fn hostile_text_is_harmless() {
        let evil = "\u{7f}\u{1b}]0;x\u{7}\u{9b}31m \u{202e}gpj\u{2066} \u{200b}\u{feff}\u{ad}\u{2028}\u{e0041}\r\u{85}";
        let source = Source::new(evil, format!("a: {evil}bad{evil}\n"));
        let start = source.text.find("bad").expect("is in there");
        let mut error = Diagnostic::error(Code::BadValue, Span::new(start, start + 3), evil);
        error.help(evil);
        let drawn = render(&[error], &source, Style::default());
        let left: Vec<_> = drawn
            .chars()
            .filter(|c| is_deceptive(*c) && *c != '\n')
            .collect();
        assert!(left.is_empty(), "{left:?} in {drawn:?}");
        let caret = drawn
            .lines()
            .find(|line| line.contains("^^^"))
            .expect("there is one");
        assert!(!caret.contains("^^^^"), "{caret}");
    }
}
