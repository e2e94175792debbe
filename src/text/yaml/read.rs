//! The YAML library's events as our own tree.

use super::origin::{Origin, Style};
use super::{Key, MAX_DEPTH, MAX_NODES, Node, NodeKind, trap};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::escape::Escaped;
use crate::text::source::{Source, Span};
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Options, Spanned};
use std::collections::HashMap;
use std::fmt;

/// Reads one document. All that is wrong goes to `diagnostics`; without a node, something is.
pub fn parse(source: &Source, diagnostics: &mut Diagnostics) -> Option<Node> {
    if source.text.len() > super::MAX_BYTES {
        let message = format!("the file is larger than {} MiB", super::MAX_BYTES >> 20);
        diagnostics.error(Code::Limit, Span::default(), message);
        return None;
    }
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(&source.text, options()) {
        Ok(raw) => Some(
            Reader {
                source,
                diagnostics,
            }
            .node(raw),
        ),
        Err(error) => {
            diagnostics.push(trap::explain(&error, source));
            None
        }
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_depth: MAX_DEPTH,
            max_documents: 1,
            max_nodes: MAX_NODES,
            max_total_scalar_bytes: super::MAX_BYTES,
        },
        // We report these ourselves: all of them, and with both places.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        ignore_binary_tag_for_string: true,
        leading_zero_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        reject_unsupported_tags: true,
        strict_booleans: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

/// What the library hands over, before it has our places.
enum Raw {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Int(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the text as it was written is kept beside"
    )]
    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(i64::try_from(value).map_or(Raw::Float(value as f64), Raw::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

struct Reader<'a> {
    source: &'a Source,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let span = span(&raw);
        self.refuse_tag(span);
        match raw.value {
            Raw::List(items) => {
                let items: Vec<_> = items.into_iter().map(|item| self.node(item)).collect();
                let last = items.last().map(|item| item.span);
                self.collection(span, last, NodeKind::List(items))
            }
            Raw::Map(entries) => self.map(span, entries),
            Raw::Text(text) => self.text(span, text),
            Raw::Null => self.typed(span, NodeKind::Null),
            Raw::Bool(value) => self.typed(span, NodeKind::Bool(value)),
            Raw::Int(value) => self.typed(span, NodeKind::Int(value)),
            Raw::Float(value) => self.typed(span, NodeKind::Float(value)),
        }
    }

    fn typed(&self, span: Span, kind: NodeKind) -> Node {
        let written = self.source.slice(span);
        Node {
            span,
            kind,
            written: written.into(),
            origin: Origin::trace(span, Style::Plain, 0, written, written),
        }
    }

    fn text(&mut self, span: Span, text: String) -> Node {
        let style = self.style(span);
        let raw = self.source.slice(span);
        trap::check_text(self.source, span, style, &text, self.diagnostics);
        // The library spells numbers that are none (`1e999`) its own way.
        let text = if style == Style::Plain && !raw.contains('\n') {
            raw.to_owned()
        } else {
            text
        };
        let indent = match style {
            Style::Literal => span.start - self.source.line_at(span.start).start,
            _ => 0,
        };
        // The library counts the line ends behind a block as part of it.
        let span = Span::new(span.start, span.start + raw.trim_end().len());
        let origin = Origin::trace(span, style, indent, raw, &text);
        Node {
            span,
            written: Box::default(),
            origin,
            kind: NodeKind::Text(text),
        }
    }

    /// A block scalar's place begins with its first line, so its header is looked for above.
    fn style(&self, span: Span) -> Style {
        let before = &self.source.text[..span.start];
        let header = before
            .trim_end_matches(' ')
            .strip_suffix('\n')
            .map(|above| {
                let above = above.trim_end();
                let line = above.rsplit('\n').next().unwrap_or_default();
                let line = line.split(" #").next().unwrap_or_default().trim_end();
                line.rsplit(' ').next().unwrap_or_default()
            });
        let is_header = |header: &str, sign| {
            header
                .strip_prefix(sign)
                .is_some_and(|rest| rest.chars().all(|c| matches!(c, '+' | '-' | '1'..='9')))
        };
        match (header, self.source.slice(span).as_bytes().first()) {
            (Some(header), _) if is_header(header, '|') => Style::Literal,
            (Some(header), _) if is_header(header, '>') => Style::Folded,
            (_, Some(b'\'')) => Style::Single,
            (_, Some(b'"')) => Style::Double,
            _ => Style::Plain,
        }
    }

    fn map(&mut self, span: Span, entries: Vec<(Spanned<Raw>, Spanned<Raw>)>) -> Node {
        let mut kept: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
        let mut first: HashMap<String, Span> = HashMap::with_capacity(entries.len());
        let mut last = None;
        for (key, value) in entries {
            let key = self.node(key);
            let value = self.node(value);
            last = Some(value.span.max(key.span));
            let Some(text) = self.key_text(&key) else {
                continue;
            };
            if let Some(earlier) = first.get(&text) {
                let line = self.source.line(earlier.start);
                self.diagnostics
                    .error(
                        Code::DuplicateKey,
                        key.span,
                        format!("`{}` is given twice", Escaped(&text)),
                    )
                    .help(format!("the first one is in line {line}; keep one of them"));
                continue;
            }
            first.insert(text.clone(), key.span);
            let key = Key {
                text,
                span: key.span,
            };
            kept.push((key, value));
        }
        self.collection(span, last, NodeKind::Map(kept))
    }

    fn key_text(&mut self, key: &Node) -> Option<String> {
        let message = match key.scalar() {
            Some("<<") => {
                let message = "merge keys are not part of the language";
                self.diagnostics
                    .error(Code::YamlFeature, key.span, message)
                    .help("write the keys out");
                return None;
            }
            Some(text) => return Some(text.to_owned()),
            None if self.source.slice(key.span).starts_with('{') => {
                trap::template_as_map(self.source, key.span, self.diagnostics);
                return None;
            }
            None => format!("a key is text, not {}", key.describe()),
        };
        self.diagnostics.error(Code::WrongType, key.span, message);
        None
    }

    /// Block collections end with their last entry, flow collections with their bracket.
    fn collection(&self, start: Span, last: Option<Span>, kind: NodeKind) -> Node {
        let flow = self.source.slice(start).starts_with(['[', '{']);
        let inside = last.map_or(start.end, |last| last.end.max(start.end));
        let end = if flow {
            closing(&self.source.text, inside)
        } else {
            inside
        };
        let span = Span::new(start.start, end);
        Node {
            span,
            kind,
            written: Box::default(),
            origin: Origin::whole(span),
        }
    }

    /// The library accepts YAML's own tags (`!!str`); none means anything to us.
    fn refuse_tag(&mut self, span: Span) {
        let before = self.source.slice(Span::new(0, span.start));
        let trimmed = before.trim_end_matches([' ', '\t']);
        let word_at = trimmed
            .rfind([' ', '\t', '\n', ',', '[', '{'])
            .map_or(0, |at| at + 1);
        let word = &trimmed[word_at..];
        if trimmed.len() < before.len() && word.starts_with('!') && !word.ends_with([':', ',']) {
            self.diagnostics
                .error(
                    Code::YamlFeature,
                    Span::new(word_at, word_at + word.len()),
                    "tags are not part of the language",
                )
                .help("remove the tag; quote the value if it is text");
        }
    }
}

fn span(raw: &Spanned<Raw>) -> Span {
    let span = raw.referenced.span();
    let start = span.byte_offset().unwrap_or_default();
    let length = span.byte_len().unwrap_or_default();
    let start = usize::try_from(start).unwrap_or_default();
    Span::new(start, start + usize::try_from(length).unwrap_or_default())
}

/// Behind the bracket that closes a flow collection whose last entry ends at `from`.
fn closing(text: &str, from: usize) -> usize {
    let mut rest = text.get(from..).unwrap_or_default();
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n', ',', ':']);
        match rest.as_bytes().first() {
            Some(b'#') => rest = rest.find('\n').map_or("", |at| &rest[at..]),
            Some(b']' | b'}') => return text.len() - rest.len() + 1,
            _ => return from,
        }
    }
}
