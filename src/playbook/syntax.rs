//! From spanned YAML nodes to the parts of a playbook: one reader for each map of the language.
//!
//! A reader complains about what it cannot read and goes on, so that an author sees everything at once.
//! What needs the whole document is `check`'s business.

use super::input::Input;
use super::modifier::ForEach;
use super::settings::{Defaults, Settings};
use super::{Playbook, Step};
use crate::model::device::Os;
use crate::model::effect::Permission;
use crate::model::id::StepId;
use crate::step::{KINDS, NOT_BUILT, StepKind};
use crate::target::ids::Ids;
use crate::target::names::Names;
use crate::target::os::Families;
use crate::target::{Selector, Targets};
use crate::template::{Choice, Expr, Fields, FromNode};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::source::Source;
use crate::text::words::suggest;
use crate::text::yaml::{Key, Node};
use std::sync::Arc;

/// Our key for what other tools call otherwise.
const TOP_HINTS: &[(&str, &str)] = &[
    ("tasks", "the list of steps is called `steps`"),
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

const STEP_HINTS: &[(&str, &str)] = &[
    ("if", "a condition is called `when`"),
    ("loop", "repetition is called `for_each`"),
    ("with_items", "repetition is called `for_each`"),
    ("ignore_errors", "write on_error: ignore"),
    ("continue-on-error", "write on_error: continue"),
    ("until", "write it under `retry`"),
    ("retries", "write retry: {attempts: N}; it counts all tries"),
    ("delay", "write it under `retry`"),
    (
        "timeout-minutes",
        "write a duration, for example timeout: 5m",
    ),
    ("any_errors_fatal", "write on_error: stop_run"),
    ("run", "a command is run with `exec`"),
    ("command", "a command is run with `exec`"),
    (
        "shell",
        "a command is run with `exec`; no shell stands between",
    ),
    ("uses", "another playbook is included with `use`"),
    (
        "with",
        "arguments stand under the action, for example get_file: {path: …, max_size: …}",
    ),
    ("effect", "write it under `exec`"),
    ("working-directory", "write it under `exec`, as `cwd`"),
    (
        "failed_when",
        "write expect_code under `exec`, or a step with `assert`",
    ),
    ("changed_when", "write it under `exec`, as `effect`"),
    ("become", "remove it: commands run as SYSTEM or root"),
];

/// Other tools' words for an action, each with its hint above.
const FOREIGN_ACTIONS: [&str; 4] = ["run", "command", "shell", "uses"];

/// Complains about keys of the language that this version does not carry out.
pub(super) fn not_built(fields: &mut Fields<'_, '_>, keys: &[&'static str]) {
    for key in keys {
        if fields.take(key).is_some() {
            let span = fields.key_span(key);
            let message = format!("`{key}` is part of the language and not built yet");
            fields
                .diagnostics()
                .error(Code::Reserved, span, message)
                .help("remove it, or wait for a later version");
        }
    }
}

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
    not_built(&mut fields, &["always"]);
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
    let steps = steps(&mut fields, &defaults);
    let outputs = named(&mut fields, "outputs");
    fields.finish();
    Some(Playbook {
        source: Arc::clone(source),
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
fn named<T: FromNode>(fields: &mut Fields<'_, '_>, key: &'static str) -> Vec<(Key, T)> {
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

fn is_identifier(text: &str) -> bool {
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

impl FromNode for Targets {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "targets", all).hints(&[
            ("hosts", "names: host name patterns"),
            ("devices", "names: host name patterns, or ids"),
        ]);
        not_built(
            &mut fields,
            &[
                "query",
                "file",
                "groups",
                "policy",
                "ran",
                "seen_within",
                "not_collected_within",
                "max",
                "on_ambiguous",
            ],
        );
        let mut targets = Self::default();
        let ids = selector(&mut fields, Ids::KEY, Ids::parse);
        let names = selector(&mut fields, Names::KEY, Names::parse);
        let os: Option<Vec<Os>> = fields.optional(Families::KEY);
        targets
            .exclude
            .extend(selector(&mut fields, "exclude", Names::parse));
        targets.selectors.extend(ids.map(Selector::Ids));
        targets.selectors.extend(names.map(Selector::Names));
        targets
            .selectors
            .extend(os.map(|families| Selector::Os(Families(families))));
        fields.finish();
        Some(targets)
    }
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

fn steps(fields: &mut Fields<'_, '_>, defaults: &Defaults) -> Vec<Step> {
    let Some(node) = fields.take("steps") else {
        let span = fields.span();
        fields
            .diagnostics()
            .error(Code::MissingKey, span, "the playbook needs `steps`");
        return Vec::new();
    };
    let (key, all) = (fields.key_span("steps"), fields.diagnostics());
    match node.as_list() {
        Some([]) => {
            all.error(Code::BadValue, key, "`steps` is empty");
            Vec::new()
        }
        Some(items) => items
            .iter()
            .filter_map(|item| step(item, defaults, all))
            .collect(),
        None => {
            let message = format!("steps: expected a list, found {}", node.describe());
            all.error(Code::WrongType, node.span, message)
                .help("begin each step with a dash");
            Vec::new()
        }
    }
}

fn step(node: &Node, defaults: &Defaults, all: &mut Diagnostics) -> Option<Step> {
    if node.as_map().is_none() {
        let message = format!("a step is a map with one action, found {}", node.describe());
        all.error(Code::WrongType, node.span, message);
        return None;
    }
    let mut fields = Fields::new(node, "the step", all).hints(STEP_HINTS);
    not_built(
        &mut fields,
        &["tags", "vars", "no_log", "verify", "undo", "rescue"],
    );
    let name: Option<String> = fields.optional("name");
    let id = step_id(&mut fields);
    let id_span = id
        .as_ref()
        .and_then(|_| fields.take("id"))
        .map(|node| node.span);
    let when: Option<Expr> = fields.optional("when");
    let os = fields.or("os", Vec::new());
    let for_each = fields
        .take("for_each")
        .and_then(|node| for_each(node, fields.diagnostics()));
    let register = register(&mut fields);
    let register_span = fields.take("register").map_or(node.span, |node| node.span);
    let retry = fields.or("retry", defaults.retry.clone());
    let timeout = fields.or("timeout", defaults.timeout.clone());
    let on_error = fields.or("on_error", defaults.on_error);
    let action = action(&mut fields);
    fields.finish();
    let (key, mut kind) = action?;
    if let StepKind::GetFile(step) = &mut kind {
        step.max_size = step.max_size.take().or_else(|| defaults.max_size.clone());
    }
    let label = name.unwrap_or_else(|| kind.spec().summary.to_owned());
    // Ids that an author did not choose are made distinct later.
    let id = id.unwrap_or_else(|| StepId(slug(&label)));
    Some(Step {
        id,
        label,
        span: key.span,
        id_span,
        kind,
        when,
        os,
        for_each,
        register,
        register_span,
        retry,
        timeout,
        on_error,
    })
}

fn step_id(fields: &mut Fields<'_, '_>) -> Option<StepId> {
    let id: String = fields.optional("id")?;
    let good = id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        && id.len() <= 64;
    if !good {
        let span = fields.take("id").map_or(fields.span(), |node| node.span);
        let message = "an id has lower-case letters, digits, - and _, and at most 64 of them";
        fields
            .diagnostics()
            .error(Code::BadValue, span, message)
            .help(format!("write id: {}", slug(&id)));
    }
    Some(StepId(id))
}

fn register(fields: &mut Fields<'_, '_>) -> Option<String> {
    let name: String = fields.optional("register")?;
    let taken = ["inputs", "vars", "device", "run", "item"].contains(&name.as_str());
    if !is_identifier(&name) || taken {
        let span = fields
            .take("register")
            .map_or(fields.span(), |node| node.span);
        let message = if taken {
            "that name is the language's own"
        } else {
            "a result's name has letters, digits and _ only, and begins with a letter"
        };
        fields.diagnostics().error(Code::BadValue, span, message);
        return None;
    }
    Some(name)
}

fn for_each(node: &Node, all: &mut Diagnostics) -> Option<ForEach> {
    match node.as_list() {
        Some(_) => Vec::from_node(node, all).map(ForEach::List),
        None => Expr::from_node(node, all).map(ForEach::Expr),
    }
}

/// Lower-case letters and digits of a label, parted by dashes.
pub(super) fn slug(label: &str) -> String {
    let mut slug = String::new();
    for c in label.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= 48 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "step".to_owned()
    } else {
        slug.to_owned()
    }
}

/// The one action of a step, with its key.
fn action<'n>(fields: &mut Fields<'n, '_>) -> Option<(&'n Key, StepKind)> {
    let known = || KINDS.iter().map(|(spec, _)| spec.key).chain(NOT_BUILT);
    let found: Vec<&'static str> = known().filter(|key| fields.take(key).is_some()).collect();
    let mut keys: Vec<&Key> = fields
        .keys()
        .filter(|key| found.contains(&key.text.as_str()))
        .collect();
    keys.sort_by_key(|key| key.span);
    let Some((first, rest)) = keys.split_first() else {
        // A misspelt or foreign action is told as the unknown key that it is.
        let is_meant = |key: &Key| {
            suggest(&key.text, known()).is_some() || FOREIGN_ACTIONS.contains(&key.text.as_str())
        };
        if !fields.keys().any(is_meant) {
            let span = fields.span();
            fields
                .diagnostics()
                .error(Code::NoAction, span, "the step has no action")
                .help("give it one, for example get_file: 'C:\\path'");
        }
        return None;
    };
    if let Some(second) = rest.first() {
        let message = format!(
            "the step has two actions, `{}` and `{}`",
            first.text, second.text
        );
        fields
            .diagnostics()
            .error(Code::TwoActions, second.span, message)
            .help("make two steps of it");
        return None;
    }
    let Some((spec, read)) = KINDS.iter().find(|(spec, _)| spec.key == first.text) else {
        let message = format!("`{}` is part of the language and not built yet", first.text);
        fields
            .diagnostics()
            .error(Code::Reserved, first.span, message)
            .help("remove the step, or wait for a later version");
        return None;
    };
    let node = fields.take(spec.key)?;
    Some((first, read(node, fields.diagnostics())?))
}
