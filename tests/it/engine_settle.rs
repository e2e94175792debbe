//! The engine when nobody hears what became of a command that changes something: it looks, and neither repeats
//! what ran nor leaves unknown what a look can tell.

use crate::engine_tool::rig;
use crate::faulty::{Call, Fault, Faulty, Op};
use crate::rig::{Ended, Rig, playbook, windows};
use sortie::model::event::{EventKind, Settled};
use sortie::model::outcome::Cause;
use sortie::sim::scenario::Scenario;
use sortie::sim::world::World;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Whose session it is, and what of it can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// Ours alone.
    Ours,
    /// Somebody else was there before.
    Joined,
    /// Ours, and its commands cannot be listed.
    Unlisted,
    /// Nothing can be listed, neither in the session nor on the endpoint.
    Dark,
}

/// What goes wrong with the first command of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    LostBefore,
    LostAfter,
    DownBefore,
    DownAfter,
    EndUnheard,
    /// Its session is gone before it arrives.
    GoneBefore,
    /// Its session is gone while it runs.
    GoneAfter,
}

fn broken() -> Cause {
    Cause::ConnectionLost {
        detail: "reset".into(),
    }
}

fn down() -> Cause {
    Cause::BackendDown { status: 500 }
}

impl Trouble {
    fn fault(self) -> (Op, Fault) {
        match self {
            Self::LostBefore => (Op::Issue, Fault::Before(broken())),
            Self::LostAfter => (Op::Issue, Fault::After(broken())),
            Self::DownBefore => (Op::Issue, Fault::Before(down())),
            Self::DownAfter => (Op::Issue, Fault::After(down())),
            Self::EndUnheard => (Op::Finish, Fault::After(broken())),
            Self::GoneBefore => (Op::Issue, Fault::Lose),
            Self::GoneAfter => (Op::Finish, Fault::Lose),
        }
    }
}

/// Runs a tool on one device, whose commands of this name meet with that trouble so often.
async fn struck(
    arguments: &str,
    command: &'static str,
    (trouble, times): (Trouble, usize),
    ground: Ground,
) -> Ended {
    let (op, fault) = trouble.fault();
    let seen = AtomicUsize::new(0);
    let rule = move |call: &Call<'_>| {
        let is_dark = ground == Ground::Dark && call.command == "directory list";
        if is_dark || ground != Ground::Ours && call.op == Op::Seek {
            return Some(Fault::Before(broken()));
        }
        let is_meant = call.op == op && call.command == command;
        let is_hit = is_meant && seen.fetch_add(1, Ordering::Relaxed) < times;
        is_hit.then(|| fault.clone())
    };
    let through = move |world: &World| {
        if ground == Ground::Joined {
            world.open(7).expect("there is room");
        }
        Arc::new(Faulty::new(world, rule)) as _
    };
    let ended = rig(arguments, "1m", ", takes: 2s", "windows")
        .through(through)
        .run()
        .await;
    ended.sound_with_open(u64::from(ground == Ground::Joined));
    ended
}

/// How the step ended, in how many tries, and how often the endpoint carried out each kind of change.
fn fared(ended: &Ended) -> (&'static str, u32, [usize; 4]) {
    let (_, outcome, tries) = ended.steps()[0].clone();
    let books = ended.world.books();
    let done = books.done(ended.ids[0].0);
    let count = |name: &str| done.iter().filter(|change| change.0 == name).count();
    let counts = [
        "create directory",
        "put file",
        "create process",
        "delete file",
    ]
    .map(count);
    (outcome, tries, counts)
}

