//! YAML as a tree in which everything knows its place.
//!
//! One document without anchors, aliases, merge keys and tags, small and shallow. Nothing is typed
//! beyond YAML's own scalars: readers decide what a value means, and each scalar still has the text
//! as it was written, since `1.10` is a version as often as a number.

mod origin;
mod read;
mod trap;

pub use origin::Origin;
pub use read::parse;

use super::diagnostic::{Code, Diagnostics};
use super::source::{Source, Span};

/// Bytes of the largest file we read.
pub const MAX_BYTES: usize = 1 << 20;
/// Collections within collections.
pub const MAX_DEPTH: usize = 32;
/// Scalars and collections together.
pub const MAX_NODES: usize = 120_000;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// With quotes and brackets. A block collection begins at its first entry.
    pub span: Span,
    pub kind: NodeKind,
    /// Null, booleans and numbers as they were written; empty for everything else.
    written: Box<str>,
    origin: Origin,
}

#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    Null,
    Bool(bool),
    Int(i64),
    /// Also integers that no `i64` can hold.
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; keys are distinct.
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub text: String,
    pub span: Span,
}

impl Node {
    /// What it is, for `expected …, found …`.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            NodeKind::Null => "nothing",
            NodeKind::Bool(true) => "true",
            NodeKind::Bool(false) => "false",
            NodeKind::Int(_) | NodeKind::Float(_) => "a number",
            NodeKind::Text(text) if text.is_empty() => "empty text",
            NodeKind::Text(_) => "text",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a map",
        }
    }

    /// The text of a scalar; numbers and booleans as they were written (`0123`, `1.10`, `no`).
    pub fn scalar(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Text(text) => Some(text),
            NodeKind::Bool(_) | NodeKind::Int(_) | NodeKind::Float(_) => Some(&self.written),
            NodeKind::Null | NodeKind::List(_) | NodeKind::Map(_) => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.kind, NodeKind::Null)
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.kind {
            NodeKind::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&[(Key, Self)]> {
        match &self.kind {
            NodeKind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?
            .iter()
            .find(|(candidate, _)| candidate.text == key)
            .map(|(_, value)| value)
    }

    /// Moves all places by so much: the file does not stand first among several.
    pub fn shift(&mut self, by: usize) {
        self.span = self.span.shifted(by);
        self.origin.shift(by);
        match &mut self.kind {
            NodeKind::List(items) => items.iter_mut().for_each(|item| item.shift(by)),
            NodeKind::Map(entries) => {
                for (key, value) in entries {
                    key.span = key.span.shifted(by);
                    value.shift(by);
                }
            }
            _ => {}
        }
    }

    /// Where the parts of a scalar's text are in the file.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// Reads a file's bytes: what is wrong with them goes to `diagnostics`; without a node, something is.
pub fn load(
    name: impl Into<String>,
    bytes: &[u8],
    diagnostics: &mut Diagnostics,
) -> (Source, Option<Node>) {
    if bytes.len() > MAX_BYTES {
        let message = format!("the file is larger than {} MiB", MAX_BYTES >> 20);
        diagnostics.error(Code::Limit, Span::default(), message);
        return (Source::new(name, ""), None);
    }
    // A byte order mark is no text; it would only shift the columns.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let source = Source::new(name, text);
            let node = parse(&source, diagnostics);
            (source, node)
        }
        Err(error) => {
            let at = error.valid_up_to();
            let source = Source::new(name, String::from_utf8_lossy(bytes));
            diagnostics
                .error(Code::Syntax, Span::at(at), "the file is not UTF-8")
                .help("save it as UTF-8, without special encodings");
            (source, None)
        }
    }
}

#[cfg(test)]
mod tests;
