//! Taking up again what an earlier process left of a bag: what is whole stays, all else is fetched again.
//!
//! A crash may have come at any byte, and whoever could write here may have. What is there is believed only
//! as far as its hashes go; no link is followed, and nothing outside the bag is touched.

use super::bag::{SealedBag, TAG_MANIFEST};
use super::disk::{self, At, DiskError};
use super::hashed::{self, Digest, HashedFile};
use super::layout::{self, RunDir};
use super::path::{self, PathMap, Way};
use super::store::{self, Bag, Contents, DEVICE, INDEX, Line, OUTCOME, TRANSCRIPT};
use super::tree::{self, Kind};
use super::whole;
use crate::model::id::DeviceId;
use crate::model::remote::RemoteText;
use crate::model::row::{FileState, StoredFile};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::path::Path;

const FILES: &str = "data/files/";
const STEPS: &str = "data/steps/";

/// What there is of a device's bag.
pub enum TakenUp {
    Nothing,
    /// Under construction; it goes on where it was.
    Open(Bag),
    /// Whole, and to be published.
    Sealed(SealedBag),
    /// In its place; this is its path from the run directory.
    Published(String),
}

impl RunDir {
    /// Finds what an earlier process left of a device's bag. `sealed` is the hash of the tag manifest that
    /// the journal has for a bag that it does not know as published; those that it does are not touched.
    pub fn take_up(
        &self,
        short_name: &RemoteText,
        device: DeviceId,
        sealed: Option<&str>,
        published: &[String],
    ) -> Result<TakenUp, DiskError> {
        let mut under_way = None;
        for attempt in 1.. {
            let name = layout::bag_name(short_name, device, attempt);
            let (there, here) = (format!("devices/{name}"), format!("work/{name}"));
            let is_there = self.exists(&there)?;
            let is_known = published.contains(&there);
            if is_there && !is_known {
                return self.found_published(there, sealed);
            }
            if self.exists(&here)? {
                under_way = Some((name, here));
            } else if !is_there && !is_known {
                break;
            }
        }
        let Some((name, here)) = under_way else {
            return Ok(TakenUp::Nothing);
        };
        let root = disk::beneath(&self.path, &here)?;
        for path in [&self.path.join("work"), &root] {
            if !disk::is_directory(path)? {
                return Err(DiskError::NotADirectory { path: path.clone() });
            }
        }
        if let Some(seal) = sealed
            && self.has_seal(&here, Some(seal))?
        {
            whole::check(&root, seal)?;
            return Ok(TakenUp::Sealed(SealedBag {
                tag_manifest_sha256: seal.to_owned(),
                run: self.path.clone(),
                root,
                destination: format!("devices/{name}"),
            }));
        }
        let Some(mut contents) = restored(&root)? else {
            disk::remove(&root)?;
            return Ok(TakenUp::Nothing);
        };
        contents.dirty.extend(store::new_names(&self.path, &root));
        let bag = Bag::with(&self.path, &self.id, &name, device, &self.known, contents)?;
        Ok(TakenUp::Open(bag))
    }

    /// A bag in its place that the journal does not have as published.
    fn found_published(&self, bag: String, sealed: Option<&str>) -> Result<TakenUp, DiskError> {
        if !self.has_seal(&bag, sealed)? {
            let path = disk::beneath(&self.path, &bag)?;
            return Err(DiskError::Unknown { path });
        }
        // Whoever moved it there may not have come to this.
        for parent in ["devices", "work"] {
            disk::sync_dir(&self.path.join(parent))?;
        }
        Ok(TakenUp::Published(bag))
    }

    fn has_seal(&self, bag: &str, seal: Option<&str>) -> Result<bool, DiskError> {
        let manifest = format!("{bag}/{TAG_MANIFEST}");
        let found = hashed::digest_beneath(&self.path, &manifest)?;
        Ok(found.is_some_and(|found| Some(&*found.sha256) == seal))
    }
}

