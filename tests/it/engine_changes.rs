//! The engine over the simulated port, in virtual time: steps that change an endpoint, what they look at
//! before, and what they keep.

use crate::rig::{Ended, Rig, playbook};
use crate::sound::sha256;
use sortie::model::outcome::Cause;
use sortie::sim::scenario::Scenario;

const THINGS: &str = "
      files:
        - {path: 'C:\\T\\a.txt', text: theirs}
        - {path: 'C:\\T\\tree\\one.txt', text: '1'}
        - {path: 'C:\\T\\tree\\deep\\two.txt', text: '22'}
        - {path: 'C:\\T\\tree\\away', attributes: [REPARSE_POINT]}
        - {path: 'C:\\T\\miner.exe', text: MZ}
      registry:
        - {key: 'HKLM\\SOFTWARE\\T', values: [{name: n, type: REG_DWORD, data: '7'}]}
        - {key: 'HKLM\\SOFTWARE\\T\\Sub\\Deep', values: [{name: s, data: x}]}
      processes:
        - {path: 'C:\\T\\miner.exe', command_line: 'miner.exe -o pool', pid: 4444}
        - {path: 'C:\\T\\miner.exe', command_line: 'miner.exe -o other', pid: 4448}
        - {path: 'C:\\T\\other.exe', pid: 5000, protected: true}
";

/// One device with these steps to run on it.
pub(crate) fn rig(steps: &str) -> Rig {
    let fleet = format!("devices:\n    - name: host\n      os: windows{THINGS}");
    let loaded = Scenario::load("fleet.yaml", fleet.as_bytes());
    let scenario = loaded.scenario.ok_or(loaded.diagnostics);
    let text = playbook(steps).replace("[read, exec]", "[read, write, delete, kill]");
    let mut rig = Rig::on(text, scenario.expect("it is one").world());
    rig.files = vec![("tools/notice.txt", "read this".to_owned())];
    rig
}

/// One step of this action, which is tried three times.
pub(crate) fn step(action: &str) -> String {
    format!("  - id: it\n    {action}\n    register: it\n    retry: {{attempts: 3, delay: 1s}}\n")
}

/// What was changed on the endpoint.
pub(crate) fn changes(ended: &Ended) -> Vec<String> {
    let changes = ended.world.books().changes.into_iter();
    changes
        .map(|change| format!("{} {}", change.command, change.what))
        .collect()
}

pub(crate) fn reason(ended: &Ended) -> String {
    let record = ended.state.device(ended.ids[0]).expect("it was planned");
    let cause = record.steps.last().and_then(|step| step.outcome.cause());
    cause.map(Cause::summary).unwrap_or_default()
}

/// The action, how it ends, what it changes, and what its cause speaks of.
type Change = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
);

