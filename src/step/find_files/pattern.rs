//! Patterns of whole paths: `*`, `?` and `[…]` within a name, `**` and `**3` for levels of folders.
//!
//! Braces stand for themselves, as they do in the paths of Windows. On Windows and macOS case does not count.

use crate::model::device::Os;
use crate::text::wildcard::fits_pieces;

/// A pattern that is ready for one operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// `C:\`, `\\server\share\` or `/`.
    pub root: String,
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// A name without wildcards, as the author wrote it.
    Name(String),
    Glob(Glob),
    /// Any folders, so many levels of them at most.
    Levels(u8),
}

/// A pattern of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Star,
    One,
    Char(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// More levels than any file system has.
const MAX_LEVELS: u8 = 32;

impl Pattern {
    /// The patterns that a text stands for; a `~` at its beginning stands for the home of every user. The
    /// error says what is wrong with it. `levels` is what `**` stands for.
    pub(super) fn read(text: &str, os: Os, levels: u8) -> Result<Vec<Self>, String> {
        let separators: &[char] = if os == Os::Windows {
            &['\\', '/']
        } else {
            &['/']
        };
        let Some(rest) = text.strip_prefix('~') else {
            let (root, rest) = root(text, os)?;
            return Ok(vec![Self::of(root, rest.split(separators), os, levels)?]);
        };
        let Some(rest) = rest.strip_prefix(separators) else {
            return Err(format!("after `~` comes {}", separators[0]));
        };
        let homes = homes(os).iter().map(|home| {
            let (root, home) = root(home, os)?;
            let parts = home.split(separators).chain(rest.split(separators));
            Self::of(root, parts, os, levels)
        });
        homes.collect()
    }

    fn of<'a>(
        root: String,
        names: impl Iterator<Item = &'a str>,
        os: Os,
        levels: u8,
    ) -> Result<Self, String> {
        let mut parts = Vec::new();
        for name in names.filter(|name| !name.is_empty()) {
            parts.push(Part::read(name, os, levels)?);
        }
        match parts.last() {
            None => return Err("it names no file".to_owned()),
            // Folders are never found, but what is in them.
            Some(Part::Levels(_)) => parts.push(Part::Glob(Glob(vec![Piece::Star]))),
            Some(_) => {}
        }
        Ok(Self { root, parts })
    }

    /// Does a whole path, given as its root and names, fit?
    pub(super) fn fits(&self, root: &str, names: &[&str], os: Os) -> bool {
        fold(&self.root, os) == fold(root, os) && fits(&self.parts, names, os)
    }
}

fn fits(parts: &[Part], names: &[&str], os: Os) -> bool {
    match (parts.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((Part::Levels(levels), rest)), _) => {
            (0..=usize::from(*levels).min(names.len())).any(|taken| fits(rest, &names[taken..], os))
        }
        (Some((part, rest)), Some((name, names))) => part.fits(name, os) && fits(rest, names, os),
        _ => false,
    }
}

impl Part {
    fn read(name: &str, os: Os, levels: u8) -> Result<Self, String> {
        if let Some(number) = name.strip_prefix("**") {
            return match number.parse() {
                _ if number.is_empty() => Ok(Self::Levels(levels)),
                Ok(number @ 1..=MAX_LEVELS) => Ok(Self::Levels(number)),
                _ => Err(format!(
                    "`{name}`: after `**` stands a number of levels from 1 to {MAX_LEVELS}, and nothing else"
                )),
            };
        }
        if name.contains("**") {
            return Err(format!("`{name}`: `**` stands alone between separators"));
        }
        if name.contains(['*', '?', '[']) {
            return Ok(Self::Glob(Glob::read(&fold(name, os))?));
        }
        Ok(Self::Name(name.to_owned()))
    }

    /// Does one name fit? Levels fit none: they are not names.
    pub(super) fn fits(&self, name: &str, os: Os) -> bool {
        match self {
            Self::Name(own) => fold(own, os) == fold(name, os),
            Self::Glob(glob) => glob.fits(&fold(name, os)),
            Self::Levels(_) => false,
        }
    }
}

