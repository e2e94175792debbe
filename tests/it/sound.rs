//! What holds after every run, whatever went wrong in it: journal, bags and the world's books agree.

use crate::rig::Ended;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sortie::model::command::Command;
use sortie::model::effect::Effect;
use sortie::model::event::{EventKind, Settled};
use sortie::model::id::{DeviceId, StepId};
use sortie::model::outcome::{Cause, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

impl Ended {
    /// Every invariant of a run that could write its journal; all sessions are closed.
    pub(crate) fn sound(&self) -> &Self {
        self.sound_with_open(0)
    }

    /// As [`Self::sound`], with so many sessions that nobody could close.
    pub(crate) fn sound_with_open(&self, open: u64) -> &Self {
        assert_eq!(self.written, Ok(()));
        assert_eq!(
            self.live, self.state,
            "the ledger remembers what is on disk"
        );
        let mut events: BTreeMap<DeviceId, Vec<&EventKind>> = BTreeMap::new();
        for event in &self.events {
            if let Some(device) = event.ev.device() {
                events.entry(device).or_default().push(&event.ev);
            }
        }
        for id in &self.ids {
            self.device_is_accounted_for(*id, &events[id]);
        }
        let left = fs::read_dir(self.path.join("work")).expect("it is there");
        assert_eq!(left.count(), 0, "no bag is left under construction");
        self.permitted().sessions(open)
    }

    /// What holds at last of a run that several processes worked on, however they ended.
    pub(crate) fn sound_at_last(&self, what: &str) {
        assert_eq!(self.written, Ok(()), "{what}");
        assert_eq!(self.live, self.state, "{what}");
        for id in &self.ids {
            let record = self.state.device(*id).expect("it was planned");
            assert!(record.state().is_some(), "{what}: {id} has no end");
            let last = record.steps.iter().map(|step| step.step.as_str());
            let unique: BTreeSet<&str> = last.clone().collect();
            assert_eq!(unique.len(), last.count(), "{what}: {:?}", record.steps);
            self.results_are_in_the_bags(*id, what);
            for bag in &record.bags {
                manifest(&self.path.join(bag), "tagmanifest-sha256.txt");
                manifest(&self.path.join(bag), "manifest-sha256.txt");
            }
            let tags = manifest(&self.bag(*id), "tagmanifest-sha256.txt");
            assert_eq!(record.bag_sha256, Some(tags), "{what}");
            self.outcome_tells_the_journal(*id);
        }
        let names = |folder: &str| {
            let entries = fs::read_dir(self.path.join(folder)).expect("it is there");
            let names = entries.map(|entry| entry.expect("it is listed").file_name());
            let names = names.map(|name| format!("{folder}/{}", name.to_string_lossy()));
            names.collect::<BTreeSet<String>>()
        };
        assert_eq!(names("work").len(), 0, "{what}: bags under construction");
        let published = names("devices");
        let known = self
            .state
            .devices()
            .flat_map(|(_, record)| record.bags.clone());
        assert_eq!(published, known.collect(), "{what}");
        let books = self.world.books();
        let open = books.sessions_open + books.sessions_leaked;
        assert_eq!(open, 0, "{what}: sessions are left open");
        assert!(
            books.unknown_routes.is_empty(),
            "{:?}",
            books.unknown_routes
        );
    }

    /// Every step that came to its own end has its file in a bag, with what later steps and reports need of it.
    fn results_are_in_the_bags(&self, id: DeviceId, what: &str) {
        let record = self.state.device(id).expect("it was planned");
        for step in &record.steps {
            let has_file = |bag: &String| {
                let steps = fs::read_dir(self.path.join(bag).join("data/steps"));
                let mut names = steps.into_iter().flatten().map(|entry| {
                    let entry = entry.expect("it is listed");
                    entry.file_name().to_string_lossy().into_owned()
                });
                names.any(|name| name.ends_with(&format!("-{}.json", step.step)))
            };
            let is_there = record.bags.iter().any(has_file);
            assert!(is_there, "{what}: {} has no file", step.step);
        }
    }

    /// Sessions are closed, and were never more than allowed.
    pub(crate) fn sessions(&self, open: u64) -> &Self {
        let books = self.world.books();
        assert_eq!(
            books.sessions_open + books.sessions_leaked,
            open,
            "{books:?}"
        );
        assert!(books.max_concurrent_sessions <= self.max_sessions as u64 + open);
        assert!(
            books.unknown_routes.is_empty(),
            "{:?}",
            books.unknown_routes
        );
        assert_eq!(books.credentials_leaked, 0);
        self
    }

    /// Whatever changed an endpoint was written down before, once for each time.
    pub(crate) fn permitted(&self) -> &Self {
        let mut permits: BTreeMap<(u64, &str, String), u64> = BTreeMap::new();
        let mut outstanding: BTreeMap<DeviceId, u64> = BTreeMap::new();
        for event in &self.events {
            match &event.ev {
                EventKind::CommandPermitted {
                    device,
                    command,
                    effect,
                    ..
                } => {
                    assert_ne!(*effect, Effect::Read);
                    let key = (device.0, command.name(), what(command));
                    *permits.entry(key).or_default() += 1;
                    *outstanding.entry(*device).or_default() += 1;
                }
                EventKind::CommandIssued { device, name, .. } if name == "delete file" => {
                    let before = outstanding.entry(*device).or_default();
                    assert!(*before > 0, "issued without a permit");
                    *before -= 1;
                }
                _ => {}
            }
        }
        let mut done: BTreeMap<(u64, &str, String), u64> = BTreeMap::new();
        for change in self.world.books().changes {
            *done
                .entry((change.device, change.command, change.what))
                .or_default() += 1;
        }
        for (change, times) in done {
            // What an author calls a read needs no permit.
            let permitted = permits.get(&change).copied().unwrap_or(0);
            let is_read = change.1 == "create process" && permitted == 0;
            assert!(is_read || times <= permitted, "{change:?} {times} times");
        }
        self
    }

    fn device_is_accounted_for(&self, id: DeviceId, events: &[&EventKind]) {
        let count =
            |wanted: fn(&EventKind) -> bool| events.iter().filter(|event| wanted(event)).count();
        assert_eq!(
            count(|e| matches!(e, EventKind::DeviceEnded { .. })),
            1,
            "{id}"
        );
        assert_eq!(
            count(|e| matches!(e, EventKind::BagSealed { .. })),
            1,
            "{id}"
        );
        assert_eq!(
            count(|e| matches!(e, EventKind::BagPublished { .. })),
            1,
            "{id}"
        );
        assert_eq!(
            count(|e| matches!(e, EventKind::SessionGranted { .. })),
            count(|e| matches!(e, EventKind::SessionEnded { .. })),
            "every session of {id} has an end"
        );
        let bag = self.bag(id);
        let tags = manifest(&bag, "tagmanifest-sha256.txt");
        let record = self.state.device(id).expect("it was planned");
        assert_eq!(record.bag_sha256, Some(tags));
        manifest(&bag, "manifest-sha256.txt");
        self.outcome_tells_the_journal(id);
        for event in events {
            if let EventKind::StepFinished { step, outcome, .. } = event {
                assert!(
                    is_honest(step, outcome, events),
                    "{id}, {step}: {outcome:?}"
                );
            }
        }
    }

    /// `outcome.json`, the bag's own word and the journal say the same.
    fn outcome_tells_the_journal(&self, id: DeviceId) {
        let record = self.state.device(id).expect("it was planned");
        let (state, reason) = record.state().expect("it has ended");
        let outcome = self.json(id, "data/outcome.json");
        assert_eq!(outcome["state"], state.as_str(), "{id}");
        let reason = reason.map_or(Value::Null, |reason| reason.summary().into());
        assert_eq!(outcome["reason"], reason, "{id}");
        assert_eq!(
            outcome["left_behind"],
            serde_json::json!(record.left_behind)
        );
        let info = fs::read_to_string(self.bag(id).join("bag-info.txt")).expect("it is there");
        assert!(
            info.contains(&format!("Sortie-Outcome: {state}\n")),
            "{info}"
        );
        let mut told: Vec<_> = outcome["steps"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|step| {
                (
                    step["step_id"].clone(),
                    step["outcome"].clone(),
                    step["cause"].clone(),
                )
            })
            .collect();
        let mut journal: Vec<_> = record
            .steps
            .iter()
            .map(|step| {
                let cause = serde_json::json!(step.outcome.cause());
                (step.step.as_str().into(), step.outcome.word().into(), cause)
            })
            .collect();
        // In the journal a step that ran again stands behind those that did not.
        let by_step = |one: &(Value, Value, Value)| one.0.to_string();
        told.sort_by_key(by_step);
        journal.sort_by_key(by_step);
        assert_eq!(told, journal, "{id}");
    }
}

/// Whether a step whose outcome is unknown has a command of which no look could tell enough, or was cut short.
fn is_honest(step: &StepId, outcome: &Outcome, events: &[&EventKind]) -> bool {
    let Outcome::Unknown { cause } = outcome else {
        return true;
    };
    let is_doubt = |event: &&EventKind| {
        matches!(
            event,
            EventKind::CommandSettled { step: of, settled: Settled::Unclear | Settled::NotDone, .. }
                if of == step
        )
    };
    let is_cut_short = matches!(cause, Cause::Interrupted | Cause::AlwaysOver { .. });
    is_cut_short || events.iter().any(is_doubt)
}

fn what(command: &Command) -> String {
    assert!(!command.is_read(), "{command:?} changes nothing");
    command.operand().expect("it is about something")
}

/// Checks every hash of a manifest; gives the manifest's own.
fn manifest(bag: &Path, name: &str) -> String {
    let text = fs::read_to_string(bag.join(name)).expect("it is there");
    for line in text.lines() {
        let (hash, path) = line.split_once("  ").expect("two columns");
        let bytes = fs::read(bag.join(path)).expect("what is listed is there");
        assert_eq!(sha256(&bytes), hash, "{path}");
    }
    sha256(text.as_bytes())
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("text grows");
            hex
        })
}
