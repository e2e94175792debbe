//! A place in a file as reports name it: file, line, column.

use super::source::{Source, Span};
use serde::Serialize;
use serde_json::{Map, Value};

/// Where something begins, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spot {
    /// The path as it was given.
    pub file: String,
    /// Counted from 1, as the column is.
    pub line: usize,
    pub column: usize,
}

impl Spot {
    pub fn of(source: &Source, span: Span) -> Self {
        let place = source.place(span.start);
        Self {
            file: source.name_of(span.start).to_owned(),
            line: place.line,
            column: place.column,
        }
    }

    /// The fields `file`, `line` and `column`.
    pub fn fields(self) -> Map<String, Value> {
        Map::from_iter([
            ("file".to_owned(), self.file.into()),
            ("line".to_owned(), self.line.into()),
            ("column".to_owned(), self.column.into()),
        ])
    }
}
