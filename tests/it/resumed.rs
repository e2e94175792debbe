//! What a crash or a stop leaves in the journal is enough to go on: nothing runs twice, and nothing is forgotten.

use crate::crash::{Killer, Life, check, dying, live, nothing_twice, telling};
use crate::rig::{Ended, Rig};
use crate::sound::sha256;
use serde_json::json;
use sortie::ledger::resume::{Rest, Wish, remaining};
use sortie::model::command::Command;
use sortie::model::effect::Effect;
use sortie::model::event::{DeviceEnd, EventKind, OnError, RunEvent, Settled};
use sortie::model::id::{CommandId, DeviceId, SessionId, StepId};
use sortie::model::outcome::{Cause, Outcome};
use sortie::model::remote::RemoteText;
use sortie::model::state::{DeviceRecord, RunState};
use sortie::sim::scenario::Scenario;
use sortie::sim::world::World;
use std::sync::Arc;
use std::time::Duration;

const DEVICE: DeviceId = DeviceId(1);

fn folded(events: impl IntoIterator<Item = EventKind>) -> RunState {
    let mut state = RunState::new([DEVICE]);
    for (n, ev) in (0..).zip(events) {
        let t = jiff::Timestamp::UNIX_EPOCH;
        state.apply(&RunEvent { n, t, mono: n, ev });
    }
    state
}

fn record(state: &RunState) -> &DeviceRecord {
    state.device(DEVICE).expect("it is planned")
}

fn started(step: &str, item: Option<u32>) -> EventKind {
    EventKind::StepStarted {
        device: DEVICE,
        step: StepId::from(step),
        attempt: 1,
        item,
        nonce: "n".into(),
    }
}

fn finished(step: &str, outcome: Outcome) -> EventKind {
    EventKind::StepFinished {
        device: DEVICE,
        step: StepId::from(step),
        outcome,
        attempts: 1,
        on_error: OnError::Fail,
    }
}

fn kill(pid: u64) -> Command {
    Command::Kill {
        pid,
        path: RemoteText::from(r"C:\T\miner.exe"),
        created: None,
    }
}

fn permitted(step: &str, pid: u64) -> EventKind {
    EventKind::CommandPermitted {
        device: DEVICE,
        step: StepId::from(step),
        session: SessionId("s".into()),
        command: kill(pid),
        effect: Effect::Once,
    }
}

fn issued(step: &str, id: u64) -> EventKind {
    EventKind::CommandIssued {
        device: DEVICE,
        step: StepId::from(step),
        session: SessionId("s".into()),
        command: CommandId(id),
        name: "kill".into(),
    }
}

fn ended(id: u64) -> EventKind {
    EventKind::CommandEnded {
        device: DEVICE,
        session: SessionId("s".into()),
        command: CommandId(id),
        cause: None,
        started: None,
    }
}

fn settled(step: &str, settled: Settled) -> EventKind {
    EventKind::CommandSettled {
        device: DEVICE,
        step: StepId::from(step),
        session: SessionId("s".into()),
        settled,
    }
}

#[test]
fn what_must_not_run_twice_stays_in_doubt_where_the_endpoint_shows_no_effect() {
    let state = folded([
        started("it", None),
        permitted("it", 7),
        settled("it", Settled::NotDone),
    ]);
    assert!(record(&state).doubt().is_some());
}

#[test]
fn a_step_that_is_run_again_leaves_the_doubt_of_another_alone() {
    let read = [
        started("read", None),
        finished("read", Outcome::Done),
        finished(
            "skipped",
            Outcome::Skipped {
                cause: Cause::WhenFalse,
            },
        ),
    ];
    for so_far in 1..=read.len() {
        let mut events = vec![started("it", None), permitted("it", 7)];
        events.extend(read[..so_far].iter().cloned());
        let state = folded(events);
        assert!(record(&state).doubt().is_some(), "{so_far}");
    }
}

#[test]
fn what_is_found_out_of_one_item_is_nothing_to_another() {
    let state = folded([
        started("it", Some(0)),
        permitted("it", 7),
        settled("it", Settled::Unclear),
        started("it", Some(1)),
        permitted("it", 8),
    ]);
    let mut pending = record(&state).pending.clone();
    let pending = pending.last_mut().expect("it is under way");
    let doubt = pending.doubt();
    assert_eq!(doubt.map(|doubt| &doubt.command), Some(&kill(8)));
    pending.settled(Settled::NeverRan);
    let doubt = pending.doubt().map(|doubt| &doubt.command);
    assert_eq!(doubt, Some(&kill(7)));
}

#[test]
fn what_ran_of_a_step_that_is_skipped_now_is_not_forgotten() {
    let cause = Cause::WhenFalse;
    let state = folded([
        started("it", None),
        permitted("it", 7),
        issued("it", 1),
        ended(1),
        finished("it", Outcome::Skipped { cause }),
    ]);
    let mut pending = record(&state).pending.clone();
    let pending = pending.last_mut().expect("it may yet go on");
    assert!(pending.take(None).will_recall(&kill(7)));
}

