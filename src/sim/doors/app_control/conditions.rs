//! The conditions of `q`: a field, an operator, a value.
//!
//! A field that is not known, and a value that is none of the field's kind, are errors: to pass over them
//! would quietly widen what is selected.

use super::fields::{Cell, Column, Field, Kind, named};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// One condition; the row must hold it.
pub(super) struct Condition<R: 'static> {
    column: &'static Column<R>,
    operator: Operator,
    /// Of these, one is enough; with [`Operator::IsNot`], none may be.
    values: Vec<Operand>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Less,
    Greater,
    /// All of the given bits are set.
    AllBits,
    /// None of them is.
    NoBits,
}

enum Operand {
    Empty,
    Number(i128),
    Flag(bool),
    /// In lower case, split at its stars.
    Like(Vec<String>),
    Date(i64),
}

impl<R: 'static> Condition<R> {
    /// Reads `<field><op><value>`; relative dates count back from `now`. None if it means nothing.
    pub(super) fn read(fields: &'static [Field<R>], text: &str, now: Timestamp) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        let (name, rest) = text.split_at(end);
        let (_, column) = named(fields, name)?;
        let mut rest = rest.chars();
        let operator = Operator::of(rest.next()?)?;
        let kind = column.kind();
        if !operator.suits(kind) {
            return None;
        }
        let values = rest.as_str().split('|');
        let values: Option<Vec<Operand>> = values
            .map(|value| Operand::read(value, kind, now))
            .collect();
        let values = values?;
        let asks_for_empty = values.iter().any(|value| matches!(value, Operand::Empty));
        let is_legal = !asks_for_empty || matches!(operator, Operator::Is | Operator::IsNot);
        is_legal.then_some(Self {
            column,
            operator,
            values,
        })
    }

    /// The one number that it lets the column have.
    pub(super) fn only(&self, column: &'static Column<R>) -> Option<i128> {
        match (self.operator, self.values.as_slice()) {
            (Operator::Is, [Operand::Number(number)]) if std::ptr::eq(self.column, column) => {
                Some(*number)
            }
            _ => None,
        }
    }

    pub(super) fn holds(&self, row: &R) -> bool {
        let cell = self.column.of(row);
        let any = self
            .values
            .iter()
            .any(|value| value.meets(self.operator, cell));
        any != (self.operator == Operator::IsNot)
    }
}

impl Operator {
    fn of(symbol: char) -> Option<Self> {
        Some(match symbol {
            ':' => Self::Is,
            '!' => Self::IsNot,
            '<' => Self::Less,
            '>' => Self::Greater,
            '+' => Self::AllBits,
            '-' => Self::NoBits,
            _ => return None,
        })
    }

    fn suits(self, kind: Kind) -> bool {
        match self {
            Self::Is | Self::IsNot => true,
            Self::Less | Self::Greater => matches!(kind, Kind::Number | Kind::Date),
            Self::AllBits | Self::NoBits => kind == Kind::Number,
        }
    }
}

impl Operand {
    fn read(text: &str, kind: Kind, now: Timestamp) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::Empty);
        }
        Some(match kind {
            Kind::Number => Self::Number(text.parse().ok()?),
            Kind::Flag => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Self::Flag(true),
                "false" | "0" => Self::Flag(false),
                _ => return None,
            },
            Kind::Text => Self::Like(text.to_lowercase().split('*').map(str::to_owned).collect()),
            Kind::Date => Self::Date(moment(text, now)?.as_second()),
        })
    }

    /// Whether one value, taken alone, does what the operator says; what is not equal is the condition's matter.
    fn meets(&self, operator: Operator, cell: Cell<'_>) -> bool {
        match (self, cell) {
            (Self::Empty, cell) => matches!(cell, Cell::Nothing | Cell::Text("")),
            (Self::Number(wanted), Cell::Number(own)) => match operator {
                Operator::AllBits => own & wanted == *wanted,
                Operator::NoBits => own & wanted == 0,
                _ => compare(operator, &own, wanted),
            },
            (Self::Date(wanted), Cell::Date(own)) => compare(operator, &own, wanted),
            (Self::Flag(wanted), Cell::Flag(own)) => own == *wanted,
            (Self::Like(parts), Cell::Text(own)) => is_like(parts, &own.to_lowercase()),
            _ => false,
        }
    }
}

fn compare<T: Ord>(operator: Operator, own: &T, wanted: &T) -> bool {
    match operator {
        Operator::Less => own < wanted,
        Operator::Greater => own > wanted,
        _ => own == wanted,
    }
}

/// The whole of `text`, with anything where the stars stood.
fn is_like(parts: &[String], text: &str) -> bool {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return false;
    };
    if parts.len() == 1 {
        return text == first;
    }
    let Some(rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    let Some(mut rest) = rest.strip_suffix(last.as_str()) else {
        return false;
    };
    parts[1..parts.len() - 1].iter().all(|part| {
        let found = rest.find(part.as_str());
        rest = found.map_or("", |at| &rest[at + part.len()..]);
        found.is_some()
    })
}

