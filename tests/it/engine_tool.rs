//! The engine over the simulated port, in virtual time: tools that are brought, run, and taken away again.

use crate::faulty::{Call, Fault, Faulty, Op};
use crate::rig::{Ended, Rig, playbook};
use crate::sound::sha256;
use sortie::model::outcome::Cause;
use sortie::sim::scenario::Scenario;
use std::sync::Arc;

/// What is sent: a script, so that it is a program to the endpoint.
const TOOL: &str = "@echo off\r\nrem a tool of ours\r\n";

/// A device on which the tool does this, and a playbook that runs it so.
pub(crate) fn rig(arguments: &str, timeout: &str, tool: &str, os: &str) -> Rig {
    let steps = format!(
        "  - id: tool\n    run_tool: {{source: tools/t.cmd, sha256: {}{arguments}}}\n    timeout: {timeout}\n    \
         retry: {{attempts: 3, delay: 1s}}\n",
        sha256(TOOL.as_bytes())
    );
    let fleet = format!(
        "executables: [{{os: [windows, linux], program: t.cmd{tool}}}]\n\
         devices: [{{name: host, id: 7, os: {os}, files: [{{path: 'C:\\Tools\\t.cmd', text: theirs}}, {{path: 'C:\\Logs\\out.csv', text: theirs}}, {{path: 'C:\\Empty\\'}}]}}]\n"
    );
    let loaded = Scenario::load(
        "fleet.yaml",
        fleet
            .replace("C:\\", if os == "linux" { "/" } else { "C:\\" })
            .as_bytes(),
    );
    let scenario = loaded.scenario.ok_or(loaded.diagnostics);
    let text = playbook(&steps).replace("{os: windows}", "{names: '*'}");
    let mut rig = Rig::on(text, scenario.expect("it is one").world());
    rig.files = vec![("tools/t.cmd", TOOL.to_owned())];
    rig
}

/// What was changed on the endpoint; what is never the same twice has a word for it.
fn changes(ended: &Ended) -> Vec<String> {
    let changes = ended.world.books().changes.into_iter();
    changes
        .map(|change| format!("{} {}", change.command, anonymous(&change.what)))
        .collect()
}

fn left_behind(ended: &Ended) -> Vec<String> {
    let record = ended.state.device(ended.ids[0]).expect("it was planned");
    record
        .left_behind
        .iter()
        .map(|path| anonymous(path))
        .collect()
}

/// The name of our own folder has the run and a number in it.
fn anonymous(text: &str) -> String {
    let mut text = text.to_owned();
    let mut from = 0;
    while let Some(at) = text[from..].find("sortie-").map(|at| from + at + 7) {
        let end = at + 15;
        text.replace_range(at..end, "X");
        from = at;
    }
    text
}

const OURS: &str = r"C:\Windows\Temp\sortie-X";