#[test]
fn what_must_not_run_twice_stands_also_where_it_was_interrupted() {
    for has_run in [true, false] {
        let cause = Cause::Interrupted;
        let mut events = vec![started("it", None)];
        if has_run {
            events.extend([permitted("it", 7), issued("it", 1), ended(1)]);
        }
        let outcome = Outcome::Failed {
            cause: cause.clone(),
        };
        let end = DeviceEnd::Cancelled { cause };
        let device = DEVICE;
        events.extend([
            finished("it", outcome),
            EventKind::DeviceEnded { device, end },
        ]);
        let rest = remaining([DEVICE], &folded(events), Wish::GoOn, &|_| true);
        let anew: Vec<StepId> = (!has_run).then(|| StepId::from("it")).into_iter().collect();
        assert_eq!(rest[&DEVICE], Rest::Walk { anew });
    }
}

fn world() -> World {
    let text = r"devices:
    - name: host-1
      id: 1
      os: windows
      files:
        - {path: 'C:\T\miner.exe', text: MZ}
      registry:
        - {key: 'HKLM\SOFTWARE\T', values: [{name: n, type: REG_DWORD, data: '7'}]}
        - {key: 'HKLM\SOFTWARE\T\Sub\Deep', values: [{name: s, data: x}]}
      processes:
        - {path: 'C:\T\miner.exe', command_line: 'miner.exe -o pool', pid: 4444}
        - {path: 'C:\T\miner.exe', command_line: 'miner.exe -o other', pid: 4448}
";
    let loaded = Scenario::load("fleet.yaml", text.as_bytes());
    let scenario = loaded.scenario.ok_or(loaded.diagnostics);
    scenario.expect("it is one").world()
}

/// A run that is killed after so many lines and then goes on; none if it ends before.
async fn killed(steps: &str, lines: usize) -> Option<Ended> {
    let world = world();
    tokio::time::advance(Duration::from_hours(1)).await;
    let killer = Arc::new(Killer::default());
    let by = Arc::clone(&killer);
    let running = Rig::on(steps, world.clone()).tape(move |file| dying(file, lines, by));
    match live(running.begin().await, &killer).await {
        Life::Killed(left) => {
            let resumed = Rig::on(steps, world).resume(left, Wish::GoOn).await;
            Some(resumed.end().await)
        }
        Life::Whole(_) => None,
    }
}

fn done(ended: &Ended, command: &str, what: &str) -> usize {
    let changes = ended.world.books().changes;
    let done = changes.iter().filter(|change| change.code == 0);
    done.filter(|change| change.command == command && change.what.contains(what))
        .count()
}

