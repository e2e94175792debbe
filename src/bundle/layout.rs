//! The run directory: built beside its place, moved there when a resume could work with it, locked
//! while a process works on it.
//!
//! The journal is put inside by others; here it is only hashed when the run is finished.

use super::disk::{self, At, DiskError};
use super::hashed;
use super::known::Known;
use super::lock::{self, Holder};
use super::path::directories;
use super::store::{self, Bag};
use crate::clock;
use crate::model::id::{DeviceId, RunId, StepId};
use crate::model::remote::RemoteText;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was approved and what happened: written before, or by others, and never by [`RunDir::write`].
const FROZEN: [&str; 4] = ["journal.jsonl", "plan.json", "playbook.yaml", "run.json"];
const LOCK: &str = "run.lock";
const MANIFEST: &str = "manifest-sha256.txt";
const LONGEST_NAME: usize = 40;

/// Tries everything that a run will ask of its output directory, and leaves no trace.
pub fn probe(out: &Path) -> Result<(), DiskError> {
    let made = disk::ensure_dir(out)?;
    let trial = out.join(format!(".probe-{}", clock::nonce(8)));
    let result = disk::create_dir(&trial).and_then(|()| rehearse(&trial));
    disk::discard_tree(&trial);
    disk::discard_empty(&made);
    result
}

fn rehearse(trial: &Path) -> Result<(), DiskError> {
    let (draft, run) = (trial.join("draft"), trial.join("run"));
    disk::create_dir(&draft)?;
    hashed::write_new(draft.join("file"), b"probe")?;
    disk::rename_new(&draft, &run)?;
    disk::sync_dir(trial)
}

/// A run directory that is not in its place yet. Dropped unpublished, it takes back what it made.
#[derive(Debug)]
pub struct Draft {
    id: RunId,
    out: PathBuf,
    path: PathBuf,
    /// The output directory and its parents, as far as they were missing; deepest first.
    made: Vec<PathBuf>,
    directories: Vec<String>,
}

impl Draft {
    pub fn begin(out: &Path, id: &RunId) -> Result<Self, DiskError> {
        check_id(id.as_str())?;
        let draft = Self {
            id: id.clone(),
            out: out.to_owned(),
            path: out.join(format!(".{id}.tmp")),
            made: disk::ensure_dir(out)?,
            directories: Vec::new(),
        };
        disk::create_dir(&draft.path)?;
        Ok(draft)
    }

    /// Where the journal is begun. On Windows it has to be closed while the draft is published.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file, with `/` between the parts of its name; `assets/` comes about as needed.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let path = disk::beneath(&self.path, name)?;
        for directory in directories(name) {
            if !self.directories.iter().any(|made| made == directory) {
                disk::create_dir(&disk::beneath(&self.path, directory)?)?;
                self.directories.push(directory.to_owned());
            }
        }
        hashed::write_new(path, bytes).map(|_| ())
    }

    /// Moves the run to its place. From here on it exists, and can be resumed.
    pub fn publish(mut self) -> Result<RunDir, DiskError> {
        for name in ["work", "devices"] {
            disk::create_dir(&self.path.join(name))?;
        }
        disk::create_file(&self.path.join(LOCK))?;
        // Deepest first: a directory was made before those in it.
        while let Some(directory) = self.directories.pop() {
            disk::sync_dir(&disk::beneath(&self.path, &directory)?)?;
        }
        disk::sync_dir(&self.path)?;
        let path = self.out.join(self.id.as_str());
        disk::rename_new(&self.path, &path)?;
        disk::sync_dir(&self.out)?;
        RunDir::open(&path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After publishing nothing is there by this name, and the parents are no longer empty.
        disk::discard_tree(&self.path);
        disk::discard_empty(&self.made);
    }
}

/// A run that exists, held by this process alone.
#[derive(Debug)]
pub struct RunDir {
    pub(super) id: RunId,
    pub(super) path: PathBuf,
    pub(super) known: Arc<Known>,
    /// The operating system lets go of the lock when the file is closed, after a crash too.
    _lock: File,
}

