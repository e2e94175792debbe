//! Each request that may change something, lost in each way there is: nothing happens twice, nothing stays open,
//! and nothing is unknown that a look can tell.

use crate::cable::Asked;
use crate::crash;
use crate::rig::{Ended, Rig, playbook};
use crate::sound::sha256;
use crate::wire::wired;
use sortie::model::event::{EventKind, Settled};
use sortie::model::id::DeviceId;
use sortie::sim::books::Books;
use sortie::sim::scenario::Scenario;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

const TOOL: &str = "@echo off\r\nrem a tool of ours\r\n";

/// The devices.
const IDS: [u64; 2] = [1, 2];

/// How a request is lost.
const WAYS: [&str; 4] = [
    "reset: before",
    "reset: executed",
    "status: 500",
    "status: 500, executed: true",
];

/// What may run again where nobody knows whether it ran.
const AGAIN: &str = "echo converges";

/// What changes an endpoint, in every way that the language has.
pub(crate) fn changes() -> String {
    let hash = sha256(TOOL.as_bytes());
    playbook(&format!(
        "  - id: once
    exec: {{command: 'echo once', output: none}}
  - id: converges
    exec: {{command: {AGAIN}, output: none, effect: converge}}
    retry: {{attempts: 2}}
  - id: tool
    run_tool: {{source: tools/t.cmd, sha256: {hash}, outputs: [out.csv]}}
    retry: {{attempts: 2}}
"
    ))
    .replace("{os: windows}", "{names: '*'}")
}

/// A few devices on which all of that can be done.
pub(crate) fn rig() -> Rig {
    let fleet = "executables: [{os: windows, program: t.cmd, takes: 2s, writes: out.csv}]\n\
                 devices: [{name: one, id: 1, os: windows}, {name: two, id: 2, os: windows}]\n";
    let loaded = Scenario::load("fleet.yaml", fleet.as_bytes());
    let scenario = loaded.scenario.ok_or(loaded.diagnostics);
    let mut rig = Rig::on(changes(), scenario.expect("it is one").world());
    rig.files = vec![("tools/t.cmd", TOOL.to_owned())];
    rig
}

/// What each device carried out, where nothing else may be there twice: neither the same path nor the same line.
fn done<'b>(ended: &Ended, books: &'b Books, case: &str) -> Vec<Vec<(&'static str, &'b str)>> {
    let of_device = |id: &DeviceId| {
        let done = books.done(id.0);
        let mut once = done.clone();
        once.retain(|(_, what)| *what != AGAIN);
        once.sort_unstable();
        let all = once.len();
        once.dedup();
        assert_eq!(once.len(), all, "{case}: twice");
        done
    };
    ended.ids.iter().map(of_device).collect()
}

/// How often each device carried out each kind of change.
fn counts(ended: &Ended, case: &str) -> Vec<BTreeMap<&'static str, usize>> {
    let books = ended.world.books();
    let done = done(ended, &books, case);
    let count = |changes: &Vec<(&'static str, &str)>| {
        let mut counts = BTreeMap::new();
        for (command, _) in changes {
            *counts.entry(*command).or_default() += 1;
        }
        counts
    };
    done.iter().map(count).collect()
}

/// Every way to lose every POST of a run.
fn every_fault(log: &[Asked]) -> Vec<String> {
    let mut posts: BTreeMap<&str, usize> = BTreeMap::new();
    for asked in log {
        if let Some(route) = asked.route.strip_prefix("POST ") {
            *posts.entry(route).or_default() += 1;
        }
    }
    let mut faults = Vec::new();
    for (route, count) in posts {
        for nth in 1..=count {
            for trouble in WAYS {
                let at = format!("method: POST, route: '{route}', nth: {nth}");
                faults.push(format!("{{{at}, {trouble}}}"));
            }
        }
    }
    faults
}

#[tokio::test(start_paused = true)]
async fn no_post_that_is_lost_happens_twice_or_never() {
    let posts = none_is_lost(rig).await;
    // Sessions, files, and 11 commands on each of two devices.
    assert_eq!(posts, 2 * 13);
}

#[tokio::test(start_paused = true)]
async fn nor_does_any_change_that_the_language_has() {
    let changing = || Rig::on(crash::STEPS, crash::fleet(1));
    let posts = none_is_lost(changing).await;
    assert!(posts > 25, "{posts}");
}