/// What is whole in a bag under construction, after all else was removed; none if nothing is.
fn restored(root: &Path) -> Result<Option<Contents>, DiskError> {
    let (there, directories) = swept(root)?;
    if !directories.contains("data") {
        return Ok(None);
    }
    let mut found = Found {
        root,
        there,
        files: BTreeMap::new(),
        paths: PathMap::default(),
        places: HashMap::new(),
    };
    found.documents()?;
    let index = lines(root, INDEX, "1.part", &mut |line| found.list(line))?;
    found.forget_unlisted()?;
    let transcript = lines(root, TRANSCRIPT, "2.part", &mut |line| Ok(is_json(line)))?;
    if found.files.is_empty() && transcript.size() == 0 {
        return Ok(None);
    }
    let directories = found.prune(directories)?;
    let dirty = directories.iter().map(|name| disk::beneath(root, name));
    Ok(Some(Contents {
        dirty: dirty.collect::<Result<_, _>>()?,
        files: found.files,
        directories,
        index,
        transcript,
        paths: found.paths,
        places: found.places,
        unlisted: HashMap::new(),
        parts: 2,
        is_lost: false,
    }))
}

/// The files and directories of a bag that may be in one, after all others were removed.
fn swept(root: &Path) -> Result<(BTreeSet<String>, BTreeSet<String>), DiskError> {
    let (mut files, mut directories) = (BTreeSet::new(), BTreeSet::new());
    tree::walk(root, &mut |entry| {
        let name = entry.name.filter(|name| may_stay(name, entry.kind));
        match (name, entry.kind) {
            (Some(name), Kind::File) => files.insert(name.to_owned()),
            (Some(name), Kind::Directory) => directories.insert(name.to_owned()),
            _ => {
                disk::remove(entry.path)?;
                false
            }
        };
        Ok(name.is_some())
    })?;
    Ok((files, directories))
}

fn may_stay(name: &str, kind: Kind) -> bool {
    match kind {
        Kind::Directory => {
            matches!(name, "data" | "data/files" | "data/steps") || name.starts_with(FILES)
        }
        Kind::File => {
            let step = name.strip_prefix(STEPS);
            matches!(name, DEVICE | OUTCOME | INDEX | TRANSCRIPT)
                || name.starts_with(FILES)
                || step.is_some_and(|step| !step.contains('/'))
        }
        Kind::Other => false,
    }
}

/// What of a bag has turned out to be whole.
struct Found<'a> {
    root: &'a Path,
    /// Every file that lies there.
    there: BTreeSet<String>,
    files: BTreeMap<String, Digest>,
    paths: PathMap,
    places: HashMap<(RemoteText, Way), Vec<(Digest, String)>>,
}

