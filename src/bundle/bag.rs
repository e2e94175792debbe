//! Sealing: manifests over what a bag holds, and its move to where it never changes again.
//!
//! Follows RFC 8493. Digests are those taken while writing; re-reading is what `verify` is for.

use super::disk::{self, DiskError};
use super::hashed::{self, Digest};
use super::store::{Bag, DEVICE, INDEX, TRANSCRIPT};
use crate::clock;
use crate::model::outcome::DeviceState;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

pub(super) const MANIFEST: &str = "manifest-sha256.txt";
pub(super) const TAG_MANIFEST: &str = "tagmanifest-sha256.txt";
const DECLARATION: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

/// What the bag says of itself; nothing that an endpoint could have written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BagInfo {
    /// Hex.
    pub plan_sha256: String,
    pub outcome: DeviceState,
}

/// A bag that is whole and durable, but still in `work/`.
#[derive(Debug)]
pub struct SealedBag {
    /// Lower-case hex of the hash that covers, through the manifests, everything in the bag.
    pub tag_manifest_sha256: String,
    pub(super) run: PathBuf,
    pub(super) root: PathBuf,
    pub(super) destination: String,
}

impl Bag {
    /// Ends the bag. Every file and directory in it is on disk when this returns.
    pub fn seal(self, info: &BagInfo) -> Result<SealedBag, DiskError> {
        if !info.plan_sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(DiskError::BadName {
                name: info.plan_sha256.clone(),
            });
        }
        let root = self.shared.root.clone();
        let Some(shared) = Arc::into_inner(self.shared) else {
            return Err(DiskError::Receiving { path: root });
        };
        let mut contents = shared
            .contents
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        contents.check()?;
        if !contents.files.contains_key(DEVICE) {
            return Err(DiskError::NoDevice { path: root });
        }
        let mut payload = std::mem::take(&mut contents.files);
        payload.insert(INDEX.to_owned(), contents.index.finish()?);
        payload.insert(TRANSCRIPT.to_owned(), contents.transcript.finish()?);

        let mut tags = BTreeMap::new();
        let about = format!(
            "Bagging-Date: {}\nBag-Software-Agent: sortie/{}\nBag-Group-Identifier: {}\n\
             External-Identifier: device-{}\n{}Sortie-Plan-SHA256: {}\nSortie-Outcome: {}\n",
            clock::now().strftime("%Y-%m-%d"),
            env!("CARGO_PKG_VERSION"),
            self.run,
            self.device,
            sizes(&payload),
            info.plan_sha256,
            info.outcome,
        );
        for (name, text) in [
            ("bagit.txt", DECLARATION.to_owned()),
            ("bag-info.txt", about),
            (MANIFEST, manifest(&payload)),
        ] {
            tags.insert(name.to_owned(), write_tag(&root, name, &text)?);
        }
        let seal = write_tag(&root, TAG_MANIFEST, &manifest(&tags))?;

        // In reverse order a directory comes before the one that it lies in.
        for directory in contents.directories.iter().rev() {
            disk::sync_dir(&disk::beneath(&root, directory)?)?;
        }
        disk::sync_dir(&root)?;
        Ok(SealedBag {
            tag_manifest_sha256: seal.sha256,
            run: self.run_path,
            root,
            destination: self.destination,
        })
    }
}

impl SealedBag {
    /// Moves the bag into `devices/` and gives its path from the run directory.
    pub fn publish(self) -> Result<String, DiskError> {
        disk::rename_new(&self.root, &disk::beneath(&self.run, &self.destination)?)?;
        disk::sync_dir(&self.run.join("devices"))?;
        disk::sync_dir(&self.run.join("work"))?;
        Ok(self.destination)
    }
}

fn write_tag(root: &Path, name: &str, text: &str) -> Result<Digest, DiskError> {
    hashed::write_new(disk::beneath(root, name)?, text.as_bytes())
}

/// As `sha256sum` writes it. Our names need none of the escapes that tools disagree on.
fn manifest(files: &BTreeMap<String, Digest>) -> String {
    let mut text = String::with_capacity(files.len() * 128);
    for (path, Digest { sha256, .. }) in files {
        writeln!(text, "{sha256}  {path}").expect("text grows as needed");
    }
    text
}

