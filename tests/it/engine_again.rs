//! The engine over the simulated port, in virtual time: what steps that change an endpoint take for their own
//! work when they are run again, and what goes again at the end.

use crate::engine_changes::{changes, reason, rig, step};
use crate::faulty::{Call, Fault, Faulty, Op};
use crate::rig::Ended;
use crate::sound::sha256;
use Trouble::{Lost, Unheard};
use sortie::model::outcome::Cause;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The first call of this kind goes wrong, and no other.
fn once(
    op: Op,
    command: &'static str,
    nth: usize,
    fault: Fault,
) -> impl Fn(&Call<'_>) -> Option<Fault> + Send + Sync {
    let seen = AtomicUsize::new(0);
    move |call: &Call<'_>| {
        let hit = call.op == op && call.command == command;
        let count = hit.then(|| seen.fetch_add(1, Ordering::Relaxed) + 1);
        (count == Some(nth)).then(|| fault.clone())
    }
}

fn broken() -> Cause {
    Cause::ConnectionLost {
        detail: "reset".into(),
    }
}

/// What goes wrong with a command.
#[derive(Debug)]
enum Trouble {
    /// The session is gone when it is asked for.
    Lost,
    /// It runs, and its answer does not come.
    Unheard,
}

/// The action, which command goes wrong and how, how often the endpoint is changed, and what holds afterwards.
type Again = (
    &'static str,
    Op,
    &'static str,
    usize,
    Trouble,
    usize,
    &'static str,
);

#[rustfmt::skip]
const AGAIN: &[Again] = &[
    (r"put_file: {path: 'C:\T\new.txt', content: hello}", Op::Issue, "directory list", 2, Lost, 1, "it.path"),
    (r"put_file: {path: 'C:\T\new.txt', content: hello}", Op::Issue, "put file", 1, Unheard, 1, "it.path"),
    (r"put_file: {path: 'C:\T\new.txt', content: hello}", Op::Issue, "put file", 1, Lost, 1, "it.path"),
    (r"put_file: {path: 'C:\T\a.txt', content: hello, overwrite: true}", Op::Issue, "put file", 1, Lost, 2, "it.path"),
    (r"create_directory: 'C:\T\new'", Op::Issue, "directory list", 3, Lost, 1, "it.created"),
    (r"delete_file: {path: 'C:\T\a.txt', sha256: THEIRS, if_missing: fail}", Op::Issue, "directory list", 2, Lost, 1, "it.found"),
    (r"delete_file: {path: 'C:\T\a.txt', sha256: THEIRS, if_missing: fail}", Op::Finish, "delete file", 1, Unheard, 1, "it.found"),
    (r"delete_file: {path: 'C:\T\a.txt', sha256: THEIRS, if_missing: fail}", Op::Issue, "delete file", 1, Lost, 1, "it.found"),
    (r"reg_set: {key: 'HKLM\SOFTWARE\T', value: new, data: x}", Op::Issue, "reg query value", 2, Lost, 1, "it.changed"),
    (r"reg_create_key: 'HKLM\SOFTWARE\T\New'", Op::Issue, "reg enum key", 2, Lost, 1, "it.created"),
    (r"reg_delete_value: {key: 'HKLM\SOFTWARE\T', value: n, if_missing: fail}", Op::Issue, "reg query value", 2, Lost, 1, "it.found"),
    (r"reg_delete_key: {key: 'HKLM\SOFTWARE\T\Sub\Deep', if_missing: fail}", Op::Issue, "reg enum key", 2, Lost, 1, "it.found"),
    // A look that fails is no reason to end something twice, nor to say that it failed.
    ("kill_process: {pid: 4444}", Op::Issue, "process list", 3, Lost, 1, "it.processes[0].pid == 4444"),
];

#[tokio::test(start_paused = true)]
async fn a_step_that_is_run_again_knows_its_own_work() {
    for (action, op, command, nth, trouble, changed, says) in AGAIN {
        let action = action.replace("THEIRS", &sha256(b"theirs"));
        let fault = match trouble {
            Lost => Fault::Lose,
            Unheard => Fault::After(broken()),
        };
        let case = format!("{action}: {fault:?} in {op:?} of {command}");
        let steps = format!("{}  - assert: {{that: \"{says}\"}}\n", step(&action));
        let ended = rig(&steps)
            .through(|world| Arc::new(Faulty::new(world, once(*op, command, *nth, fault))))
            .run()
            .await;
        ended.sound();
        let outcomes: Vec<&str> = ended.steps().iter().map(|step| step.1).collect();
        assert_eq!(outcomes, ["done", "done"], "{case}: {}", reason(&ended));
        assert_eq!(
            changes(&ended).len(),
            *changed,
            "{case}: {:?}",
            changes(&ended)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_of_which_nobody_heard_is_looked_for_and_not_repeated() {
    for fault in [Fault::After(broken()), Fault::Before(broken())] {
        let ended = rig(&step("kill_process: {pid: 4444}"))
            .through(|world| Arc::new(Faulty::new(world, once(Op::Issue, "kill", 1, fault))))
            .run()
            .await;
        ended.sound();
        assert_eq!(ended.steps(), [("it".into(), "done", 1)]);
        assert_eq!(changes(&ended).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_put_for_a_while_goes_also_after_a_failure_and_a_stop() {
    let put = r"  - id: put
    for_each: [a, b]
    put_file: {path: 'C:\T\new-{{ item }}.txt', content: hello, remove_after: true}
";
    let removed = [r"delete file C:\T\new-b.txt", r"delete file C:\T\new-a.txt"];
    let fails = format!("{put}  - assert: {{that: 'false'}}\n");
    let ended = rig(&fails).run().await;
    ended.sound();
    assert_eq!(changes(&ended)[2..], removed);

    let waits = format!("{put}  - wait: 1h\n");
    let running = rig(&waits).begin().await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    running.cancel.drain();
    let ended = running.end().await;
    ended.sound();
    assert_eq!(changes(&ended)[2..], removed);

    // Where it cannot go, that is told; also where nobody waits for it any more.
    let refuse = Fault::After(Cause::Endpoint { code: 0x8007_0005 });
    let ended = rig(&fails)
        .through(|world| {
            Arc::new(Faulty::new(
                world,
                once(Op::Finish, "delete file", 1, refuse),
            ))
        })
        .run()
        .await;
    let left = |ended: &Ended| {
        let record = ended.state.device(ended.ids[0]).expect("it was planned");
        record.left_behind.clone()
    };
    assert_eq!(left(&ended), [r"C:\T\new-b.txt"]);
    let running = rig(&waits).begin().await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    running.cancel.leave();
    let ended = running.end().await;
    assert_eq!(left(&ended), [r"C:\T\new-a.txt", r"C:\T\new-b.txt"]);
}

#[tokio::test(start_paused = true)]
async fn a_guard_looks_at_what_is_there_now() {
    // What an attempt before brought is no proof of what lies there when the next one deletes it.
    let delete = r"delete_file: {path: 'C:\T\a.txt', sha256: THEIRS}";
    let delete = delete.replace("THEIRS", &sha256(b"theirs"));
    let ended = rig(&step(&delete))
        .through(|world| {
            Arc::new(Faulty::new(
                world,
                once(Op::Issue, "delete file", 1, Fault::Lose),
            ))
        })
        .run()
        .await;
    ended.sound();
    assert_eq!(ended.steps(), [("it".into(), "done", 2)]);
    assert_eq!(ended.world.books().commands["get file"], 2);
}
