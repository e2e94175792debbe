//! From spanned YAML nodes to the parts of a playbook: one reader for each map of the language.
//!
//! A reader complains about what it cannot read and goes on, so that an author sees everything at once.
//! What needs the whole document is `check`'s business.

use super::input::Input;
use super::settings::{Defaults, Settings};
use super::{Playbook, steps};
use crate::model::device::Os;
use crate::model::effect::Permission;
use crate::target::Targets;
use crate::template::{Choice, Fields, FromNode};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::source::Source;
use crate::text::yaml::{Key, Node};
use std::sync::Arc;

/// Our key for what other tools call otherwise.
const TOP_HINTS: &[(&str, &str)] = &[
    ("tasks", "the list of steps is called `steps`"),
    (
        "cases",
        "cases stand in a file beside the playbook, NAME.test.yaml, and `sortie test` runs them",
    ),
    (
        "jobs",
        "there is one list, `steps`; the devices are the jobs",
    ),
    (
        "hosts",
        "devices are chosen under `targets`, for example targets: {names: 'WS-*'}",
    ),
    (
        "gather_facts",
        "remove it: what is known of a device is `device`",
    ),
    (
        "serial",
        "how many devices at once is run: {max_sessions: N}",
    ),
    (
        "any_errors_fatal",
        "write on_error: stop_run, on a step or under `defaults`",
    ),
    ("version", "the version of the language is `sortie: 1`"),
    ("env", "declare values under `inputs` or `vars`"),
    ("variables", "derived values are under `vars`"),
    (
        "vars_prompt",
        "what is asked for is declared under `inputs`",
    ),
    (
        "runs-on",
        "devices are chosen under `targets`, for example targets: {os: windows}",
    ),
    ("become", "remove it: commands run as SYSTEM or root"),
];

/// Reads a whole document.
pub(super) fn playbook(
    source: &Arc<Source>,
    node: &Node,
    all: &mut Diagnostics,
) -> Option<Playbook> {
    if node.as_map().is_none() {
        let message = format!("a playbook is a map, found {}", node.describe());
        all.error(Code::WrongType, node.span, message)
            .help("begin it with the line sortie: 1");
        return None;
    }
    let mut fields = Fields::new(node, "the playbook", all).hints(TOP_HINTS);
    version(&mut fields);
    let name: Option<String> = fields.required("name");
    let description = fields.optional("description");
    let author = fields.optional("author");
    let tags = fields.or("tags", Vec::new());
    let permissions = fields.or("permissions", vec![Permission::Read]);
    let defaults: Defaults = fields.or("defaults", Defaults::default());
    let inputs = named(&mut fields, "inputs")
        .into_iter()
        .map(|(key, input)| Input {
            name: key.text,
            span: key.span,
            ..input
        })
        .collect();
    let vars = named(&mut fields, "vars");
    let targets = fields.or("targets", Targets::default());
    let settings = fields.or("run", Settings::default());
    let (steps, blocks) = steps::read(&mut fields, &defaults, &permissions);
    let outputs = named(&mut fields, "outputs");
    fields.finish();
    Some(Playbook {
        source: Arc::clone(source),
        files: Vec::new(),
        name: name?,
        description,
        author,
        tags,
        permissions,
        inputs,
        vars,
        targets,
        settings,
        steps,
        blocks,
        frames: Vec::new(),
        outputs,
    })
}

fn version(fields: &mut Fields<'_, '_>) {
    if let Some(node) = fields.take("sortie") {
        if node.scalar() != Some("1") {
            let span = node.span;
            fields
                .diagnostics()
                .error(
                    Code::BadValue,
                    span,
                    "the only version of the language is 1",
                )
                .help("write sortie: 1");
        }
    } else {
        let span = fields.span();
        fields
            .diagnostics()
            .error(Code::MissingKey, span, "the playbook needs `sortie`")
            .help("begin it with the line sortie: 1");
    }
}

/// Reads a map whose keys the author chooses; they are names in templates.
pub(super) fn named<T: FromNode>(fields: &mut Fields<'_, '_>, key: &'static str) -> Vec<(Key, T)> {
    let entries = fields.map(key).unwrap_or_default();
    for (name, _) in &entries {
        if !is_identifier(&name.text) {
            let message = "a name that templates use has letters, digits and _ only, and begins with a letter";
            fields
                .diagnostics()
                .error(Code::BadValue, name.span, message);
        }
    }
    entries
}

pub(super) fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Choice for Permission {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("read", Self::Read),
        ("write", Self::Write),
        ("delete", Self::Delete),
        ("exec", Self::Exec),
        ("kill", Self::Kill),
        ("memory", Self::Memory),
        ("isolate", Self::Isolate),
        ("policy", Self::Policy),
    ];
}

impl Choice for Os {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("windows", Self::Windows),
        ("linux", Self::Linux),
        ("macos", Self::Macos),
    ];
}