#[tokio::test(start_paused = true)]
async fn a_tool_comes_runs_and_goes() {
    let arguments = ", args: [-o, 'a b'], outputs: [out.csv], expect_code: 3";
    let tool =
        ", args: '-o *', output: said, code: 3, takes: 5s, writes: [{path: out.csv, text: rows}]";
    let ended = rig(arguments, "1m", tool, "windows").run().await;
    ended.sound();
    assert_eq!(ended.steps(), [("tool".into(), "done", 1)]);
    assert_eq!(
        changes(&ended),
        [
            format!("create directory {OURS}"),
            format!(r"put file {OURS}\t.cmd"),
            format!(r#"create process {OURS}\t.cmd -o "a b""#),
            format!(r"delete file {OURS}\out.csv"),
            format!(r"delete file {OURS}\sortie-X.out"),
            format!(r"delete file {OURS}\t.cmd"),
            format!("delete file {OURS}"),
        ]
    );
    assert_eq!(left_behind(&ended), [""; 0]);
    let [file] = &ended.lines(ended.ids[0], "data/files.ndjson")[..] else {
        panic!("one file");
    };
    assert_eq!(file["stored_path"], "data/files/rel/tool/out.csv");
    let posix = rig(", outputs: [out.csv]", "1m", tool, "linux");
    let ended = posix.run().await;
    assert_eq!(
        changes(&ended)[2..4],
        [
            "create process /bin/chmod 700 /tmp/sortie-X/t.cmd",
            "create process /tmp/sortie-X/t.cmd",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_tool_leaves_is_told() {
    let report = ", writes: [out.csv, log.txt, deep/more.txt]";
    let stays = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("{OURS}{name}"))
            .collect::<Vec<_>>()
    };
    let table: [(&str, &str, &str, Vec<String>); 11] = [
        // What it wrote besides is nobody's to delete.
        (
            ", outputs: [out.csv]",
            report,
            "done",
            stays(&[r"\deep", r"\log.txt", ""]),
        ),
        (
            ", outputs: [out.csv], keep: true",
            ", writes: out.csv",
            "done",
            stays(&[r"\out.csv", r"\t.cmd", ""]),
        ),
        (
            ", outputs: [none.csv, out.csv]",
            ", writes: out.csv",
            "failed",
            vec![],
        ),
        (", expect_code: 0", ", code: 1", "failed", vec![]),
        (
            ", outputs: [none.csv], keep: true",
            "",
            "failed",
            stays(&[r"\t.cmd", ""]),
        ),
        // A folder that was there before stays, and one that was not goes.
        (
            r", directory: 'C:\Empty\', outputs: [out.csv]",
            ", writes: out.csv",
            "done",
            vec![],
        ),
        (r", directory: 'C:\New'", "", "done", vec![]),
        // A path that comes out empty would be another folder.
        (", directory: \"{{ '' }}\"", "", "failed", vec![]),
        // Somebody else's file is never replaced, nor taken for what the tool wrote and deleted.
        (r", directory: 'C:\Tools'", "", "failed", vec![]),
        (
            r", directory: 'C:\Logs', outputs: [new.csv, out.csv]",
            "",
            "failed",
            vec![],
        ),
        (
            r", directory: 'C:\Logs', detach: {done_when: OUT.csv}",
            "",
            "failed",
            vec![],
        ),
    ];
    for (arguments, tool, outcome, left) in table {
        let ended = rig(arguments, "1m", tool, "windows").run().await;
        ended.sound();
        assert_eq!(ended.steps(), [("tool".into(), outcome, 1)], "{arguments}");
        assert_eq!(left_behind(&ended), left, "{arguments}");
        let changes = changes(&ended);
        let touched = |what: &str| changes.iter().any(|change| change.ends_with(what));
        assert!(!touched(r"delete file C:\Empty"), "{arguments}");
        assert_eq!(touched(r"delete file C:\New"), arguments.contains("New"));
        let does_nothing = ["Tools", "Logs", "{{"]
            .iter()
            .any(|word| arguments.contains(word));
        assert_eq!(changes.is_empty(), does_nothing, "{arguments}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_detached_tool_is_looked_at_until_it_is_done() {
    let detach = ", outputs: [out.csv], detach: {done_when: done, poll: 1m}";
    let writes = "writes: [out.csv, done]";
    let stays = vec![format!(r"{OURS}\t.cmd"), OURS.to_owned()];
    // How long it takes, how long it may, how that ends, after how many looks, and what stays.
    let table = [
        ("10s", "1h", "done", 1, vec![]),
        ("30m", "1h", "done", 30, vec![]),
        ("3570s", "1h", "done", 60, vec![]),
        ("2h", "1h", "failed", 60, stays),
    ];
    for (takes, timeout, outcome, looks, left) in table {
        let tool = format!(", takes: {takes}, {writes}");
        let ended = rig(detach, timeout, &tool, "windows").run().await;
        ended.sound();
        assert_eq!(ended.steps(), [("tool".into(), outcome, 1)], "{takes}");
        assert_eq!(left_behind(&ended), left, "{takes}");
        let books = ended.world.books();
        assert_eq!(books.commands["directory list"], looks, "{takes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_is_replaced_to_look_and_to_clear_up() {
    let rule = |op: Op, command: &'static str, nth: usize| {
        move |call: &Call<'_>| {
            let hit = call.op == op && call.command == command && call.nth == nth;
            hit.then_some(Fault::Lose)
        }
    };
    let detach = ", outputs: [out.csv], detach: {done_when: done, poll: 1m}";
    let tool = ", takes: 5m, writes: [out.csv, done]";
    // The directory, the file and the process are the first three commands.
    // The last look is one of those that the loss of a session leaves time for.
    for timeout in ["1h", "90s"] {
        let tool = ", takes: 61s, writes: [out.csv, done]";
        let lost = rule(
            Op::Issue,
            "directory list",
            if timeout == "1h" { 4 } else { 5 },
        );
        let ended = rig(detach, timeout, tool, "windows")
            .through(|world| Arc::new(Faulty::new(world, lost)))
            .run()
            .await;
        ended.sound();
        assert_eq!(ended.steps(), [("tool".into(), "done", 1)], "{timeout}");
        assert_eq!(left_behind(&ended), [""; 0], "{timeout}");
    }

    let ended = rig(", outputs: [out.csv, done]", "1h", tool, "windows")
        .through(|world| Arc::new(Faulty::new(world, rule(Op::Issue, "get file", 5))))
        .run()
        .await;
    ended.sound();
    assert_eq!(ended.steps(), [("tool".into(), "failed", 1)]);
    assert_eq!(left_behind(&ended), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_on_the_way_leaves_nothing_and_runs_nothing_twice() {
    let broken = || Cause::ConnectionLost {
        detail: "reset".into(),
    };
    let denied = || Cause::Endpoint { code: 0x8007_0005 };
    let full = || Cause::Endpoint { code: 0x8007_0070 };
    // The endpoint stopped waiting, and the program ran on.
    let timed_out = || Cause::Endpoint { code: 0x8007_05b4 };
    let before = Fault::Before;
    let after = Fault::After;
    // Where, which command, what; then the outcome, the tries, and how often it ran.
    let table = [
        (Op::Upload, "", before(broken()), "done", 2, 1),
        (Op::Upload, "", before(denied()), "failed", 1, 0),
        (Op::Issue, "create directory", after(broken()), "done", 1, 1),
        (Op::Issue, "put file", after(broken()), "done", 1, 1),
        (Op::Issue, "put file", before(broken()), "done", 1, 1),
        (Op::Finish, "put file", after(full()), "failed", 1, 0),
        // What it timed out at is done, as a look says.
        (Op::Finish, "put file", after(timed_out()), "done", 1, 1),
        (Op::Issue, "create process", after(broken()), "done", 1, 1),
        (Op::Issue, "create process", before(broken()), "done", 1, 1),
        (Op::Finish, "create process", after(broken()), "done", 1, 1),
        (
            Op::Finish,
            "create process",
            after(timed_out()),
            "unknown",
            1,
            1,
        ),
        (Op::Finish, "get file", before(denied()), "failed", 1, 1),
        (Op::Content, "", before(broken()), "failed", 1, 1),
    ];
    for (op, command, fault, outcome, tries, ran) in table {
        let case = format!("{fault:?} in {op:?} of {command}");
        let seen = std::sync::atomic::AtomicUsize::new(0);
        let rule = move |call: &Call<'_>| {
            let hit = call.op == op && call.command == command;
            let first = hit && seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            first.then(|| fault.clone())
        };
        let tool = ", takes: 2s, writes: out.csv";
        let ended = rig(", outputs: [out.csv]", "1m", tool, "windows")
            .through(|world| Arc::new(Faulty::new(world, rule)))
            .run()
            .await;
        ended.sound();
        let (_, word, attempts) = &ended.steps()[0];
        assert_eq!((*word, *attempts), (outcome, tries), "{case}");
        assert_eq!(ended.ran().len(), ran, "{case}");
        assert_eq!(left_behind(&ended), [""; 0], "{case}");
        let changes = changes(&ended);
        let count = |what: &str| changes.iter().filter(|one| one.starts_with(what)).count();
        let made = count("create directory");
        let gone = changes
            .iter()
            .filter(|one| **one == format!("delete file {OURS}"))
            .count();
        assert!(gone >= made, "{case}: {changes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_used_playbook_sends_files_from_its_own_folder() {
    let steps = "  - use: {playbook: lib/u.yaml, with: {tool: tools/t.cmd}}\n";
    let used = format!(
        "sortie: 1\nname: lib/u\npermissions: exec\ninputs: {{tool: {{type: path, required: true}}}}\n\
         vars: {{mine: '{{{{ inputs.tool }}}}'}}\nsteps:\n  - id: tool\n    run_tool:\n      \
         source: '{{{{ vars.mine }}}}'\n      sha256: {}\n      args: ['{{{{ device.name }}}}']\n",
        sha256(TOOL.as_bytes())
    );
    let mut rig = Rig::new(playbook(steps), crate::rig::windows(1));
    rig.files = vec![("lib/u.yaml", used), ("lib/tools/t.cmd", TOOL.to_owned())];
    let ended = rig.run().await;
    ended.sound();
    assert_eq!(ended.end().0, "ok");
    assert!(ended.ran()[0].contains(r"\t.cmd "), "{:?}", ended.ran());
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_runs_anew_brings_all_that_it_wrote_anew() {
    let arguments = r", effect: read, directory: 'C:\Empty', outputs: [a.csv, b.csv]";
    let tool = ", writes: [{path: a.csv, text: one}, {path: b.csv, text: two}]";
    let rule = |call: &Call<'_>| (call.op == Op::Content && call.nth == 3).then_some(Fault::Lose);
    let ended = rig(arguments, "10m", tool, "windows")
        .through(|world| Arc::new(Faulty::new(world, rule)))
        .run()
        .await;
    ended.sound();
    assert_eq!(ended.end().0, "ok");
    let transcript = ended.lines(ended.ids[0], "data/transcript.jsonl");
    let count = |name: &str, path: &str| {
        let of_it = transcript.iter().filter(|line| {
            let command = &line["command"];
            command["name"] == name && command["path"] == path && line["cause"].is_null()
        });
        of_it.count()
    };
    assert_eq!(ended.ran().len(), 2, "the session was lost after it ran");
    assert_eq!(count("get file", r"C:\Empty\a.csv"), 2);
}
