//! What the App Control server remembers by itself; the rest it reads off devices, bans and executables.

use super::catalogue::Catalogue;
use super::contact;
use super::device::SimDevice;
use super::endpoint::content::Content;
use super::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct AppControl {
    computers: BTreeMap<u64, Kept>,
    /// Of every content that was ever seen, by its SHA-256.
    pub files: Numbers,
    /// Of every path at which one lay.
    pub paths: Numbers,
    /// What was decided about one copy of a file, by the numbers of both.
    local_states: BTreeMap<(u64, u64), u64>,
    notes: BTreeMap<u64, Notes>,
    uploads: Vec<Upload>,
}

/// What is remembered of a computer.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    pub tag: String,
    pub description: String,
    switched_on: BTreeSet<Switch>,
    /// What the switch `changeDiagnostics` lets change.
    pub diagnostics: [u64; 6],
    pub password_resets: u64,
    pub previous_policy: Option<u64>,
    asked: Option<Asked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Switch {
    /// Somebody else's directory says which policy it has.
    AutomaticPolicy,
    LocalApproval,
    Prioritized,
    Template,
    /// The one that is on unless somebody says otherwise.
    NoTamperProtection,
}

/// A policy that the server has written down and the agent has not heard of.
#[derive(Debug, Clone, Copy)]
struct Asked {
    policy: u64,
    /// None if the agent never reports again.
    until: Option<Duration>,
}

/// Numbers given to texts, in the order in which they come up.
#[derive(Debug, Default)]
pub(super) struct Numbers(BTreeMap<String, u64>);

/// What App Control adds to a rule about a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes {
    pub name: String,
    /// The hash by which it was made; none where a file of the catalogue was named.
    pub hash: Option<String>,
    /// What it bans is told, and not kept from running.
    pub report_only: bool,
    pub deleted: bool,
}

/// A file that an agent was asked to send.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub id: u64,
    pub computer: u64,
    pub file: u64,
    pub name: String,
    pub directory: String,
    pub priority: i64,
    pub asked: Duration,
    /// None if the computer has no such file, or would not send it.
    pub content: Option<Content>,
    /// When the agent reports next, when after that, and when once more.
    reports: [Option<Duration>; 3],
}

/// What has become of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Queued,
    Initiated,
    Uploading,
    Completed,
    Failed,
}

impl World {
    /// Looks at what App Control's server knows, at the devices, and at what is banned there.
    pub(super) fn app_control<T>(
        &self,
        look: impl FnOnce(&mut AppControl, &mut Catalogue<'_>) -> T,
    ) -> T {
        let mut org = self.lock();
        org.advance_all(Instant::now());
        let times = org.times();
        let org = &mut *org;
        let mut catalogue = Catalogue {
            devices: &org.devices,
            bans: &mut org.bans,
            times,
        };
        look(&mut org.app_control, &mut catalogue)
    }

    /// The policies that devices have, and the others of the organisation.
    pub(super) fn policies(&self) -> BTreeMap<u64, String> {
        let org = self.lock();
        let mut policies = BTreeMap::new();
        let used = org.devices.values().map(|device| &device.policy);
        let spare = org.settings.policies.iter();
        for (id, name) in used.map(|(id, name)| (id, name)).chain(spare) {
            policies.entry(*id).or_insert_with(|| name.clone());
        }
        policies
    }
}

impl AppControl {
    pub(super) fn kept(&self, computer: u64) -> Kept {
        self.computers.get(&computer).cloned().unwrap_or_default()
    }

    pub(super) fn kept_mut(&mut self, computer: u64) -> &mut Kept {
        self.computers.entry(computer).or_default()
    }

    pub(super) fn local_state(&self, copy: u64, file: u64) -> Option<u64> {
        self.local_states.get(&(copy, file)).copied()
    }

    pub(super) fn set_local_state(&mut self, copy: u64, file: u64, state: u64) {
        self.local_states.insert((copy, file), state);
    }

    pub(super) fn notes(&self, rule: u64) -> Notes {
        self.notes.get(&rule).cloned().unwrap_or_default()
    }

    pub(super) fn notes_mut(&mut self, rule: u64) -> &mut Notes {
        self.notes.entry(rule).or_default()
    }

    pub(super) fn uploads(&self) -> &[Upload] {
        &self.uploads
    }

    /// Writes an upload down under the next number.
    pub(super) fn ask_upload(&mut self, mut upload: Upload, device: &SimDevice) -> u64 {
        upload.id = self.uploads.len() as u64 + 1;
        let mut report = Some(upload.asked);
        upload.reports = [(); 3].map(|()| {
            report = report.and_then(|last| contact::next(device, last));
            report
        });
        let id = upload.id;
        self.uploads.push(upload);
        id
    }
}

impl Kept {
    pub(super) fn is_on(&self, switch: Switch) -> bool {
        self.switched_on.contains(&switch)
    }

    pub(super) fn turn(&mut self, switch: Switch, on: bool) {
        if on {
            self.switched_on.insert(switch);
        } else {
            self.switched_on.remove(&switch);
        }
    }

    /// A policy asked for, until the agent reports.
    pub(super) fn asked_policy(&self, now: Duration) -> Option<u64> {
        let asked = self.asked?;
        let is_open = asked.until.is_none_or(|until| now < until);
        is_open.then_some(asked.policy)
    }

    /// Writes a policy down. Is the agent to be told? While something else decides about its policy,
    /// what is written here is gone as soon as it reports.
    pub(super) fn ask_policy(&mut self, policy: u64, device: &SimDevice, now: Duration) -> bool {
        self.previous_policy = Some(device.policy.0);
        self.asked = Some(Asked {
            policy,
            until: contact::next(device, now),
        });
        !self.is_on(Switch::AutomaticPolicy) && !self.is_on(Switch::LocalApproval)
    }
}

impl Numbers {
    pub(super) fn of(&mut self, text: &str) -> u64 {
        if let Some(number) = self.0.get(text) {
            return *number;
        }
        let next = self.0.len() as u64 + 1;
        self.0.insert(text.to_owned(), next);
        next
    }
}

impl Upload {
    pub(super) fn new(computer: u64, file: u64, asked: Duration) -> Self {
        Self {
            id: 0,
            computer,
            file,
            name: String::new(),
            directory: String::new(),
            priority: 0,
            asked,
            content: None,
            reports: [None; 3],
        }
    }

    /// How far the agent has got by `now`; one that was removed gets no further.
    pub(super) fn progress(&self, device: Option<&SimDevice>, now: Duration) -> Progress {
        let end = device.map_or(Some(self.asked), SimDevice::silent_from);
        let heard = |at: &Duration| *at <= now && end.is_none_or(|end| *at < end);
        let reports = self.reports.iter().flatten().filter(|at| heard(at));
        match reports.count() {
            0 => Progress::Queued,
            _ if self.content.is_none() => Progress::Failed,
            1 => Progress::Initiated,
            2 => Progress::Uploading,
            _ => Progress::Completed,
        }
    }
}
