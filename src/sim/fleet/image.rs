//! What lies on a device's disk, in its registry and in its process table: data, one file per family.
//!
//! `base` is shared by all devices of a family, `personal` is made for each, `planted` is there to be found.

use crate::model::device::Os;
use crate::sim::device::{Later, SimDevice};
use crate::sim::endpoint::Endpoint;
use crate::sim::endpoint::code::Code;
use crate::sim::endpoint::content::{Content, mix, seed_of};
use crate::sim::endpoint::files::Node;
use crate::sim::endpoint::process::{self, Process};
use crate::sim::endpoint::programs::utf16;
use crate::sim::endpoint::registry::Value;
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::LazyLock;

static WINDOWS: LazyLock<Furnished> =
    LazyLock::new(|| Furnished::new(Os::Windows, include_str!("windows.yaml")));
static LINUX: LazyLock<Furnished> =
    LazyLock::new(|| Furnished::new(Os::Linux, include_str!("linux.yaml")));
static MACOS: LazyLock<Furnished> =
    LazyLock::new(|| Furnished::new(Os::Macos, include_str!("macos.yaml")));

const DAY: i64 = 86_400_000;
/// Processes with numbers from here on belong to a person, and their numbers differ from device to device.
const PERSONAL_PIDS: u64 = 3_000;

struct Furnished {
    image: Image,
    /// The base, built once; its parts are shared by whoever clones it.
    base: Endpoint,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    base: Part,
    personal: Part,
    planted: Part,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Part {
    files: Vec<FileSpec>,
    registry: Vec<KeySpec>,
    processes: Vec<ProcessSpec>,
}

/// Files of one folder that are alike. Without names it is the folder itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sim) struct FileSpec {
    pub r#in: String,
    #[serde(default)]
    pub names: Vec<String>,
    pub text: Option<String>,
    /// Bytes of generated content.
    pub size: Option<u64>,
    pub magic: Option<Magic>,
    #[serde(default)]
    pub utf16: bool,
    /// Days before the world began; without it, something that depends on the path.
    pub age: Option<f64>,
    #[serde(default)]
    pub attributes: Vec<String>,
    #[serde(default)]
    pub locked: bool,
}

/// The first bytes by which a kind of file is known.
#[derive(Debug, Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(in crate::sim) enum Magic {
    Evtx,
    Prefetch,
    Exe,
    Elf,
    Macho,
    Registry,
    Sqlite,
    Link,
}

impl Magic {
    const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Evtx => b"ElfFile\0",
            Self::Prefetch => b"MAM\x04",
            Self::Exe => b"MZ\x90\0\x03\0\0\0",
            Self::Elf => b"\x7fELF\x02\x01\x01\0",
            Self::Macho => b"\xcf\xfa\xed\xfe",
            Self::Registry => b"regf",
            Self::Sqlite => b"SQLite format 3\0",
            Self::Link => b"L\0\0\0\x01\x14\x02\0",
        }
    }

    const fn is_program(self) -> bool {
        matches!(self, Self::Exe | Self::Elf | Self::Macho)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sim) struct KeySpec {
    pub key: String,
    #[serde(default)]
    pub values: Vec<ValueSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sim) struct ValueSpec {
    pub name: String,
    #[serde(default = "plain_text")]
    pub r#type: String,
    pub data: String,
}

fn plain_text() -> String {
    "REG_SZ".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProcessSpec {
    pid: u64,
    parent: u64,
    #[serde(default)]
    path: String,
    #[serde(default)]
    line: String,
    user: Option<String>,
    #[serde(default)]
    sid: String,
    #[serde(default)]
    protected: bool,
}

impl Furnished {
    fn new(os: Os, text: &str) -> Self {
        let image: Image = serde_saphyr::from_str(text).expect("the embedded image is tested");
        let mut device = SimDevice::new(0, "base", os);
        image.base.furnish(&mut device);
        Self {
            base: shared(device.endpoint),
            image,
        }
    }

    fn of(os: Os) -> Option<&'static Self> {
        match os {
            Os::Windows => Some(&WINDOWS),
            Os::Linux => Some(&LINUX),
            Os::Macos => Some(&MACOS),
            Os::Other => None,
        }
    }
}

/// The same endpoint with everything in its shared layer.
fn shared(mut endpoint: Endpoint) -> Endpoint {
    endpoint.files.share();
    endpoint.registry.share();
    endpoint.processes.share();
    endpoint
}

/// Gives a device the image of its family; what is its own comes with [`complete`].
pub(in crate::sim) fn furnish(device: &mut SimDevice) {
    if let Some(furnished) = Furnished::of(device.os) {
        device.endpoint = furnished.base.clone();
        device.later = Later::Personal;
    }
}

