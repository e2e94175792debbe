//! The engine over the simulated port, in virtual time: playbooks that use others.

use crate::rig::{Ended, Rig, playbook, windows};
use sortie::model::event::EventKind;
use std::time::Duration;
use tokio::time::sleep;

async fn with(steps: &str, files: &[(&'static str, &str)]) -> Ended {
    let ended = run(steps, files).await;
    ended.sound();
    ended
}

async fn run(steps: &str, files: &[(&'static str, &str)]) -> Ended {
    let mut rig = Rig::new(playbook(steps), windows(1));
    let file = |(path, rest): &(&'static str, &str)| {
        let text = format!("sortie: 1\nname: used\npermissions: [read, exec]\n{rest}");
        (*path, text)
    };
    rig.files = files.iter().map(file).collect();
    rig.run().await
}

fn told(ended: &Ended) -> Vec<String> {
    let steps = ended.steps();
    let told = steps.iter().map(|(id, word, _)| format!("{id} {word}"));
    told.collect()
}

/// The same names on both sides, and each sees its own.
#[tokio::test(start_paused = true)]
async fn a_used_playbook_has_a_scope_of_its_own() {
    let steps = "  - set: {a: outer}\n  - id: r\n    exec: 'echo outer'\n    register: r\n\
        \x20 - id: u\n    use: {playbook: u.yaml, with: {n: '{{ vars.a | length }}'}}\n    register: u\n\
        \x20 - id: e\n    exec: 'echo {{ vars.a }} {{ r.stdout | trim | ps_quote }} {{ u.a }} {{ u.status }}'\n    when: u.none is none\n\
        vars: {a: first}\n";
    let used = "inputs: {n: {type: int, required: true}, m: {default: 7}}\nvars: {a: 'inner {{ inputs.n }}'}\nsteps:\n\
        \x20 - set: {a: '{{ vars.a }} {{ inputs.m }}'}\n  - id: r\n    exec: 'echo inner'\n    register: r\n\
        \x20 - id: late\n    when: false\n    list_processes: {}\n    register: late\n\
        outputs: {a: '{{ vars.a }}', none: '{{ late.processes[0].path }}'}\n";
    let ended = with(
        &steps.replace("{{ u.a }}", "{{ u.a | ps_quote }}"),
        &[("u.yaml", used)],
    )
    .await;
    assert_eq!(ended.end(), ("ok".into(), String::new()));
    assert_eq!(
        ended.ran(),
        [
            "echo outer",
            "echo inner",
            "echo outer 'outer' 'inner 5 7' done"
        ]
    );
}

/// A failure ends the used playbook, its `always` runs, and the use says what it means for the rest.
#[tokio::test(start_paused = true)]
async fn a_failure_stays_within_as_far_as_its_user_wants() {
    let used = "steps:\n  - id: bad\n    exec: {command: 'exit 3', expect_code: 0}\n  - id: more\n    exec: 'echo more'\n\
        always:\n  - id: tidy\n    exec: 'echo tidy'\n";
    let within = ["u.bad failed", "u.more skipped", "u.tidy done"];
    for (on_error, state, next) in [
        ("fail", "failed", "next skipped"),
        ("continue", "partial", "next done"),
        ("ignore", "ok", "next done"),
        ("stop_run", "failed", "next skipped"),
    ] {
        let steps = format!(
            "  - id: u\n    use: u.yaml\n    on_error: {on_error}\n    register: u\n\
             \x20 - id: next\n    exec: 'echo {{{{ u.status }}}}'\n"
        );
        let ended = with(&steps, &[("u.yaml", used)]).await;
        assert_eq!(told(&ended)[..3], within, "{on_error}");
        assert_eq!(told(&ended)[3], next, "{on_error}");
        assert_eq!(ended.end().0, state, "{on_error}");
        let stopped = ended.count(|event| matches!(event, EventKind::RunStopped { .. }));
        assert_eq!(stopped, usize::from(on_error == "stop_run"), "{on_error}");
    }
}

/// Nothing of it runs, not even its `always`: where it does not apply, and where it cannot be begun.
#[tokio::test(start_paused = true)]
async fn what_is_not_begun_does_not_run() {
    let used = "inputs: {n: {choices: [a, b]}}\nsteps:\n  - id: one\n    on_error: ignore\n    exec: 'echo {{ inputs.n }}'\n\
        always:\n  - id: tidy\n    exec: 'echo tidy'\n";
    for (how, outcomes, next, state) in [
        (
            "when: device.os == 'linux'",
            ["skipped"; 2],
            "skipped",
            "ok",
        ),
        ("os: linux", ["skipped"; 2], "skipped", "ok"),
        (
            "on_error: continue",
            ["failed", "skipped"],
            "failed",
            "partial",
        ),
    ] {
        let steps = format!(
            "  - id: r\n    exec: 'echo c'\n    register: r\n\
             \x20 - id: u\n    {how}\n    use: {{playbook: m.yaml, with: {{n: '{{{{ r.stdout | trim }}}}'}}}}\n    register: u\n\
             \x20 - id: next\n    exec: 'echo {{{{ u.status }}}}'\n"
        );
        let middle = "inputs: {n: {required: true}}\nsteps:\n  - id: v\n    use: {playbook: u.yaml, with: {n: '{{ inputs.n }}'}}\n";
        let ended = with(&steps, &[("u.yaml", used), ("m.yaml", middle)]).await;
        let expected = [
            "r done".to_owned(),
            format!("u.v.one {}", outcomes[0]),
            format!("u.v.tidy {}", outcomes[1]),
            "next done".to_owned(),
        ];
        assert_eq!(told(&ended), expected, "{how}");
        assert_eq!(ended.ran().last(), Some(&format!("echo {next}")), "{how}");
        assert_eq!(ended.end().0, state, "{how}");
    }
}

/// What a first signal cut short is not done, whatever came of the steps that ran.
#[tokio::test(start_paused = true)]
async fn a_used_playbook_that_is_cut_short_is_not_done() {
    let steps = "  - id: u\n    use: u.yaml\n    register: u\n\
        \x20 - id: v\n    use: u.yaml\n    register: v\n\
        always:\n  - id: tidy\n    exec: 'echo {{ u.status }} {{ v.status }}'\n";
    let used = "sortie: 1\nname: used\npermissions: [exec]\nsteps:\n\
        \x20 - id: slow\n    exec: {command: 'timeout.exe /t 20', output: none}\n\
        \x20 - id: next\n    exec: 'echo next'\n";
    let mut rig = Rig::new(playbook(steps), windows(1));
    rig.files = [("u.yaml", used.to_owned())].into();
    let running = rig.begin().await;
    sleep(Duration::from_secs(6)).await;
    running.cancel.drain();
    let ended = running.end().await;
    ended.sound();
    assert_eq!(told(&ended), ["u.slow done", "tidy done"]);
    assert_eq!(ended.ran().last(), Some(&"echo failed skipped".to_owned()));
}

/// Proofs, variables and `no_log` mean in a used playbook, and around it, what they mean elsewhere.
#[tokio::test(start_paused = true)]
async fn what_stands_around_a_use_holds_for_it() {
    let used = "inputs: {n: {required: true}}\nsteps:\n\
        \x20 - id: first\n    exec: 'echo {{ inputs.n | ps_quote }}'\n\
        \x20 - id: shown\n    exec: 'echo changed'\n    register: shown\n    on_error: continue\n\
        \x20   verify:\n      - {id: same, assert: '\"unchanged\" in shown.stdout'}\n\
        outputs: {shown: '{{ shown.status }}'}\n";
    let steps = "  - block:\n      - id: u\n        use: {playbook: u.yaml, with: {n: '{{ vars.n }}'}}\n\
        \x20       vars: {n: '{{ vars.outer }} inner'}\n        when: vars.n == 'outer inner'\n        no_log: true\n        register: u\n\
        \x20   vars: {outer: outer}\n\
        \x20 - id: after\n    exec: 'echo {{ u.shown | ps_quote }}'\n";
    // What was permitted is compared with what was executed by its text, which `no_log` withholds.
    let ended = run(steps, &[("u.yaml", used)]).await;
    let expected = [
        "u.first done",
        "u.shown failed",
        "u.same failed",
        "after done",
    ];
    assert_eq!(told(&ended), expected);
    assert_eq!(ended.end().0, "partial");
    assert_eq!(
        ended.ran(),
        ["echo 'outer inner'", "echo changed", "echo 'failed'"]
    );
    let transcript = ended.lines(ended.ids[0], "data/transcript.jsonl");
    let said = serde_json::to_string(&transcript).expect("it is JSON");
    assert!(
        !said.contains("outer inner") && said.contains("echo 'failed'"),
        "{said}"
    );
}
