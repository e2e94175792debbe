//! The files of a playbook: each that it uses is found, read and checked once, however often it is used.
//!
//! Nothing here reads a disk: whoever checks a playbook hands over a [`Library`]. What the steps of a used
//! playbook become in the place where it is used is `expand`'s business.

use super::check::{self, MAX_STEPS};
use super::input::Input;
use super::{Playbook, syntax};
use crate::model::effect::Permission;
use crate::step::{Passed, StepKind, Use};
use crate::template::Fields;
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::escape::Escaped;
use crate::text::source::{Source, Span};
use crate::text::words::{List, suggest};
use crate::text::yaml::{self, MAX_BYTES};
use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path};
use std::sync::Arc;

/// Gives the bytes of a file, by its path relative to the folder of the playbook that is run; with `/`, and
/// with `..` at its beginning only. No more than [`MAX_BYTES`] and one are needed.
pub type Library<'a> = dyn Fn(&str) -> Result<Vec<u8>, Unavailable> + 'a;

/// Why there is no such file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("there is no such file")]
    Missing,
    #[error("it lies outside of the folder that playbooks are used from")]
    Outside,
    #[error("it is not a file")]
    NotAFile,
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The playbook came without its folder.
    #[error("no other file can be read here")]
    Alone,
}

impl Unavailable {
    /// What to do about it.
    pub fn hint(&self, kind: &Kind) -> String {
        let hint = match self {
            Self::Missing | Self::NotAFile => {
                let example = kind.example;
                return format!(
                    "the path is relative to the file that this stands in, for example {example}"
                );
            }
            Self::Outside => {
                "that is the nearest folder called `playbooks` above the playbook that is run, or else its own folder"
            }
            Self::Unreadable(_) => "make it readable, or name another one",
            Self::Alone => "check the playbook as a file, in the folder that it belongs to",
        };
        hint.to_owned()
    }
}

/// The library of whoever has no files.
pub fn alone(_: &str) -> Result<Vec<u8>, Unavailable> {
    Err(Unavailable::Alone)
}

/// How many playbooks may use each other in a chain, without the one that is run.
const MAX_NESTING: usize = 16;
/// Bytes of all files together.
const MAX_TOTAL: usize = 4 * MAX_BYTES;

/// A file that was read, with those that it uses.
pub(super) struct Unit {
    pub(super) playbook: Arc<Playbook>,
    /// By the index of the step that uses them.
    pub(super) uses: BTreeMap<usize, Arc<Self>>,
    /// With those of all that it uses.
    steps: usize,
    /// Files in the longest chain that begins with it.
    height: usize,
    /// What its steps need, each with one that does.
    needs: Vec<(Permission, String)>,
    sound: bool,
}

impl Unit {
    /// The file by itself, whatever it uses.
    pub(super) fn alone(self) -> Playbook {
        Arc::unwrap_or_clone(self.playbook)
    }
}

/// What is known of all files so far.
pub(super) struct Files<'l> {
    library: &'l Library<'l>,
    /// What the playbook that is run is called.
    top: String,
    /// Without a unit, it was told what is wrong.
    units: HashMap<String, Option<Arc<Unit>>>,
    /// The files that are being read, each used by the one before it.
    open: Vec<String>,
    bytes: usize,
    pub(super) source: Source,
    /// The paths of the files behind the first, in the order of the source.
    pub(super) paths: Vec<String>,
    pub(super) all: Diagnostics,
}

impl<'l> Files<'l> {
    pub(super) fn new(top: &str, library: &'l Library<'l>) -> Self {
        Self {
            library,
            top: top.to_owned(),
            units: HashMap::new(),
            open: Vec::new(),
            bytes: 0,
            source: Source::new(top, ""),
            paths: Vec::new(),
            all: Diagnostics::new(),
        }
    }

    /// Reads the playbook that is run, and all that it uses.
    pub(super) fn top(&mut self, bytes: &[u8]) -> Option<Unit> {
        let path = Path::new(&self.top).file_name();
        let path = path.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        self.unit(path, bytes)
    }

