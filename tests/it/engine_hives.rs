//! The engine over the simulated port, in virtual time: hives that are saved and loaded, and of which nothing
//! must stay.

use crate::faulty::{Call, Fault, Faulty, Op};
use crate::rig::{Ended, Rig, playbook, windows};
use sortie::model::outcome::Cause;
use sortie::sim::device::SimDevice;
use sortie::sim::endpoint::content::Content;
use sortie::sim::endpoint::registry::Value;
use std::sync::Arc;

const OLD: &str = r"C:\Users\old one";

/// A device with somebody who is logged off.
fn device() -> Vec<SimDevice> {
    let mut devices = windows(1);
    let endpoint = &mut devices[0].endpoint;
    let file = format!(r"{OLD}\NTUSER.DAT");
    endpoint
        .plant(&file, Some(Content::text("regf")), |_| {})
        .expect("a legal path");
    let value = |name: &str, data: &str| Value {
        name: name.into(),
        kind: "REG_SZ",
        data: data.into(),
    };
    let profile =
        r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-1-2-3-1002";
    for (key, value) in [
        (profile.to_owned(), value("ProfileImagePath", OLD)),
        (format!(r"{file}\Software\Mine"), value("a", "1")),
    ] {
        endpoint.registry.plant(&key, vec![value]).expect("a key");
    }
    devices
}

/// What was started on the endpoint and what was deleted there, without names that are never used twice.
fn done(ended: &Ended) -> Vec<String> {
    let books = ended.world.books();
    let done = books.done(ended.ids[0].0);
    let word = |(command, what): &(&str, &str)| match *command {
        "create process" => what.split(' ').nth(1).unwrap_or_default().to_owned(),
        _ => format!("delete {}", what.rsplit('.').next().unwrap_or_default()),
    };
    done.iter().map(word).collect()
}

fn left_behind(ended: &Ended) -> usize {
    let record = ended.state.device(ended.ids[0]).expect("it was planned");
    record.left_behind.len()
}

/// The fault strikes the `nth` call of its kind.
fn rule(
    (op, nth): (Op, usize),
    fault: Fault,
) -> impl Fn(&Call<'_>) -> Option<Fault> + Send + Sync + 'static {
    move |call| (call.op == op && call.nth == nth).then(|| fault.clone())
}

fn broken() -> Cause {
    Cause::ConnectionLost {
        detail: "reset".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_hive_that_was_loaded_is_unloaded_whatever_goes_wrong() {
    let steps = "  - id: q\n    reg_query: {key: 'HKCU\\Software\\Mine', hives: all}\n";
    let broken = || Fault::After(broken());
    let limited = Cause::RateLimited {
        retry_after: Some(1),
    };
    // The commands are: HKU, who is logged on, the profiles, the profile, load, its output, the hive, unload,
    // its output. Where it goes wrong, how, and then: the outcome, what was done, what is said to stay.
    let table = [
        ((Op::Close, 9), broken(), "done", "load out unload out", 0),
        ((Op::Finish, 5), broken(), "done", "load out unload out", 0),
        (
            (Op::Finish, 5),
            Fault::After(Cause::Endpoint { code: 0x8007_05b4 }),
            "done",
            "load out unload out",
            0,
        ),
        ((Op::Issue, 5), Fault::Before(limited), "failed", "", 0),
        (
            (Op::Finish, 7),
            broken(),
            "failed",
            "load out unload out",
            0,
        ),
        ((Op::Finish, 8), broken(), "done", "load out unload out", 0),
        // Nothing reaches the endpoint any more, until there is another session.
        (
            (Op::Finish, 7),
            Fault::Lose,
            "done",
            "load out unload out load out unload out",
            1,
        ),
    ];
    for (at, fault, outcome, expected, left) in table {
        let case = format!("{fault:?} at {at:?}");
        let ended = Rig::new(playbook(steps), device())
            .through(|world| Arc::new(Faulty::new(world, rule(at, fault))))
            .run()
            .await;
        let done = done(&ended).join(" ").replace("delete ", "");
        assert_eq!(ended.steps()[0].1, outcome, "{case}");
        assert_eq!(done, expected, "{case}");
        assert_eq!(left_behind(&ended), left, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hive_that_was_saved_is_deleted_whatever_goes_wrong() {
    let steps = "  - id: g\n    get_file: {path: 'C:\\Windows\\System32\\config\\SAM', if_locked: reg_save}\n";
    let broken = || Fault::After(broken());
    let denied = || Fault::After(Cause::Endpoint { code: 0x8007_0005 });
    // The commands are: the file, save, its output, the copy, which is then deleted.
    let table = [
        ((Op::Close, 9), broken(), "done", "save out hiv", 0),
        ((Op::Finish, 2), broken(), "done", "save out hiv", 0),
        ((Op::Finish, 4), denied(), "failed", "save out hiv", 0),
        ((Op::Content, 1), broken(), "failed", "save out hiv", 0),
        ((Op::Finish, 5), denied(), "done", "save out hiv", 1),
        (
            (Op::Issue, 5),
            Fault::Before(self::broken()),
            "done",
            "save out hiv",
            0,
        ),
    ];
    for (at, fault, outcome, expected, left) in table {
        let case = format!("{fault:?} at {at:?}");
        let ended = Rig::new(playbook(steps), device())
            .through(|world| Arc::new(Faulty::new(world, rule(at, fault))))
            .run()
            .await;
        let done = done(&ended).join(" ").replace("delete ", "");
        assert_eq!(ended.steps()[0].1, outcome, "{case}");
        assert_eq!(done, expected, "{case}");
        assert_eq!(left_behind(&ended), left, "{case}");
    }
}
