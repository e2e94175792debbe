//! What became of a command of which nobody heard the end: looked for in its session, and where that cannot
//! tell, on the endpoint.
//!
//! The doubt may be of another process and of a session of its own. Whatever is not certain is unclear.

use super::link::Link;
use super::look;
use super::patience::bounded;
use crate::live::Sought;
use crate::model::command::{Command, CommandResult, Reply};
use crate::model::event::Settled;
use crate::model::id::{CommandId, SessionId};
use crate::model::memo::Doubt;
use crate::model::outcome::{Cause, TIMED_OUT};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long clearing up a doubt may take.
const LONGEST: Duration = Duration::from_mins(1);
/// How long a command that the backend has is polled further.
const POLLING: Duration = Duration::from_secs(30);
/// How long one look at the commands of a session may take.
const LOOK: Duration = Duration::from_secs(15);
/// After an answer of the backend's one look decides. A request that broke off may still be under way, so that
/// a second one must say the same so much later.
const BETWEEN: Duration = Duration::from_secs(2);
/// How often the endpoint is asked while sessions are lost.
const TRIES: u32 = 3;

/// What became of a command in doubt.
pub(super) enum Settlement {
    /// It was found, and ended so.
    Ended(Result<Reply, Cause>),
    /// It never arrived, or was taken back, and cannot arrive any more.
    NeverRan,
    /// The endpoint is as if it had run.
    Done,
    /// The endpoint is as if it had not.
    NotDone,
    Unclear,
}

impl From<Settled> for Settlement {
    fn from(settled: Settled) -> Self {
        match settled {
            Settled::NeverRan => Self::NeverRan,
            Settled::Done => Self::Done,
            Settled::NotDone => Self::NotDone,
            Settled::Unclear => Self::Unclear,
        }
    }
}

impl Link {
    /// Finds out what became of a command that `cause` left in doubt, and writes it down.
    pub(super) async fn settle(&mut self, doubt: &Doubt, cause: &Cause) -> Settlement {
        let (patience, until) = (self.patience(), self.deadline(LONGEST));
        let looking = async { Ok(self.look_into(doubt, cause).await) };
        let settlement = bounded(patience, until, looking).await;
        let settlement = settlement.unwrap_or(Settlement::Unclear);
        let settled = match &settlement {
            // It has an end of its own in the journal.
            Settlement::Ended(_) => return settlement,
            Settlement::NeverRan => Settled::NeverRan,
            Settlement::Done => Settled::Done,
            Settlement::NotDone => Settled::NotDone,
            Settlement::Unclear => Settled::Unclear,
        };
        self.tell_settled(doubt, cause, settled).await;
        settlement
    }

    async fn look_into(&mut self, doubt: &Doubt, cause: &Cause) -> Settlement {
        let seen = match doubt.id {
            _ if !self.holds(&doubt.session) => None,
            // It has ended for the session, and goes on on the endpoint.
            Some(_) if has_timed_out(cause) => None,
            Some(id) => self.follow(doubt, id).await,
            None => self.seek(doubt, cause).await,
        };
        match seen {
            Some(settlement) => settlement,
            None => self.ask_the_endpoint(&doubt.command).await.into(),
        }
    }

    fn holds(&mut self, session: &SessionId) -> bool {
        let held = self.hold.current();
        held.is_ok_and(|held| held.session.id() == *session)
    }

    /// Waits on for the end of a command that the backend has.
    async fn follow(&mut self, doubt: &Doubt, id: CommandId) -> Option<Settlement> {
        let (command, session) = (&doubt.command, &doubt.session);
        let deadline = self.deadline(POLLING);
        let result = self.finish_by(command, session, id, deadline).await;
        match &result {
            Err(Cause::CommandCancelled) => return Some(Settlement::NeverRan),
            Err(Cause::SessionLost) => {
                self.close().await;
                return None;
            }
            Err(cause) if !cause.is_refusal() => return None,
            Ok(_) | Err(_) => {}
        }
        let told = self.told(command, session.clone(), id, &result).await;
        let result = result.and_then(|reply| told.map(|()| reply));
        Some(Settlement::Ended(result))
    }

    /// Looks whether a command without a number is among those of its session. One that is not never will be,
    /// once the session is closed.
    async fn seek(&mut self, doubt: &Doubt, cause: &Cause) -> Option<Settlement> {
        let has_answered = matches!(cause, Cause::BackendDown { .. });
        let looks = if has_answered { 1 } else { 2 };
        for look in 0..looks {
            if look > 0 {
                sleep(BETWEEN).await;
            }
            let held = self.hold.current().ok()?;
            if held.session.is_joined() {
                return None;
            }
            let seeking = held.session.seek(&doubt.command, &held.known);
            match timeout(LOOK, seeking).await {
                Ok(Ok(Sought::There(id))) => {
                    held.known.insert(id);
                    held.issued += 1;
                    let session = doubt.session.clone();
                    self.issued(&doubt.command, session, id).await;
                    return self.follow(doubt, id).await;
                }
                Ok(Ok(Sought::NotThere)) => {}
                Ok(Err(Cause::SessionLost)) => {
                    self.close().await;
                    return None;
                }
                Ok(Ok(Sought::Unclear) | Err(_)) | Err(_) => return None,
            }
        }
        // A run that is being stopped gets no other session, and its last steps need this one.
        if self.job.cancel.is_draining() || !self.close().await {
            return None;
        }
        // Where none comes about, whatever is sent next says so.
        drop(self.hold.replace().await);
        Some(Settlement::NeverRan)
    }

    /// Looks at what a command should have changed. In the same session that comes after it, as commands run in
    /// order.
    async fn ask_the_endpoint(&mut self, command: &Command) -> Settled {
        let Some(question) = look::question(command, self.device.os) else {
            return Settled::Unclear;
        };
        for _ in 0..TRIES {
            if self.hold.ensure().await.is_err() {
                return Settled::Unclear;
            }
            match self.ask(&question).await {
                Err(Cause::SessionLost) => {
                    self.close().await;
                }
                answer => return look::judge(command, &answer),
            }
        }
        Settled::Unclear
    }

    async fn ask(&mut self, question: &Command) -> Result<CommandResult, Cause> {
        let (session, id) = self.issue(question).await?;
        self.issued(question, session.clone(), id).await;
        let deadline = self.deadline(LONGEST);
        let result = self.finish_by(question, &session, id, deadline).await;
        self.told(question, session, id, &result).await?;
        result.map(|reply| reply.result)
    }
}

fn has_timed_out(cause: &Cause) -> bool {
    cause.is_endpoint_code(&[TIMED_OUT])
}