/// Puts there what a triage should find, with what is the device's own if that is still to come; false if the
/// family has nothing of that kind.
pub(in crate::sim) fn plant_findings(device: &mut SimDevice) -> bool {
    let Some(furnished) = Furnished::of(device.os) else {
        return false;
    };
    if device.later == Later::Nothing {
        furnished.image.planted.furnish(device);
    } else {
        device.later = Later::Planted;
    }
    true
}

/// Puts there what was left for later.
pub(in crate::sim) fn complete(device: &mut SimDevice) {
    let later = std::mem::replace(&mut device.later, Later::Nothing);
    let Some(furnished) = Furnished::of(device.os).filter(|_| later != Later::Nothing) else {
        return;
    };
    furnished.image.personal.furnish(device);
    if later == Later::Planted {
        furnished.image.planted.furnish(device);
    }
}

/// The endpoint with whatever can run on it, also where something was left for later; the device stays as it is.
pub(in crate::sim) fn with_programs(device: &SimDevice) -> Cow<'_, Endpoint> {
    let furnished = Furnished::of(device.os).filter(|_| device.later != Later::Nothing);
    let Some(furnished) = furnished else {
        return Cow::Borrowed(&device.endpoint);
    };
    let mut whole = device.clone();
    furnished.image.personal.furnish_programs(&mut whole);
    if device.later == Later::Planted {
        furnished.image.planted.furnish_programs(&mut whole);
    }
    Cow::Owned(whole.endpoint)
}

impl Part {
    fn furnish(&self, device: &mut SimDevice) {
        let tested = "the embedded image is tested";
        for file in &self.files {
            file.furnish(device).expect(tested);
        }
        for key in &self.registry {
            key.furnish(device).expect(tested);
        }
        for process in &self.processes {
            let process = process.made_for(device);
            device.endpoint.processes.plant(process);
        }
    }

    fn furnish_programs(&self, device: &mut SimDevice) {
        let is_program = |file: &&FileSpec| file.magic.is_some_and(Magic::is_program);
        for file in self.files.iter().filter(is_program) {
            file.furnish(device).expect("the embedded image is tested");
        }
        for process in &self.processes {
            let process = process.made_for(device);
            device.endpoint.processes.plant(process);
        }
    }
}