    fn unit(&mut self, path: String, bytes: &[u8]) -> Option<Unit> {
        let mut own = Diagnostics::new();
        let name = if self.open.is_empty() {
            self.top.clone()
        } else {
            shown(&self.top, &path)
        };
        let (file, node) = yaml::load(name.clone(), bytes, &mut own);
        let node = node.filter(|_| check::expressions(&file, &mut own));
        let base = if self.open.is_empty() {
            self.source = file;
            0
        } else {
            self.paths.push(path.clone());
            self.source.add(file)
        };
        own.shift(base);
        let playbook = node.and_then(|mut node| {
            if base > 0 {
                node.shift(base);
            }
            // The text of all files is kept in one source, and this knows its name alone.
            syntax::playbook(&Arc::new(Source::new(name, "")), &node, &mut own)
        });
        let unit = playbook.map(|mut playbook| {
            self.open.push(path);
            let uses = self.uses(&mut playbook, &mut own);
            self.open.pop();
            check::one(&mut playbook, &mut own);
            ceiling(&playbook, &uses, &mut own);
            sum(playbook, uses, &mut own)
        });
        self.all.append(own);
        unit
    }

    /// The files that a playbook uses.
    fn uses(
        &mut self,
        playbook: &mut Playbook,
        own: &mut Diagnostics,
    ) -> BTreeMap<usize, Arc<Unit>> {
        let mut uses = BTreeMap::new();
        for (index, step) in playbook.steps.iter_mut().enumerate() {
            if let StepKind::Use(call) = &mut step.kind
                && let Some(unit) = self.used(call, own)
            {
                let outputs = unit.playbook.outputs.iter();
                call.outputs = Some(outputs.map(|(name, _)| name.text.clone()).collect());
                let secret = unit.playbook.inputs.iter().filter(|input| input.secret);
                call.secret = Some(secret.map(|input| input.name.clone()).collect());
                given(call, step.span, &unit.playbook, own);
                uses.insert(index, unit);
            }
        }
        uses
    }

    /// The file that a step names, if there is nothing wrong with it.
    fn used(&mut self, call: &Use, own: &mut Diagnostics) -> Option<Arc<Unit>> {
        let (span, written) = (call.playbook_span, Escaped(&call.playbook));
        let from = self.open.last().map_or("", String::as_str);
        if call.playbook.contains("{{") {
            let message =
                "the path of a used playbook is literal, and `{{ }}` in it is not filled in";
            own.error(Code::BadValue, span, message)
                .help("write two steps, each with a path and a `when`");
            return None;
        }
        let path = match join(from, &call.playbook, &PLAYBOOK) {
            Ok(path) => shortest(&self.top, &path),
            Err((message, help)) => {
                own.error(Code::BadValue, span, message).help(help);
                return None;
            }
        };
        if let Some(at) = self.open.iter().position(|open| *open == path) {
            let chain = self.open[at..].iter().chain([&path]);
            let chain: Vec<String> = chain.map(|path| Escaped(path).to_string()).collect();
            let message = format!("the playbook uses itself: {}", chain.join(" → "));
            own.error(Code::BadValue, span, message)
                .help("take one `use` out of the circle");
            return None;
        }
        let unit = match self.units.get(&path) {
            Some(known) => known.clone()?,
            None if self.open.len() > MAX_NESTING => {
                too_deep(span, own);
                return None;
            }
            None => {
                let message = match (self.library)(&path) {
                    Ok(bytes) if bytes.len() > MAX_BYTES => {
                        format!("`{written}` is larger than {} MiB", MAX_BYTES >> 20)
                    }
                    Ok(bytes) if self.bytes + bytes.len() > MAX_TOTAL => format!(
                        "with `{written}`, the playbooks that are used are larger than {} MiB",
                        MAX_TOTAL >> 20
                    ),
                    Ok(bytes) => {
                        self.bytes += bytes.len();
                        let unit = self.unit(path.clone(), &bytes).map(Arc::new);
                        self.units.insert(path, unit.clone());
                        return unit.filter(|unit| unit.sound);
                    }
                    Err(why) => {
                        let message = format!("`{written}` cannot be used: {why}");
                        own.error(Code::BadValue, span, message)
                            .help(why.hint(&PLAYBOOK));
                        return None;
                    }
                };
                own.error(Code::Limit, span, message)
                    .help("use smaller playbooks");
                return None;
            }
        };
        if self.open.len() - 1 + unit.height > MAX_NESTING {
            too_deep(span, own);
            return None;
        }
        Some(unit).filter(|unit| unit.sound)
    }
}