#[rustfmt::skip]
const CHANGES: &[Change] = &[
    (r"put_file: {path: 'C:\T\new.txt', content: hello}", "done", &[r"put file C:\T\new.txt"], ""),
    (r"put_file: {path: 'C:\T\new.txt', source: tools/notice.txt}", "done", &[r"put file C:\T\new.txt"], ""),
    (r"put_file: {path: 'C:\T\a.txt', content: hello}", "failed", &[], r"already there, and not ours: C:\T\a.txt"),
    (r"put_file: {path: 'C:\T\a.txt', content: hello, overwrite: true}", "done", &[r"delete file C:\T\a.txt", r"put file C:\T\a.txt"], ""),
    (r"put_file: {path: 'C:\T\tree', content: hello, overwrite: true}", "failed", &[], "already there"),
    (r"put_file: {path: 'C:\no\new.txt', content: hello}", "failed", &[r"put file C:\no\new.txt"], "not found"),
    (r"put_file: {path: 'C:\T\new.txt', content: hello, remove_after: true}", "done", &[r"put file C:\T\new.txt", r"delete file C:\T\new.txt"], ""),
    (r"create_directory: 'C:\T\x\y\'", "done", &[r"create directory C:\T\x", r"create directory C:\T\x\y"], ""),
    (r"create_directory: {path: 'C:\T\x\y', parents: false}", "failed", &[r"create directory C:\T\x\y"], "not found"),
    (r"create_directory: 'C:\T\tree'", "done", &[], ""),
    (r"create_directory: 'C:\T\a.txt\x'", "failed", &[], r"already there, and not ours: C:\T\a.txt"),
    ("delete_file: {path: 'C:\\T\\a.txt', sha256: THEIRS}", "done", &[r"delete file C:\T\a.txt"], ""),
    ("delete_file: {path: 'C:\\T\\a.txt', sha256: OTHER}", "skipped", &[], r"left alone by its guard: the SHA-256 of C:\T\a.txt is"),
    (r"delete_file: {path: 'C:\T\none', unguarded: true}", "done", &[], ""),
    (r"delete_file: {path: 'C:\T\none', unguarded: true, if_missing: fail}", "failed", &[], r"not there: C:\T\none"),
    (r"delete_file: {path: 'C:\T\tree', unguarded: true}", "failed", &[], "`recursive` is not given"),
    (r#"delete_file: {path: "{{ 'C:' }}", unguarded: true, recursive: true}"#, "failed", &[], "the sensor or the system itself"),
    (r"delete_file: {path: 'C:\T\tree', unguarded: true, recursive: true}", "done", &[r"delete file C:\T\tree\deep\two.txt", r"delete file C:\T\tree\one.txt", r"delete file C:\T\tree\deep", r"delete file C:\T\tree\away", r"delete file C:\T\tree"], ""),
    (r"reg_set: {key: 'HKLM\SOFTWARE\T\', value: new, type: REG_MULTI_SZ, data: [a, b]}", "done", &[r"reg set value HKLM\SOFTWARE\T\new"], ""),
    (r"reg_set: {key: 'HKLM\SOFTWARE\T', value: n, type: REG_DWORD, data: '0x7'}", "done", &[], ""),
    (r"reg_set: {key: 'HKLM\SOFTWARE\T', value: n, type: REG_DWORD, data: 8}", "failed", &[], r"already there, and not ours: HKLM\SOFTWARE\T\n"),
    (r"reg_set: {key: 'HKLM\SOFTWARE\T', value: n, type: REG_DWORD, data: 8, overwrite: true}", "done", &[r"reg set value HKLM\SOFTWARE\T\n"], ""),
    (r"reg_set: {key: 'HKLM\SOFTWARE\None', value: n, data: x}", "failed", &[r"reg set value HKLM\SOFTWARE\None\n"], r"not there: HKLM\SOFTWARE\None"),
    (r"reg_create_key: 'HKLM\SOFTWARE\T\New'", "done", &[r"reg create key HKLM\SOFTWARE\T\New"], ""),
    (r"reg_create_key: 'HKLM\SOFTWARE\T'", "done", &[], ""),
    (r"reg_create_key: 'HKXX\SOFTWARE\T'", "failed", &[], "invalid parameter"),
    (r"reg_delete_value: {key: 'HKLM\SOFTWARE\T', value: n}", "done", &[r"reg delete value HKLM\SOFTWARE\T\n"], ""),
    (r"reg_delete_value: {key: 'HKLM\SOFTWARE\T', value: none}", "done", &[], ""),
    (r"reg_delete_value: {key: 'HKLM\SOFTWARE\T', value: none, if_missing: fail}", "failed", &[], "not there"),
    (r#"reg_delete_value: {key: 'HKLM\SOFTWARE\T', value: "{{ '' }}"}"#, "failed", &[], "`value` is empty"),
    (r"reg_delete_key: 'HKLM\SOFTWARE\T\Sub\Deep'", "done", &[r"reg delete key HKLM\SOFTWARE\T\Sub\Deep"], ""),
    (r"reg_delete_key: 'HKLM\SOFTWARE\T'", "failed", &[], "`recursive` is not given"),
    (r"reg_delete_key: {key: 'HKLM\SOFTWARE\None', if_missing: fail}", "failed", &[], "not there"),
    (r"reg_delete_key: {key: 'HKLM\SOFTWARE\T', recursive: true, unguarded: true}", "done", &[r"reg delete key HKLM\SOFTWARE\T\Sub\Deep", r"reg delete key HKLM\SOFTWARE\T\Sub", r"reg delete key HKLM\SOFTWARE\T"], ""),
    ("kill_process: {pid: 4444}", "done", &["kill 4444"], ""),
    ("kill_process: {name: MINER.exe, sha256: MINER}", "done", &["kill 4444", "kill 4448"], ""),
    ("kill_process: {name: miner.exe, sha256: OTHER}", "skipped", &[], r"left alone by its guard: the SHA-256 of C:\T\miner.exe is"),
    ("kill_process: {name: miner.exe, command_line: 'glob:*OTHER'}", "done", &["kill 4448"], ""),
    (r"kill_process: {path: 'regex:^C:.T.*er[.]exe$', command_line: 'regex:pool'}", "done", &["kill 4444"], ""),
    ("kill_process: {name: miner.exe, max: 1}", "failed", &[], "more than 1"),
    ("kill_process: {name: none.exe}", "done", &[], ""),
    ("kill_process: {name: none.exe, if_missing: fail}", "failed", &[], "not there: a process with name none.exe"),
    ("kill_process: {pid: 4}", "failed", &[], "the sensor or the system itself: process 4"),
    ("kill_process: {pid: 5000}", "failed", &["kill 5000"], "access denied"),
];

#[tokio::test(start_paused = true)]
async fn each_change_is_guarded_and_proved() {
    for (action, outcome, expected, why) in CHANGES {
        let hashes = [("THEIRS", "theirs"), ("MINER", "MZ"), ("OTHER", "other")];
        let action = hashes
            .iter()
            .fold((*action).to_owned(), |action, (mark, text)| {
                action.replace(
                    &format!("sha256: {mark}"),
                    &format!("sha256: {}", sha256(text.as_bytes())),
                )
            });
        let ended = rig(&step(&action)).run().await;
        ended.sound();
        let (_, word, _) = ended.steps()[0];
        assert_eq!(word, *outcome, "{action}: {}", reason(&ended));
        assert_eq!(changes(&ended), *expected, "{action}");
        assert!(reason(&ended).contains(why), "{action}: {}", reason(&ended));
        let record = ended.state.device(ended.ids[0]).expect("it was planned");
        assert!(record.left_behind.is_empty(), "{action}");
    }
}

/// The action, and of what it keeps the kind, the path and the name.
type Kept = (
    &'static str,
    &'static [(&'static str, &'static str, &'static str)],
);

