//! The ports: what a backend offers to the engine. `api` implements them over HTTP, `sim` in memory.
//!
//! No HTTP here, and no way to tell which of the two one talks to.

use crate::model::command::{Command, Reply, SessionFacts};
use crate::model::device::{Device, Os};
use crate::model::id::{CommandId, DeviceId, FileId, SessionId};
use crate::model::outcome::Cause;
use crate::model::spent::Spent;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tokio::time::Instant;

/// What a port call gives: an answer, or why there is none.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Cause>> + Send + 'a>>;

/// Who answers, for the record; holds nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// `v6`, `v3`, `edr`.
    pub api: String,
    /// Scheme, host and port.
    pub url: String,
    pub organisation: String,
    pub simulated: bool,
}

/// Which devices the backend is asked for; an empty part asks for nothing, not for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceQuery {
    pub ids: Vec<DeviceId>,
    /// Also every device of these families (all families if empty), to be narrowed by us.
    pub all_of: Option<Vec<Os>>,
}

/// How many commands of one device are under way at once, unless somebody says so.
pub const WINDOW: usize = 4;

/// An organisation's devices.
pub trait Fleet: Send + Sync {
    fn backend(&self) -> Backend;

    /// How many commands of one device may be under way at once.
    fn window(&self) -> usize;

    fn find(&self, query: DeviceQuery) -> Answer<'_, Vec<Device>>;

    /// Asks for a session. It need not be active yet; whoever gets it must close it, whatever happens. One
    /// that is there already is given again; `ours` says which of those are not somebody else's.
    fn request<'a>(&'a self, device: &'a Device, ours: &'a Ours) -> Answer<'a, Box<dyn Session>>;

    /// Ends a session that an earlier process opened. One that is gone already is no failure.
    fn dismiss<'a>(&'a self, session: &'a SessionId) -> Answer<'a, ()>;

    fn spent(&self) -> Spent;

    /// True while repeated failures make it wrong to start further devices.
    fn is_struggling(&self) -> bool;
}

/// By what a session is known as one of ours, although another process of ours opened it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ours {
    pub sessions: BTreeSet<SessionId>,
    /// Since then one was asked for, and nobody heard which it is.
    pub asked: Option<Timestamp>,
}

/// What a look for a command found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought {
    There(CommandId),
    /// The list of commands and their count agree that it is not there.
    NotThere,
    Unclear,
}

/// A command as a session's list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: CommandId,
    pub name: String,
    /// What it is about, where the list says so.
    pub operand: Option<String>,
}

/// What a session's list of commands and the number of its next one say of a command whose answer was lost.
/// Numbers count from 0 without gaps.
pub fn sought(
    command: &Command,
    known: &BTreeSet<CommandId>,
    listed: &[Listed],
    next: u64,
) -> Sought {
    let operand = command.operand();
    let is_it = |listed: &&Listed| {
        let same = listed.operand.is_none() || listed.operand == operand;
        same && listed.name.eq_ignore_ascii_case(command.name())
    };
    let unknown = || listed.iter().filter(|listed| !known.contains(&listed.id));
    let candidates: Vec<&Listed> = unknown().filter(is_it).collect();
    match candidates[..] {
        [one] => Sought::There(one.id),
        [] if unknown().next().is_none()
            && listed.len() == known.len()
            && known.len() as u64 == next =>
        {
            Sought::NotThere
        }
        _ => Sought::Unclear,
    }
}

/// One Live Response conversation with one endpoint.
pub trait Session: Send + Sync {
    fn id(&self) -> SessionId;

    /// Somebody else was using it before us: it is theirs to close.
    fn is_joined(&self) -> bool;

    /// Waits until the sensor has checked in.
    fn ready(&mut self, deadline: Instant) -> Answer<'_, SessionFacts>;

    /// Hands a command over; it runs after those handed over before.
    fn issue<'a>(&'a mut self, command: &'a Command) -> Answer<'a, CommandId>;