fn too_deep(span: Span, own: &mut Diagnostics) {
    let message = format!("more than {MAX_NESTING} playbooks use each other in a chain");
    own.error(Code::Limit, span, message)
        .help("use this one further up");
}

/// What a file is called where `top` is what the first one is called.
fn shown(top: &str, path: &str) -> String {
    let mut shown = Path::new(top).parent().unwrap_or(Path::new("")).to_owned();
    for part in path.split('/') {
        match shown.components().next_back() {
            Some(Component::Normal(_)) if part == ".." => drop(shown.pop()),
            _ => shown.push(part),
        }
    }
    shown.display().to_string()
}

/// The path without a way out of the first file's folder and back into it, as far as what the first file is
/// called tells the names of the folders: a file is one file, whichever way leads to it.
fn shortest(top: &str, path: &str) -> String {
    let folders = Path::new(top).parent().unwrap_or(Path::new(""));
    let folders: Vec<Component<'_>> = folders.components().collect();
    let parts: Vec<&str> = path.split('/').collect();
    let up = parts.iter().take_while(|part| **part == "..").count();
    let left = &folders[folders.len() - up.min(folders.len())..];
    if left.len() < up {
        return path.to_owned();
    }
    let entered = left.iter().zip(&parts[up..]);
    let same = entered
        .take_while(|(folder, part)| matches!(folder, Component::Normal(name) if *name == **part));
    let same = same.count();
    [vec![".."; up - same], parts[up + same..].to_vec()]
        .concat()
        .join("/")
}

/// What kind of file a path leads to.
#[derive(Debug)]
pub struct Kind {
    what: &'static str,
    example: &'static str,
}

const PLAYBOOK: Kind = Kind {
    what: "a used playbook",
    example: "../any/process-sweep.yaml",
};

pub const TOOL: Kind = Kind {
    what: "a local file",
    example: "tools/collector.exe",
};