impl Glob {
    fn read(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            pieces.push(match c {
                '*' => Piece::Star,
                '?' => Piece::One,
                '[' => {
                    let Some((class, after)) = class(rest.as_str()) else {
                        return Err(format!(
                            "`{text}`: `[` has no `]`; a literal [ is written [[]"
                        ));
                    };
                    rest = after.chars();
                    class
                }
                c => Piece::Char(c),
            });
        }
        Ok(Self(pieces))
    }

    fn fits(&self, name: &str) -> bool {
        let is_star = |piece: &Piece| *piece == Piece::Star;
        fits_pieces(&self.0, name, is_star, Piece::fits)
    }
}

impl Piece {
    fn fits(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::One => true,
            Self::Char(own) => *own == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated
            }
        }
    }
}

/// What follows a `[`, and the rest after its `]`, which may stand first in it as itself.
fn class(text: &str) -> Option<(Piece, &str)> {
    let inner = text.strip_prefix(['!', '^']);
    let negated = inner.is_some();
    let inner = inner.unwrap_or(text);
    let first = inner.chars().next()?;
    let end = first.len_utf8() + inner[first.len_utf8()..].find(']')?;
    let chars: Vec<char> = inner[..end].chars().collect();
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if at + 2 < chars.len() && chars[at + 1] == '-' {
            ranges.push((chars[at], chars[at + 2]));
            at += 3;
        } else {
            ranges.push((chars[at], chars[at]));
            at += 1;
        }
    }
    Some((Piece::Class { negated, ranges }, &inner[end + 1..]))
}

/// Where paths begin, and the rest.
fn root(text: &str, os: Os) -> Result<(String, &str), String> {
    if os != Os::Windows {
        let rest = text.strip_prefix('/');
        return rest
            .map(|rest| ("/".to_owned(), rest))
            .ok_or_else(|| "on this system a path begins with /, or with ~/".to_owned());
    }
    let is_separator = |c: char| c == '\\' || c == '/';
    if let Some(share) = text.strip_prefix("\\\\") {
        let mut parts = share.splitn(3, is_separator);
        if let (Some(server), Some(name), Some(rest)) = (parts.next(), parts.next(), parts.next())
            && !server.is_empty()
            && !name.is_empty()
        {
            return Ok((format!("\\\\{server}\\{name}\\"), rest));
        }
    }
    let mut chars = text.chars();
    let drive = chars.next().filter(char::is_ascii_alphabetic);
    match (drive, chars.next(), chars.next()) {
        (Some(drive), Some(':'), Some(c)) if is_separator(c) => {
            Ok((format!("{drive}:\\"), chars.as_str()))
        }
        _ => Err(r"on Windows a path begins with a drive, a share or ~\".to_owned()),
    }
}

/// Where the users of a system live.
fn homes(os: Os) -> &'static [&'static str] {
    match os {
        Os::Windows => &[r"C:\Users\*"],
        Os::Macos => &["/Users/*", "/var/root"],
        Os::Linux | Os::Other => &["/home/*", "/root"],
    }
}

/// Two names that mean the same file are the same after this.
pub(super) fn fold(name: &str, os: Os) -> String {
    match os {
        Os::Windows | Os::Macos => name.chars().map(lower).collect(),
        Os::Linux | Os::Other => name.to_owned(),
    }
}

