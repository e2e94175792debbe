//! Looking whether commands have ended: when, how often, and at which of several.

use super::LiveSession;
use crate::api::dialect::Progress;
use crate::api::dialect::cloud_v6::answer;
use crate::api::fleet::Shared;
use crate::api::pace::Repeat;
use crate::api::watch::{LONGEST_GAP, jittered, longer, may_pass};
use crate::model::command::{Command, Reply};
use crate::model::id::CommandId;
use crate::model::outcome::Cause;
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How much longer than one command those after it may take, for their end to be worth waiting for.
const SOON: Duration = Duration::from_secs(2);

impl LiveSession {
    /// Looks until the command has ended. `trouble` is what hides it at the moment.
    pub(super) async fn look_until_ended(
        &mut self,
        command: &Command,
        id: CommandId,
        deadline: Instant,
        trouble: &mut Option<Cause>,
    ) -> Result<Reply, Cause> {
        let shared = Arc::clone(&self.shared);
        let (learned, least) = (&shared.learned, shared.tempo.least_gap);
        let now = Instant::now();
        let issued = self.issued.get(&id).map_or(now, |issued| issued.at);
        let began = self.last_end.map_or(issued, |end| end.max(issued));
        let expected = learned.expected(command, self.os);
        // However long it took elsewhere, a look must fit in before the deadline.
        let latest = now + deadline.saturating_duration_since(now).mul_f64(0.75);
        let has_looked = self.look_at_newest(id, began, latest).await;
        if let Some(ended) = self.ended.remove(&id) {
            return ended;
        }
        let is_over = self.over >= Some(id);
        let mut look_at = if is_over || has_looked {
            now
        } else {
            (began + jittered(expected)).min(latest)
        };
        let mut gap = expected.mul_f64(0.6).clamp(least, LONGEST_GAP);
        let mut not_yet = None;
        loop {
            sleep_until(look_at).await;
            let looked = Instant::now();
            match self.look(command, id).await {
                Ok(Progress::Ended(reply)) => {
                    // After a look at another one nobody knows by how much it was earlier.
                    if not_yet.is_some() || !(is_over || has_looked) {
                        let ended = looked.saturating_duration_since(began);
                        learned.observe(command, self.os, not_yet, ended);
                    }
                    return Ok(reply);
                }
                Ok(Progress::Running) => {
                    not_yet = Some(looked.saturating_duration_since(began));
                    *trouble = None;
                }
                Err(cause) if may_pass(&cause) => *trouble = Some(cause),
                Err(cause) => return Err(cause),
            }
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            look_at = now + jittered(gap).min(left / 2).max(least);
            gap = longer(gap);
        }
    }

    async fn look(&self, command: &Command, id: CommandId) -> Result<Progress, Cause> {
        let Shared { api, pace, .. } = &*self.shared;
        let read = |response: &_| answer::progress(response, &self.id, id, command);
        pace.send(api.progress(&self.id, id), Repeat::Always, read)
            .await
            .result
    }

    /// Of several under way the newest is looked at, once, if it is expected to end soon after this one: when
    /// it has ended, all have. Says whether it was looked at.
    async fn look_at_newest(&mut self, id: CommandId, began: Instant, latest: Instant) -> bool {
        let shared = Arc::clone(&self.shared);
        let (learned, os) = (&shared.learned, self.os);
        let all: Vec<(CommandId, Command)> = self
            .issued
            .range(id..)
            .map(|(id, issued)| (*id, issued.command.clone()))
            .collect();
        let each: Vec<Duration> = all
            .iter()
            .map(|(_, command)| learned.expected(command, os))
            .collect();
        let together: Duration = each.iter().sum();
        let look_at = began + jittered(together);
        let [(_, _), .., (newest, command)] = &all[..] else {
            return false;
        };
        let is_soon = together.saturating_sub(each[0]) <= SOON && look_at <= latest;
        if !is_soon || !self.is_orderly || self.over >= Some(id) {
            return false;
        }
        sleep_until(look_at).await;
        let looked = Instant::now();
        let seen = self.look(command, *newest).await;
        let took = looked.saturating_duration_since(began);
        let factor = took.as_secs_f64() / together.as_secs_f64().max(f64::MIN_POSITIVE);
        let parts = all.iter().zip(each).map(|((_, one), expected)| {
            let share = expected.as_secs_f64() * factor;
            (one, Duration::try_from_secs_f64(share).unwrap_or(took))
        });
        match seen {
            Ok(Progress::Running) => {
                for (one, share) in parts {
                    learned.observe(one, os, Some(share), share.mul_f64(1.6));
                }
            }
            Ok(Progress::Ended(reply)) => {
                for (one, share) in parts {
                    learned.observe(one, os, None, share);
                }
                self.all_over(&all, Ok(reply), looked).await;
            }
            Err(cause @ Cause::Endpoint { .. }) => {
                self.all_over(&all, Err(cause), looked).await;
            }
            // One that was cancelled says nothing of others; any trouble the next look will have too.
            Err(_) => {}
        }
        true
    }

    /// The last of these has ended so: how the others did is asked all at once.
    async fn all_over(
        &mut self,
        all: &[(CommandId, Command)],
        last: Result<Reply, Cause>,
        seen: Instant,
    ) {
        let Some(((newest, _), others)) = all.split_last() else {
            return;
        };
        self.ended.insert(*newest, last);
        self.over = Some(*newest);
        self.last_end = Some(seen);
        let looks = others.iter().map(|(id, command)| self.look(command, *id));
        for ((id, _), seen) in others.iter().zip(join_all(looks).await) {
            let ended = match seen {
                Ok(Progress::Ended(reply)) => Ok(reply),
                Err(cause @ (Cause::Endpoint { .. } | Cause::CommandCancelled)) => Err(cause),
                Ok(Progress::Running) => {
                    // One that came later was done first: from now on each speaks for itself.
                    (self.is_orderly, self.over) = (false, None);
                    continue;
                }
                // It is asked again when it is its turn.
                Err(_) => continue,
            };
            self.ended.insert(*id, ended);
        }
    }
}
