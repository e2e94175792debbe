//! What directories were seen to hold, so that one is listed once for all steps of a device.
//!
//! Only what neighbouring reads said, and only for a while: whatever may change the endpoint makes it forget.
//! It answers in the endpoint's words, out of an answer of the endpoint's.

use crate::model::command::{Command, CommandResult, Reply};
use crate::model::device::Os;
use crate::model::outcome::{Cause, NO_FOLDER, NOT_FOUND};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a listing speaks for its directory.
const FRESH: Duration = Duration::from_mins(5);
/// Bytes of answers that one device may hold in memory.
const MOST_BYTES: usize = 4 << 20;
/// Bytes of a path that every Windows takes.
const LONGEST: usize = 248;

pub(super) struct Listings {
    os: Os,
    /// By the path as it was asked for: with a separator at its end it is a directory's content.
    seen: BTreeMap<String, Seen>,
    bytes: usize,
}

struct Seen {
    at: Instant,
    answer: Result<Reply, Cause>,
}

impl Listings {
    pub(super) const fn new(os: Os) -> Self {
        Self {
            os,
            seen: BTreeMap::new(),
            bytes: 0,
        }
    }

    pub(super) fn forget(&mut self) {
        self.seen.clear();
        self.bytes = 0;
    }

    /// Remembers what an answer says of directories.
    pub(super) fn note(&mut self, command: &Command, answer: &Result<Reply, Cause>) {
        let folder;
        let path = match (command, answer) {
            (Command::DirectoryList { path }, _) => path,
            (Command::GetFile { path, .. }, Err(cause))
                if cause.is_endpoint_code(&[NO_FOLDER]) && self.is_ordinary(path) =>
            {
                folder = self.folder_of(path);
                &folder
            }
            _ => return,
        };
        let size = match answer {
            Ok(reply) => reply.raw.len(),
            Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => 0,
            Err(_) => return,
        };
        if self.bytes + size <= MOST_BYTES {
            self.bytes += size;
            let seen = Seen {
                at: Instant::now(),
                answer: answer.clone(),
            };
            self.seen.insert(self.fold(path), seen);
        }
    }

    /// What the endpoint would say, as far as that is known.
    pub(super) fn answer(&self, command: &Command) -> Option<Result<Reply, Cause>> {
        match command {
            Command::DirectoryList { path } => self.listing(path),
            // There is no file in a folder that is not there.
            Command::GetFile { path, .. } => match self.listing(&self.folder_of(path)) {
                Some(Err(cause)) if cause.is_endpoint_code(&[NO_FOLDER]) => Some(Err(cause)),
                _ => None,
            },
            _ => None,
        }
    }

    fn listing(&self, path: &str) -> Option<Result<Reply, Cause>> {
        let path = self.fold(path);
        if let Some(answer) = self.fresh(&path) {
            return Some(answer.clone());
        }
        let separator = self.os.separator();
        // From the directory itself upwards: what the nearest one that was seen says, counts.
        let mut below = path.strip_suffix(separator).unwrap_or(&path);
        let mut is_itself = !path.ends_with(separator);
        while let Some((folder, name)) = below.rsplit_once(separator) {
            if !is_plain(name) {
                return None;
            }
            match self.fresh(&format!("{folder}{separator}")) {
                Some(Ok(reply)) => return self.entry(reply, name, is_itself),
                Some(Err(cause)) if cause.is_endpoint_code(&[NO_FOLDER]) => {
                    return Some(Err(cause.clone()));
                }
                _ => {}
            }
            (below, is_itself) = (folder, false);
        }
        None
    }

    /// Whether it is for the folder's sake that a file in it has no path: Windows says the same of what names
    /// no file, such as a root, and of a path that is too long.
    fn is_ordinary(&self, path: &str) -> bool {
        let path = self.fold(path);
        let name = path.rsplit_once(self.os.separator());
        path.len() < LONGEST && name.is_some_and(|(_, name)| is_plain(name))
    }

