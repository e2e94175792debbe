//! The session that we hold on a device: opened, replaced where it was lost or is used up, and closed on
//! every path.
//!
//! It neither sends commands nor knows what they are for.

use super::cancel::Cancel;
use super::job::Job;
use super::link::blocking;
use super::retry;
use crate::bundle::Lease;
use crate::live::{Ours, Session};
use crate::model::command::SessionFacts;
use crate::model::device::Device;
use crate::model::event::{DeviceEnd, EventKind, SessionEnd, Stop};
use crate::model::id::{CommandId, SessionId};
use crate::model::outcome::{Cause, whole_seconds};
use futures_util::FutureExt;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// A device that has not checked in by then is not there. Its pending session would hold a slot.
const CHECK_IN: Duration = Duration::from_mins(2);
/// Commands of one session before another is opened; the service refuses the 251st.
const ROLL_OVER: u32 = 240;
/// Sessions opened in place of lost ones, per device.
const REOPENINGS: u32 = 2;
/// Tries at a session while the organisation has none free; the service itself lets a request live 60 s.
const SLOT_TRIES: u32 = 6;
const SLOT_PAUSE: Duration = Duration::from_secs(5);
/// A session left open holds one of the organisation's slots, so a backend in trouble is asked again.
const CLOSE_TRIES: u32 = 5;
const CLOSE_PAUSE: Duration = Duration::from_secs(30);
/// How long asking for a session, or closing one, may take: more than the longest pause that a backend
/// may ask for, less than what it takes a session to idle out by itself.
pub(super) const PATIENCE: Duration = Duration::from_mins(12);
/// The same when nobody wants to wait any more.
const LEAVING: Duration = Duration::from_secs(2);

/// Waiting for another run of ours that works on the device, where this one changes it.
const LEASE_WAIT: Duration = Duration::from_mins(2);
const LEASE_PAUSE: Duration = Duration::from_secs(2);

type Asked = JoinHandle<Result<Box<dyn Session>, Cause>>;

pub(super) struct Hold {
    job: Arc<Job>,
    device: Device,
    /// A request under way. Whoever waits for it may be cut short; the session that comes is still ours
    /// to close.
    asked: Option<Asked>,
    held: Option<Held>,
    reopened: u32,
    /// The sessions that an earlier process opened.
    pub(super) ours: Ours,
    /// The session that an earlier process left, and the commands of ours in it.
    pub(super) left: Option<(SessionId, BTreeSet<CommandId>)>,
    lease: Leased,
}

/// Whose the device is, among the runs on this machine.
enum Leased {
    /// Nobody can tell, or has asked.
    Unknown,
    Ours(#[expect(dead_code, reason = "held until it is dropped")] Lease),
    /// Another run has it, and we go on beside it.
    Shared,
}

pub(super) struct Held {
    pub(super) session: Box<dyn Session>,
    pub(super) issued: u32,
    /// The commands of ours in it that have a number.
    pub(super) known: BTreeSet<CommandId>,
    /// How many commands may be under way at once.
    pub(super) window: usize,
    is_ready: bool,
}

impl Hold {
    pub(super) fn new(job: Arc<Job>, device: Device) -> Self {
        Self {
            job,
            device,
            asked: None,
            held: None,
            reopened: 0,
            ours: Ours::default(),
            left: None,
            lease: Leased::Unknown,
        }
    }

    /// The session, if there is one that takes commands.
    pub(super) fn current(&mut self) -> Result<&mut Held, Cause> {
        let ready = self.held.as_mut().filter(|held| held.is_ready);
        ready.ok_or(Cause::SessionLost)
    }

    /// Opens a session and waits for the device. What was opened is held, and to be closed, also after
    /// a failure.
    pub(super) async fn open(&mut self) -> Result<SessionFacts, Cause> {
        let opened = self.open_unjudged().await.map_err(|cause| match cause {
            // A session that ended before the device came was given up by the backend.
            Cause::SessionLost => Cause::NeverCheckedIn {
                seconds: CHECK_IN.as_secs(),
            },
            cause => cause,
        });
        if let Err(cause) = &opened
            && cause.is_fatal()
        {
            let cause = cause.clone();
            self.job.stop(Stop::Backend { cause }).await;
        }
        opened
    }