impl RunDir {
    /// Takes over a run that no other process works on.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        // However it is called here, it is called one thing where it lies.
        let real = path.canonicalize().at("opening", path)?;
        let id = real.file_name().unwrap_or_default().to_string_lossy();
        check_id(&id)?;
        let lock = locked(path, OpenOptions::new().read(true).write(true))?;
        Holder::tell(&lock);
        Ok(Self {
            id: RunId(id.into_owned()),
            path: path.to_owned(),
            known: Arc::new(Known::of(path)),
            _lock: lock,
        })
    }

    /// Whether a process works on a run. Whoever asks at the same time hears the same.
    pub fn is_held(path: &Path) -> bool {
        let asked = File::open(path.join(LOCK)).map(|lock| lock.try_lock_shared());
        matches!(asked, Ok(Err(TryLockError::WouldBlock)))
    }

    pub fn id(&self) -> &RunId {
        &self.id
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a bag for a device; a later attempt at the same device gets a bag of its own.
    pub fn open_bag(&self, short_name: &RemoteText, device: DeviceId) -> Result<Bag, DiskError> {
        let mut attempt = 1;
        let mut name = bag_name(short_name, device, attempt);
        while self.exists(&format!("devices/{name}"))? || self.exists(&format!("work/{name}"))? {
            attempt += 1;
            name = bag_name(short_name, device, attempt);
        }
        Bag::start(&self.path, &self.id, &name, device, &self.known)
    }

    /// The bytes of a step's file in a bag that was published, if it has one.
    pub fn read_step(
        &self,
        bag: &str,
        ordinal: usize,
        step: &StepId,
    ) -> Result<Option<Vec<u8>>, DiskError> {
        let relative = format!("{bag}/{}", store::step_file(ordinal, step));
        disk::read_beneath(&self.path, &relative)
    }

    /// Writes a file that can be made again from the rest: it replaces an earlier one, whole.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let mut file = self.create(name)?;
        file.write_all(bytes).at("writing", &file.part)?;
        file.finish()
    }

    /// As [`Self::write`], for what comes in pieces.
    pub fn create(&self, name: &str) -> Result<RunFile, DiskError> {
        let path = disk::beneath(&self.path, name)?;
        if name.contains('/') || name.starts_with('.') || name == LOCK || FROZEN.contains(&name) {
            return Err(DiskError::BadName {
                name: name.to_owned(),
            });
        }
        let part = self.path.join(format!(".{name}.part"));
        // A crash may have left one; the run is ours alone.
        disk::discard_file(&part);
        Ok(RunFile {
            to: BufWriter::with_capacity(64 * 1024, disk::create_file(&part)?),
            part,
            path,
        })
    }

    /// Writes the manifest over what was approved, what happened, and every sealed bag. The last act.
    pub fn finish(&self) -> Result<(), DiskError> {
        let mut names: Vec<String> = FROZEN.map(str::to_owned).into();
        let assets = self.path.join("assets");
        if assets.is_dir() {
            for entry in fs::read_dir(&assets).at("listing", &assets)? {
                let name = entry.at("listing", &assets)?.file_name();
                names.push(format!("assets/{}", name.to_string_lossy()));
            }
        }
        let devices = self.path.join("devices");
        for entry in fs::read_dir(&devices).at("listing", &devices)? {
            let entry = entry.at("listing", &devices)?;
            // Desktops leave files of their own behind; bags are directories.
            if entry.file_type().at("looking at", &entry.path())?.is_dir() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                names.push(format!("devices/{name}/tagmanifest-sha256.txt"));
            }
        }
        names.sort_unstable();
        let mut text = String::new();
        for name in names {
            let hash = hashed::hash_file(&disk::beneath(&self.path, &name)?)?;
            writeln!(text, "{hash}  {name}").expect("text grows as needed");
        }
        self.write(MANIFEST, text.as_bytes())
    }

    pub(super) fn exists(&self, relative: &str) -> Result<bool, DiskError> {
        let path = disk::beneath(&self.path, relative)?;
        disk::looked_at(&path).map(|found| found.is_some())
    }
}

/// A file of the run directory under way; it gets its name when it is finished, or never.
#[derive(Debug)]
pub struct RunFile {
    to: BufWriter<File>,
    part: PathBuf,
    path: PathBuf,
}

