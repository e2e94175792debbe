//! The place on the endpoint where a tool runs: what of ours lies there, and that it goes again.

use super::Directory;
use crate::model::command::{Command, CommandResult, directory_operand};
use crate::model::device::Os;
use crate::model::effect::Effect;
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::step::cx::{Removal, StepCx, Uploaded};
use crate::step::given::trimmed;
use crate::step::{memdump, unexpected};
use std::time::Duration;

/// For taking a directory away, and for looking why it does not go.
const CLEAN_UP: Duration = Duration::from_secs(30);
/// More that stays than this is told by the directory alone.
const MOST_NAMES: usize = 100;

pub(super) struct Site {
    os: Os,
    directory: String,
    is_given: bool,
    owner: Owner,
    /// What the tool prints goes there.
    printed: String,
    /// What may lie there, as it came about.
    items: Vec<Item>,
    /// Folders below the directory that outputs lie in; each comes before those that it lies in.
    folders: Vec<String>,
    /// The tool was started, and nobody has seen its end.
    pub(super) runs: bool,
}

/// Whose the directory is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// It was there before, or is not there.
    NotOurs,
    Ours,
    /// Nobody knows whether it was us who made it.
    Unsure,
}

struct Item {
    path: String,
    /// It is the tool, or what it writes: what `keep` is about.
    is_kept: bool,
}

impl Site {
    pub(super) fn new(os: Os, directory: &Directory, nonce: &str) -> Self {
        let (directory, is_given) = match directory {
            Directory::Given(path) => (trimmed(path).to_owned(), true),
            Directory::OfItsOwn if os == Os::Windows => {
                (format!("C:\\Windows\\Temp\\sortie-{nonce}"), false)
            }
            Directory::OfItsOwn => (format!("/tmp/sortie-{nonce}"), false),
        };
        let mut site = Self {
            os,
            directory,
            is_given,
            owner: Owner::NotOurs,
            printed: String::new(),
            items: Vec::new(),
            folders: Vec::new(),
            runs: false,
        };
        site.printed = site.at(&format!("sortie-{nonce}.out"));
        site
    }

    pub(super) fn directory(&self) -> &str {
        &self.directory
    }

    /// Where what the tool prints goes.
    pub(super) fn printed(&self) -> String {
        self.printed.clone()
    }

    /// The path of something below the directory.
    pub(super) fn at(&self, name: &str) -> String {
        let operand = directory_operand(&self.directory, self.os);
        if self.os == Os::Windows {
            format!("{operand}{}", name.replace('/', "\\"))
        } else {
            format!("{operand}{name}")
        }
    }

    /// The path of something below the directory, or one that stands for itself.
    pub(super) fn resolve(&self, path: &str) -> String {
        if is_absolute(path) {
            path.to_owned()
        } else {
            self.at(path)
        }
    }

    /// Sees to it that the directory is there, and that nothing lies where the tool will, and what it writes.
    pub(super) async fn enter(
        &mut self,
        cx: &mut StepCx<'_>,
        ours: &[String],
    ) -> Result<(), Cause> {
        for path in ours.iter().filter(|_| self.is_given) {
            // What was there before would pass for an output, and be deleted as one.
            if is_there(cx, path).await? {
                let what = path.as_str().into();
                return Err(Cause::InTheWay { what });
            }
        }
        let create = Command::CreateDirectory {
            path: self.directory.clone(),
        };
        let cause = match cx.hands.command(create, Effect::Converge).await {
            Ok(reply) => {
                // That a directory is there does not say who made it.
                let is_unsure = self.is_given && reply.is_inferred();
                self.owner = if is_unsure {
                    Owner::Unsure
                } else {
                    Owner::Ours
                };
                return Ok(());
            }
            Err(cause) => cause,
        };
        if cause.is_refusal() {
            // Sensors differ in how they refuse what is there already.
            let is_theirs = self.is_given && is_there(cx, &self.directory).await?;
            return if is_theirs { Ok(()) } else { Err(cause) };
        }
        if memdump::may_have_written(&cause) {
            self.owner = if self.is_given {
                Owner::Unsure
            } else {
                Owner::Ours
            };
        }
        Err(cause)
    }

    /// Writes the tool, and makes it one that runs.
    pub(super) async fn put(
        &mut self,
        cx: &mut StepCx<'_>,
        tool: &str,
        sent: Uploaded,
    ) -> Result<(), Cause> {
        let path = tool.to_owned();
        let Uploaded { file, size } = sent;
        let put = Command::PutFile { path, file, size };
        let put = cx.hands.command(put, Effect::Converge).await;
        if put.as_ref().err().is_none_or(memdump::may_have_written) {
            self.writes([tool.to_owned()]);
        }
        put?;
        if self.os == Os::Windows {
            return Ok(());
        }
        // No sensor says with which rights it writes a file.
        let arguments = ["700".to_owned(), tool.to_owned()];
        let line = super::exec::quote::line("/bin/chmod", &arguments, self.os);
        let command_line = line.map_err(|detail| Cause::Internal { detail })?;
        let chmod = Command::CreateProcess {
            command_line,
            wait: true,
            working_directory: None,
            output_file: None,
        };
        let reply = cx.hands.command(chmod, Effect::Converge).await?;
        match reply.result {
            CommandResult::Started {
                return_code: Some(0),
                ..
            } => Ok(()),
            CommandResult::Started { return_code, .. } => {
                Err(Cause::NotExecutable { code: return_code })
            }
            _ => Err(unexpected(&reply)),
        }
    }

    /// What lies there, or may, and is kept where the author wants that.
    pub(super) fn writes(&mut self, paths: impl IntoIterator<Item = String>) {
        self.add(paths, true);
    }

