//! The local files that a run sends: which they are, and that each is the one that its hash says.
//!
//! Nothing here reads a disk: whoever makes a plan hands over a [`Library`].

use super::scope;
use crate::model::id::StepId;
use crate::model::outcome::Cause;
use crate::playbook::settled::Settled;
use crate::playbook::used::{Library, TOOL, Unavailable, join};
use crate::playbook::vars::Known;
use crate::playbook::{Playbook, Step};
use crate::step::Sha256;
use crate::step::cx::Source;
use crate::template::{Field, Reference, Scope, Spanned, Template, TemplateError};
use crate::text::diagnostic::{Code, Diagnostic};
use crate::text::escape::Escaped;
use crate::text::json;
use crate::text::source::Span;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256 as Hasher};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of all that a run sends, together: they are held in memory.
pub const MAX_TOTAL: usize = 256 << 20;

/// The files that a plan sends.
#[derive(Debug, Clone, Default)]
pub struct Assets {
    /// By their hashes.
    files: BTreeMap<String, Asset>,
    /// The hashes of those of which no author says which they must be, by the steps that send them.
    sources: Sources,
}

/// Which file a step sends, where its author does not say so.
pub type Sources = BTreeMap<StepId, String>;

/// One of them.
#[derive(Clone)]
pub struct Asset {
    /// As the first step that sends it names it.
    pub path: String,
    pub content: Arc<[u8]>,
}

impl std::fmt::Debug for Asset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes)", self.path, self.content.len())
    }
}

/// A file as a plan names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetLine {
    pub sha256: String,
    pub size: u64,
    /// Relative to the folder of the playbook that sends it.
    pub path: String,
}

impl Assets {
    pub fn get(&self, sha256: &str) -> Option<&Asset> {
        self.files.get(sha256)
    }

    pub const fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The file that a step sends whose author does not say which it must be.
    pub fn source(&self, step: &StepId) -> Option<Source> {
        let sha256 = self.sources.get(step)?;
        Some(Source {
            sha256: sha256.clone(),
            size: self.get(sha256)?.content.len() as u64,
        })
    }

    /// With their hashes, in an order of their own.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Asset)> {
        self.files
            .iter()
            .map(|(sha256, asset)| (sha256.as_str(), asset))
    }

    pub(super) fn lines(&self) -> Vec<AssetLine> {
        let line = |(sha256, asset): (&str, &Asset)| AssetLine {
            sha256: sha256.to_owned(),
            size: asset.content.len() as u64,
            path: asset.path.clone(),
        };
        self.iter().map(line).collect()
    }
}

/// What is wrong with the files that the playbook names by itself, whatever its inputs are.
pub fn fixed(playbook: &Playbook, library: &Library<'_>) -> Vec<Diagnostic> {
    let mut shelf = Shelf::new(playbook, library, MAX_TOTAL);
    for step in &playbook.steps {
        if let Some((source, sha256)) = step.kind.local_file()
            && let Some(path) = source.as_literal()
        {
            let pinned = sha256.map(|sha256| (sha256.span, sha256.value.literal().cloned()));
            shelf.take(step, source, path, pinned.as_ref());
        }
    }
    shelf.problems
}

/// All files that the steps send which are not left out, each whole and right; or what is wrong with them.
pub fn of(
    playbook: &Playbook,
    inputs: &Map<String, Value>,
    left_out: &[Option<Cause>],
    library: &Library<'_>,
) -> Result<Assets, Vec<Diagnostic>> {
    let mut shelf = Shelf::new(playbook, library, MAX_TOTAL);
    let mut frames = BTreeMap::new();
    for (step, left_out) in playbook.steps.iter().zip(left_out) {
        let Some((source, sha256)) = step.kind.local_file().filter(|_| left_out.is_none()) else {
            continue;
        };
        match named(playbook, inputs, step, (source, sha256), &mut frames) {
            Ok((path, hash)) => {
                let pinned = sha256.map(|sha256| (sha256.span, hash));
                shelf.take(step, source, &path, pinned.as_ref());
            }
            Err(error) => shelf.problems.push(error.into()),
        }
    }
    if shelf.problems.is_empty() {
        Ok(shelf.assets)
    } else {
        Err(shelf.problems)
    }
}

/// The hash that an author gives.
type Pinned = Spanned<Field<Sha256>>;

/// What a step's file is called, and its hash, as the inputs say.
fn named(
    playbook: &Playbook,
    inputs: &Map<String, Value>,
    step: &Step,
    (source, sha256): (&Template, Option<&Pinned>),
    frames: &mut BTreeMap<usize, Scope>,
) -> Result<(String, Option<Sha256>), TemplateError> {
    let around = around(playbook, inputs, step.frame, frames)?;
    let outer = |reference: &Reference| Settled(playbook).knows(step.frame, reference);
    let scope = Known::of(step, &outer).enter(around)?;
    let sha256 = sha256.map(|sha256| sha256.value.resolve(&scope));
    Ok((source.render(&scope)?, sha256.transpose()?))
}

/// What the inputs alone say of a frame.
fn around<'f>(
    playbook: &Playbook,
    inputs: &Map<String, Value>,
    frame: usize,
    frames: &'f mut BTreeMap<usize, Scope>,
) -> Result<&'f Scope, TemplateError> {
    let settled = Settled(playbook);
    // A frame comes behind the one that it is used in.
    let chain: Vec<usize> = playbook.frames_around(frame).map(|(at, _)| at).collect();
    for at in chain.into_iter().chain([0]).rev() {
        if frames.contains_key(&at) {
            continue;
        }
        let inputs = match playbook.frame(at) {
            None => inputs.clone(),
            Some(used) if settled.knows_inputs(at) => used.inputs(&frames[&used.caller])?,
            Some(_) => Map::new(),
        };
        let mut scope = Scope::new();
        scope.set_json("inputs", &Value::Object(inputs));
        scope::derive(&mut scope, playbook.of_frame(at), |data| {
            data.references().all(|one| settled.knows(at, one))
        })?;
        frames.insert(at, scope);
    }
    Ok(&frames[&frame])
}

