//! The engine when things go wrong: at the port, in the journal, by a person's hand.

use crate::faulty::{Call, Fault, Faulty, Op};
use crate::rig::{Ended, Rig, playbook, windows};
use sortie::ledger::journal::Tape;
use sortie::live::Fleet;
use sortie::model::event::{EventKind, Stop};
use sortie::model::outcome::Cause;
use sortie::sim::world::World;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// A command that must not run twice, by an author who would repeat it gladly.
const ONCE: &str = "  - id: once
    exec: hostname.exe
    retry: {attempts: 3, delay: 1s}
";

/// The same, with the output kept as a file.
const ONCE_INTO_FILE: &str = "  - id: once
    exec: {command: hostname.exe, output: file}
    retry: {attempts: 3, delay: 1s}
";

/// Reads only, in every way in which a step can read.
const READS: &str = "  - list_processes: {}
  - get_file: 'C:\\Windows\\System32\\drivers\\etc\\hosts'
  - exec: {command: hostname.exe, effect: read}
  - list_processes: {}
";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn broken() -> Cause {
    Cause::ConnectionLost {
        detail: "reset".into(),
    }
}

/// A way to the world on which this goes wrong.
fn through(
    rule: impl Fn(&Call<'_>) -> Option<Fault> + Send + Sync + 'static,
) -> impl FnOnce(&World) -> Arc<dyn Fleet> {
    |world| Arc::new(Faulty::new(world, rule))
}

async fn one(
    steps: &str,
    rule: impl Fn(&Call<'_>) -> Option<Fault> + Send + Sync + 'static,
) -> Ended {
    Rig::new(playbook(steps), windows(1))
        .through(through(rule))
        .run()
        .await
}

#[tokio::test(start_paused = true)]
async fn what_must_not_run_twice_never_does() {
    let limited = || Cause::RateLimited {
        retry_after: Some(30),
    };
    let in_use = || Cause::Endpoint { code: 0x8007_0020 };
    // Where it goes wrong, how, and then: outcome, how often it ran, tries.
    let table = [
        (Op::Issue, Fault::After(broken()), "done", 1, 1),
        (Op::Issue, Fault::Before(broken()), "done", 1, 1),
        (
            Op::Issue,
            Fault::Before(Cause::BackendDown { status: 503 }),
            "done",
            1,
            1,
        ),
        (Op::Issue, Fault::Before(limited()), "done", 1, 2),
        (Op::Issue, Fault::Lose, "done", 1, 2),
        (Op::Issue, Fault::Hang, "done", 1, 1),
        (Op::Issue, Fault::Panic, "unknown", 0, 1),
        (Op::Finish, Fault::Before(broken()), "done", 1, 1),
        (Op::Finish, Fault::Before(limited()), "done", 1, 1),
        (Op::Finish, Fault::Before(in_use()), "done", 2, 2),
        (
            Op::Finish,
            Fault::Before(Cause::CommandCancelled),
            "failed",
            1,
            1,
        ),
        (Op::Finish, Fault::Hang, "done", 1, 1),
        (Op::Finish, Fault::Panic, "unknown", 1, 1),
    ];
    for (op, fault, outcome, ran, tries) in table {
        let case = format!("{fault:?} in {op:?}");
        let ended = one(ONCE, move |call| {
            let hit = call.op == op && call.command == "create process" && call.nth == 1;
            hit.then(|| fault.clone())
        })
        .await;
        ended.sound();
        let steps = ended.steps();
        let ended_so: Vec<_> = steps.iter().map(|step| (step.1, step.2)).collect();
        assert_eq!(ended_so, [(outcome, tries)], "{case}");
        // Whoever plants the refusal of a command that did run has counted it twice.
        assert_eq!(ended.ran().len(), ran, "{case}");
        let state = if outcome == "done" { "ok" } else { outcome };
        assert_eq!(ended.end().0, state, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_for_stays_unknown() {
    let table = [
        (Op::Issue, Fault::After(broken()), 1),
        (Op::Issue, Fault::Before(broken()), 0),
        (
            Op::Issue,
            Fault::Before(Cause::BackendDown { status: 500 }),
            0,
        ),
        (Op::Issue, Fault::Hang, 0),
        (Op::Finish, Fault::Before(broken()), 1),
        (Op::Finish, Fault::Hang, 1),
        (Op::Finish, Fault::Lose, 1),
    ];
    for (op, fault, ran) in table {
        let case = format!("{fault:?} in {op:?}");
        let ended = one(ONCE, move |call| match call.op {
            Op::Seek => Some(Fault::Before(broken())),
            _ => (call.op == op && call.command == "create process").then(|| fault.clone()),
        })
        .await;
        ended.sound();
        assert_eq!(ended.end().0, "unknown", "{case}");
        assert_eq!((ended.steps()[0].2, ended.ran().len()), (1, ran), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_finished_command_does_not_repeat_it() {
    for steps in [ONCE, ONCE_INTO_FILE] {
        for (op, command) in [
            (Op::Issue, "get file"),
            (Op::Finish, "get file"),
            (Op::Content, ""),
        ] {
            let ended = one(steps, move |call| {
                (call.op == op && call.command == command).then(|| Fault::Before(broken()))
            })
            .await;
            ended.sound();
            assert_eq!(
                (ended.end().0.as_str(), ended.ran().len()),
                ("failed", 1),
                "{op:?}"
            );
            let record = ended.state.device(ended.ids[0]).expect("it was planned");
            assert_eq!(record.left_behind, [""; 0], "{op:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_removed_is_told() {
    for steps in [ONCE, ONCE_INTO_FILE] {
        let denied = Cause::Endpoint { code: 0x8007_0005 };
        for (op, fault, left) in [
            (Op::Issue, Fault::Before(broken()), 1),
            (Op::Finish, Fault::Before(denied), 1),
            // A look at the endpoint says that it is gone.
            (Op::Finish, Fault::Hang, 0),
            (Op::Issue, Fault::Lose, 1),
        ] {
            let ended = one(steps, move |call| {
                (call.op == op && call.command == "delete file").then(|| fault.clone())
            })
            .await;
            ended.sound();
            assert_eq!(ended.end().0, "ok", "the step has its result");
            let record = ended.state.device(ended.ids[0]).expect("it was planned");
            assert_eq!(record.left_behind.len(), left);
            let is_ours = |path: &String| path.starts_with("C:\\Windows\\Temp\\sortie-");
            assert!(record.left_behind.iter().all(is_ours));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_is_replaced_and_what_was_being_read_is_read_again() {
    for (op, calls) in [
        (Op::Issue, 6),
        (Op::Finish, 6),
        (Op::Announced, 2),
        (Op::Content, 2),
    ] {
        for nth in 1..=calls {
            let lost = move |call: &Call<'_>| call.op == op && call.nth == nth;
            let ended = one(READS, move |call| lost(call).then_some(Fault::Lose)).await;
            ended.sound();
            assert_eq!(ended.end().0, "ok", "{op:?} {nth}");
            assert_eq!(ended.world.books().sessions_opened, 2, "{op:?} {nth}");
        }
    }
    // Always lost: two more sessions, and then no more.
    let ended = one(READS, |call| (call.op == Op::Issue).then_some(Fault::Lose)).await;
    ended.sound();
    assert_eq!(ended.end().0, "failed");
    assert_eq!(ended.world.books().sessions_opened, 3);
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_does_not_come_about_is_closed_too() {
    let items: Vec<String> = (0..245).map(|item| item.to_string()).collect();
    let many = format!(
        "  - for_each: [{}]\n    list_processes: {{}}\n",
        items.join(", ")
    );
    for (op, fault) in [
        (Op::Ready, Fault::Hang),
        (
            Op::Ready,
            Fault::Before(Cause::NeverCheckedIn { seconds: 120 }),
        ),
        (Op::Request, Fault::Before(Cause::SessionLimit)),
        (Op::Request, Fault::Before(Cause::LiveResponseOff)),
    ] {
        let ended = one(&many, move |call| {
            (call.op == op && call.nth > 1).then(|| fault.clone())
        })
        .await;
        ended.sound();
        assert_eq!(ended.end().0, "failed", "{op:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_devices_trouble_is_no_other_devices() {
    let ops = [
        Op::Request,
        Op::Ready,
        Op::Issue,
        Op::Finish,
        Op::Announced,
        Op::Content,
        Op::Close,
    ];
    for op in ops {
        for fault in [Fault::Panic, Fault::Hang] {
            let case = format!("{fault:?} in {op:?}");
            let is_panic = matches!(fault, Fault::Panic);
            let devices = windows(5);
            let bad = devices[2].id;
            let rule =
                move |call: &Call<'_>| (call.device == bad && call.op == op).then(|| fault.clone());
            let ended = Rig::new(playbook(READS), devices)
                .through(through(rule))
                .run()
                .await;
            let cannot_be_closed = op == Op::Close;
            ended.sound_with_open(u64::from(cannot_be_closed));
            for id in &ended.ids {
                let (state, reason) = ended.end_of(*id);
                let is_bad = id.0 == bad && !cannot_be_closed;
                let expected = match op {
                    _ if !is_bad => "ok",
                    Op::Ready if !is_panic => "unreachable",
                    _ => "failed",
                };
                assert_eq!(state, expected, "{case}: {reason}");
                assert_eq!(
                    reason.starts_with("a bug in sortie"),
                    is_bad && is_panic,
                    "{case}"
                );
            }
        }
    }
}

/// Writes so often, then fails in the middle of a line, for ever.
struct Failing {
    file: File,
    left: usize,
}

impl Tape for Failing {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return self.file.append(bytes);
        }
        self.file.append(&bytes[..bytes.len() / 2])?;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_breaks_permits_nothing_more() {
    let steps = "  - exec: 'echo one'\n  - exec: 'echo two'\n    on_error: continue\n  - exec: 'echo three'\n";
    let mut last = None;
    for appends in 0..500 {
        let rig = Rig::new(playbook(steps), windows(3));
        let ended = rig
            .tape(move |file| {
                Box::new(Failing {
                    file,
                    left: appends,
                })
            })
            .run()
            .await;
        ended.sessions(0);
        let permits = ended.count(|event| matches!(event, EventKind::CommandPermitted { .. }));
        let changes = ended.world.books().changes.len();
        assert!(
            changes <= permits,
            "{appends}: {changes} changes, {permits} permits"
        );
        ended.permitted();
        if ended.written.is_ok() {
            ended.sound();
            assert_eq!(changes, 18);
            last = Some(appends);
            break;
        }
        assert!(ended.took < seconds(10), "{appends}");
    }
    // Less than an append for each event, as they share them; more than for the awaited ones.
    assert!(last.is_some_and(|appends| appends > 20), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_first_signal_lets_end_what_runs() {
    for (takes, took, outcome) in [(20, 20, "done"), (100, 36, "unknown")] {
        let steps = format!(
            "  - id: slow\n    exec: {{command: 'timeout.exe /t {takes}', output: none}}\n\
             \x20 - id: next\n    exec: hostname.exe\n"
        );
        let text = playbook(&steps).replace("max_sessions: 20", "max_sessions: 2");
        let running = Rig::new(text, windows(6)).begin().await;
        sleep(seconds(6)).await;
        running.cancel.drain();
        let ended = running.end().await;
        ended.sound();
        assert_eq!(ended.took.as_secs(), took);
        assert_eq!(
            ended.count(|event| matches!(event, EventKind::DeviceStarted { .. })),
            2
        );
        let books = ended.world.books();
        assert_eq!((books.sessions_opened, books.changes.len()), (2, 2));
        for (place, id) in ended.ids.iter().enumerate() {
            let expected = match (place, outcome) {
                (0 | 1, "unknown") => ("unknown", "slow: the run was stopped"),
                _ => ("cancelled", "the run was stopped"),
            };
            let (state, reason) = ended.end_of(*id);
            assert_eq!((state.as_str(), reason.as_str()), expected);
        }
        assert_eq!(
            ended.steps().iter().map(|step| step.1).collect::<Vec<_>>(),
            [outcome]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_closes_and_leaves() {
    let slow = "  - exec: 'timeout.exe /t 500'\n    timeout: 1h\n";
    // At any moment of a walk, through request, check-in, command and content.
    for tenths in [1, 5, 8, 10, 11, 12, 15, 30] {
        let rig = Rig::new(playbook(slow), windows(20))
            .through(|world| Arc::new(Faulty::new(world, |_| None).granting_after(seconds(1))));
        let running = rig.begin().await;
        sleep(Duration::from_millis(tenths * 100)).await;
        running.cancel.leave();
        let ended = running.end().await;
        ended.sound();
        let most = Duration::from_millis(tenths * 100) + seconds(2);
        assert!(ended.took <= most, "{:?} at {tenths}", ended.took);
        let states = ended.state.counts();
        assert_eq!(states.values().sum::<u64>(), 20, "{states:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_does_not_close_holds_nobody_who_leaves() {
    let rig = Rig::new(playbook(READS), windows(3));
    let rule = |call: &Call<'_>| matches!(call.op, Op::Close | Op::Content).then_some(Fault::Hang);
    let running = rig.through(through(rule)).begin().await;
    sleep(seconds(5)).await;
    running.cancel.drain();
    sleep(seconds(60)).await;
    running.cancel.leave();
    let ended = running.end().await;
    ended.sound_with_open(3);
    assert_eq!(ended.took.as_secs(), 67);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_of_no_use_ends_the_run() {
    let useless = |stop: Option<&Stop>| matches!(stop, Some(Stop::Backend { .. }));
    let rule =
        |call: &Call<'_>| (call.op == Op::Request).then_some(Fault::Before(Cause::Unauthorized));
    let refused = Rig::new(playbook(READS), windows(50))
        .through(through(rule))
        .run()
        .await;
    let struggling = Rig::new(playbook(READS), windows(50))
        .through(|world| Arc::new(Faulty::new(world, |_| None).struggling()))
        .run()
        .await;
    for (ended, most) in [(refused, 1), (struggling, 600)] {
        ended.sound();
        assert!(ended.took < seconds(most));
        assert!(useless(ended.state.stop()));
        for id in &ended.ids {
            let (state, reason) = ended.end_of(*id);
            assert!(["failed", "cancelled"].contains(&state.as_str()), "{state}");
            assert!(
                !reason.is_empty() && reason != "the run was stopped",
                "{reason}"
            );
        }
    }
}
