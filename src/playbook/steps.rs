//! From a list of YAML nodes to steps: the action of each, and the modifiers beside it.
//!
//! A reader complains about what it cannot read and goes on, as all readers of a playbook do.

use super::check::MAX_STEPS;
use super::modifier::{ForEach, Retry};
use super::settings::Defaults;
use super::syntax::is_identifier;
use super::vars::Vars;
use super::{Block, Part, Place, Step, proof, undo, used};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::id::StepId;
use crate::step::{KINDS, NOT_BUILT, StepKind};
use crate::template::{Expr, Fields, FromNode};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::words::{List, suggest};
use crate::text::yaml::{Key, Node};

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

/// What has been read so far.
#[derive(Default)]
pub(super) struct Out {
    pub(super) steps: Vec<Step>,
    pub(super) blocks: Vec<Block>,
}

/// What steps get from where they stand.
#[derive(Clone)]
pub(super) struct Around {
    pub(super) place: Place,
    pub(super) defaults: Defaults,
    /// None means all.
    pub(super) os: Vec<Os>,
    pub(super) tags: Vec<String>,
    pub(super) vars: Vars,
    pub(super) no_log: bool,
    /// Of the playbook.
    pub(super) permits_exec: bool,
}

/// Reads `steps` and `always`, in the order in which they run.
pub(super) fn read(
    fields: &mut Fields<'_, '_>,
    defaults: &Defaults,
    permissions: &[Permission],
) -> (Vec<Step>, Vec<Block>) {
    let mut out = Out::default();
    let around = |part| Around {
        place: Place { block: None, part },
        defaults: defaults.clone(),
        os: Vec::new(),
        tags: Vec::new(),
        vars: Vars::default(),
        no_log: false,
        permits_exec: permissions.contains(&Permission::Exec),
    };
    if fields.has("steps") {
        list(fields, "steps", &around(Part::Main), &mut out);
    } else {
        let span = fields.span();
        fields
            .diagnostics()
            .error(Code::MissingKey, span, "the playbook needs `steps`");
    }
    list(fields, "always", &around(Part::Always), &mut out);
    (out.steps, out.blocks)
}

/// Reads a list of steps that may be missing, but not empty.
pub(super) fn list(fields: &mut Fields<'_, '_>, key: &'static str, around: &Around, out: &mut Out) {
    let Some(node) = fields.take(key) else {
        return;
    };
    let (key_span, all) = (fields.key_span(key), fields.diagnostics());
    match node.as_list() {
        Some([]) => {
            all.error(Code::BadValue, key_span, format!("`{key}` is empty"));
        }
        Some(items) => {
            for item in items {
                // One too many is enough to be refused for; the rest would only take memory.
                if out.steps.len() > MAX_STEPS {
                    break;
                }
                proof::no_block(item, around, all);
                let is_block = |(key, _): &(Key, Node)| key.text == "block";
                if item.as_map().is_some_and(|map| map.iter().any(is_block)) {
                    block(item, around, all, out);
                } else {
                    step(item, around, all, out);
                }
            }
        }
        None => {
            let message = format!("{key}: expected a list, found {}", node.describe());
            all.error(Code::WrongType, node.span, message)
                .help("begin each step with a dash");
        }
    }
}

/// Reads a block; its steps follow each other in the playbook's list.
fn block(node: &Node, around: &Around, all: &mut Diagnostics, out: &mut Out) {
    let mut fields = Fields::new(node, "the block", all).hints(STEP_HINTS);
    let _: Option<String> = fields.optional("name");
    for key in [
        "id", "for_each", "register", "retry", "timeout", "verify", "undo",
    ] {
        if fields.take(key).is_some() {
            let span = fields.key_span(key);
            let message = format!("`{key}` belongs to one step, and this is a block of them");
            fields
                .diagnostics()
                .error(Code::BadValue, span, message)
                .help("write it at a step of the block");
        }
    }
    let actions = KINDS.iter().map(|(spec, _)| spec.key).chain(NOT_BUILT);
    for key in actions {
        if fields.take(key).is_some() {
            let span = fields.key_span(key);
            let message = format!("the step has two actions, `block` and `{key}`");
            fields
                .diagnostics()
                .error(Code::TwoActions, span, message)
                .help("make a step of the block of it");
        }
    }
    let when = fields.optional("when");
    let mut inner = around.clone();
    inner.os = systems(&mut fields, around);
    inner.tags.extend(fields.or("tags", Vec::new()));
    let vars = Vars::read(&mut fields);
    inner.vars = around.vars.and(&vars);
    inner.no_log |= fields.or("no_log", false);
    inner.defaults.on_error = fields.or("on_error", around.defaults.on_error);
    inner.place.block = Some(out.blocks.len());
    out.blocks.push(Block {
        place: around.place,
        when_vars: inner.vars.for_condition(when.as_ref()),
        when,
        vars,
        has_rescue: fields.has("rescue"),
        proves: None,
        frame: 0,
        begins: None,
    });
    for (key, part) in [
        ("block", Part::Main),
        ("rescue", Part::Rescue),
        ("always", Part::Always),
    ] {
        inner.place.part = part;
        list(&mut fields, key, &inner, out);
    }
    fields.finish();
}

