//! Contents that lie in some bag of the run: a file that many devices have costs the disk once.

use super::disk;
use super::hashed::Digest;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// Of smaller files a second copy costs less than remembering the first.
const SMALLEST: u64 = 64 << 10;
/// So that memory does not grow with the evidence.
const MOST: usize = 65_536;

/// Where each content came to lie first.
#[derive(Debug)]
pub(super) struct Known {
    run: PathBuf,
    places: Mutex<HashMap<Digest, Place>>,
}

/// A bag's name, and a path from its root.
type Place = (Box<str>, Box<str>);

impl Known {
    pub(super) fn of(run: &Path) -> Self {
        Self {
            run: run.to_owned(),
            places: Mutex::default(),
        }
    }

    /// Gives a content that lies somewhere a second name; whether it has it now.
    pub(super) fn link(&self, content: &Digest, to: &Path) -> bool {
        let Some((bag, path)) = self.lock().get(content).cloned() else {
            return false;
        };
        // In this order: between the two looks the bag may be published.
        ["work", "devices"].into_iter().any(|parent| {
            let place = disk::beneath(&self.run, &format!("{parent}/{bag}/{path}"));
            place.is_ok_and(|place| disk::link_new(&place, content.size, to))
        })
    }

    /// Takes note of a content that could not be linked. A later place is as good as an earlier one, which
    /// may have as many names as the disk allows.
    pub(super) fn remember(&self, content: &Digest, bag: &str, path: &str) {
        let mut places = self.lock();
        let has_room = places.len() < MOST || places.contains_key(content);
        if content.size >= SMALLEST && has_room {
            places.insert(content.clone(), (bag.into(), path.into()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Place>> {
        self.places.lock().expect("nobody panics while holding it")
    }
}
