//! What is known of the commands of a step that may change its endpoint, while the step has not ended.
//!
//! Commands stand in it as the journal has them, with secrets withheld.

use super::command::{Command, CommandResult, Reply};
use super::effect::{Effect, Reached};
use super::event::Started;
use super::id::{CommandId, FileId, SessionId};

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
    /// A command has come to its end, or nobody can say whether it has.
    pub fn heard(&mut self, command: &Command, reply: Option<&Reply>, reached: Reached) {
        match reply {
            Some(reply) => self.ran(command, Started::of(reply)),
            None if reached == Reached::Maybe => self.ran.push(told(command)),
            None => {}
        }
    }

    /// A command has run.
    pub fn ran(&mut self, command: &Command, started: Option<Started>) {
        let result = match started {
            Some(Started { pid, return_code }) => CommandResult::Started { pid, return_code },
            None => CommandResult::Done,
        };
        self.ran.push(told(command));
        self.answers.push((told(command), result));
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
