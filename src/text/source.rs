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

    /// The same stretch of a file that begins at this offset.
    #[must_use]
    pub const fn shifted(self, by: usize) -> Self {
        Self::new(self.start + by, self.end + by)
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

/// A text with the name its author knows it by; and behind it, in the same space of offsets, the files that
/// it uses, so that a [`Span`] says by itself in which file it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path as it was given.
    pub name: String,
    pub text: String,
    /// Where lines begin, so that a thousand places do not count a thousand times from the top.
    lines: Box<[usize]>,
    /// Files behind this one, each with the offset at which it begins.
    more: Vec<(usize, Self)>,
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
            more: Vec::new(),
        }
    }

    /// Puts another file behind those that are there. What is said of it is shifted by the offset that
    /// this gives.
    pub fn add(&mut self, file: Self) -> usize {
        let (base, last) = self
            .more
            .last()
            .map_or((0, &*self), |(at, last)| (*at, last));
        // One offset between them, so that the end of a file still lies in it.
        let base = base + last.text.len() + 1;
        self.more.push((base, file));
        base
    }

    /// The files behind the first, in their order.
    pub fn more(&self) -> impl Iterator<Item = &Self> {
        self.more.iter().map(|(_, file)| file)
    }

    /// How many files come before the one that an offset lies in.
    pub fn files_before(&self, offset: usize) -> usize {
        self.more.partition_point(|(base, _)| *base <= offset)
    }

    /// The name of the file that an offset lies in.
    pub fn name_of(&self, offset: usize) -> &str {
        &self.file(offset).1.name
    }

    /// The file that an offset lies in, and where that file begins.
    fn file(&self, offset: usize) -> (usize, &Self) {
        match self.files_before(offset).checked_sub(1) {
            None => (0, self),
            Some(at) => (self.more[at].0, &self.more[at].1),
        }
    }

    /// The text under a span; what lies outside the text, or cuts a character, is moved inwards.
    pub fn slice(&self, span: Span) -> &str {
        let (base, file) = self.file(span.start);
        let start = file.floor(span.start - base);
        &file.text[start..file.floor(span.end.saturating_sub(base)).max(start)]
    }

    /// Line and column of a byte offset, within its file.
    pub fn place(&self, offset: usize) -> Place {
        let (base, file) = self.file(offset);
        let offset = file.floor(offset - base);
        let line = file.line_within(offset);
        Place {
            line,
            column: file.text[file.lines[line - 1]..offset].chars().count() + 1,
        }
    }

    /// The line of a byte offset within its file, counted from 1.
    pub fn line(&self, offset: usize) -> usize {
        let (base, file) = self.file(offset);
        file.line_within(offset - base)
    }

    fn line_within(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// The byte offset of a line and column of the first file, both counted from 1; the end of its text if
    /// there is none.
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
        let (base, file) = self.file(offset);
        let line = file.line_within(file.floor(offset - base));
        let start = file.lines[line - 1];
        let end = file.lines.get(line).copied().unwrap_or(file.text.len());
        let length = file.text[start..end].trim_end_matches(['\n', '\r']).len();
        Span::new(start, start + length).shifted(base)
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

    #[test]
    fn files_follow_each_other_and_share_no_line() {
        let mut source = Source::new("a", "one\nt\u{f6}o");
        let second = source.add(Source::new("b", "x\nyz"));
        let third = source.add(Source::new("c", ""));
        assert_eq!((second, third), (9, 14));
        let table = [
            (0, "a", (1, 1), "one"),
            (8, "a", (2, 4), "t\u{f6}o"),
            (second, "b", (1, 1), "x"),
            (second + 3, "b", (2, 2), "yz"),
            (second + 4, "b", (2, 3), "yz"),
            (third, "c", (1, 1), ""),
            (999, "c", (1, 1), ""),
        ];
        for (offset, name, (line, column), text) in table {
            assert_eq!(source.name_of(offset), name, "at {offset}");
            assert_eq!(source.place(offset), Place { line, column }, "at {offset}");
            assert_eq!(source.slice(source.line_at(offset)), text, "at {offset}");
        }
        // A stretch over two files ends with the first.
        assert_eq!(source.slice(Span::new(4, 99)), "t\u{f6}o");
    }
}
