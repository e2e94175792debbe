//! Which directories to look into, so that each is listed once for all patterns, and none that is missing
//! is looked for again.
//!
//! Pure: it says what to ask, and is told what was answered.

use super::pattern::{Part, Pattern, fold};
use crate::model::command::DirEntry;
use crate::model::device::Os;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Walk {
    os: Os,
    patterns: Vec<Pattern>,
    excluded: Vec<Pattern>,
    /// By path, so that what is found comes in its order.
    ahead: BTreeMap<Key, Place>,
    /// Directories that are not there, nor anything below them.
    missing: BTreeSet<Key>,
    /// Directories that are there.
    known: BTreeSet<Key>,
    asked: Option<Asked>,
    /// What to find out before anything else.
    first: Option<Place>,
}

/// A root and names, without case where it does not count.
type Key = Vec<String>;

/// What is being asked.
#[derive(Debug)]
enum Asked {
    /// What is in a directory.
    Into(Place),
    /// Whether one file is in a directory.
    At(Place),
    /// Whether a directory is there at all.
    Whether(Place),
}

/// What there is to be asked of a directory.
enum Wish {
    All,
    /// Whether it has this one entry.
    One(String),
}

/// A directory, and how far patterns have come when they arrive at it.
#[derive(Debug, Clone)]
struct Place {
    root: String,
    names: Vec<String>,
    states: BTreeSet<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    pattern: usize,
    part: usize,
    /// What is left of the levels of a part that stands for some.
    levels: u8,
}

/// What to ask the endpoint next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// All that is in a directory.
    Into(String),
    /// One entry; it may not be there.
    At(String),
}

/// A file that fits.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub path: String,
    pub entry: DirEntry,
}

impl Walk {
    pub(super) fn new(os: Os, patterns: Vec<Pattern>, excluded: Vec<Pattern>) -> Self {
        let mut walk = Self {
            os,
            patterns,
            excluded,
            ahead: BTreeMap::new(),
            missing: BTreeSet::new(),
            known: BTreeSet::new(),
            asked: None,
            first: None,
        };
        for index in 0..walk.patterns.len() {
            let place = Place {
                root: walk.patterns[index].root.clone(),
                names: Vec::new(),
                states: BTreeSet::from([walk.state(index, 0)]),
            };
            walk.add(place);
        }
        walk
    }

    /// The next thing to ask; none when all has been seen.
    pub(super) fn next(&mut self) -> Option<Look> {
        if let Some(place) = self.first.take() {
            let look = Look::At(self.path(&place, None));
            self.asked = Some(Asked::Whether(place));
            return Some(look);
        }
        while let Some((key, place)) = self.ahead.pop_first() {
            if self.is_missing(&key) || self.leaves_out(&place) {
                continue;
            }
            let (wish, onward) = self.wish(&place);
            for place in onward {
                self.add(place);
            }
            if let Some(wish) = wish {
                let look = self.look(&place, &wish);
                self.asked = Some(match wish {
                    Wish::All => Asked::Into(place),
                    Wish::One(_) => Asked::At(place),
                });
                return Some(look);
            }
        }
        None
    }

    /// What will be asked next, whatever is answered now. Of several things below a folder that nobody has
    /// seen one is enough, since they may all be missing.
    pub(super) fn ahead(&self, most: usize) -> Vec<Look> {
        let mut looks = Vec::new();
        let mut unseen = BTreeSet::new();
        if let Some(Asked::Into(place) | Asked::At(place) | Asked::Whether(place)) = &self.asked {
            unseen.insert(self.folder_of(place));
        }
        let first = self.ahead.iter().take(2 * most);
        let mut places: BTreeMap<Key, Place> = first
            .map(|(key, place)| (key.clone(), place.clone()))
            .collect();
        while let Some((key, place)) = places.pop_first()
            && looks.len() < most
        {
            if self.is_missing(&key) {
                continue;
            }
            let (wish, onward) = self.wish(&place);
            for place in onward {
                merge(&mut places, self.key(&place.root, &place.names), place);
            }
            if let Some(wish) = wish {
                let folder = self.folder_of(&place);
                if self.known.contains(&folder) || unseen.insert(folder) {
                    looks.push(self.look(&place, &wish));
                }
            }
        }
        looks
    }

    /// The folder that a directory is in.
    fn folder_of(&self, place: &Place) -> Key {
        let mut key = self.key(&place.root, &place.names);
        key.pop();
        key
    }

