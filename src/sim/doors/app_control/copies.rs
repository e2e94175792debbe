//! The executables as App Control knows them: each content once, and its copies on the computers.

use crate::sim::app_control::AppControl;
use crate::sim::bans::{Bans, Verdict};
use crate::sim::catalogue::{Catalogue, Hashes, Image};
use crate::sim::device::SimDevice;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

pub(super) const UNAPPROVED: u64 = 1;
pub(super) const APPROVED: u64 = 2;
pub(super) const BANNED: u64 = 3;

/// More paths than devices together ever have, so that a copy's number tells its computer.
const PATHS: u64 = 1_000_000;

/// A copy of a file on a computer.
pub(super) struct Copy {
    pub id: u64,
    /// Of the content.
    pub file: u64,
    pub computer: u64,
    pub policy: u64,
    pub image: Image,
    pub hashes: Arc<Hashes>,
    pub created: Timestamp,
}

impl Copy {
    pub(super) fn name(&self) -> &str {
        &self.image.name
    }

    /// Where it lies, without its name.
    pub(super) fn directory(&self) -> &str {
        let path = self.image.path.as_str();
        let end = path.len().saturating_sub(self.image.name.len());
        path.get(..end)
            .unwrap_or_default()
            .trim_end_matches(['\\', '/'])
    }
}

/// The copies on one computer, by path.
pub(super) fn copies(
    kept: &mut AppControl,
    catalogue: &Catalogue<'_>,
    device: &SimDevice,
) -> Vec<Copy> {
    let images = catalogue.images(device).into_iter();
    images
        .map(|image| {
            let hashes = image.hashes();
            let path = kept.paths.of(&image.path);
            let created = SignedDuration::from_millis(image.created);
            Copy {
                id: device.id.saturating_mul(PATHS).saturating_add(path),
                file: kept.files.of(&hashes.sha256),
                computer: device.id,
                policy: device.policy.0,
                created: catalogue
                    .times
                    .begun
                    .checked_add(created)
                    .unwrap_or(catalogue.times.begun),
                image,
                hashes,
            }
        })
        .collect()
}

/// The first copy that there is of a file.
pub(super) fn first_of(
    file: u64,
    kept: &mut AppControl,
    catalogue: &Catalogue<'_>,
) -> Option<Copy> {
    let mut devices = catalogue.devices.values();
    devices.find_map(|device| {
        let mut copies = copies(kept, catalogue, device).into_iter();
        copies.find(|copy| copy.file == file)
    })
}

/// The computer that a copy lies on.
pub(super) fn computer_of(copy: u64) -> u64 {
    copy / PATHS
}

/// What holds for a file: everywhere, or on computers of one policy.
pub(super) fn state(bans: &Bans, hashes: &Hashes, policy: Option<u64>) -> u64 {
    match bans.verdict(hashes, policy) {
        None => UNAPPROVED,
        Some(Verdict::Approved) => APPROVED,
        Some(Verdict::Banned) => BANNED,
    }
}
