//! What is known of the commands of a step that may change its endpoint, while the step has not ended.
//!
//! Commands stand in it as the journal has them, with secrets withheld.

use super::command::{Command, CommandResult};
use super::effect::{Effect, Reached};
use super::event::{Settled, Started};
use super::id::{CommandId, FileId, SessionId, StepId};
use super::outcome::Cause;
use std::collections::BTreeMap;

/// One step, or one item of its `for_each`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memo {
    /// What ran in an attempt that a crash cut short, oldest first. Asking for it again gives its answer.
    answers: Vec<(Command, CommandResult)>,
    /// What ran in any attempt, or may have.
    ran: Vec<Command>,
    /// What an attempt that was cut short named its files after.
    pub nonce: Option<String>,
    /// The command of which nobody heard the end.
    pub doubt: Option<Doubt>,
}

/// A command that was permitted, and may have run.
#[derive(Debug, Clone, PartialEq)]
pub struct Doubt {
    pub session: SessionId,
    pub command: Command,
    pub effect: Effect,
    /// Its number, if the backend gave one.
    pub id: Option<CommandId>,
}

impl Memo {
    /// A command has run.
    pub fn ran(&mut self, command: &Command, started: Option<Started>) {
        let result = match started {
            Some(Started { pid, return_code }) => CommandResult::Started { pid, return_code },
            None => CommandResult::Done,
        };
        self.note(command);
        self.answers.push((told(command), result));
    }

    /// A command has run, or may have, in an attempt that goes on.
    pub fn note(&mut self, command: &Command) {
        self.ran.push(told(command));
    }

    /// Another attempt begins, which runs its own commands.
    pub fn next_attempt(&mut self) {
        self.answers.clear();
    }

    /// Takes the answer of a command that ran before the crash.
    pub fn recall(&mut self, command: &Command) -> Option<CommandResult> {
        let command = told(command);
        let at = self.answers.iter().position(|(ran, _)| *ran == command)?;
        Some(self.answers.remove(at).1)
    }

    /// Whether it ran before the crash, and nobody has asked for it since.
    pub fn will_recall(&self, command: &Command) -> bool {
        let command = told(command);
        self.answers.iter().any(|(ran, _)| *ran == command)
    }

    /// What has run, or may have, in whatever attempt.
    pub fn all(&self) -> &[Command] {
        &self.ran
    }
}

/// A file has another name in the store of every session.
fn told(command: &Command) -> Command {
    let mut command = command.clone();
    if let Command::PutFile { file, .. } = &mut command {
        *file = FileId(String::new());
    }
    command
}

/// The step under way on a device, with what it has changed so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    pub step: StepId,
    items: BTreeMap<Option<u32>, Memo>,
    item: Option<u32>,
    /// Something ran that must not run twice.
    has_run_once: bool,
    /// The files that it brought, by path and hash.
    stored: Vec<(String, String)>,
    /// Those that it brought before it was cut short, and has not brought again.
    before: Vec<(String, String)>,
    is_cut: bool,
}

impl Pending {
    pub const fn new(step: StepId) -> Self {
        Self {
            step,
            items: BTreeMap::new(),
            item: None,
            has_run_once: false,
            stored: Vec::new(),
            before: Vec::new(),
            is_cut: false,
        }
    }

    /// An attempt began: at the step, or at one item of its `for_each`.
    pub fn began(&mut self, item: Option<u32>, attempt: u32, nonce: &str) {
        self.item = item;
        let memo = self.memo();
        if attempt > 1 {
            memo.next_attempt();
        }
        memo.nonce = Some(nonce.to_owned());
    }

    /// Another process goes on with it.
    pub const fn cut(&mut self) {
        self.is_cut = true;
    }

    /// Whether it begins for the first time since it was cut short.
    pub fn begins_again(&mut self) -> bool {
        let begins = std::mem::take(&mut self.is_cut);
        if begins {
            self.before.append(&mut self.stored);
        }
        begins
    }

    /// A file is in the bag. Says whether it is one more, and not one that was brought again.
    pub fn stored(&mut self, path: &str, sha256: &str) -> bool {
        let file = (path.to_owned(), sha256.to_owned());
        let known = self.before.iter().position(|before| *before == file);
        if let Some(known) = known {
            self.before.remove(known);
        }
        self.stored.push(file);
        known.is_none()
    }

    pub fn permitted(&mut self, session: &SessionId, command: &Command, effect: Effect) {
        self.memo().doubt = Some(Doubt {
            session: session.clone(),
            command: command.clone(),
            effect,
            id: None,
        });
    }

    pub fn issued(&mut self, session: &SessionId, id: CommandId, name: &str) {
        let doubt = self.memo().doubt.as_mut();
        let unnumbered = doubt.filter(|doubt| doubt.id.is_none() && doubt.session == *session);
        if let Some(doubt) = unnumbered.filter(|doubt| doubt.command.name() == name) {
            doubt.id = Some(id);
        }
    }

    /// A command ended as far as we heard.
    pub fn ended(
        &mut self,
        session: &SessionId,
        id: CommandId,
        cause: Option<&Cause>,
        started: Option<Started>,
    ) {
        let is_it = |doubt: &mut Doubt| doubt.session == *session && doubt.id == Some(id);
        match cause {
            None => {
                if self.memo().doubt.as_mut().is_some_and(is_it) {
                    self.ran(started);
                }
            }
            // The endpoint refused it, or it was taken back in time.
            Some(cause) if *cause == Cause::CommandCancelled || cause.reached() == Reached::Yes => {
                self.memo().doubt.take_if(is_it);
            }
            Some(_) => {}
        }
    }

    pub fn settled(&mut self, settled: Settled) {
        match settled {
            Settled::Unclear => {}
            // What must not run twice may have run, and have had no effect.
            Settled::NotDone => {
                self.memo()
                    .doubt
                    .take_if(|doubt| doubt.effect != Effect::Once);
            }
            Settled::NeverRan => self.memo().doubt = None,
            Settled::Done => self.ran(None),
        }
    }

    /// The command in doubt has run.
    pub fn ran(&mut self, started: Option<Started>) {
        if let Some(doubt) = self.memo().doubt.take() {
            self.has_run_once |= doubt.effect == Effect::Once;
            self.memo().ran(&doubt.command, started);
        }
    }

    pub const fn has_run_once(&self) -> bool {
        self.has_run_once
    }

    /// The command in doubt: that of the item under way, or else of one before it.
    pub fn doubt(&self) -> Option<&Doubt> {
        let current = self.items.get(&self.item);
        let mut all = current.into_iter().chain(self.items.values());
        all.find_map(|memo| memo.doubt.as_ref())
    }

    /// What is known of an item, or of the step where it has none.
    pub fn take(&mut self, item: Option<u32>) -> Memo {
        self.items.remove(&item).unwrap_or_default()
    }

    fn memo(&mut self) -> &mut Memo {
        self.items.entry(self.item).or_default()
    }
}