/// A file with its hash.
type Hashed = (String, Arc<[u8]>);

/// Reads files, each once.
struct Shelf<'a> {
    playbook: &'a Playbook,
    library: &'a Library<'a>,
    /// By the path from the folder of the playbook that is run; with their hashes.
    read: BTreeMap<String, Result<Hashed, Unavailable>>,
    total: usize,
    most: usize,
    assets: Assets,
    problems: Vec<Diagnostic>,
}

impl<'a> Shelf<'a> {
    fn new(playbook: &'a Playbook, library: &'a Library<'a>, most: usize) -> Self {
        Self {
            playbook,
            library,
            read: BTreeMap::new(),
            total: 0,
            most,
            assets: Assets::default(),
            problems: Vec::new(),
        }
    }

    fn take(
        &mut self,
        step: &Step,
        source: &Template,
        path: &str,
        pinned: Option<&(Span, Option<Sha256>)>,
    ) {
        if self.total > self.most {
            // That there are too many is told once, and no more are read.
            return;
        }
        let wrong = |message: String, help: String| {
            Diagnostic::error(Code::BadValue, source.span(), message).with_help(help)
        };
        let before = self.playbook.source.files_before(step.span.start);
        let from = before
            .checked_sub(1)
            .map_or("", |at| &self.playbook.files[at]);
        let place = match join(from, path, &TOOL) {
            Ok(place) => place,
            Err((message, help)) => return self.problems.push(wrong(message, help)),
        };
        let shown = Escaped(path);
        let found = self.read.entry(place).or_insert_with_key(|place| {
            let content: Arc<[u8]> = (self.library)(place)?.into();
            Ok((json::hex(&Hasher::digest(&content)), content))
        });
        let (hash, content) = match found {
            Ok(found) => found.clone(),
            Err(why) => {
                let message = format!("`{shown}` cannot be sent: {why}");
                let help = why.hint(&TOOL);
                return self.problems.push(wrong(message, help));
            }
        };
        if let Some((span, Some(wanted))) = pinned
            && wanted.0 != hash
        {
            let message = format!("`{shown}` is another file: its SHA-256 is {hash}");
            let problem = Diagnostic::error(Code::BadValue, *span, message)
                .with_help("if that is the file you mean, give this hash; nothing else is sent");
            return self.problems.push(problem);
        }
        if pinned.is_none() {
            let sources = &mut self.assets.sources;
            sources.insert(step.id.clone(), hash.clone());
        }
        if self.assets.get(&hash).is_some() {
            return;
        }
        self.total += content.len();
        if self.total > self.most {
            let most = self.most >> 20;
            let message =
                format!("with `{shown}`, the files that are sent are larger than {most} MiB");
            let help = "send smaller ones, or make several playbooks of it".to_owned();
            self.problems.push(Diagnostic {
                code: Code::Limit,
                ..wrong(message, help)
            });
            return;
        }
        let path = path.to_owned();
        self.assets.files.insert(hash, Asset { path, content });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::check::check_with;
    use std::fmt::Write;

    /// What becomes of steps whose files are called by what is in them.
    fn taken(files: &[(&str, &str)], most: usize) -> (Vec<AssetLine>, Vec<(Code, String)>) {
        let mut text = "sortie: 1\nname: x\npermissions: exec\nsteps:\n".to_owned();
        for (path, sha256) in files {
            writeln!(text, "  - run_tool: {{source: {path}, sha256: {sha256}}}")
                .expect("text grows");
        }
        let library = |path: &str| match path {
            "none" => Err(Unavailable::Missing),
            path => Ok(path.rsplit('/').next().unwrap_or_default().into()),
        };
        let playbook = check_with("x.yaml", text.as_bytes(), &library).playbook;
        let playbook = playbook.expect("is sound");
        let mut shelf = Shelf::new(&playbook, &library, most);
        for step in &playbook.steps {
            let (source, sha256) = step.kind.local_file().expect("it sends one");
            let pinned = sha256.map(|sha256| (sha256.span, sha256.value.literal().cloned()));
            shelf.take(step, source, source.text(), pinned.as_ref());
        }
        let told = |problem: Diagnostic| (problem.code, problem.message);
        let problems = shelf.problems.into_iter().map(told).collect();
        (shelf.assets.lines(), problems)
    }

    #[test]
    fn each_file_is_held_once_and_all_together_are_not_too_large() {
        const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        const ABCD: &str = "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589";
        let (assets, problems) = taken(&[("abc", ABC), ("./abc", ABC), ("x/abc", ABC)], 3);
        let line = AssetLine {
            sha256: ABC.to_owned(),
            size: 3,
            path: "abc".to_owned(),
        };
        assert_eq!((assets, problems), (vec![line], vec![]));
        let (_, problems) = taken(&[("abc", ABC), ("abcd", ABCD), ("none", ABC)], 6);
        let message = "with `abcd`, the files that are sent are larger than 0 MiB".to_owned();
        assert_eq!(problems, [(Code::Limit, message)]);
        let (assets, problems) = taken(&[("abc", ABCD), ("none", ABC)], 9);
        let messages = [
            format!("`abc` is another file: its SHA-256 is {ABC}"),
            "`none` cannot be sent: there is no such file".to_owned(),
        ];
        assert_eq!(problems, messages.map(|message| (Code::BadValue, message)));
        assert!(assets.is_empty());
    }
}