/// As [`killed`], of a run that was stopped after so many lines before.
async fn stopped(steps: &str, lines: usize, deaths: &[usize]) -> Option<Ended> {
    let world = world();
    tokio::time::advance(Duration::from_hours(1)).await;
    let teller = Arc::new(Killer::default());
    let by = Arc::clone(&teller);
    let rig = Rig::on(steps, world.clone()).tape(move |file| telling(file, lines, by));
    let mut running = rig.begin().await;
    tokio::select! {
        biased;
        () = teller.reached() => running.cancel.drain(),
        () = running.over() => return None,
    }
    let mut left = running.left().await;
    for lines in deaths {
        let killer = Arc::new(Killer::default());
        let (lines, by) = (*lines, Arc::clone(&killer));
        let rig = Rig::on(steps, world.clone()).tape(move |file| dying(file, lines, by));
        let running = rig.resume(left, Wish::GoOn).await;
        left = match live(running, &killer).await {
            Life::Killed(left) => left,
            Life::Whole(ended) => return Some(*ended),
        };
    }
    let resumed = Rig::on(steps, world).resume(left, Wish::GoOn).await;
    Some(resumed.end().await)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_stopped_does_nothing_twice() {
    let steps = include_str!("crash.yaml");
    for lines in 2.. {
        let deaths = [2 + lines * 7 % 31, 2 + lines * 5 % 17];
        let what = format!("stopped after {lines} events, killed after {deaths:?}");
        let Some(ended) = stopped(steps, lines, &deaths[..lines % 3]).await else {
            break;
        };
        ended.sound_at_last(&what);
        nothing_twice(&ended, &what);
        let (state, why) = ended.end();
        // What must not run twice ends where it was stopped.
        let is_cut = state == "failed" && why.ends_with("the run was stopped");
        let is_whole = state == "ok" || state == "unknown";
        assert!(is_whole || is_cut, "{what}: {state}: {why}");
    }
}

/// What lies there for the time of the steps, and is written about as little as may be.
const GUESTS: &str = r"sortie: 1
name: guests
permissions: [read, write, delete, exec]
targets: {os: windows}
steps:
  - id: put
    put_file: {path: 'C:\T\guest.txt', content: hello, remove_after: true}
  - id: who
    exec: {command: whoami.exe, effect: once}
    register: who
  - id: seen
    get_file: 'C:\T\guest.txt'
  - id: gone
    reg_delete_key: {key: 'HKLM\SOFTWARE\T\Sub', unguarded: true, recursive: true}
    no_log: true
outputs:
  who: '{{ who.stdout }}'
";

#[tokio::test(start_paused = true)]
async fn what_is_put_for_a_while_goes_also_after_a_crash() {
    for lines in 2.. {
        let Some(ended) = killed(GUESTS, lines).await else {
            break;
        };
        check(&ended, &format!("killed after {lines} events"));
        assert_eq!(done(&ended, "delete file", "guest.txt"), 1, "{lines}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_put_for_a_while_is_there_again_after_a_stop() {
    for lines in 2.. {
        let Some(ended) = stopped(GUESTS, lines, &[]).await else {
            break;
        };
        let (state, why) = ended.end();
        assert_eq!((&*state, &*why), ("ok", ""), "{lines}");
        let puts = done(&ended, "put file", "guest.txt");
        assert_eq!(done(&ended, "delete file", "guest.txt"), puts, "{lines}");
        assert_eq!(done(&ended, "create process", "whoami"), 1, "{lines}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_journal_withholds_is_not_taken_for_something_else() {
    for lines in 2.. {
        let Some(ended) = killed(GUESTS, lines).await else {
            break;
        };
        let gone = done(&ended, "reg delete key", r"\Sub");
        assert_eq!(gone, 2, "{lines}: {:?}", ended.world.books().changes);
    }
}

#[tokio::test(start_paused = true)]
async fn outputs_are_kept_whenever_a_run_dies() {
    let mut known = None;
    for lines in 2.. {
        let Some(ended) = killed(GUESTS, lines).await else {
            break;
        };
        let outputs = ended.json(ended.ids[0], "data/outcome.json")["outputs"].clone();
        assert_ne!(outputs, json!({}), "{lines}");
        let first = known.get_or_insert_with(|| outputs.clone());
        assert_eq!(&outputs, first, "{lines}");
    }
}

/// A device for what brings something of its own, or makes it there.
const WORKSHOP: &str = r"devices:
  - name: host-1
    id: 1
    os: windows
    user: ann
    files:
      - {path: 'C:\Users\old one\NTUSER.DAT', size: 256KiB, magic: registry}
    registry:
      - {key: 'HKU\S-1-5-21-1-2-3-1001\Software\Interop\Run', values: [{name: first, data: a.exe}]}
      - {key: 'HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-1-2-3-1002', values: [{name: ProfileImagePath, type: REG_EXPAND_SZ, data: 'C:\Users\old one'}]}
      - {key: 'C:\Users\old one\NTUSER.DAT\Software\Interop\Run', values: [{name: second, data: b.exe}]}
executables:
  - {os: [windows], program: t.cmd, output: said, writes: [{path: out.csv, text: rows}]}
";

const TOOL: &str = "@echo off\r\nrem a tool of ours\r\n";

fn tools() -> String {
    let sha256 = sha256(TOOL.as_bytes());
    format!(
        r"sortie: 1
name: tools
permissions: [read, write, delete, exec, memory]
targets: {{os: windows}}
steps:
  - id: tool
    run_tool: {{source: tools/t.cmd, sha256: {sha256}, outputs: [out.csv]}}
    register: tool
  - id: hive
    get_file: {{path: 'C:\Windows\System32\config\SAM', if_locked: reg_save}}
  - id: hives
    reg_query: {{key: 'HKCU\Software\Interop\Run', hives: all, depth: 1}}
    register: hives
  - id: filed
    exec: {{command: whoami.exe, output: file}}
  - id: dump
    memdump: {{path: 'C:\Windows\Temp\memory.dmp', download: true}}
  - id: told
    assert: {{that: 'tool.stdout and hives.found'}}
"
    )
}

#[tokio::test(start_paused = true)]
async fn what_is_brought_there_or_made_there_goes_and_is_fetched_once() {
    let text = tools();
    let rig = |world: &World| {
        let mut rig = Rig::on(text.clone(), world.clone());
        rig.files = vec![("tools/t.cmd", TOOL.to_owned())];
        rig
    };
    let world = || {
        let loaded = Scenario::load("fleet.yaml", WORKSHOP.as_bytes());
        let scenario = loaded.scenario.ok_or(loaded.diagnostics);
        scenario.expect("it is one").world()
    };
    let whole = rig(&world()).run().await;
    assert_eq!(whole.end(), ("ok".into(), String::new()));
    let counts = |ended: &Ended| {
        let record = ended.state.device(ended.ids[0]).expect("it was planned");
        (record.files, record.left_behind.clone())
    };
    for lines in 2.. {
        let world = world();
        tokio::time::advance(Duration::from_hours(1)).await;
        let killer = Arc::new(Killer::default());
        let by = Arc::clone(&killer);
        let dies = rig(&world).tape(move |file| dying(file, lines, by));
        let Life::Killed(left) = live(dies.begin().await, &killer).await else {
            break;
        };
        let ended = rig(&world).resume(left, Wish::GoOn).await.end().await;
        let what = format!("killed after {lines} events");
        check(&ended, &what);
        if ended.end().0 == "ok" {
            assert_eq!(counts(&ended), counts(&whole), "{what}");
        }
    }
}