/// The systems that a step or block is for: its own, as far as what it stands in is for them.
fn systems(fields: &mut Fields<'_, '_>, around: &Around) -> Vec<Os> {
    let own: Vec<Os> = fields.or("os", Vec::new());
    if own.is_empty() || around.os.is_empty() {
        return [own, around.os.clone()].concat();
    }
    let both: Vec<Os> = own
        .into_iter()
        .filter(|os| around.os.contains(os))
        .collect();
    if both.is_empty() {
        let span = fields.key_span("os");
        let message = format!("its block is for {} only", List::and(&around.os));
        fields
            .diagnostics()
            .error(Code::BadValue, span, message)
            .help("move it out of the block, or change one `os`");
    }
    both
}

fn step(node: &Node, around: &Around, all: &mut Diagnostics, out: &mut Out) {
    if node.as_map().is_none() {
        let message = format!("a step is a map with one action, found {}", node.describe());
        all.error(Code::WrongType, node.span, message);
        return;
    }
    let mut fields = Fields::new(node, "the step", all).hints(STEP_HINTS);
    for key in ["rescue", "always"] {
        if fields.take(key).is_some() {
            let span = fields.key_span(key);
            let message = format!("`{key}` goes with `block` only");
            fields
                .diagnostics()
                .error(Code::BadValue, span, message)
                .help("put the steps under block: and write it beside that");
        }
    }
    let defaults = &around.defaults;
    let name: Option<String> = fields.optional("name");
    let id = step_id(&mut fields);
    let id_span = id
        .as_ref()
        .and_then(|_| fields.take("id"))
        .map(|node| node.span);
    let when: Option<Expr> = fields.optional("when");
    let os = systems(&mut fields, around);
    let own_tags: Vec<String> = fields.or("tags", Vec::new());
    let has_tags = !own_tags.is_empty();
    let tags = [around.tags.clone(), own_tags].concat();
    let vars = Vars::read(&mut fields);
    let for_each = fields
        .take("for_each")
        .and_then(|node| for_each(node, fields.diagnostics()));
    let register = register(&mut fields);
    let register_span = fields.take("register").map_or(node.span, |node| node.span);
    let retry = fields.or("retry", defaults.retry.clone());
    let timeout = fields.or("timeout", defaults.timeout.clone());
    let on_error = fields.or("on_error", defaults.on_error);
    let no_log = around.no_log || fields.or("no_log", false);
    proof::refuse_beside(&mut fields, around);
    let proof = fields.take("verify");
    let inner = Around {
        os: os.clone(),
        tags: tags.clone(),
        vars: around.vars.and(&vars),
        no_log,
        ..around.clone()
    };
    let undo = undo::read(&mut fields, &inner);
    let action = action(&mut fields);
    used::whole(&mut fields);
    fields.finish();
    let Some((key, mut kind)) = action else {
        // What stands there has its mistakes all the same.
        proof::read(proof, &inner, all, &mut Out::default());
        return;
    };
    match &mut kind {
        StepKind::GetFile(step) => {
            step.max_size = step.max_size.take().or_else(|| defaults.max_size.clone());
        }
        StepKind::Exec(step) => step.max_size.clone_from(&defaults.max_size),
        StepKind::RegQuery(step) => step.permits_exec = around.permits_exec,
        StepKind::RunTool(step) => step.max_size.clone_from(&defaults.max_size),
        _ => {}
    }
    repeats(&kind, &retry, all);
    let label = name.unwrap_or_else(|| kind.label().to_owned());
    // Ids that an author did not choose are made distinct later.
    let id = id.unwrap_or_else(|| StepId(slug(&label)));
    let mut step = Step {
        id,
        label,
        span: key.span,
        id_span,
        place: around.place,
        frame: 0,
        kind,
        when,
        os,
        for_each,
        register,
        register_span,
        vars: Vars::default(),
        tags,
        has_tags,
        retry,
        timeout,
        on_error,
        no_log,
        has_proof: proof.is_some(),
        undo,
        not_built: Vec::new(),
    };
    proof::reads_only(&step, all);
    step.take_vars(&around.vars, &vars);
    let at = out.steps.len();
    out.steps.push(step);
    let not_built = proof::read(proof, &inner, all, out);
    out.steps[at].not_built.extend(not_built);
}

/// What must not run twice cannot be tried until something holds.
fn repeats(kind: &StepKind, retry: &Retry, all: &mut Diagnostics) {
    if let Some(until) = &retry.until
        && kind.effect() == Effect::Once
    {
        let message = "`until` runs the step again, and this one must not run twice";
        all.error(Code::BadValue, until.span(), message)
            .help("say effect: read or effect: converge if that is true, or ask with another step");
    }
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

/// What expressions have names for already.
const NAMES: [&str; 5] = ["inputs", "vars", "device", "run", "item"];
/// What means something else in expressions; three of them also with a capital.
const WORDS: [&str; 10] = [
    "and", "else", "false", "if", "in", "is", "none", "not", "or", "true",
];

fn register(fields: &mut Fields<'_, '_>) -> Option<String> {
    let name: String = fields.optional("register")?;
    let taken = NAMES.contains(&name.as_str()) || WORDS.contains(&name.to_lowercase().as_str());
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
fn slug(label: &str) -> String {
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
    let known = || {
        KINDS
            .iter()
            .map(|(spec, _)| spec.key)
            .chain(NOT_BUILT)
            .chain(["block"])
    };
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