/// Runs it with each of its POSTs lost in every way; gives how many there are.
async fn none_is_lost(rig: impl Fn() -> Rig) -> usize {
    let (clean, log) = wired(rig(), "").await;
    clean.sound();
    let expected = counts(&clean, "nothing goes wrong");
    let faults = every_fault(&log);
    for fault in &faults {
        let (ended, _) = wired(rig(), fault).await;
        ended.sound();
        for id in &ended.ids {
            let (state, reason) = ended.end_of(*id);
            assert_eq!(state, "ok", "{fault}: {reason}");
            let record = ended.state.device(*id).expect("it was planned");
            assert_eq!(record.left_behind, [""; 0], "{fault}");
        }
        assert_eq!(counts(&ended, fault), expected, "{fault}");
        let struck: u64 = ended.world.books().faults.values().sum();
        assert_eq!(struck, 1, "{fault}");
    }
    faults.len() / WAYS.len()
}

#[tokio::test(start_paused = true)]
async fn a_list_of_an_odd_form_is_understood_or_believed_not_at_all() {
    for odd in [
        "lower_case",
        "mixed_case",
        "text_ids",
        "extra_members",
        "missing_members",
        "null_arrays",
        "missing_arrays",
    ] {
        for trouble in ["reset: before", "reset: executed"] {
            let commands = "method: POST, route: 'liveresponse/sessions/{id}/commands'";
            let faults = format!("{{{commands}, nth: [1, 4, 9], {trouble}}}, {{odd: {odd}}}");
            let (ended, _) = wired(rig(), &faults).await;
            ended.sound();
            done(&ended, &ended.world.books(), &faults);
            for id in &ended.ids {
                let (state, reason) = ended.end_of(*id);
                let may_be_unknown = odd == "missing_members" && state == "unknown";
                assert!(
                    may_be_unknown || state == "ok",
                    "{faults}: {state} {reason}"
                );
            }
        }
    }
}

/// Where others work too nobody can tell from a list of commands what never arrived: the endpoint is asked, and
/// of a program it cannot tell.
#[tokio::test(start_paused = true)]
async fn in_a_session_of_others_only_a_program_is_unknown() {
    let joined = async || {
        let rig = rig();
        for id in IDS {
            rig.world.open(id).expect("there is room");
        }
        // Until its sensor is there.
        sleep(Duration::from_secs(1)).await;
        rig
    };
    let (_, log) = wired(rig(), "").await;
    let mut unknown = 0;
    // A session whose own request was lost may be ours, for all that can be seen.
    let of_a_session = |fault: &String| fault.contains("{id}/");
    for fault in every_fault(&log).into_iter().filter(of_a_session) {
        let (ended, _) = wired(joined().await, &fault).await;
        ended.sound_with_open(IDS.len() as u64);
        let books = ended.world.books();
        done(&ended, &books, &fault);
        for id in &ended.ids {
            let (state, reason) = ended.end_of(*id);
            let record = ended.state.device(*id).expect("it was planned");
            let doubtful = record
                .steps
                .iter()
                .filter(|step| step.outcome.word() == "unknown");
            unknown += doubtful.count();
            assert!(
                ["ok", "unknown"].contains(&&*state),
                "{fault}: {state} {reason}"
            );
        }
        let programs = in_doubt(&ended);
        assert!(
            programs.iter().all(|name| name == "create process"),
            "{fault}: {programs:?}"
        );
    }
    // The command that runs once and the tool, on each device, lost in each way.
    assert_eq!(unknown, 2 * 2 * 4);
}

/// The commands of which nobody knows what became.
fn in_doubt(ended: &Ended) -> Vec<String> {
    let mut permitted: BTreeMap<DeviceId, String> = BTreeMap::new();
    let mut doubts = Vec::new();
    for event in &ended.events {
        match &event.ev {
            EventKind::CommandPermitted {
                device, command, ..
            } => {
                permitted.insert(*device, command.name().to_owned());
            }
            EventKind::CommandSettled {
                device,
                settled: Settled::Unclear,
                ..
            } => {
                doubts.extend(permitted.get(device).cloned());
            }
            _ => {}
        }
    }
    doubts
}