fn sizes(payload: &BTreeMap<String, Digest>) -> String {
    let bytes: u64 = payload.values().map(|digest| digest.size).sum();
    let (unit, name) = match bytes {
        0..1_000_000 => (1_000, "KB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    format!(
        "Payload-Oxum: {bytes}.{}\nBag-Size: {} {name}\n",
        payload.len(),
        bytes.div_ceil(unit)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::layout;
    use crate::live::Sink;
    use crate::model::device::Os;
    use crate::model::id::DeviceId;
    use crate::model::row::FileState;
    use serde_json::json;
    use std::fs;

    fn info() -> BagInfo {
        BagInfo {
            plan_sha256: "ab".repeat(32),
            outcome: DeviceState::Partial,
        }
    }

    /// Every file below `root`, by its path from there.
    fn files(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![root.to_owned()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                    found.push(name.replace('\\', "/"));
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// The names in a manifest, after checking their hashes.
    fn listed(root: &Path, manifest: &str) -> Vec<String> {
        let text = fs::read_to_string(root.join(manifest)).unwrap();
        text.lines()
            .map(|line| {
                let (hash, name) = line.split_once("  ").unwrap();
                assert_eq!(hash, hashed::hash_file(&root.join(name)).unwrap(), "{name}");
                name.to_owned()
            })
            .collect()
    }

    #[test]
    fn a_published_bag_holds_what_its_manifests_say() {
        let dir = tempfile::tempdir().unwrap();
        let run = layout::sample(dir.path());
        let bag = run.open_bag(&"WS-7".into(), DeviceId(7)).unwrap();
        bag.device(&json!({"name": "WS-7\nPayload-Oxum: 0.0"}))
            .unwrap();
        for path in [r"C:\..\..\x", "C:\\a\nb", r"C:\z", r"C:\Z", r"C:\100%"] {
            let mut sink = bag.file(&path.into(), Os::Windows).unwrap();
            sink.write(path.as_bytes()).unwrap();
            sink.finish(FileState::Complete).unwrap();
        }
        bag.transcript(&json!({"command": "get file", "answer": "é"}))
            .unwrap();
        bag.transcript(&json!({"command": "process list"})).unwrap();
        bag.step(3, &"../Running\u{e9}".into(), &json!([1]))
            .unwrap();
        bag.outcome(&json!({"state": "unknown"})).unwrap();
        bag.outcome(&json!({"state": "partial"})).unwrap();
        let sealed = bag.seal(&info()).unwrap();
        let seal = sealed.tag_manifest_sha256.clone();
        assert_eq!(sealed.publish().unwrap(), "devices/ws-7_7");

        let root = run.path().join("devices/ws-7_7");
        assert!(!run.path().join("work/ws-7_7").exists());
        let tags = listed(&root, "tagmanifest-sha256.txt");
        assert_eq!(tags, ["bag-info.txt", "bagit.txt", "manifest-sha256.txt"]);
        let payload = listed(&root, "manifest-sha256.txt");
        assert!(payload.is_sorted());
        let mut known = [&tags[..], &payload, &["tagmanifest-sha256.txt".into()]].concat();
        known.sort_unstable();
        assert_eq!(files(&root), known);
        assert!(payload.contains(&"data/steps/03-..=2FRunning=C3=A9.json".to_owned()));
        assert_eq!(
            seal,
            hashed::hash_file(&root.join("tagmanifest-sha256.txt")).unwrap()
        );

        let transcript = fs::read_to_string(root.join(TRANSCRIPT)).unwrap();
        assert_eq!(transcript.lines().count(), 2);
        assert!(transcript.is_ascii());
        assert_eq!(fs::read(root.join(INDEX)).unwrap(), b"");

        let bytes: u64 = payload
            .iter()
            .map(|name| root.join(name).metadata().unwrap().len())
            .sum();
        let about = fs::read_to_string(root.join("bag-info.txt")).unwrap();
        let expected = [
            "Bag-Group-Identifier: 20261121T170311Z-k3v9q2".to_owned(),
            "External-Identifier: device-7".to_owned(),
            format!("Payload-Oxum: {bytes}.{}", payload.len()),
            format!("Sortie-Plan-SHA256: {}", info().plan_sha256),
            "Sortie-Outcome: partial".to_owned(),
        ];
        for line in expected {
            assert_eq!(
                about.lines().filter(|l| *l == line).count(),
                1,
                "{line}\n{about}"
            );
        }
        assert_eq!(about.lines().count(), 8);
    }

    #[test]
    fn what_is_not_ready_is_not_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let run = layout::sample(dir.path());
        let bag = || run.open_bag(&"ws-7".into(), DeviceId(7)).unwrap();
        assert!(matches!(
            bag().seal(&info()),
            Err(DiskError::NoDevice { .. })
        ));

        let busy = bag();
        busy.device(&json!({})).unwrap();
        let _sink = busy.file(&"/etc/hosts".into(), Os::Linux).unwrap();
        assert!(matches!(
            busy.seal(&info()),
            Err(DiskError::Receiving { .. })
        ));

        let odd = bag();
        odd.device(&json!({})).unwrap();
        let injected = BagInfo {
            plan_sha256: "ab\nPayload-Oxum: 0.0".into(),
            ..info()
        };
        assert!(odd.seal(&injected).is_err());
    }

    #[test]
    fn a_published_bag_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let run = layout::sample(dir.path());
        let bag = run.open_bag(&"ws-7".into(), DeviceId(7)).unwrap();
        bag.device(&json!({})).unwrap();
        let sealed = bag.seal(&info()).unwrap();
        let earlier = run.path().join("devices/ws-7_7");
        fs::create_dir(&earlier).unwrap();
        fs::write(earlier.join("bagit.txt"), "earlier").unwrap();
        assert!(sealed.publish().is_err());
        assert_eq!(files(&earlier), ["bagit.txt"]);
    }
}
