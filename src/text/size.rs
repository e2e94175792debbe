//! Sizes as people write them: `512B`, `64KiB`, `100MiB`, `1GiB`, `2TiB`.
//!
//! Binary units only: with `MB` one never knows which million was meant.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

const UNITS: [(u64, &str); 5] = [
    (1 << 40, "TiB"),
    (1 << 30, "GiB"),
    (1 << 20, "MiB"),
    (1 << 10, "KiB"),
    (1, "B"),
];

impl Size {
    /// What a reader is told when something else was found.
    pub const EXPECTED: &str = "a size such as 64KiB, 100MiB or 1GiB";

    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// The text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseSizeError {
    #[error("expected {}", Size::EXPECTED)]
    Form,
    #[error("a size needs a unit: write {0}B for bytes or {0}MiB")]
    NoUnit(u64),
    #[error("sizes have binary units: write {number}{unit}")]
    Decimal { number: u64, unit: &'static str },
    #[error("the size is too large")]
    TooLarge,
}

impl FromStr for Size {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        use ParseSizeError::{Decimal, Form, NoUnit, TooLarge};
        let unit_at = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(unit_at);
        if digits.is_empty() {
            return Err(Form);
        }
        let number: u64 = digits.parse().map_err(|_| TooLarge)?;
        if unit.is_empty() {
            // Nothing is nothing in every unit.
            return if number == 0 {
                Ok(Self(0))
            } else {
                Err(NoUnit(number))
            };
        }
        let Some((factor, _)) = UNITS.iter().find(|(_, name)| *name == unit) else {
            return Err(binary(unit).map_or(Form, |unit| Decimal { number, unit }));
        };
        number.checked_mul(*factor).map(Self).ok_or(TooLarge)
    }
}

/// The unit that was meant by `MB`, `mb`, `M` or `mib`.
fn binary(unit: &str) -> Option<&'static str> {
    let mut chars = unit.chars();
    let letter = chars.next()?.to_ascii_uppercase();
    if !["", "b", "ib"].contains(&chars.as_str().to_ascii_lowercase().as_str()) {
        return None;
    }
    UNITS
        .iter()
        .map(|(_, name)| *name)
        .find(|name| name.starts_with(letter))
}

/// The shortest form that reads back as the same number.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (divisor, unit) = UNITS
            .iter()
            .find(|(divisor, _)| self.0 != 0 && self.0.is_multiple_of(*divisor))
            .unwrap_or(&UNITS[4]);
        f.pad(&format!("{}{unit}", self.0 / divisor))
    }
}

/// A measured amount, for reading: `512 B`, `1.5 MiB`, `20 GiB`.
#[derive(Debug, Clone, Copy)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (divisor, unit) = UNITS
            .iter()
            .find(|(divisor, _)| self.0 >= *divisor)
            .unwrap_or(&UNITS[4]);
        let whole = self.0 / divisor;
        let tenth = self.0 % divisor * 10 / divisor;
        if *divisor == 1 || whole >= 10 {
            f.pad(&format!("{whole} {unit}"))
        } else {
            f.pad(&format!("{whole}.{tenth} {unit}"))
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size: a number with one of the units B, KiB, MiB, GiB, TiB.",
            "anyOf": [
                { "type": "string", "pattern": "^([0-9]+([KMGT]i)?B|0)$" },
                { "const": 0 }
            ],
            "examples": ["64KiB", "100MiB", "1GiB"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_size() {
        let decimal = |number, unit| Err(ParseSizeError::Decimal { number, unit });
        let table = [
            ("0", Ok(0)),
            ("512B", Ok(512)),
            ("64KiB", Ok(65_536)),
            ("100MiB", Ok(104_857_600)),
            ("1GiB", Ok(1 << 30)),
            ("2TiB", Ok(2 << 40)),
            ("100", Err(ParseSizeError::NoUnit(100))),
            ("100MB", decimal(100, "MiB")),
            ("5k", decimal(5, "KiB")),
            ("5mib", decimal(5, "MiB")),
            ("5b", decimal(5, "B")),
            ("1.5GiB", Err(ParseSizeError::Form)),
            ("1 GiB", Err(ParseSizeError::Form)),
            ("5 é", Err(ParseSizeError::Form)),
            ("5é", Err(ParseSizeError::Form)),
            ("-1B", Err(ParseSizeError::Form)),
            ("", Err(ParseSizeError::Form)),
            ("17000000TiB", Err(ParseSizeError::TooLarge)),
            ("99999999999999999999B", Err(ParseSizeError::TooLarge)),
        ];
        for (text, expected) in table {
            let expected = expected.map(Size::from_bytes);
            assert_eq!(text.parse::<Size>(), expected, "for {text:?}");
        }
    }

    #[test]
    fn it_reads_back() {
        for (bytes, text) in [
            (0, "0B"),
            (1_000, "1000B"),
            (1_536, "1536B"),
            (1 << 20, "1MiB"),
        ] {
            let size = Size::from_bytes(bytes);
            assert_eq!(size.to_string(), text);
            assert_eq!(text.parse(), Ok(size));
        }
    }

    #[test]
    fn amounts_are_for_reading() {
        let table = [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (21_474_836_480, "20 GiB"),
            (u64::MAX, "16777215 TiB"),
        ];
        for (bytes, text) in table {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
