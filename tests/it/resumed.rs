//! What a crash or a stop leaves in the journal is enough to go on: nothing runs twice, and nothing is forgotten.

use sortie::model::command::Command;
use sortie::model::effect::Effect;
use sortie::model::event::{EventKind, OnError, RunEvent, Settled};
use sortie::model::id::{DeviceId, SessionId, StepId};
use sortie::model::outcome::{Cause, Outcome};
use sortie::model::remote::RemoteText;
use sortie::model::state::{DeviceRecord, RunState};

const DEVICE: DeviceId = DeviceId(1);

fn folded(events: impl IntoIterator<Item = EventKind>) -> RunState {
    let mut state = RunState::new([DEVICE]);
    for (n, ev) in (0..).zip(events) {
        let t = jiff::Timestamp::UNIX_EPOCH;
        state.apply(&RunEvent { n, t, mono: n, ev });
    }
    state
}

fn record(state: &RunState) -> &DeviceRecord {
    state.device(DEVICE).expect("it is planned")
}

fn started(step: &str, item: Option<u32>) -> EventKind {
    EventKind::StepStarted {
        device: DEVICE,
        step: StepId::from(step),
        attempt: 1,
        item,
        nonce: "n".into(),
    }
}

fn finished(step: &str, outcome: Outcome) -> EventKind {
    EventKind::StepFinished {
        device: DEVICE,
        step: StepId::from(step),
        outcome,
        attempts: 1,
        on_error: OnError::Fail,
    }
}

fn kill(pid: u64) -> Command {
    Command::Kill {
        pid,
        path: RemoteText::from(r"C:\T\miner.exe"),
        created: None,
    }
}

fn permitted(step: &str, pid: u64) -> EventKind {
    EventKind::CommandPermitted {
        device: DEVICE,
        step: StepId::from(step),
        session: SessionId("s".into()),
        command: kill(pid),
        effect: Effect::Once,
    }
}

fn settled(step: &str, settled: Settled) -> EventKind {
    EventKind::CommandSettled {
        device: DEVICE,
        step: StepId::from(step),
        session: SessionId("s".into()),
        settled,
    }
}

#[test]
fn what_must_not_run_twice_stays_in_doubt_where_the_endpoint_shows_no_effect() {
    let state = folded([
        started("it", None),
        permitted("it", 7),
        settled("it", Settled::NotDone),
    ]);
    assert!(record(&state).doubt().is_some());
}

#[test]
fn a_step_that_is_run_again_leaves_the_doubt_of_another_alone() {
    let read = [
        started("read", None),
        finished("read", Outcome::Done),
        finished(
            "skipped",
            Outcome::Skipped {
                cause: Cause::WhenFalse,
            },
        ),
    ];
    for so_far in 1..=read.len() {
        let mut events = vec![started("it", None), permitted("it", 7)];
        events.extend(read[..so_far].iter().cloned());
        let state = folded(events);
        assert!(record(&state).doubt().is_some(), "{so_far}");
    }
}

#[test]
fn what_is_found_out_of_one_item_is_nothing_to_another() {
    let state = folded([
        started("it", Some(0)),
        permitted("it", 7),
        settled("it", Settled::Unclear),
        started("it", Some(1)),
        permitted("it", 8),
    ]);
    let mut pending = record(&state).pending.clone();
    let pending = pending.last_mut().expect("it is under way");
    let doubt = pending.doubt();
    assert_eq!(doubt.map(|doubt| &doubt.command), Some(&kill(8)));
    pending.settled(Settled::NeverRan);
    let doubt = pending.doubt().map(|doubt| &doubt.command);
    assert_eq!(doubt, Some(&kill(7)));
}
