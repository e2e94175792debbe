//! How many permits a second a journal gives on a real disk, and what one costs: many devices share a sync.
//!
//! A bounded loop, not a statistic. `TMPDIR` says which disk.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

use sortie::ledger::Ledger;
use sortie::ledger::journal::{self, Tape};
use sortie::model::command::Command;
use sortie::model::effect::Effect;
use sortie::model::event::EventKind;
use sortie::model::id::DeviceId;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

const PERMITS: u64 = 2_000;
const DEVICES: [u64; 3] = [1, 20, 100];

#[derive(Default)]
struct Counts {
    bytes: u64,
    events: u64,
    writes: u64,
    syncs: u64,
    largest: u64,
}

/// A file, and what was asked of it.
struct Counted {
    file: File,
    counts: Arc<Mutex<Counts>>,
}

impl Tape for Counted {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let events = bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
        {
            let mut counts = self.counts.lock().expect("no panic within");
            counts.bytes += bytes.len() as u64;
            counts.events += events;
            counts.writes += 1;
            counts.largest = counts.largest.max(events);
        }
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.counts.lock().expect("no panic within").syncs += 1;
        self.file.sync()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few digits are enough")]
fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    println!("devices  events  a second  bytes each  syncs  events a sync  most");
    for devices in DEVICES {
        let (counts, seconds) = runtime.block_on(record(devices));
        println!(
            "{devices:>7}  {:>6}  {:>8.0}  {:>10.0}  {:>5}  {:>13.1}  {:>4}",
            counts.events,
            counts.events as f64 / seconds,
            counts.bytes as f64 / counts.events as f64,
            counts.syncs,
            counts.events as f64 / counts.writes as f64,
            counts.largest,
        );
    }
}

/// So many devices that ask for permits, each for its next one when it has the last.
async fn record(devices: u64) -> (Counts, f64) {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let file = journal::create(&dir.path().join("journal.jsonl")).expect("it is new");
    let counts = Arc::new(Mutex::new(Counts::default()));
    let tape = Counted {
        file,
        counts: Arc::clone(&counts),
    };
    let ids: Vec<DeviceId> = (1..=devices).map(DeviceId).collect();
    let (ledger, writer) = Ledger::open(Box::new(tape), ids.iter().copied(), None);
    let begun = Instant::now();
    let tasks: Vec<_> = ids
        .into_iter()
        .map(|device| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                for turn in 0..PERMITS / devices {
                    let permit = ledger.record(permit(device, turn));
                    permit.await.expect("it can be written");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    drop(ledger);
    writer.finish().await.expect("it can be written");
    let seconds = begun.elapsed().as_secs_f64();
    let counts = std::mem::take(&mut *counts.lock().expect("no panic within"));
    (counts, seconds)
}

fn permit(device: DeviceId, turn: u64) -> EventKind {
    EventKind::CommandPermitted {
        device,
        step: "remove-the-implant".into(),
        session: "1:3230007".into(),
        command: Command::DeleteFile {
            path: format!(r"C:\Users\Public\Libraries\odupd-{turn}.exe"),
        },
        effect: Effect::Converge,
    }
}
