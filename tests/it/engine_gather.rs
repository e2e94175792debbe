//! The engine over the simulated port, in virtual time: scripts that gather many places at once.

use crate::faulty::{Call, Fault, Faulty, Op};
use crate::rig::{Ended, Rig, playbook, windows};
use serde_json::Value;
use sortie::model::device::Os;
use sortie::model::outcome::Cause;
use sortie::sim::device::SimDevice;
use sortie::sim::fleet::{Wanted, fleet};
use std::collections::BTreeSet;
use std::sync::Arc;

const EVERYTHING: &str =
    "run_keys, services, tasks, processes, netstat, users, logons, ps_history, autoruns";

fn gather(places: &str) -> String {
    playbook(&format!("  - {{id: gathered, gather: [{places}]}}\n"))
}

fn device(os: Os) -> Vec<SimDevice> {
    let wanted = Wanted {
        os: vec![os],
        ..Wanted::default()
    };
    fleet(1, &wanted, 7)
}

/// The rows of a step, without what tells that the script ran.
fn rows(ended: &Ended, file: &str) -> Vec<Value> {
    let told = ended.json(ended.ids[0], &format!("data/steps/{file}.json"));
    let rows = told["rows"].as_array().expect("a list").iter();
    rows.filter(|row| row["name"] != "gather")
        .cloned()
        .collect()
}

fn without_place(mut row: Value) -> Value {
    let extra = row["extra"].as_object_mut().expect("a map");
    assert!(extra.remove("place").is_some());
    row
}

#[tokio::test(start_paused = true)]
async fn the_rows_are_those_of_the_native_steps() {
    let steps = "  - {id: listed, list_processes: {}}\n\
         \x20 - {id: keys, reg_query: 'HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run'}\n\
         \x20 - {id: gathered, gather: [processes]}\n\
         \x20 - {id: run, gather: [run_keys]}\n";
    let ended = Rig::new(playbook(steps), windows(1)).run().await;
    ended.sound();
    assert_eq!(ended.end().0, "ok");
    let gathered: Vec<Value> = rows(&ended, "03-gathered")
        .into_iter()
        .map(without_place)
        .collect();
    assert_eq!(gathered, rows(&ended, "01-listed"));
    let mut gathered: Vec<Value> = rows(&ended, "04-run")
        .into_iter()
        .map(without_place)
        .collect();
    gathered.retain(|row| row["path"] == "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run");
    assert_eq!(gathered, rows(&ended, "02-keys"));
    assert!(gathered.len() > 1);
}

#[tokio::test(start_paused = true)]
async fn each_system_has_its_places() {
    for os in Os::NAMED {
        let book = gather(EVERYTHING).replace("os: windows", "os: [windows, linux, macos]");
        let ended = Rig::new(book, device(os)).run().await;
        ended.sound();
        assert_eq!(ended.steps(), [("gathered".into(), "done", 1)], "{os}");
        assert_eq!(ended.ran().len(), 1, "{os}");
        let rows = rows(&ended, "01-gathered");
        assert!(
            rows.iter().all(|row| row["cause"].is_null()),
            "{os}: {rows:?}"
        );
        let places: BTreeSet<&str> = rows
            .iter()
            .filter_map(|row| row["extra"]["place"].as_str())
            .collect();
        let expected = EVERYTHING.split(", ").filter(|place| match (os, *place) {
            (Os::Windows, _) => true,
            (_, "run_keys") | (Os::Macos, "services") => false,
            _ => true,
        });
        assert_eq!(places, expected.collect(), "{os}");
    }
}

/// What was deleted on the endpoint, and what stays there.
fn cleaned(ended: &Ended) -> (usize, usize) {
    let changes = ended.world.books().changes.into_iter();
    let deleted = changes.filter(|change| change.command == "delete file" && change.code == 0);
    let record = ended.state.device(ended.ids[0]).expect("it was planned");
    (deleted.count(), record.left_behind.len())
}

#[tokio::test(start_paused = true)]
async fn the_output_is_taken_away_whatever_comes_of_it() {
    let denied = || Cause::Endpoint { code: 0x8007_0005 };
    let broken = || Cause::ConnectionLost {
        detail: "reset".into(),
    };
    let timed_out = || Cause::Endpoint { code: 0x8007_05b4 };
    // Where it goes wrong, how, and then: the outcome, files deleted, files that stay.
    let table = [
        (Op::Finish, "none", denied(), "done", (1, 0)),
        (Op::Finish, "get file", denied(), "failed", (1, 0)),
        (Op::Finish, "delete file", denied(), "done", (1, 1)),
        (Op::Finish, "create process", broken(), "done", (2, 0)),
        (Op::Finish, "create process", timed_out(), "done", (2, 0)),
        (Op::Issue, "create process", denied(), "failed", (0, 0)),
    ];
    for (op, command, cause, outcome, counts) in table {
        let case = format!("{cause:?} in {op:?} of {command}");
        let rule = move |call: &Call<'_>| {
            // An answer that is lost once only.
            let is_it = op != Op::Finish || command != "create process" || call.nth == 1;
            let hit = call.op == op && call.command == command && is_it;
            hit.then(|| Fault::Before(cause.clone()))
        };
        let book = gather("processes").replace("]}\n", "], retry: {attempts: 2, delay: 1s}}\n");
        let ended = Rig::new(book, windows(1))
            .through(|world| Arc::new(Faulty::new(world, rule)))
            .run()
            .await;
        ended.sound();
        assert_eq!(ended.steps()[0].1, outcome, "{case}");
        assert_eq!(cleaned(&ended), counts, "{case}");
    }
}
