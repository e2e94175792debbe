//! A download under way: it gets its place in the bag when it is finished, or leaves nothing.

use super::disk::{self, At, DiskError};
use super::hashed::HashedFile;
use super::path::Way;
use super::store::Shared;
use super::zipped::ZippedFile;
use crate::live::Sink;
use crate::model::device::Os;
use crate::model::remote::RemoteText;
use crate::model::row::FileState;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub struct FileSink {
    body: Body,
    bag: Arc<Shared>,
    original: RemoteText,
    os: Os,
    is_kept: bool,
}

enum Body {
    Plain(HashedFile),
    Zipped(ZippedFile),
}

/// Where the bytes of a finished download lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredContent {
    /// From the bag's root: `data/files/C/…`.
    pub stored_path: String,
    /// Bytes that came.
    pub size: u64,
    /// Of what came, in lower-case hex.
    pub sha256: String,
    /// Of the zip that it lies in, if it does.
    pub zip_sha256: Option<String>,
}

impl FileSink {
    pub(super) fn plain(
        bag: &Arc<Shared>,
        original: &RemoteText,
        os: Os,
    ) -> Result<Self, DiskError> {
        let file = HashedFile::create(bag.next_part()?)?;
        Ok(Self::new(Body::Plain(file), bag, original, os))
    }

    pub(super) fn zipped(
        bag: &Arc<Shared>,
        original: &RemoteText,
        os: Os,
    ) -> Result<Self, DiskError> {
        let file = HashedFile::create(bag.next_part()?)?;
        let zipped = ZippedFile::new(file, original, os);
        Ok(Self::new(Body::Zipped(zipped), bag, original, os))
    }

    fn new(body: Body, bag: &Arc<Shared>, original: &RemoteText, os: Os) -> Self {
        Self {
            body,
            bag: Arc::clone(bag),
            original: original.clone(),
            os,
            is_kept: false,
        }
    }

    /// What came so far stays, however often what follows starts over. A zip has to come in one go.
    pub fn mark(&mut self) {
        match &mut self.body {
            Body::Plain(file) => file.mark(),
            Body::Zipped(_) => {}
        }
    }

    /// Takes back what came since the mark.
    pub fn back_to_mark(&mut self) -> Result<(), DiskError> {
        match &mut self.body {
            Body::Plain(file) => file.restart().at("writing", file.path()),
            Body::Zipped(_) => Ok(()),
        }
    }

    /// Makes the bytes durable and gives them their place. Only a complete file gets the plain name;
    /// who has nothing worth keeping drops the sink instead. The same content of the same original
    /// is kept once, and one that another bag of the run has is linked where the disk can do that.
    pub fn finish(mut self, state: FileState) -> Result<StoredContent, DiskError> {
        let (own, there) = match &mut self.body {
            Body::Plain(file) => {
                let digest = file.finish()?;
                (digest.clone(), digest)
            }
            Body::Zipped(file) => file.finish()?,
        };
        let way = Way {
            partial: state != FileState::Complete,
            zipped: matches!(self.body, Body::Zipped(_)),
        };
        let bag = Arc::clone(&self.bag);
        let mut contents = bag.lock();
        let origin = (self.original.clone(), way);
        let mut versions = contents.places.get(&origin).into_iter().flatten();
        let known = versions.find(|(digest, _)| *digest == own);
        let stored_path = if let Some((_, place)) = known {
            place.clone()
        } else {
            let place = contents.paths.claim_for(&self.original, self.os, way);
            let stored_path = format!("data/files/{place}");
            let to = contents.make_place(&bag.root, &stored_path)?;
            if way.zipped || !bag.known.link(&there, &to) {
                disk::rename_new(self.path(), &to)?;
                self.is_kept = true;
                if !way.zipped {
                    bag.known.remember(&there, &bag.name, &stored_path);
                }
            }
            contents.files.insert(stored_path.clone(), there);
            let versions = contents.places.entry(origin).or_default();
            versions.push((own.clone(), stored_path.clone()));
            stored_path
        };
        let filed_as = (stored_path.clone(), self.original.clone());
        contents.unlisted.extend([filed_as]);
        let zip = contents.files.get(&stored_path).filter(|_| way.zipped);
        Ok(StoredContent {
            zip_sha256: zip.map(|digest| digest.sha256.clone()),
            stored_path,
            size: own.size,
            sha256: own.sha256,
        })
    }

    fn path(&self) -> &Path {
        match &self.body {
            Body::Plain(file) => file.path(),
            Body::Zipped(file) => file.path(),
        }
    }
}

