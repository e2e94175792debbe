//! An endpoint's file tree, with the manners of its operating system.

use super::code::Code;
use super::content::{Clip, Content};
use super::layered::{Layered, Place};
use super::path::{self, Located};
use crate::model::device::Os;
use crate::text::wildcard;

/// Attributes worth telling, as bits; named when listed.
const NAMES: [(u16, &str); 6] = [
    (Node::READONLY, "READONLY"),
    (Node::HIDDEN, "HIDDEN"),
    (Node::SYSTEM, "SYSTEM"),
    (Node::DIRECTORY, "DIRECTORY"),
    (Node::ARCHIVE, "ARCHIVE"),
    (Node::REPARSE_POINT, "REPARSE_POINT"),
];

/// A file or a directory.
#[derive(Debug, Clone)]
pub struct Node {
    pub name: Box<str>,
    /// None for a directory.
    pub content: Option<Content>,
    pub attributes: u16,
    /// Milliseconds since the world began; negative is before.
    pub created: i64,
    pub accessed: i64,
    pub written: i64,
    /// Somebody holds it open without sharing.
    pub locked: bool,
}

impl Node {
    pub const READONLY: u16 = 1;
    pub const HIDDEN: u16 = 2;
    pub const SYSTEM: u16 = 4;
    pub const DIRECTORY: u16 = 16;
    pub const ARCHIVE: u16 = 32;
    pub const REPARSE_POINT: u16 = 1024;

    pub fn file(name: &str, content: Content, at: i64) -> Self {
        Self {
            name: name.into(),
            content: Some(content),
            attributes: Self::ARCHIVE,
            created: at,
            accessed: at,
            written: at,
            locked: false,
        }
    }

    pub fn directory(name: &str, at: i64) -> Self {
        Self {
            name: name.into(),
            content: None,
            attributes: Self::DIRECTORY,
            created: at,
            accessed: at,
            written: at,
            locked: false,
        }
    }

    /// The bit of an attribute's name, in any case.
    pub fn attribute(name: &str) -> Option<u16> {
        NAMES
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name))
            .map(|(bit, _)| *bit)
    }

    pub const fn is_directory(&self) -> bool {
        self.content.is_none()
    }

    fn entry(&self, name: &str) -> Entry {
        Entry {
            name: name.to_owned(),
            size: self.content.as_ref().map_or(0, Content::len),
            attributes: NAMES
                .iter()
                .filter(|(bit, _)| self.attributes & bit != 0)
                .map(|(_, name)| *name)
                .collect(),
            created: self.created,
            accessed: self.accessed,
            written: self.written,
        }
    }
}

/// One line of a listing; times in milliseconds since the world began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub size: u64,
    pub attributes: Vec<&'static str>,
    pub created: i64,
    pub accessed: i64,
    pub written: i64,
}

#[derive(Debug, Clone)]
pub struct Files {
    os: Os,
    nodes: Layered<Place, Node>,
    root: Node,
}

impl Files {
    pub fn new(os: Os, nodes: Layered<Place, Node>) -> Self {
        Self {
            os,
            nodes,
            root: Node::directory("", -86_400_000),
        }
    }

    pub fn node(&self, parts: &[String]) -> Option<&Node> {
        match path::place(self.os, parts) {
            Some(place) => self.nodes.get(&place),
            // Windows has no root above its drives.
            None => (self.os != Os::Windows).then_some(&self.root),
        }
    }

    pub fn is_directory(&self, parts: &[String]) -> bool {
        self.node(parts).is_some_and(Node::is_directory)
    }

    /// Listing as the sensor does it: a trailing separator opens the directory, a wildcard in the last
    /// part filters it, anything else gives the one entry.
    pub fn list(&self, at: &Located) -> Result<Vec<Entry>, Code> {
        if at.lists {
            return self.matching(&at.parts, "*", self.missing(&at.parts));
        }
        match at.parts.split_last() {
            Some((pattern, folder)) if wildcard::has_wildcard(pattern) => {
                let pattern = path::fold(self.os, pattern);
                let everything = self.os == Os::Windows && pattern == "*.*";
                let pattern = if everything { "*" } else { &pattern };
                self.matching(folder, pattern, Code::PATH_NOT_FOUND)
            }
            _ => self
                .node(&at.parts)
                .map(|node| vec![node.entry(&node.name)])
                .ok_or(self.missing(&at.parts)),
        }
    }

