//! The engine over the simulated port, in virtual time: memory dumps, which take long and must not run twice.

use crate::faulty::{Call, Fault, Faulty, Op};
use crate::rig::{Ended, Rig, playbook, windows};
use sortie::model::outcome::Cause;
use sortie::sim::device::SimDevice;
use sortie::sim::endpoint::memory::Memory;
use std::sync::Arc;

const PATH: &str = r"C:\Windows\Temp\memory.dmp";
const WRITTEN: &str = r"C:\Windows\Temp\memory.dmp.zip";

/// A dump by an author who would repeat it gladly.
fn dump(arguments: &str, timeout: &str) -> String {
    let steps = format!(
        "  - id: dump\n    memdump: {{path: '{PATH}'{arguments}}}\n    timeout: {timeout}\n    \
         retry: {{attempts: 3, delay: 1s}}\n"
    );
    playbook(&steps).replace("[read, exec]", "[read, memory]")
}

/// A device with so many MiB of memory, and room for two dumps.
fn device(mebibytes: u64) -> Vec<SimDevice> {
    let mut devices = windows(1);
    let endpoint = &mut devices[0].endpoint;
    endpoint.memory = Memory(mebibytes << 20);
    endpoint.free = mebibytes << 21;
    devices
}

/// What was changed on the endpoint, in a word each.
fn changes(ended: &Ended) -> Vec<(&'static str, String)> {
    let changes = ended.world.books().changes.into_iter();
    changes
        .map(|change| (change.command, change.what))
        .collect()
}

fn left_behind(ended: &Ended) -> Vec<String> {
    let record = ended.state.device(ended.ids[0]).expect("it was planned");
    record.left_behind.clone()
}

fn rule(
    op: Op,
    command: &'static str,
    cause: Cause,
) -> impl Fn(&Call<'_>) -> Option<Fault> + Send + Sync + 'static {
    move |call| {
        let is_first = command != "memdump" || call.nth == 1;
        let hit = call.op == op && call.command == command && is_first;
        hit.then(|| Fault::Before(cause.clone()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_dump_has_the_time_that_the_author_gives_it() {
    let dumped = ("memdump", PATH.to_owned());
    let deleted = ("delete file", WRITTEN.to_owned());
    let stays = vec![WRITTEN.to_owned()];
    // Four GiB take 768 seconds. What is nearly done by its time is waited for.
    let table = [
        ("1h", "done", vec![dumped.clone()], &stays),
        ("760s", "done", vec![dumped.clone()], &stays),
        ("10m", "unknown", vec![dumped.clone()], &stays),
        ("725s", "unknown", vec![dumped, deleted], &vec![]),
    ];
    for (timeout, outcome, changed, left) in table {
        let ended = Rig::new(dump("", timeout), device(4 << 10)).run().await;
        ended.sound();
        assert_eq!(ended.steps(), [("dump".into(), outcome, 1)], "{timeout}");
        assert_eq!(changes(&ended), changed, "{timeout}");
        assert_eq!(&left_behind(&ended), left, "{timeout}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dump_is_deleted_only_when_it_was_fetched() {
    let broken = || Cause::ConnectionLost {
        detail: "reset".into(),
    };
    let denied = || Cause::Endpoint { code: 0x8007_0005 };
    let full = || Cause::Endpoint { code: 0x8007_0070 };
    let limited = || Cause::RateLimited {
        retry_after: Some(1),
    };
    // Where it goes wrong, how, and then: the outcome, how many tries there were, how often the memory was
    // dumped and the file deleted, and how many files stay.
    let table = [
        // The only dump that there is stays where it is.
        (Op::Finish, "get file", denied(), "failed", [1, 1, 0, 1]),
        (Op::Content, "", broken(), "failed", [1, 1, 0, 1]),
        (Op::Finish, "delete file", denied(), "done", [1, 1, 1, 1]),
        (Op::Issue, "delete file", broken(), "done", [1, 1, 0, 1]),
        (Op::Finish, "memdump", full(), "failed", [1, 1, 1, 0]),
        (Op::Finish, "memdump", denied(), "failed", [1, 1, 0, 0]),
        (Op::Finish, "memdump", broken(), "done", [1, 1, 1, 0]),
        // What never arrived leaves nothing, and nothing is deleted.
        (Op::Issue, "memdump", limited(), "done", [2, 1, 1, 0]),
    ];
    for (op, command, cause, outcome, counts) in table {
        let case = format!("{cause:?} in {op:?} of {command}");
        let [tries, dumped, deleted, left] = counts;
        let ended = Rig::new(dump(", download: true", "5m"), device(1))
            .through(|world| Arc::new(Faulty::new(world, rule(op, command, cause))))
            .run()
            .await;
        ended.sound();
        let (_, word, attempts) = &ended.steps()[0];
        assert_eq!((*word, *attempts as usize), (outcome, tries), "{case}");
        let changes = changes(&ended);
        let count = |name| changes.iter().filter(|change| change.0 == name).count();
        assert_eq!(count("memdump"), dumped, "{case}");
        assert_eq!(count("delete file"), deleted, "{case}");
        assert_eq!(left_behind(&ended).len(), left, "{case}");
    }
}
