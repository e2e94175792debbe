//! A process that dies after any event, and another that goes on: nothing is done twice, and nothing lost.

use crate::cable::Cable;
use crate::rig::{Ended, Left, Rig, Running};
use sortie::api::{ApiFleet, Tempo};
use sortie::ledger::journal::Tape;
use sortie::ledger::resume::Wish;
use sortie::live::{Backend, Fleet};
use sortie::model::outcome::DeviceState;
use sortie::sim::port::SimFleet;
use sortie::sim::scenario::Scenario;
use sortie::sim::world::World;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// Kills whoever writes its journal, as soon as so many lines of it are on the disk.
#[derive(Default)]
pub(crate) struct Killer {
    reached: Notify,
    buried: Mutex<bool>,
    wake: Condvar,
}

impl Killer {
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets the disk go on, when nobody is left to hear of it.
    fn release(&self) {
        *self.buried.lock().expect("no panic within") = true;
        self.wake.notify_all();
    }
}

struct Dying {
    file: File,
    lines: usize,
    killer: Arc<Killer>,
}

impl Tape for Dying {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let Some((last, _)) = ends.clone().nth(self.lines.saturating_sub(1)) else {
            self.lines -= ends.count();
            return self.file.write_all(bytes);
        };
        // What comes after is torn, and at times in the middle of a line.
        let torn = (bytes.len() - last - 1).min(last % 7);
        self.file.write_all(&bytes[..=last + torn])?;
        self.killer.reached.notify_one();
        let mut buried = self.killer.buried.lock().expect("no panic within");
        while !*buried {
            buried = self.killer.wake.wait(buried).expect("no panic within");
        }
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A journal whose process dies after so many lines.
pub(crate) fn dying(file: File, lines: usize, killer: Arc<Killer>) -> Box<dyn Tape> {
    Box::new(Dying {
        file,
        lines,
        killer,
    })
}

/// A journal that only tells when so many lines of it are on the disk.
struct Telling {
    file: File,
    lines: usize,
    teller: Arc<Killer>,
}

impl Tape for Telling {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        let ends = bytes.split(|byte| *byte == b'\n').count() - 1;
        if self.lines > 0 && ends >= self.lines {
            self.teller.reached.notify_one();
        }
        self.lines = self.lines.saturating_sub(ends);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

pub(crate) fn telling(file: File, lines: usize, teller: Arc<Killer>) -> Box<dyn Tape> {
    Box::new(Telling {
        file,
        lines,
        teller,
    })
}

/// Devices on which everything can be changed that the playbook wants changed.
pub(crate) fn fleet(devices: usize) -> World {
    let things = r"os: windows
      files:
        - {path: 'C:\T\miner.exe', text: MZ}
      registry:
        - {key: 'HKLM\SOFTWARE\T', values: [{name: n, type: REG_DWORD, data: '7'}]}
        - {key: 'HKLM\SOFTWARE\T\Sub\Deep', values: [{name: s, data: x}]}
      processes:
        - {path: 'C:\T\miner.exe', command_line: 'miner.exe -o pool', pid: 4444}
        - {path: 'C:\T\miner.exe', command_line: 'miner.exe -o other', pid: 4448}";
    let mut text = "devices:\n".to_owned();
    for id in 1..=devices {
        writeln!(
            text,
            "    - name: host-{id}\n      id: {id}\n      {things}"
        )
        .expect("text grows");
    }
    let loaded = Scenario::load("fleet.yaml", text.as_bytes());
    let scenario = loaded.scenario.ok_or(loaded.diagnostics);
    scenario.expect("it is one").world()
}

/// How a life went.
pub(crate) enum Life {
    Killed(Left),
    Whole(Box<Ended>),
}

/// Lives until so many more lines of the journal are written.
pub(crate) async fn live(mut running: Running, killer: &Killer) -> Life {
    tokio::select! {
        biased;
        () = killer.reached.notified() => {}
        () = running.over() => return Life::Whole(Box::new(running.end().await)),
    }
    let left = running.kill().await;
    killer.release();
    Life::Killed(left)
}

/// How the engine reaches the world.
#[derive(Debug, Clone, Copy)]
enum Way {
    Port,
    Wire,
}

pub(crate) const STEPS: &str = include_str!("crash.yaml");

fn rig(world: &World, way: Way) -> Rig {
    let rig = Rig::on(STEPS, world.clone());
    rig.through(|world| match way {
        Way::Port => Arc::new(SimFleet::new(world.clone())) as Arc<dyn Fleet>,
        Way::Wire => {
            let backend = Backend {
                api: "v6".to_owned(),
                url: "http://127.0.0.1:1".to_owned(),
                organisation: world.org_key().to_owned(),
                simulated: true,
            };
            Arc::new(ApiFleet::over(Cable::new(world, ""), backend, Tempo::CLOUD))
        }
    })
}

/// The life of a run that is killed after each of these numbers of lines, and then goes on to its end; none
/// if it ends before.
async fn lives(way: Way, devices: usize, deaths: &[usize]) -> Option<Ended> {
    let world = fleet(devices);
    // The engine's wall clock goes by real time, and the world's must not be behind it.
    tokio::time::advance(Duration::from_hours(1)).await;
    let mut left: Option<Left> = None;
    for lines in deaths {
        let killer = Arc::new(Killer::default());
        let (lines, by) = (*lines, Arc::clone(&killer));
        let rig = rig(&world, way).tape(move |file| dying(file, lines, by));
        let running = match left.take() {
            None => rig.begin().await,
            Some(left) => rig.resume(left, Wish::GoOn).await,
        };
        match live(running, &killer).await {
            Life::Killed(dead) => left = Some(dead),
            Life::Whole(ended) => {
                drop(ended);
                return None;
            }
        }
    }
    let resumed = rig(&world, way).resume(left?, Wish::GoOn).await;
    Some(resumed.end().await)
}

/// What has to hold however often a run was killed.
pub(crate) fn check(ended: &Ended, what: &str) -> BTreeMap<DeviceState, u64> {
    ended.sound_at_last(what);
    for id in &ended.ids {
        let (state, why) = ended.end_of(*id);
        assert!(
            state == "ok" || state == "unknown",
            "{what}: {id} is {state}: {why}"
        );
        let record = ended.state.device(*id).expect("it was planned");
        assert_eq!(record.left_behind, [""; 0], "{what}");
    }
    nothing_twice(ended, what);
    ended.state.counts()
}

/// Nothing that the playbook wants was done more than once.
pub(crate) fn nothing_twice(ended: &Ended, what: &str) {
    let mut done: BTreeMap<(u64, &str, String), u64> = BTreeMap::new();
    for change in ended.world.books().changes {
        assert!(
            change.code == 0 || change.command == "delete file",
            "{what}: {change:?}"
        );
        // What stands there for the time of the steps is put there again by the run after a stop.
        let is_again = what.starts_with("stopped") && change.what.ends_with("brief.txt");
        if change.code == 0 && !is_again {
            *done
                .entry((change.device, change.command, change.what))
                .or_default() += 1;
        }
    }
    let twice: Vec<_> = done.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{what}: {twice:?}");
}

/// Kills a run after every event that it has, each time from its beginning.
async fn every_event(way: Way, devices: usize) -> BTreeMap<DeviceState, u64> {
    let mut all: BTreeMap<DeviceState, u64> = BTreeMap::new();
    // The first event is there before the run is.
    for lines in 2.. {
        let what = format!("{way:?}, killed after {lines} events");
        let Some(ended) = lives(way, devices, &[lines]).await else {
            break;
        };
        for (state, count) in check(&ended, &what) {
            *all.entry(state).or_default() += count;
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_twice_and_nothing_is_lost() {
    let states = every_event(Way::Port, 2).await;
    assert!(
        states.keys().all(|state| *state == DeviceState::Ok),
        "{states:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn nor_over_the_wire() {
    let states = every_event(Way::Wire, 2).await;
    assert!(
        states.keys().all(|state| *state == DeviceState::Ok),
        "{states:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn nor_if_the_resume_dies_too() {
    for seed in 0..40_usize {
        let deaths = [2 + seed * 7 % 61, 2 + seed * 13 % 29, 2 + seed * 5 % 17];
        let what = format!("killed after {deaths:?} events");
        if let Some(ended) = lives(Way::Wire, 2, &deaths).await {
            check(&ended, &what);
        }
    }
}