    fn matching(&self, folder: &[String], pattern: &str, absent: Code) -> Result<Vec<Entry>, Code> {
        let node = self.node(folder).ok_or(absent)?;
        if !node.is_directory() {
            return Err(Code::NOT_A_DIRECTORY);
        }
        if node.attributes & Node::REPARSE_POINT != 0 {
            // The old names of folders are junctions that nobody may list.
            return Err(Code::ACCESS_DENIED);
        }
        let above = self
            .node(&folder[..folder.len().saturating_sub(1)])
            .unwrap_or(node);
        let mut entries: Vec<Entry> = [(node, "."), (above, "..")]
            .into_iter()
            .filter(|(_, name)| wildcard::fits(pattern, name))
            .map(|(node, name)| node.entry(name))
            .collect();
        entries.extend(
            self.children(folder)
                .into_iter()
                .filter(|node| wildcard::fits(pattern, &path::fold(self.os, &node.name)))
                .map(|node| node.entry(&node.name)),
        );
        if entries.is_empty() {
            return Err(Code::FILE_NOT_FOUND);
        }
        Ok(entries)
    }

    /// Every node with its place, in no order that means anything.
    pub fn all(&self) -> impl Iterator<Item = (&Place, &Node)> {
        self.nodes.all()
    }

    /// The path of a place, folded like the place itself.
    pub fn path(&self, place: &Place) -> String {
        let separator = self.os.separator();
        match (&*place.parent, self.os) {
            ("", Os::Windows) => place.name.to_string(),
            (parent, Os::Windows) => format!("{parent}{separator}{}", place.name),
            ("", _) => format!("/{}", place.name),
            (parent, _) => format!("/{parent}/{}", place.name),
        }
    }

    /// What the path names, and the path folded.
    pub fn find(&self, parts: &[String]) -> Option<(String, &Node)> {
        let place = path::place(self.os, parts)?;
        Some((self.path(&place), self.nodes.get(&place)?))
    }

    fn children(&self, folder: &[String]) -> Vec<&Node> {
        let mut nodes = self.nodes.children(&path::folder_key(self.os, folder));
        // What lies directly below the root shares its key with nothing but a nameless place.
        nodes.retain(|node| !node.name.is_empty());
        nodes
    }

    /// Which of the two "not there" it is.
    fn missing(&self, parts: &[String]) -> Code {
        let folder = parts.len().saturating_sub(1);
        if folder == 0 && self.os == Os::Windows {
            return Code::PATH_NOT_FOUND;
        }
        if self.is_directory(&parts[..folder]) {
            Code::FILE_NOT_FOUND
        } else {
            Code::PATH_NOT_FOUND
        }
    }

    pub fn read(&self, parts: &[String], offset: u64, count: Option<u64>) -> Result<Clip, Code> {
        let node = self.node(parts).ok_or(self.missing(parts))?;
        let content = node.content.clone().ok_or(Code::ACCESS_DENIED)?;
        if node.locked {
            return Err(Code::SHARING_VIOLATION);
        }
        Ok(Clip::of(content, offset, count))
    }

    /// Puts a new file there. What exists is not overwritten: real sensors refuse.
    pub fn put(&mut self, parts: &[String], content: Content, at: i64) -> Result<(), Code> {
        match self.node(parts) {
            Some(node) if node.is_directory() => return Err(Code::INVALID_DESTINATION),
            Some(_) => return Err(Code::FILE_EXISTS),
            None => {}
        }
        self.check_folder(parts)?;
        self.write(parts, content, at);
        Ok(())
    }

    /// May something be made at `parts`?
    pub fn check_folder(&self, parts: &[String]) -> Result<(), Code> {
        let folder = &parts[..parts.len().saturating_sub(1)];
        if parts.is_empty() || parts.iter().any(|part| wildcard::has_wildcard(part)) {
            Err(Code::INVALID_NAME)
        } else if self.is_directory(folder) {
            Ok(())
        } else {
            Err(Code::PATH_NOT_FOUND)
        }
    }

