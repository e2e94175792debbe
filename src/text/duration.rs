//! Durations as people write them: `90s`, `5m`, `4h`, `7d`.
//!
//! One number with one unit, so that nobody has to know whether `5` means seconds or minutes.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration as StdDuration;

/// A length of time in whole seconds, as far as it was written by a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(StdDuration);

const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

/// Ten years: more is a mistake, and adding it to a date must not overflow.
const LONGEST: u64 = 3_660 * 86_400;

impl Duration {
    pub const ZERO: Self = Self(StdDuration::ZERO);
    /// What a reader is told when something else was found.
    pub const EXPECTED: &str = "a duration such as 90s, 5m, 4h or 7d";

    pub const fn from_secs(seconds: u64) -> Self {
        Self(StdDuration::from_secs(seconds))
    }

    pub const fn get(self) -> StdDuration {
        self.0
    }

    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

/// The text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseDurationError {
    #[error("expected {}", Duration::EXPECTED)]
    Form,
    #[error("a duration needs a unit: write {0}s for seconds or {0}m for minutes")]
    NoUnit(u64),
    #[error("a duration has one unit and no fraction")]
    Compound,
    #[error("a duration cannot be longer than ten years")]
    TooLong,
}

impl FromStr for Duration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, ParseDurationError> {
        use ParseDurationError::{Compound, Form, NoUnit, TooLong};
        let unit_at = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(unit_at);
        if digits.is_empty() {
            return Err(Form);
        }
        let number: u64 = digits.parse().map_err(|_| TooLong)?;
        if unit.is_empty() {
            // Nothing is nothing in every unit.
            return if number == 0 {
                Ok(Self::ZERO)
            } else {
                Err(NoUnit(number))
            };
        }
        let Some((seconds, _)) = UNITS.iter().find(|(_, name)| *name == unit) else {
            let compound = unit.contains(|c: char| c.is_ascii_digit());
            return Err(if compound { Compound } else { Form });
        };
        number
            .checked_mul(*seconds)
            .filter(|seconds| *seconds <= LONGEST)
            .map(Self::from_secs)
            .ok_or(TooLong)
    }
}

impl From<StdDuration> for Duration {
    fn from(duration: StdDuration) -> Self {
        Self(duration)
    }
}

impl From<Duration> for StdDuration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

/// The shortest form that reads back as the same whole seconds.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.as_secs();
        let (divisor, unit) = UNITS
            .iter()
            .find(|(divisor, _)| seconds != 0 && seconds.is_multiple_of(*divisor))
            .unwrap_or(&UNITS[3]);
        f.pad(&format!("{}{unit}", seconds / divisor))
    }
}

/// A measured time, for reading: `350ms`, `4.2s`, `1m 30s`, `2h 05m`, `3d 04h`.
#[derive(Debug, Clone, Copy)]
pub struct Elapsed(pub StdDuration);

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let text = match seconds {
            0 => format!("{}ms", self.0.subsec_millis()),
            1..10 => format!("{seconds}.{}s", self.0.subsec_millis() / 100),
            10..60 => format!("{seconds}s"),
            60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
            3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
            _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
        };
        f.pad(&text)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: a number with one of the units s, m, h, d.",
            "anyOf": [
                { "type": "string", "pattern": "^([0-9]+[smhd]|0)$" },
                { "const": 0 }
            ],
            "examples": ["90s", "5m", "4h", "7d"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_duration() {
        let table = [
            ("90s", Ok(90)),
            ("5m", Ok(300)),
            ("4h", Ok(14_400)),
            ("7d", Ok(604_800)),
            ("0", Ok(0)),
            ("0s", Ok(0)),
            ("5", Err(ParseDurationError::NoUnit(5))),
            ("1h30m", Err(ParseDurationError::Compound)),
            ("1.5h", Err(ParseDurationError::Compound)),
            ("5 m", Err(ParseDurationError::Form)),
            ("5min", Err(ParseDurationError::Form)),
            ("5M", Err(ParseDurationError::Form)),
            ("-5m", Err(ParseDurationError::Form)),
            ("", Err(ParseDurationError::Form)),
            ("m", Err(ParseDurationError::Form)),
            ("99999d", Err(ParseDurationError::TooLong)),
            ("99999999999999999999s", Err(ParseDurationError::TooLong)),
            ("18446744073709551615d", Err(ParseDurationError::TooLong)),
        ];
        for (text, expected) in table {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(text.parse::<Duration>(), expected, "for {text:?}");
        }
    }

    #[test]
    fn it_reads_back() {
        let table = [
            (0, "0s"),
            (1, "1s"),
            (90, "90s"),
            (300, "5m"),
            (3_600, "1h"),
            (86_400, "1d"),
            (90_000, "25h"),
        ];
        for (seconds, text) in table {
            let duration = Duration::from_secs(seconds);
            assert_eq!(duration.to_string(), text);
            assert_eq!(text.parse(), Ok(duration));
            let json = serde_json::to_string(&duration).expect("is text");
            assert_eq!(
                serde_json::from_str::<Duration>(&json).expect("reads"),
                duration
            );
        }
    }

    #[test]
    fn elapsed_is_for_reading() {
        let table = [
            (350, "350ms"),
            (4_260, "4.2s"),
            (59_999, "59s"),
            (90_000, "1m 30s"),
            (7_500_000, "2h 05m"),
            (273_600_000, "3d 04h"),
        ];
        for (millis, text) in table {
            assert_eq!(Elapsed(StdDuration::from_millis(millis)).to_string(), text);
        }
    }
}