    /// The folder of a file, as it would be listed.
    fn folder_of(&self, path: &str) -> String {
        let path = self.fold(path);
        let separator = self.os.separator();
        let (folder, _) = path.rsplit_once(separator).unwrap_or_default();
        format!("{folder}{separator}")
    }

    fn fresh(&self, path: &str) -> Option<&Result<Reply, Cause>> {
        let seen = self.seen.get(path)?;
        (seen.at.elapsed() < FRESH).then_some(&seen.answer)
    }

    /// What a listing says of a name: that there is none, or its entry, if that is what was asked for.
    fn entry(&self, listing: &Reply, name: &str, is_asked: bool) -> Option<Result<Reply, Cause>> {
        let CommandResult::Entries(entries) = &listing.result else {
            return None;
        };
        let mut entries = entries.iter();
        match entries.find(|entry| self.fold(entry.name.raw()) == name) {
            Some(entry) if is_asked => Some(Ok(Reply {
                session: listing.session.clone(),
                command: listing.command,
                result: CommandResult::Entries(vec![entry.clone()]),
                raw: Vec::new(),
            })),
            // Elsewhere folders may come about when they are entered, as home directories do.
            None if self.os == Os::Windows => {
                let code = if is_asked { NOT_FOUND[0] } else { NO_FOLDER };
                Some(Err(Cause::Endpoint { code }))
            }
            Some(_) | None => None,
        }
    }

    /// Only what is surely the same is one: whether other letters are is for each system to say.
    fn fold(&self, path: &str) -> String {
        match self.os {
            Os::Windows => path.replace('/', "\\").to_ascii_lowercase(),
            Os::Macos => path.to_ascii_lowercase(),
            Os::Linux | Os::Other => path.to_owned(),
        }
    }
}

