//! One entry of `devices:`: a device by its name, or a number of them that are furnished alike.

use super::super::device::SimDevice;
use super::super::endpoint::content::seed_of;
use super::super::endpoint::memory::Memory;
use super::super::fleet::{Maker, image};
use super::items::{FileItem, KeyItem, ProcessItem};
use super::visit::VisitItem;
use crate::model::device::Os;
use crate::template::{Bounded, Fields, FromNode, Spanned};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::duration::Duration;
use crate::text::size::Size;
use crate::text::source::Span;
use crate::text::yaml::Node;

/// What of a device's name would make trouble: wildcards name several, and others are no names.
const NOT_IN_NAMES: [char; 9] = ['*', '?', '[', ']', '{', '}', ',', '"', '\n'];

/// What an entry says.
#[derive(Debug)]
pub(super) struct DeviceSpec {
    who: Who,
    pub(super) id: Option<Spanned<u64>>,
    policy: Option<String>,
    user: Option<String>,
    ip: Option<String>,
    contact: Contact,
    reports: Option<Duration>,
    visits: Vec<VisitItem>,
    memory: Option<Size>,
    disk_free: Option<Size>,
    live_response: bool,
    bare: bool,
    planted: Option<bool>,
    files: Vec<Spanned<FileItem>>,
    without: Vec<Spanned<String>>,
    registry: Vec<Spanned<KeyItem>>,
    processes: Vec<Spanned<ProcessItem>>,
}

#[derive(Debug)]
enum Who {
    Group { count: usize, os: Option<Os> },
    One { name: Spanned<String>, os: Os },
}

#[derive(Debug)]
enum Contact {
    Usual,
    After(Duration),
    Away(Duration),
    Offline,
}

impl FromNode for DeviceSpec {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "the device", all).hints(&[
            ("hostname", "use `name`"),
            ("number", "use `count`"),
            ("online", "write offline: true for a device that is not"),
        ]);
        let who = who(&mut fields);
        let id = fields.optional("id");
        let policy = fields.optional("policy");
        let user = fields.optional("user");
        let ip = fields.optional("ip");
        let contact = contact(&mut fields);
        let reports = reports(&mut fields);
        let visits = fields.or("console", Vec::new());
        let memory = fields.optional("memory");
        let disk_free = fields.optional("disk_free");
        let live_response = fields.or("live_response", true);
        let bare = fields.or("bare", false);
        let planted = fields.optional("planted");
        let files = fields.or("files", Vec::new());
        let without = fields.or("without", Vec::new());
        let registry = fields.or("registry", Vec::new());
        let processes = fields.or("processes", Vec::new());
        if let (Some(Who::Group { .. }), Some(Spanned::<u64> { span, .. })) = (&who, &id) {
            let message = "an id is that of one device: give it a `name`";
            fields.diagnostics().error(Code::BadValue, *span, message);
        }
        fields.finish();
        Some(Self {
            who: who?,
            id,
            policy,
            user,
            ip,
            contact,
            reports,
            visits,
            memory,
            disk_free,
            live_response,
            bare,
            planted,
            files,
            without,
            registry,
            processes,
        })
    }
}

fn who(fields: &mut Fields<'_, '_>) -> Option<Who> {
    let (named, counted) = (fields.has("name"), fields.has("count"));
    let name: Option<Spanned<String>> = fields.optional("name");
    let count: Option<Bounded<1, 100_000>> = fields.optional("count");
    if named == counted && !fields.is_broken() {
        let (code, message) = if named {
            (
                Code::BadValue,
                "the device has a `name` or a `count`, not both",
            )
        } else {
            (
                Code::MissingKey,
                "the device needs a `name`, or a `count` of devices",
            )
        };
        let span = fields.span();
        fields.diagnostics().error(code, span, message);
    }
    if let Some(count) = count {
        return Some(Who::Group {
            count: usize::try_from(count.get()).unwrap_or(usize::MAX),
            os: fields.optional("os"),
        });
    }
    let os = if named {
        fields.required("os")
    } else {
        fields.optional("os")
    };
    let name = name?;
    if name.value.is_empty() || name.value.contains(NOT_IN_NAMES) {
        let message = "a device's name has no wildcards, commas or quotes";
        fields
            .diagnostics()
            .error(Code::BadValue, name.span, message);
    }
    Some(Who::One { name, os: os? })
}