    /// Outputs of these names, below the directory.
    pub(super) fn writes_outputs<'o>(&mut self, names: impl Iterator<Item = &'o str> + Clone) {
        let paths: Vec<String> = names.clone().map(|name| self.at(name)).collect();
        self.writes(paths);
        for name in names {
            let ends = name.rmatch_indices(['/', '\\']).map(|(end, _)| end);
            let folders: Vec<String> = ends.map(|end| self.at(&name[..end])).collect();
            self.folders.extend(folders);
        }
        self.folders
            .sort_by_key(|folder| std::cmp::Reverse(folder.len()));
        self.folders.dedup();
    }

    /// What lies there, or may, for our sake alone.
    pub(super) fn marks(&mut self, paths: impl IntoIterator<Item = String>) {
        self.add(paths, false);
    }

    /// What the tool prints.
    pub(super) fn writes_its_own(&mut self) {
        self.marks([self.printed()]);
    }

    fn add(&mut self, paths: impl IntoIterator<Item = String>, is_kept: bool) {
        for path in paths {
            if self.items.iter().all(|item| item.path != path) {
                self.items.push(Item { path, is_kept });
            }
        }
    }

    /// It was looked for, and is not there.
    pub(super) fn is_gone(&mut self, path: &str) {
        self.items.retain(|item| item.path != path);
    }

    /// Takes everything of ours away; says what stays, which is recorded too.
    pub(super) async fn clear(
        &mut self,
        cx: &mut StepCx<'_>,
        keep: bool,
    ) -> Result<Vec<String>, Cause> {
        let mut left = Vec::new();
        if self.runs {
            // What it runs from, and where it writes, cannot go.
            let is_ours = self.owner == Owner::Ours;
            let most = if is_ours { 1 } else { self.items.len() };
            let paths = self.items.iter().take(most).map(|item| &item.path);
            for path in paths.chain(is_ours.then_some(&self.directory)) {
                stays(cx, path.clone(), &mut left).await?;
            }
            return Ok(left);
        }
        if self.items.is_empty() && self.owner == Owner::NotOurs {
            return Ok(left);
        }
        // A session that was lost is no reason to leave anything; without another one it is recorded below.
        drop(cx.hands.renew().await);
        for item in std::mem::take(&mut self.items).into_iter().rev() {
            if keep && item.is_kept {
                stays(cx, item.path, &mut left).await?;
            } else if cx.remove(&item.path).await? == Removal::LeftBehind {
                left.push(item.path);
            }
        }
        match self.owner {
            Owner::NotOurs => {}
            Owner::Ours if !keep || left.is_empty() => self.leave(cx, &mut left).await?,
            Owner::Ours | Owner::Unsure => stays(cx, self.directory.clone(), &mut left).await?,
        }
        Ok(left)
    }

    /// Takes the directory away, unless something is in it that we did not make.
    async fn leave(&self, cx: &mut StepCx<'_>, left: &mut Vec<String>) -> Result<(), Cause> {
        cx.hands.extend(CLEAN_UP);
        for path in &self.folders {
            // One that is not empty stays, and so does the directory, which says so below.
            let delete = Command::DeleteFile { path: path.clone() };
            drop(cx.hands.clean_up(delete).await);
        }
        let delete = Command::DeleteFile {
            path: self.directory.clone(),
        };
        match cx.hands.clean_up(delete).await {
            Ok(_) => return Ok(()),
            Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => return Ok(()),
            Err(Cause::Endpoint { .. }) => {
                for path in self.found(cx).await {
                    if !left.contains(&path) {
                        stays(cx, path, left).await?;
                    }
                }
            }
            Err(_) => {}
        }
        stays(cx, self.directory.clone(), left).await
    }

    /// What is in the directory, as far as that can be seen.
    async fn found(&self, cx: &mut StepCx<'_>) -> Vec<String> {
        let path = directory_operand(&self.directory, self.os);
        let reply = cx.ask(Command::DirectoryList { path }).await;
        let Ok(CommandResult::Entries(entries)) = reply.map(|reply| reply.result) else {
            return Vec::new();
        };
        let names = entries.iter().map(|entry| entry.name.raw());
        let names = names.filter(|name| !matches!(*name, "." | ".."));
        let paths =
            names.map(|name| format!("{}{name}", directory_operand(&self.directory, self.os)));
        paths.take(MOST_NAMES).collect()
    }
}

async fn stays(cx: &mut StepCx<'_>, path: String, left: &mut Vec<String>) -> Result<(), Cause> {
    left.push(path.clone());
    cx.hands.left_behind(path).await
}

/// Whether there is something of this very name.
pub(super) async fn is_there(cx: &mut StepCx<'_>, path: &str) -> Result<bool, Cause> {
    let path = path.to_owned();
    match cx.ask(Command::DirectoryList { path }).await {
        Ok(reply) => match reply.result {
            CommandResult::Entries(entries) => Ok(!entries.is_empty()),
            _ => Err(unexpected(&reply)),
        },
        Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => Ok(false),
        Err(cause) => Err(cause),
    }
}

fn is_absolute(path: &str) -> bool {
    path.starts_with(['/', '\\']) || path.as_bytes().get(1) == Some(&b':')
}

/// Whether a path leads to something below the directory that it is relative to.
pub(super) fn is_below(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("the path of an output is empty".to_owned());
    }
    if is_absolute(path) {
        return Err(
            "an output lies below the tool's directory, and this path is absolute".to_owned(),
        );
    }
    if path.split(['/', '\\']).any(|part| part == "..") {
        return Err(
            "an output lies below the tool's directory, and `..` leads out of it".to_owned(),
        );
    }
    Ok(())
}
