//! The executables of the devices and what runs of them: what EDR searches and App Control lists.
//!
//! Nothing is kept. A look goes over the devices as they are at that moment, one after the other, and
//! furnishes none of them for good.

mod hashes;
#[cfg(test)]
mod tests;

pub(super) use hashes::Hashes;

use super::bans::{Bans, Block};
use super::device::SimDevice;
use super::endpoint::content::Content;
use super::endpoint::files::Node;
use super::endpoint::order::Order;
use super::endpoint::process::Process;
use super::endpoint::{Endpoint, programs};
use super::fleet::image;
use super::organisation::Times;
use super::world::World;
use crate::model::device::Os;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What Windows runs or loads goes by these endings; elsewhere a name says nothing.
const ENDINGS: [&str; 4] = [".exe", ".dll", ".sys", ".scr"];

/// An executable on a device.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// As the products show it: in small letters on Windows.
    pub path: String,
    /// The last part of the path.
    pub name: String,
    /// Milliseconds since the world began; negative is before.
    pub created: i64,
    /// None if only a process tells of it.
    pub content: Option<Content>,
}

/// A process with its image.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub process: Process,
    pub image: Image,
}

/// The devices at one moment, and what is banned on them.
pub(super) struct Catalogue<'a> {
    pub devices: &'a BTreeMap<u64, SimDevice>,
    pub bans: &'a mut Bans,
    pub times: Times,
}

impl Image {
    pub(super) fn size(&self) -> u64 {
        self.content.as_ref().map_or(0, Content::len)
    }

    /// Of its content; of its path where there is no file, so that everything that runs has them.
    pub(super) fn hashes(&self) -> Arc<Hashes> {
        match &self.content {
            Some(content) => Hashes::of(content),
            None => Hashes::of_text(&self.path),
        }
    }

    fn of_file(path: String, node: &Node) -> Self {
        Self {
            name: last(&path).to_owned(),
            path,
            created: node.created,
            content: node.content.clone(),
        }
    }

    /// What this word starts on an endpoint, or has started.
    fn of_program(endpoint: &Endpoint, program: &str) -> Self {
        if let Some((path, node)) = programs::file_of(program, endpoint) {
            return Self::of_file(path, node);
        }
        let path = if endpoint.os == Os::Windows {
            program.to_lowercase()
        } else {
            program.to_owned()
        };
        Self {
            name: last(&path).to_owned(),
            path,
            created: 0,
            content: None,
        }
    }

    fn of_process(endpoint: &Endpoint, process: &Process) -> Self {
        // Of a part of the system's own kernel there is only a name, on Windows not even that.
        let program = match (&*process.path, endpoint.os) {
            ("", Os::Windows) => "System",
            ("", _) => process.line.trim_matches(['[', ']']),
            (path, _) => path,
        };
        let image = Self::of_program(endpoint, program);
        match image.content {
            Some(_) => image,
            None => Self {
                created: process.created,
                ..image
            },
        }
    }
}

fn last(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

/// What runs on a device so many milliseconds after the world began, by number.
pub(super) fn processes(device: &SimDevice, now: i64) -> Vec<Running> {
    running(&image::with_programs(device), now)
}

fn running(endpoint: &Endpoint, now: i64) -> Vec<Running> {
    let all = endpoint.processes.all().into_iter();
    all.filter(|process| process.ends.is_none_or(|end| end > now))
        .map(|process| Running {
            process: process.clone(),
            image: Image::of_process(endpoint, process),
        })
        .collect()
}

/// The executables of a device, by path: files that look like it, and whatever runs.
pub(super) fn images(device: &SimDevice, now: i64) -> Vec<Image> {
    let endpoint = image::with_programs(device);
    let mut images = Vec::new();
    if endpoint.os == Os::Windows {
        for (place, node) in endpoint.files.all() {
            let fits = || ENDINGS.iter().any(|ending| place.name.ends_with(ending));
            // What the system itself holds open is no program, whatever its name says.
            if !node.is_directory() && !node.locked && fits() {
                images.push(Image::of_file(endpoint.files.path(place), node));
            }
        }
    }
    let mut known: BTreeSet<String> = images.iter().map(|image| image.path.clone()).collect();
    for Running { process, image } in running(&endpoint, now) {
        if !process.path.is_empty() && known.insert(image.path.clone()) {
            images.push(image);
        }
    }
    images.sort_by(|a, b| a.path.cmp(&b.path));
    images
}

impl World {
    /// Looks at what lies and runs on the devices, and at what is banned there.
    pub(super) fn catalogue<T>(&self, look: impl FnOnce(&mut Catalogue<'_>) -> T) -> T {
        let mut org = self.lock();
        org.advance_all(Instant::now());
        let times = org.times();
        let org = &mut *org;
        look(&mut Catalogue {
            devices: &org.devices,
            bans: &mut org.bans,
            times,
        })
    }
}

impl Catalogue<'_> {
    /// Milliseconds since the world began.
    pub(super) fn now(&self) -> i64 {
        i64::try_from(self.times.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    pub(super) fn processes(&self, device: &SimDevice) -> Vec<Running> {
        processes(device, self.now())
    }

    pub(super) fn images(&self, device: &SimDevice) -> Vec<Image> {
        images(device, self.now())
    }

    /// The names of the file that has this one; none if no device has such a file.
    pub(super) fn hashes(&self, hash: &str) -> Option<Arc<Hashes>> {
        let mut all = self
            .devices
            .values()
            .flat_map(|device| self.images(device))
            .map(|image| image.hashes());
        all.find(|hashes| hashes.has(hash))
    }

    /// Learns the other names of files that were decided upon by one of them; however many those are, the
    /// devices are gone over once.
    pub(super) fn complete_bans(&mut self) {
        if self.bans.are_known() {
            return;
        }
        let mut contents = BTreeMap::new();
        for device in self.devices.values() {
            for image in self.images(device) {
                let hashes = image.hashes();
                contents.entry(Arc::as_ptr(&hashes)).or_insert(hashes);
            }
        }
        for hashes in contents.values() {
            self.bans.complete(hashes);
        }
    }
}

/// Would the order start something that is banned? It is counted then. A shell is asked to start what it
/// is told, and refused with it.
pub(super) fn blocks(bans: &mut Bans, device: &SimDevice, order: &Order, at: Duration) -> bool {
    let Order::CreateProcess { line, .. } = order else {
        return false;
    };
    if bans.is_empty() {
        return false;
    }
    let programs = programs::named(line, &device.endpoint).into_iter();
    let mut images = programs.map(|program| Image::of_program(&device.endpoint, &program));
    images.any(|image| {
        bans.block(
            &image.hashes(),
            device.policy.0,
            Block {
                at,
                device: device.id,
                host: device.name.clone(),
            },
        )
    })
}
