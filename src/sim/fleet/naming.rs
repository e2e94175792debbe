//! Names for a fleet: out of globs, or the usual ones.

use super::Wanted;
use crate::model::device::Os;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::HashSet;
use std::fmt::Write;

/// Numbers that a glob is tried with in a row before it counts as used up.
const TRIES: usize = 2_000;

pub(super) struct Names<'a> {
    wanted: &'a Wanted,
    fitting: GlobSet,
    excluded: GlobSet,
    given: HashSet<String>,
    /// The last number tried, per wanted glob and per excluded glob; none once it is used up.
    wanted_turns: Vec<Option<usize>>,
    excluded_turns: Vec<Option<usize>>,
    natural: usize,
}

impl<'a> Names<'a> {
    pub(super) fn new(wanted: &'a Wanted) -> Self {
        Self {
            fitting: set(&wanted.names),
            excluded: set(&wanted.exclude),
            given: HashSet::new(),
            wanted_turns: vec![Some(0); wanted.names.len()],
            excluded_turns: vec![Some(0); wanted.exclude.len()],
            natural: 0,
            wanted,
        }
    }

    /// A name that the targets select, if one is left.
    pub(super) fn fitting(&mut self, os: Os) -> Option<String> {
        if self.wanted.names.is_empty() || self.wanted.names.iter().any(|glob| glob == "*") {
            return Some(self.natural(os));
        }
        let mut turns = std::mem::take(&mut self.wanted_turns);
        let name = self.next(&self.wanted.names, &mut turns, |names, name| {
            names.fitting.is_match(name) && !names.excluded.is_match(name)
        });
        self.wanted_turns = turns;
        self.give(name)
    }

    /// A name that the targets exclude.
    pub(super) fn excluded(&mut self) -> Option<String> {
        let mut turns = std::mem::take(&mut self.excluded_turns);
        let name = self.next(&self.wanted.exclude, &mut turns, |names, name| {
            names.excluded.is_match(name)
        });
        self.excluded_turns = turns;
        self.give(name)
    }

    /// A name that no target mentions, where there can be one.
    pub(super) fn unfitting(&mut self) -> Option<String> {
        (0..TRIES).find_map(|_| {
            self.natural += 1;
            let name = format!("other-{:04}", self.natural);
            let is_free = !self.fitting.is_match(&name) && !self.given.contains(&name);
            is_free.then_some(name)
        })
    }

    /// What such a device would be called, had nobody asked; never an excluded name where that can be helped.
    pub(super) fn natural(&mut self, os: Os) -> String {
        let prefix = match os {
            Os::Windows => "WS",
            Os::Linux => "srv",
            Os::Macos => "MAC",
            Os::Other => "dev",
        };
        let mut prefix = prefix.to_owned();
        for _ in 0..TRIES {
            self.natural += 1;
            let name = format!("{prefix}-{:04}", self.natural);
            if !self.excluded.is_match(&name) && self.given.insert(name.clone()) {
                return name;
            }
            if self.natural.is_multiple_of(100) {
                // The whole family of names may be excluded.
                prefix.push('x');
            }
        }
        self.natural += 1;
        format!("{prefix}-{:04}", self.natural)
    }

    /// Goes round the globs, so that each gets its share.
    fn next(
        &self,
        globs: &[String],
        turns: &mut [Option<usize>],
        fits: impl Fn(&Self, &str) -> bool,
    ) -> Option<String> {
        let mut order: Vec<usize> = (0..globs.len()).filter(|at| turns[*at].is_some()).collect();
        order.sort_by_key(|at| turns[*at]);
        for at in order {
            let from = turns[at].unwrap_or(0) + 1;
            let hit = (from..from + TRIES).find_map(|number| {
                let name = fill(&globs[at], number);
                (fits(self, &name) && !self.given.contains(&name)).then_some((number, name))
            });
            match hit {
                Some((number, name)) => {
                    turns[at] = Some(number);
                    return Some(name);
                }
                None => turns[at] = None,
            }
        }
        None
    }

    fn give(&mut self, name: Option<String>) -> Option<String> {
        if let Some(name) = &name {
            self.given.insert(name.clone());
        }
        name
    }
}

/// A name out of a glob: stars become a number, question marks its digits, choices are taken in turn.
fn fill(glob: &str, number: usize) -> String {
    let digits = glob.matches('?').count();
    let mut digits = format!("{number:0digits$}").into_bytes();
    digits.reverse();
    let mut starred = false;
    let mut name = String::new();
    let mut chars = glob.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' if starred => {}
            '*' => {
                starred = true;
                let _ = write!(name, "{number:04}");
            }
            '?' => name.push(digits.pop().map_or('0', char::from)),
            '[' => {
                let class: Vec<char> = chars.by_ref().take_while(|c| *c != ']').collect();
                name.push(
                    class
                        .get(number % class.len().max(1))
                        .copied()
                        .unwrap_or('a'),
                );
            }
            '{' => {
                let choices: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let choices: Vec<&str> = choices.split(',').collect();
                name.push_str(choices[number / 2 % choices.len()]);
            }
            c => name.push(c),
        }
    }
    name
}

/// Globs that cannot be read match nothing: the playbook's own check refuses them with a message.
fn set(globs: &[String]) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        if let Ok(glob) = GlobBuilder::new(glob).case_insensitive(true).build() {
            builder.add(glob);
        }
    }
    builder.build().unwrap_or_default()
}
