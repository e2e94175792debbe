//! The map `organisation:`: how roomy it is, and which of its ways the service has.

use super::super::manners::{ContentFrom, Letters, Manners, Percent, RegistryNames, Sign};
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

#[derive(Debug, Clone, Default)]
pub(super) struct OrganisationItem {
    pub(super) settings: Settings,
    /// The keys that show in HTTP only, where the author wrote them.
    pub(super) only_over_http: Vec<(Span, &'static str)>,
}

/// The keys of [`Manners`].
const MANNERS: [&str; 5] = [
    "command_status",
    "registry_names",
    "dump_percent",
    "result_codes",
    "content",
];

impl FromNode for OrganisationItem {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "the organisation", all);
        let usual = Settings::default();
        let mut limit = |key, usual| {
            let given: Option<Limit> = fields.optional(key);
            given.map_or(usual, |limit| {
                usize::try_from(limit.get()).unwrap_or(usize::MAX)
            })
        };
        let (max_sessions, max_commands) = (
            limit("max_sessions", usual.max_sessions),
            limit("max_commands", usual.max_commands),
        );
        let given = MANNERS.into_iter().filter(|key| fields.has(key));
        let only_over_http = given.map(|key| (fields.key_span(key), key)).collect();
        let manners = Manners {
            status: fields.or("command_status", Letters::default()),
            registry: fields.or("registry_names", RegistryNames::default()),
            percent: fields.or("dump_percent", Percent::default()),
            codes: fields.or("result_codes", Sign::default()),
            content: fields.or("content", ContentFrom::default()),
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
