//! A bare expression: `when`, `that`, `until`, `match`.

use super::compile::{Compiled, Reference, compile};
use super::error::TemplateError;
use super::scope::Scope;
use super::text::expression_length;
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::source::Span;
use crate::text::yaml::Node;
use minijinja::Value;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// An expression of a playbook. A clone is one more reference.
#[derive(Clone)]
pub struct Expr(Arc<Inner>);

struct Inner {
    span: Span,
    compiled: Compiled,
    roots: BTreeSet<String>,
}

impl Expr {
    /// Reads a scalar; one `{{ }}` around the whole is habit and means the same.
    pub fn from_scalar(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Some(text) = node.scalar() else {
            let message = format!("expected an expression, found {}", node.describe());
            diagnostics.error(Code::WrongType, node.span, message);
            return None;
        };
        let (at, source) = unwrapped(text);
        let compiled = compile(source, at, node.origin(), diagnostics)?;
        let roots = compiled
            .references
            .iter()
            .map(|reference| reference.root().to_owned())
            .collect();
        Some(Self(Arc::new(Inner {
            span: node.span,
            compiled,
            roots,
        })))
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        self.0.compiled.source().trim()
    }

    pub fn span(&self) -> Span {
        self.0.span
    }

    /// The first names of all that it refers to.
    pub fn roots(&self) -> &BTreeSet<String> {
        &self.0.roots
    }

    /// All that it refers to, with places.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.0.compiled.references.iter()
    }

    /// Whether it holds: empty text, lists and maps, zero and nothing do not.
    pub fn test(&self, scope: &Scope) -> Result<bool, TemplateError> {
        self.value(scope).map(|value| value.is_true())
    }

    pub fn value(&self, scope: &Scope) -> Result<Value, TemplateError> {
        self.0.compiled.eval(scope)
    }

    /// An error about this expression, such as a value of the wrong type.
    pub fn error(&self, code: Code, message: impl Into<String>) -> TemplateError {
        self.0.compiled.error(code, message)
    }
}

/// The expression and where it begins.
fn unwrapped(text: &str) -> (usize, &str) {
    let start = text.len() - text.trim_start().len();
    let trimmed = text.trim();
    match trimmed.strip_prefix("{{") {
        Some(rest) if expression_length(rest).is_some_and(|end| end + 2 == rest.len()) => {
            (start + 2, &rest[..rest.len() - 2])
        }
        _ => (0, text),
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text(), f)
    }
}

impl JsonSchema for Expr {
    fn schema_name() -> Cow<'static, str> {
        "Expression".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An expression, without {{ }}.",
            "type": ["string", "boolean", "number"],
            "examples": ["device.os == \"windows\""]
        })
    }
}
