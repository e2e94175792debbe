//! The one way in which the engine says what happened, and the memory that this leaves.
//!
//! Only the ledger gives events their number and time. It does not know what the events are for:
//! nothing here prints, and no report is made here.

pub mod journal;
pub mod resume;

use crate::clock;
use crate::model::event::{EventKind, RunEvent};
use crate::model::id::DeviceId;
use crate::model::outcome::Cause;
use crate::model::state::RunState;
use crate::secret::Secrets;
use journal::{Chain, Tail, Tape};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Takes events and answers when they are as durable as they must be.
///
/// Many devices wait at once, so what arrives while a write is under way goes out together and costs
/// one sync.
#[derive(Clone)]
pub struct Ledger {
    entries: mpsc::UnboundedSender<Entry>,
    shared: Arc<Shared>,
    /// What no event may tell.
    secrets: Secrets,
}

struct Shared {
    state: Mutex<RunState>,
    broken: AtomicBool,
}

struct Entry {
    kind: EventKind,
    durable: Option<oneshot::Sender<()>>,
}

/// The other end of a ledger: its writer, to be awaited once every clone of the ledger is gone.
pub struct Writer {
    task: JoinHandle<Box<dyn Tape>>,
    shared: Arc<Shared>,
}

impl Ledger {
    /// Starts the journal on `tape`. `watchers` are told of each event after it is written.
    pub fn open(
        tape: Box<dyn Tape>,
        devices: impl IntoIterator<Item = DeviceId>,
        watcher: Option<mpsc::UnboundedSender<RunEvent>>,
    ) -> (Self, Writer) {
        Self::go_on(tape, RunState::new(devices), &Tail::default(), watcher)
    }

    /// Goes on with a journal that ends so, and whose fold is `state`.
    pub fn go_on(
        tape: Box<dyn Tape>,
        state: RunState,
        tail: &Tail,
        watcher: Option<mpsc::UnboundedSender<RunEvent>>,
    ) -> (Self, Writer) {
        let (entries, inbox) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            broken: AtomicBool::new(false),
        });
        let at = Position {
            chain: Chain::after(tail),
            next: tail.lines,
            mono: tail.mono,
        };
        let writer = tokio::spawn(write(inbox, at, tape, Arc::clone(&shared), watcher));
        let writer = Writer {
            task: writer,
            shared: Arc::clone(&shared),
        };
        let secrets = Secrets::default();
        let ledger = Self {
            entries,
            shared,
            secrets,
        };
        (ledger, writer)
    }

    /// The same ledger, through which nobody learns these.
    #[must_use]
    pub fn without(mut self, secrets: &Secrets) -> Self {
        self.secrets = secrets.clone();
        self
    }

    /// Records an event. Returns when it is durable if it must be, else at once.
    pub async fn record(&self, mut kind: EventKind) -> Result<(), Cause> {
        if self.is_broken() {
            return Err(Cause::Journal);
        }
        if !self.secrets.is_empty() {
            kind.conceal(&|text| self.secrets.hide(text));
        }
        let awaited = kind.is_awaited();
        let (durable, done) = oneshot::channel();
        let entry = Entry {
            kind,
            durable: awaited.then_some(durable),
        };
        self.entries.send(entry).map_err(|_| Cause::Journal)?;
        if awaited {
            done.await.map_err(|_| Cause::Journal)
        } else {
            Ok(())
        }
    }

    /// The journal could not be written; nothing is permitted any more.
    pub fn is_broken(&self) -> bool {
        self.shared.broken.load(Ordering::Acquire)
    }

    /// Everything recorded so far, folded.
    pub fn state(&self) -> MutexGuard<'_, RunState> {
        // A panic while folding leaves the state readable: each event is applied whole or reported by the panic.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Waits until everything is written; the ledger's clones must be gone by then. Fails if anything
    /// was not.
    pub async fn finish(self) -> Result<(), Cause> {
        let ended = self.task.await;
        if ended.is_err() || self.shared.broken.load(Ordering::Acquire) {
            return Err(Cause::Journal);
        }
        Ok(())
    }
}

/// Where the next event goes.
struct Position {
    chain: Chain,
    next: u64,
    /// Microseconds that the run took before.
    mono: u64,
}

