//! How a path of an endpoint becomes a path below a bag's `data/files`.
//!
//! Names stay readable for forensic tools and harmless for everybody else: ASCII, no `%` and no
//! backslash (the escapes of RFC 8493 break both bagit-python and sha256sum), nothing that Windows
//! reserves, nothing resolved, nothing cut without a hash. The way back is `files.ndjson`, never
//! decoding.

use crate::model::device::Os;
use crate::model::remote::RemoteText;
use crate::text::json::hex;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;

/// Bytes of a whole path, so that a bag fits below the 260 characters of Windows.
const LONGEST_PATH: usize = 180;
/// Bytes of one component, escapes counted in.
const LONGEST_COMPONENT: usize = 120;
/// What stays readable of a longer component.
const KEPT: usize = 90;

/// A relative path in our own alphabet, with `/` between its parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundlePath(String);

impl BundlePath {
    /// Where a path goes if nothing else is in its way.
    pub fn of(original: &RemoteText, os: Os) -> Self {
        let bytes = exact_bytes(original);
        let natural = natural(bytes, os).filter(|path| fits(path));
        Self(natural.unwrap_or_else(|| hashed(bytes)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BundlePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The paths of one bag: gives each file a place of its own, also where case does not count.
#[derive(Debug, Default)]
pub struct PathMap {
    /// By the path in lower case.
    taken: HashMap<String, Taken>,
    /// How often an original was stored in each way.
    versions: HashMap<(Box<[u8]>, Way), u32>,
}

/// How an original lies in the bag. Each way has its own versions, beside those of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Way {
    /// Only a part of it came.
    pub partial: bool,
    /// It lies in a zip.
    pub zipped: bool,
}

impl Way {
    fn suffix(self, version: u32) -> String {
        let (mark, ending) = self.marks();
        match version {
            1 => format!("{mark}{ending}"),
            n => format!("{mark}={n}{ending}"),
        }
    }

    /// At most which version of its original a place is for. What looks like a number may belong to the name.
    fn version(self, place: &str) -> u32 {
        let (_, ending) = self.marks();
        let stem = place.strip_suffix(ending).unwrap_or(place);
        let number = stem.rsplit_once('=').map(|(_, number)| number);
        let number = number.and_then(|number| number.parse::<u16>().ok());
        number.map_or(1, u32::from)
    }

    fn marks(self) -> (&'static str, &'static str) {
        // No escape starts with `p`: this can be nobody's own name.
        let mark = if self.partial { "=partial" } else { "" };
        let ending = if self.zipped { ".zip" } else { "" };
        (mark, ending)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Taken {
    File,
    /// With the spelling that came first.
    Directory(String),
}

impl PathMap {
    /// A free place for a complete file, the first or one more version of it.
    pub fn claim(&mut self, original: &RemoteText, os: Os) -> BundlePath {
        self.claim_for(original, os, Way::default())
    }

    /// A free place for a file that lies in the bag in this way.
    pub fn claim_for(&mut self, original: &RemoteText, os: Os, way: Way) -> BundlePath {
        let bytes = exact_bytes(original);
        let versions = (bytes.into(), way);
        let mut version = self.versions.get(&versions).copied().unwrap_or_default();
        let path = loop {
            version += 1;
            let suffix = way.suffix(version);
            let natural = natural(bytes, os).and_then(|path| self.respelt(path + &suffix, os));
            match natural {
                Some(path) if fits(&path) && self.is_free(&path) => break path,
                _ => {}
            }
            // Nothing else has this hash, and the suffix is new for it, unless an earlier process filed it
            // under a name that its index could not tell.
            let path = hashed(bytes) + &suffix;
            if self.is_free(&path) {
                break path;
            }
        };
        self.versions.insert(versions, version);
        self.take(&path);
        BundlePath(path)
    }

    /// Takes note of a place that an earlier process gave; false if it cannot have done so.
    pub(super) fn restore(&mut self, original: &RemoteText, way: Way, place: &str) -> bool {
        if !fits(place) || !self.is_free(place) {
            return false;
        }
        self.take(place);
        let version = self.versions.entry((exact_bytes(original).into(), way));
        let version = version.or_default();
        *version = (*version + 1).max(way.version(place));
        true
    }

    /// The path with its directories spelt as they are already. Only Windows means the same
    /// directory by both spellings; elsewhere a second one has no natural place here.
    fn respelt(&self, mut path: String, os: Os) -> Option<String> {
        let ends: Vec<usize> = directories(&path).map(str::len).collect();
        for end in ends {
            // Spellings differ in case alone, so lengths stay.
            if let Some(Taken::Directory(first)) = self.taken.get(&path[..end].to_ascii_lowercase())
                && *first != path[..end]
            {
                if os != Os::Windows {
                    return None;
                }
                path.replace_range(..end, first);
            }
        }
        Some(path)
    }

    fn is_free(&self, path: &str) -> bool {
        !self.taken.contains_key(&path.to_ascii_lowercase())
            && directories(path)
                .all(|dir| self.taken.get(&dir.to_ascii_lowercase()) != Some(&Taken::File))
    }

    fn take(&mut self, path: &str) {
        for dir in directories(path) {
            self.taken
                .entry(dir.to_ascii_lowercase())
                .or_insert_with(|| Taken::Directory(dir.to_owned()));
        }
        self.taken.insert(path.to_ascii_lowercase(), Taken::File);
    }
}

/// What is stored as it is; every other byte becomes `=XX`.
pub(super) const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'_' | b'.' | b',' | b'~' | b'$' | b'+' | b'@' | b'(' | b')' | b' '
        )
}

/// One name as a part of a path; no two names give the same.
pub(super) fn component(name: &[u8]) -> String {
    let is_blank = |b: &&u8| **b == b' ';
    let start = name.iter().take_while(is_blank).count();
    let tail = name.iter().rev().take_while(|b| matches!(b, b' ' | b'.'));
    let inner = start..name.len() - tail.count();
    let mut text = String::with_capacity(name.len() + 8);
    for (at, &byte) in name.iter().enumerate() {
        if is_plain(byte) && inner.contains(&at) {
            text.push(char::from(byte));
        } else {
            text.push_str(&escape(byte));
        }
    }
    if is_reserved(&text) {
        text.replace_range(..1, &escape(text.as_bytes()[0]));
    }
    if text.len() > LONGEST_COMPONENT {
        shorten(&mut text, name);
    }
    text
}

fn escape(byte: u8) -> String {
    format!("={byte:02X}")
}

/// Names that Windows takes for devices, with any extension.
fn is_reserved(component: &str) -> bool {
    const NAMES: [&str; 7] = ["AUX", "CLOCK$", "CON", "CONIN$", "CONOUT$", "NUL", "PRN"];
    let stem = component.split('.').next().unwrap_or(component);
    let stem = stem.trim_end_matches(' ').to_ascii_uppercase();
    let is_numbered = |kind| {
        stem.strip_prefix(kind)
            .is_some_and(|n: &str| n.len() == 1 && n.as_bytes()[0].is_ascii_digit())
    };
    NAMES.contains(&stem.as_str()) || is_numbered("COM") || is_numbered("LPT")
}

/// Keeps the beginning readable and lets a hash stand for the whole.
fn shorten(text: &mut String, name: &[u8]) {
    // An escape is not cut in two.
    let cut = (KEPT - 2..KEPT)
        .find(|&at| text.as_bytes()[at] == b'=')
        .unwrap_or(KEPT);
    text.truncate(cut);
    // No escape starts with `x`.
    text.push_str("=x");
    text.push_str(&hex(&Sha256::digest(name)[..12]));
}

fn exact_bytes(original: &RemoteText) -> &[u8] {
    original
        .exact()
        .unwrap_or_else(|| original.raw().as_bytes())
}

/// The readable place of a path, unless nothing of it can be read.
fn natural(original: &[u8], os: Os) -> Option<String> {
    let (mut path, rest) = match os {
        Os::Windows => windows_root(original),
        Os::Linux | Os::Macos | Os::Other if original.starts_with(b"/") => {
            ("root".into(), original)
        }
        Os::Linux | Os::Macos | Os::Other => ("rel".into(), original),
    };
    let root = path.len();
    for part in rest
        .split(|b| is_separator(*b, os))
        .filter(|part| !part.is_empty())
    {
        path.push('/');
        path.push_str(&component(part));
    }
    (path.len() > root).then_some(path)
}

fn windows_root(path: &[u8]) -> (String, &[u8]) {
    // Windows takes both slashes for the same.
    let alike: Vec<u8> = path
        .iter()
        .map(|&b| {
            if b == b'/' {
                b'\\'
            } else {
                b.to_ascii_uppercase()
            }
        })
        .collect();
    if alike.starts_with(br"\\?\UNC\") {
        return ("unc".into(), &path[8..]);
    }
    let verbatim = if alike.starts_with(br"\\?\") { 4 } else { 0 };
    if let [letter @ b'A'..=b'Z', b':', b'\\', ..] = alike[verbatim..] {
        return (char::from(letter).into(), &path[verbatim + 3..]);
    }
    if verbatim > 0 || alike.starts_with(br"\\.\") {
        ("dev".into(), &path[4..])
    } else if alike.starts_with(br"\\") {
        ("unc".into(), &path[2..])
    } else if alike.starts_with(br"\") {
        ("root".into(), path)
    } else {
        ("rel".into(), path)
    }
}

/// The last part of a path, made safe.
pub(super) fn last(original: &RemoteText, os: Os) -> String {
    let bytes = exact_bytes(original);
    let mut parts = bytes.rsplit(|b| is_separator(*b, os));
    let name = parts.find(|part| !part.is_empty());
    name.map_or_else(|| "file".to_owned(), component)
}

fn is_separator(byte: u8, os: Os) -> bool {
    byte == b'/' || (byte == b'\\' && os == Os::Windows)
}

fn hashed(original: &[u8]) -> String {
    format!("hashed/{}", hex(&Sha256::digest(original)))
}

fn fits(path: &str) -> bool {
    path.len() <= LONGEST_PATH && path.split('/').all(|part| part.len() <= LONGEST_COMPONENT)
}

/// The directories that a path lies in, outermost first.
pub(super) fn directories(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn stored(path: &str, os: Os) -> String {
        BundlePath::of(&path.into(), os).0
    }

    #[test]
    fn windows_paths() {
        let long = "n".repeat(121);
        let table = [
            (
                r"C:\Windows\System32\config\SAM",
                "C/Windows/System32/config/SAM",
            ),
            (r"c:/Users\zoë\a b.txt", "C/Users/zo=C3=AB/a b.txt"),
            (r"C:\$MFT", "C/$MFT"),
            (r"\\srv\share\f", "unc/srv/share/f"),
            (r"\\?\UNC\srv\share\f", "unc/srv/share/f"),
            (r"\\?\D:\f", "D/f"),
            (r"\\.\PhysicalDrive0", "dev/PhysicalDrive0"),
            (r"\\?\GLOBALROOT\Device\x", "dev/GLOBALROOT/Device/x"),
            (r"\\.\C:\f", "dev/C=3A/f"),
            (r"\f", "root/f"),
            (r"..\..\etc", "rel/=2E=2E/=2E=2E/etc"),
            (r"C:f", "rel/C=3Af"),
            (r"C:\f.txt:Zone.Identifier", "C/f.txt=3AZone.Identifier"),
            (
                r"C:\con.txt\Com1\LPT0 .x\com10",
                "C/=63on.txt/=43om1/=4CPT0 .x/com10",
            ),
            (
                r"C:\trail.\ lead\end \...",
                "C/trail=2E/=20lead/end=20/=2E=2E=2E",
            ),
            (r"C:\100%\a=b\x;y", "C/100=25/a=3Db/x=3By"),
            ("C:\\a\u{202e}b\n\u{7f}", "C/a=E2=80=AEb=0A=7F"),
        ];
        for (path, expected) in table {
            assert_eq!(stored(path, Os::Windows), expected, "{path:?}");
        }
        for hopeless in ["", r"C:\", r"\\", "/"] {
            assert!(
                stored(hopeless, Os::Windows).starts_with("hashed/"),
                "{hopeless}"
            );
        }
        let short = stored(&format!(r"C:\{long}"), Os::Windows);
        assert!(
            short.starts_with(&format!("C/{}=x", &long[..90])),
            "{short}"
        );
        assert_eq!(short.len(), 2 + 90 + 2 + 24);
    }

    #[test]
    fn posix_paths() {
        let table = [
            ("/etc/passwd", "root/etc/passwd"),
            ("//etc//passwd", "root/etc/passwd"),
            ("home/.bashrc", "rel/home/.bashrc"),
            (r"/a\b", "root/a=5Cb"),
            (r"C:\x", "rel/C=3A=5Cx"),
            ("/..", "root/=2E=2E"),
        ];
        for (path, expected) in table {
            assert_eq!(stored(path, Os::Linux), expected, "{path:?}");
        }
        let deep = "/directory".repeat(20);
        assert!(stored(&deep, Os::Linux).starts_with("hashed/"));
    }

    #[test]
    fn lone_surrogates_keep_their_bytes() {
        let path = serde_json::from_str(r#""C:\\a\ud800""#).unwrap();
        assert_eq!(BundlePath::of(&path, Os::Windows).0, "C/a=ED=A0=80");
    }

    #[test]
    fn what_clashes_gets_a_place_of_its_own() {
        let mut map = PathMap::default();
        let mut claim = |path: &str| map.claim(&path.into(), Os::Windows).0;
        assert_eq!(claim(r"C:\Dir\File"), "C/Dir/File");
        // One directory for Windows, in whatever case it is asked for.
        assert_eq!(claim(r"c:\DIR\other"), "C/Dir/other");
        // The same name in another case, below a file, or of a directory.
        for clash in [
            r"C:\dir\FILE",
            r"C:\Dir\File\below",
            r"C:\Dir",
            r"\\?\C:\Dir\File",
        ] {
            assert!(claim(clash).starts_with("hashed/"), "{clash}");
        }
        // Further versions.
        assert_eq!(claim(r"C:\Dir\File"), "C/Dir/File=2");
        assert_eq!(claim(r"C:\Dir\File"), "C/Dir/File=3");
        assert!(claim(r"C:\dir\FILE").ends_with("=2"));

        let table = [
            (true, false, "C/Dir/File=partial"),
            (true, false, "C/Dir/File=partial=2"),
            (false, true, "C/Dir/File.zip"),
            (false, true, "C/Dir/File=2.zip"),
            (true, true, "C/Dir/File=partial.zip"),
        ];
        for (partial, zipped, place) in table {
            let way = Way { partial, zipped };
            let original = r"C:\Dir\File".into();
            assert_eq!(map.claim_for(&original, Os::Windows, way).0, place);
        }
        // A file of the endpoint that has the very name.
        let other = map.claim(&r"C:\Dir\File.zip".into(), Os::Windows).0;
        assert!(other.starts_with("hashed/"), "{other}");
    }

    #[test]
    fn another_spelling_is_another_directory_elsewhere() {
        let mut map = PathMap::default();
        assert_eq!(map.claim(&"/home/A/x".into(), Os::Linux).0, "root/home/A/x");
        let other = map.claim(&"/home/a/y".into(), Os::Linux).0;
        assert!(other.starts_with("hashed/"), "{other}");
    }

    /// Paths made of what is known to hurt, of bytes that are no text too.
    fn hostile() -> impl Strategy<Value = RemoteText> {
        let pieces = prop::sample::select(vec![
            "\\\\",
            "/",
            "..",
            ".",
            ":",
            "C:\\\\",
            "c:\\\\",
            "con",
            "NUL",
            "COM1.txt",
            " ",
            "=",
            "=2",
            "=2E",
            "%0A",
            "$MFT",
            "~",
            "a",
            "A",
            "é",
            "\\n",
            "\\u202e",
            "\\u0000",
            "\\ud800",
            "x.",
            "hashed",
            "rel",
            "\\\\\\\\?\\\\",
            "\\\\\\\\.\\\\",
            "UNC\\\\",
            "=partial",
            "a-name-of-a-length-that-soon-adds-up-to-more-than-anybody-can-store",
        ]);
        prop::collection::vec(pieces, 0..7).prop_map(|parts| {
            serde_json::from_str(&format!("\"{}\"", parts.concat())).expect("is JSON")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        #[test]
        fn every_path_has_one_safe_place(
            paths in prop::collection::vec(hostile(), 1..12),
            os in prop::sample::select(vec![Os::Windows, Os::Linux]),
        ) {
            let mut map = PathMap::default();
            let mut folded = HashSet::new();
            let mut parents = HashSet::new();
            for path in &paths {
                let BundlePath(place) = map.claim(path, os);
                prop_assert!(place.len() <= LONGEST_PATH, "{place}");
                prop_assert!(
                    place.bytes().all(|b| is_plain(b) || matches!(b, b'=' | b'/')),
                    "{place}"
                );
                for part in place.split('/') {
                    prop_assert!(!part.is_empty() && part.len() <= LONGEST_COMPONENT, "{place}");
                    prop_assert!(!part.ends_with(['.', ' ']) && !part.starts_with(' '), "{place}");
                    prop_assert!(!is_reserved(part), "{place}");
                }
                parents.extend(directories(&place).map(str::to_ascii_lowercase));
                prop_assert!(folded.insert(place.to_ascii_lowercase()), "{place} twice");
            }
            prop_assert!(folded.is_disjoint(&parents), "a file lies where a directory is");
        }

        #[test]
        fn short_names_can_be_read_back(name in prop::collection::vec(any::<u8>(), 1..40)) {
            let text = component(&name);
            let mut parts = text.split('=');
            let mut read = parts.next().unwrap_or_default().as_bytes().to_vec();
            for part in parts {
                read.push(u8::from_str_radix(&part[..2], 16).expect("two digits"));
                read.extend_from_slice(&part.as_bytes()[2..]);
            }
            prop_assert_eq!(read, name);
        }
    }
}
