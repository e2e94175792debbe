//! `targets:`, which devices are meant unless the command line says otherwise.

use crate::model::device::Os;
use crate::step::Md5;
use crate::target::ids::Ids;
use crate::target::names::Names;
use crate::target::os::Families;
use crate::target::seen::SeenWithin;
use crate::target::{Selector, Targets};
use crate::template::{Choice, Fields, FromNode, Word};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::duration::Duration;
use crate::text::yaml::Node;
use schemars::JsonSchema;

/// Which devices are meant: those that one of `query`, `names`, `ids`, `file`, `groups` and `ran` chooses,
/// as far as the other keys let them.
#[derive(JsonSchema)]
#[schemars(rename = "Targets", deny_unknown_fields)]
#[expect(dead_code, reason = "selectors are made of these keys")]
pub(super) struct Selection {
    /// Devices by the backend's number.
    ids: Option<Vec<u64>>,
    /// Devices by name patterns such as `WS-*`, without regard to case; short and full names match too.
    names: Option<Vec<String>>,
    /// Devices by a search of the backend's own, which gets it as it is. Not built yet.
    query: Option<String>,
    /// Devices by a local file with a name or number on each line. Not built yet.
    file: Option<String>,
    /// Devices by the backend's groups. Not built yet.
    groups: Option<Vec<String>>,
    /// Every device that ran a program, by Carbon Black EDR's process search. Not built yet.
    ran: Option<Ran>,
    /// Only devices of these operating systems.
    #[schemars(with = "Option<Vec<Word<Os>>>")]
    os: Option<Vec<Os>>,
    /// Only devices under one of these policies. Not built yet.
    policy: Option<Vec<String>>,
    /// Only devices that the backend saw within this time, such as `30d`.
    seen_within: Option<Duration>,
    /// Only devices without a good bag of this playbook within this time. Not built yet.
    not_collected_within: Option<Duration>,
    /// Name patterns of devices that are never selected, whatever else says so.
    exclude: Option<Vec<String>>,
    /// More devices than these are refused, whoever selects them.
    #[schemars(range(min = 1))]
    max: Option<u64>,
    /// What a name that several devices have means: none of them, the one seen last, or all. Not built yet.
    #[schemars(with = "Option<Word<OnAmbiguous>>")]
    on_ambiguous: Option<OnAmbiguous>,
}

/// Which program a device ran.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [
        {"required": ["process_name"]}, {"required": ["md5"]}, {"required": ["query"]}
    ])
)]
#[expect(dead_code, reason = "selectors are made of these keys")]
struct Ran {
    /// The file name of the program.
    process_name: Option<String>,
    /// The hash of the program.
    md5: Option<Md5>,
    /// A search of EDR's own, which gets it as it is.
    query: Option<String>,
    /// How far back to look.
    since: Option<Duration>,
}

/// What a name that several devices have means.
#[derive(Debug, Clone, Copy)]
enum OnAmbiguous {
    Fail,
    Newest,
    All,
}

impl Choice for OnAmbiguous {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("fail", Self::Fail),
        ("newest", Self::Newest),
        ("all", Self::All),
    ];
}

impl FromNode for Ran {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "ran", all);
        let ran = Self {
            process_name: fields.optional("process_name"),
            md5: fields.optional("md5"),
            query: fields.optional("query"),
            since: fields.optional("since"),
        };
        let keys = ["process_name", "md5", "query"];
        let given = keys.iter().filter(|key| fields.has(key)).count();
        if given != 1 && !fields.is_broken() {
            let (code, message) = match given {
                0 => (
                    Code::MissingKey,
                    "ran needs `process_name`, `md5` or `query`",
                ),
                _ => (
                    Code::BadValue,
                    "ran takes one of `process_name`, `md5` and `query`",
                ),
            };
            let span = fields.span();
            fields.diagnostics().error(code, span, message);
        }
        fields.finish();
        Some(ran)
    }
}

impl FromNode for Targets {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "targets", all).hints(&[
            ("hosts", "names: host name patterns"),
            ("devices", "names: host name patterns, or ids"),
        ]);
        let mut targets = Self::default();
        let ids = selector(&mut fields, Ids::KEY, Ids::parse);
        let names = selector(&mut fields, Names::KEY, Names::parse);
        let os: Option<Vec<Os>> = fields.optional(Families::KEY);
        let seen: Option<Duration> = fields.optional(SeenWithin::KEY);
        let exclude = selector(&mut fields, "exclude", Names::parse);
        targets.exclude.extend(exclude);
        targets.max = max(&mut fields);
        let chosen = [
            ids.map(Selector::Ids),
            names.map(Selector::Names),
            os.map(|families| Selector::Os(Families(families))),
            seen.map(|within| Selector::SeenWithin(SeenWithin(within))),
        ];
        targets.selectors.extend(chosen.into_iter().flatten());
        let later = &mut targets.not_built;
        fields.later::<String>("query", later);
        fields.later::<String>("file", later);
        fields.later::<Vec<String>>("groups", later);
        fields.later::<Ran>("ran", later);
        fields.later::<Vec<String>>("policy", later);
        fields.later::<Duration>("not_collected_within", later);
        fields.later::<OnAmbiguous>("on_ambiguous", later);
        fields.finish();
        Some(targets)
    }
}

fn max(fields: &mut Fields<'_, '_>) -> Option<u64> {
    let max = fields.optional("max")?;
    if max == 0 {
        let span = fields.key_span("max");
        fields
            .diagnostics()
            .error(Code::BadValue, span, "`max` of 0 refuses every device")
            .help("give the number of devices that is still in order");
    }
    Some(max)
}

fn selector<T, E: ToString>(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    parse: impl Fn(&[&str]) -> Result<T, E>,
) -> Option<T> {
    let values: Vec<String> = fields.optional(key)?;
    let span = fields.take(key).map_or(fields.span(), |node| node.span);
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    if values.is_empty() {
        fields
            .diagnostics()
            .error(
                Code::BadValue,
                span,
                format!("`{key}` is empty, which selects nothing"),
            )
            .help("give it a value, or remove it");
        return None;
    }
    parse(&values)
        .map_err(|error| {
            fields
                .diagnostics()
                .error(Code::BadValue, span, error.to_string())
                .span
        })
        .ok()
}
