//! `reg.exe` where it works on whole hives: `save`, `load` and `unload`.
//!
//! What is wrong shows in the exit code, which is 1, and in a line of the output.

use super::code::Code;
use super::content::{Content, seed_of};
use super::{Endpoint, Facts, path};
use crate::model::device::Os;

/// How a file that holds a hive begins.
const MAGIC: &[u8] = b"regf";
/// What every saved hive is long.
const SAVED: u64 = 49_152;

/// What the program says, and what it leads to.
pub(super) struct Said {
    pub(super) text: String,
    pub(super) code: i64,
    pub(super) change: Option<Change>,
}

/// What becomes of registry and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// By the program's end, a hive that was made out of what this number stands for.
    Save {
        parts: Vec<String>,
        seed: u64,
    },
    Load {
        key: String,
        parts: Vec<String>,
    },
    Unload {
        key: String,
    },
}

/// What goes wrong.
type Trouble = &'static str;

const SYNTAX: Trouble = "these are not the arguments that it takes.";
const NO_NAME: Trouble = "that is not the name of a key.";
const NO_KEY: Trouble = "the registry has no such key.";
const NO_FILE: Trouble = "there is no such file.";
const NO_FOLDER: Trouble = "there is no such folder.";
const IN_USE: Trouble = "another process is using the file.";
const DENIED: Trouble = "access is denied.";
const NOT_LOADED: Trouble = "the parameter is wrong.";
const CORRUPT: Trouble = "the file is no registry hive, or a broken one.";
const FULL: Trouble = "the disk is full.";
const EXISTS: Trouble = "the file exists, and nobody says that it may be overwritten.";

pub(super) fn reg(args: &str, endpoint: &Endpoint, facts: &Facts) -> Said {
    let words = words(args);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let change = match words[..] {
        [verb, key, file] if is(verb, "save") => save(key, file, false, endpoint, facts),
        [verb, key, file, yes] if is(verb, "save") && is(yes, "/y") => {
            save(key, file, true, endpoint, facts)
        }
        [verb, key, file] if is(verb, "load") => load(key, file, endpoint),
        [verb, key] if is(verb, "unload") => unload(key, endpoint),
        _ => Err(SYNTAX),
    };
    match change {
        Ok(change) => Said {
            text: "The operation completed successfully.\n\n".to_owned(),
            code: 0,
            change: Some(change),
        },
        Err(trouble) => Said {
            text: format!("ERROR: {trouble}\n\n"),
            code: 1,
            change: None,
        },
    }
}

fn is(word: &str, known: &str) -> bool {
    word.eq_ignore_ascii_case(known)
}

/// Words with blanks in them stand in quotes.
fn words(args: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None, false);
    for c in args.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_with(String::new);
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_with(String::new).push(c),
        }
    }
    words.extend(word);
    words
}

fn save(
    key: &str,
    file: &str,
    overwrite: bool,
    endpoint: &Endpoint,
    facts: &Facts,
) -> Result<Change, Trouble> {
    match endpoint.registry.enumerate(key) {
        Err(Code::FILE_NOT_FOUND) => return Err(NO_KEY),
        Err(_) => return Err(NO_NAME),
        Ok(_) => {}
    }
    let parts = locate(file, endpoint)?;
    endpoint.files.check_folder(&parts).map_err(|_| NO_FOLDER)?;
    match endpoint.files.node(&parts) {
        Some(node) if node.is_directory() => return Err(DENIED),
        Some(node) if node.locked => return Err(IN_USE),
        Some(_) if !overwrite => return Err(EXISTS),
        _ => {}
    }
    if SAVED > endpoint.free {
        return Err(FULL);
    }
    let seed = seed_of(&key.to_lowercase()) ^ seed_of(&facts.host);
    Ok(Change::Save { parts, seed })
}

fn load(key: &str, file: &str, endpoint: &Endpoint) -> Result<Change, Trouble> {
    let parts = locate(file, endpoint)?;
    let node = endpoint.files.node(&parts).ok_or(NO_FILE)?;
    let content = node.content.as_ref().ok_or(DENIED)?;
    if node.locked {
        return Err(IN_USE);
    }
    if !content.head().starts_with(MAGIC) {
        return Err(CORRUPT);
    }
    // What would become of it is tried on a copy; devices share what lies below.
    match endpoint.registry.clone().load(key, &whole(&parts)) {
        Ok(()) => Ok(Change::Load {
            key: key.to_owned(),
            parts,
        }),
        Err(Code::ACCESS_DENIED) => Err(DENIED),
        Err(_) => Err(NO_NAME),
    }
}

fn unload(key: &str, endpoint: &Endpoint) -> Result<Change, Trouble> {
    match endpoint.registry.clone().unload(key) {
        Ok(_) => Ok(Change::Unload {
            key: key.to_owned(),
        }),
        Err(_) => Err(NOT_LOADED),
    }
}

