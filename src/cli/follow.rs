//! `sortie show --watch`: a run while it goes on, as its journal grows.

use super::Failure;
use super::exit::Exit;
use super::output::Output;
use super::past::{self, JOURNAL};
use crate::bundle::RunDir;
use crate::ledger::journal::Reader;
use crate::ui::past::closing;
use crate::ui::progress::{Show, watch};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often the journal is looked at.
const POLL: Duration = Duration::from_millis(250);

/// Shows what happens in a run until no process works on it any more.
pub(super) async fn follow(path: &Path, output: &Output) -> Result<Exit, Failure> {
    let mut past = past::begin(path)?;
    let broken = |error| past::broken(&path.join(JOURNAL), error);
    let file = File::open(path.join(JOURNAL)).map_err(|error| broken(error.into()))?;
    let mut journal = Reader::new(file);
    let show = if output.is_terminal {
        Show::Terminal
    } else {
        Show::Plain
    };
    let unheard = CancellationToken::new();
    let out = Heard {
        unheard: unheard.clone(),
    };
    let (events, inbox) = mpsc::unbounded_channel();
    let shown = tokio::spawn(watch(
        inbox,
        past.devices.clone(),
        past.state.clone(),
        show,
        out,
    ));
    let read = loop {
        // Asked first: what a process wrote before it let go is read below.
        let is_held = RunDir::is_held(path);
        let read = journal.read(|event| {
            past.state.apply(&event);
            let _ = events.send(event);
        });
        if read.is_err() || !is_held || unheard.is_cancelled() {
            break read;
        }
        sleep(POLL).await;
    };
    drop(events);
    // It has shown all that there is, or nobody looks.
    let _ = shown.await;
    read.map_err(broken)?;
    past::settle(&mut past, path, false);
    Output::result(&closing(&past));
    Ok(Exit::Ok)
}

/// Standard output, as long as somebody reads it.
struct Heard {
    unheard: CancellationToken,
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = anstream::stdout().write(bytes);
        if written.is_err() {
            self.unheard.cancel();
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        anstream::stdout().flush()
    }
}
