//! The engine over the simulated port: steps that prove another.

use crate::faulty::{Call, Fault, Faulty, Op};
use crate::rig::{Ended, Rig, playbook, windows};
use serde_json::Value;
use sortie::model::event::EventKind;
use sortie::model::outcome::Cause;
use std::sync::Arc;

const DONE: &str = "exec: 'echo x'";
const BAD: &str = "exec: {command: 'exit 3', expect_code: 0}";
const HOLDS: &str = "assert: true";
const FAILS: &str = "assert: {that: device.os == 'linux', message: no}";

async fn one(steps: &str) -> Ended {
    let ended = Rig::new(playbook(steps), windows(1)).run().await;
    ended.sound();
    ended
}

fn words(ended: &Ended) -> String {
    let words: Vec<_> = ended.steps().iter().map(|step| step.1).collect();
    words.join(" ")
}

#[tokio::test(start_paused = true)]
async fn a_step_is_what_its_proofs_make_of_it() {
    let table = [
        // The step, what stands beside it, two proofs; how all and the next step end, whether it is verified.
        (DONE, "", HOLDS, HOLDS, "done done done done", "ok", true),
        (
            DONE,
            "",
            HOLDS,
            FAILS,
            "failed done failed skipped",
            "failed",
            false,
        ),
        (
            DONE,
            "",
            FAILS,
            HOLDS,
            "failed failed skipped skipped",
            "failed",
            false,
        ),
        (
            DONE,
            "on_error: continue",
            FAILS,
            HOLDS,
            "failed failed skipped done",
            "partial",
            false,
        ),
        (
            DONE,
            "on_error: ignore",
            FAILS,
            HOLDS,
            "failed failed skipped done",
            "ok",
            false,
        ),
        (
            DONE,
            "",
            HOLDS,
            "{os: linux, assert: false}",
            "done done skipped done",
            "ok",
            true,
        ),
        (
            DONE,
            "",
            "{when: 1 == 2, assert: true}",
            "{os: linux, assert: false}",
            "done skipped skipped done",
            "ok",
            false,
        ),
        (
            BAD,
            "",
            HOLDS,
            HOLDS,
            "failed skipped skipped skipped",
            "failed",
            false,
        ),
        (
            DONE,
            "when: device.os == 'linux'",
            HOLDS,
            HOLDS,
            "skipped skipped skipped done",
            "ok",
            false,
        ),
    ];
    for (action, beside, first, second, all, state, verified) in table {
        let proof = |text: &str| match text.strip_prefix('{') {
            Some(_) => text.to_owned(),
            None => format!("{{{text}}}"),
        };
        let ended = one(&format!(
            "  - id: a\n    {action}\n    {beside}\n    verify:\n      - {}\n      - {}\n  - {{id: b, {DONE}}}\n",
            proof(first),
            proof(second),
        ))
        .await;
        let told = format!("{action} {beside}: {first}, {second}");
        assert_eq!(words(&ended), all, "{told}");
        assert_eq!(ended.end().0, state, "{told}");
        let outcome = ended.json(ended.ids[0], "data/outcome.json");
        assert_eq!(outcome["steps"][0]["verified"], verified, "{told}");
        assert_eq!(outcome["steps"][0]["outcome"], ended.steps()[0].1, "{told}");
        assert_eq!(outcome["steps"][1]["part"], "verify", "{told}");
        assert_eq!(outcome["steps"][3]["verified"], Value::Null, "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_cause_names_the_proof_and_its_place() {
    let ended = one(&format!(
        "  - id: a\n    {DONE}\n    register: a\n    on_error: continue\n    verify:\n      - id: look\n        {FAILS}\n\
         \x20 - {{id: b, assert: a.status == 'failed'}}\n"
    ))
    .await;
    let reason = "a: its proof `look` failed: assertion failed: no";
    assert_eq!(ended.end(), ("partial".to_owned(), reason.to_owned()));
    assert_eq!(ended.steps()[2].1, "done");
    let outcome = ended.json(ended.ids[0], "data/outcome.json");
    assert_eq!(outcome["steps"][0]["line"], 13);
    assert_eq!(outcome["line"], 13);
}

#[tokio::test(start_paused = true)]
async fn a_failed_proof_is_rescued_like_the_step() {
    let steps = format!(
        "  - block:\n      - id: a\n        {DONE}\n        on_error: stop_run\n        verify: [{{{FAILS}}}]\n      - {{id: b, {DONE}}}\n    \
         rescue:\n      - id: c\n        {DONE}\n        verify: [{{{HOLDS}}}]\n    always:\n      - {{id: d, {DONE}}}\n"
    );
    let ended = one(&steps).await;
    assert_eq!(words(&ended), "failed failed skipped done done done");
    assert_eq!(ended.end().0, "ok");
    assert!(ended.state.stop().is_none());
    let outcome = ended.json(ended.ids[0], "data/outcome.json");
    assert_eq!(outcome["steps"][0]["rescued"], true);
    assert_eq!(outcome["steps"][3]["verified"], true);

    // Where the rescue's own proof fails, nothing is made good, and the run stops.
    let ended = one(&steps.replace(HOLDS, FAILS)).await;
    assert_eq!(words(&ended), "failed failed skipped failed failed done");
    assert_eq!(ended.end().0, "failed");
    assert_eq!(
        ended.count(|event| matches!(event, EventKind::RunStopped { .. })),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_proof_does_not_settle_what_nobody_knows() {
    let rule = |call: &Call<'_>| {
        let is_lost = call.op == Op::Issue && call.nth == 1;
        (is_lost || call.op == Op::Seek).then_some(Fault::After(Cause::ConnectionLost {
            detail: String::new(),
        }))
    };
    let steps = format!(
        "  - id: a\n    exec: {{command: 'echo x', output: none}}\n    verify: [list_processes: ]\n  - {{id: b, {DONE}}}\n"
    );
    let ended = Rig::new(playbook(&steps), windows(1))
        .through(move |world| Arc::new(Faulty::new(world, rule)))
        .run()
        .await;
    ended.sound();
    assert_eq!(words(&ended), "unknown done skipped");
    assert_eq!(ended.end().0, "unknown");
    let outcome = ended.json(ended.ids[0], "data/outcome.json");
    assert_eq!(outcome["steps"][0]["verified"], false);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_proves_nothing() {
    let steps = format!(
        "  - id: a\n    {DONE}\n    verify: [wait: 5m]\nalways:\n  - id: tidy\n    {DONE}\n    verify: [{{{HOLDS}}}]\n"
    );
    let running = Rig::new(playbook(&steps), windows(1)).begin().await;
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    running.cancel.drain();
    let ended = running.end().await;
    ended.sound();
    assert_eq!(words(&ended), "done failed done done");
    assert_eq!(ended.end().0, "cancelled");
    let outcome = ended.json(ended.ids[0], "data/outcome.json");
    assert_eq!(outcome["steps"][0]["verified"], false);
    assert_eq!(outcome["steps"][2]["verified"], true);
}