    pub fn create_directory(&mut self, parts: &[String], at: i64) -> Result<(), Code> {
        if self.node(parts).is_some() {
            return Err(Code::ALREADY_EXISTS);
        }
        self.check_folder(parts)?;
        let name = parts.last().expect("an empty path was refused");
        self.insert(parts, Node::directory(name, at));
        Ok(())
    }

    pub fn delete(&mut self, parts: &[String]) -> Result<(), Code> {
        let node = self.node(parts).ok_or(self.missing(parts))?;
        if node.locked {
            return Err(Code::SHARING_VIOLATION);
        }
        if parts.len() <= usize::from(self.os == Os::Windows) {
            return Err(Code::ACCESS_DENIED);
        }
        if node.is_directory() && !self.children(parts).is_empty() {
            return Err(Code::NOT_EMPTY);
        }
        if let Some(place) = path::place(self.os, parts) {
            self.nodes.remove(&place);
        }
        Ok(())
    }

    /// Makes a file there whatever was there before, as a program on the endpoint would.
    pub fn write(&mut self, parts: &[String], content: Content, at: i64) {
        if let Some(name) = parts.last() {
            self.insert(parts, Node::file(name, content, at));
        }
    }

    /// Holds what is there open without sharing, or lets go of it.
    pub fn hold(&mut self, parts: &[String], locked: bool) {
        if let Some(node) = self.node(parts).cloned() {
            self.insert(parts, Node { locked, ..node });
        }
    }

    /// Takes a node away with everything below it, locked or not: how images are built.
    pub fn remove(&mut self, parts: &[String]) -> Result<(), Code> {
        self.node(parts).ok_or(self.missing(parts))?;
        if parts.len() <= usize::from(self.os == Os::Windows) {
            return Err(Code::ACCESS_DENIED);
        }
        let below = self.children(parts).into_iter();
        let below: Vec<String> = below.map(|node| node.name.to_string()).collect();
        for name in below {
            self.remove(&[parts, &[name]].concat())?;
        }
        if let Some(place) = path::place(self.os, parts) {
            self.nodes.remove(&place);
        }
        Ok(())
    }

    /// Puts a node there, with the folders that lead to it: how images are built.
    pub fn plant(&mut self, parts: &[String], node: Node) {
        let above = 1..parts.len();
        let there = above
            .clone()
            .rev()
            .find(|end| self.node(&parts[..*end]).is_some());
        for end in above.skip(there.unwrap_or(0)) {
            let folder = Node::directory(&parts[end - 1], node.created);
            self.insert(&parts[..end], folder);
        }
        self.insert(parts, node);
    }

    #[cfg(test)]
    pub(crate) fn shares_base_with(&self, other: &Self) -> bool {
        self.nodes.shares_base_with(&other.nodes)
    }

    /// How many entries are its own.
    #[cfg(test)]
    pub(crate) fn own(&self) -> usize {
        self.nodes.own()
    }

    /// Makes everything the base of whoever clones it from now on.
    pub fn share(&mut self) {
        self.nodes.share();
    }

