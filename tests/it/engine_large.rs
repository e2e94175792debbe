//! The engine fetches large files: in pieces, on after interruptions, and never twice what it has.

use crate::faulty::{Call, Fault, Faulty, Op};
use crate::rig::{Ended, Rig, playbook, windows};
use crate::wire::wired;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sortie::model::event::EventKind;
use sortie::model::outcome::Cause;
use sortie::model::row::FileState;
use sortie::sim::device::SimDevice;
use sortie::sim::endpoint::content::Content;
use std::fmt::Write;
use std::fs::{self, File};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

const PIECE: u64 = 64 << 10;
const PATH: &str = r"C:\data\large.bin";

fn content(length: u64) -> Content {
    Content::Seeded {
        magic: b"MZ",
        seed: 7,
        length,
    }
}

fn hash(content: &Content) -> String {
    let bytes = content.read(0, usize::MAX);
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("text grows");
            text
        })
}

/// A device with these files below `C:\data`.
fn device(files: &[(&str, u64)]) -> Vec<SimDevice> {
    let mut devices = windows(1);
    for (name, length) in files {
        let path = format!(r"C:\data\{name}");
        let planted = devices[0]
            .endpoint
            .plant(&path, Some(content(*length)), |_| {});
        planted.expect("there is room");
    }
    devices
}

fn large(length: u64) -> Vec<SimDevice> {
    device(&[("large.bin", length)])
}

fn rig(steps: &str, devices: Vec<SimDevice>) -> Rig {
    let mut rig = Rig::new(playbook(steps), devices);
    rig.piece = PIECE;
    rig
}

fn get(arguments: &str, modifiers: &str) -> String {
    format!("  - id: get\n    get_file: {{path: '{PATH}'{arguments}}}\n    {modifiers}\n")
}

/// How often each command ran that fetching needs.
fn commands(ended: &Ended) -> (u64, u64) {
    let ran = ended.world.books().commands;
    let count = |name: &str| ran.get(name).copied().unwrap_or_default();
    (count("get file"), count("directory list"))
}

fn files(ended: &Ended) -> Vec<Value> {
    ended.lines(ended.ids[0], "data/files.ndjson")
}