/// A moment in UTC, or so long ago: `-10h`, `-7d`, `-30m`.
fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let Some(ago) = text.strip_prefix('-') else {
        return text.parse().ok().or_else(|| {
            let local: DateTime = text.parse().ok()?;
            Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
        });
    };
    let unit = ago.chars().next_back()?;
    let seconds = match unit.to_ascii_lowercase() {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let count: u32 = ago.strip_suffix(unit)?.parse().ok()?;
    let ago = SignedDuration::from_secs(i64::from(count) * seconds);
    // Longer ago than there are dates is still longer ago.
    Some(now.checked_sub(ago).unwrap_or(Timestamp::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row {
        id: u64,
        name: &'static str,
        tag: &'static str,
        key: Option<u64>,
        deleted: bool,
        polled: Option<Timestamp>,
    }

    const FIELDS: &[Field<Row>] = &[
        ("id", Column::Number(|r| r.id)),
        ("name", Column::Text(|r| r.name)),
        ("computerTag", Column::Text(|r| r.tag)),
        ("fileCatalogId", Column::Key(|r| r.key)),
        ("deleted", Column::Flag(|r| r.deleted)),
        ("lastPollDate", Column::Date(|r| r.polled)),
        ("ccLevel", Column::Always(Cell::Number(6))),
        ("template", Column::Always(Cell::Flag(false))),
        ("users", Column::Always(Cell::Text(r"CORP\jdoe"))),
    ];

    fn now() -> Timestamp {
        "2024-02-03T12:00:00Z".parse().expect("a moment")
    }

    fn row() -> Row {
        Row {
            id: 12,
            name: r"CORP\SRV-0007",
            tag: "",
            key: None,
            deleted: false,
            polled: "2024-02-03T04:05:06.789Z".parse().ok(),
        }
    }

    fn holds(text: &str, row: &Row) -> Option<bool> {
        Condition::read(FIELDS, text, now()).map(|condition| condition.holds(row))
    }

    #[test]
    fn conditions_hold_by_field_and_operator() {
        let table = [
            (r"name:CORP\SRV-0007", true),
            (r"NAME:corp\srv-0007", true),
            ("name:SRV-0007", false),
            ("name:*srv*", true),
            ("name:*SRV-0007", true),
            ("name:corp*", true),
            ("name:*", true),
            ("name:c*s*v*7", true),
            ("name:c*v*s*7", false),
            ("name:*7*7", false),
            ("name:*ws*|*srv*", true),
            ("name:*ws*|*dc*", false),
            ("name!*srv*", false),
            ("name!*ws*", true),
            ("name!*ws*|*srv*", false),
            ("name:?ORP*", false),
            ("users:*jdoe", true),
            ("computerTag:", true),
            ("computerTag!", false),
            ("computerTag:x|", true),
            ("computerTag!x", true),
            ("name!", true),
            ("name:", false),
            ("fileCatalogId:", true),
            ("fileCatalogId!", false),
            ("fileCatalogId:3", false),
            ("fileCatalogId!3", true),
            ("id:12", true),
            ("id:13|12", true),
            ("id!12", false),
            ("id!-1", true),
            ("id<13", true),
            ("id<12", false),
            ("id>-1", true),
            ("id>12", false),
            ("id:", false),
            ("id+12", true),
            ("id+4", true),
            ("id+5", false),
            ("id-3", true),
            ("id-6", false),
            ("ccLevel:6", true),
            ("deleted:false", true),
            ("deleted:FALSE", true),
            ("deleted:0", true),
            ("deleted:true", false),
            ("deleted!true", true),
            ("deleted:true|false", true),
            ("template:false", true),
            ("lastPollDate>-10h", true),
            ("lastPollDate>-7h", false),
            ("lastPollDate>-7d", true),
            ("lastPollDate<-30m", true),
            ("lastPollDate>-4000000000d", true),
            ("lastPollDate:2024-02-03T04:05:06Z", true),
            ("lastPollDate>2024-02-03T04:05:06Z", false),
            ("lastPollDate>2024-02-03T04:05:05", true),
            ("lastPollDate<2024-02-04", true),
            ("lastPollDate!", true),
        ];
        for (text, expected) in table {
            assert_eq!(holds(text, &row()), Some(expected), "{text}");
        }
        let never = Row {
            polled: None,
            key: Some(3),
            tag: "Blue",
            ..row()
        };
        for (text, expected) in [
            ("lastPollDate:", true),
            ("lastPollDate>-7d", false),
            ("lastPollDate<-7d", false),
            ("fileCatalogId:3", true),
            ("computerTag:blue", true),
            ("computerTag!", true),
        ] {
            assert_eq!(holds(text, &never), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_no_condition() {
        let long = "*".repeat(100_000);
        for text in [
            "",
            ":",
            "name",
            ":x",
            " name:x",
            "name =x",
            "name=x",
            "nme:x",
            "id:x",
            "id:1.5",
            "id:1*",
            "id<",
            "id+",
            "id>1|",
            "name<x",
            "name+1",
            "deleted:maybe",
            "deleted<true",
            "deleted+1",
            "lastPollDate>yesterday",
            "lastPollDate>-7w",
            "lastPollDate>-",
            "lastPollDate>-h",
            "lastPollDate>--7h",
            "lastPollDate>-99999999999h",
            "lastPollDate+1",
            "lastPollDate>2024-13-01",
            "lastPollDate:2024*",
            "id:999999999999999999999999999999999999999999999999",
            "\u{1f600}:x",
            &long,
        ] {
            assert_eq!(holds(text, &row()), None, "{text}");
        }
        let stars = format!("name:{long}");
        assert_eq!(holds(&stars, &row()), Some(true));
    }
}
