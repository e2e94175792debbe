//! The walk against a simple idea of the same: look at every file there is, and match its whole path.

use super::pattern::Pattern;
use super::walk::{Look, Walk};
use crate::model::command::DirEntry;
use crate::model::device::Os;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};

/// What `**` stands for.
const LEVELS: u8 = 2;
/// Names with and without case, two of which lose their length or their letter when a whole name is folded.
const NAMES: [&str; 10] = [
    "a", "b", "Ab", "aB", "x.txt", "X.TXT", "İ", "ΑΣ", "ασα", "a b",
];
const PARTS: [&str; 19] = [
    "a", "b", "AB", "x.TXT", "İ", "ΑΣ", "*", "?", "??", "*.txt", "[ab]", "[!a]*", "A*", "ΑΣ*",
    "*b", "**", "**1", "**3", "[a-c]?",
];

/// A directory: what is in it, by its names as they are.
#[derive(Debug, Clone, Default)]
struct Tree(BTreeMap<String, Option<Self>>);

/// What is at a path.
enum There<'t> {
    Nothing,
    File,
    Directory(&'t Tree),
}

impl Tree {
    /// Files by their paths; what cannot be there beside the others is left out.
    fn of(paths: &[Vec<&str>], os: Os) -> Self {
        let mut tree = Self::default();
        for path in paths {
            tree.add(path, os);
        }
        tree
    }

    fn add(&mut self, path: &[&str], os: Os) {
        let (name, rest) = path.split_first().expect("no path is empty");
        let same = self.0.keys().find(|other| is_same(other, name, os));
        let name = same.cloned().unwrap_or_else(|| (*name).to_owned());
        match (self.0.get_mut(&name), rest.is_empty()) {
            (Some(Some(below)), false) => below.add(rest, os),
            (Some(_), _) => {}
            (None, true) => drop(self.0.insert(name, None)),
            (None, false) => {
                let mut below = Self::default();
                below.add(rest, os);
                self.0.insert(name, Some(below));
            }
        }
    }

    fn at(&self, path: &[&str], os: Os) -> There<'_> {
        let Some((name, rest)) = path.split_first() else {
            return There::Directory(self);
        };
        let mut all = self.0.iter();
        match all.find(|(other, _)| is_same(other, name, os)) {
            Some((_, Some(below))) => below.at(rest, os),
            Some((_, None)) if rest.is_empty() => There::File,
            _ => There::Nothing,
        }
    }

    fn files(&self, above: &[&str], all: &mut Vec<Vec<String>>) {
        for (name, below) in &self.0 {
            let path = [above, &[name]].concat();
            match below {
                Some(below) => below.files(&path, all),
                None => all.push(path.iter().map(|name| (*name).to_owned()).collect()),
            }
        }
    }
}

/// Letter by letter, as file systems compare.
fn is_same(one: &str, other: &str, os: Os) -> bool {
    one.chars().count() == other.chars().count()
        && (one.chars().zip(other.chars())).all(|(a, b)| is_same_letter(a, b, os))
}

fn is_same_letter(a: char, b: char, os: Os) -> bool {
    let lower = |c: char| c.to_lowercase().collect::<String>();
    a == b || (os != Os::Linux && lower(a) == lower(b) && lower(a).chars().count() == 1)
}

/// Does a whole path fit the parts of a pattern?
fn fits(parts: &[&str], names: &[&str], os: Os) -> bool {
    let Some((part, rest)) = parts.split_first() else {
        return names.is_empty();
    };
    if let Some(levels) = part.strip_prefix("**") {
        let most = levels.parse().unwrap_or(usize::from(LEVELS));
        let rest = if rest.is_empty() { &["*"] } else { rest };
        return (0..=most.min(names.len())).any(|taken| fits(rest, &names[taken..], os));
    }
    let Some((name, names)) = names.split_first() else {
        return false;
    };
    let (part, name): (Vec<char>, Vec<char>) = (part.chars().collect(), name.chars().collect());
    fits_name(&part, &name, os) && fits(rest, names, os)
}

fn fits_name(part: &[char], name: &[char], os: Os) -> bool {
    match (part, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => (0..=name.len()).any(|taken| fits_name(rest, &name[taken..], os)),
        (['?', rest @ ..], [_, name @ ..]) => fits_name(rest, name, os),
        (['[', rest @ ..], [c, name @ ..]) => {
            let end = rest.iter().position(|c| *c == ']').expect("it is closed");
            let (class, rest) = (&rest[..end], &rest[end + 1..]);
            let (class, negated) = match class {
                ['!', class @ ..] => (class, true),
                class => (class, false),
            };
            let is_in = match class {
                [from, '-', to] => (*from..=*to).any(|own| is_same_letter(own, *c, os)),
                class => class.iter().any(|own| is_same_letter(*own, *c, os)),
            };
            is_in != negated && fits_name(rest, name, os)
        }
        ([own, rest @ ..], [c, name @ ..]) => {
            is_same_letter(*own, *c, os) && fits_name(rest, name, os)
        }
        _ => false,
    }
}

/// Every file that fits, one by one; nothing at or below what is excluded.
fn wanted(tree: &Tree, patterns: &[Vec<&str>], excluded: &[Vec<&str>], os: Os) -> BTreeSet<String> {
    let mut files = Vec::new();
    tree.files(&[], &mut files);
    let is_wanted = |file: &&Vec<String>| {
        let names: Vec<&str> = file.iter().map(String::as_str).collect();
        let is_out = (1..=names.len()).any(|length| {
            excluded
                .iter()
                .any(|parts| fits(parts, &names[..length], os))
        });
        !is_out && patterns.iter().any(|parts| fits(parts, &names, os))
    };
    let wanted = files.iter().filter(is_wanted);
    wanted.map(|file| written(&names(file), os)).collect()
}

