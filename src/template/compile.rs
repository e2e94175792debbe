//! One expression, checked and compiled, that knows where it stands in the file.

use super::engine::{ENGINE, measure};
use super::error::TemplateError;
use super::field::FromText;
use super::scope::Scope;
use super::syntax::{self, Problem};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::escape::Escaped;
use crate::text::source::Span;
use crate::text::yaml::Origin;
use minijinja::{Error, ErrorKind, Expression, Value};
use std::ops::Range;
use std::sync::OnceLock;

/// A variable that a template or an expression refers to, such as `inputs.case`.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one name"
)]
pub struct Reference {
    /// The name and its attributes, as far as they are constant.
    pub path: Vec<String>,
    pub span: Span,
    /// It may be missing: it stands under `is defined` or before `default`.
    pub guarded: bool,
    /// Its text may come out as it is: no quoting filter, no number and no yes or no stands between.
    pub verbatim: bool,
    /// Its text comes out whole, as it is or quoted, or only a yes or no does: what a secret may do.
    pub intact: bool,
    /// It is the whole expression.
    pub(super) whole: bool,
    /// What its value has to become, where it is all that a typed argument is given.
    pub wanted: Option<Wanted>,
}

/// A type that the text of a value has to become.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    expected: fn() -> String,
    accepts: fn(&str) -> bool,
}

impl Wanted {
    pub(super) fn of<T: FromText>() -> Self {
        Self {
            expected: T::expected,
            accepts: |text| T::from_text(text.trim()).is_ok(),
        }
    }

    /// As in `expected a whole number`.
    pub fn expected(self) -> String {
        (self.expected)()
    }

    pub fn accepts(self, text: &str) -> bool {
        (self.accepts)(text)
    }
}

impl Reference {
    pub fn root(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }
}

/// An expression ready to run, at a place within a scalar's text.
pub(super) struct Compiled {
    source: String,
    /// Of the expression within the scalar's text.
    at: usize,
    origin: Origin,
    /// Made when it is first needed: one takes kilobytes, and a playbook may hold very many.
    expression: OnceLock<Expression<'static, 'static>>,
    pub(super) references: Vec<Reference>,
}

/// Checks and compiles; all problems go to `diagnostics`.
pub(super) fn compile(
    source: &str,
    at: usize,
    origin: &Origin,
    diagnostics: &mut Diagnostics,
) -> Option<Compiled> {
    let place = |range: Range<usize>| origin.span(at + range.start..at + range.end);
    if source.len() > super::MAX_EXPRESSION {
        let message = format!(
            "an expression is at most {} KiB long",
            super::MAX_EXPRESSION >> 10
        );
        diagnostics.error(Code::Limit, place(0..source.len()), message);
        return None;
    }
    if source.trim().is_empty() {
        diagnostics.error(
            Code::TemplateSyntax,
            place(0..source.len()),
            "the expression is empty",
        );
        return None;
    }
    let analysis = syntax::analyse(source);
    if !analysis.problems.is_empty() {
        for Problem {
            code,
            range,
            message,
            help,
        } in analysis.problems
        {
            diagnostics
                .error(code, place(range), Escaped(&message).to_string())
                .maybe_help(help);
        }
        return None;
    }
    if let Err(error) = ENGINE.compile_expression(source) {
        let range = error.range().unwrap_or(0..source.len());
        diagnostics.error(Code::TemplateSyntax, place(range), words(&error, source));
        return None;
    }
    let references = analysis
        .paths
        .into_iter()
        .map(|path| Reference {
            path: path.parts,
            span: place(path.range),
            guarded: path.guarded,
            verbatim: path.verbatim,
            intact: path.intact,
            whole: path.whole,
            wanted: None,
        })
        .collect();
    Some(Compiled {
        source: source.to_owned(),
        at,
        origin: origin.clone(),
        expression: OnceLock::new(),
        references,
    })
}

impl Compiled {
    pub(super) fn eval(&self, scope: &Scope) -> Result<Value, TemplateError> {
        let expression = self.expression.get_or_init(|| {
            ENGINE
                .compile_expression_owned(self.source.clone())
                .expect("it compiled when it was checked")
        });
        let value = expression
            .eval(scope.value())
            .map_err(|error| self.explain(&error, scope))?;
        if value.is_undefined() {
            let message = format!("`{}` is undefined", shown(&self.source));
            return Err(self.error(Code::UndefinedVariable, message));
        }
        if measure(&value).is_err() {
            return Err(self.error(Code::Limit, "the value is too large"));
        }
        Ok(value)
    }

    /// The engine blames an operation; the author wants to see the name that is missing in it.
    fn explain(&self, error: &Error, scope: &Scope) -> TemplateError {
        let range = error.range().unwrap_or(0..self.source.len());
        let within = self.place(range.clone());
        let missing = self.references.iter().find(|reference| {
            !reference.guarded
                && within.start <= reference.span.end
                && reference.span.start <= within.end
                && is_missing(&reference.path, scope)
        });
        if let Some(reference) = missing {
            let message = format!("`{}` is undefined", shown(&reference.path.join(".")));
            return TemplateError::new(Code::UndefinedVariable, reference.span, message);
        }
        let code = match error.kind() {
            ErrorKind::UndefinedError => Code::UndefinedVariable,
            ErrorKind::OutOfFuel => Code::Limit,
            _ => Code::BadValue,
        };
        TemplateError::new(code, within, words(error, &self.source))
    }

    /// An error about the expression as a whole.
    pub(super) fn error(&self, code: Code, message: impl Into<String>) -> TemplateError {
        let start = self.source.len() - self.source.trim_start().len();
        let range = start..start + self.source.trim().len();
        TemplateError::new(code, self.place(range), message)
    }

    fn place(&self, range: Range<usize>) -> Span {
        self.origin.span(self.at + range.start..self.at + range.end)
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }
}

fn is_missing(path: &[String], scope: &Scope) -> bool {
    let Some((root, attributes)) = path.split_first() else {
        return false;
    };
    let Some(mut value) = scope.get(root).cloned() else {
        return true;
    };
    for attribute in attributes {
        match value.get_attr(attribute) {
            Ok(inner) if !inner.is_undefined() => value = inner,
            _ => return true,
        }
    }
    false
}

/// An expression in a message: trimmed, harmless, not endless.
pub(super) fn shown(source: &str) -> String {
    let source = source.trim();
    match source.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", Escaped(&source[..end])),
        None => Escaped(source).to_string(),
    }
}

fn words(error: &Error, source: &str) -> String {
    let part = error.range().and_then(|range| source.get(range));
    match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, _) => match part.filter(|part| part.starts_with(['[', '.'])) {
            Some(part) => format!("there is no `{}`", shown(part)),
            None => format!("`{}` is undefined", shown(part.unwrap_or(source))),
        },
        (ErrorKind::OutOfFuel, _) => "the expression takes too many steps".to_owned(),
        (_, Some(detail)) => Escaped(detail).to_string(),
        (kind, None) => format!(
            "cannot evaluate `{}`: {kind}",
            shown(part.unwrap_or(source))
        ),
    }
}
