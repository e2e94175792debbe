//! Strings with `{{ }}`, bare expressions, and the scope they see; and how a reader of a playbook
//! takes them from YAML.
//!
//! A value is rendered once and its result is never read again: neither as YAML nor as a template.
//! There are no statements (`{% %}`), no includes and no files, and an undefined variable is an error,
//! never an empty string.
//!
//! Limits, against mistakes and malice: the source of a template, of an expression, and of the text
//! and values that come out; `*` on numbers only; filters that multiply text charge a budget; minijinja's
//! fuel ends what is left. Not covered: an expression may hold a few times the size of the values in its
//! scope while it runs, so whoever fills a scope bounds what goes in.

mod compile;
mod data;
mod engine;
mod error;
mod expr;
mod field;
mod fields;
mod filters;
mod intact;
mod json;
mod scope;
mod shape;
mod spanned;
mod syntax;
mod text;

pub use compile::{Reference, Wanted};
pub use data::Data;
pub use error::TemplateError;
pub use expr::Expr;
pub use field::{Bounded, Choice, Field, FromText};
#[cfg(test)]
pub(crate) use fields::asked;
pub use fields::{Fields, FromNode, entries};
pub use minijinja::Value;
pub use scope::Scope;
pub use shape::{Identifier, Named, Word, one_or_many, short_form};
pub use spanned::Spanned;
pub use text::Template;

/// Bytes of the source of one template.
pub const MAX_SOURCE: usize = 64 << 10;
/// Bytes of one expression.
pub const MAX_EXPRESSION: usize = 8 << 10;
/// Bytes of a rendered string, unless the caller says otherwise: what the API accepts as a command.
pub const MAX_RENDERED: usize = 10 << 10;

/// Plain data as a value for a [`Scope`].
pub fn to_value(data: &impl serde::Serialize) -> Value {
    Value::from(minijinja::value::Serde(data))
}

#[cfg(test)]
mod tests;
