//! Two runs on one machine, and a device that both want.

use crate::rig::{Ended, Rig, playbook, windows};
use sortie::bundle::{Lease, Leases};
use sortie::model::event::{EventKind, SessionEnd};
use sortie::model::id::DeviceId;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

const READS: &str = "  - {id: first, list_processes: }\n  - {id: pause, wait: 5m}\n  - {id: last, list_processes: }\n";
const CHANGES: &str = "  - {id: run, exec: hostname.exe}\n";

/// Another run's lease on the only device of the rig.
fn held(rig: &Rig, state: &Path, device: DeviceId) -> (Leases, Lease) {
    let leases = Leases::at(state).expect("it can be written");
    let organisation = rig.backend().organisation;
    let lease = leases.take(&organisation, device).expect("it is free");
    (leases, lease.expect("it is free"))
}

/// Runs beside another run, which lets go of the device after this time.
async fn beside(steps: &str, time: Duration) -> Ended {
    let state = tempfile::tempdir().expect("a directory can be made");
    let devices = windows(1);
    let id = DeviceId(devices[0].id);
    let mut rig = Rig::new(playbook(steps), devices);
    let (leases, lease) = held(&rig, state.path(), id);
    rig.leases = Some(leases.clone());
    let organisation = rig.backend().organisation;
    let running = rig.begin().await;
    let other = tokio::spawn(async move {
        sleep(time).await;
        drop(lease);
    });
    let ended = running.end().await;
    other.abort();
    drop(other.await);
    let free = leases.take(&organisation, id).expect("it can be asked");
    assert!(free.is_some(), "nobody holds it when all is over");
    ended
}

fn ends(ended: &Ended) -> Vec<SessionEnd> {
    let ends = ended.events.iter().filter_map(|event| match &event.ev {
        EventKind::SessionEnded { end, .. } => Some(end.clone()),
        _ => None,
    });
    ends.collect()
}

#[tokio::test(start_paused = true)]
async fn who_only_reads_goes_on_beside_another_run() {
    let ended = beside(READS, Duration::from_hours(1)).await;
    assert_eq!(ended.end().0, "ok");
    assert!(ended.took < Duration::from_mins(6), "{:?}", ended.took);
    assert_eq!(ends(&ended), [SessionEnd::LeftOpen]);
    assert_eq!(ended.world.books().sessions_closed, 0);

    let ended = beside(READS, Duration::from_mins(1)).await;
    ended.sound();
    assert_eq!(ended.end().0, "ok");
    assert_eq!(ends(&ended), [SessionEnd::Closed]);
}

#[tokio::test(start_paused = true)]
async fn who_changes_something_waits_for_the_other_run() {
    let ended = beside(CHANGES, Duration::from_mins(1)).await;
    ended.sound();
    assert_eq!(ended.end().0, "ok");
    assert_eq!(ends(&ended), [SessionEnd::Closed]);
    assert!(ended.took >= Duration::from_mins(1), "{:?}", ended.took);

    let ended = beside(CHANGES, Duration::from_hours(1)).await;
    let reason = "another run of sortie on this machine works on this device";
    assert_eq!(ended.end(), ("failed".to_owned(), reason.to_owned()));
    assert_eq!(ended.world.books().sessions_opened, 0);
    assert!(ended.ran().is_empty());
    assert!(ended.took < Duration::from_mins(3), "{:?}", ended.took);
}

#[tokio::test(start_paused = true)]
async fn two_runs_take_turns() {
    let state = tempfile::tempdir().expect("a directory can be made");
    let leases = Leases::at(state.path()).expect("it can be written");
    let mut one = Rig::new(playbook(CHANGES), windows(1));
    let mut other = Rig::on(playbook(CHANGES), one.world.clone());
    one.leases = Some(leases.clone());
    other.leases = Some(leases);
    let (one, other) = (one.begin().await, other.begin().await);
    let (one, other) = (one.end().await, other.end().await);
    for ended in [one, other] {
        assert_eq!(ended.end().0, "ok");
        assert_eq!(ends(&ended), [SessionEnd::Closed]);
    }
}