impl Found<'_> {
    /// Keeps the documents that are whole.
    fn documents(&mut self) -> Result<(), DiskError> {
        let is_document = |name: &&String| {
            !name.starts_with(FILES) && ![INDEX, TRANSCRIPT].contains(&name.as_str())
        };
        for name in self.there.iter().filter(is_document) {
            let bytes = disk::read_beneath(self.root, name)?.unwrap_or_default();
            if bytes.ends_with(b"\n") && is_json(&bytes) {
                self.files.insert(name.clone(), Digest::of(&bytes));
            } else {
                disk::remove(&disk::beneath(self.root, name)?)?;
            }
        }
        Ok(())
    }

    /// Takes note of what a line of the index tells; false if it is not true.
    fn list(&mut self, line: &[u8]) -> Result<bool, DiskError> {
        let Ok(line) = serde_json::from_slice::<Line<StoredFile>>(line) else {
            return Ok(false);
        };
        let (place, file) = (line.file.stored_path.clone(), &line.file);
        let Some(path) = place.strip_prefix(FILES) else {
            return Ok(false);
        };
        let is_new = !self.files.contains_key(&place);
        let Some(there) = self.digest(&place)? else {
            return Ok(false);
        };
        let is_same = match &file.packed {
            Some(packed) => packed.stored_sha256 == there.sha256,
            None => file.sha256 == there.sha256 && file.size_received == there.size,
        };
        if !is_same {
            return Ok(false);
        }
        if is_new {
            let way = Way {
                partial: file.state != FileState::Complete,
                zipped: file.packed.is_some(),
            };
            let original = line.filed_as.unwrap_or_else(|| original_of(file));
            if !self.paths.restore(&original, way, path) {
                return Ok(false);
            }
            let own = Digest {
                size: file.size_received,
                sha256: file.sha256.clone(),
            };
            let versions = self.places.entry((original, way)).or_default();
            versions.push((own, place.clone()));
            self.files.insert(place, there);
        }
        Ok(true)
    }

    fn digest(&self, place: &str) -> Result<Option<Digest>, DiskError> {
        match self.files.get(place) {
            Some(known) => Ok(Some(known.clone())),
            None if self.there.contains(place) => hashed::digest_beneath(self.root, place),
            None => Ok(None),
        }
    }

    /// Removes the files that the index does not tell of.
    fn forget_unlisted(&mut self) -> Result<(), DiskError> {
        let is_unlisted =
            |name: &&String| name.starts_with(FILES) && !self.files.contains_key(*name);
        for name in self.there.iter().filter(is_unlisted) {
            disk::remove(&disk::beneath(self.root, name)?)?;
        }
        Ok(())
    }

    /// Removes directories that hold nothing: where case does not count, one would be in the way of another
    /// spelling.
    fn prune(&self, directories: BTreeSet<String>) -> Result<BTreeSet<String>, DiskError> {
        let mut used = BTreeSet::from(["data"]);
        used.extend(self.files.keys().flat_map(|file| path::directories(file)));
        let (used, unused): (BTreeSet<String>, BTreeSet<String>) = directories
            .into_iter()
            .partition(|name| used.contains(name.as_str()));
        // In reverse order a directory comes before the one that it lies in.
        for name in unused.iter().rev() {
            disk::remove(&disk::beneath(self.root, name)?)?;
        }
        Ok(used)
    }
}

