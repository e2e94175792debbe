//! The engine over the simulated port: variables of steps and blocks.

use crate::rig::{Ended, Rig, playbook, windows};

async fn one(steps: &str) -> Ended {
    let ended = Rig::new(playbook(steps), windows(1)).run().await;
    ended.sound();
    ended
}

#[tokio::test(start_paused = true)]
async fn variables_of_a_step_are_its_own() {
    let steps = "  - {id: a, set: {x: outer}}\n\
                 \x20 - id: b\n    vars: {x: '{{ vars.x }}-inner', y: '{{ vars.x }}!'}\n    \
                 when: vars.y == 'outer-inner!'\n    exec: 'echo {{ vars.y }}'\n\
                 \x20 - {id: c, exec: 'echo {{ vars.x }}'}\n\
                 \x20 - id: d\n    for_each: [1, 2]\n    vars: {n: '{{ item + 1 }}'}\n    exec: 'echo {{ vars.n | int }}'\n\
                 \x20 - id: e\n    vars: {out: 'wait for 7'}\n    \
                 exec: {command: 'echo 7', effect: converge}\n    register: e\n    \
                 retry: {attempts: 2, until: vars.out is endingwith(e.stdout | trim)}\n\
                 \x20 - id: f\n    vars: {y: '{{ vars.x }}'}\n    set: {x: '{{ vars.y }}2'}\n\
                 \x20 - {id: g, exec: 'echo {{ vars.x }}'}\n";
    let ended = one(steps).await;
    assert_eq!(ended.end(), ("ok".to_owned(), String::new()));
    let said = ["outer-inner!", "outer", "2", "3", "7", "outer2"];
    let said: Vec<_> = said.iter().map(|word| format!("echo {word}")).collect();
    assert_eq!(ended.ran(), said);
}

#[tokio::test(start_paused = true)]
async fn a_condition_keeps_variables_from_failing() {
    let fails = "vars: {x: '{{ device.drives[99].x }}'}";
    let table = [
        ("when: device.os == 'linux'", "skipped"),
        ("when: vars.x == 1", "failed"),
        ("when: device.os == 'windows'", "failed"),
    ];
    for (when, word) in table {
        let ended = one(&format!(
            "  - id: a\n    {fails}\n    {when}\n    set: {{z: '{{{{ vars.x }}}}'}}\n"
        ))
        .await;
        assert_eq!(ended.steps()[0].1, word, "{when}");
        if word == "failed" {
            assert_eq!(ended.end().1, "a: template: there is no `[99].x`", "{when}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn variables_of_a_block_hold_for_its_steps_that_look_at_them() {
    let steps = "  - block:\n      - {id: a, exec: 'echo {{ vars.x }}'}\n      \
                 - {id: b, vars: {x: inner}, exec: 'echo {{ vars.x }}'}\n      \
                 - {id: c, for_each: [i], exec: 'echo {{ vars.z }}'}\n    \
                 vars: {x: block, y: '{{ device.groups[99].x }}', z: '{{ vars.x }}-{{ item }}'}\n    \
                 when: vars.x == 'block'\n\
                 \x20 - {id: d, exec: 'echo {{ vars.y | default(0) | int }}'}\n";
    let ended = one(steps).await;
    assert_eq!(ended.end(), ("ok".to_owned(), String::new()));
    assert_eq!(
        ended.ran(),
        ["echo block", "echo inner", "echo block-i", "echo 0"]
    );
}
