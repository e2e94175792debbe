//! The engine over the real dialect, which talks to the simulator's doors in memory, in virtual time.

use crate::cable::{Asked, Cable, Trouble};
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
    rule: impl Fn(&Asked) -> Option<Trouble> + Send + Sync + 'static,
) -> (Ended, Vec<Asked>) {
    let laid: Arc<Mutex<Option<Arc<Cable>>>> = Arc::default();
    let keep = Arc::clone(&laid);
    let rig = Rig::new(text, devices).through(move |world| {
        let cable = Cable::new(world, rule);
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
    let (ended, log) = over(TRIAGE, windows(20), |_| None).await;
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
    let looks = routes["GET sessions/{}/commands/{}"];
    assert!(looks <= 20 * 11 * 3 / 2, "{looks}");
    assert!(log.len() <= 20 * 45, "{}", log.len());
    assert!(routes["GET sessions"] <= 20, "one list serves all who wait");
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_on_any_route_is_heeded_and_costs_nothing_else() {
    let (_, log) = over(mixed(), windows(3), |_| None).await;
    let routes: BTreeSet<String> = log.into_iter().map(|asked| asked.route).collect();
    assert!(routes.len() >= 8, "{routes:?}");
    for route in &routes {
        // What is absurd is taken for ten minutes.
        for (pause, seconds) in [(None, 0), (Some("37"), 37), (Some("999999999"), 600)] {
            let case = format!("{route}, {pause:?}");
            let limited = route.clone();
            let (ended, log) = over(mixed(), windows(3), move |asked| {
                let hit = asked.route == limited && asked.nth_of_route == 1;
                hit.then_some(Trouble::Refused(429, pause))
            })
            .await;
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
                    && asked.route != "GET content"
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
    let (_, log) = over(mixed(), windows(1), |_| None).await;
    let troubles = [
        Trouble::Refused(500, None),
        Trouble::Refused(502, None),
        Trouble::Refused(503, None),
        Trouble::Refused(503, Some("5")),
        Trouble::Failed(500),
        Trouble::Failed(504),
        Trouble::Unsent,
        Trouble::Unheard,
    ];
    let mut unknown = 0;
    for nth in 1..=log.len() {
        for trouble in troubles {
            let case = format!("{trouble:?} at {nth}");
            let (ended, log) = over(mixed(), windows(1), move |asked| {
                (asked.nth == nth).then_some(trouble)
            })
            .await;
            ended.sound();
            let (state, reason) = ended.end();
            let case = format!("{case}, {:?}: {state} {reason}", log.get(nth - 1));
            assert!(ended.ran().len() <= 1, "{case}");
            let is_post = log
                .get(nth - 1)
                .is_some_and(|hit| hit.route.ends_with("/commands"));
            match state.as_str() {
                "ok" => assert_eq!(ended.ran().len(), 1, "{case}"),
                "unknown" if is_post => unknown += 1,
                _ => panic!("{case}"),
            }
        }
    }
    // Of all requests only the one that hands over what must not run twice leaves a doubt.
    assert_eq!(unknown, troubles.len());
}

#[tokio::test(start_paused = true)]
async fn a_content_that_breaks_off_is_never_taken_for_a_whole_one() {
    let (ended, _) = over(mixed(), windows(1), |_| None).await;
    let whole = ended.lines(ended.ids[0], "data/files.ndjson")[0]["size_received"].clone();
    let length = whole.as_u64().expect("a number");
    for bytes in [0, 1, length / 2, length - 1] {
        for trouble in [Trouble::Cut(bytes), Trouble::Short(bytes)] {
            for for_ever in [false, true] {
                // The first content is the program's output, which is shorter.
                let (ended, _) = over(mixed(), windows(1), move |asked| {
                    let nth = asked.nth_of_route;
                    let hit = asked.route == "GET content" && (nth == 2 || (for_ever && nth > 2));
                    hit.then_some(trouble)
                })
                .await;
                ended.sound();
                let case = format!("{trouble:?}, for ever: {for_ever}");
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
async fn a_device_that_never_comes_is_given_up_cheaply() {
    let devices = windows(10).into_iter().map(SimDevice::offline).collect();
    let (ended, log) = over(mixed(), devices, |_| None).await;
    ended.sound();
    for id in &ended.ids {
        assert_eq!(ended.end_of(*id).0, "unreachable");
    }
    assert_eq!(ended.took.as_secs(), 120);
    assert!(log.len() <= 10 * 2 + 40, "{}", log.len());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_ends_the_run_at_once() {
    let (ended, log) = over(mixed(), windows(100), |_| Some(Trouble::Refused(401, None))).await;
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
        let (ended, log) = over(mixed(), windows(200), move |asked| {
            (asked.nth > dies_after).then_some(Trouble::Refused(502, None))
        })
        .await;
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
    let out = Arc::new(Mutex::new(None));
    let (ended, _) = over(mixed(), windows(200), move |asked| {
        let mut since = out.lock().expect("no panic within");
        if asked.nth < 100 {
            return None;
        }
        let since = since.get_or_insert(asked.at);
        (asked.at < *since + Duration::from_secs(90)).then_some(Trouble::Refused(503, None))
    })
    .await;
    ended.sound();
    let ok = ended
        .ids
        .iter()
        .filter(|id| ended.end_of(**id).0 == "ok")
        .count();
    // Who was at work when it began may have failed, and hardly anybody else.
    assert!(ok >= 200 - 20 - 5, "{ok}");
}