    /// What there is to be asked of a directory, and where to go on without asking.
    fn wish(&self, place: &Place) -> (Option<Wish>, Vec<Place>) {
        let (mut wants_all, mut wanted, mut onward) = (false, BTreeMap::new(), Vec::new());
        for state in self.open(place) {
            match self.part(state) {
                Part::Name(name) if self.is_last(state) => {
                    wanted.insert(fold(name, self.os), name.clone());
                }
                Part::Name(name) => onward.push(place.below(name.clone(), self.after(state))),
                Part::Glob(_) | Part::Levels(_) => wants_all = true,
            }
        }
        if wants_all || wanted.len() > 1 {
            return (Some(Wish::All), Vec::new());
        }
        // Nothing is to be learnt of a directory of which only named ones are wanted.
        (wanted.pop_first().map(|(_, name)| Wish::One(name)), onward)
    }

    fn look(&self, place: &Place, wish: &Wish) -> Look {
        match wish {
            Wish::All => Look::Into(self.path(place, None)),
            Wish::One(name) => Look::At(self.path(place, Some(name))),
        }
    }

    /// What was there; files that fit come back.
    pub(super) fn seen(&mut self, entries: &[DirEntry]) -> Vec<Found> {
        let (place, goes_on) = match self.asked.take() {
            Some(Asked::Into(place)) => (place, true),
            Some(Asked::At(place)) => (place, false),
            Some(Asked::Whether(place)) => {
                self.known.insert(self.key(&place.root, &place.names));
                return Vec::new();
            }
            None => return Vec::new(),
        };
        self.known.insert(self.key(&place.root, &place.names));
        let open = self.open(&place);
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.name.raw();
            // What an endpoint says is a name must be one, or we would be led elsewhere.
            if matches!(name, "" | "." | "..") || name.contains(['/', self.os.separator()]) {
                continue;
            }
            let (is_wanted, onward) = self.step(&open, name);
            let mut names: Vec<&str> = place.names.iter().map(String::as_str).collect();
            names.push(name);
            if self.is_excluded(&place.root, &names) {
                continue;
            }
            if !entry.is_directory() {
                if is_wanted {
                    found.push(Found {
                        path: self.path(&place, Some(name)),
                        entry: entry.clone(),
                    });
                }
            } else if goes_on && !entry.is_reparse_point() {
                for state in onward {
                    self.add(place.below(name.to_owned(), state));
                }
            }
        }
        found
    }

    /// What was asked for is not there; `folder_too` if the directory that it would be in is not.
    pub(super) fn absent(&mut self, folder_too: bool) {
        let place = match self.asked.take() {
            Some(Asked::At(place)) if !folder_too => {
                self.known.insert(self.key(&place.root, &place.names));
                return;
            }
            Some(Asked::Into(place) | Asked::At(place) | Asked::Whether(place)) => place,
            None => return,
        };
        self.missing.insert(self.key(&place.root, &place.names));
        self.doubt(&place);
    }

    /// If more is asked for below a directory above, and nobody has seen that one, it is looked for first.
    fn doubt(&mut self, place: &Place) {
        for length in (1..place.names.len()).rev() {
            let names = &place.names[..length];
            let key = self.key(&place.root, names);
            if self.known.contains(&key) || self.is_missing(&key) {
                return;
            }
            let mut ahead = self.ahead.keys();
            if ahead.any(|other| other.starts_with(&key) && !self.is_missing(other)) {
                self.first = Some(Place {
                    root: place.root.clone(),
                    names: names.to_vec(),
                    states: BTreeSet::new(),
                });
                return;
            }
        }
    }

    /// Whether a name is wanted, and how far the patterns have come below it.
    fn step(&self, open: &BTreeSet<State>, name: &str) -> (bool, Vec<State>) {
        let (mut is_wanted, mut onward) = (false, Vec::new());
        for state in open {
            match self.part(*state) {
                Part::Levels(_) => {
                    let levels = state.levels.checked_sub(1);
                    onward.extend(levels.map(|levels| State { levels, ..*state }));
                }
                part if !part.fits(name, self.os) => {}
                _ if self.is_last(*state) => is_wanted = true,
                _ => onward.push(self.after(*state)),
            }
        }
        (is_wanted, onward)
    }

    /// The states of a place, with what follows levels of which none need be used.
    fn open(&self, place: &Place) -> BTreeSet<State> {
        let mut open = BTreeSet::new();
        for state in &place.states {
            let mut state = *state;
            open.insert(state);
            while let Part::Levels(_) = self.part(state) {
                state = self.after(state);
                open.insert(state);
            }
        }
        open
    }

    fn add(&mut self, place: Place) {
        let key = self.key(&place.root, &place.names);
        merge(&mut self.ahead, key, place);
    }

    fn state(&self, pattern: usize, part: usize) -> State {
        let levels = match self.patterns[pattern].parts[part] {
            Part::Levels(levels) => levels,
            Part::Name(_) | Part::Glob(_) => 0,
        };
        State {
            pattern,
            part,
            levels,
        }
    }

    fn after(&self, state: State) -> State {
        self.state(state.pattern, state.part + 1)
    }

    fn part(&self, state: State) -> &Part {
        &self.patterns[state.pattern].parts[state.part]
    }

    fn is_last(&self, state: State) -> bool {
        state.part + 1 == self.patterns[state.pattern].parts.len()
    }

    fn is_missing(&self, key: &[String]) -> bool {
        (1..=key.len()).any(|length| self.missing.contains(&key[..length]))
    }

    /// Whether a directory is excluded that a pattern leads to by its name.
    fn leaves_out(&self, place: &Place) -> bool {
        let names: Vec<&str> = place.names.iter().map(String::as_str).collect();
        self.is_excluded(&place.root, &names)
    }

    fn is_excluded(&self, root: &str, names: &[&str]) -> bool {
        let mut excluded = self.excluded.iter();
        excluded.any(|pattern| pattern.fits(root, names, self.os))
    }

    fn key(&self, root: &str, names: &[String]) -> Key {
        let all = std::iter::once(root).chain(names.iter().map(String::as_str));
        all.map(|name| fold(name, self.os)).collect()
    }

    fn path(&self, place: &Place, name: Option<&str>) -> String {
        let names: Vec<&str> = place.names.iter().map(String::as_str).chain(name).collect();
        format!(
            "{}{}",
            place.root,
            names.join(&self.os.separator().to_string())
        )
    }
}

