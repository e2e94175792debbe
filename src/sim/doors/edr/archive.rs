//! The archive of a session: a gzipped tar of its commands with what they brought, and of its files.

use super::super::{Problem, Reply};
use super::shapes;
use crate::sim::endpoint::content::{Clip, Content};
use crate::sim::view::Kept;
use crate::sim::world::{Missing, Refusal, World};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::{self, Read, Write};
use tar::{Builder, Header};

/// Bytes of files above which nothing is packed: an archive lies in memory.
const MAX_BYTES: u64 = 1 << 30;

pub(super) fn answer(world: &World, number: u64) -> Result<Reply, Problem> {
    let gone = || Refusal::NotFound(Missing::Session(number.to_string()));
    let kept = world.kept(number).ok_or_else(gone)?;
    let failed = |why: &str| Problem::new(500, "INTERNAL_ERROR", why);
    if kept.commands.is_empty() && kept.files.is_empty() {
        return Err(failed("there is nothing to archive"));
    }
    if kept.session.stored > MAX_BYTES {
        return Err(failed("there is too much to archive"));
    }
    let of = (kept.session.number, kept.session.device);
    let manners = world.manners();
    let session = world.survey(|devices, _| {
        let device = devices.get(&kept.session.device);
        shapes::session(&kept.session, device, manners.edr.sensor_ids)
    });
    let commands: Vec<Value> = kept
        .commands
        .iter()
        .map(|view| shapes::command(view, of, manners))
        .collect();
    let packed = packed(&kept, &session, &commands)
        .map_err(|error| failed(&format!("the archive cannot be made: {error}")))?;
    let content = Content::Bytes(packed.into());
    Ok(Reply::Content(Clip::whole(content)))
}

fn packed(kept: &Kept, session: &Value, commands: &[Value]) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    add_json(&mut archive, "session.json", session)?;
    for (number, command) in (1..).zip(commands) {
        add_json(&mut archive, &format!("commands/{number}.json"), command)?;
    }
    for stored in &kept.files {
        if let Some(clip) = &stored.clip {
            let path = format!("files/{}/{}", stored.id.number, name(&stored.name));
            add(&mut archive, &path, clip)?;
        }
    }
    archive.into_inner()?.finish()
}

fn add_json(archive: &mut Builder<impl Write>, path: &str, body: &Value) -> io::Result<()> {
    let content = Content::Bytes(body.to_string().into_bytes().into());
    add(archive, path, &Clip::whole(content))
}

fn add(archive: &mut Builder<impl Write>, path: &str, clip: &Clip) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(clip.len());
    header.set_mode(0o644);
    archive.append_data(&mut header, path, Reading { clip, at: 0 })
}

/// The last part of a path on the endpoint, or of an upload's name.
fn name(path: &str) -> String {
    let last = path.rsplit(['\\', '/']).next().unwrap_or_default();
    let legal: String = last.chars().filter(|c| !c.is_control()).collect();
    match legal.as_str() {
        "" | "." | ".." => "file".to_owned(),
        _ => legal,
    }
}

/// Reads a clip piece by piece: a large one never lies in memory.
struct Reading<'a> {
    clip: &'a Clip,
    at: u64,
}

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.clip.read(self.at, buffer.len());
        buffer[..piece.len()].copy_from_slice(&piece);
        self.at += piece.len() as u64;
        Ok(piece.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_plain_names() {
        for (path, expected) in [
            (r"C:\t\a b.txt", "a b.txt"),
            ("/etc/passwd", "passwd"),
            (r"C:\t\", "file"),
            ("..", "file"),
            ("a\0b\n", "ab"),
            ("", "file"),
        ] {
            assert_eq!(name(path), expected);
        }
    }
}
