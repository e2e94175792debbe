//! The engine over the simulated port, in virtual time: which steps run, and in which order.

use crate::faulty::{Call, Fault, Faulty, Op};
use crate::rig::{Ended, Rig, playbook, windows};
use sortie::model::event::EventKind;
use sortie::model::id::StepId;
use sortie::playbook::chosen::Selection;
use sortie::sim::device::SimDevice;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

async fn one(steps: &str) -> Ended {
    let ended = Rig::new(playbook(steps), windows(1)).run().await;
    ended.sound();
    ended
}

/// The steps of the first device in a word each: `id outcome`.
fn told(ended: &Ended) -> Vec<String> {
    let steps = ended.steps();
    steps
        .iter()
        .map(|(id, word, _)| format!("{id} {word}"))
        .collect()
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn always_runs_last_whatever_came_of_the_others() {
    let table = [
        ("exec: 'echo one'", "done", "done", "ok", ""),
        (
            "exec: {command: 'exit 3', expect_code: 0}",
            "failed",
            "skipped",
            "failed",
            "bad: exit code 3, expected 0",
        ),
        (
            "exec: {command: 'timeout.exe /t 20', output: none, effect: read}\n    timeout: 5s",
            "failed",
            "skipped",
            "failed",
            "bad: not finished within 5 s",
        ),
    ];
    for (action, bad, next, state, reason) in table {
        let ended = one(&format!(
            "  - id: bad\n    {action}\n    register: bad\n  - id: next\n    exec: 'echo next'\nalways:\n\
             \x20 - id: tidy\n    when: bad.status == '{bad}'\n    exec: {{command: 'exit 4', expect_code: 0}}\n    \
             on_error: ignore\n  - id: more\n    exec: 'echo more'\n"
        ))
        .await;
        let expected = [
            format!("bad {bad}"),
            format!("next {next}"),
            "tidy failed".into(),
            "more done".into(),
        ];
        assert_eq!(told(&ended), expected);
        assert_eq!(ended.end(), (state.to_owned(), reason.to_owned()));
        let entries = ended.json(ended.ids[0], "data/outcome.json");
        assert_eq!(entries["steps"][1]["part"], serde_json::Value::Null);
        assert_eq!(entries["steps"][3]["part"], "always");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_of_always_counts() {
    let ended = one("  - id: first\n    exec: 'echo one'\nalways:\n  - id: a\n    exec: {command: 'exit 4', expect_code: 0}\n  - id: b\n    exec: 'echo b'\n").await;
    assert_eq!(told(&ended), ["first done", "a failed", "b done"]);
    assert_eq!(ended.end().1, "a: exit code 4, expected 0");
}

/// After a first signal the steps under way end, and `always` runs on devices that were begun.
#[tokio::test(start_paused = true)]
async fn a_first_signal_leads_to_always_and_a_second_does_not() {
    let steps = "  - id: slow\n    exec: {command: 'timeout.exe /t 20', output: none}\n\
                 \x20 - id: next\n    exec: hostname.exe\n    register: next\nalways:\n\
                 \x20 - id: tidy\n    when: next.status == 'skipped'\n    exec: 'timeout.exe /t 10'\n";
    let begin = |devices| async move {
        let text = playbook(steps).replace("max_sessions: 20", "max_sessions: 1");
        let running = Rig::new(text, windows(devices)).begin().await;
        sleep(6 * SECOND).await;
        running.cancel.drain();
        running
    };
    let ended = begin(2).await.end().await;
    ended.sound();
    assert_eq!(told(&ended), ["slow done", "tidy done"]);
    assert_eq!(
        ended.end_of(ended.ids[0]),
        ("cancelled".to_owned(), "the run was stopped".to_owned())
    );
    assert_eq!(ended.world.books().sessions_opened, 1);

    let running = begin(1).await;
    sleep(SECOND).await;
    running.cancel.leave();
    let ended = running.end().await;
    ended.sound();
    assert_eq!(told(&ended), ["slow unknown"]);

    // In the middle of `always`.
    let running = begin(1).await;
    sleep(18 * SECOND).await;
    running.cancel.leave();
    let ended = running.end().await;
    ended.sound();
    assert_eq!(told(&ended), ["slow done", "tidy unknown"]);
}

#[tokio::test(start_paused = true)]
async fn always_has_sixty_seconds_altogether() {
    let steps = "  - id: first\n    exec: 'echo one'\nalways:\n\
                 \x20 - {id: a, exec: {command: 'timeout.exe /t 40', effect: read}}\n\
                 \x20 - {id: b, exec: {command: 'timeout.exe /t 40', effect: read, output: none}, retry: 3}\n\
                 \x20 - {id: c, exec: 'echo c'}\n";
    let ended = one(steps).await;
    assert_eq!(
        told(&ended),
        ["first done", "a done", "b failed", "c failed"]
    );
    let outcome = ended.json(ended.ids[0], "data/outcome.json");
    assert_eq!(
        outcome["steps"][3]["reason"],
        "the 60 s of `always` were over"
    );
    assert!((60..70).contains(&ended.took.as_secs()), "{:?}", ended.took);

    // Nor does a backend that hangs hold it for longer.
    let rule = |call: &Call<'_>| (call.op == Op::Issue && call.nth > 3).then_some(Fault::Hang);
    let ended = Rig::new(playbook(steps), windows(1))
        .through(move |world| Arc::new(Faulty::new(world, rule)))
        .run()
        .await;
    ended.sound();
    assert!(ended.took.as_secs() < 100, "{:?}", ended.took);
}

#[tokio::test(start_paused = true)]
async fn without_a_session_there_is_no_always() {
    let steps = "  - exec: 'echo one'\nalways:\n  - exec: 'echo two'\n";
    let devices = windows(1).into_iter().map(SimDevice::offline);
    let ended = Rig::new(playbook(steps), devices.collect()).run().await;
    ended.sound();
    assert!(ended.steps().is_empty());
    assert_eq!(ended.end().0, "unreachable");
}

#[tokio::test(start_paused = true)]
async fn a_wait_takes_its_time_and_ends_with_the_run() {
    let steps = "  - {id: pause, wait: '{{ vars.pause }}'}\n  - {id: next, list_processes: }\n";
    let text = playbook(steps).replace("run:", "vars: {pause: 20m}\nrun:");
    let ended = Rig::new(text.clone(), windows(1)).run().await;
    ended.sound();
    assert_eq!(told(&ended), ["pause done", "next done"]);
    assert!(
        (1200..1210).contains(&ended.took.as_secs()),
        "{:?}",
        ended.took
    );

    for text in [
        text.clone(),
        text.replace("  - {id: next, list_processes: }\n", ""),
    ] {
        let running = Rig::new(text, windows(1)).begin().await;
        sleep(60 * SECOND).await;
        running.cancel.drain();
        let ended = running.end().await;
        ended.sound();
        assert_eq!(told(&ended), ["pause failed"]);
        assert_eq!(ended.end().0, "cancelled");
        assert_eq!(ended.took.as_secs(), 60);
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_is_tried_until_its_result_is_the_one() {
    let steps = |until: &str| {
        format!(
            "  - id: first\n    exec: {{command: 'echo a', effect: read}}\n    register: first\n\
             \x20 - id: again\n    exec: {{command: 'echo b', effect: read}}\n    register: own\n    \
             retry: {{attempts: 4, delay: 5s, backoff: 1, jitter: false, only_on: timeout, until: '{until}'}}\n\
             \x20 - id: after\n    assert: own.stdout | trim == 'b'\n    on_error: ignore\n"
        )
    };
    let ended = one(&steps(
        "result.pid > first.pid and own.pid >= first.pid + 9",
    ))
    .await;
    let tries: Vec<_> = ended.steps().iter().map(|step| step.2).collect();
    assert_eq!(told(&ended), ["first done", "again done", "after done"]);
    assert!((2..=4).contains(&tries[1]), "{tries:?}");
    let waited = 5 * u64::from(tries[1] - 1);
    assert!((waited..waited + 4).contains(&ended.took.as_secs()));

    let ended = one(&steps("own.stdout == \"c\"")).await;
    assert_eq!(ended.steps()[1], ("again".to_owned(), "failed", 4));
    assert_eq!(
        ended.end(),
        (
            "failed".to_owned(),
            "again: `until` does not hold after 4 tries".to_owned()
        )
    );
    let outcome = ended.json(ended.ids[0], "data/outcome.json");
    for place in [&outcome, &outcome["steps"][1]] {
        let at = (&place["file"], &place["line"], &place["column"]);
        assert_eq!(at, (&"rehearsal.yaml".into(), &13.into(), &89.into()));
    }
    // What did not come in time is still there to be looked at.
    assert_eq!(
        ended.json(ended.ids[0], "data/steps/02-again.json")["rows"][0]["data"],
        "b\r\n"
    );
}

#[tokio::test(start_paused = true)]
async fn a_block_is_rescued_and_tidied_up() {
    const DONE: &str = "exec: 'echo x'";
    const BAD: &str = "exec: {command: 'exit 3', expect_code: 0}";
    let table = [
        // What stands beside the block, its second step, its rescue; how all of it ends.
        ("", DONE, DONE, "done done skipped done done", "ok"),
        ("", BAD, DONE, "failed skipped done done done", "ok"),
        (
            "on_error: continue",
            BAD,
            DONE,
            "failed done done done done",
            "ok",
        ),
        (
            "on_error: stop_run",
            BAD,
            DONE,
            "failed skipped done done done",
            "ok",
        ),
        (
            "on_error: ignore",
            BAD,
            DONE,
            "failed done skipped done done",
            "ok",
        ),
        ("", BAD, BAD, "failed skipped failed done skipped", "failed"),
        (
            "on_error: continue",
            BAD,
            BAD,
            "failed done failed done done",
            "partial",
        ),
        (
            "when: device.os == 'linux'",
            BAD,
            BAD,
            "skipped skipped skipped skipped done",
            "ok",
        ),
        (
            "os: linux",
            BAD,
            BAD,
            "skipped skipped skipped skipped done",
            "ok",
        ),
        (
            "when: device.groups[99].x == 1",
            DONE,
            DONE,
            "failed skipped done done done",
            "ok",
        ),
    ];
    for (beside, second, rescue, words, state) in table {
        let ended = one(&format!(
            "  - block:\n      - {{id: a, {second}}}\n      - {{id: b, {DONE}}}\n    \
             rescue:\n      - {{id: c, {rescue}}}\n    always:\n      - {{id: d, {DONE}}}\n    \
             name: together\n    {beside}\n  - {{id: e, {DONE}}}\n"
        ))
        .await;
        let found: Vec<_> = ended.steps().iter().map(|step| step.1).collect();
        assert_eq!(found.join(" "), words, "{beside} {second} {rescue}");
        assert_eq!(ended.end().0, state, "{beside} {second} {rescue}");
        let rescued = found[0] == "failed" && found[2] == "done";
        let outcome = ended.json(ended.ids[0], "data/outcome.json");
        assert_eq!(outcome["steps"][0]["rescued"] == true, rescued);
        assert_eq!(outcome["steps"][2]["part"], "rescue");
        assert!(ended.state.stop().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_outer_rescue_makes_an_inner_failure_good() {
    let steps = |on_error: &str| {
        format!(
            "  - block:\n      - block:\n          - {{id: a, exec: {{command: 'exit 3', expect_code: 0}}, on_error: {on_error}}}\n          \
             - {{id: b, wait: 0s}}\n        rescue:\n          - {{id: c, exec: {{command: 'exit 4', expect_code: 0}}}}\n        \
             always:\n          - {{id: d, wait: 0s}}\n      - {{id: e, wait: 0s}}\n    \
             rescue:\n      - {{id: f, wait: 0s}}\n  - {{id: g, wait: 0s}}\n"
        )
    };
    let all = steps("stop_run");
    let ended = one(&all).await;
    let words = [
        "a failed",
        "b skipped",
        "c failed",
        "d done",
        "e skipped",
        "f done",
        "g done",
    ];
    assert_eq!(told(&ended), words);
    assert_eq!(ended.end().0, "ok");
    assert!(ended.state.stop().is_none());

    // Without it the failure counts, and stops the run once.
    let ended = one(&all.replace("    rescue:\n      - {id: f, wait: 0s}\n", "")).await;
    assert_eq!(ended.end().1, "a: exit code 3, expected 0");
    let count = ended.count(|event| matches!(event, EventKind::RunStopped { .. }));
    assert_eq!(count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_tidies_up_in_the_blocks_that_it_began() {
    let steps = "  - block:\n      - {id: a, wait: 5m}\n      - {id: b, wait: 5m}\n    \
                 rescue:\n      - {id: c, wait: 5m}\n    always:\n      - {id: d, wait: 10s}\n\
                 \x20 - block:\n      - {id: e, wait: 5m}\n    always:\n      - {id: f, wait: 10s}\n\
                 always:\n  - {id: g, wait: 55s}\n";
    let running = Rig::new(playbook(steps), windows(1)).begin().await;
    sleep(60 * SECOND).await;
    running.cancel.drain();
    let ended = running.end().await;
    ended.sound();
    assert_eq!(told(&ended), ["a failed", "d done", "g failed"]);
    assert_eq!(ended.took.as_secs(), 120);
    assert_eq!(ended.end().0, "cancelled");
}

#[tokio::test(start_paused = true)]
async fn tags_and_a_first_step_choose_what_runs() {
    let steps = "  - {id: a, wait: 0s, tags: one}\n  - {id: b, wait: 0s}\n\
                 \x20 - block:\n      - {id: c, wait: 0s}\n      - {id: d, wait: 0s, tags: two}\n    tags: [one]\n\
                 always:\n  - {id: e, wait: 0s}\n  - {id: f, wait: 0s, tags: two}\n";
    let list = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    let table = [
        ("", "", None, "abcdef"),
        ("one", "", None, "acde"),
        ("two", "", None, "def"),
        ("one two", "two", None, "ace"),
        ("", "one", None, "bef"),
        ("", "", Some("c"), "cdef"),
        ("", "two", Some("b"), "bce"),
    ];
    for (tags, skip_tags, start_at, ran) in table {
        let mut rig = Rig::new(playbook(steps), windows(1));
        rig.selection = Selection {
            tags: list(tags),
            skip_tags: list(skip_tags),
            start_at: start_at.map(StepId::from),
        };
        let ended = rig.run().await;
        ended.sound();
        let done = ended.steps().into_iter().filter(|step| step.1 == "done");
        let done: String = done.map(|(id, ..)| id).collect();
        assert_eq!(done, ran, "--tags {tags} --skip-tags {skip_tags}");
        assert_eq!(ended.steps().len(), 6);
        assert_eq!(ended.end().0, "ok");
    }
}
