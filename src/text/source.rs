//! A text file that somebody wrote, and places in it.
//!
//! No parsing and no file system: whoever reads a file hands over its name and its text.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A stretch of a [`Source`], in bytes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The place between two characters.
    pub const fn at(offset: usize) -> Self {
        Self::new(offset, offset)
    }

    /// From the beginning of this to the end of the other.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self::new(self.start, other.end.max(self.start))
    }

    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// Line and column, both counted from 1; columns are characters, not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// A text with the name its author knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path as it was given.
    pub name: String,
    pub text: String,
    /// Where lines begin, so that a thousand places do not count a thousand times from the top.
    lines: Box<[usize]>,
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0)
            .chain(ends.map(|(at, _)| at + 1))
            .collect();
        Self {
            name: name.into(),
            text,
            lines,
        }
    }

    /// The text under a span; what lies outside the text, or cuts a character, is moved inwards.
    pub fn slice(&self, span: Span) -> &str {
        let start = self.floor(span.start);
        &self.text[start..self.floor(span.end).max(start)]
    }

    /// Line and column of a byte offset.
    pub fn place(&self, offset: usize) -> Place {
        let offset = self.floor(offset);
        let line = self.line(offset);
        Place {
            line,
            column: self.text[self.lines[line - 1]..offset].chars().count() + 1,
        }
    }

    /// The line of a byte offset, counted from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// The byte offset of a line and column, both counted from 1; the end of the text if there is none.
    pub fn offset(&self, place: Place) -> usize {
        let Some(start) = self.lines.get(place.line.saturating_sub(1)) else {
            return self.text.len();
        };
        self.text[*start..]
            .char_indices()
            .nth(place.column.saturating_sub(1))
            .map_or(self.text.len(), |(at, _)| start + at)
    }

    /// The line that holds an offset, without its line end.
    pub fn line_at(&self, offset: usize) -> Span {
        let line = self.line(self.floor(offset));
        let start = self.lines[line - 1];
        let end = self.lines.get(line).copied().unwrap_or(self.text.len());
        let length = self.text[start..end].trim_end_matches(['\n', '\r']).len();
        Span::new(start, start + length)
    }

    fn floor(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        let inside = |at: &usize| !self.text.is_char_boundary(*at);
        offset - (0..=offset).rev().take_while(inside).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters() {
        let source = Source::new("a.yaml", "añb\r\n漢字: x\n");
        let table = [
            (0, (1, 1)),
            (3, (1, 3)),
            (2, (1, 2)),
            (6, (2, 1)),
            (9, (2, 2)),
            (12, (2, 3)),
            (999, (3, 1)),
        ];
        for (offset, (line, column)) in table {
            let place = Place { line, column };
            assert_eq!(source.place(offset), place, "at {offset}");
            assert!(source.offset(place) <= offset && source.place(source.offset(place)) == place);
        }
    }

    #[test]
    fn slices_never_cut_a_character() {
        let source = Source::new("a", "é\r\nx");
        assert_eq!(source.slice(Span::new(1, 4)), "é\r\n");
        assert_eq!(source.slice(Span::new(3, 1)), "");
        assert_eq!(source.slice(Span::new(90, 99)), "");
        assert_eq!(source.line_at(1), Span::new(0, 2));
        assert_eq!(source.line_at(4), Span::new(4, 5));
    }
}