/// Letter by letter, as file systems do: in a text, a letter's form depends on its neighbours, and one
/// becomes two.
fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str, os: Os) -> Pattern {
        let mut read = Pattern::read(text, os, 10).expect(text);
        assert_eq!(read.len(), 1);
        read.remove(0)
    }

    fn fits(pattern: &str, path: &str, os: Os) -> bool {
        let (root, rest) = root(path, os).expect(path);
        let names: Vec<&str> = rest.split(os.separator()).collect();
        one(pattern, os).fits(&root, &names, os)
    }

    #[test]
    fn windows_patterns() {
        let table = [
            (
                r"C:\Users\*\Desktop\*README*.txt",
                r"c:\users\bob\desktop\my readme 1.TXT",
                true,
            ),
            (
                r"C:\Users\*\Desktop\*.txt",
                r"C:\Users\bob\x\Desktop\a.txt",
                false,
            ),
            ("C:/Users/*/a.txt", r"C:\Users\bob\a.txt", true),
            (r"C:\a\**\x.log", r"C:\a\x.log", true),
            (r"C:\a\**\x.log", r"C:\a\1\2\3\x.log", true),
            (r"C:\a\**2\x.log", r"C:\a\1\2\3\x.log", false),
            (r"C:\a\**2\x.log", r"C:\a\1\2\x.log", true),
            (r"C:\a\**", r"C:\a\1\2\x.log", true),
            (r"C:\a\[0-9][!0-9].log", r"C:\a\1x.log", true),
            (r"C:\a\[0-9][!0-9].log", r"C:\a\11.log", false),
            (r"C:\a\[[]1].txt", r"C:\a\[1].txt", true),
            (r"C:\a\[]x].txt", r"C:\a\].txt", true),
            (r"C:\a\{6D80-A}\*", r"C:\a\{6d80-a}\x", true),
            (r"C:\É\?.txt", r"c:\é\☃.txt", true),
            (r"C:\?.txt", r"C:\İ.txt", true),
            (r"C:\ΑΣ*.txt", r"C:\ασα.txt", true),
            (r"\\srv\share\*.doc", r"\\SRV\share\a.doc", true),
            (r"D:\a", r"C:\a", false),
        ];
        for (pattern, path, expected) in table {
            assert_eq!(
                fits(pattern, path, Os::Windows),
                expected,
                "{pattern} on {path}"
            );
        }
    }

    #[test]
    fn case_counts_on_linux_alone() {
        for (os, expected) in [(Os::Linux, false), (Os::Macos, true)] {
            assert_eq!(
                fits("/home/*/.SSH/id_*", "/home/bob/.ssh/id_rsa", os),
                expected
            );
        }
        assert!(fits(
            "/home/*/.ssh/id_*",
            "/home/bob/.ssh/id_rsa",
            Os::Linux
        ));
    }

    #[test]
    fn a_tilde_is_everybodys_home() {
        let roots = |os, text: &str| Pattern::read(text, os, 10).map(|all| all.len());
        assert_eq!(roots(Os::Windows, r"~\Desktop\*"), Ok(1));
        assert_eq!(roots(Os::Linux, "~/.bash_history"), Ok(2));
        let read = Pattern::read("~/x", Os::Linux, 10).expect("sound");
        assert!(read[0].fits("/", &["home", "bob", "x"], Os::Linux));
        assert!(read[1].fits("/", &["root", "x"], Os::Linux));
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        let table = [
            ("*.txt", "begins with a drive"),
            (r"C:x", "begins with a drive"),
            ("", "begins with a drive"),
            (r"C:\", "names no file"),
            (r"C:\a**\x", "stands alone"),
            (r"C:\**0\x", "from 1 to 32"),
            (r"C:\**x\x", "from 1 to 32"),
            (r"C:\a[\x", "has no `]`"),
            (r"C:\a[]\x", "has no `]`"),
            ("~bob/x", "after `~`"),
            (r"\\srv", "begins with a drive"),
        ];
        for (text, word) in table {
            let why = Pattern::read(text, Os::Windows, 10).expect_err(text);
            assert!(why.contains(word), "{text}: {why}");
        }
        assert!(Pattern::read(r"C:\x", Os::Linux, 10).is_err());
    }

    #[test]
    fn stars_do_not_take_for_ever() {
        let glob = format!(r"C:\{}b", "*a".repeat(500));
        let path = format!(r"C:\{}", "a".repeat(5000));
        assert!(!fits(&glob, &path, Os::Windows));
    }
}
