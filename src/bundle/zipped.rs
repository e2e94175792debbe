//! A file in a zip with the password that everybody uses for samples, so that scanners leave the bag alone.
//! Its own bytes never lie on the disk.

use super::disk::{At, DiskError};
use super::hashed::{Digest, HashedFile};
use super::path;
use crate::model::device::Os;
use crate::model::remote::RemoteText;
use crate::text::json::hex;
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use zip::unstable::write::FileOptionsExt;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

const PASSWORD: &[u8] = b"infected";

/// A zip of one member, under construction.
pub(super) struct ZippedFile {
    file: HashedFile,
    member: String,
    /// Begun with the first byte. It is some KiB large itself.
    zip: Option<Box<Packer>>,
    pipe: Pipe,
    hasher: Sha256,
    size: u64,
}

type Packer = ZipWriter<StreamWriter<Pipe>>;

/// What was packed and is not on the disk. It takes everything: a zip that cannot write its end complains on
/// standard error, which is not ours.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl ZippedFile {
    pub(super) fn new(file: HashedFile, original: &RemoteText, os: Os) -> Self {
        Self {
            file,
            member: path::last(original, os),
            zip: None,
            pipe: Pipe::default(),
            hasher: Sha256::new(),
            size: 0,
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.zip()?.write_all(bytes)?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.drain()
    }

    /// Starts over with an empty file.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.zip = None;
        self.pipe = Pipe::default();
        self.hasher = Sha256::new();
        self.size = 0;
        self.file.restart()
    }

    /// Makes the zip durable; gives what it holds, and what it is.
    pub(super) fn finish(&mut self) -> Result<(Digest, Digest), DiskError> {
        self.end().at("writing", self.file.path())?;
        let own = Digest {
            size: self.size,
            sha256: hex(&std::mem::take(&mut self.hasher).finalize()),
        };
        Ok((own, self.file.finish()?))
    }

    fn end(&mut self) -> io::Result<()> {
        self.zip()?;
        if let Some(zip) = self.zip.take() {
            zip.finish()?;
        }
        self.drain()
    }

    fn zip(&mut self) -> io::Result<&mut Packer> {
        if self.zip.is_none() {
            let mut zip = ZipWriter::new_stream(self.pipe.clone());
            // How large it will be is not known.
            let options = SimpleFileOptions::DEFAULT
                .compression_method(CompressionMethod::Stored)
                .large_file(true)
                .with_deprecated_encryption(PASSWORD)?;
            zip.start_file(&*self.member, options)?;
            self.zip = Some(Box::new(zip));
        }
        (self.zip.as_deref_mut()).ok_or_else(|| io::ErrorKind::Other.into())
    }

    /// What the disk does not take stays, for the next try.
    fn drain(&mut self) -> io::Result<()> {
        let mut packed = self.pipe.lock();
        self.file.write(&packed)?;
        packed.clear();
        Ok(())
    }
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use zip::ZipArchive;

    #[test]
    fn the_usual_password_opens_it() {
        let dir = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..300_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let whole = content.as_slice();
        for (number, content) in [whole, b"", b"MZ, and sixteen more"]
            .into_iter()
            .enumerate()
        {
            let path = dir.path().join(number.to_string());
            let file = HashedFile::create(path.clone()).unwrap();
            let original = "C:\\Users\\..\\evil\u{202e}x%.exe".into();
            let mut zipped = ZippedFile::new(file, &original, Os::Windows);
            zipped.write(b"an attempt that broke").unwrap();
            zipped.restart().unwrap();
            for chunk in content.chunks(70_001) {
                zipped.write(chunk).unwrap();
            }
            let (own, there) = zipped.finish().unwrap();
            assert_eq!(own, Digest::of(content));
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(there, Digest::of(&bytes));
            let plain = |head: &[u8]| bytes.windows(head.len()).any(|part| part == head);
            assert!(!content.get(..16).is_some_and(plain));

            let mut archive = ZipArchive::new(File::open(&path).unwrap()).unwrap();
            assert_eq!(archive.len(), 1);
            // One byte tells a wrong password at once; what is read with it is told by its sum.
            let opened = archive.by_index_decrypt(0, b"wrong");
            let read = opened.is_ok_and(|mut wrong| wrong.read_to_end(&mut Vec::new()).is_ok());
            assert!(!read || content.is_empty());
            let mut member = archive.by_index_decrypt(0, PASSWORD).unwrap();
            assert_eq!(member.name().unwrap(), "evil=E2=80=AEx=25.exe");
            let mut unpacked = Vec::new();
            member.read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, content);
        }
    }
}
