//! Why a template has no result.

use crate::model::outcome::Cause;
use crate::text::diagnostic::{Code, Diagnostic};
use crate::text::source::Span;

/// A failure while rendering, with its place in the playbook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    pub code: Code,
    pub message: String,
    pub span: Span,
}

impl TemplateError {
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            span,
        }
    }
}

impl From<TemplateError> for Diagnostic {
    fn from(error: TemplateError) -> Self {
        Self::error(error.code, error.span, error.message)
    }
}

impl From<TemplateError> for Cause {
    fn from(error: TemplateError) -> Self {
        Self::Template {
            message: error.message,
            at: Some(error.span),
        }
    }
}
