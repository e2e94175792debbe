//! The map `organisation:`: how roomy it is, and which of its ways the service has.

use super::super::manners::{
    CloseAnswer, ContentFrom, Edr, FileIds, Letters, Manners, NoSensors, Percent, RegistryNames,
    RegistryTypes, Reopening, SensorIds, SessionList, Sign, V3, WhilePending,
};
use super::super::world::Settings;
use crate::template::{Bounded, Choice, Fields, FromNode};
use crate::text::diagnostic::Diagnostics;
use crate::text::source::Span;
use crate::text::yaml::Node;

/// Sessions at once, or commands in one.
pub(super) type Limit = Bounded<1, 100_000>;

impl Choice for Letters {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("upper", Self::Upper), ("lower", Self::Lower)];
}

impl Choice for RegistryNames {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("observed", Self::Observed),
        ("documented", Self::Documented),
    ];
}

impl Choice for Percent {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("counts", Self::Counts), ("zero", Self::StaysZero)];
}

impl Choice for Sign {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("unsigned", Self::Unsigned), ("signed", Self::Signed)];
}

impl Choice for ContentFrom {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("elsewhere", Self::Elsewhere), ("here", Self::Here)];
}

impl Choice for SessionList {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("refused", Self::Refused), ("listed", Self::Listed)];
}

impl Choice for FileIds {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("numbers", Self::Numbers), ("uuids", Self::Uuids)];
}

impl Choice for RegistryTypes {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("plain", Self::Plain), ("prefixed", Self::Prefixed)];
}

impl Choice for Reopening {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("existing", Self::Existing), ("refused", Self::Refused)];
}

impl Choice for SensorIds {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("numbers", Self::Numbers), ("text", Self::Text)];
}

impl Choice for CloseAnswer {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("closed", Self::Closed),
        ("still_active", Self::StillActive),
    ];
}

impl Choice for WhilePending {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("closes", Self::Closes), ("ignored", Self::Ignored)];
}

impl Choice for NoSensors {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("no_content", Self::NoContent),
        ("error", Self::Error),
        ("empty", Self::Empty),
    ];
}

impl FromNode for V3 {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "the ways of v3", all);
        let ways = Self {
            session_list: fields.or("session_list", SessionList::default()),
            file_ids: fields.or("file_ids", FileIds::default()),
            registry_types: fields.or("registry_types", RegistryTypes::default()),
        };
        fields.finish();
        Some(ways)
    }
}

impl FromNode for Edr {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "the ways of EDR", all);
        let usual = Self::default();
        let ways = Self {
            live_response: fields.or("live_response", usual.live_response),
            max_sessions: limit(&mut fields, "max_sessions", usual.max_sessions),
            reopening: fields.or("reopening", usual.reopening),
            sensor_ids: fields.or("sensor_ids", usual.sensor_ids),
            close_answer: fields.or("close_answer", usual.close_answer),
            keepalive_while_pending: fields
                .or("keepalive_while_pending", usual.keepalive_while_pending),
            no_sensors: fields.or("no_sensors", usual.no_sensors),
        };
        fields.finish();
        Some(ways)
    }
}

fn limit(fields: &mut Fields<'_, '_>, key: &'static str, usual: usize) -> usize {
    let given: Option<Limit> = fields.optional(key);
    given.map_or(usual, |limit| {
        usize::try_from(limit.get()).unwrap_or(usize::MAX)
    })
}

#[derive(Debug, Clone, Default)]
pub(super) struct OrganisationItem {
    pub(super) settings: Settings,
    /// The keys that show in HTTP only, where the author wrote them.
    pub(super) only_over_http: Vec<(Span, &'static str)>,
}

/// The keys of [`Manners`].
const MANNERS: [&str; 7] = [
    "command_status",
    "registry_names",
    "dump_percent",
    "result_codes",
    "content",
    "v3",
    "edr",
];

impl FromNode for OrganisationItem {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "the organisation", all);
        let usual = Settings::default();
        let (max_sessions, max_commands) = (
            limit(&mut fields, "max_sessions", usual.max_sessions),
            limit(&mut fields, "max_commands", usual.max_commands),
        );
        let given = MANNERS.into_iter().filter(|key| fields.has(key));
        let only_over_http = given.map(|key| (fields.key_span(key), key)).collect();
        let manners = Manners {
            status: fields.or("command_status", Letters::default()),
            registry: fields.or("registry_names", RegistryNames::default()),
            percent: fields.or("dump_percent", Percent::default()),
            codes: fields.or("result_codes", Sign::default()),
            content: fields.or("content", ContentFrom::default()),
            v3: fields.or("v3", V3::default()),
            edr: fields.or("edr", Edr::default()),
        };
        fields.finish();
        Some(Self {
            settings: Settings {
                max_sessions,
                max_commands,
                manners,
                ..usual
            },
            only_over_http,
        })
    }
}
