//! From a place in a scalar's text back to the file.

use crate::text::source::Span;
use std::ops::Range;
use std::sync::Arc;

/// Where a scalar's text stands in the file: a list of runs that were copied as they are.
///
/// Folded and escaped scalars have none; then every part is the whole scalar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    whole: Span,
    /// Shared: each of thousands of templates in a scalar has its origin.
    runs: Arc<[Run]>,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Offset in the decoded text.
    text: usize,
    /// Offset in the file.
    file: usize,
}

impl Origin {
    /// Text without a place of its own inside: every part is `whole`.
    pub fn whole(whole: Span) -> Self {
        Self {
            whole,
            runs: Arc::default(),
        }
    }

    /// Follows how `raw`, which stands at `span`, became `text`. `indent` is that of a block.
    pub(super) fn trace(span: Span, style: Style, indent: usize, raw: &str, text: &str) -> Self {
        let runs = match style {
            Style::Plain => vec![Run { text: 0, file: 0 }],
            Style::Single => single_quoted(raw),
            Style::Double if raw.contains(['\\', '\n']) => Vec::new(),
            Style::Double => vec![Run { text: 0, file: 1 }],
            Style::Literal => literal_block(raw, text, indent),
            Style::Folded => Vec::new(),
        };
        if !holds(&runs, raw, text) {
            return Self::whole(span);
        }
        let runs = runs
            .into_iter()
            .map(|run| Run {
                file: span.start + run.file,
                ..run
            })
            .collect();
        Self { whole: span, runs }
    }

    /// As of a file that begins at this offset.
    pub(super) fn shift(&mut self, by: usize) {
        self.whole = self.whole.shifted(by);
        let shifted = self.runs.iter().map(|run| Run {
            file: run.file + by,
            ..*run
        });
        self.runs = shifted.collect();
    }

    /// The place of a part of the text.
    pub fn span(&self, part: Range<usize>) -> Span {
        match (self.find(part.start), self.find(part.end)) {
            (Some(start), Some(end)) => Span::new(start, end.max(start)),
            _ => self.whole,
        }
    }

    fn find(&self, offset: usize) -> Option<usize> {
        let after = self.runs.partition_point(|run| run.text <= offset);
        let run = self.runs.get(after.checked_sub(1)?)?;
        Some((run.file + (offset - run.text)).min(self.whole.end))
    }
}

/// Every doubled apostrophe begins a new run; lines are folded, so there is only one.
fn single_quoted(raw: &str) -> Vec<Run> {
    if raw.contains('\n') {
        return Vec::new();
    }
    let mut runs = vec![Run { text: 0, file: 1 }];
    let mut doubled = 0;
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    let mut rest = inner;
    while let Some(at) = rest.find("''") {
        let file = inner.len() - rest.len() + at + 2;
        doubled += 1;
        runs.push(Run {
            text: file - doubled,
            file: file + 1,
        });
        rest = &inner[file..];
    }
    runs
}

/// Each line of a literal block is a run behind its indentation; the first is already behind it.
fn literal_block(raw: &str, text: &str, indent: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut offset = 0;
    let mut file = 0;
    for line in text.split_inclusive('\n') {
        let raw_line = raw[file..].split_inclusive('\n').next().unwrap_or_default();
        let skipped = if file == 0 {
            0
        } else {
            indent.min(raw_line.trim_end_matches(['\n', '\r']).len())
        };
        runs.push(Run {
            text: offset,
            file: file + skipped,
        });
        offset += line.len();
        file += raw_line.len();
    }
    runs
}

/// The runs really are copies, up to the line end (which YAML may have changed).
fn holds(runs: &[Run], raw: &str, text: &str) -> bool {
    !runs.is_empty()
        && runs.iter().enumerate().all(|(index, run)| {
            let end = runs.get(index + 1).map_or(text.len(), |next| next.text);
            let copied = text
                .get(run.text..end)
                .map(|part| part.trim_end_matches('\n'));
            copied.is_some_and(|part| raw.get(run.file..).is_some_and(|raw| raw.starts_with(part)))
        })
}
