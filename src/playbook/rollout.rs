//! Forms that only `run:` has: how many of the devices, how many a minute, and its choices.

use crate::template::{Choice, FromText};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// A share of the devices: `5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(pub u8);

/// So many devices, or a share of them: `5`, `5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    Devices(u32),
    Share(Percent),
}

/// So many devices a minute: `20/min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub u32);

/// Whether the next stage begins by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promote {
    Auto,
    Ask,
}

/// What becomes of running devices when a threshold is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnThreshold {
    Drain,
    Abort,
}

/// What becomes of devices that are offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offline {
    Skip,
    Wait,
    Later,
    Fail,
}

/// Which devices come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    AsListed,
    LastSeen,
    Random,
}

impl Choice for Promote {
    const CHOICES: &'static [(&'static str, Self)] = &[("auto", Self::Auto), ("ask", Self::Ask)];
}

impl Choice for OnThreshold {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("drain", Self::Drain), ("abort", Self::Abort)];
}

impl Choice for Offline {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("skip", Self::Skip),
        ("wait", Self::Wait),
        ("later", Self::Later),
        ("fail", Self::Fail),
    ];
}

impl Choice for Order {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("as_listed", Self::AsListed),
        ("last_seen", Self::LastSeen),
        ("random", Self::Random),
    ];
}

impl FromText for Percent {
    fn expected() -> String {
        "a share from 1% to 100%".into()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let number = text
            .strip_suffix('%')
            .and_then(|digits| digits.parse().ok());
        match number {
            Some(share @ 1..=100) => Ok(Self(share)),
            _ => Err(format!("expected {}", Self::expected())),
        }
    }
}

impl FromText for Amount {
    fn expected() -> String {
        "a number of devices such as 5, or a share such as 5%".into()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text.ends_with('%') {
            return Percent::from_text(text).map(Self::Share);
        }
        match text.parse() {
            Ok(number @ 1..) => Ok(Self::Devices(number)),
            _ => Err(format!("expected {}", Self::expected())),
        }
    }
}

impl FromText for Rate {
    fn expected() -> String {
        "a rate such as 20/min".into()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let number = text
            .strip_suffix("/min")
            .and_then(|number| number.parse().ok());
        match number {
            Some(number @ 1..) => Ok(Self(number)),
            _ => Err(format!("expected {}", Self::expected())),
        }
    }
}

impl JsonSchema for Percent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": "^([1-9][0-9]?|100)%$", "examples": ["10%", "100%"]
        })
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "integer", "minimum": 1 }, Percent::json_schema(generator)]
        })
    }
}

impl JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": "^[1-9][0-9]*/min$", "examples": ["20/min"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_rates() {
        let table = [
            ("5", Some(Amount::Devices(5))),
            ("5%", Some(Amount::Share(Percent(5)))),
            ("100%", Some(Amount::Share(Percent(100)))),
            ("0", None),
            ("0%", None),
            ("101%", None),
            ("-1", None),
            ("5 %", None),
        ];
        for (text, expected) in table {
            assert_eq!(Amount::from_text(text).ok(), expected, "{text}");
        }
        for (text, expected) in [("20/min", Some(Rate(20))), ("0/min", None), ("20", None)] {
            assert_eq!(Rate::from_text(text).ok(), expected, "{text}");
        }
    }
}
