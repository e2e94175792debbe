//! What stands between a playbook and something that cannot be taken back, as authors write it: guards,
//! hashes, evidence; and what no step takes away. Nothing here carries anything out.

use super::cx::Stop;
use crate::model::outcome::Cause;
use crate::template::{Choice, Fields, FromNode, FromText};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::words::List;
use crate::text::yaml::Node;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
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

/// Where the sensor lives; without it there is no next command.
pub const SENSOR: [&str; 9] = [
    r"c:\program files\confer",
    r"c:\programdata\carbonblack",
    r"c:\windows\carbonblack",
    r"c:\program files\vmware\carbon black",
    "/opt/carbonblack",
    "/var/opt/carbonblack",
    "/var/lib/cb",
    "/applications/vmware carbon black cloud",
    "/library/application support/com.vmware.carbonblack.cloud",
];

/// The result of a step that finds nothing to take away. What it took away itself, it has found.
pub(super) fn gone(absent: Absent, is_done: bool, what: &str) -> Result<Value, Stop> {
    match absent {
        Absent::Fail if !is_done => Err(Cause::Missing { what: what.into() }.into()),
        Absent::Ok | Absent::Fail => Ok(json!({ "found": is_done })),
    }
}

/// Whether a path of the endpoint leads to what the sensor is made of.
pub(super) fn is_sensor(path: &str) -> bool {
    let path = plain(path);
    SENSOR.iter().any(|folder| is_below(&path, folder))
}

/// Whether the sensor goes with what a path leads to, or everything does.
pub(super) fn holds_sensor(path: &str) -> bool {
    let path = plain(path);
    SENSOR.iter().any(|folder| is_below(folder, &path))
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['\\', '/']))
}

/// A path as the list has them; processes may come with the path of a device, for which the drive is not known.
fn plain(path: &str) -> String {
    let path = path.to_ascii_lowercase();
    let volume = path.strip_prefix(r"\device\harddiskvolume");
    let below = volume.and_then(|rest| rest.find('\\').map(|at| &rest[at..]));
    let path = below.map_or(path.clone(), |below| format!("c:{below}"));
    let path = if path.starts_with('/') {
        path
    } else {
        path.replace('/', "\\")
    };
    path.trim_end_matches(['\\', '/']).to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sensor_is_known_by_where_it_lives() {
        let table = [
            (r"C:\Program Files\Confer\RepMgr.exe", true, false),
            (
                r"\Device\HarddiskVolume3\Program Files\Confer\RepMgr.exe",
                true,
                false,
            ),
            (r"C:\Program Files\Confer\", true, true),
            (r"C:\Program Files\Conference\a.exe", false, false),
            (r"C:\Program Files", false, true),
            ("c:/windows", false, true),
            (r"C:\", false, true),
            ("/", false, true),
            ("/opt/carbonblack/psc/bin/cbagentd", true, false),
            ("/opt", false, true),
            ("/tmp", false, false),
            ("", false, true),
        ];
        for (path, is_it, holds_it) in table {
            assert_eq!(
                (is_sensor(path), holds_sensor(path)),
                (is_it, holds_it),
                "{path}"
            );
        }
    }
}
