//! The engine over the simulated port, in virtual time: what becomes of devices and of their steps.

use crate::rig::{Ended, Rig, playbook, windows};
use sortie::model::device::Os;
use sortie::model::event::{EventKind, SessionEnd};
use sortie::model::id::DeviceId;
use sortie::sim::device::SimDevice;
use sortie::sim::endpoint::content::Content;
use sortie::sim::endpoint::files::Node;
use sortie::sim::world::{Settings, World};
use std::time::Duration;

const LIST: &str = "  - list_processes: {}\n";

async fn one(steps: &str) -> Ended {
    Rig::new(playbook(steps), windows(1)).run().await
}

#[tokio::test(start_paused = true)]
async fn every_device_ends_once_with_its_reason() {
    let mut devices = windows(12);
    let usual: Vec<u64> = devices.iter().map(|device| device.id).collect();
    let off = devices.remove(2).live_response_off();
    let away = devices.remove(4).offline();
    let slow = devices.remove(5).check_in(Duration::from_secs(119));
    let late = devices.remove(6).check_in(Duration::from_secs(121));
    let (unknown, ids) = (999, [off.id, away.id, slow.id, late.id]);
    devices.extend([off, away, slow, late]);
    let rig = Rig::new(playbook(LIST), devices).planned(move |planned| {
        let mut other = planned[0].clone();
        other.device.id = DeviceId(unknown);
        planned.push(other);
    });
    let ended = rig.run().await;
    ended.sound();
    let never = ("unreachable", "did not check in within 120 s");
    for id in usual.into_iter().chain([unknown]) {
        let expected = match ids.iter().position(|special| *special == id) {
            Some(0) => ("failed", "Live Response is off for this device"),
            Some(1 | 3) => never,
            _ if id == unknown => ("failed", "the backend does not know this device"),
            _ => ("ok", ""),
        };
        let (state, reason) = ended.end_of(DeviceId(id));
        assert_eq!((state.as_str(), reason.as_str()), expected, "{id}");
    }
    assert_eq!(
        ended.took.as_secs(),
        120,
        "nothing waits for longer than the last device"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_organisation_is_waited_for_but_not_for_ever() {
    for (frees_after, expected) in [
        (20, ("ok", "")),
        (
            100_000,
            ("failed", "the organisation's session limit is reached"),
        ),
    ] {
        let settings = Settings {
            max_sessions: 1,
            ..Settings::default()
        };
        let other = SimDevice::new(1, "other", Os::Linux);
        let mut devices = windows(1);
        let id = DeviceId(devices[0].id);
        devices.push(other);
        let world = World::with(devices, settings);
        let taken = world.open(1).expect("opens").session.id;
        let rig = Rig::on(playbook(LIST), world.clone());
        let running = rig
            .planned(move |planned| planned.retain(|p| p.device.id == id))
            .begin()
            .await;
        let keeper = tokio::spawn(async move {
            for _ in 0..frees_after {
                tokio::time::sleep(Duration::from_secs(1)).await;
                drop(world.keep_alive(&taken));
            }
            world.close(&taken).expect("it was kept");
        });
        let ended = running.end().await;
        keeper.abort();
        let (state, reason) = ended.end();
        assert_eq!((state.as_str(), reason.as_str()), expected);
        ended.sound_with_open(u64::from(frees_after > 20));
    }
}

#[tokio::test(start_paused = true)]
async fn two_thousand_devices_never_hold_more_sessions_than_allowed() {
    let steps = "  - list_processes: {}
    register: procs
  - exec: {command: hostname.exe, output: none}
    when: procs.found
";
    let ended = Rig::new(playbook(steps), windows(2_000)).run().await;
    ended.sound();
    assert_eq!(
        ended.state.counts().into_values().collect::<Vec<_>>(),
        [2_000]
    );
    let books = ended.world.books();
    assert_eq!(books.max_concurrent_sessions, 20);
    assert_eq!(books.sessions_opened, 2_000);
    assert_eq!(books.commands["create process"], 2_000);
}

#[tokio::test(start_paused = true)]
async fn steps_run_in_order_under_their_conditions() {
    let ended = one("  - id: first
    exec: {command: 'echo one', effect: read}
    register: first
  - id: never
    when: first.code == 7
    exec: 'echo never'
    register: never
  - id: elsewhere
    os: linux
    exec: 'echo elsewhere'
  - id: uses
    exec: {command: 'echo {{ first.code }}-two', effect: read}
    register: uses
  - id: each
    for_each: [a, b, c]
    when: item != 'b'
    exec: {command: 'echo {{ item }}', effect: read}
    register: each
  - id: says
    when: first.stdout | trim == 'one' and uses.stdout | trim == '0-two' and each.results | length == 3
    finding: {title: all as it should be, severity: low}
  - id: skipped
    assert: never.status == 'skipped' and each.results[1].status == 'skipped'
")
    .await;
    ended.sound();
    let expected = [
        ("first", "done", 1),
        ("never", "skipped", 0),
        ("elsewhere", "skipped", 0),
        ("uses", "done", 1),
        ("each", "done", 1),
        ("says", "done", 1),
        ("skipped", "done", 1),
    ];
    let steps = ended.steps();
    let steps: Vec<_> = steps
        .iter()
        .map(|(id, word, tries)| (id.as_str(), *word, *tries))
        .collect();
    assert_eq!(steps, expected);
    assert_eq!(ended.ran(), ["echo one", "echo 0-two", "echo a", "echo c"]);
    assert_eq!(ended.end().0, "ok");
}

#[tokio::test(start_paused = true)]
async fn what_a_failure_means_is_the_authors_choice() {
    let table = [
        ("fail", "failed", "skipped", 3),
        ("continue", "partial", "done", 3),
        ("ignore", "ok", "done", 3),
        ("stop_run", "failed", "skipped", 1),
    ];
    for (on_error, state, next, walked) in table {
        let steps = format!(
            "  - id: bad\n    exec: {{command: 'exit 3', expect_code: 0}}\n    on_error: {on_error}\n\
             \x20 - id: next\n    exec: hostname.exe\n"
        );
        let text = playbook(&steps).replace("max_sessions: 20", "max_sessions: 1");
        let ended = Rig::new(text, windows(3)).run().await;
        ended.sound();
        assert_eq!(ended.end_of(ended.ids[0]).0, state, "{on_error}");
        let words: Vec<_> = ended.steps().iter().map(|step| step.1).collect();
        assert_eq!(words, ["failed", next], "{on_error}");
        let started = ended.count(|event| matches!(event, EventKind::DeviceStarted { .. }));
        assert_eq!(started, walked, "{on_error}");
        let cancelled = ended.ids[walked..]
            .iter()
            .all(|id| ended.end_of(*id).0 == "cancelled");
        assert!(cancelled && ended.state.stop().is_some() == (on_error == "stop_run"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_as_the_author_says() {
    let mut devices = windows(1);
    // Locked until somebody lets go, which nobody does.
    let lock = |node: &mut Node| node.locked = true;
    let content = Some(Content::Bytes((*b"x").into()));
    devices[0]
        .endpoint
        .plant("C:\\Windows\\locked.dat", content, lock)
        .expect("legal");
    let steps = "  - get_file: {path: 'C:\\Windows\\locked.dat', if_locked: fail}
    retry: {attempts: 4, delay: 10s, backoff: 3, max_delay: 60s, jitter: false}\n";
    let ended = Rig::new(playbook(steps), devices).run().await;
    ended.sound();
    let delays: Vec<u64> = ended
        .events
        .iter()
        .filter_map(|event| match event.ev {
            EventKind::StepRetried { delay_ms, .. } => Some(delay_ms),
            _ => None,
        })
        .collect();
    assert_eq!(delays, [10_000, 30_000, 60_000]);
    assert_eq!(ended.steps()[0].2, 4);
    assert_eq!(ended.took.as_secs(), 100);
    assert!(
        ended.end().1.contains("SHARING_VIOLATION"),
        "{:?}",
        ended.end()
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_that_takes_too_long_is_given_up_and_does_not_block_the_next() {
    // The second command waits behind the first in the sensor's queue, and is taken back.
    let ended = one("  - id: long
    exec: {command: 'timeout.exe /t 100', effect: read, output: none}
    timeout: 5s
    on_error: continue
  - id: queued
    exec: {command: 'echo queued', output: none}
    timeout: 5s
    on_error: continue
  - id: patient
    list_processes: {}
")
    .await;
    ended.sound();
    assert_eq!(ended.end().0, "partial");
    let words: Vec<_> = ended.steps().into_iter().map(|step| step.1).collect();
    assert_eq!(words, ["failed", "failed", "done"]);
    let cause = &ended.json(ended.ids[0], "data/outcome.json")["steps"][0]["cause"];
    assert_eq!(cause["why"], "command_timeout");
    assert_eq!(
        ended.ran(),
        ["timeout.exe /t 100"],
        "what was taken back never ran"
    );
}

#[tokio::test(start_paused = true)]
async fn long_walks_roll_over_into_a_new_session() {
    let items: Vec<String> = (0..300).map(|item| item.to_string()).collect();
    let steps = format!(
        "  - for_each: [{}]\n    exec: {{command: 'echo {{{{ item }}}}', output: none}}\n",
        items.join(", ")
    );
    let ended = one(&steps).await;
    ended.sound();
    assert_eq!(ended.end().0, "ok");
    assert_eq!(ended.world.books().sessions_opened, 2);
    let expected: Vec<String> = items.iter().map(|item| format!("echo {item}")).collect();
    assert_eq!(ended.ran(), expected);
    let mut per_session = std::collections::BTreeMap::new();
    for event in &ended.events {
        if let EventKind::CommandIssued { session, .. } = &event.ev {
            *per_session.entry(session.to_string()).or_insert(0) += 1;
        }
    }
    assert_eq!(per_session.into_values().collect::<Vec<_>>(), [240, 60]);
}

#[tokio::test(start_paused = true)]
async fn output_comes_back_and_nothing_stays_behind() {
    let ended = one("  - id: known
    exec: hostname.exe
    register: known
  - id: says
    assert: known.stdout | trim == device.short_name and known.code == 0
  - id: unknown
    exec: nosuch.exe
    on_error: continue
")
    .await;
    ended.sound();
    let (state, reason) = ended.end();
    assert_eq!(
        (state.as_str(), reason.contains("not found")),
        ("partial", true),
        "{reason}"
    );
    let books = ended.world.books();
    let done: Vec<_> = books
        .changes
        .iter()
        .map(|c| (c.command, c.code == 0))
        .collect();
    let expected = [
        ("create process", true),
        ("delete file", true),
        ("create process", false),
    ];
    assert_eq!(done, expected);
    assert_eq!(
        ended.count(|event| matches!(event, EventKind::LeftBehind { .. })),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_session_is_used_and_left_open() {
    let world = World::new(windows(1));
    let device = windows(1)[0].id;
    let theirs = world.open(device).expect("opens").session.id;
    let ended = Rig::on(playbook(LIST), world).run().await;
    ended.sound_with_open(1);
    assert_eq!(ended.end().0, "ok");
    let left = ended.count(|event| {
        matches!(event, EventKind::SessionEnded { session, end: SessionEnd::LeftOpen, .. }
            if session.as_str() == theirs)
    });
    assert_eq!(left, 1);
    assert!(ended.world.session(&theirs).is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_bag_holds_what_was_asked_said_and_fetched() {
    let hosts = r"C:\Windows\System32\drivers\etc\hosts";
    let steps = format!(
        "  - id: hosts\n    name: Hosts file\n    get_file: '{hosts}'\n\
         \x20 - id: who\n    exec: {{command: whoami.exe, effect: read}}\n"
    );
    let ended = one(&steps).await;
    ended.sound();
    let id = ended.ids[0];
    let files = ended.lines(id, "data/files.ndjson");
    assert_eq!(files.len(), 1);
    let file = &files[0];
    let stored = file["stored_path"].as_str().expect("a path");
    assert_eq!(stored, "data/files/C/Windows/System32/drivers/etc/hosts");
    let bytes = std::fs::read(ended.bag(id).join(stored)).expect("it is there");
    assert_eq!(file["sha256"], crate::sound::sha256(&bytes));
    for key in ["size_announced", "size_received"] {
        assert_eq!(file[key], bytes.len(), "{key}");
    }
    for (key, value) in [
        ("original_path", hosts),
        ("step_id", "hosts"),
        ("state", "complete"),
    ] {
        assert_eq!(file[key], value);
    }

    let said: Vec<_> = ended
        .lines(id, "data/transcript.jsonl")
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            assert!(
                line["cause"].is_null() && line["command_id"].is_u64(),
                "{line}"
            );
            (
                text("step_id"),
                line["command"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            )
        })
        .collect();
    let issued: Vec<_> = ended
        .events
        .iter()
        .filter_map(|event| match &event.ev {
            EventKind::CommandIssued { step, name, .. } => Some((step.to_string(), name.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(said, issued);
    assert_eq!(said.len(), 4);

    let step = ended.json(id, "data/steps/02-who.json");
    assert_eq!(step["end"], ended.json(id, "data/outcome.json")["steps"][1]);
    assert_eq!(step["raw"].as_array().map(Vec::len), Some(3));
    assert_eq!(step["rows"][0]["data"], "nt authority\\system\r\n");
    let device = ended.json(id, "data/device.json");
    assert_eq!(device["device"]["id"], id.0);
}