/// The path of a file as one that is at `from` names it; or what is wrong with it, and the way out.
pub fn join(from: &str, path: &str, kind: &Kind) -> Result<String, (String, String)> {
    let Kind { what, example } = kind;
    if path.starts_with(['/', '\\']) || path.as_bytes().get(1) == Some(&b':') {
        return Err((
            format!("the path of {what} is relative, and this one is absolute"),
            format!("write it from the folder of this file on, for example {example}"),
        ));
    }
    if path.contains('\\') {
        return Err((
            format!("the path of {what} is written with `/`"),
            format!("write / on every system, for example {example}"),
        ));
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// What goes with one step only.
pub(super) fn whole(fields: &mut Fields<'_, '_>) {
    if !fields.has("use") {
        return;
    }
    for key in ["for_each", "retry", "timeout", "verify", "undo"] {
        if fields.has(key) {
            let span = fields.key_span(key);
            let message = format!("`{key}` belongs to one step, and `use` stands for several");
            fields
                .diagnostics()
                .error(Code::BadValue, span, message)
                .help("write it at a step of the used playbook, or under its `defaults`");
        }
    }
}

/// Whether a playbook is given what it asks for.
fn given(call: &Use, span: Span, used: &Playbook, own: &mut Diagnostics) {
    let file = Escaped(&used.source.name).to_string();
    let names: Vec<&str> = used
        .inputs
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    for (key, passed) in &call.with {
        let Some(input) = used.inputs.iter().find(|input| input.name == key.text) else {
            let help = match suggest(&key.text, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "it has no inputs: remove `with`".to_owned(),
                None => format!("it has {}", List::and(&names)),
            };
            let message = format!("`{file}` has no input `{}`", Escaped(&key.text));
            own.error(Code::UnknownKey, key.span, message).help(help);
            continue;
        };
        if let Passed::Fixed(node) = passed
            && !input.secret
            && let Err(why) = input.takes(node)
        {
            let message = format!("the input `{}` of `{file}`: {why}", input.name);
            own.error(Code::BadValue, node.span, message);
        }
    }
    let is_given = |input: &Input| call.with.iter().any(|(key, _)| key.text == input.name);
    for input in used.inputs.iter().filter(|input| input.required) {
        if !is_given(input) {
            let meaning = input.description.as_ref();
            let meaning = meaning.map_or_else(String::new, |text| format!(" ({})", Escaped(text)));
            let message = format!("`{file}` needs the input `{}`{meaning}", input.name);
            own.error(Code::MissingKey, span, message)
                .help(format!("give it one: with: {{{}: …}}", input.name));
        }
    }
}

/// The ceiling of a playbook holds for all that it uses.
fn ceiling(playbook: &Playbook, uses: &BTreeMap<usize, Arc<Unit>>, own: &mut Diagnostics) {
    for (index, unit) in uses {
        for (needed, step) in &unit.needs {
            if playbook.permissions.contains(needed) {
                continue;
            }
            let message = format!(
                "the step `{step}` of `{}` needs the permission `{needed}`, and this playbook does not give it",
                Escaped(&unit.playbook.source.name)
            );
            own.error(Code::Permission, playbook.steps[*index].span, message)
                .help(check::declare(playbook, *needed));
        }
    }
}

fn sum(playbook: Playbook, uses: BTreeMap<usize, Arc<Unit>>, own: &mut Diagnostics) -> Unit {
    let mut needs: Vec<(Permission, String)> = Vec::new();
    let (mut steps, mut height) = (0, 0);
    for (index, step) in playbook.steps.iter().enumerate() {
        let before = steps;
        let Some(unit) = uses.get(&index) else {
            steps += 1;
            for needed in step.kind.permissions() {
                if needs.iter().all(|(known, _)| known != needed) {
                    needs.push((*needed, step.id.to_string()));
                }
            }
            continue;
        };
        steps += unit.steps;
        height = height.max(unit.height);
        for (needed, inner) in &unit.needs {
            if needs.iter().all(|(known, _)| known != needed) {
                needs.push((*needed, format!("{}.{inner}", step.id)));
            }
        }
        if before <= MAX_STEPS && steps > MAX_STEPS {
            let message = format!("with this one, the playbook has more than {MAX_STEPS} steps");
            own.error(Code::Limit, step.span, message)
                .help("use less, or make several playbooks of it");
        }
    }
    Unit {
        playbook: Arc::new(playbook),
        uses,
        steps,
        height: height + 1,
        needs,
        sound: !own.has_errors(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_file_that_has_them() {
        let table = [
            ("a.yaml", "b.yaml", "b.yaml"),
            ("a.yaml", "../any/b.yaml", "../any/b.yaml"),
            ("../any/a.yaml", "./x//b.yaml", "../any/x/b.yaml"),
            ("../any/a.yaml", "../../b.yaml", "../../b.yaml"),
            ("x/y/a.yaml", "../../../b.yaml", "../b.yaml"),
        ];
        for (from, path, expected) in table {
            let joined = join(from, path, &PLAYBOOK);
            assert_eq!(joined.as_deref(), Ok(expected), "{from} {path}");
        }
        for path in ["/etc/x.yaml", r"C:\x.yaml", r"\\host\x", r"..\x.yaml"] {
            assert!(join("a.yaml", path, &TOOL).is_err(), "{path}");
        }
    }

    #[test]
    fn the_way_to_a_file_is_the_shortest() {
        let table = [
            ("playbooks/windows/a.yaml", "../windows/a.yaml", "a.yaml"),
            ("playbooks/windows/a.yaml", "../any/a.yaml", "../any/a.yaml"),
            ("p/q/a.yaml", "../../p/r/b.yaml", "../r/b.yaml"),
            ("p/q/a.yaml", "../../p/q/b.yaml", "b.yaml"),
            ("a.yaml", "../p/a.yaml", "../p/a.yaml"),
            ("../a.yaml", "../x/a.yaml", "../x/a.yaml"),
        ];
        for (top, path, expected) in table {
            assert_eq!(shortest(top, path), expected, "{top} {path}");
        }
    }

    #[test]
    fn files_are_called_as_the_first_one_is() {
        let table = [
            (
                "playbooks/windows/a.yaml",
                "../any/b.yaml",
                "playbooks/any/b.yaml",
            ),
            ("a.yaml", "../any/b.yaml", "../any/b.yaml"),
            ("../a.yaml", "../b.yaml", "../../b.yaml"),
            ("/p/a.yaml", "b.yaml", "/p/b.yaml"),
        ];
        for (top, path, expected) in table {
            assert_eq!(shown(top, path), expected, "{top} {path}");
        }
    }
}
