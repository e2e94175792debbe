//! A list as it is asked for: conditions, order, page, count, groups.

use super::super::Problem;
use super::conditions::Condition;
use super::fields::{Column, Field, named, object};
use jiff::Timestamp;
use serde_json::{Value, json};

const DEFAULT_ROWS: usize = 1000;

/// What a query asks of a resource.
pub(super) struct Listing<R: 'static> {
    fields: &'static [Field<R>],
    conditions: Vec<Condition<R>>,
    sort: Option<Sort<R>>,
    group: Option<&'static Column<R>>,
    extent: Extent,
}

struct Sort<R: 'static> {
    column: &'static Column<R>,
    is_descending: bool,
}

/// How much of it is wanted.
enum Extent {
    Count,
    All,
    Page { offset: usize, limit: usize },
}

impl<R: 'static> Listing<R> {
    pub(super) fn read(
        fields: &'static [Field<R>],
        query: &[(String, String)],
        now: Timestamp,
    ) -> Result<Self, Problem> {
        if let Some(wanted) = member(query, "expand") {
            return Err(Problem::bad_request(format!(
                "{wanted} cannot be expanded here"
            )));
        }
        let conditions = query
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case("q"));
        let conditions: Result<Vec<_>, Problem> = conditions
            .map(|(_, text)| {
                Condition::read(fields, text, now)
                    .ok_or_else(|| Problem::bad_request(format!("not a condition: {text}")))
            })
            .collect();
        let column = |name: &str| {
            named(fields, name)
                .map(|(_, column)| column)
                .ok_or_else(|| Problem::bad_request(format!("no such field: {name}")))
        };
        let sort = member(query, "sort").map(|text| {
            let (name, is_descending) = direction(text)?;
            Ok::<_, Problem>(Sort {
                column: column(name)?,
                is_descending,
            })
        });
        Ok(Self {
            fields,
            conditions: conditions?,
            sort: sort.transpose()?,
            group: member(query, "group").map(column).transpose()?,
            extent: extent(query)?,
        })
    }

    /// The one number that rows must have in this field, if the conditions say so.
    pub(super) fn only(&self, name: &str) -> Option<i128> {
        let (_, column) = named(self.fields, name)?;
        let mut found = self.conditions.iter();
        found.find_map(|condition| condition.only(column))
    }

    pub(super) fn of(&self, rows: impl IntoIterator<Item = R>) -> Value {
        let rows = rows.into_iter();
        let mut rows: Vec<R> = rows
            .filter(|row| self.conditions.iter().all(|condition| condition.holds(row)))
            .collect();
        if let Some(column) = self.group {
            return self.extent.cut(&groups(column, rows), Value::clone);
        }
        if let Some(sort) = &self.sort {
            rows.sort_by_cached_key(|row| sort.column.of(row).rank());
            if sort.is_descending {
                rows.reverse();
            }
        }
        self.extent.cut(&rows, |row| object(self.fields, row))
    }
}

impl Extent {
    fn cut<T>(&self, rows: &[T], show: impl Fn(&T) -> Value) -> Value {
        match self {
            Self::Count => json!({"count": rows.len()}),
            Self::All => rows.iter().map(show).collect(),
            Self::Page { offset, limit } => {
                rows.iter().skip(*offset).take(*limit).map(show).collect()
            }
        }
    }
}

/// The values that there are, in their order, and how many rows have each.
fn groups<R>(column: &Column<R>, mut rows: Vec<R>) -> Vec<Value> {
    let rank = |row: &R| column.of(row).rank();
    rows.sort_by_cached_key(rank);
    rows.chunk_by(|one, other| rank(one) == rank(other))
        .map(|group| json!({"value": column.of(&group[0]).json(), "count": group.len()}))
        .collect()
}

fn member<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut named = query
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.as_str())
}

fn direction(text: &str) -> Result<(&str, bool), Problem> {
    let mut words = text.split_whitespace();
    let found = match (words.next(), words.next(), words.next()) {
        (Some(name), None, None) => Some((name, false)),
        (Some(name), Some(word), None) if word.eq_ignore_ascii_case("ASC") => Some((name, false)),
        (Some(name), Some(word), None) if word.eq_ignore_ascii_case("DESC") => Some((name, true)),
        _ => None,
    };
    found.ok_or_else(|| Problem::bad_request(format!("not an order: {text}")))
}