const KEPT: &[Kept] = &[
    (
        r"put_file: {path: 'C:\T\a.txt', content: hello, overwrite: true}",
        &[("file", r"C:\T\a.txt", "a.txt")],
    ),
    (
        r"delete_file: {path: 'C:\T\a.txt', unguarded: true}",
        &[("file", r"C:\T\a.txt", "a.txt")],
    ),
    (
        r"delete_file: {path: 'C:\T\tree', unguarded: true, recursive: true}",
        &[
            ("file", r"C:\T\tree\one.txt", "one.txt"),
            ("file", r"C:\T\tree\deep\two.txt", "two.txt"),
        ],
    ),
    (
        r"reg_set: {key: 'HKLM\SOFTWARE\T', value: n, data: new, overwrite: true}",
        &[("registry_value", r"HKLM\SOFTWARE\T", "n")],
    ),
    (
        r"reg_delete_value: {key: 'HKLM\SOFTWARE\T', value: n}",
        &[("registry_value", r"HKLM\SOFTWARE\T", "n")],
    ),
    (
        r"reg_delete_key: {key: 'HKLM\SOFTWARE\T', recursive: true, unguarded: true}",
        &[
            ("registry_value", r"HKLM\SOFTWARE\T", "n"),
            ("registry_value", r"HKLM\SOFTWARE\T\Sub\Deep", "s"),
        ],
    ),
    (
        "kill_process: {pid: 4444}",
        &[("process", r"C:\T\miner.exe", "miner.exe")],
    ),
];

#[tokio::test(start_paused = true)]
async fn what_is_taken_away_or_replaced_is_in_the_bag_before() {
    for (action, kept) in KEPT {
        for waived in [false, true] {
            let is_put = action.starts_with("put_file");
            let action = if waived && !is_put {
                action.replace('}', ", evidence: {waived: it is in the case}}")
            } else {
                (*action).to_owned()
            };
            let ended = rig(&step(&action)).run().await;
            ended.sound();
            assert_eq!(ended.steps()[0].1, "done", "{action}: {}", reason(&ended));
            let file = ended.json(ended.ids[0], "data/steps/01-it.json");
            let rows = file["rows"].as_array().expect("rows").clone();
            let mut found: Vec<(&str, &str, &str)> = Vec::new();
            for row in rows.iter().filter(|row| {
                row["extra"]["kept_before"] == action.split(':').next().unwrap_or_default()
            }) {
                let text = |key: &str| row[key].as_str().unwrap_or_default();
                found.push((text("kind"), text("path"), text("name")));
                let is_waived = waived && !is_put;
                assert_eq!(row["data"].is_null(), is_waived, "{action}: {row}");
                assert_eq!(
                    row["extra"]["waived"].is_string(),
                    is_waived,
                    "{action}: {row}"
                );
            }
            found.retain(|row| row.2 != "away");
            let mut kept = kept.to_vec();
            kept.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, kept, "{action}");
        }
    }
}
