//! What stands between a playbook and something that cannot be taken back, as authors write it: guards,
//! hashes, evidence. Nothing here carries anything out.

use crate::template::{Choice, Fields, FromNode, FromText};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::words::List;
use crate::text::yaml::Node;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// Whether what is about to be destroyed is looked at once more before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    Yes,
    /// The author's own word.
    No,
}

impl Choice for Guarded {
    const CHOICES: &'static [(&'static str, Self)] = &[("true", Self::No), ("false", Self::Yes)];
}

/// What a thing that is gone already means for a step that takes it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    Ok,
    Fail,
}

impl Choice for Absent {
    const CHOICES: &'static [(&'static str, Self)] = &[("ok", Self::Ok), ("fail", Self::Fail)];
}

/// Why no evidence is kept of what is destroyed.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Waiver {
    /// The reason, which reports show.
    #[schemars(length(min = 1), extend("examples" = ["a copy is in the case already"]))]
    pub waived: String,
}

impl FromNode for Waiver {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        const FORM: &str = "write evidence: {waived: REASON}, or remove it to keep evidence";
        if node.as_map().is_none() {
            let message = format!("evidence: expected a map, found {}", node.describe());
            all.error(Code::WrongType, node.span, message).help(FORM);
            return None;
        }
        let mut fields = Fields::new(node, "evidence", all);
        let waived: Option<String> = fields.required("waived");
        if waived
            .as_ref()
            .is_some_and(|reason| reason.trim().is_empty())
        {
            let span = fields.key_span("waived");
            fields
                .diagnostics()
                .error(Code::BadValue, span, "`waived` gives no reason")
                .help(FORM);
        }
        fields.finish();
        Some(Self { waived: waived? })
    }
}

/// A hash of so many hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hash<const DIGITS: usize>(pub String);

pub type Sha256 = Hash<64>;
pub type Md5 = Hash<32>;

impl<const DIGITS: usize> FromText for Hash<DIGITS> {
    fn expected() -> String {
        let kind = if DIGITS == 32 { "an MD5" } else { "a SHA-256" };
        format!("{kind} hash of {DIGITS} hexadecimal digits")
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(format!("expected {}", Self::expected()))
        }
    }
}

impl<const DIGITS: usize> JsonSchema for Hash<DIGITS> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Hash_{DIGITS}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": format!("^[0-9A-Fa-f]{{{DIGITS}}}$"),
            "examples": ["0123456789abcdef".repeat(DIGITS / 16)]
        })
    }
}

/// Complains unless at least one of these keys is there.
pub(super) fn any_of(
    fields: &mut Fields<'_, '_>,
    what: &str,
    keys: &[&'static str],
    help: &'static str,
) {
    if fields.is_broken() || keys.iter().any(|key| fields.has(key)) {
        return;
    }
    let span = fields.span();
    let quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    let message = format!("{what} needs {}", List::or(&quoted));
    fields
        .diagnostics()
        .error(Code::MissingKey, span, message)
        .help(help);
}

/// Complains unless exactly one of the two keys is there.
pub(super) fn one_of(
    fields: &mut Fields<'_, '_>,
    what: &str,
    [one, other]: [&'static str; 2],
    help: &'static str,
) {
    any_of(fields, what, &[one, other], help);
    if fields.has(one) && fields.has(other) {
        let span = fields.key_span(other);
        fields
            .diagnostics()
            .error(
                Code::BadValue,
                span,
                format!("`{other}` stands in place of `{one}`, and both are given"),
            )
            .help("remove one of them");
    }
}

/// Complains unless something is guarded by one of these keys, or the author said that it is not.
pub(super) fn guarded(fields: &mut Fields<'_, '_>, what: &str, guard: &'static str, own: Guarded) {
    if fields.is_broken() || fields.has(guard) || own == Guarded::No {
        return;
    }
    let span = fields.span();
    let message = format!("{what} needs `{guard}` or `unguarded: true`");
    fields
        .diagnostics()
        .error(Code::MissingKey, span, message)
        .help(format!(
            "with `{guard}` nothing else than what you mean is touched"
        ));
}

/// Complains about `recursive` without the author's word: no hash covers a whole tree.
pub(super) fn recursive(fields: &mut Fields<'_, '_>, recursive: bool, own: Guarded) {
    if recursive && own == Guarded::Yes {
        let span = fields.key_span("recursive");
        fields
            .diagnostics()
            .error(
                Code::MissingKey,
                span,
                "`recursive` needs `unguarded: true`: no guard covers what lies below",
            )
            .help("add unguarded: true, or remove `recursive`");
    }
}