    async fn open_unjudged(&mut self) -> Result<SessionFacts, Cause> {
        self.take_lease().await?;
        let device = self.device.id;
        let job = Arc::clone(&self.job);
        job.ledger
            .record(EventKind::SessionRequested { device })
            .await?;
        self.request().await?;
        let held = self.held.as_mut().ok_or(Cause::SessionLost)?;
        let facts = tokio::select! {
            biased;
            facts = held.session.ready(Instant::now() + CHECK_IN) => facts?,
            () = job.cancel.draining() => return Err(Cause::Interrupted),
            () = sleep(CHECK_IN + LEAVING) => return Err(Cause::SessionLost),
        };
        held.is_ready = true;
        let session = held.session.id();
        job.ledger
            .record(EventKind::SessionOpened { device, session })
            .await?;
        Ok(facts)
    }

    /// Makes the device ours, where that can be. Whoever changes nothing may go on beside another run.
    async fn take_lease(&mut self) -> Result<(), Cause> {
        let until = Instant::now() + LEASE_WAIT;
        let changes = self.job.plan.changing().next().is_some();
        let cancel = self.job.cancel.clone();
        loop {
            self.ask_for_lease().await;
            if !changes || !matches!(self.lease, Leased::Shared) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Cause::InUse);
            }
            tokio::select! {
                () = sleep(LEASE_PAUSE) => {}
                () = cancel.draining() => return Err(Cause::Interrupted),
            }
        }
    }

    async fn ask_for_lease(&mut self) {
        let Some(leases) = self.job.leases.clone() else {
            return;
        };
        if matches!(self.lease, Leased::Ours(_)) {
            return;
        }
        let (backend, device) = (self.job.plan.backend.clone(), self.device.id);
        let asked = blocking(move || leases.take(&backend.organisation, device)).await;
        self.lease = match asked {
            Ok(Ok(Some(lease))) => Leased::Ours(lease),
            Ok(Ok(None)) => Leased::Shared,
            // What cannot be written keeps nobody from working.
            _ => Leased::Unknown,
        };
    }

    async fn request(&mut self) -> Result<(), Cause> {
        let cancel = self.job.cancel.clone();
        let mut attempt = 0;
        loop {
            let (fleet, device) = (Arc::clone(&self.job.fleet), self.device.clone());
            let ours = self.ours.clone();
            self.asked = Some(tokio::spawn(
                async move { fleet.request(&device, &ours).await },
            ));
            let granted = tokio::select! {
                biased;
                granted = self.granted() => granted,
                () = cancel.grace_over() => Err(Cause::Interrupted),
                () = sleep(PATIENCE) => Err(Cause::NoAnswer { seconds: PATIENCE.as_secs() }),
            };
            match granted {
                Err(Cause::SessionLimit) if attempt < SLOT_TRIES => attempt += 1,
                granted => return granted,
            }
            tokio::select! {
                () = sleep(SLOT_PAUSE + retry::pause(SLOT_PAUSE, attempt)) => {}
                () = cancel.draining() => return Err(Cause::Interrupted),
            }
        }
    }

    /// Takes the session that was asked for into our hold.
    async fn granted(&mut self) -> Result<(), Cause> {
        let Some(asked) = &mut self.asked else {
            return Ok(());
        };
        let answer = asked.await;
        self.asked = None;
        let session = match answer {
            Ok(answer) => answer?,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => return Err(Cause::Interrupted),
        };
        let joined = session.is_joined();
        let granted = EventKind::SessionGranted {
            device: self.device.id,
            session: session.id(),
            joined,
        };
        let left = self.left.take().filter(|(id, _)| *id == session.id());
        let known = left.map_or_else(BTreeSet::new, |(_, known)| known);
        let is_shared = matches!(self.lease, Leased::Shared);
        self.held = Some(Held {
            session,
            issued: u32::try_from(known.len()).unwrap_or(u32::MAX),
            known,
            // Others in it wait for their turn as we do.
            window: if joined || is_shared {
                1
            } else {
                self.job.fleet.window()
            },
            is_ready: false,
        });
        self.job.ledger.record(granted).await
    }

    /// Makes sure that there is a session, opening another in place of a lost one a few times.
    pub(super) async fn ensure(&mut self) -> Result<(), Cause> {
        if self.current().is_ok() {
            return Ok(());
        }
        if !self.can_reopen() {
            return Err(Cause::SessionLost);
        }
        self.reopened += 1;
        self.replace().await
    }

    /// Whether a lost session would be replaced.
    pub(super) const fn can_reopen(&self) -> bool {
        self.reopened < REOPENINGS
    }

    /// Whether the session has taken nearly as many commands as it may.
    pub(super) fn is_used_up(&self) -> bool {
        (self.held.as_ref()).is_some_and(|held| held.issued >= ROLL_OVER)
    }

    /// How many commands may be under way at once: one where the session is about to be left.
    pub(super) fn window(&self) -> usize {
        let held = self.held.as_ref().filter(|held| held.issued < ROLL_OVER);
        held.map_or(1, |held| held.window)
    }

    /// Leaves the session, if there is one, for a new one.
    pub(super) async fn replace(&mut self) -> Result<(), Cause> {
        self.close().await;
        let opened = self.open().await;
        if opened.is_err() {
            self.close().await;
        }
        opened.map(drop)
    }

    /// Ends the session that we hold, if any; one that others use stays open. Says whether it is known to be
    /// over.
    pub(super) async fn close(&mut self) -> bool {
        if self.asked.is_some() {
            let late = AssertUnwindSafe(self.granted()).catch_unwind();
            drop(timeout(LEAVING, late).await);
            if let Some(asked) = self.asked.take() {
                asked.abort();
            }
        }
        if matches!(self.lease, Leased::Shared) && self.held.is_some() {
            self.ask_for_lease().await;
        }
        let is_shared = matches!(self.lease, Leased::Shared);
        // Held until it is closed: who is cut short here is followed by another who closes.
        let Some(held) = &mut self.held else {
            return false;
        };
        let session = held.session.id();
        let end = if held.session.is_joined() || is_shared {
            SessionEnd::LeftOpen
        } else {
            closed(&mut *held.session, &self.job.cancel).await
        };
        self.held = None;
        let is_over = matches!(end, SessionEnd::Closed | SessionEnd::Gone);
        let device = self.device.id;
        // A broken journal shows at the next permit.
        let _ = self
            .job
            .ledger
            .record(EventKind::SessionEnded {
                device,
                session,
                end,
            })
            .await;
        is_over
    }
}

