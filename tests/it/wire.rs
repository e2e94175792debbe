//! The engine over the real dialect, which talks to the simulator's doors in memory, in virtual time.

use crate::cable::{Asked, Cable};
use crate::rig::{Ended, Rig, playbook, windows};
use sortie::api::{ApiFleet, Tempo};
use sortie::live::{Backend, Fleet};
use sortie::model::event::Stop;
use sortie::model::outcome::DeviceState;
use sortie::sim::device::SimDevice;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TRIAGE: &str = include_str!("../../playbooks/windows/triage.yaml");

/// Reads, and one command that must not run twice.
const MIXED: &str = "  - list_processes: {}
    retry: {attempts: 3, delay: 1s}
    on_error: continue
  - exec: hostname.exe
    retry: {attempts: 3, delay: 1s}
    on_error: continue
  - get_file: 'C:\\Windows\\System32\\drivers\\etc\\hosts'
    retry: {attempts: 3, delay: 1s}
    on_error: continue
";

/// A run over the wire, with all that was asked on it.
async fn over(
    text: impl Into<String>,
    devices: Vec<SimDevice>,
    faults: &str,
) -> (Ended, Vec<Asked>) {
    wired(Rig::new(text, devices), faults).await
}

/// As [`over`], for a run of which more is to be said.
pub(crate) async fn wired(rig: Rig, faults: &str) -> (Ended, Vec<Asked>) {
    let laid: Arc<Mutex<Option<Arc<Cable>>>> = Arc::default();
    let keep = Arc::clone(&laid);
    let faults = faults.to_owned();
    let rig = rig.through(move |world| {
        let cable = Cable::new(world, &faults);
        *keep.lock().expect("no panic within") = Some(Arc::clone(&cable));
        let backend = Backend {
            api: "v6".into(),
            url: "memory".into(),
            organisation: world.org_key().into(),
            simulated: true,
        };
        Arc::new(ApiFleet::over(cable, backend, Tempo::CLOUD)) as Arc<dyn Fleet>
    });
    let ended = rig.run().await;
    let cable = laid.lock().expect("no panic within").take();
    let log = cable.expect("it was laid").log();
    (ended, log)
}

fn mixed() -> String {
    playbook(MIXED)
}

