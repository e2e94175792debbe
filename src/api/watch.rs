//! Waits for sensors to check in: one list of sessions answers for all who wait.
//!
//! There is no task behind it. Whoever waits and finds the board too old takes the turn and reads it
//! anew for everybody; it never closes or opens anything.

use super::dialect::cloud_v6::{CloudV6, answer};
use super::dialect::refusal::Asked;
use super::dialect::{SessionStatus, SessionView};
use super::pace::{Pace, Repeat};
use crate::clock;
use crate::model::id::SessionId;
use crate::model::outcome::Cause;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

/// The longest pause between two looks.
pub(super) const LONGEST_GAP: Duration = Duration::from_secs(5);

pub(super) struct Watch {
    first: Duration,
    board: Mutex<Board>,
}

/// What the last list said.
struct Board {
    sessions: HashMap<SessionId, SessionView>,
    /// When it was asked for; what happened later it cannot know.
    asked: Option<Instant>,
    /// When somebody last asked, even in vain.
    tried: Option<Instant>,
    next: Instant,
    interval: Duration,
    /// Not every token may list, and not every service lists all.
    can_list: bool,
}

/// What a look at the board gave.
enum Look {
    Seen(SessionView),
    /// The list does not have it, or there is no list.
    Unlisted,
    /// Nothing newer than what was seen before.
    Early {
        due: Instant,
    },
}

impl Watch {
    pub(super) fn new(first: Duration) -> Self {
        Self {
            first,
            board: Mutex::new(Board {
                sessions: HashMap::new(),
                asked: None,
                tried: None,
                next: Instant::now(),
                interval: first,
                can_list: true,
            }),
        }
    }

    /// Waits, for ever if need be, until the sensor of a session opened at `opened` has checked in.
    pub(super) async fn until_active(
        &self,
        pace: &Pace,
        api: &CloudV6,
        id: &SessionId,
        opened: Instant,
    ) -> Result<SessionView, Cause> {
        let mut seen = opened;
        let mut own_interval = self.first;
        sleep(self.first).await;
        loop {
            let looked = Instant::now();
            let view = match self.look(pace, api, id, seen, seen == opened).await? {
                Look::Early { due } => {
                    sleep_until(due).await;
                    continue;
                }
                Look::Seen(view) => Some(view),
                Look::Unlisted => {
                    let view = one(pace, api, id).await?;
                    if view
                        .as_ref()
                        .is_none_or(|view| view.status == SessionStatus::Waiting)
                    {
                        sleep(jittered(own_interval)).await;
                        own_interval = longer(own_interval);
                    }
                    view
                }
            };
            seen = looked;
            match view {
                Some(view) if view.status == SessionStatus::Active => return Ok(view),
                Some(view) if view.status == SessionStatus::Over => return Err(Cause::SessionLost),
                _ => {}
            }
        }
    }

    async fn look(
        &self,
        pace: &Pace,
        api: &CloudV6,
        id: &SessionId,
        seen: Instant,
        is_newcomer: bool,
    ) -> Result<Look, Cause> {
        let mut board = self.board.lock().await;
        if board.can_list && board.asked.is_none_or(|asked| asked <= seen) {
            let due = board.due(self.first, is_newcomer);
            if Instant::now() < due {
                return Ok(Look::Early { due });
            }
            board.interval = if is_newcomer {
                self.first
            } else {
                longer(board.interval)
            };
            board.read(pace, api).await?;
            if board.can_list && board.asked.is_none_or(|asked| asked < due) {
                return Ok(Look::Early { due: board.next });
            }
        }
        Ok(match board.sessions.get(id) {
            Some(view) if board.can_list => Look::Seen(view.clone()),
            _ => Look::Unlisted,
        })
    }
}

impl Board {
    /// Somebody new need not wait for an interval that has grown for others.
    fn due(&self, first: Duration, is_newcomer: bool) -> Instant {
        match self.tried {
            Some(tried) if is_newcomer => self.next.min(tried + first),
            _ => self.next,
        }
    }

    async fn read(&mut self, pace: &Pace, api: &CloudV6) -> Result<(), Cause> {
        let asked = Instant::now();
        self.tried = Some(asked);
        let list = pace
            .send(api.sessions(), Repeat::Always, answer::sessions)
            .await;
        self.next = Instant::now() + jittered(self.interval);
        match list.result {
            Ok(views) => {
                self.asked = Some(asked);
                self.sessions = views
                    .into_iter()
                    .map(|view| (view.id.clone(), view))
                    .collect();
            }
            Err(cause) if cause.is_fatal() => return Err(cause),
            Err(cause) if may_pass(&cause) => {}
            Err(_) => {
                self.can_list = false;
                self.sessions.clear();
            }
        }
        Ok(())
    }
}

/// Asks for one session; none while the backend has a passing trouble.
async fn one(pace: &Pace, api: &CloudV6, id: &SessionId) -> Result<Option<SessionView>, Cause> {
    let read = |response: &_| answer::session(response, Asked::Session);
    match pace
        .send(api.session(id), Repeat::Always, read)
        .await
        .result
    {
        Ok(view) => Ok(Some(view)),
        Err(cause) if may_pass(&cause) => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// A trouble on the way that is no reason to stop waiting. An answer that makes no sense is one.
pub(super) fn may_pass(cause: &Cause) -> bool {
    cause.is_transport() && cause.is_transient() && !matches!(cause, Cause::BadAnswer { .. })
}

pub(super) fn longer(interval: Duration) -> Duration {
    interval.mul_f64(1.6).min(LONGEST_GAP)
}

/// Up to a fifth more, so that clients do not march in step.
pub(super) fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(1.0 + clock::fraction() / 5.0)
}