fn original_of(file: &StoredFile) -> RemoteText {
    let exact = file.original_path_b64.as_ref();
    let exact = exact.and_then(|text| BASE64.decode(text).ok());
    exact.map_or_else(
        || file.original_path.clone(),
        |bytes| RemoteText::from_bytes(&bytes),
    )
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// The lines of a file that are whole and wanted, in a file of the same name that goes on after them.
fn lines(
    root: &Path,
    name: &str,
    part: &str,
    is_wanted: &mut dyn FnMut(&[u8]) -> Result<bool, DiskError>,
) -> Result<HashedFile, DiskError> {
    // Another file rather than the same one cut: who knows by which other names that one goes.
    let mut kept = HashedFile::create(disk::beneath(root, part)?)?;
    let path = disk::beneath(root, name)?;
    if let Some(file) = disk::open_beneath(root, name, OpenOptions::new().read(true))? {
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).at("reading", &path)? > 0 {
            if line.ends_with(b"\n") && is_wanted(&line)? {
                kept.write(&line).at("writing", kept.path())?;
            }
            line.clear();
        }
    }
    kept.take_place(path)?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::bag::BagInfo;
    use crate::clock;
    use crate::live::Sink;
    use crate::model::device::Os;
    use crate::model::id::{CommandId, FileId, StepId};
    use crate::model::outcome::DeviceState;
    use crate::model::row::{Packed, StoredAs};
    use crate::text::json::hex;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use sha2::Sha256;
    use std::fs;
    use tempfile::TempDir;

    type Bytes = Vec<u8>;

    /// A directory that costs no disk where the system has such a thing.
    fn scratch() -> TempDir {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        made.unwrap()
    }

    #[derive(Debug, Clone)]
    struct Download {
        path: &'static str,
        content: &'static [u8],
        filed_as: Option<&'static str>,
        is_sample: bool,
        state: FileState,
    }

    impl Download {
        const fn of(path: &'static str, content: &'static [u8]) -> Self {
            Self {
                path,
                content,
                filed_as: None,
                is_sample: false,
                state: FileState::Complete,
            }
        }

        fn sink(&self, bag: &Bag) -> crate::bundle::StoredContent {
            let filed_as = self.filed_as.unwrap_or(self.path).into();
            let mut sink = if self.is_sample {
                bag.sample(&filed_as, Os::Windows)
            } else {
                bag.file(&filed_as, Os::Windows)
            }
            .unwrap();
            sink.write(self.content).unwrap();
            sink.finish(self.state).unwrap()
        }

        /// Gives the place.
        fn store(&self, bag: &Bag) -> String {
            let stored = self.sink(bag);
            let place = stored.stored_path.clone();
            bag.index(&StoredFile {
                original_path: self.path.into(),
                original_path_b64: None,
                stored_path: stored.stored_path,
                step_id: "get".into(),
                size_announced: None,
                size_received: stored.size,
                sha256: stored.sha256,
                packed: stored.zip_sha256.map(|stored_sha256| Packed {
                    stored_as: StoredAs::Zip,
                    stored_sha256,
                }),
                times: Value::Null,
                attributes: Vec::new(),
                command_id: CommandId(1),
                file_id: FileId::from("f"),
                started: clock::now(),
                ended: clock::now(),
                attempts: 1,
                state: self.state,
                cause: None,
            })
            .unwrap();
            place
        }
    }

    fn downloads() -> Vec<Download> {
        let evil = Download::of(r"C:\a\evil.exe", b"MZ");
        vec![
            Download::of(r"C:\a\f", b"one"),
            Download::of(r"C:\a\f", b"two"),
            Download::of(r"C:\A\F", b"clashes"),
            Download {
                filed_as: Some("get.out"),
                ..Download::of(r"C:\Temp\x.tmp", b"said")
            },
            Download {
                filed_as: Some("get.out"),
                ..Download::of(r"C:\Temp\y.tmp", b"said more")
            },
            Download {
                state: FileState::Partial,
                ..Download::of(r"C:\a\f", b"on")
            },
            Download {
                is_sample: true,
                ..evil.clone()
            },
            evil,
        ]
    }

    fn open(run: &RunDir) -> Bag {
        match run.take_up(&"ws-7".into(), DeviceId(7), None, &[]).unwrap() {
            TakenUp::Open(bag) => bag,
            _ => panic!("it is under construction"),
        }
    }

    fn begin(run: &RunDir) -> Bag {
        let bag = run.open_bag(&"ws-7".into(), DeviceId(7)).unwrap();
        bag.device(&json!({"name": "WS-7"})).unwrap();
        bag
    }

    fn seal(bag: Bag) -> SealedBag {
        let info = BagInfo {
            plan_sha256: "ab".repeat(32),
            outcome: DeviceState::Ok,
        };
        bag.seal(&info).unwrap()
    }

    /// Every file below `root`, by its path from there.
    fn read(root: &Path) -> BTreeMap<String, Bytes> {
        let mut found = BTreeMap::new();
        tree::walk(root, &mut |entry| {
            if entry.kind == Kind::File {
                let name = entry.name.unwrap().to_owned();
                found.insert(name, fs::read(entry.path).unwrap());
            }
            Ok(true)
        })
        .unwrap();
        found
    }

    fn lay(root: &Path, files: &BTreeMap<String, Bytes>) {
        if root.exists() {
            fs::remove_dir_all(root).unwrap();
        }
        for (name, bytes) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    fn sha256(bytes: &[u8]) -> String {
        use sha2::Digest as _;
        hex(&Sha256::digest(bytes))
    }

    /// Reads a sealed bag as a stranger would: the manifests name every file, and the index every download.
    fn checked(root: &Path) -> BTreeMap<String, Bytes> {
        let files = read(root);
        let text = |name: &str| String::from_utf8(files[name].clone()).unwrap();
        let mut named = BTreeSet::from([TAG_MANIFEST.to_owned()]);
        for manifest in [TAG_MANIFEST, "manifest-sha256.txt"] {
            for line in text(manifest).lines() {
                let (hash, name) = line.split_once("  ").unwrap();
                assert_eq!(hash, sha256(&files[name]), "{name}");
                assert!(named.insert(name.to_owned()), "{name} twice");
            }
        }
        assert_eq!(named, files.keys().cloned().collect());

        let downloaded = files.keys().filter(|name| name.starts_with(FILES));
        let mut indexed = BTreeSet::new();
        for line in text(INDEX).lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let place = line["stored_path"].as_str().unwrap();
            let hash = line.get("stored_sha256").unwrap_or(&line["sha256"]);
            assert_eq!(hash, &json!(sha256(&files[place])), "{place}");
            indexed.insert(place.to_owned());
        }
        assert_eq!(indexed, downloaded.cloned().collect());
        files
    }

    /// A bag with something of everything, as it lies there after a crash, and where its downloads are.
    fn sample(
        run: &RunDir,
        downloads: impl IntoIterator<Item = Download>,
    ) -> (BTreeMap<String, Bytes>, Vec<(Download, String)>) {
        let bag = begin(run);
        let places = downloads.into_iter().map(|download| {
            let place = download.store(&bag);
            bag.transcript(&json!({"command": download.path})).unwrap();
            (download, place)
        });
        let places: Vec<_> = places.collect();
        bag.step(1, &"first".into(), &json!({"n": 1})).unwrap();
        bag.step(2, &"second".into(), &json!({"n": 2})).unwrap();
        bag.outcome(&json!({"state": "ok"})).unwrap();
        drop(bag);
        (read(&run.path().join("work/ws-7_7")), places)
    }

    /// The lines that are whole, without parsing them.
    fn whole(bytes: &[u8]) -> Bytes {
        let end = bytes.iter().rposition(|&byte| byte == b'\n');
        bytes[..end.map_or(0, |end| end + 1)].to_vec()
    }

    #[test]
    fn an_index_or_transcript_that_ends_at_any_byte_goes_on_after_its_last_line() {
        let dir = scratch();
        let run = layout::sample(dir.path());
        let root = run.path().join("work/ws-7_7");
        let (files, places) = sample(&run, downloads().into_iter().skip(2).take(3));
        for name in [INDEX, TRANSCRIPT] {
            for cut in 0..=files[name].len() {
                let mut left = files.clone();
                left.get_mut(name).unwrap().truncate(cut);
                lay(&root, &left);
                let bag = open(&run);
                let stays = whole(&left[name]);
                assert_eq!(fs::read(root.join(name)).unwrap(), stays);
                let lines = match name {
                    INDEX => stays.split_inclusive(|byte| *byte == b'\n').count(),
                    _ => places.len(),
                };
                for (number, (_, place)) in places.iter().enumerate() {
                    assert_eq!(
                        root.join(place).exists(),
                        number < lines,
                        "{place} at {cut}"
                    );
                }
                // Whatever is fetched again comes to lie where it was.
                for (download, place) in &places {
                    assert_eq!(download.store(&bag), *place, "at {cut}");
                }
                bag.transcript(&json!({"command": "after"})).unwrap();
                drop(seal(bag));
                let sealed = checked(&root);
                for (_, place) in &places {
                    assert_eq!(sealed[place], files[place], "{place} at {cut}");
                }
                let transcript = String::from_utf8(sealed[TRANSCRIPT].clone()).unwrap();
                assert!(transcript.ends_with("{\"command\":\"after\"}\n"));
                assert!(transcript.lines().all(|line| is_json(line.as_bytes())));
            }
        }
    }

    /// What a crash, a disk or a person may have done to a bag.
    #[derive(Debug, Clone)]
    enum Damage {
        Cut(usize, usize),
        Zero(usize, usize),
        Drop(usize),
        Change(usize),
        Add(&'static str),
        Link(&'static str),
    }

    fn damage() -> impl Strategy<Value = Damage> {
        let added = prop::sample::select(vec![
            "1.part",
            "2.part",
            "99.part",
            "bagit.txt",
            "bag-info.txt",
            "manifest-sha256.txt",
            "tagmanifest-sha256.txt",
            "tagmanifest-sha256.txt.part",
            "data/files/C/a/never listed",
            "data/files/C/b/c/d",
            "data/files/K",
            "data/steps/03-third.json",
            "data/steps/deeper/x.json",
            "data/other",
            "elsewhere/x",
            ".DS_Store",
            "data/files/C/\u{e9}",
        ]);
        let linked = prop::sample::select(vec![
            "link",
            "data/link",
            "data/files/link",
            "data/steps/link.json",
            "data/files/C/a/link",
        ]);
        let any = any::<usize>;
        prop_oneof![
            (any(), any()).prop_map(|(file, at)| Damage::Cut(file, at)),
            (any(), any()).prop_map(|(file, at)| Damage::Zero(file, at)),
            any().prop_map(Damage::Drop),
            any().prop_map(Damage::Change),
            added.prop_map(Damage::Add),
            linked.prop_map(Damage::Link),
        ]
    }

    fn inflict(damage: &[Damage], files: &mut BTreeMap<String, Bytes>) {
        let nth = |files: &BTreeMap<String, Bytes>, n: usize| {
            files.keys().nth(n % files.len().max(1)).cloned()
        };
        for one in damage {
            match one {
                Damage::Cut(n, at) | Damage::Zero(n, at) => {
                    let Some(name) = nth(files, *n) else { continue };
                    let bytes = files.get_mut(&name).unwrap();
                    let at = at % (bytes.len() + 1);
                    match one {
                        Damage::Cut(..) => bytes.truncate(at),
                        _ => bytes[at..].fill(0),
                    }
                }
                Damage::Drop(n) => {
                    nth(files, *n).and_then(|name| files.remove(&name));
                }
                Damage::Change(n) => {
                    let Some(name) = nth(files, *n) else { continue };
                    if let Some(byte) = files.get_mut(&name).unwrap().last_mut() {
                        *byte ^= 1;
                    }
                }
                Damage::Add(name) => {
                    // What is no directory stays none.
                    let name = *name;
                    let is_free = |other: &String| {
                        !other.starts_with(&format!("{name}/"))
                            && !name.starts_with(&format!("{other}/"))
                    };
                    if files.keys().all(is_free) {
                        files.insert(name.to_owned(), b"{\"added\":1}\n".to_vec());
                    }
                }
                Damage::Link(_) => {}
            }
        }
    }

    #[cfg(unix)]
    fn plant(damage: &[Damage], root: &Path, outside: &Path) {
        for one in damage {
            if let Damage::Link(name) = one {
                let path = root.join(name);
                if path.parent().unwrap().is_dir() && path.symlink_metadata().is_err() {
                    std::os::unix::fs::symlink(outside, path).unwrap();
                }
            }
        }
    }

    #[cfg(not(unix))]
    fn plant(_: &[Damage], _: &Path, _: &Path) {}

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

        #[test]
        fn what_is_whole_after_any_damage_is_taken_up(
            damage in prop::collection::vec(damage(), 0..6),
            again in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let dir = scratch();
            let run = layout::sample(dir.path());
            let root = run.path().join("work/ws-7_7");
            let outside = dir.path().join("outside");
            fs::create_dir(&outside).unwrap();
            fs::write(outside.join("x.json"), "{}\n").unwrap();
            let (files, _) = sample(&run, downloads());
            let mut left = files.clone();
            inflict(&damage, &mut left);
            lay(&root, &left);
            plant(&damage, &root, &outside);

            let taken = run.take_up(&"ws-7".into(), DeviceId(7), None, &[]).unwrap();
            prop_assert_eq!(read(&outside).len(), 1);
            let TakenUp::Open(bag) = taken else {
                prop_assert!(matches!(taken, TakenUp::Nothing));
                prop_assert!(!root.exists());
                return Ok(());
            };
            let kept = read(&root);
            let lines = |name: &str| {
                let bytes = left.get(name).map(|bytes| whole(bytes)).unwrap_or_default();
                let lines = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec);
                lines.filter(|line| is_json(line)).collect::<Vec<_>>()
            };
            prop_assert_eq!(&kept[TRANSCRIPT], &lines(TRANSCRIPT).concat());
            for line in lines(INDEX) {
                let line: Value = serde_json::from_slice(&line).unwrap();
                let Some(place) = line["stored_path"].as_str() else { continue };
                if files.contains_key(place) && left.get(place) == files.get(place) {
                    prop_assert_eq!(kept.get(place), files.get(place), "{}", place);
                }
            }
            for (name, bytes) in &left {
                if name.starts_with(STEPS) && files.get(name) == Some(bytes) {
                    prop_assert_eq!(kept.get(name), Some(bytes));
                }
            }

            bag.device(&json!({"name": "WS-7"})).unwrap();
            let all = downloads();
            for index in again {
                index.get(&all).store(&bag);
            }
            Download::of(r"C:\a\f", b"three").store(&bag);
            bag.step(3, &"third".into(), &json!({"n": 3})).unwrap();
            bag.sync().unwrap();
            prop_assert_eq!(seal(bag).publish().unwrap(), "devices/ws-7_7");
            let sealed = checked(&run.path().join("devices/ws-7_7"));
            for (name, bytes) in &kept {
                if name.starts_with(FILES) {
                    prop_assert_eq!(sealed.get(name), Some(bytes), "{}", name);
                }
            }
        }
    }

    #[test]
    fn versions_go_on_where_they_were() {
        let dir = scratch();
        let run = layout::sample(dir.path());
        let (_, places) = sample(&run, downloads());
        for (download, place) in &places {
            assert_eq!(download.store(&open(&run)), *place);
        }
        let bag = open(&run);
        let f = |content| Download::of(r"C:\a\f", content).store(&bag);
        assert_eq!(f(b"three"), "data/files/C/a/f=3");
        let said = Download {
            filed_as: Some("get.out"),
            ..Download::of(r"C:\Temp\z.tmp", b"said most")
        };
        assert_eq!(said.store(&bag), "data/files/rel/get.out=3");
        // A file that is in the bag and in no index is fetched again, and gets its place again.
        assert_eq!(
            Download::of(r"C:\n", b"n").sink(&bag).stored_path,
            "data/files/C/n"
        );
        drop(bag);
        let bag = open(&run);
        assert!(!run.path().join("work/ws-7_7/data/files/C/n").exists());
        assert_eq!(Download::of(r"C:\n", b"m").store(&bag), "data/files/C/n");
        assert_eq!(
            bag.read_step(1, &"first".into()).unwrap().unwrap(),
            b"{\"n\":1}\n"
        );
        assert_eq!(bag.read_step(9, &"first".into()).unwrap(), None);
        drop(seal(bag));
        checked(&run.path().join("work/ws-7_7"));
    }

    #[test]
    fn a_crash_while_sealing_is_found_at_each_step() {
        let dir = scratch();
        let run = layout::sample(dir.path());
        let take_up = |sealed: Option<&str>, published: &[&str]| {
            let published: Vec<String> = published.iter().map(|path| (*path).to_owned()).collect();
            run.take_up(&"ws-7".into(), DeviceId(7), sealed, &published)
        };
        assert!(matches!(take_up(None, &[]), Ok(TakenUp::Nothing)));

        let bag = begin(&run);
        Download::of(r"C:\f", b"one").store(&bag);
        drop(seal(bag));
        // Sealed, and the journal does not know.
        let Ok(TakenUp::Open(bag)) = take_up(None, &[]) else {
            panic!("it is open again");
        };
        let seal = seal(bag).tag_manifest_sha256;
        // Sealed, and not moved.
        let Ok(TakenUp::Sealed(sealed)) = take_up(Some(&seal), &[]) else {
            panic!("it is sealed");
        };
        assert_eq!(sealed.publish().unwrap(), "devices/ws-7_7");
        // Moved, and the journal does not know.
        let Ok(TakenUp::Published(path)) = take_up(Some(&seal), &[]) else {
            panic!("it is published");
        };
        checked(&run.path().join(&path));
        let step = run.read_step(&path, 1, &"first".into()).unwrap();
        assert_eq!(step, None);
        // Nobody knows where that came from.
        for sealed in [None, Some("00")] {
            let found = take_up(sealed, &[]);
            assert!(matches!(found, Err(DiskError::Unknown { .. })));
        }
        // The next attempt.
        assert!(matches!(take_up(None, &[&path]), Ok(TakenUp::Nothing)));
        let bag = begin(&run);
        bag.step(1, &"first".into(), &json!(1)).unwrap();
        drop(bag);
        let Ok(TakenUp::Open(bag)) = take_up(None, &[&path]) else {
            panic!("the second is open");
        };
        let second = super::tests::seal(bag).publish().unwrap();
        assert_eq!(second, "devices/ws-7_7.2");
        let step = |bag: &str| run.read_step(bag, 1, &"first".into());
        assert_eq!(step(&second).unwrap().unwrap(), b"1\n");
        for bad in ["..", "devices/..", "/etc", ""] {
            assert!(step(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sealed_bag_that_has_changed_is_not_published() {
        let dir = scratch();
        let run = layout::sample(dir.path());
        let root = run.path().join("work/ws-7_7");
        let bag = begin(&run);
        Download::of(r"C:\f", b"one").store(&bag);
        let seal = seal(bag).tag_manifest_sha256;
        let whole = read(&root);
        let names: Vec<_> = whole.keys().filter(|name| *name != TAG_MANIFEST).collect();
        let mut worse: Vec<_> = names
            .into_iter()
            .flat_map(|name| {
                let (mut changed, mut gone) = (whole.clone(), whole.clone());
                changed.get_mut(name).unwrap().push(b'x');
                gone.remove(name);
                [changed, gone]
            })
            .collect();
        for added in ["x.txt", "data/files/C/g"] {
            let mut more = whole.clone();
            more.insert(added.to_owned(), Vec::new());
            worse.push(more);
        }
        for files in worse {
            lay(&root, &files);
            let found = run.take_up(&"ws-7".into(), DeviceId(7), Some(&seal), &[]);
            assert!(matches!(found, Err(DiskError::Changed { .. })));
            assert_eq!(read(&root), files, "nothing was changed");
        }
    }

    #[test]
    fn what_was_never_worth_anything_is_nothing() {
        let dir = scratch();
        let run = layout::sample(dir.path());
        let root = run.path().join("work/ws-7_7");
        let table: [&[(&str, &[u8])]; 4] = [
            &[("1.part", b"half")],
            &[("data/device.json", b"{\"name\": \"WS")],
            &[(INDEX, b""), (TRANSCRIPT, b"{\"a\":")],
            &[("data/files/C/f", b"never listed")],
        ];
        for files in table {
            let files = files
                .iter()
                .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()));
            lay(&root, &files.collect());
            let found = run.take_up(&"ws-7".into(), DeviceId(7), None, &[]).unwrap();
            assert!(matches!(found, TakenUp::Nothing));
            assert!(!root.exists());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_bag_that_is_a_link_is_left_alone() {
        let dir = scratch();
        let run = layout::sample(dir.path());
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        std::os::unix::fs::symlink(&outside, run.path().join("work/ws-7_7")).unwrap();
        let found = run.take_up(&"ws-7".into(), DeviceId(7), None, &[]);
        assert!(matches!(found, Err(DiskError::NotADirectory { .. })));
        assert_eq!(read(&outside).len(), 1);
    }

    #[test]
    fn after_a_sync_failed_nothing_is_called_safe() {
        let dir = scratch();
        let run = layout::sample(dir.path());
        let bag = begin(&run);
        bag.sync().unwrap();
        bag.shared.lock().dirty.insert(dir.path().join("missing"));
        assert!(bag.sync().is_err());
        assert!(bag.sync().is_err());
        assert!(bag.step(1, &StepId::from("s"), &json!(1)).is_err());
    }
}
