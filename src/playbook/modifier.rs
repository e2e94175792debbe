//! What stands beside the action of a step: repetition, retries.

use crate::model::outcome::Cause;
use crate::template::{Bounded, Data, Expr, Scope, TemplateError, Word, short_form};
use crate::text::duration as text;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use std::borrow::Cow;
use std::time::Duration;

/// What a step runs over, one after the other, as `item`.
#[derive(Debug, Clone)]
pub enum ForEach {
    List(Vec<Data>),
    Expr(Expr),
}

impl ForEach {
    /// What it runs over, in its order.
    pub fn items(&self, scope: &Scope) -> Result<Vec<Value>, TemplateError> {
        match self {
            Self::List(templates) => templates
                .iter()
                .map(|template| template.json(scope))
                .collect(),
            Self::Expr(expression) => expression.list(scope),
        }
    }
}

/// How often an attempt may follow a failed one, and when.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("attempts"))]
pub struct Retry {
    /// How many tries there are, the first one counted in.
    #[schemars(with = "Attempts")]
    pub attempts: u32,
    /// The wait before the second try.
    #[schemars(with = "text::Duration", extend("default" = "2s"))]
    pub delay: Duration,
    /// Each further wait is this many times longer.
    #[schemars(range(min = 1.0, max = 100.0), extend("default" = 2))]
    pub backoff: f64,
    /// No wait is longer.
    #[schemars(with = "text::Duration", extend("default" = "1m"))]
    pub max_delay: Duration,
    /// Whether each wait is drawn at random up to its length, so that many devices do not come back at once.
    #[schemars(with = "Word<Jitter>", extend("default" = true))]
    pub jitter: Jitter,
    /// The causes that another try follows; whatever may pass by itself unless given.
    #[schemars(extend("default" = []))]
    pub only_on: Vec<RetryOn>,
    /// The step is tried again until this expression holds; `result` is what the try came to. Not holding
    /// at the last try is a failure.
    pub until: Option<Expr>,
}

/// How many tries a step may have; more never helped anybody.
pub(super) type Attempts = Bounded<1, 100>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// Somewhere between nothing and the whole delay, so that many devices do not come back at once.
    Full,
    None,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            delay: Duration::from_secs(2),
            backoff: 2.0,
            max_delay: Duration::from_mins(1),
            jitter: Jitter::Full,
            only_on: Vec::new(),
            until: None,
        }
    }
}

/// A class of causes, as `only_on` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOn {
    Timeout,
    Session,
    Transport,
    RateLimit,
    /// An endpoint's code.
    Win32(u32),
}

impl RetryOn {
    /// How a playbook writes the classes; codes are written `win32:0x80070020`.
    pub const WORDS: [&'static str; 4] = ["timeout", "session", "transport", "rate_limit"];

    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "timeout" => Self::Timeout,
            "session" => Self::Session,
            "transport" => Self::Transport,
            "rate_limit" => Self::RateLimit,
            _ => {
                let code = text.strip_prefix("win32:")?;
                let number = match code.strip_prefix("0x") {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => code.parse().ok()?,
                };
                // `win32:32` means the Windows error, which sensors report wrapped.
                Self::Win32(if number <= 0xffff {
                    0x8007_0000 | number
                } else {
                    number
                })
            }
        })
    }

    pub fn covers(self, cause: &Cause) -> bool {
        match self {
            Self::Timeout => matches!(cause, Cause::CommandTimeout { .. } | Cause::NoAnswer { .. }),
            Self::Session => matches!(cause, Cause::SessionLost | Cause::SessionLimit),
            Self::Transport => cause.is_transport() && !matches!(cause, Cause::RateLimited { .. }),
            Self::RateLimit => matches!(cause, Cause::RateLimited { .. }),
            Self::Win32(code) => cause.is_endpoint_code(&[code]),
        }
    }
}

impl JsonSchema for RetryOn {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RetryOn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "enum": Self::WORDS },
                { "type": "string", "pattern": "^win32:(0x[0-9A-Fa-f]{1,8}|[0-9]+)$" }
            ]
        })
    }
}

impl JsonSchema for ForEach {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ForEach".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [generator.subschema_for::<Expr>(), generator.subschema_for::<Vec<Data>>()]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_causes() {
        let locked = Cause::Endpoint { code: 0x8007_0020 };
        let table = [
            ("win32:32", &locked, true),
            ("win32:0x80070020", &locked, true),
            ("win32:33", &locked, false),
            ("timeout", &Cause::CommandTimeout { seconds: 1 }, true),
            ("transport", &Cause::BackendDown { status: 503 }, true),
            (
                "transport",
                &Cause::RateLimited { retry_after: None },
                false,
            ),
            (
                "rate_limit",
                &Cause::RateLimited { retry_after: None },
                true,
            ),
            ("session", &Cause::SessionLost, true),
        ];
        for (word, cause, covered) in table {
            assert_eq!(
                RetryOn::parse(word).unwrap().covers(cause),
                covered,
                "{word} {cause:?}"
            );
        }
        assert_eq!(RetryOn::parse("always"), None);
        assert_eq!(RetryOn::parse("win32:zz"), None);
    }
}