    /// Waits until a command has ended. An endpoint's refusal is a [`Cause`].
    fn finish<'a>(
        &'a mut self,
        command: &'a Command,
        id: CommandId,
        deadline: Instant,
    ) -> Answer<'a, Reply>;

    /// Looks whether a command whose answer was lost arrived. `known` are all commands of ours in this session
    /// that are known by number; whatever else is there, this one aside, is not ours.
    fn seek<'a>(
        &'a mut self,
        command: &'a Command,
        known: &'a BTreeSet<CommandId>,
    ) -> Answer<'a, Sought>;

    /// Takes back a command that has not started.
    fn cancel(&mut self, id: CommandId) -> Answer<'_, ()>;

    /// Brings a file into the session's store, where it changes nothing on the endpoint.
    fn upload<'a>(
        &'a mut self,
        name: &'a str,
        content: Arc<[u8]>,
        deadline: Instant,
    ) -> Answer<'a, FileId>;

    /// The size that the backend announces for a file of this session, in bytes.
    fn announced<'a>(&'a mut self, file: &'a FileId) -> Answer<'a, Option<u64>>;

    /// Streams a file of this session; gives the bytes received. After a failure the sink holds what came.
    fn content<'a>(
        &'a mut self,
        file: &'a FileId,
        sink: &'a mut dyn Sink,
        deadline: Instant,
    ) -> Answer<'a, u64>;

    /// Ends the conversation, for everybody who shares it.
    fn close(&mut self) -> Answer<'_, ()>;
}

/// Where bytes of a download go. A fresh attempt starts over where this download began.
pub trait Sink: Send {
    fn restart(&mut self) -> io::Result<()>;
    fn write(&mut self, chunk: &[u8]) -> io::Result<()>;
}

/// Small outputs, kept in memory up to a limit; what exceeds it is refused.
#[derive(Debug)]
pub struct Buffer {
    pub bytes: Vec<u8>,
    pub limit: usize,
}

impl Sink for Buffer {
    fn restart(&mut self) -> io::Result<()> {
        self.bytes.clear();
        Ok(())
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        if self.bytes.len() + chunk.len() > self.limit {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(id: u64, name: &str, operand: Option<&str>) -> Listed {
        Listed {
            id: CommandId(id),
            name: name.to_owned(),
            operand: operand.map(str::to_owned),
        }
    }

    #[test]
    fn a_command_is_there_only_where_all_agrees() {
        use Sought::{NotThere, There, Unclear};
        let list = |path: &str| listed(0, "directory list", Some(path));
        let (ours, bare) = (|id| listed(id, "delete file", Some("b")), "delete file");
        let foreign = |id| listed(id, "process list", None);
        let other = |id| listed(id, "delete file", Some("a"));
        let there = There(CommandId(1));
        // What is known, what is listed, the number of the next one, and what that says.
        let table: [(&[u64], Vec<Listed>, u64, Sought); 16] = [
            (&[0], vec![list("x"), ours(1)], 2, there),
            (&[0], vec![ours(1), list("x")], 2, there),
            (
                &[0],
                vec![list("x"), listed(1, "DELETE FILE", Some("b"))],
                2,
                there,
            ),
            // Where the list does not say what it is about, its name is enough.
            (&[0], vec![list("x"), listed(1, bare, None)], 2, there),
            // A count that lags does not take away what can be seen.
            (&[0], vec![list("x"), ours(1)], 1, there),
            (&[0], vec![list("x"), ours(1), foreign(2)], 3, there),
            (&[], vec![], 0, NotThere),
            (&[0], vec![list("x")], 1, NotThere),
            // One of ours that is known is the same only by its words.
            (&[0], vec![ours(0)], 1, NotThere),
            // They disagree.
            (&[0], vec![list("x")], 2, Unclear),
            (&[0], vec![], 1, Unclear),
            (&[0, 1], vec![list("x")], 1, Unclear),
            // Somebody else is there, and may have hidden it.
            (&[0], vec![list("x"), foreign(1)], 2, Unclear),
            (&[0], vec![list("x"), other(1)], 2, Unclear),
            // There twice: one of them is not ours.
            (&[0], vec![list("x"), ours(1), ours(2)], 3, Unclear),
            (&[], vec![listed(0, "", None)], 1, Unclear),
        ];
        let command = Command::DeleteFile { path: "b".into() };
        for (known, listed, next, expected) in table {
            let known = known.iter().copied().map(CommandId).collect();
            let found = sought(&command, &known, &listed, next);
            assert_eq!(found, expected, "{known:?} {listed:?} {next}");
        }
    }
}
