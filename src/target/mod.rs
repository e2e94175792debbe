//! Which devices a run means: selectors as an author or a command line writes them, and their resolution.
//!
//! One file per kind of selector; this one has the enum and the only matches over it. Nothing here
//! decides whether a device may be touched: that is the rails' business.

pub mod ids;
pub mod names;
pub mod os;
pub mod seen;

use crate::clock;
use crate::live::{DeviceQuery, Fleet};
use crate::model::device::{Device, Os};
use crate::model::outcome::Cause;
use crate::text::diagnostic::Diagnostic;
use crate::text::duration::Duration;
use ids::Ids;
use jiff::Timestamp;
use names::Names;
use os::Families;
use seen::SeenWithin;

/// One condition on devices.
#[derive(Debug, Clone)]
pub enum Selector {
    Ids(Ids),
    Names(Names),
    Os(Families),
    SeenWithin(SeenWithin),
}

impl Selector {
    /// The words before the colon of `--targets KIND:VALUE`, and the keys below `targets:`.
    pub const KINDS: [&'static str; 4] = [Ids::KEY, Names::KEY, Families::KEY, SeenWithin::KEY];

    /// Reads `KIND:VALUE` from a command line; commas part several values.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let Some((kind, value)) = text.split_once(':') else {
            return Err(SelectorError::NoKind {
                text: text.to_owned(),
            });
        };
        let values: Vec<&str> = value
            .split(',')
            .map(str::trim)
            .filter(|v| !v.is_empty())
            .collect();
        if values.is_empty() {
            return Err(SelectorError::NoValue {
                kind: kind.to_owned(),
            });
        }
        match kind {
            Ids::KEY => Ids::parse(&values).map(Self::Ids),
            Names::KEY => Names::parse(&values).map(Self::Names),
            Families::KEY => Families::parse(&values).map(Self::Os),
            SeenWithin::KEY => SeenWithin::parse(&values).map(Self::SeenWithin),
            _ => Err(SelectorError::UnknownKind {
                kind: kind.to_owned(),
            }),
        }
    }

    /// Whether it adds devices to the selection, rather than narrowing what others selected.
    const fn adds(&self) -> bool {
        match self {
            Self::Ids(_) | Self::Names(_) => true,
            Self::Os(_) | Self::SeenWithin(_) => false,
        }
    }

    fn matches(&self, device: &Device, now: Timestamp) -> bool {
        match self {
            Self::Ids(ids) => ids.matches(device),
            Self::Names(names) => names.matches(device),
            Self::Os(families) => families.matches(device),
            Self::SeenWithin(seen) => seen.matches(device, now),
        }
    }
}

/// Why a selector on a command line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    #[error(
        "`{text}` does not say what kind of target it is: write KIND:VALUE, for example names:{text}"
    )]
    NoKind { text: String },
    #[error("`{kind}:` has no value")]
    NoValue { kind: String },
    #[error("`{kind}` is not a kind of target; the kinds are {}", Selector::KINDS.join(", "))]
    UnknownKind { kind: String },
    #[error("`{text}` is not a device id: ids are whole numbers")]
    NotAnId { text: String },
    #[error("`{text}` is not a name pattern: {detail}")]
    NotAPattern { text: String, detail: String },
    #[error("`{text}` is not an operating system; the choices are windows, linux, macos")]
    NotAnOs { text: String },
    #[error("`{text}` is not {}", Duration::EXPECTED)]
    NotADuration { text: String },
}

/// Everything that says which devices are meant. Without any selector it means none, never all.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    pub selectors: Vec<Selector>,
    /// Never selected, whatever else says so.
    pub exclude: Vec<Names>,
    /// Only these, of the selected.
    pub limit: Vec<Names>,
    /// More devices than these are refused.
    pub max: Option<u64>,
    /// Selectors that this version understands and cannot resolve.
    pub not_built: Vec<Diagnostic>,
}

impl Targets {
    pub const fn is_empty(&self) -> bool {
        self.selectors.is_empty()
    }

    /// Whether a device is meant.
    pub fn matches(&self, device: &Device, now: Timestamp) -> bool {
        let mut adding = self.selectors.iter().filter(|s| s.adds()).peekable();
        let added = adding.peek().is_none() || adding.any(|s| s.matches(device, now));
        !self.is_empty()
            && added
            && self
                .selectors
                .iter()
                .filter(|s| !s.adds())
                .all(|s| s.matches(device, now))
            && self.limit.iter().all(|names| names.matches(device))
            && !self.exclude.iter().any(|names| names.matches(device))
    }

