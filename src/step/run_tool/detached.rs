//! A tool that nobody waits for with a command: how its end is seen.

use super::site::is_there;
use crate::model::outcome::{Cause, whole_seconds};
use crate::step::cx::StepCx;
use std::time::Duration;

/// A session that nobody speaks to for longer may end.
const LONGEST_POLL: Duration = Duration::from_mins(10);
const SHORTEST_POLL: Duration = Duration::from_secs(1);
/// For the look at the very end of the time.
const LAST_LOOK: Duration = Duration::from_secs(30);

/// The file that is there once the tool is done, and how often to look.
pub(super) struct Done {
    pub(super) path: String,
    /// It lies in the tool's directory, and goes with it.
    pub(super) is_ours: bool,
    pub(super) poll: Duration,
}

/// How often to look, so that neither the backend nor the session suffers.
pub(super) fn bounded(poll: Duration) -> Duration {
    poll.clamp(SHORTEST_POLL, LONGEST_POLL)
}

/// Looks for the file that says that the tool is done, until the step's time is over.
pub(super) async fn until_done(
    cx: &mut StepCx<'_>,
    done: &Done,
    pid: Option<u64>,
) -> Result<(), Cause> {
    let seconds = whole_seconds(cx.hands.left());
    let mut is_last = false;
    while !is_last {
        let left = cx.hands.left();
        is_last = left <= done.poll;
        cx.hands.wait(done.poll.min(left)).await?;
        if is_last {
            cx.hands.extend(LAST_LOOK);
        }
        match is_there(cx, &done.path).await {
            Ok(true) => return Ok(()),
            // The tool runs on, whatever becomes of our session; and no look was had.
            Err(Cause::SessionLost) => {
                cx.hands.renew().await?;
                is_last = false;
            }
            Err(cause) if !cause.is_transient() => return Err(cause),
            Ok(false) | Err(_) => {}
        }
    }
    Err(Cause::NotDone {
        what: done.path.as_str().into(),
        seconds,
        pid,
    })
}