impl Sink for FileSink {
    fn restart(&mut self) -> io::Result<()> {
        match &mut self.body {
            Body::Plain(file) => file.restart(),
            Body::Zipped(file) => file.restart(),
        }
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        match &mut self.body {
            Body::Plain(file) => file.write(chunk),
            Body::Zipped(file) => file.write(chunk),
        }
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        if !self.is_kept {
            disk::discard_file(self.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::hashed::{Digest, hash_file};
    use crate::bundle::layout;
    use crate::bundle::store::Bag;
    use crate::model::id::DeviceId;
    use std::fs;

    fn store(bag: &Bag, path: &str, bytes: &[u8], state: FileState) -> String {
        let mut sink = bag.file(&path.into(), Os::Windows).unwrap();
        sink.write(bytes).unwrap();
        sink.finish(state).unwrap().stored_path
    }

    #[test]
    fn downloads_get_their_place_when_they_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let run = layout::sample(dir.path());
        let bag = run.open_bag(&"ws-7".into(), DeviceId(7)).unwrap();
        let root = run.path().join("work/ws-7_7");

        let mut sink = bag.file(&r"C:\a\f".into(), Os::Windows).unwrap();
        sink.write(b"an attempt that broke").unwrap();
        sink.restart().unwrap();
        sink.write(b"ab").unwrap();
        sink.write(b"c").unwrap();
        assert!(!root.join("data/files").exists());
        let stored = sink.finish(FileState::Complete).unwrap();
        assert_eq!(stored.stored_path, "data/files/C/a/f");
        assert_eq!((stored.size, stored.sha256), (3, Digest::of(b"abc").sha256));
        assert_eq!(fs::read(root.join("data/files/C/a/f")).unwrap(), b"abc");

        let mut sink = bag.file(&r"C:\a\g".into(), Os::Windows).unwrap();
        sink.write(b"never finished").unwrap();
        drop(sink);
        let left: Vec<_> = fs::read_dir(&root)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, ["data"]);
        assert!(!root.join("data/files/C/a/g").exists());
    }

    #[test]
    fn versions_lie_side_by_side_and_equal_ones_once() {
        use FileState::{Complete, Partial};
        let dir = tempfile::tempdir().unwrap();
        let run = layout::sample(dir.path());
        let bag = run.open_bag(&"ws-7".into(), DeviceId(7)).unwrap();
        let table: [(&[u8], FileState, &str); 6] = [
            (b"one", Partial, "data/files/C/f=partial"),
            (b"one", Complete, "data/files/C/f"),
            (b"two", Complete, "data/files/C/f=2"),
            (b"one", Complete, "data/files/C/f"),
            (b"two", Partial, "data/files/C/f=partial=2"),
            (b"three", Complete, "data/files/C/f=3"),
        ];
        for (bytes, state, place) in table {
            assert_eq!(store(&bag, r"C:\f", bytes, state), place);
        }
        let held = bag.shared.lock().files.len();
        assert_eq!(held, 5, "each content once");
    }

    #[cfg(unix)]
    #[test]
    fn a_planted_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let run = layout::sample(dir.path());
        let bag = run.open_bag(&"ws-7".into(), DeviceId(7)).unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let planted = run.path().join("work/ws-7_7/data/files");
        std::os::unix::fs::symlink(&outside, planted).unwrap();
        let sink = bag.file(&r"C:\f".into(), Os::Windows).unwrap();
        assert!(sink.finish(FileState::Complete).is_err());
        assert!(fs::read_dir(&outside).unwrap().next().is_none());
    }

    #[test]
    fn a_content_that_the_run_has_lies_there_once() {
        let dir = tempfile::tempdir().unwrap();
        let run = layout::sample(dir.path());
        let large = vec![7; 64 << 10];
        let bag = |id| run.open_bag(&"ws".into(), DeviceId(id)).unwrap();
        let first = bag(1);
        store(&first, r"C:\f", &large, FileState::Complete);
        let under_construction = bag(2);
        store(&under_construction, r"D:\g", &large, FileState::Complete);
        // Where it lies after the first bag was published.
        let (work, devices) = (run.path().join("work"), run.path().join("devices"));
        fs::rename(work.join("ws_1"), devices.join("ws_1")).unwrap();
        let later = bag(3);
        store(&later, r"C:\f", &large, FileState::Complete);
        store(&later, r"C:\small", b"small", FileState::Complete);
        store(&bag(4), r"C:\small", b"small", FileState::Complete);

        let files = [
            devices.join("ws_1/data/files/C/f"),
            work.join("ws_2/data/files/D/g"),
            work.join("ws_3/data/files/C/f"),
        ];
        for file in &files {
            assert_eq!(fs::read(file).unwrap(), large);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let links = |path: &std::path::Path| fs::metadata(path).unwrap().nlink();
            assert_eq!(links(&files[0]), 3);
            assert_eq!(links(&work.join("ws_3/data/files/C/small")), 1);
        }
        let left = fs::read_dir(work.join("ws_3")).unwrap();
        assert_eq!(left.count(), 1, "its own copy is gone");
        // One that is not what it was is not handed on.
        fs::write(&files[0], b"shorter").unwrap();
        let other = bag(5);
        store(&other, r"C:\f", &large, FileState::Complete);
        assert_eq!(fs::read(work.join("ws_5/data/files/C/f")).unwrap(), large);
    }

    #[test]
    fn a_sample_lies_in_a_zip() {
        let dir = tempfile::tempdir().unwrap();
        let run = layout::sample(dir.path());
        let bag = run.open_bag(&"ws-7".into(), DeviceId(7)).unwrap();
        let table = [
            (FileState::Complete, "data/files/C/a/x.exe.zip"),
            (FileState::Complete, "data/files/C/a/x.exe.zip"),
            (FileState::Partial, "data/files/C/a/x.exe=partial.zip"),
        ];
        for (state, place) in table {
            let mut sink = bag.sample(&r"C:\a\x.exe".into(), Os::Windows).unwrap();
            sink.write(b"an attempt that broke").unwrap();
            sink.restart().unwrap();
            sink.write(b"MZ, ").unwrap();
            sink.write(b"and evil").unwrap();
            let stored = sink.finish(state).unwrap();
            let own = Digest::of(b"MZ, and evil");
            assert_eq!(stored.stored_path, place);
            assert_eq!((stored.size, &stored.sha256), (own.size, &own.sha256));
            let there = run.path().join("work/ws-7_7").join(place);
            let there = hash_file(&there).unwrap();
            assert_eq!(stored.zip_sha256, Some(there));
        }
        assert_eq!(bag.shared.lock().files.len(), 2, "each content once");
    }
}
