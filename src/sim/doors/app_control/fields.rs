//! What the objects of a resource consist of: one table of named fields per resource, from which their JSON,
//! their conditions and their order are all made.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// A field's name, and how it is read off a row.
pub(super) type Field<R> = (&'static str, Column<R>);

/// How a field is read, by kind; the kind also says which values a condition may compare it with.
pub(super) enum Column<R> {
    Number(fn(&R) -> u64),
    Signed(fn(&R) -> i64),
    /// Of another object, which there need not be.
    Key(fn(&R) -> Option<u64>),
    Flag(fn(&R) -> bool),
    Text(fn(&R) -> &str),
    Date(fn(&R) -> Option<Timestamp>),
    /// The same in every object of a simulated organisation.
    Always(Cell<'static>),
}

/// What an object holds in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    Nothing,
    /// Some are below zero where nothing is known.
    Number(i128),
    Flag(bool),
    Text(&'a str),
    /// Whole seconds, as the service tells them.
    Date(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Flag,
    Text,
    Date,
}

impl<R> Column<R> {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Number(_) | Self::Signed(_) | Self::Key(_) | Self::Always(Cell::Number(_)) => {
                Kind::Number
            }
            Self::Flag(_) | Self::Always(Cell::Flag(_)) => Kind::Flag,
            Self::Text(_) | Self::Always(Cell::Text(_) | Cell::Nothing) => Kind::Text,
            Self::Date(_) | Self::Always(Cell::Date(_)) => Kind::Date,
        }
    }

    pub(super) fn of<'a>(&self, row: &'a R) -> Cell<'a> {
        match self {
            Self::Number(read) => Cell::Number(read(row).into()),
            Self::Signed(read) => Cell::Number(read(row).into()),
            Self::Key(read) => read(row).map_or(Cell::Nothing, |key| Cell::Number(key.into())),
            Self::Flag(read) => Cell::Flag(read(row)),
            Self::Text(read) => Cell::Text(read(row)),
            Self::Date(read) => read(row).map_or(Cell::Nothing, |at| Cell::Date(at.as_second())),
            Self::Always(cell) => *cell,
        }
    }
}

impl Cell<'_> {
    pub(super) fn json(self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Number(number) => u64::try_from(number).map_or_else(
                |_| json!(i64::try_from(number).unwrap_or(i64::MIN)),
                |number| json!(number),
            ),
            Self::Flag(flag) => json!(flag),
            Self::Text(text) => json!(text),
            Self::Date(second) => json!(Timestamp::from_second(second).unwrap_or_default()),
        }
    }

    /// By which rows are put in order and in groups: text without case, what is missing first.
    pub(super) fn rank(self) -> (i128, String) {
        match self {
            Self::Nothing => (i128::MIN, String::new()),
            Self::Number(number) => (number, String::new()),
            Self::Flag(flag) => (flag.into(), String::new()),
            Self::Text(text) => (0, text.to_lowercase()),
            Self::Date(second) => (second.into(), String::new()),
        }
    }
}

/// The field of that name, in whatever case: paths have none here either.
pub(super) fn named<R>(fields: &'static [Field<R>], name: &str) -> Option<&'static Field<R>> {
    fields
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
}

/// An object as the service gives it.
pub(super) fn object<R>(fields: &[Field<R>], row: &R) -> Value {
    let members = fields
        .iter()
        .map(|(name, column)| ((*name).to_owned(), column.of(row).json()));
    Value::Object(members.collect::<Map<_, _>>())
}
