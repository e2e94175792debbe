//! What searches of EDR have in common: their parameters, how a term fits a value, and the envelope of results.

use super::asked;
use crate::sim::doors::Problem;
use crate::sim::doors::device_search::age;
use crate::sim::doors::query::Query;
use crate::text::wildcard;
use crate::wire::Request;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The sensor group that everybody is in.
pub(super) const GROUP: &str = "Default Group";
const DEFAULT_ROWS: usize = 10;
/// Rows of one page at most.
const MAX_ROWS: usize = 10_000;

/// A search as it was asked for.
pub(super) struct Asked {
    pub query: Query,
    /// The field, and whether it descends; none for the order in which things are found.
    pub sort: Option<(String, bool)>,
    start: usize,
    rows: usize,
}

/// What a field of a search holds, which says which values can be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    /// `-24h` and its like.
    Time,
}

impl Asked {
    pub(super) fn read(
        request: &Request,
        sort: Option<&str>,
        kind: impl Fn(&str) -> Option<Kind>,
    ) -> Result<Self, Problem> {
        let query = Query::read(asked(request, "q").unwrap_or_default());
        let query = query.map_err(|()| Problem::bad_query("the query cannot be read"))?;
        for (field, value) in query.terms() {
            let legal = match field.map(|field| (field, kind(field))) {
                None => true,
                Some(("*", _)) => value == "*",
                Some((_, None)) => false,
                Some((_, Some(Kind::Text))) => !value.is_empty(),
                Some((_, Some(Kind::Number))) => value == "*" || value.parse::<u64>().is_ok(),
                Some((_, Some(Kind::Time))) => value == "*" || age(value).is_some(),
            };
            if !legal {
                let field = field.unwrap_or_default();
                return Err(Problem::bad_query(format!(
                    "{field}:{value} cannot be read"
                )));
            }
        }
        let given = asked(request, "sort").filter(|sort| !sort.trim().is_empty());
        let sort = given.or(sort);
        let sort = sort.map(|sort| match sort.trim().split_once(' ') {
            Some((field, way)) => (field.to_owned(), way.trim().eq_ignore_ascii_case("desc")),
            None => (sort.trim().to_owned(), false),
        });
        Ok(Self {
            query,
            sort,
            start: count(request, "start")?.unwrap_or(0),
            rows: count(request, "rows")?
                .unwrap_or(DEFAULT_ROWS)
                .min(MAX_ROWS),
        })
    }

    pub(super) fn page<T>(&self, hits: Vec<T>) -> impl Iterator<Item = T> {
        hits.into_iter().skip(self.start).take(self.rows)
    }

    /// The answer; nothing is counted by facets.
    pub(super) fn envelope(&self, results: &[Value], total: usize) -> Value {
        let terms = self.query.terms().into_iter();
        let terms: Vec<String> = terms
            .map(|(field, value)| match field {
                Some(field) => format!("{field}:{value}"),
                None => value.to_owned(),
            })
            .collect();
        json!({
            "results": results,
            "total_results": total,
            "start": self.start,
            "elapsed": 0.001,
            "terms": terms,
            "facets": {},
            "highlights": [],
            "tagged_pids": {},
            "filtered": {},
            "incomplete_results": false,
            "comprehensive_search": true,
            "all_segments": true,
        })
    }
}

/// Between which moments something must have been reported last.
pub(super) struct Span {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Span {
    /// The server learns of a thing the moment that the sensor reports it: both are the same here.
    pub(super) fn read(request: &Request) -> Result<Self, Problem> {
        let bound = |name: &str| {
            let text = asked(request, name);
            let moment = text.map(str::parse::<Timestamp>).transpose();
            moment.map_err(|_| Problem::bad_request(format!("{name} is no time")))
        };
        let least = (
            bound("cb.min_last_update")?,
            bound("cb.min_last_server_update")?,
        );
        let most = (
            bound("cb.max_last_update")?,
            bound("cb.max_last_server_update")?,
        );
        Ok(Self {
            from: least.0.max(least.1),
            to: [most.0, most.1].into_iter().flatten().min(),
        })
    }

    pub(super) fn has(&self, moment: Timestamp) -> bool {
        self.from.is_none_or(|from| moment >= from) && self.to.is_none_or(|to| moment <= to)
    }
}

fn count(request: &Request, name: &str) -> Result<Option<usize>, Problem> {
    let text = asked(request, name);
    let number = text.map(str::parse);
    number
        .transpose()
        .map_err(|_| Problem::bad_request(format!("{name} is not a number")))
}

/// Is it this value, whatever its capitals?
pub(super) fn is(wanted: &str, own: &str) -> bool {
    fits(wanted, own, |wanted, own| wanted == own)
}

/// Does this stand in the value? With wildcards it must be all of it.
pub(super) fn is_in(wanted: &str, own: &str) -> bool {
    fits(wanted, own, |wanted, own| own.contains(wanted))
}

fn fits(wanted: &str, own: &str, plain: impl Fn(&str, &str) -> bool) -> bool {
    let wanted = wanted.replace(r"\:", ":").replace(r"\\", r"\");
    let own = own.to_lowercase();
    if wildcard::has_wildcard(&wanted) {
        wildcard::fits(&wanted, &own)
    } else {
        plain(&wanted, &own)
    }
}

/// Is the moment as recent as wanted?
pub(super) fn is_since(wanted: &str, moment: Timestamp, now: Timestamp) -> bool {
    wanted == "*" || age(wanted).is_some_and(|age| moment >= now - age)
}

/// Numbers by size, texts by their letters.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Number(i64),
    Text(String),
}

impl Key {
    pub(super) fn of(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}