    fn insert(&mut self, parts: &[String], node: Node) {
        if let Some(place) = path::place(self.os, parts) {
            self.nodes.insert(place, node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(os: Os, paths: &[&str]) -> Files {
        let mut files = Files::new(os, Layered::default());
        for text in paths {
            let at = path::locate(os, text, "/").expect("legal");
            let node = if at.lists {
                Node::directory(at.parts.last().expect("named"), -1)
            } else {
                Node::file(
                    at.parts.last().expect("named"),
                    Content::text("0123456789"),
                    -1,
                )
            };
            files.plant(&at.parts, node);
        }
        files
    }

    fn names(files: &Files, os: Os, operand: &str) -> Result<Vec<String>, Code> {
        let at = path::locate(os, operand, "/")?;
        Ok(files.list(&at)?.into_iter().map(|e| e.name).collect())
    }

    #[test]
    fn listings_follow_the_operand() {
        let os = Os::Windows;
        let files = tree(
            os,
            &[
                r"C:\Temp\b.TXT",
                r"C:\Temp\a.txt",
                r"C:\Temp\c.log",
                r"C:\Temp\Sub\x",
                r"C:\f",
            ],
        );
        let table: [(&str, Result<&[&str], Code>); 11] = [
            (
                r"c:\temp\",
                Ok(&[".", "..", "a.txt", "b.TXT", "c.log", "Sub"]),
            ),
            (r"C:\TEMP\*.Txt", Ok(&["a.txt", "b.TXT"])),
            (
                r"C:\Temp\*",
                Ok(&[".", "..", "a.txt", "b.TXT", "c.log", "Sub"]),
            ),
            (
                r"C:\Temp\*.*",
                Ok(&[".", "..", "a.txt", "b.TXT", "c.log", "Sub"]),
            ),
            (r"C:\temp", Ok(&["Temp"])),
            (r"C:\temp\B.txt", Ok(&["b.TXT"])),
            (r"C:\Temp\*.pf", Err(Code::FILE_NOT_FOUND)),
            (r"C:\Temp\nothing", Err(Code::FILE_NOT_FOUND)),
            (r"C:\nowhere\nothing", Err(Code::PATH_NOT_FOUND)),
            (r"C:\nowhere\*", Err(Code::PATH_NOT_FOUND)),
            (r"C:\f\", Err(Code::NOT_A_DIRECTORY)),
        ];
        for (operand, expected) in table {
            let expected = expected.map(|names| names.iter().map(ToString::to_string).collect());
            assert_eq!(names(&files, os, operand), expected, "{operand}");
        }
    }

    #[test]
    fn linux_names_have_case() {
        let files = tree(Os::Linux, &["/etc/passwd", "/etc/Passwd"]);
        let listed = names(&files, Os::Linux, "/etc/").expect("lists");
        assert_eq!(listed, [".", "..", "Passwd", "passwd"]);
        assert_eq!(
            names(&files, Os::Linux, "/"),
            Ok(vec![".".into(), "..".into(), "etc".into()])
        );
        let mut paths: Vec<_> = files.all().map(|(place, _)| files.path(place)).collect();
        paths.sort();
        assert_eq!(paths, ["/etc", "/etc/Passwd", "/etc/passwd"]);
        assert_eq!(
            names(&files, Os::Linux, "/ETC/passwd"),
            Err(Code::PATH_NOT_FOUND)
        );
    }

    #[test]
    fn changes_are_refused_as_windows_refuses_them() {
        let os = Os::Windows;
        let mut files = tree(os, &[r"C:\d\f", r"C:\empty\"]);
        let at = |text: &str| path::locate(os, text, "/").expect("legal").parts;
        let text = || Content::text("x");
        assert_eq!(files.put(&at(r"C:\d\F"), text(), 0), Err(Code::FILE_EXISTS));
        assert_eq!(
            files.put(&at(r"C:\d"), text(), 0),
            Err(Code::INVALID_DESTINATION)
        );
        assert_eq!(
            files.put(&at(r"C:\n\f"), text(), 0),
            Err(Code::PATH_NOT_FOUND)
        );
        assert_eq!(
            files.create_directory(&at(r"C:\D"), 0),
            Err(Code::ALREADY_EXISTS)
        );
        assert_eq!(
            files.create_directory(&at(r"C:\n\d"), 0),
            Err(Code::PATH_NOT_FOUND)
        );
        assert_eq!(files.delete(&at(r"C:\d")), Err(Code::NOT_EMPTY));
        assert_eq!(files.delete(&at(r"C:\d\n")), Err(Code::FILE_NOT_FOUND));
        assert_eq!(files.delete(&at(r"C:\empty")), Ok(()));
        assert_eq!(files.delete(&at(r"C:\d\f")), Ok(()));
        assert_eq!(files.put(&at(r"C:\d\f"), text(), 0), Ok(()));
        assert_eq!(files.read(&at(r"c:\D\F"), 0, None).map(|c| c.len()), Ok(1));
    }
}
