//! Numbers, durations, sizes and choices, given as they are or as a `{{ }}` string.

use super::compile::{Reference, Wanted, shown};
use super::engine::write_text;
use super::error::TemplateError;
use super::scope::Scope;
use super::text::Template;
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::duration::Duration;
use crate::text::size::Size;
use crate::text::words::{List, suggest};
use crate::text::yaml::Node;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// What can be read from the text of a scalar.
pub trait FromText: Sized + Clone {
    /// As in `expected a whole number`.
    fn expected() -> String;

    /// The value, or why not, as a clause.
    fn from_text(text: &str) -> Result<Self, String>;

    /// What to do about a text that is none, as an instruction.
    fn help(_text: &str) -> Option<String> {
        None
    }
}

/// A closed set of words; [`FromText`] follows.
pub trait Choice: Sized + Copy + 'static {
    const CHOICES: &'static [(&'static str, Self)];
}

impl<T: Choice> FromText for T {
    fn expected() -> String {
        let words: Vec<_> = Self::CHOICES.iter().map(|(word, _)| *word).collect();
        List::or(&words).to_string()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let choice = Self::CHOICES.iter().find(|(word, _)| *word == text);
        choice
            .map(|(_, choice)| *choice)
            .ok_or_else(|| format!("expected {}", Self::expected()))
    }

    fn help(text: &str) -> Option<String> {
        suggest(text, Self::CHOICES.iter().map(|(word, _)| *word))
            .map(|near| format!("did you mean `{near}`?"))
    }
}

macro_rules! from_text {
    ($($type:ty: $expected:expr;)*) => {$(
        impl FromText for $type {
            fn expected() -> String {
                $expected.to_owned()
            }

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("expected {}", $expected))
            }
        }
    )*};
}

from_text! {
    u16: "a whole number";
    u32: "a whole number";
    u64: "a whole number";
    usize: "a whole number";
    i64: "a whole number";
    bool: "true or false";
}

impl FromText for Duration {
    fn expected() -> String {
        Self::EXPECTED.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|error: crate::text::duration::ParseDurationError| error.to_string())
    }
}

impl FromText for Size {
    fn expected() -> String {
        Self::EXPECTED.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|error: crate::text::size::ParseSizeError| error.to_string())
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Bounded<MIN, MAX> {
    /// For defaults; one outside the bounds does not compile where it is a constant.
    pub const fn new(number: u32) -> Self {
        assert!(MIN <= number && number <= MAX, "a number within the bounds");
        Self(number)
    }

    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> FromText for Bounded<MIN, MAX> {
    fn expected() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Self(number)),
            _ => Err(format!("expected {}", Self::expected())),
        }
    }

    fn help(text: &str) -> Option<String> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| match text.parse::<u32>() {
            Ok(number) if number < MIN => format!("the least is {MIN}"),
            _ => format!("the most is {MAX}"),
        })
    }
}

/// A typed argument: known when the playbook is read, or only when it is rendered.
#[derive(Debug, Clone, PartialEq)]
pub enum Field<T> {
    Literal(T),
    Template(Template),
}

impl<T: FromText> Field<T> {
    /// Reads a scalar; what is wrong goes to `diagnostics`.
    pub fn from_scalar(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match node.as_text() {
            Some(text) if text.contains("{{") => {
                let template = Template::from_scalar(node, diagnostics)?;
                Some(Self::Template(template.wanting(Wanted::of::<T>())))
            }
            _ => read(node, diagnostics).map(Self::Literal),
        }
    }

    pub fn resolve(&self, scope: &Scope) -> Result<T, TemplateError> {
        let template = match self {
            Self::Literal(value) => return Ok(value.clone()),
            Self::Template(template) => template,
        };
        let value = template.evaluate(scope)?;
        let error = |message: String| TemplateError::new(Code::BadValue, template.span(), message);
        if value.is_none() {
            return Err(error(format!("expected {}, found nothing", T::expected())));
        }
        let mut text = String::new();
        write_text(&value, super::MAX_RENDERED, &mut text)
            .map_err(|_| error(format!("expected {}, found a large value", T::expected())))?;
        T::from_text(text.trim()).map_err(|why| error(format!("{why}, found `{}`", shown(&text))))
    }
}

impl<T> Field<T> {
    /// The value, if it is known before anything is rendered.
    pub fn literal(&self) -> Option<&T> {
        match self {
            Self::Literal(value) => Some(value),
            Self::Template(_) => None,
        }
    }

    pub fn template(&self) -> Option<&Template> {
        match self {
            Self::Literal(_) => None,
            Self::Template(template) => Some(template),
        }
    }

    /// All that it refers to, with places.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.template().into_iter().flat_map(Template::references)
    }
}

/// A value that has to be known when the playbook is read.
pub(super) fn read<T: FromText>(node: &Node, diagnostics: &mut Diagnostics) -> Option<T> {
    let Some(text) = node.scalar() else {
        let message = format!("expected {}, found {}", T::expected(), node.describe());
        diagnostics.error(Code::WrongType, node.span, message);
        return None;
    };
    match T::from_text(text) {
        Ok(value) => Some(value),
        Err(why) => {
            let message = format!("{why}, found `{}`", shown(text));
            diagnostics
                .error(Code::BadValue, node.span, message)
                .maybe_help(T::help(text));
            None
        }
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Bounded<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("From_{MIN}_to_{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Field_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let literal = generator.subschema_for::<T>();
        json_schema!({
            "anyOf": [literal, { "type": "string", "pattern": r"\{\{" }]
        })
    }
}
