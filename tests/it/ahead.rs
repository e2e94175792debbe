//! Reads under way at once: what is found and written down is the same as if they came one after the other.

use crate::cable::{Asked, Cable};
use crate::faulty::{Call, Fault, Faulty, Op};
use crate::rig::{Ended, Rig, playbook, windows};
use serde_json::Value;
use sortie::api::{ApiFleet, Tempo};
use sortie::live::{Backend, Fleet};
use sortie::model::event::{EventKind, OnError};
use sortie::model::outcome::Cause;
use sortie::sim::port::SimFleet;
use sortie::sim::world::{Settings, World};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Reads of every kind, with results that later ones need, and one that fails.
const READS: &str = r"  - list_processes: {}
    register: procs
  - reg_query: 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run'
  - get_file:
      path: ['C:\Windows\System32\drivers\etc\hosts', 'C:\No\such', 'C:\Windows\notepad.exe']
      if_missing: skip
  - id: tasks
    list_directory: {path: 'C:\Windows\System32\Tasks', depth: 3}
    register: tasks
  - id: each
    for_each: ['C:\Windows', 'C:\Users', 'C:\Windows\System32\Tasks']
    list_directory: '{{ item }}'
  - id: logs
    find_files: {paths: ['C:\Windows\System32\winevt\Logs\S*.evtx', 'C:\Users\*\Desktop\*'], get: true}
    register: logs
  - for_each: logs.files
    get_file: '{{ item.path }}'
  - id: services
    reg_query: {key: 'HKLM\SYSTEM\CurrentControlSet\Services', depth: 2}
  - id: elsewhere
    os: linux
    list_directory: /
  - id: missing
    get_file: 'C:\No\such'
    on_error: ON_ERROR
  - id: after
    reg_query: 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run'
  - id: whoami
    exec: {command: whoami.exe, effect: read}
  - id: again
    list_directory: 'C:\Windows'
";

fn reads(on_error: OnError) -> String {
    let word = serde_json::to_value(on_error).expect("it is a word");
    playbook(&READS.replace("ON_ERROR", word.as_str().expect("it is a word")))
}

/// A run with so many commands under way at once, with what was asked over the wire.
async fn over_wire(text: String, window: usize, world: World) -> (Ended, Vec<Asked>) {
    let laid: Arc<Mutex<Option<Arc<Cable>>>> = Arc::default();
    let keep = Arc::clone(&laid);
    let rig = Rig::on(text, world).through(move |world| {
        let cable = Cable::new(world, "");
        *keep.lock().expect("no panic within") = Some(Arc::clone(&cable));
        let backend = Backend {
            api: "v6".into(),
            url: "memory".into(),
            organisation: world.org_key().into(),
            simulated: true,
        };
        let tempo = Tempo {
            window,
            limit: None,
            ..Tempo::CLOUD
        };
        Arc::new(ApiFleet::over(cable, backend, tempo)) as Arc<dyn Fleet>
    });
    let ended = rig.run().await;
    let cable = laid.lock().expect("no panic within").take();
    (ended, cable.expect("it was laid").log())
}

/// The same straight on the world.
async fn on_world(text: String, window: usize) -> Ended {
    let rig = Rig::new(text, windows(1));
    let rig = rig.through(|world| {
        Arc::new(SimFleet::new(world.clone()).with_window(window)) as Arc<dyn Fleet>
    });
    rig.run().await
}

/// What happened, without numbers and times that differ between any two runs.
fn story(ended: &Ended) -> Vec<Value> {
    let told = ended.events.iter().map(|event| {
        let mut told = serde_json::to_value(&event.ev).expect("it is data");
        let fields = told.as_object_mut().expect("it has fields");
        for changing in [
            "run_id",
            "session",
            "plan_sha256",
            "sha256",
            "spent",
            "nonce",
        ] {
            fields.remove(changing);
        }
        // A number, or a command whose file is named for this run alone.
        if let Some(command) = fields.get_mut("command") {
            *command = command.get("name").cloned().unwrap_or_default();
        }
        told
    });
    told.collect()
}

/// Without moments, which depend on when the world began.
fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => return Value::Null,
        Value::Array(all) => all.iter_mut().for_each(|one| *one = timeless(one.take())),
        Value::Object(all) => all.values_mut().for_each(|one| *one = timeless(one.take())),
        _ => {}
    }
    value
}

fn assert_same(one: &[Value], other: &[Value]) {
    for (one, other) in one.iter().zip(other) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
}