/// What is wanted of one place is asked of it together.
fn merge(places: &mut BTreeMap<Key, Place>, key: Key, place: Place) {
    match places.entry(key) {
        Entry::Vacant(slot) => drop(slot.insert(place)),
        Entry::Occupied(mut slot) => slot.get_mut().states.extend(place.states),
    }
}

impl Place {
    fn below(&self, name: String, state: State) -> Self {
        let mut names = self.names.clone();
        names.push(name);
        Self {
            root: self.root.clone(),
            names,
            states: BTreeSet::from([state]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, attributes: &[&str]) -> DirEntry {
        DirEntry {
            name: name.into(),
            size: 1,
            attributes: attributes.iter().map(|a| (*a).to_owned()).collect(),
            created: None,
            accessed: None,
            written: None,
        }
    }

    /// Walks over files that there are; says what was asked and what was found.
    fn walked(
        os: Os,
        patterns: &[&str],
        excluded: &[&str],
        files: &[&str],
    ) -> (Vec<String>, Vec<String>) {
        let read = |texts: &[&str]| -> Vec<Pattern> {
            let all = texts
                .iter()
                .map(|text| Pattern::read(text, os, 10).expect(text));
            all.flatten().collect()
        };
        let mut walk = Walk::new(os, read(patterns), read(excluded));
        let separator = os.separator();
        // What is below a directory: names, and whether they are directories.
        let below = |directory: &str| -> BTreeMap<String, bool> {
            let directory = format!("{}{separator}", directory.trim_end_matches(separator));
            let mut all = BTreeMap::new();
            for file in files {
                if let Some((start, rest)) = file.split_at_checked(directory.len())
                    && fold(start, os) == fold(&directory, os)
                {
                    let (name, more) = match rest.split_once(separator) {
                        Some((name, _)) => (name, true),
                        None => (rest, false),
                    };
                    all.insert(name.to_owned(), more);
                }
            }
            all
        };
        let (mut asked, mut found) = (Vec::new(), Vec::new());
        let foretold = walk.ahead(1);
        while let Some(look) = walk.next() {
            assert!(asked.len() < 1000, "it goes on for ever: {asked:?}");
            if asked.is_empty() {
                assert_eq!(foretold.first(), Some(&look), "the first look is known");
            }
            let (text, path, names) = match look {
                Look::Into(path) => (format!("{path} …"), path.clone(), below(&path)),
                Look::At(path) => {
                    let (folder, name) = path.rsplit_once(separator).expect("a separator");
                    let mut all = below(folder);
                    all.retain(|other, _| fold(other, os) == fold(name, os));
                    (path.clone(), path, all)
                }
            };
            asked.push(text);
            if names.is_empty() {
                let folder = path.rsplit_once(separator).map_or("", |(folder, _)| folder);
                walk.absent(below(folder).is_empty());
                continue;
            }
            let entry = |(name, folder): (&String, &bool)| {
                entry(name, if *folder { &["DIRECTORY"] } else { &[] })
            };
            let entries: Vec<DirEntry> = names.iter().map(entry).collect();
            found.extend(walk.seen(&entries).into_iter().map(|found| found.path));
        }
        (asked, found)
    }

    const FILES: [&str; 9] = [
        r"C:\Users\ann\Desktop\a.txt",
        r"C:\Users\ann\Desktop\b.log",
        r"C:\Users\ann\AppData\Local\x.db",
        r"C:\Users\bob\Desktop\a.txt",
        r"C:\Users\Public\p.txt",
        r"C:\logs\1\2\3\deep.log",
        r"C:\logs\top.log",
        r"C:\boot.ini",
        r"D:\d.txt",
    ];

    #[test]
    fn a_directory_is_listed_once_for_all_patterns() {
        let patterns = [
            r"C:\Users\*\Desktop\*.txt",
            r"C:\users\*\desktop\*.log",
            r"c:\Users\ann\Desktop\a.txt",
            r"C:\boot.ini",
        ];
        let (asked, found) = walked(Os::Windows, &patterns, &[], &FILES);
        let expected = [
            r"C:\boot.ini",
            r"C:\Users …",
            r"C:\Users\ann\Desktop …",
            r"C:\Users\bob\Desktop …",
            r"C:\Users\Public\Desktop …",
        ];
        assert_eq!(asked, expected);
        let expected = [
            r"C:\boot.ini",
            r"C:\Users\ann\Desktop\a.txt",
            r"C:\Users\ann\Desktop\b.log",
            r"C:\Users\bob\Desktop\a.txt",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn nothing_is_looked_for_below_what_is_missing() {
        let deep: Vec<String> = (0..9).map(|n| format!(r"C:\No\Such\{n}\*.txt")).collect();
        let deep: Vec<&str> = deep.iter().map(String::as_str).collect();
        let (asked, found) = walked(Os::Windows, &deep, &[], &FILES);
        assert_eq!(asked, [r"C:\No\Such\0 …", r"C:\No\Such"], "{asked:?}");
        assert!(found.is_empty());
        // A directory above that is there is asked about once.
        let beside = [
            r"C:\Users\ann\no\*",
            r"C:\Users\ann\none\*",
            r"C:\Users\ann\nor\*",
        ];
        let (asked, _) = walked(Os::Windows, &beside, &[], &FILES);
        let expected = [
            r"C:\Users\ann\no …",
            r"C:\Users\ann",
            r"C:\Users\ann\none …",
            r"C:\Users\ann\nor …",
        ];
        assert_eq!(asked, expected);
    }

    #[test]
    fn levels_are_counted() {
        let found = |pattern: &str| walked(Os::Windows, &[pattern], &[], &FILES).1.len();
        assert_eq!(found(r"C:\logs\**\*.log"), 2);
        assert_eq!(found(r"C:\logs\**2\*.log"), 1);
        assert_eq!(found(r"C:\logs\**3\*.log"), 2);
        assert_eq!(found(r"C:\**"), 8);
        assert_eq!(found(r"D:\**"), 1);
    }

    #[test]
    fn what_is_excluded_is_not_entered() {
        let excluded = [r"C:\Users\Public", r"C:\logs\**", r"C:\**\*.db"];
        let (asked, found) = walked(Os::Windows, &[r"C:\**\*"], &excluded, &FILES);
        assert!(
            !asked.iter().any(|path| path.contains("Public")),
            "{asked:?}"
        );
        assert_eq!(found.len(), 4, "{found:?}");
        // Nor by its name.
        let (asked, _) = walked(
            Os::Windows,
            &[r"C:\users\public\p.txt", r"C:\logs\1\**"],
            &excluded,
            &FILES,
        );
        assert!(asked.is_empty(), "{asked:?}");
    }

    #[test]
    fn links_are_not_followed_and_names_must_be_names() {
        let pattern = Pattern::read(r"C:\**", Os::Windows, 10).expect("sound");
        let mut walk = Walk::new(Os::Windows, pattern, Vec::new());
        assert_eq!(walk.next(), Some(Look::Into(r"C:\".into())));
        let entries = [
            entry("junction", &["DIRECTORY", "REPARSE_POINT"]),
            entry("..", &["DIRECTORY"]),
            entry(r"..\up", &[]),
            entry("", &[]),
            entry("a/b", &[]),
            entry("link", &["REPARSE_POINT"]),
        ];
        let found = walk.seen(&entries);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, r"C:\link");
        assert_eq!(walk.next(), None);
    }

    #[test]
    fn linux_walks_too() {
        let files = ["/home/ann/.ssh/id_rsa", "/home/bob/x", "/root/.ssh/id_rsa"];
        let (asked, found) = walked(Os::Linux, &["~/.ssh/id_*"], &[], &files);
        assert_eq!(found, ["/home/ann/.ssh/id_rsa", "/root/.ssh/id_rsa"]);
        let expected = [
            "/home …",
            "/home/ann/.ssh …",
            "/home/bob/.ssh …",
            "/root/.ssh …",
        ];
        assert_eq!(asked, expected);
    }
}
