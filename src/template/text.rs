//! A string that may contain `{{ }}`.

use super::compile::{Compiled, Reference, Wanted, compile};
use super::engine::write_text;
use super::error::TemplateError;
use super::scope::Scope;
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::source::Span;
use crate::text::yaml::{Node, Origin};
use minijinja::Value;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A string of a playbook, compiled once and rendered for every device. A clone is one more reference.
#[derive(Clone)]
pub struct Template(Arc<Inner>);

struct Inner {
    text: String,
    span: Span,
    pieces: Vec<Piece>,
    roots: BTreeSet<String>,
}

enum Piece {
    Text(Range<usize>),
    Expr(Compiled),
}

impl Template {
    /// Reads any scalar; numbers and booleans count as the text that was written.
    pub fn from_scalar(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Some(text) = node.scalar() else {
            let message = format!("expected text, found {}", node.describe());
            diagnostics.error(Code::WrongType, node.span, message);
            return None;
        };
        Self::parse(text, node.span, node.origin(), diagnostics)
    }

    /// Compiles a text that stands at `span`; problems go to `diagnostics`.
    pub fn parse(
        text: &str,
        span: Span,
        origin: &Origin,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        if text.len() > super::MAX_SOURCE && text.contains("{{") {
            let message = format!("a template is at most {} KiB long", super::MAX_SOURCE >> 10);
            diagnostics.error(Code::Limit, span, message);
            return None;
        }
        let mut pieces = Vec::new();
        let mut sound = true;
        let mut rest = 0;
        while let Some(at) = text[rest..].find("{{").map(|at| rest + at) {
            let start = at + 2;
            let Some(length) = expression_length(&text[start..]) else {
                diagnostics
                    .error(
                        Code::TemplateSyntax,
                        origin.span(at..start),
                        "{{ is never closed",
                    )
                    .help("close it with }}; a literal {{ is written {{ '{{' }}");
                return None;
            };
            let end = start + length;
            let source = &text[start..end];
            if source.starts_with('-') || source.ends_with('-') {
                diagnostics
                    .error(
                        Code::TemplateSyntax,
                        origin.span(at..end + 2),
                        "{{- and -}} are not part of the language",
                    )
                    .help("write {{ and }}");
                sound = false;
            } else {
                match compile(source, start, origin, diagnostics) {
                    Some(compiled) => {
                        push_text(&mut pieces, rest..at);
                        pieces.push(Piece::Expr(compiled));
                    }
                    None => sound = false,
                }
            }
            sound &= no_statement(text, rest..at, origin, diagnostics);
            rest = end + 2;
        }
        sound &= no_statement(text, rest..text.len(), origin, diagnostics);
        push_text(&mut pieces, rest..text.len());
        sound.then(|| Self::new(text, span, pieces))
    }

    /// Text without anything to render; `{{` in it is just text.
    pub fn literal(text: impl Into<String>, span: Span) -> Self {
        let text = text.into();
        let mut pieces = Vec::new();
        push_text(&mut pieces, 0..text.len());
        Self::new(text, span, pieces)
    }