/// Rows of all steps, and the index of files, without the like.
fn findings(ended: &Ended) -> Vec<Value> {
    let id = ended.ids[0];
    let mut found = Vec::new();
    let steps = std::fs::read_dir(ended.bag(id).join("data/steps")).expect("it is there");
    let mut names: Vec<String> = steps
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    for name in names {
        let step = ended.json(id, &format!("data/steps/{name}"));
        found.push(step["end"]["outcome"].clone());
        found.push(step["end"]["cause"].clone());
        found.push(timeless(step["rows"].clone()));
    }
    for mut file in ended.lines(id, "data/files.ndjson") {
        let fields = file.as_object_mut().expect("it has fields");
        for changing in ["command_id", "file_id", "started", "ended"] {
            fields.remove(changing);
        }
        found.push(timeless(file));
    }
    found
}

#[tokio::test(start_paused = true)]
async fn the_window_changes_nothing_but_the_time() {
    for on_error in [OnError::Continue, OnError::Ignore] {
        let one = on_world(reads(on_error), 1).await;
        let four = on_world(reads(on_error), 4).await;
        one.sound();
        four.sound();
        assert_same(&story(&one), &story(&four));
        assert_same(&findings(&one), &findings(&four));
    }
}

#[tokio::test(start_paused = true)]
async fn looking_ahead_costs_no_request_and_saves_time() {
    let text = || reads(OnError::Continue);
    let (one, asked_one) = over_wire(text(), 1, World::new(windows(20))).await;
    let (four, asked_four) = over_wire(text(), 4, World::new(windows(20))).await;
    println!(
        "{} requests in {:?} one after the other, {} in {:?} ahead",
        asked_one.len(),
        one.took,
        asked_four.len(),
        four.took
    );
    one.sound();
    four.sound();
    assert_same(&findings(&one), &findings(&four));
    assert!(asked_four.len() <= asked_one.len());
    assert!(four.took < one.took);
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_for_nothing_is_taken_back_and_told() {
    let steps = r"  - id: first
    get_file: 'C:\No\such'
  - id: second
    reg_query: 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run'
  - id: third
    list_processes: {}
always:
  - id: last
    list_directory: 'C:\Windows'
";
    let ended = on_world(playbook(steps), 4).await;
    ended.sound();
    let steps = ended.steps();
    let outcomes: Vec<_> = steps
        .iter()
        .map(|(id, outcome, _)| (id.as_str(), *outcome))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("first", "failed"),
            ("second", "skipped"),
            ("third", "skipped"),
            ("last", "done")
        ]
    );
    let told = ended.count(|event| {
        let EventKind::CommandEnded { cause, .. } = event else {
            return false;
        };
        *cause == Some(Cause::CommandCancelled)
    });
    assert_eq!(told, 2);
    assert_eq!(ended.state.commands(), 4);
    assert_eq!(ended.lines(ended.ids[0], "data/transcript.jsonl").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_directory_is_listed_once_for_all_steps_until_something_may_have_changed() {
    let steps = r"  - list_directory: {path: 'C:\Users', depth: 2}
  - find_files: {paths: ['C:\Users\*\Desktop\*', 'C:\users\*\No\x.txt']}
  - find_files: 'C:\Nowhere\a\*.txt'
  - find_files: 'C:\Nowhere\b\*.txt'
  - exec: {command: whoami.exe, effect: read}
  - list_directory: 'C:\Users'
";
    let (one, four) = (
        on_world(playbook(steps), 1).await,
        on_world(playbook(steps), 4).await,
    );
    assert_same(&findings(&one), &findings(&four));
    let mut listed: Vec<String> = Vec::new();
    for line in four.lines(four.ids[0], "data/transcript.jsonl") {
        let command = &line["command"];
        if command["name"] == "directory list" {
            listed.push(command["path"].as_str().expect("it is text").to_lowercase());
        }
    }
    let users = listed.iter().filter(|path| *path == r"c:\users\").count();
    assert_eq!(users, 2, "before and after the program: {listed:?}");
    let nowhere = listed
        .iter()
        .filter(|path| path.starts_with(r"c:\nowhere"))
        .count();
    assert_eq!(
        nowhere, 2,
        "one below it, and whether it is there: {listed:?}"
    );
    listed.sort();
    listed.dedup();
    let all = four.world.books().commands["directory list"];
    assert_eq!(all, listed.len() as u64 + 1, "{listed:?}");
}

#[tokio::test(start_paused = true)]
async fn in_a_session_that_others_use_one_thing_follows_the_other() {
    let devices = windows(1);
    let id = devices[0].id;
    let world = World::new(devices);
    let theirs = world.open(id).expect("opens").session.id;
    tokio::time::advance(Duration::from_secs(1)).await;
    let text = playbook(
        "  - list_processes: {}\n  - reg_query: 'HKLM\\SOFTWARE'\n  - list_directory: 'C:\\'\n",
    );
    let (ended, asked) = over_wire(text, 4, world.clone()).await;
    assert_eq!(ended.end().0, "ok");
    let commands: Vec<_> = asked
        .iter()
        .filter(|asked| asked.route.contains("/commands"))
        .map(|asked| asked.route.starts_with("POST"))
        .collect();
    let at_once = commands
        .windows(2)
        .filter(|pair| **pair == [true, true])
        .count();
    assert_eq!(at_once, 0, "{commands:?}");
    world.close(&theirs).expect("it is left open");
}

/// A run in which something may go wrong, with the commands in the order in which they were handed over.
async fn handed_over(
    steps: &str,
    rule: impl Fn(&Call<'_>) -> Option<Fault> + Send + Sync + 'static,
) -> (Ended, Vec<String>) {
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let keep = Arc::clone(&log);
    let rule = move |call: &Call<'_>| {
        if call.op == Op::Issue {
            let mut log = keep.lock().expect("no panic within");
            log.push(call.command.to_owned());
        }
        rule(call)
    };
    let rig = Rig::new(playbook(steps), windows(1));
    let ended = rig
        .through(|world| Arc::new(Faulty::new(world, rule)) as Arc<dyn Fleet>)
        .run()
        .await;
    ended.sound();
    let log = log.lock().expect("no panic within").clone();
    (ended, log)
}

#[tokio::test(start_paused = true)]
async fn what_a_step_waits_for_is_waited_for_before_anything_after_it_is_read() {
    const RETRY: &str = "retry: {attempts: 3, delay: 1m, jitter: false, until: 'false'}";
    let waits = "process list";
    // A step that waits in vain, one behind another, and one that does so for each item.
    let table = [
        (
            format!(
                "  - list_processes: {{}}\n    {RETRY}\n    on_error: ignore\n\
                 \x20 - list_directory: 'C:\\'\n"
            ),
            vec![waits, waits, waits, "directory list"],
        ),
        (
            format!(
                "  - reg_query: 'HKLM\\SOFTWARE'\n\
                 \x20 - list_processes: {{}}\n    {RETRY}\n    on_error: ignore\n\
                 \x20 - list_directory: 'C:\\'\n"
            ),
            vec!["reg enum key", waits, waits, waits, "directory list"],
        ),
        (
            format!(
                "  - for_each: [1, 2]\n    list_processes: {{}}\n    {RETRY}\n    on_error: ignore\n"
            ),
            vec![waits; 6],
        ),
    ];
    for (steps, expected) in table {
        let (_, log) = handed_over(&steps, |_| None).await;
        assert_eq!(log, expected, "{steps}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_tries_again_reads_again_what_was_read_before() {
    let steps = "  - get_file: {path: ['C:\\Windows\\notepad.exe', 'C:\\Windows\\System32\\drivers\\etc\\hosts']}\n    \
                 retry: {attempts: 2, delay: 10m, jitter: false}\n";
    let broken = || Cause::ConnectionLost {
        detail: "reset".into(),
    };
    let rule = move |call: &Call<'_>| {
        (call.op == Op::Finish && call.nth == 1).then(|| Fault::After(broken()))
    };
    let (ended, log) = handed_over(steps, rule).await;
    assert_eq!(ended.end().0, "ok");
    assert_eq!(log, ["get file"; 4]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_last_has_its_time_whatever_was_read_ahead() {
    let steps = r"  - id: first
    get_file: 'C:\No\such'
  - id: second
    reg_query: 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run'
always:
  - id: last
    exec: {command: whoami.exe, effect: read}
";
    let devices = windows(1);
    let settings = Settings {
        command: Duration::from_secs(25),
        ..Settings::default()
    };
    // The last step has time for two commands, and not for one of ours before them.
    let ended = Rig::on(playbook(steps), World::with(devices, settings))
        .run()
        .await;
    ended.sound();
    let last = ended.steps().pop().expect("it ran");
    assert_eq!((last.0.as_str(), last.1), ("last", "done"));
}