async fn write(
    mut inbox: mpsc::UnboundedReceiver<Entry>,
    mut at: Position,
    mut tape: Box<dyn Tape>,
    shared: Arc<Shared>,
    watcher: Option<mpsc::UnboundedSender<RunEvent>>,
) -> Box<dyn Tape> {
    /// Enough to share one sync among all sessions of a run, without holding much memory.
    const GROUP: usize = 1024;
    let began = Instant::now();
    let mut group = Vec::new();
    while inbox.recv_many(&mut group, GROUP).await > 0 {
        let mut bytes = Vec::new();
        let mut events = Vec::with_capacity(group.len());
        let mut waiting = Vec::new();
        for Entry { kind, durable } in group.drain(..) {
            let mono = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            let mono = mono.saturating_add(at.mono);
            let event = RunEvent {
                n: at.next,
                t: clock::now(),
                mono,
                ev: kind,
            };
            at.next += 1;
            at.chain.append(&event, &mut bytes);
            events.push(event);
            waiting.extend(durable);
        }
        if shared.broken.load(Ordering::Acquire) {
            // Dropping `waiting` refuses every permit that was asked for.
            continue;
        }
        let awaited = !waiting.is_empty();
        // The pool holds tokio's clock still meanwhile, which a thread of our own would not.
        let written = tokio::task::spawn_blocking(move || {
            let result = tape
                .append(&bytes)
                .and_then(|()| if awaited { tape.sync() } else { Ok(()) });
            (tape, result)
        })
        .await;
        let Ok((back, result)) = written else {
            shared.broken.store(true, Ordering::Release);
            return Box::new(Vec::new());
        };
        tape = back;
        if result.is_err() {
            // A failed sync may have lost earlier bytes too: it is never tried again.
            shared.broken.store(true, Ordering::Release);
            continue;
        }
        {
            let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            for event in &events {
                state.apply(event);
            }
        }
        for durable in waiting {
            // Whoever stopped waiting was cancelled, and does not act on the permit.
            let _ = durable.send(());
        }
        if let Some(watcher) = &watcher {
            for event in events {
                // Nobody watching is no reason to stop.
                let _ = watcher.send(event);
            }
        }
    }
    tape
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spent::Spent;
    use std::io;

    fn started(id: u64) -> EventKind {
        EventKind::SessionRequested {
            device: DeviceId(id),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn events_are_numbered_chained_and_folded() {
        let (ledger, writer) = Ledger::open(Box::new(Vec::new()), [DeviceId(1)], None);
        for id in 0..20 {
            ledger.record(started(id)).await.unwrap();
        }
        ledger
            .record(EventKind::RunEnded {
                spent: Spent {
                    requests: 3,
                    bytes: 4,
                },
            })
            .await
            .unwrap();
        assert_eq!(ledger.state().spent().requests, 3);
        drop(ledger);
        let tape = writer.task.await.unwrap();
        let mut seen = 0;
        journal::replay(tape.bytes(), |event| {
            assert_eq!(event.n, seen);
            seen += 1;
        })
        .unwrap();
        assert_eq!(seen, 21);
    }

    /// Takes `left` writes, then fails for ever.
    struct Failing {
        left: usize,
    }

    impl Tape for Failing {
        fn append(&mut self, _: &[u8]) -> io::Result<()> {
            self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_journal_that_fails_permits_nothing_more() {
        let (ledger, writer) = Ledger::open(Box::new(Failing { left: 1 }), [], None);
        assert_eq!(ledger.record(started(1)).await, Ok(()));
        assert_eq!(ledger.record(started(2)).await, Err(Cause::Journal));
        assert_eq!(ledger.record(started(3)).await, Err(Cause::Journal));
        assert!(ledger.is_broken());
        drop(ledger);
        assert_eq!(writer.finish().await, Err(Cause::Journal));
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waited_for_is_missed_at_the_end() {
        let (ledger, writer) = Ledger::open(Box::new(Failing { left: 0 }), [], None);
        let device = DeviceId(1);
        let unawaited = EventKind::DeviceStarted {
            device,
            anew: Vec::new(),
        };
        assert_eq!(ledger.record(unawaited).await, Ok(()));
        drop(ledger);
        assert_eq!(writer.finish().await, Err(Cause::Journal));
    }
}