#[tokio::test(start_paused = true)]
async fn whatever_is_lost_in_a_session_of_ours_is_found() {
    use Trouble::{DownAfter, DownBefore, EndUnheard, LostAfter, LostBefore};
    for command in [
        "create directory",
        "put file",
        "create process",
        "delete file",
    ] {
        for trouble in [LostBefore, LostAfter, DownBefore, DownAfter, EndUnheard] {
            let ended = struck("", command, (trouble, 1), Ground::Ours).await;
            let case = format!("{trouble:?} of {command}");
            // The output, the tool and its directory are deleted.
            assert_eq!(fared(&ended), ("done", 1, [1, 1, 1, 3]), "{case}");
            let sessions = ended.world.books().sessions_opened;
            let is_fenced = [LostBefore, DownBefore].contains(&trouble);
            assert_eq!(sessions, 1 + u64::from(is_fenced), "{case}");
            let never = |event: &EventKind| {
                matches!(
                    event,
                    EventKind::CommandSettled {
                        settled: Settled::NeverRan,
                        ..
                    }
                )
            };
            assert_eq!(ended.count(never), usize::from(is_fenced), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_listed_is_asked_of_the_endpoint() {
    use Trouble::{EndUnheard, LostAfter, LostBefore};
    // Ground, command, what goes wrong, and then: the outcome, the tries, and what was carried out.
    let table = [
        ("create directory", LostBefore, ("done", 2, [1, 1, 1, 3])),
        ("create directory", LostAfter, ("done", 1, [1, 1, 1, 3])),
        ("create directory", EndUnheard, ("done", 1, [1, 1, 1, 3])),
        // A tool that is not there is brought anew, to a new place.
        ("put file", LostBefore, ("done", 2, [2, 1, 1, 4])),
        ("put file", LostAfter, ("done", 1, [1, 1, 1, 3])),
        ("put file", EndUnheard, ("done", 1, [1, 1, 1, 3])),
        // Nothing on the endpoint tells whether a program ran.
        ("create process", LostBefore, ("unknown", 1, [1, 1, 0, 2])),
        ("create process", LostAfter, ("unknown", 1, [1, 1, 1, 3])),
        ("create process", EndUnheard, ("done", 1, [1, 1, 1, 3])),
        // What was not deleted is told, and the directory that it is in stays.
        ("delete file", LostBefore, ("done", 1, [1, 1, 1, 1])),
        ("delete file", LostAfter, ("done", 1, [1, 1, 1, 3])),
        ("delete file", EndUnheard, ("done", 1, [1, 1, 1, 3])),
    ];
    for ground in [Ground::Joined, Ground::Unlisted] {
        for (command, trouble, expected) in &table {
            let ended = struck("", command, (*trouble, 1), ground).await;
            let case = format!("{ground:?}: {trouble:?} of {command}");
            assert_eq!(fared(&ended), *expected, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_gone_leaves_the_endpoint_to_tell() {
    use Trouble::{GoneAfter, GoneBefore};
    let table = [
        // What never began is done again, which is none of the author's tries that failed.
        (
            "",
            "create directory",
            GoneBefore,
            ("done", 2, [1, 1, 1, 3]),
        ),
        ("", "create directory", GoneAfter, ("done", 1, [1, 1, 1, 3])),
        ("", "put file", GoneBefore, ("done", 2, [2, 1, 1, 4])),
        ("", "put file", GoneAfter, ("done", 1, [1, 1, 1, 3])),
        ("", "create process", GoneBefore, ("done", 2, [2, 2, 1, 5])),
        // It runs on, and what it runs from cannot be deleted.
        (
            "",
            "create process",
            GoneAfter,
            ("unknown", 1, [1, 1, 1, 0]),
        ),
        (
            ", effect: converge",
            "create process",
            GoneAfter,
            ("done", 2, [2, 2, 2, 3]),
        ),
        ("", "delete file", GoneAfter, ("done", 1, [1, 1, 1, 3])),
    ];
    for (arguments, command, trouble, expected) in table {
        let ended = struck(arguments, command, (trouble, 1), Ground::Ours).await;
        let case = format!("{trouble:?} of {command}{arguments}");
        assert_eq!(fared(&ended), expected, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_look_should_have_told_and_did_not_is_unknown() {
    for command in ["create directory", "put file"] {
        for (trouble, did) in [(Trouble::LostBefore, 0), (Trouble::LostAfter, 1)] {
            let ended = struck("", command, (trouble, 1), Ground::Dark).await;
            let (outcome, tries, [.., ran, _]) = fared(&ended);
            assert_eq!((outcome, tries, ran), ("unknown", 1, 0), "{command}");
            let books = ended.world.books();
            let done = books.done(ended.ids[0].0);
            let count = done.iter().filter(|change| change.0 == command).count();
            assert_eq!(count, did, "{trouble:?} of {command}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_takes_nothing_is_given_up() {
    for (trouble, sent) in [(Trouble::LostBefore, 9), (Trouble::DownBefore, 9)] {
        let ended = struck("", "create directory", (trouble, 100), Ground::Ours).await;
        assert_eq!(fared(&ended), ("failed", 3, [0, 0, 0, 0]));
        let is_permit = |event: &EventKind| matches!(event, EventKind::CommandPermitted { command, .. } if command.name() == "create directory");
        assert_eq!(
            ended.count(is_permit),
            sent,
            "three times in each of three tries"
        );
        assert!(ended.took < Duration::from_mins(2), "{:?}", ended.took);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_lost_at_the_look_leaves_the_endpoint_to_tell() {
    let lost = "devices: [{count: 1}]\nfaults: [{method: GET, route: 'liveresponse/sessions/{id}/commands', session: lost}]";
    for (fault, tries) in [(Fault::After(broken()), 1), (Fault::Before(broken()), 2)] {
        let loaded = Scenario::load("scenario", lost.as_bytes());
        let scenario = loaded.scenario.ok_or(loaded.diagnostics);
        let faults = scenario.expect("it is one").faults().clone();
        let rule = move |call: &Call<'_>| {
            let is_it = call.op == Op::Issue && call.command == "create directory";
            (is_it && call.nth == 1).then(|| fault.clone())
        };
        let through = |world: &World| {
            let world = world.clone().with_faults(faults);
            Arc::new(Faulty::new(&world, rule)) as _
        };
        let ended = rig("", "1m", ", takes: 2s", "windows")
            .through(through)
            .run()
            .await;
        ended.sound();
        assert_eq!(fared(&ended), ("done", tries, [1, 1, 1, 3]));
        assert_eq!(ended.world.books().sessions_lost, 1);
    }
}

/// A program in a session where nothing but the endpoint's own word counts.
async fn program(arguments: &str, times: usize, retry: &str) -> Ended {
    let steps = format!(
        "  - id: program\n    exec: {{command: hostname.exe, {arguments}}}\n    retry: {retry}\n"
    );
    let seen = AtomicUsize::new(0);
    let rule = move |call: &Call<'_>| match (call.op, call.command) {
        (Op::Seek, _) | (_, "get file" | "directory list" | "delete file") => {
            Some(Fault::Before(broken()))
        }
        (Op::Issue, "create process") if seen.fetch_add(1, Ordering::Relaxed) < times => {
            Some(Fault::After(broken()))
        }
        _ => None,
    };
    let ended = Rig::new(playbook(&steps), windows(1))
        .through(move |world| Arc::new(Faulty::new(world, rule)))
        .run()
        .await;
    ended.sound();
    ended
}

#[tokio::test(start_paused = true)]
async fn what_may_run_again_does_until_its_tries_are_used_up() {
    let table = [
        ("effect: once", 1, ("unknown", 1, 1)),
        ("effect: converge", 1, ("done", 2, 2)),
        ("effect: converge", 3, ("unknown", 3, 3)),
        ("effect: read", 3, ("failed", 3, 3)),
    ];
    for (effect, times, (outcome, tries, ran)) in table {
        let arguments = format!("{effect}, output: none");
        let ended = program(&arguments, times, "{attempts: 3, delay: 1s, jitter: false}").await;
        let (_, word, attempts) = ended.steps()[0].clone();
        let got = (word, attempts, ended.ran().len());
        assert_eq!(got, (outcome, tries, ran), "{effect}, {times} times");
    }
}

#[tokio::test(start_paused = true)]
async fn a_doubt_about_cleaning_up_is_no_doubt_about_the_step() {
    for (effect, ran) in [("read", 3), ("converge", 3), ("once", 1)] {
        let ended = program(
            &format!("effect: {effect}"),
            0,
            "{attempts: 3, delay: 1s, jitter: false}",
        )
        .await;
        assert_eq!(ended.steps()[0].1, "failed", "{effect}");
        assert_eq!(ended.ran().len(), ran, "{effect}");
        let record = ended.state.device(ended.ids[0]).expect("it was planned");
        assert_eq!(record.left_behind.len(), ran, "{effect}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_cannot_be_closed_may_still_take_what_is_under_way() {
    let steps = "  - id: program\n    exec: {command: hostname.exe, output: none}\n";
    let rule = |call: &Call<'_>| {
        let is_lost = call.op == Op::Issue;
        let is_open = call.op == Op::Close && call.nth <= 3;
        (is_lost || is_open).then(|| Fault::Before(broken()))
    };
    let ended = Rig::new(playbook(steps), windows(1))
        .through(move |world| Arc::new(Faulty::new(world, rule)))
        .run()
        .await;
    ended.sound();
    assert_eq!((ended.end().0.as_str(), ended.ran().len()), ("unknown", 0));
    assert_eq!(ended.world.books().sessions_opened, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_its_session_to_the_last_steps() {
    let steps = "  - id: program\n    exec: {command: hostname.exe, output: none}\nalways:\n  - id: last\n    list_processes: {}\n";
    let rule = |call: &Call<'_>| {
        let is_lost = call.op == Op::Issue && call.command == "create process";
        is_lost.then(|| Fault::Before(broken()))
    };
    let running = Rig::new(playbook(steps), windows(1))
        .through(move |world| Arc::new(Faulty::new(world, rule)))
        .begin()
        .await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    running.cancel.drain();
    let ended = running.end().await;
    ended.sound();
    let words: Vec<_> = ended.steps().into_iter().map(|step| step.1).collect();
    assert_eq!(words, ["unknown", "done"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_a_look_end_within_its_grace() {
    let steps = "  - id: program\n    exec: {command: hostname.exe, output: none}\n";
    let rule = |call: &Call<'_>| match call.op {
        Op::Issue => Some(Fault::After(broken())),
        Op::Finish => Some(Fault::Hang),
        _ => None,
    };
    for (leaves, most) in [(false, 33), (true, 5)] {
        let rig = Rig::new(playbook(steps), windows(1));
        let running = rig
            .through(move |world| Arc::new(Faulty::new(world, rule)))
            .begin()
            .await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        if leaves {
            running.cancel.leave();
        } else {
            running.cancel.drain();
        }
        let ended = running.end().await;
        ended.sound();
        assert_eq!(ended.end().0, "unknown");
        assert!(ended.took <= Duration::from_secs(most), "{:?}", ended.took);
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_of_it_is_written_down() {
    let ended = struck("", "put file", (Trouble::LostAfter, 1), Ground::Unlisted).await;
    let transcript = ended.lines(ended.ids[0], "data/transcript.jsonl");
    let settled: Vec<_> = transcript
        .iter()
        .filter(|line| !line["settled"].is_null())
        .collect();
    let [line] = &settled[..] else {
        panic!("one doubt: {settled:?}");
    };
    assert_eq!(line["settled"], "done");
    assert_eq!(line["command"]["name"], "put file");
    assert_eq!(line["cause"]["why"], "connection_lost");
    let question = transcript
        .iter()
        .find(|line| line["command"]["name"] == "directory list");
    assert_eq!(question.expect("it was asked")["answer"]["entries"], 1);
}