/// A name that its directory lists as it is: no short name of an older system, no stream, no wildcard, nothing
/// that a system reads as another name, and nothing such as `$Extend`, which NTFS lists nowhere.
fn is_plain(name: &str) -> bool {
    let has_meaning =
        name.contains(['~', ':', '*', '?']) || name.starts_with('$') || name.ends_with(['.', ' ']);
    name.is_ascii() && !name.is_empty() && !has_meaning
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::command::DirEntry;
    use crate::model::id::{CommandId, SessionId};

    fn list(path: &str) -> Command {
        Command::DirectoryList { path: path.into() }
    }

    fn holding(names: &[&str]) -> Reply {
        let entry = |name: &&str| DirEntry {
            name: (*name).into(),
            size: 1,
            attributes: Vec::new(),
            created: None,
            accessed: None,
            written: None,
        };
        Reply {
            session: SessionId::from("1:7"),
            command: CommandId(3),
            result: CommandResult::Entries(names.iter().map(entry).collect()),
            raw: vec![b'x'; 100],
        }
    }

    fn said(listings: &Listings, path: &str) -> String {
        match listings.answer(&list(path)) {
            None => "?".to_owned(),
            Some(Err(Cause::Endpoint { code })) => format!("{}", code & 0xff),
            Some(Err(other)) => other.summary(),
            Some(Ok(reply)) => match reply.result {
                CommandResult::Entries(entries) => {
                    let names: Vec<_> = entries.iter().map(|entry| entry.name.raw()).collect();
                    names.join(" ")
                }
                other => format!("{other:?}"),
            },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_speaks_for_its_directory_and_what_is_not_below_it() {
        let mut seen = Listings::new(Os::Windows);
        seen.note(&list(r"C:\Before\"), &Ok(holding(&["x"])));
        seen.forget();
        seen.note(&list(r"C:\Users\"), &Ok(holding(&["Ann", "bob.old"])));
        let missing = Err(Cause::Endpoint { code: NO_FOLDER });
        seen.note(&list(r"C:\Gone\x\"), &missing);
        let denied = Err(Cause::Endpoint { code: 0x8007_0005 });
        seen.note(&list(r"C:\Closed\"), &denied);
        for (path, expected) in [
            (r"C:\Before\", "?"),
            (r"c:\users\", "Ann bob.old"),
            (r"C:/Users/ANN", "Ann"),
            (r"C:\Users\carl", "2"),
            (r"C:\Users\carl\", "3"),
            (r"C:\Users\carl\Desktop\", "3"),
            (r"C:\Users\ann\Desktop\", "?"),
            (r"C:\Gone\x\y\z.txt", "3"),
            (r"C:\Gone\y\", "?"),
            (r"C:\Closed\", "?"),
            (r"C:\Closed\x", "?"),
            // Names that a listing does not have, and that may be there all the same.
            (r"C:\Users\BOBOLD~1", "?"),
            (r"C:\Users\ann.", "?"),
            (r"C:\Users\zoë", "?"),
            (r"C:\Users\..\x\", "?"),
            (r"C:\Users\a*", "?"),
            (r"C:\Users\$Extend\x\", "?"),
            (r"D:\", "?"),
        ] {
            assert_eq!(said(&seen, path), expected, "{path}");
        }
        tokio::time::advance(FRESH).await;
        assert_eq!(said(&seen, r"C:\Users\"), "?", "it is too old");
    }

    #[tokio::test(start_paused = true)]
    async fn case_counts_where_it_does() {
        let mut seen = Listings::new(Os::Linux);
        seen.note(&list("/"), &Ok(holding(&["home", "Home"])));
        assert_eq!(said(&seen, "/Home"), "Home");
        assert_eq!(said(&seen, "/HOME/x/"), "?");
        assert_eq!(said(&seen, "/home/x/"), "?");
    }

    #[tokio::test(start_paused = true)]
    async fn letters_that_only_look_alike_are_others() {
        // The sign of kelvin is no k to Windows, though its lower case is one.
        let kelvin = "\u{212a}it";
        let mut seen = Listings::new(Os::Windows);
        seen.note(&list(&format!(r"C:\{kelvin}\")), &Ok(holding(&["x"])));
        assert_eq!(said(&seen, r"C:\kit\"), "?");
        seen.note(&list(r"C:\"), &Ok(holding(&[kelvin])));
        assert_eq!(said(&seen, r"C:\kit"), "2");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_not_looked_for_where_there_is_no_folder() {
        let get = |path: &str| Command::GetFile {
            path: path.into(),
            offset: 0,
            count: None,
        };
        let mut seen = Listings::new(Os::Windows);
        seen.note(&list(r"C:\Users\"), &Ok(holding(&["Ann"])));
        let missing = Err(Cause::Endpoint { code: NO_FOLDER });
        seen.note(&get(r"C:\Gone\a.txt"), &missing);
        // Windows says the same of what is no name of a file, and of what is too long.
        seen.note(&get(r"D:\"), &missing);
        seen.note(&get(r"C:\There\"), &missing);
        let long = format!(r"C:\Deep\{}", "x".repeat(255));
        seen.note(&get(&long), &missing);
        for (path, is_known) in [
            (r"C:\Users\carl\x.txt", true),
            (r"C:\gone\b.txt", true),
            (r"C:\Gone\sub\b.txt", true),
            // A file may have come meanwhile.
            (r"C:\Users\new.txt", false),
            (r"C:\Users\Ann\x.txt", false),
            (r"C:\There\x.txt", false),
            (r"C:\Deep\x.txt", false),
            (r"D:\x.txt", false),
            ("x.txt", false),
        ] {
            let answer = seen.answer(&get(path));
            assert_eq!(
                answer.is_some_and(|answer| answer.is_err()),
                is_known,
                "{path}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn memory_has_an_end() {
        let mut seen = Listings::new(Os::Linux);
        let mut large = holding(&["a"]);
        large.raw = vec![0; MOST_BYTES - 50];
        seen.note(&list("/a/"), &Ok(large));
        seen.note(&list("/b/"), &Ok(holding(&["b"])));
        assert_eq!(said(&seen, "/a/"), "a");
        assert_eq!(said(&seen, "/b/"), "?");
    }
}