fn assert_all_ok(ended: &Ended, case: &str) {
    for id in &ended.ids {
        let (state, reason) = ended.end_of(*id);
        assert_eq!(state, "ok", "{case}: {reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_triage_costs_few_requests_and_no_credential() {
    let (ended, log) = over(TRIAGE, windows(20), "").await;
    ended.sound();
    assert_all_ok(&ended, "triage");
    let mut routes: BTreeMap<&str, usize> = BTreeMap::new();
    for asked in &log {
        *routes.entry(&asked.route).or_default() += 1;
    }
    println!(
        "{} requests for 20 devices in {:?}: {routes:?}",
        log.len(),
        ended.took
    );
    assert_eq!(ended.state.spent().requests, log.len() as u64);
    let commands = ended.world.books().commands.values().sum::<u64>();
    assert_eq!(commands, 20 * 11);
    // 11 commands handed over, 5 contents in two requests each and announced before: the rest is looking.
    let looks = routes["GET liveresponse/sessions/{id}/commands/{n}"];
    assert!(looks <= 20 * 11 * 3 / 2, "{looks}");
    assert!(log.len() <= 20 * 45, "{}", log.len());
    assert!(
        routes["GET liveresponse/sessions"] <= 20,
        "one list serves all who wait"
    );
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_on_any_route_is_heeded_and_costs_nothing_else() {
    let (_, log) = over(mixed(), windows(3), "").await;
    let routes: BTreeSet<String> = log.into_iter().map(|asked| asked.route).collect();
    assert!(routes.len() >= 8, "{routes:?}");
    for route in &routes {
        // What is absurd is taken for ten minutes.
        for (pause, seconds) in [(None, 0), (Some("37"), 37), (Some("999999999"), 600)] {
            let case = format!("{route}, {pause:?}");
            let (method, path) = route.split_once(' ').expect("a method and a route");
            let pause = pause.map_or_else(String::new, |pause| format!("retry_after: '{pause}'"));
            let fault =
                format!("{{method: {method}, route: '{path}', nth: 1, status: 429, {pause}}}");
            let (ended, log) = over(mixed(), windows(3), &fault).await;
            ended.sound();
            let hit = log
                .iter()
                .find(|asked| asked.route == *route)
                .expect("it was asked");
            // What left in the same moment could not know.
            let known = hit.at + Duration::from_millis(30);
            let early = log.iter().find(|asked| {
                asked.at > known
                    && asked.at < known + Duration::from_secs(seconds)
                    && asked.route != "GET content host"
            });
            assert!(early.is_none(), "{case}: {early:?}");
            // Nobody checks in by two minutes who may not be asked for ten.
            if seconds < 600 {
                assert_all_ok(&ended, &case);
            }
            assert!(ended.world.books().changes.len() <= 6, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_trouble_at_any_request_harms_nothing() {
    let (_, log) = over(mixed(), windows(1), "").await;
    let troubles = [
        "status: 500",
        "status: 502, body: html",
        "status: 503",
        "status: 503, retry_after: 5",
        "status: 500, executed: true",
        "status: 504, executed: true",
        "reset: before",
        "close: executed",
        "reset: half",
    ];
    for nth in 1..=log.len() {
        for trouble in troubles {
            let case = format!("{trouble} at {nth}");
            let fault = format!("{{nth: {nth}, {trouble}}}");
            let (ended, log) = over(mixed(), windows(1), &fault).await;
            ended.sound();
            let (state, reason) = ended.end();
            let case = format!("{case}, {:?}: {state} {reason}", log.get(nth - 1));
            // A doubt about what must not run twice is cleared up by a look.
            assert_eq!((state.as_str(), ended.ran().len()), ("ok", 1), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_content_that_breaks_off_is_never_taken_for_a_whole_one() {
    let (ended, _) = over(mixed(), windows(1), "").await;
    let whole = ended.lines(ended.ids[0], "data/files.ndjson")[0]["size_received"].clone();
    let length = whole.as_u64().expect("a number");
    for bytes in [0, 1, length / 2, length - 1] {
        for trouble in [format!("close: {bytes}"), format!("truncate: {bytes}")] {
            for (when, for_ever) in [("nth", false), ("from", true)] {
                // The first content is the program's output, which is shorter.
                let fault = format!("{{route: content host, {when}: 2, {trouble}}}");
                let (ended, _) = over(mixed(), windows(1), &fault).await;
                ended.sound();
                let case = format!("{trouble}, for ever: {for_ever}");
                let expected = if for_ever { "partial" } else { "ok" };
                assert_eq!(ended.end().0, expected, "{case}");
                let files = ended.lines(ended.ids[0], "data/files.ndjson");
                for file in &files {
                    let is_whole = file["size_received"] == length;
                    assert_eq!(file["state"] == "complete", is_whole, "{case}: {file}");
                }
                let complete = files
                    .iter()
                    .filter(|file| file["state"] == "complete")
                    .count();
                assert_eq!(complete, usize::from(!for_ever), "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_odd_answer_is_understood() {
    for odd in [
        "lower_case",
        "mixed_case",
        "signed_codes",
        "text_codes",
        "hex_codes",
        "text_ids",
        "text_booleans",
        "extra_members",
        "missing_members",
        "null_arrays",
        "missing_arrays",
    ] {
        let (ended, _) = over(mixed(), windows(2), &format!("{{odd: {odd}}}")).await;
        ended.sound();
        assert_all_ok(&ended, odd);
        // The program, and the deletion of its output.
        assert_eq!(ended.world.books().changes.len(), 4, "{odd}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_never_comes_is_given_up_cheaply() {
    let devices = windows(10).into_iter().map(SimDevice::offline).collect();
    let (ended, log) = over(mixed(), devices, "").await;
    ended.sound();
    for id in &ended.ids {
        assert_eq!(ended.end_of(*id).0, "unreachable");
    }
    assert_eq!(ended.took.as_secs(), 120);
    assert!(log.len() <= 10 * 2 + 40, "{}", log.len());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_ends_the_run_at_once() {
    let (ended, log) = over(mixed(), windows(100), "{status: 401}").await;
    ended.sound();
    assert!(matches!(ended.state.stop(), Some(Stop::Backend { .. })));
    assert!(log.len() <= 20, "{}", log.len());
    for id in &ended.ids {
        let (state, reason) = ended.end_of(*id);
        assert!(["failed", "cancelled"].contains(&state.as_str()), "{state}");
        assert!(reason.contains("401"), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_dies_ends_the_run_too() {
    for dies_after in [0, 40, 200] {
        let fault = format!("{{from: {}, status: 502}}", dies_after + 1);
        let (ended, log) = over(mixed(), windows(200), &fault).await;
        let open = ended.world.books().sessions_open + ended.world.books().sessions_leaked;
        ended.sound_with_open(open);
        assert!(ended.took < Duration::from_mins(15), "{:?}", ended.took);
        assert!(
            open <= 20 && log.len() <= dies_after + 1_000,
            "{open} {}",
            log.len()
        );
        assert!(matches!(ended.state.stop(), Some(Stop::Backend { .. })));
        // Who was at work, who used up what the run may repeat, and a few who tried whether it works again.
        let counts = ended.state.counts();
        let failed = 200 - counts[&DeviceState::Cancelled];
        assert!(failed <= 60, "{counts:?}");
        for id in &ended.ids {
            assert_ne!(ended.end_of(*id).1, "the run was stopped");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_passes_is_survived() {
    let outage = "{after: 4s, until: 94s, status: 503}";
    let (ended, _) = over(mixed(), windows(200), outage).await;
    ended.sound();
    let ok = ended
        .ids
        .iter()
        .filter(|id| ended.end_of(**id).0 == "ok")
        .count();
    // Who was at work when it began may have failed, and hardly anybody else.
    assert!(ok >= 200 - 20 - 5, "{ok}");
}