impl KeySpec {
    /// Makes the key with its values; fails on a hive that there is not.
    pub(in crate::sim) fn furnish(&self, device: &mut SimDevice) -> Result<(), Code> {
        let values = self.values.iter().map(|value| Value {
            name: fill(device, &value.name),
            kind: Value::kind(&value.r#type).unwrap_or("REG_SZ"),
            data: fill(device, &value.data),
        });
        let values = values.collect();
        let path = fill(device, &self.key);
        device.endpoint.registry.plant(&path, values)
    }
}

impl FileSpec {
    /// Puts the files there; fails on a path that there cannot be.
    pub(in crate::sim) fn furnish(&self, device: &mut SimDevice) -> Result<(), Code> {
        let separator = device.os.separator();
        let folder = fill(device, &self.r#in);
        let folder = folder.trim_end_matches(separator);
        if self.names.is_empty() {
            self.put(device, folder, None)?;
        }
        for name in &self.names {
            let path = format!("{folder}{separator}{}", fill(device, name));
            let content = self.content(device, &path);
            self.put(device, &path, Some(content))?;
        }
        Ok(())
    }

    fn content(&self, device: &SimDevice, path: &str) -> Content {
        match (&self.text, self.size) {
            (Some(text), _) if self.utf16 => Content::Bytes(utf16(&fill(device, text)).into()),
            (Some(text), _) => Content::text(&fill(device, text)),
            (None, size) => Content::Seeded {
                magic: self.magic.map_or(b"", Magic::bytes),
                seed: self.seed(device, path),
                length: size.unwrap_or(0),
            },
        }
    }

    /// A program is the same file on every device, wherever it lies; everything else is the device's own.
    fn seed(&self, device: &SimDevice, path: &str) -> u64 {
        if self.magic.is_some_and(Magic::is_program) {
            seed_of(path.rsplit(['\\', '/']).next().unwrap_or(path))
        } else {
            seed_of(path) ^ mix(device.id)
        }
    }

    fn put(
        &self,
        device: &mut SimDevice,
        path: &str,
        content: Option<Content>,
    ) -> Result<(), Code> {
        let age = self.age.map_or_else(
            || i64::try_from(seed_of(path) % 400).unwrap_or(0) * DAY + DAY,
            milliseconds,
        );
        let attributes = self
            .attributes
            .iter()
            .filter_map(|name| Node::attribute(name));
        let attributes = attributes.fold(0, |all, one| all | one);
        device.endpoint.plant(path, content, |node| {
            node.attributes |= attributes;
            node.locked = self.locked;
            node.created = -age;
            node.written = -age;
            node.accessed = -age / 2;
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "ages are days, and few")]
fn milliseconds(days: f64) -> i64 {
    (days * 86_400_000.0) as i64
}

impl ProcessSpec {
    fn made_for(&self, device: &SimDevice) -> Process {
        let shift = |pid: u64| {
            if pid < PERSONAL_PIDS {
                pid
            } else {
                pid + mix(device.id) % 150 * 4
            }
        };
        let (user, sid) = if let Some(user) = &self.user {
            (fill(device, user), fill(device, &self.sid))
        } else {
            let (user, sid) = process::system(device.os);
            (user.to_owned(), sid.to_owned())
        };
        Process {
            pid: shift(self.pid),
            parent: shift(self.parent),
            path: fill(device, &self.path).into(),
            line: fill(device, &self.line).into(),
            user: user.into(),
            sid: sid.into(),
            created: i64::try_from(self.pid).unwrap_or(0) * 1_000 - DAY,
            protected: self.protected,
            ends: None,
        }
    }
}

/// The text with what is the device's own in place of `{user}` and its like.
pub(in crate::sim) fn fill(device: &SimDevice, text: &str) -> String {
    if !text.contains('{') {
        return text.to_owned();
    }
    let sid = format!(
        "S-1-5-21-1004336348-1177238915-682003330-{}",
        1100 + device.id % 8000
    );
    device.facts().fill(&text.replace("{sid}", &sid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::endpoint::Facts;
    use crate::sim::endpoint::order::{Order, Yield};

    fn furnished(os: Os) -> SimDevice {
        // A name that would be illegal in a path must do no harm: names come out of other people's globs.
        let mut device = SimDevice::new(4711, "a:<b>", os);
        furnish(&mut device);
        complete(&mut device);
        device
    }

    fn lists(device: &mut SimDevice, path: &str) -> Vec<String> {
        let order = Order::DirectoryList { path: path.into() };
        match device
            .endpoint
            .perform(&order, 0, &Facts::default(), None)
            .result
        {
            Ok(Yield::Entries(entries)) => entries.into_iter().map(|e| e.name).collect(),
            other => panic!("{path}: {other:?}"),
        }
    }

    fn lines(device: &SimDevice) -> String {
        let all = device.endpoint.processes.all();
        all.iter()
            .map(|p| p.line.to_string())
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn images_read_and_findings_are_there_only_when_planted() {
        let run = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\OneDriveUpdate";
        let table = [
            (
                Os::Windows,
                r"C:\Users\Public\Libraries\*",
                "odupd.exe",
                "-EncodedCommand",
            ),
            (
                Os::Linux,
                "/etc/cron.d/",
                ".sysupd",
                "/tmp/.X11-unix/kworkerd -o pool.example:443",
            ),
            (
                Os::Macos,
                "/Library/LaunchDaemons/",
                "com.apple.updatesvc.plist",
                "/Users/Shared/.upd/agentd",
            ),
        ];
        for (os, folder, file, line) in table {
            let mut device = furnished(os);
            assert!(
                !lists(&mut device, folder).contains(&file.to_owned()),
                "{os}"
            );
            assert!(!lines(&device).contains(line), "{os}");
            assert!(device.endpoint.registry.query(run).is_err());
            assert!(plant_findings(&mut device));
            assert!(
                lists(&mut device, folder).contains(&file.to_owned()),
                "{os}"
            );
            assert!(lines(&device).contains(line), "{os}");
            assert_eq!(
                device.endpoint.registry.query(run).is_ok(),
                os == Os::Windows
            );
        }
    }

    #[test]
    fn a_windows_host_looks_like_one() {
        let mut device = furnished(Os::Windows);
        let logs = lists(&mut device, r"C:\Windows\System32\winevt\Logs\*.evtx");
        assert!(logs.contains(&"Microsoft-Windows-PowerShell%4Operational.evtx".to_owned()));
        let pids: Vec<u64> = device
            .endpoint
            .processes
            .all()
            .iter()
            .map(|p| p.pid)
            .collect();
        assert!(pids.contains(&4) && pids.len() > 20, "{pids:?}");
        assert!(lists(&mut device, r"C:\Windows\Prefetch\*.pf").len() > 5);
    }

    #[test]
    fn what_comes_later_is_the_same() {
        for os in Os::NAMED {
            let mut now = furnished(os);
            assert!(plant_findings(&mut now));
            let mut later = SimDevice::new(4711, "a:<b>", os);
            furnish(&mut later);
            assert!(plant_findings(&mut later));
            assert_eq!(later.endpoint.files.own(), 0, "{os}");
            complete(&mut later);
            complete(&mut later);
            let told = |device: &SimDevice| format!("{:?}", device.endpoint);
            assert_eq!(told(&now), told(&later), "{os}");
        }
    }

    #[test]
    fn a_device_of_a_fleet_costs_little() {
        let one = furnished(Os::Windows);
        let two = furnished(Os::Windows);
        // Devices share the layer that holds most of what they have.
        assert!(one.endpoint.files.shares_base_with(&two.endpoint.files));
        assert!(
            one.endpoint.files.own() < 60,
            "{}",
            one.endpoint.files.own()
        );
    }
}
