//! Archives in which EDR and App Control hand out files.

use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A ZIP of these members, by name; nothing is compressed, and no clock is asked.
pub(super) fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::DEFAULT
            .compression_method(CompressionMethod::Stored)
            .large_file(u32::try_from(bytes.len()).is_err());
        let written = writer
            .start_file(*name, options)
            .and_then(|()| Ok(writer.write_all(bytes)?));
        written.expect("members have different names, and memory takes them");
    }
    let archive = writer.finish().expect("memory takes it");
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn members_come_out_as_they_went_in() {
        let archive = zipped(&[("filedata", b"MZ\0"), ("metadata", b"Timestamp: x\n")]);
        assert!(archive.starts_with(b"PK\x03\x04"));
        assert_eq!(
            archive,
            zipped(&[("filedata", b"MZ\0"), ("metadata", b"Timestamp: x\n")])
        );
        let mut archive = zip::ZipArchive::new(Cursor::new(archive)).expect("an archive");
        for (name, bytes) in [("filedata", "MZ\0"), ("metadata", "Timestamp: x\n")] {
            let mut text = String::new();
            let mut member = archive.by_name(name).expect("there");
            assert_eq!(member.compression(), CompressionMethod::Stored);
            member.read_to_string(&mut text).expect("text");
            assert_eq!(text, bytes);
        }
    }
}