fn names(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

fn root(os: Os) -> &'static str {
    if os == Os::Windows { r"C:\" } else { "/" }
}

fn written(names: &[&str], os: Os) -> String {
    format!("{}{}", root(os), names.join(&os.separator().to_string()))
}

fn taken_apart(path: &str, os: Os) -> Vec<&str> {
    let rest = path.strip_prefix(root(os)).expect("it begins at the root");
    rest.split(os.separator())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The directories that a pattern names outright.
fn fixed<'a>(parts: &[&'a str]) -> Vec<&'a str> {
    let all_but_last = &parts[..parts.len() - 1];
    let has_wildcard = |part: &&&str| part.contains(['*', '?', '[']);
    all_but_last
        .iter()
        .take_while(|part| !has_wildcard(part))
        .copied()
        .collect()
}

fn starts_with(path: &[&str], start: &[&str], os: Os) -> bool {
    path.len() >= start.len() && path.iter().zip(start).all(|(a, b)| is_same(a, b, os))
}

fn entry(name: &str, is_directory: bool) -> DirEntry {
    let attributes = if is_directory { "DIRECTORY" } else { "ARCHIVE" };
    DirEntry {
        name: name.into(),
        size: 1,
        attributes: vec![attributes.to_owned()],
        created: None,
        accessed: None,
        written: None,
    }
}

/// Answers the walk out of the tree; gives what it asked for and what it found.
fn walked(tree: &Tree, mut walk: Walk, os: Os) -> (Vec<Look>, Vec<String>) {
    let (mut asked, mut found) = (Vec::new(), Vec::new());
    while let Some(look) = walk.next() {
        assert!(asked.len() < 10_000, "it goes on for ever");
        asked.push(look.clone());
        let (Look::Into(path) | Look::At(path)) = &look;
        let path = taken_apart(path, os);
        let entries = match (&look, tree.at(&path, os)) {
            (_, There::Nothing) => {
                let folder = tree.at(&path[..path.len() - 1], os);
                walk.absent(!matches!(folder, There::Directory(_)));
                continue;
            }
            (Look::Into(_), There::Directory(below)) => {
                let all = below.0.iter();
                let all = all.map(|(name, below)| entry(name, below.is_some()));
                let own = [".", ".."].map(|name| entry(name, true));
                own.into_iter().chain(all).collect()
            }
            // It is a file, which is told as another error.
            (Look::Into(_), There::File) => continue,
            (Look::At(_), there) => {
                let name = path.last().expect("nobody asks for the root");
                vec![entry(name, matches!(there, There::Directory(_)))]
            }
        };
        found.extend(walk.seen(&entries).into_iter().map(|found| found.path));
    }
    (asked, found)
}

fn paths() -> impl Strategy<Value = Vec<Vec<&'static str>>> {
    vec(vec(select(NAMES.to_vec()), 1..5), 0..12)
}

fn globs(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<&'static str>>> {
    vec(vec(select(PARTS.to_vec()), 1..5), count)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_walk_finds_what_looking_at_every_file_finds(
        os in select(vec![Os::Windows, Os::Linux, Os::Macos]),
        paths in paths(),
        patterns in globs(1..5),
        excluded in globs(0..3),
    ) {
        let tree = Tree::of(&paths, os);
        let read = |all: &[Vec<&str>]| -> Vec<Pattern> {
            let read = |parts: &Vec<&str>| Pattern::read(&written(parts, os), os, LEVELS);
            all.iter().flat_map(|parts| read(parts).expect("sound")).collect()
        };
        let walk = Walk::new(os, read(&patterns), read(&excluded));
        let (asked, found) = walked(&tree, walk, os);

        // Names that a pattern has outright are written as it has them.
        let spelt = |path: &String| {
            let own = taken_apart(path, os);
            let same = |other: &&Vec<String>| {
                let other: Vec<&str> = other.iter().map(String::as_str).collect();
                other.len() == own.len() && starts_with(&other, &own, os)
            };
            let mut files = Vec::new();
            tree.files(&[], &mut files);
            let file = files.iter().find(same).expect("it is there").clone();
            written(&names(&file), os)
        };
        let distinct: BTreeSet<String> = found.iter().map(spelt).collect();
        prop_assert_eq!(distinct.len(), found.len(), "found twice");
        prop_assert_eq!(distinct, wanted(&tree, &patterns, &excluded, os));

        let mut listed: Vec<Vec<&str>> = Vec::new();
        for look in &asked {
            let (Look::Into(path) | Look::At(path)) = look;
            let names = taken_apart(path, os);
            let is_called_for = patterns.iter().any(|parts| {
                let fixed = fixed(parts);
                let is_above = matches!(look, Look::At(_)) && starts_with(&fixed, &names, os);
                is_above || starts_with(&names, &fixed, os)
            });
            prop_assert!(is_called_for, "nobody wants {}", path);
            if let Look::Into(_) = look {
                let again = |other: &&Vec<&str>| other.len() == names.len() && starts_with(other, &names, os);
                prop_assert!(!listed.iter().any(|other| again(&other)), "listed twice: {}", path);
                listed.push(names);
            }
        }
    }
}