fn broken() -> Cause {
    Cause::ConnectionLost {
        detail: "reset".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_file_comes_in_pieces() {
    let whole = "";
    // Its size, what of it, and then: commands of both kinds, and what came.
    let table = [
        (1, whole, (1, 0), 1),
        (PIECE - 1, whole, (1, 0), PIECE - 1),
        (PIECE, whole, (1, 1), PIECE),
        (PIECE + 1, whole, (2, 1), PIECE + 1),
        (5 * PIECE + 7, whole, (6, 1), 5 * PIECE + 7),
        (5 * PIECE, ", count: 10B", (1, 0), 10),
        (5 * PIECE, ", count: 64KiB", (1, 0), PIECE),
        (5 * PIECE, ", count: 100KiB", (2, 1), 100 << 10),
        (5 * PIECE, ", offset: 128KiB", (3, 1), 3 * PIECE),
        (5 * PIECE, ", offset: 256KiB, count: 1MiB", (1, 1), PIECE),
        (5 * PIECE, ", offset: 1MiB", (1, 0), 0),
        (5 * PIECE, ", max_size: 320KiB", (5, 1), 5 * PIECE),
        (PIECE - 1, ", max_size: 64KiB", (1, 0), PIECE - 1),
    ];
    for (length, what, expected, size) in table {
        let case = format!("{length}{what}");
        let ended = rig(&get(what, "timeout: 1h"), large(length)).run().await;
        ended.sound();
        assert_eq!(ended.end().0, "ok", "{case}");
        assert_eq!(commands(&ended), expected, "{case}");
        let file = &files(&ended)[0];
        assert_eq!(file["size_received"], size, "{case}");
        assert_eq!(file["size_announced"], size, "{case}");
        assert_eq!(file["times"].is_object(), expected.1 > 0, "{case}");
        if size == length {
            assert_eq!(file["sha256"], hash(&content(length)), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_file_that_is_too_large_little_is_fetched_and_nothing_kept() {
    for (limit, expected) in [("320KiB", (1, 1)), ("64KiB", (1, 1)), ("63KiB", (1, 0))] {
        let what = format!(", max_size: {limit}");
        let ended = rig(&get(&what, "timeout: 1h"), large(5 * PIECE + 1))
            .run()
            .await;
        ended.sound();
        assert_eq!(ended.end().0, "failed", "{limit}");
        assert_eq!(commands(&ended), expected, "{limit}");
        assert_eq!(files(&ended), [Value::Null; 0], "{limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_before_an_interruption_is_not_fetched_again() {
    let pieces = 4 << 20 >> 16;
    let broken_at = [3, 4, 5, 11, 30, 50, 64];
    let lost_at = [20, 41];
    let rule = move |call: &Call<'_>| match call.op {
        Op::Content if broken_at.contains(&call.nth) => Some(Fault::After(broken())),
        Op::Content if lost_at.contains(&call.nth) => Some(Fault::Lose),
        _ => None,
    };
    let steps = get("", "timeout: 1h\n    retry: {attempts: 20, delay: 1s}");
    let ended = rig(&steps, large(4 << 20))
        .through(|world| Arc::new(Faulty::new(world, rule)))
        .run()
        .await;
    ended.sound();
    let interruptions = (broken_at.len() + lost_at.len()) as u64;
    assert_eq!(ended.end().0, "ok");
    assert_eq!(ended.steps()[0].2, 10, "the first, and one after each");
    assert_eq!(ended.world.books().sessions_opened, 3);
    // A piece again, and a look whether it is the same file still, for each.
    let expected = (pieces + interruptions, 1 + interruptions);
    assert_eq!(commands(&ended), expected);
    let files = files(&ended);
    assert_eq!(files.len(), 1);
    assert_eq!(files[0]["sha256"], hash(&content(4 << 20)));
    assert_eq!(files[0]["attempts"], 10);
    assert_eq!(files[0]["state"], "complete");
}

#[tokio::test(start_paused = true)]
async fn over_the_wire_a_reset_costs_a_piece_at_most() {
    let faults = "{route: content host, nth: [1, 2, 5, 9, 14, 20, 27, 35], reset: half}, \
                  {route: 'liveresponse/sessions/{id}/files/{file}/content', nth: [12, 40], session: lost}";
    let mut rig = rig(&get("", "timeout: 1h"), large(4 << 20));
    rig.piece = 256 << 10;
    let (ended, log) = wired(rig, faults).await;
    ended.sound();
    assert_eq!(ended.end(), ("ok".into(), String::new()));
    let files = files(&ended);
    assert_eq!(files.len(), 1);
    assert_eq!(files[0]["sha256"], hash(&content(4 << 20)));
    let contents = log.iter().filter(|asked| asked.route == "GET content host");
    // Sixteen pieces, and those that broke off.
    assert!(contents.count() <= 16 + 8);
}

#[tokio::test(start_paused = true)]
async fn of_a_list_a_lost_session_repeats_what_was_under_way() {
    let names = [("a", 10), ("b", 3 * PIECE), ("c", 10)];
    let list = "  - id: get\n    get_file: {path: ['C:\\data\\a', 'C:\\data\\b', 'C:\\data\\c']}\n    \
                timeout: 1h\n    retry: {attempts: 3, delay: 1s}\n";
    let found = "  - id: get\n    find_files: {paths: 'C:\\data\\*', get: true}\n    timeout: 1h\n";
    // The first file is fetched again where the author wants the step to be tried again, and not where
    // only the session was lost, with which the last one went too that was under way already. Whoever has seen
    // the entries asks for none.
    let table = [
        (list, Fault::Lose, (7, 2), 3),
        (list, Fault::After(broken()), (8, 2), 4),
        (found, Fault::Lose, (7, 2), 3),
    ];
    for (steps, fault, expected, lines) in table {
        let case = format!("{steps} {fault:?}");
        let rule =
            move |call: &Call<'_>| (call.op == Op::Content && call.nth == 3).then(|| fault.clone());
        let ended = rig(steps, device(&names))
            .through(|world| Arc::new(Faulty::new(world, rule)))
            .run()
            .await;
        ended.sound();
        assert_eq!(ended.end().0, "ok", "{case}");
        assert_eq!(commands(&ended), expected, "{case}");
        let files = files(&ended);
        assert_eq!(files.len(), lines, "{case}");
        assert!(files.iter().all(|file| file["state"] == "complete"));
        let rows = ended.json(ended.ids[0], "data/steps/01-get.json")["rows"].clone();
        assert_eq!(rows.as_array().map(Vec::len), Some(3), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_piece_that_broke_nothing_stays_in_a_file_that_ends_before_it() {
    // Nothing says how large the file is, and by the second attempt it is as short as what came.
    let rule = |call: &Call<'_>| match (call.op, call.command, call.nth) {
        (Op::Finish, "directory list", _) => {
            Some(Fault::After(Cause::Endpoint { code: 0x8007_0005 }))
        }
        (Op::Content, _, 2) => Some(Fault::After(broken())),
        (Op::Finish, _, 5) => Some(Fault::After(Cause::Endpoint { code: 0x8007_0057 })),
        _ => None,
    };
    let steps = get("", "timeout: 1h\n    retry: {attempts: 2, delay: 1s}");
    let ended = rig(&steps, large(3 * PIECE))
        .through(|world| Arc::new(Faulty::new(world, rule)))
        .run()
        .await;
    ended.sound();
    assert_eq!(ended.end().0, "ok");
    let file = &files(&ended)[0];
    assert_eq!(file["state"], "complete");
    assert_eq!(file["size_announced"], PIECE);
    assert_eq!(file["size_received"], PIECE);
}

#[tokio::test(start_paused = true)]
async fn what_never_becomes_whole_is_kept_as_a_part() {
    let always =
        "  - id: first\n    list_processes: {}\nalways:\n".to_owned() + &get("", "timeout: 1h");
    // Where it goes wrong for ever, how, when the run is told to leave, and what is in the bag.
    let denied = || Cause::Endpoint { code: 0x8007_0005 };
    let table = [
        (
            get("", "timeout: 1h"),
            Op::Content,
            Fault::After(broken()),
            None,
        ),
        (get("", "timeout: 1h"), Op::Content, Fault::Lose, None),
        (
            get("", "timeout: 1h"),
            Op::Finish,
            Fault::Before(denied()),
            None,
        ),
        (get("", "timeout: 10m"), Op::Content, Fault::Hang, None),
        (get("", "timeout: 1h"), Op::Content, Fault::Panic, None),
        (get("", "timeout: 1h"), Op::Content, Fault::Hang, Some(30)),
        (get("", "timeout: 1h"), Op::Issue, Fault::Hang, Some(30)),
        (always, Op::Content, Fault::Hang, None),
    ];
    for (steps, op, fault, leave_after) in table {
        let case = format!("{op:?} {fault:?} {leave_after:?} {steps}");
        // The directory is listed between the second piece and the first.
        let rule = move |call: &Call<'_>| {
            let is_later = call.nth > 1 && (op == Op::Content || call.command == "get file");
            (call.op == op && is_later).then(|| fault.clone())
        };
        let running = rig(&steps, large(4 * PIECE))
            .through(|world| Arc::new(Faulty::new(world, rule)))
            .begin()
            .await;
        if let Some(seconds) = leave_after {
            sleep(Duration::from_secs(seconds)).await;
            running.cancel.leave();
        }
        let ended = running.end().await;
        ended.sound();
        assert_ne!(ended.end().0, "ok", "{case}");
        let files = files(&ended);
        assert_eq!(files.len(), 1, "{case}");
        let file = &files[0];
        assert_eq!(file["state"], "partial", "{case}");
        assert!(
            file["cause"].is_object() || file["cause"].is_string(),
            "{case} {file}"
        );
        assert_eq!(file["size_announced"], 4 * PIECE, "{case}");
        assert!(file["size_received"].as_u64() >= Some(PIECE), "{case}");
        assert_eq!(file["stored_path"], "data/files/C/data/large.bin=partial");
        let told = ended.count(|event| matches!(event, EventKind::FileStored { state, .. } if *state == FileState::Partial));
        assert_eq!(told, 1, "{case}");
        let record = ended.state.device(ended.ids[0]).expect("it was planned");
        assert_eq!((record.files, record.bytes), (0, 0), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sample_comes_in_one_go_into_a_zip() {
    let length = 5 * PIECE + 7;
    let rule =
        |call: &Call<'_>| (call.op == Op::Content && call.nth == 1).then(|| Fault::After(broken()));
    let steps = get(
        ", sample: true",
        "timeout: 1h\n    retry: {attempts: 2, delay: 1s}",
    );
    let ended = rig(&steps, large(length))
        .through(|world| Arc::new(Faulty::new(world, rule)))
        .run()
        .await;
    ended.sound();
    assert_eq!(ended.end().0, "ok");
    assert_eq!(commands(&ended), (2, 0));
    let file = &files(&ended)[0];
    assert_eq!(file["size_received"], length);
    assert_eq!(file["sha256"], hash(&content(length)));
    assert_eq!(file["stored_as"], "zip");
    let stored = file["stored_path"].as_str().expect("a path");
    assert_eq!(stored, "data/files/C/data/large.bin.zip");
    let bag = ended.bag(ended.ids[0]);
    let manifest = fs::read_to_string(bag.join("manifest-sha256.txt")).expect("it is sealed");
    let line = format!(
        "{}  {stored}",
        file["stored_sha256"].as_str().expect("a hash")
    );
    assert!(manifest.lines().any(|listed| listed == line), "{manifest}");
    let row = &ended.json(ended.ids[0], "data/steps/01-get.json")["rows"][0];
    assert_eq!(row["sha256"], file["sha256"]);
    assert_eq!(row["extra"]["stored_sha256"], file["stored_sha256"]);

    let zip = File::open(bag.join(stored)).expect("it is there");
    let mut archive = zip::ZipArchive::new(zip).expect("it is one");
    let mut member = archive.by_index_decrypt(0, b"infected").expect("opens");
    let mut bytes = Vec::new();
    member.read_to_end(&mut bytes).expect("is whole");
    assert_eq!(bytes, content(length).read(0, usize::MAX));
}