fn contact(fields: &mut Fields<'_, '_>) -> Contact {
    let offline = fields.or("offline", false);
    let check_in = fields.optional("check_in");
    let back: Option<Duration> = fields.optional("back_after");
    if let (Some(after), false) = (back, offline || check_in.is_some()) {
        return Contact::Away(after);
    }
    if back.is_some() {
        let span = fields.key_span("back_after");
        let message = "`back_after` is for a device that is away at first, and stands without `offline` and `check_in`";
        fields.diagnostics().error(Code::BadValue, span, message);
    }
    match (offline, check_in) {
        (true, Some(_)) => {
            let span = fields.key_span("check_in");
            let message = "a device that is offline never checks in";
            fields
                .diagnostics()
                .error(Code::BadValue, span, message)
                .help("remove `check_in` or `offline`");
            Contact::Offline
        }
        (true, None) => Contact::Offline,
        (false, Some(after)) => Contact::After(after),
        (false, None) => Contact::Usual,
    }
}

fn reports(fields: &mut Fields<'_, '_>) -> Option<Duration> {
    let every: Option<Duration> = fields.optional("reports_every");
    if every.is_some_and(Duration::is_zero) {
        let span = fields.key_span("reports_every");
        let message = "a sensor reports at most once a second";
        fields.diagnostics().error(Code::BadValue, span, message);
    }
    every
}

impl DeviceSpec {
    pub(super) fn count(&self) -> usize {
        match self.who {
            Who::Group { count, .. } => count,
            Who::One { .. } => 1,
        }
    }

    pub(super) fn name(&self) -> Option<&Spanned<String>> {
        match &self.who {
            Who::Group { .. } => None,
            Who::One { name, .. } => Some(name),
        }
    }

    /// The device, as far as it can be; what cannot be on it is complained about.
    pub(super) fn build(
        &self,
        index: usize,
        maker: &mut Maker<'_>,
        all: &mut Diagnostics,
    ) -> SimDevice {
        let (id, name, os) = match &self.who {
            Who::Group { os, .. } => maker.usual(index, *os),
            Who::One { name, os } => {
                let id = self.id.as_ref().map(|id| id.value);
                let id = id.unwrap_or_else(|| maker.free_id());
                (id, name.value.clone(), *os)
            }
        };
        let by_rule = matches!(self.who, Who::Group { .. }) && maker.is_planted(os);
        let mut device = self.known(SimDevice::new(id, name, os), maker);
        if !self.bare {
            image::furnish(&mut device);
        }
        if self.planted.unwrap_or(by_rule) {
            device.planted = image::plant_findings(&mut device);
        }
        self.furnish(&mut device, all);
        device
    }

    /// What the organisation knows of it, and how it answers.
    fn known(&self, mut device: SimDevice, maker: &Maker<'_>) -> SimDevice {
        device.user = match &self.user {
            Some(user) => user.clone(),
            None => maker.user(device.id).to_owned(),
        };
        if let Some(ip) = &self.ip {
            device.ip.clone_from(ip);
        }
        if let Some(policy) = self
            .policy
            .as_ref()
            .filter(|name| **name != device.policy.1)
        {
            device.policy = (7_000 + seed_of(policy) % 1_000, policy.clone());
        }
        if let Some(period) = self.reports {
            device.period = period.get();
        }
        device.visits = self.visits.iter().map(VisitItem::visit).collect();
        device = match self.contact {
            Contact::Usual => device,
            Contact::After(delay) => device.check_in(delay.get()),
            Contact::Away(back) => device.away(back.get()),
            Contact::Offline => device.offline(),
        };
        if self.live_response {
            device
        } else {
            device.live_response_off()
        }
    }

    fn furnish(&self, device: &mut SimDevice, all: &mut Diagnostics) {
        for path in &self.without {
            if device
                .endpoint
                .remove(&image::fill(device, &path.value))
                .is_err()
            {
                let message = "nothing is there that could be taken away";
                all.error(Code::BadValue, path.span, message);
            }
        }
        if let Some(memory) = self.memory {
            device.endpoint.memory = Memory(memory.bytes());
        }
        if let Some(free) = self.disk_free {
            device.endpoint.free = free.bytes();
        }
        let mut told = |span: Span, put: Result<(), String>| {
            if let Err(message) = put {
                all.error(Code::BadValue, span, message);
            }
        };
        for item in &self.files {
            told(item.span, item.value.put(device));
        }
        for item in &self.registry {
            told(item.span, item.value.put(device));
        }
        for item in &self.processes {
            told(item.span, item.value.put(device));
        }
    }
}