impl RunFile {
    pub fn finish(mut self) -> Result<(), DiskError> {
        self.to.flush().at("writing", &self.part)?;
        self.to.get_ref().sync_all().at("syncing", &self.part)?;
        disk::rename_over(&self.part, &self.path)?;
        let directory = self.path.parent().expect("it lies in the run directory");
        disk::sync_dir(directory)
    }
}

impl Write for RunFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Drop for RunFile {
    fn drop(&mut self) {
        // After a rename nothing is there by this name.
        disk::discard_file(&self.part);
    }
}

/// The lock on the run that lies there.
fn locked(run: &Path, options: &OpenOptions) -> Result<File, DiskError> {
    let path = run.join(LOCK);
    let Some(file) = disk::open_beneath(run, LOCK, options)? else {
        return Err(io::Error::from(io::ErrorKind::NotFound)).at("opening", &path);
    };
    if lock::try_lock(&file, &path)? {
        return Ok(file);
    }
    Err(DiskError::InUse {
        path: run.to_owned(),
        holder: Holder::of(file),
    })
}

fn check_id(id: &str) -> Result<(), DiskError> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if id.is_empty() || !id.bytes().all(is_plain) {
        return Err(DiskError::BadName {
            name: id.to_owned(),
        });
    }
    Ok(())
}

/// The name of a device's bag: from the second attempt at it with a number.
pub(super) fn bag_name(short_name: &RemoteText, device: DeviceId, attempt: u32) -> String {
    let first = format!("{}_{device}", reduced(short_name));
    match attempt {
        1 => first,
        n => format!("{first}.{n}"),
    }
}

/// A host's name as part of a directory's: something that people recognise, unique by the number after it.
fn reduced(short_name: &RemoteText) -> String {
    let mut name = String::new();
    for c in short_name.raw().chars() {
        if name.len() == LONGEST_NAME {
            break;
        }
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => name.push(c),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "device" } else { name }.to_owned()
}