fn locate(file: &str, endpoint: &Endpoint) -> Result<Vec<String>, Trouble> {
    let at = path::locate(Os::Windows, file, &endpoint.cwd).map_err(|_| NO_FOLDER)?;
    Ok(at.parts)
}

fn whole(parts: &[String]) -> String {
    parts.join(r"\")
}

impl Change {
    /// Does it; what takes until the program's end comes back, as a file that is still to be written.
    pub(super) fn apply(self, endpoint: &mut Endpoint) -> Option<(Vec<String>, Content)> {
        match self {
            Self::Save { parts, seed } => {
                endpoint.free -= SAVED;
                let content = Content::Seeded {
                    magic: MAGIC,
                    seed,
                    length: SAVED,
                };
                return Some((parts, content));
            }
            Self::Load { key, parts } => {
                if endpoint.registry.load(&key, &whole(&parts)).is_ok() {
                    endpoint.files.hold(&parts, true);
                }
            }
            Self::Unload { key } => {
                let file = endpoint.registry.unload(&key).ok();
                if let Some(parts) = file.and_then(|file| locate(&file, endpoint).ok()) {
                    endpoint.files.hold(&parts, false);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::endpoint::files::Files;
    use crate::sim::endpoint::layered::Layered;
    use crate::sim::endpoint::order::{Order, Yield};
    use crate::sim::endpoint::registry::Value;

    const HIVE: &str = r"C:\Users\old one\NTUSER.DAT";

    fn endpoint() -> Endpoint {
        let files = Files::new(Os::Windows, Layered::default());
        let mut endpoint = Endpoint::new(Os::Windows, files);
        for (path, text) in [
            (HIVE, "regf"),
            (r"C:\t\a.txt", "text"),
            (r"C:\t\held.hiv", "regf"),
        ] {
            let hold = |node: &mut crate::sim::endpoint::files::Node| {
                node.locked = path.contains("held");
            };
            let planted = endpoint.plant(path, Some(Content::text(text)), hold);
            planted.expect("a legal path");
        }
        let value = Value {
            name: "x".into(),
            kind: "REG_SZ",
            data: "1".into(),
        };
        for key in [r"HKLM\SAM\SAM", &format!(r"{HIVE}\Software")] {
            let planted = endpoint.registry.plant(key, vec![value.clone()]);
            planted.expect("a key");
        }
        endpoint
    }

    fn run(endpoint: &mut Endpoint, now: i64, line: &str) -> i64 {
        let order = Order::CreateProcess {
            line: line.into(),
            wait: true,
            working_directory: None,
            output_file: None,
        };
        let done = endpoint.perform(&order, now, &Facts::default(), None);
        match done.result {
            Ok(Yield::Started { return_code, .. }) => return_code,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn hives_go_into_files_and_back() {
        let mut endpoint = endpoint();
        let table = [
            (r"reg.exe save HKLM\SAM C:\t\sam.hiv /y", 0),
            (r"reg save hklm\sam C:\t\sam.hiv", 1),
            (r"reg save hklm\sam C:\t\sam.hiv /Y", 0),
            (r"reg save HKLM\none C:\t\x /y", 1),
            (r"reg save HKXX\none C:\t\x /y", 1),
            (r"reg save HKLM\SAM C:\none\x /y", 1),
            (r"reg save HKLM\SAM C:\t\held.hiv /y", 1),
            (r"reg save HKLM\SAM", 1),
            (r"reg load HKU\tmp C:\none", 1),
            (r"reg load HKU\tmp C:\t\a.txt", 1),
            (r"reg load HKU\tmp C:\t\held.hiv", 1),
            (r"reg unload HKU\tmp", 1),
            (r#"reg load HKU\tmp "C:\Users\old one\NTUSER.DAT""#, 0),
            (r#"reg load HKU\tmp "C:\Users\old one\NTUSER.DAT""#, 1),
            (r#"reg load HKU\other "C:\Users\old one\NTUSER.DAT""#, 1),
        ];
        for (seconds, (line, code)) in (0..).zip(table) {
            assert_eq!(run(&mut endpoint, seconds * 1000, line), code, "{line}");
        }
        let value = |endpoint: &Endpoint| endpoint.registry.query(r"HKU\tmp\Software\x").is_ok();
        assert!(value(&endpoint));
        assert_eq!(run(&mut endpoint, 60_000, r"reg.exe unload HKU\tmp"), 0);
        assert!(!value(&endpoint));
        let listed = Order::GetFile {
            path: r"C:\t\sam.hiv".into(),
            offset: 0,
            count: None,
        };
        let saved = endpoint.perform(&listed, 60_000, &Facts::default(), None);
        match saved.result {
            Ok(Yield::File(clip)) => assert!(clip.bytes().starts_with(MAGIC)),
            other => panic!("{other:?}"),
        }
    }
}