async fn closed(session: &mut dyn Session, cancel: &Cancel) -> SessionEnd {
    let begun = Instant::now();
    let closing = AssertUnwindSafe(close_patiently(session)).catch_unwind();
    let leaving = async {
        cancel.leaving().await;
        sleep(LEAVING).await;
    };
    let ended = tokio::select! {
        biased;
        ended = closing => ended.ok(),
        () = leaving => None,
        () = sleep(PATIENCE) => None,
    };
    match ended {
        Some(Ok(())) => SessionEnd::Closed,
        Some(Err(Cause::SessionLost)) => SessionEnd::Gone,
        Some(Err(cause)) => SessionEnd::NotClosed { cause },
        None => SessionEnd::NotClosed {
            cause: Cause::NoAnswer {
                seconds: whole_seconds(begun.elapsed()),
            },
        },
    }
}

async fn close_patiently(session: &mut dyn Session) -> Result<(), Cause> {
    for _ in 1..CLOSE_TRIES {
        match session.close().await {
            Err(cause) if cause.is_transport() && cause.is_transient() => sleep(CLOSE_PAUSE).await,
            ended => return ended,
        }
    }
    session.close().await
}

/// How a device ends for which no session came about.
pub(super) fn end_of(cause: Cause) -> DeviceEnd {
    match cause {
        Cause::NeverCheckedIn { .. } => DeviceEnd::Unreachable { cause },
        Cause::Interrupted => DeviceEnd::Cancelled { cause },
        cause => DeviceEnd::Failed { cause },
    }
}