    /// What the backend must be asked for, to find every device that could match.
    pub fn query(&self) -> DeviceQuery {
        let mut query = DeviceQuery::default();
        let mut families: Vec<Os> = Vec::new();
        let mut by_id_only = !self.is_empty();
        for selector in &self.selectors {
            match selector {
                Selector::Ids(ids) => query.ids.extend(&ids.0),
                Selector::Names(_) => by_id_only = false,
                Selector::Os(wanted) => families.extend(&wanted.0),
                // The backends' records tell; nothing narrower is asked of them.
                Selector::SeenWithin(_) => {}
            }
        }
        // A selection by operating system alone has to look at every device of it.
        if query.ids.is_empty() || !by_id_only {
            query.all_of = (!self.is_empty()).then_some(families);
        }
        query
    }
}

/// The devices that are meant, each once: most recently seen first, then by id.
pub async fn resolve(fleet: &dyn Fleet, targets: &Targets) -> Result<Vec<Device>, Cause> {
    let mut devices = fleet.find(targets.query()).await?;
    let now = clock::now();
    devices.retain(|device| targets.matches(device, now));
    devices.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then(a.id.cmp(&b.id)));
    devices.dedup_by_key(|device| device.id);
    Ok(devices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::sample;

    fn targets(selectors: &[&str], exclude: &[&str], limit: &[&str]) -> Targets {
        let names = |list: &[&str]| {
            list.iter()
                .map(|text| Names::parse(&[*text]).unwrap())
                .collect()
        };
        Targets {
            selectors: selectors
                .iter()
                .map(|text| Selector::parse(text).unwrap())
                .collect(),
            exclude: names(exclude),
            limit: names(limit),
            ..Targets::default()
        }
    }

    /// Selectors, exclusions, limits, and the ids of the devices that they mean.
    type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], &'a [u64]);

    #[test]
    fn selectors_unite_narrow_and_exclude() {
        let fleet = [
            sample(1, "CORP\\WS-1", Os::Windows),
            sample(2, "ws-2.corp.example", Os::Linux),
            sample(3, "DC-1", Os::Windows),
            sample(4, "mac-1", Os::Macos),
        ];
        let table: [Case<'_>; 9] = [
            (&[], &[], &[], &[]),
            (&["names:*"], &[], &[], &[1, 2, 3, 4]),
            (&["names:ws-*"], &[], &[], &[1, 2]),
            (&["names:ws-*", "ids:3"], &[], &[], &[1, 2, 3]),
            (&["os:windows"], &[], &[], &[1, 3]),
            (&["names:ws-*", "os:windows"], &[], &[], &[1]),
            (&["os:windows,macos"], &["dc-*"], &[], &[1, 4]),
            (&["names:*"], &["CORP\\*"], &["ws-*"], &[2]),
            (&["ids:1, 4"], &[], &[], &[1, 4]),
        ];
        for (selectors, exclude, limit, expected) in table {
            let targets = targets(selectors, exclude, limit);
            let found: Vec<u64> = fleet
                .iter()
                .filter(|d| targets.matches(d, Timestamp::UNIX_EPOCH))
                .map(|d| d.id.0)
                .collect();
            assert_eq!(
                found, expected,
                "{selectors:?} without {exclude:?} within {limit:?}"
            );
        }
    }

    #[test]
    fn the_backend_is_asked_for_no_more_than_needed() {
        assert_eq!(targets(&["ids:7,8"], &[], &[]).query().all_of, None);
        assert_eq!(
            targets(&["ids:7", "os:linux"], &[], &[]).query().all_of,
            None
        );
        assert_eq!(
            targets(&["ids:7", "names:a"], &[], &[]).query().all_of,
            Some(vec![])
        );
        assert_eq!(
            targets(&["os:linux"], &[], &[]).query().all_of,
            Some(vec![Os::Linux])
        );
        assert_eq!(targets(&[], &[], &[]).query(), DeviceQuery::default());
    }

    #[test]
    fn a_selector_that_cannot_be_read_says_why() {
        let table = [
            (
                "WS-1",
                "`WS-1` does not say what kind of target it is: write KIND:VALUE, for example names:WS-1",
            ),
            ("names:", "`names:` has no value"),
            (
                "host:a",
                "`host` is not a kind of target; the kinds are ids, names, os, seen_within",
            ),
            ("ids:a", "`a` is not a device id: ids are whole numbers"),
            (
                "os:beos",
                "`beos` is not an operating system; the choices are windows, linux, macos",
            ),
        ];
        for (text, message) in table {
            assert_eq!(Selector::parse(text).unwrap_err().to_string(), message);
        }
        assert!(matches!(
            Selector::parse("names:[a"),
            Err(SelectorError::NotAPattern { .. })
        ));
    }
}