/// A run below `out` with everything that is there before its first device.
#[cfg(test)]
pub(super) fn sample(out: &Path) -> RunDir {
    let mut draft = Draft::begin(out, &"20261121T170311Z-k3v9q2".into()).expect("begins");
    for name in FROZEN {
        draft.write(name, name.as_bytes()).expect("is written");
    }
    draft.publish().expect("is published")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_probe_leaves_no_trace_and_names_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        probe(&dir.path().join("a/b/runs")).unwrap();
        probe(dir.path()).unwrap();
        assert!(names(dir.path()).is_empty());

        fs::write(dir.path().join("file"), "").unwrap();
        let error = probe(&dir.path().join("file")).unwrap_err().to_string();
        assert!(
            error.starts_with("creating `") && error.contains("file`: "),
            "{error}"
        );
    }

    #[test]
    fn a_draft_that_is_dropped_never_was() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("new/runs");
        let mut draft = Draft::begin(&out, &"r-1".into()).unwrap();
        draft.write("assets/tool.exe", b"MZ").unwrap();
        assert!(draft.path().join("assets/tool.exe").exists());
        assert!(draft.write("../run.json", b"").is_err());
        drop(draft);
        assert!(names(dir.path()).is_empty());
        for bad in ["", "..", "a/b", ".hidden", "ü"] {
            assert!(Draft::begin(&out, &bad.into()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_published_run_belongs_to_one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let run = sample(dir.path());
        let path = run.path().to_owned();
        assert_eq!(names(dir.path()), ["20261121T170311Z-k3v9q2"]);
        let inside = [
            "devices",
            "journal.jsonl",
            "plan.json",
            "playbook.yaml",
            "run.json",
            "run.lock",
            "work",
        ];
        assert_eq!(names(&path), inside);
        assert!(RunDir::is_held(&path));
        let held = RunDir::open(&path).unwrap_err();
        let said = format!("is in use by another process: {}", std::process::id());
        assert!(held.to_string().contains(&said), "{held}");
        let line = fs::read_to_string(path.join(LOCK)).unwrap();
        let Err(DiskError::InUse { holder, .. }) = RunDir::open(&path) else {
            panic!("it is held");
        };
        assert_eq!(serde_json::from_str::<Holder>(&line).ok(), holder);
        fs::write(path.join(LOCK), "\u{1b}").unwrap();
        let held = RunDir::open(&path).unwrap_err();
        assert!(held.to_string().ends_with("by another process"), "{held}");
        drop(run);
        assert!(!RunDir::is_held(&path));
        assert_eq!(
            RunDir::open(&path).unwrap().id().as_str(),
            "20261121T170311Z-k3v9q2"
        );

        let again = Draft::begin(dir.path(), &"20261121T170311Z-k3v9q2".into()).unwrap();
        assert!(again.publish().is_err(), "a run is never replaced");
        assert_eq!(names(&path), inside);
        assert_eq!(names(dir.path()).len(), 1);
    }

    #[test]
    fn a_run_is_known_by_where_it_lies_however_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let path = sample(dir.path()).path().to_owned();
        let mut called = vec![path.join("devices").join(".."), path.join(".")];
        #[cfg(unix)]
        {
            let link = dir.path().join("the_latest");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            called.push(link);
        }
        for typed in called {
            let run = RunDir::open(&typed).unwrap();
            assert_eq!(run.id().as_str(), "20261121T170311Z-k3v9q2");
            assert_eq!(run.path(), typed);
        }
        assert!(RunDir::open(&dir.path().join("missing")).is_err());
        assert!(RunDir::open(dir.path()).is_err());
    }

    #[test]
    fn derived_files_are_replaced_whole_and_approved_ones_never() {
        let dir = tempfile::tempdir().unwrap();
        let run = sample(dir.path());
        run.write("summary.json", b"first").unwrap();
        let mut half = run.create("summary.json").unwrap();
        half.write_all(b"half").unwrap();
        drop(half);
        assert_eq!(fs::read(run.path().join("summary.json")).unwrap(), b"first");
        run.write("summary.json", b"second").unwrap();
        assert_eq!(
            fs::read(run.path().join("summary.json")).unwrap(),
            b"second"
        );
        assert!(!names(run.path()).iter().any(|name| name.contains(".part")));
        for bad in ["plan.json", "run.lock", "../x", "devices/x", ".x", "work"] {
            assert!(run.write(bad, b"").is_err(), "{bad}");
        }
    }

    #[test]
    fn bags_are_named_after_devices_and_attempts() {
        let dir = tempfile::tempdir().unwrap();
        let run = sample(dir.path());
        let long = "x".repeat(50);
        let table = [
            ("WS-7", 7, "ws-7_7".to_owned()),
            ("WS-7", 7, "ws-7_7.2".to_owned()),
            ("WS-7", 7, "ws-7_7.3".to_owned()),
            ("--Büro..PC_1--", 8, "b-ro-pc-1_8".to_owned()),
            ("../../etc", 9, "etc_9".to_owned()),
            ("\u{202e}漢", 10, "device_10".to_owned()),
            (&long, 11, format!("{}_11", &long[..40])),
        ];
        for (name, id, directory) in table {
            run.open_bag(&name.into(), DeviceId(id)).unwrap();
            assert!(
                run.path().join("work").join(&directory).is_dir(),
                "{directory}"
            );
        }
    }

    #[test]
    fn the_manifest_covers_what_was_approved_and_every_bag() {
        let dir = tempfile::tempdir().unwrap();
        let run = sample(dir.path());
        let bag = run.path().join("devices/ws-7_7");
        fs::create_dir(&bag).unwrap();
        assert!(run.finish().is_err(), "a bag without tag manifest is none");
        fs::write(bag.join("tagmanifest-sha256.txt"), "tags").unwrap();
        fs::write(run.path().join("devices/.DS_Store"), "").unwrap();
        run.finish().unwrap();

        let text = fs::read_to_string(run.path().join(MANIFEST)).unwrap();
        let covered: Vec<&str> = text
            .lines()
            .map(|line| {
                let (hash, name) = line.split_once("  ").unwrap();
                assert_eq!(hash, hashed::hash_file(&run.path().join(name)).unwrap());
                name
            })
            .collect();
        let bag = ["devices/ws-7_7/tagmanifest-sha256.txt"];
        assert_eq!(covered, [&bag[..], &FROZEN[..]].concat());
    }
}