fn extent(query: &[(String, String)]) -> Result<Extent, Problem> {
    let limit = member(query, "limit");
    let size = |name: &str, text: &str| {
        text.parse::<usize>()
            .map_err(|_| Problem::bad_request(format!("{name} is no number of rows: {text}")))
    };
    let offset = member(query, "offset").map_or(Ok(0), |text| size("offset", text))?;
    Ok(match limit {
        Some("-1") => Extent::Count,
        Some("0") => Extent::All,
        limit => Extent::Page {
            offset,
            limit: limit.map_or(Ok(DEFAULT_ROWS), |text| size("limit", text))?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::doors::app_control::fields::Cell;

    type Asked = &'static [(&'static str, &'static str)];

    struct Row(u64, &'static str);

    const FIELDS: &[Field<Row>] = &[
        ("id", Column::Number(|r| r.0)),
        ("name", Column::Text(|r| r.1)),
        ("deleted", Column::Always(Cell::Flag(false))),
    ];

    fn ask(query: &[(&str, &str)], size: u64) -> Option<Value> {
        let names = ["b", "A", "c", "a"];
        let rows = (1..=size).zip(names.into_iter().cycle());
        let query: Vec<_> = query
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let listing = Listing::read(FIELDS, &query, Timestamp::UNIX_EPOCH).ok()?;
        Some(listing.of(rows.map(|(id, name)| Row(id, name))))
    }

    fn ids(answer: Option<Value>) -> Vec<u64> {
        let Some(Value::Array(rows)) = answer else {
            panic!("{answer:?}");
        };
        rows.iter().filter_map(|row| row["id"].as_u64()).collect()
    }

    #[test]
    fn pages_and_counts() {
        assert_eq!(
            ask(&[("q", "id:2")], 4),
            Some(json!([{"id": 2, "name": "A", "deleted": false}]))
        );
        let table: [(Asked, &[u64]); 10] = [
            (&[], &[1, 2, 3, 4]),
            (&[("q", "name:a"), ("q", "id>2")], &[4]),
            (&[("limit", "2")], &[1, 2]),
            (&[("limit", "2"), ("offset", "3")], &[4]),
            (&[("offset", "9")], &[]),
            (&[("limit", "0"), ("offset", "3")], &[1, 2, 3, 4]),
            (&[("sort", "id DESC")], &[4, 3, 2, 1]),
            (&[("sort", "NAME")], &[2, 4, 1, 3]),
            (&[("sort", "name asc"), ("LIMIT", "1")], &[2]),
            (&[("unheard", "of")], &[1, 2, 3, 4]),
        ];
        for (query, expected) in table {
            assert_eq!(ids(ask(query, 4)), expected, "{query:?}");
        }
        assert_eq!(ids(ask(&[], 1500)).len(), 1000);
        assert_eq!(ids(ask(&[("limit", "0")], 1500)).len(), 1500);
        assert_eq!(
            ask(&[("limit", "-1"), ("offset", "7"), ("q", "name:a")], 1500),
            Some(json!({"count": 750}))
        );
        assert_eq!(
            ask(&[("limit", "-1"), ("q", "name:x")], 9),
            Some(json!({"count": 0}))
        );
        assert_eq!(ask(&[], 0), Some(json!([])));
    }

    #[test]
    fn groups_count_rows_by_value() {
        let expected = json!([
            {"value": "A", "count": 4},
            {"value": "b", "count": 2},
            {"value": "c", "count": 2},
        ]);
        let group = [("group", "name"), ("groupType", "n")];
        assert_eq!(ask(&group, 8), Some(expected));
        assert_eq!(
            ask(&[("group", "deleted"), ("q", "id<3")], 8),
            Some(json!([{"value": false, "count": 2}]))
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for query in [
            ("q", ""),
            ("q", "nme:x"),
            ("sort", ""),
            ("sort", "nme"),
            ("sort", "name UP"),
            ("sort", "name DESC id"),
            ("limit", "-2"),
            ("limit", "ten"),
            ("limit", ""),
            ("limit", "99999999999999999999999"),
            ("offset", "-1"),
            ("offset", "x"),
            ("group", "nme"),
            ("group", ""),
            ("expand", "policyId"),
        ] {
            assert!(ask(&[query], 3).is_none(), "{query:?}");
        }
    }
}