    fn new(text: impl Into<String>, span: Span, pieces: Vec<Piece>) -> Self {
        let mut inner = Inner {
            text: text.into(),
            span,
            pieces,
            roots: BTreeSet::new(),
        };
        inner.roots = references(&inner.pieces)
            .map(|reference| reference.root().to_owned())
            .collect();
        Self(Arc::new(inner))
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    pub fn span(&self) -> Span {
        self.0.span
    }

    /// There is nothing to render in it.
    pub fn is_literal(&self) -> bool {
        self.as_literal().is_some()
    }

    /// The text, if there is nothing to render in it.
    pub fn as_literal(&self) -> Option<&str> {
        let rendered = |piece: &Piece| matches!(piece, Piece::Expr(_));
        (!self.0.pieces.iter().any(rendered)).then_some(&self.0.text)
    }

    /// The texts between the expressions, in order: what is known before anything is rendered.
    pub fn literal_parts(&self) -> impl Iterator<Item = &str> {
        self.0.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(range) => Some(&self.0.text[range.clone()]),
            Piece::Expr(_) => None,
        })
    }

    /// The expressions between the texts, as they were written.
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        self.0.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Expr(compiled) => Some(compiled.source().trim()),
        })
    }

    /// The text with a mark where each expression stands: what is known of a command line.
    pub fn outline(&self, mark: char) -> String {
        let mut text = String::new();
        for piece in &self.0.pieces {
            match piece {
                Piece::Text(range) => text.push_str(&self.0.text[range.clone()]),
                Piece::Expr(_) => text.push(mark),
            }
        }
        text
    }

    /// There is one `{{ }}` and no text beside it.
    pub fn is_one_expression(&self) -> bool {
        matches!(self.0.pieces[..], [Piece::Expr(_)])
    }

    /// The value has to become this type: the reference that is all of it learns so.
    #[must_use]
    pub(super) fn wanting(mut self, wanted: Wanted) -> Self {
        let inner = Arc::get_mut(&mut self.0);
        if let Some([Piece::Expr(compiled)]) = inner.map(|inner| &mut inner.pieces[..]) {
            for reference in compiled.references.iter_mut().filter(|one| one.whole) {
                reference.wanted = Some(wanted);
            }
        }
        self
    }

    /// The first names of all that it refers to: `inputs`, `device`, `procs`.
    pub fn roots(&self) -> &BTreeSet<String> {
        &self.0.roots
    }

    /// All that it refers to, with places.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        references(&self.0.pieces)
    }

    /// The text with every `{{ }}` replaced, at most [`super::MAX_RENDERED`] long.
    pub fn render(&self, scope: &Scope) -> Result<String, TemplateError> {
        self.render_within(scope, super::MAX_RENDERED)
    }

    /// As [`Self::render`], with another limit in bytes.
    pub fn render_within(&self, scope: &Scope, limit: usize) -> Result<String, TemplateError> {
        let too_large = || {
            let message = format!("the rendered text is longer than {limit} bytes");
            TemplateError::new(Code::Limit, self.0.span, message)
        };
        let mut out = String::new();
        for piece in &self.0.pieces {
            match piece {
                Piece::Text(range) => {
                    if out.len() + range.len() > limit {
                        return Err(too_large());
                    }
                    out.push_str(&self.0.text[range.clone()]);
                }
                Piece::Expr(compiled) => {
                    let value = present(compiled, scope)?;
                    write_text(&value, limit, &mut out).map_err(|_| too_large())?;
                }
            }
        }
        Ok(out)
    }

    /// The value, which keeps its type if the string is exactly one `{{ }}`; otherwise the text.
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, TemplateError> {
        match &self.0.pieces[..] {
            [Piece::Expr(compiled)] => compiled.eval(scope),
            _ => self.render(scope).map(Value::from),
        }
    }
}

/// Nothing is not text: a path with a hole in it is another path.
fn present(compiled: &Compiled, scope: &Scope) -> Result<Value, TemplateError> {
    let value = compiled.eval(scope)?;
    if value.is_none() {
        let message = format!(
            "`{}` has no value",
            super::compile::shown(compiled.source())
        );
        return Err(compiled.error(Code::UndefinedVariable, message));
    }
    Ok(value)
}

fn references(pieces: &[Piece]) -> impl Iterator<Item = &Reference> {
    pieces.iter().flat_map(|piece| match piece {
        Piece::Text(_) => &[][..],
        Piece::Expr(compiled) => &compiled.references[..],
    })
}

fn push_text(pieces: &mut Vec<Piece>, range: Range<usize>) {
    if !range.is_empty() {
        pieces.push(Piece::Text(range));
    }
}

/// Where the `}}` is that closes an expression: not in quotes, not in a bracket.
pub(super) fn expression_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open = 0_usize;
    let mut quote = None;
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(expected), found) if expected == found => quote = None,
            (None, found @ (b'"' | b'\'')) => quote = Some(found),
            (None, b'{' | b'[' | b'(') => open += 1,
            (None, b'}') if open == 0 && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, b'}' | b']' | b')') => open = open.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Statements and comments of Jinja would go to the endpoint as text: better to say so.
fn no_statement(
    text: &str,
    part: Range<usize>,
    origin: &Origin,
    diagnostics: &mut Diagnostics,
) -> bool {
    for (open, close) in [("{%", "%}"), ("{#", "#}")] {
        let Some(at) = text[part.clone()].find(open).map(|at| part.start + at) else {
            continue;
        };
        let Some(end) = text[at + 2..].find(close).map(|end| at + 2 + end + 2) else {
            continue;
        };
        diagnostics
            .error(
                Code::TemplateSyntax,
                origin.span(at..end),
                format!("{open} {close} is not part of the language"),
            )
            .help(format!(
                "use `when` and `for_each`, or {{{{ a if b else c }}}}; as text it is written {{{{ '{open}' }}}}"
            ));
        return false;
    }
    true
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text && self.is_literal() == other.is_literal()
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.text, f)
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Text, which may contain {{ }}.",
            "type": ["string", "number", "boolean"]
        })
    }
}
