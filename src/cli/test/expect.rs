//! `expect:` of a case, and what of it can be seen to be wrong without running anything.

use super::wished::{On, Wished};
use crate::model::outcome::DeviceState;
use crate::model::row::Severity;
use crate::playbook::Playbook;
use crate::template::{Choice, Fields, FromNode, Spanned};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::escape::Escaped;
use crate::text::source::Span;
use crate::text::words::suggest;
use crate::text::yaml::{Key, Node};

#[derive(Debug)]
pub(super) struct Expect {
    /// The place of `expect` itself.
    pub(super) span: Span,
    /// What the run exits with; 0 unless something else is said.
    pub(super) exit: Option<Spanned<u64>>,
    pub(super) devices: Vec<DeviceWish>,
    pub(super) steps: Vec<On<(Key, Spanned<Ended>)>>,
    pub(super) findings: Option<Wished<FindingWish>>,
    /// Paths of fetched files.
    pub(super) files: Option<Wished<Spanned<String>>>,
    pub(super) outputs: Vec<On<(Key, Node)>>,
    /// What an endpoint executed that may have changed it.
    pub(super) executed: Vec<On<Wished<Spanned<String>>>>,
}

#[derive(Debug)]
pub(super) enum DeviceWish {
    Count(DeviceState, Spanned<u64>),
    Is(Key, Spanned<DeviceState>),
}

/// How a step ended, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended(pub(super) &'static str);

impl Choice for Ended {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("done", Self("done")),
        ("failed", Self("failed")),
        ("skipped", Self("skipped")),
        ("unknown", Self("unknown")),
    ];
}

impl Choice for DeviceState {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("ok", Self::Ok),
        ("partial", Self::Partial),
        ("failed", Self::Failed),
        ("unreachable", Self::Unreachable),
        ("skipped", Self::Skipped),
        ("unknown", Self::Unknown),
        ("cancelled", Self::Cancelled),
    ];
}

/// A finding; what is not said of it may be anything.
#[derive(Debug)]
pub(super) struct FindingWish {
    pub(super) title: Spanned<String>,
    pub(super) device: Option<String>,
    pub(super) severity: Option<Severity>,
}

impl FromNode for FindingWish {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, "the finding", "title", all);
        let title = fields.required("title");
        let device = fields.optional("device");
        let severity = fields.optional("severity");
        fields.finish();
        Some(Self {
            title: title?,
            device,
            severity,
        })
    }
}

impl FromNode for Expect {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "expect", all).hints(&[
            ("exit_code", "use `exit`"),
            ("status", "use `exit`, or `devices`"),
            ("changes", "use `executed`"),
        ]);
        if fields.keys().next().is_none() && !fields.is_broken() {
            let span = fields.span();
            let message = "nothing is expected: the case could hardly fail";
            fields.diagnostics().error(Code::MissingKey, span, message);
        }
        let exit = fields.optional("exit");
        let devices = devices(&mut fields);
        let steps = on_devices(&mut fields, "steps", |key, node, all| {
            Some((key.clone(), FromNode::from_node(node, all)?))
        });
        let findings = fields.optional("findings");
        let files = fields.optional("files");
        let outputs = on_devices(&mut fields, "outputs", |key, node, _| {
            Some((key.clone(), node.clone()))
        });
        let executed = executed(&mut fields);
        fields.finish();
        Some(Self {
            span: node.span,
            exit,
            devices,
            steps,
            findings,
            files,
            outputs,
            executed,
        })
    }
}

/// The entries of a map; what is none has been complained about.
fn map<'n>(fields: &mut Fields<'n, '_>, key: &'static str) -> &'n [(Key, Node)] {
    let Some(node) = fields.take(key) else {
        return &[];
    };
    match node.as_map() {
        Some(entries) if !entries.is_empty() => entries,
        _ => {
            let message = format!(
                "{key}: expected a map with something in it, found {}",
                node.describe()
            );
            fields
                .diagnostics()
                .error(Code::WrongType, node.span, message);
            &[]
        }
    }
}

/// `ok: 3` counts, `WS-0001: ok` names.
fn devices(fields: &mut Fields<'_, '_>) -> Vec<DeviceWish> {
    let mut wishes = Vec::new();
    for (key, node) in map(fields, "devices") {
        let state = DeviceState::CHOICES
            .iter()
            .find(|(word, _)| *word == key.text);
        let all = fields.diagnostics();
        wishes.extend(match state {
            Some((_, state)) => {
                Spanned::from_node(node, all).map(|count| DeviceWish::Count(*state, count))
            }
            None => Spanned::from_node(node, all).map(|state| DeviceWish::Is(key.clone(), state)),
        });
    }
    wishes
}

/// A map for every device, or a map of such maps by device.
fn on_devices<T>(
    fields: &mut Fields<'_, '_>,
    name: &'static str,
    read: impl Fn(&Key, &Node, &mut Diagnostics) -> Option<T>,
) -> Vec<On<T>> {
    let mut wishes = Vec::new();
    for (key, node) in map(fields, name) {
        let all = fields.diagnostics();
        let Some(inner) = node.as_map() else {
            let what = read(key, node, all);
            wishes.extend(what.map(|what| On { device: None, what }));
            continue;
        };
        for (inner_key, inner) in inner {
            let what = read(inner_key, inner, all);
            wishes.extend(what.map(|what| On {
                device: Some(key.clone()),
                what,
            }));
        }
    }
    wishes
}

/// A list for every device, or a map of such lists by device.
fn executed(fields: &mut Fields<'_, '_>) -> Vec<On<Wished<Spanned<String>>>> {
    let Some(node) = fields.take("executed") else {
        return Vec::new();
    };
    let all = fields.diagnostics();
    match node.as_map().filter(|_| node.get("contains").is_none()) {
        None => {
            let what = Wished::from_node(node, all);
            what.map(|what| On { device: None, what })
                .into_iter()
                .collect()
        }
        Some(entries) => entries
            .iter()
            .filter_map(|(key, node)| {
                Some(On {
                    device: Some(key.clone()),
                    what: Wished::from_node(node, all)?,
                })
            })
            .collect(),
    }
}

impl Expect {
    /// Steps and outputs are those of the playbook.
    pub(super) fn check(&self, playbook: &Playbook, all: &mut Diagnostics) {
        let steps: Vec<&str> = playbook.steps.iter().map(|step| step.id.as_str()).collect();
        let outputs: Vec<&str> = playbook
            .outputs
            .iter()
            .map(|(key, _)| key.text.as_str())
            .collect();
        let mut known = |what: &str, key: &Key, names: &[&str]| {
            if names.contains(&key.text.as_str()) {
                return;
            }
            let message = format!("the playbook has no {what} `{}`", Escaped(&key.text));
            let near = suggest(&key.text, names.iter().copied());
            let help = near.map(|near| format!("did you mean `{near}`?"));
            all.error(Code::UnknownKey, key.span, message)
                .maybe_help(help);
        };
        for wish in &self.steps {
            known("step", &wish.what.0, &steps);
        }
        for wish in &self.outputs {
            known("output", &wish.what.0, &outputs);
        }
    }
}
