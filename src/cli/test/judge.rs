//! What was expected against what came: every difference, each with the place that expected it.

use super::expect::{DeviceWish, Expect, FindingWish};
use super::rehearse::{Seen, Trial};
use super::wished::{Extent, On, Wished};
use crate::model::outcome::DeviceState;
use crate::model::row::Severity;
use crate::template::Spanned;
use crate::text::source::Span;
use crate::text::wildcard;
use crate::text::words::Count;
use crate::text::yaml::{Key, Node, NodeKind};
use serde_json::Value;

/// More than these in a list are counted.
const MOST: usize = 8;

/// Something that did not come as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) note: Option<String>,
}

struct Judge<'a> {
    trial: &'a Trial,
    broken: Vec<Broken>,
}

/// Everything that did not come as expected, in the order of its places.
pub(super) fn judge(expect: &Expect, trial: &Trial) -> Vec<Broken> {
    let mut judge = Judge {
        trial,
        broken: Vec::new(),
    };
    judge.exit(expect);
    // Without a run, nothing else could be as expected, and its exit code has said so.
    if trial.why.is_none() || judge.broken.is_empty() {
        judge.devices(&expect.devices);
        judge.steps(expect);
        if let Some(wished) = &expect.findings {
            judge.findings(wished);
        }
        if let Some(wished) = &expect.files {
            judge.files(wished);
        }
        judge.outputs(expect);
        for wish in &expect.executed {
            judge.executed(wish);
        }
    }
    for stray in &trial.strays {
        let message =
            format!("something was executed on a device that is none of the run's: {stray}");
        judge.say(expect.span, message, None);
    }
    judge.broken.sort_by_key(|broken| broken.span);
    judge.broken
}

impl<'a> Judge<'a> {
    fn say(&mut self, span: Span, message: String, note: Option<String>) {
        self.broken.push(Broken {
            span,
            message,
            note,
        });
    }

    fn exit(&mut self, expect: &Expect) {
        let (expected, span) = match &expect.exit {
            Some(exit) => (exit.value, exit.span),
            None => (0, expect.span),
        };
        let found = self.trial.exit.code();
        if expected != u64::from(found) {
            let message = format!("expected exit code {expected}, found {found}");
            let note = self.trial.why.clone().or_else(|| self.not_ok());
            self.say(span, message, note);
        }
    }

    /// How the devices ended that are not ok.
    fn not_ok(&self) -> Option<String> {
        let told = self
            .trial
            .devices
            .iter()
            .filter(|seen| seen.state != Some(DeviceState::Ok));
        let told: Vec<String> = told.map(Seen::end).collect();
        (!told.is_empty()).then(|| shortened(&told))
    }

    fn devices(&mut self, wishes: &[DeviceWish]) {
        for wish in wishes {
            match wish {
                DeviceWish::Count(state, count) => {
                    let all = self.trial.devices.iter();
                    let found = all.filter(|seen| seen.state == Some(*state)).count() as u64;
                    if found != count.value {
                        let devices = Count(count.value, "device");
                        let message = format!("expected {devices} to be {state}, found {found}");
                        let ends: Vec<String> = self.trial.devices.iter().map(Seen::end).collect();
                        self.say(count.span, message, Some(shortened(&ends)));
                    }
                }
                DeviceWish::Is(device, state) => {
                    for seen in self.on(Some(device)) {
                        if seen.state != Some(state.value) {
                            let message = format!("expected {} to be {}", seen.name, state.value);
                            self.say(state.span, message, Some(seen.end()));
                        }
                    }
                }
            }
        }
    }

    /// The devices of the run, or the one that is meant.
    fn on(&mut self, device: Option<&Key>) -> Vec<&'a Seen> {
        let all = &self.trial.devices;
        let Some(key) = device else {
            return all.iter().collect();
        };
        let found: Vec<&Seen> = all
            .iter()
            .filter(|seen| seen.name.to_lowercase() == key.text.to_lowercase())
            .collect();
        if found.is_empty() {
            let names: Vec<String> = all.iter().map(|seen| seen.name.clone()).collect();
            let note = format!("the run's devices are {}", shortened(&names));
            let message = format!("the run has no device `{}`", key.text);
            self.say(key.span, message, (!names.is_empty()).then_some(note));
        }
        found
    }

    fn steps(&mut self, expect: &Expect) {
        for On { device, what } in &expect.steps {
            let (step, ended) = what;
            for seen in self.on(device.as_ref()) {
                let found = seen.steps.iter().find(|(id, _, _)| *id == step.text);
                if found.is_some_and(|(_, word, _)| *word == ended.value.0) {
                    continue;
                }
                let found = match found {
                    Some((_, word, Some(why))) => format!("{word}: {why}"),
                    Some((_, word, None)) => (*word).to_owned(),
                    None => "that it never began".to_owned(),
                };
                let name = &seen.name;
                let message = format!(
                    "expected this step to be {} on {name}, found {found}",
                    ended.value.0
                );
                self.say(ended.span, message, None);
            }
        }
    }

    fn findings(&mut self, wished: &Wished<FindingWish>) {
        let mut made: Vec<(&str, Severity, &str)> = Vec::new();
        for seen in &self.trial.devices {
            let all = seen.findings.iter();
            made.extend(
                all.map(|(severity, title)| (seen.name.as_str(), *severity, title.as_str())),
            );
        }
        let told_all: Vec<String> = made.iter().map(finding).collect();
        let note = told("there were no findings", "the findings were", &told_all);
        // Who says more about a finding chooses first.
        let mut by_detail: Vec<&FindingWish> = wished.items.iter().collect();
        by_detail.sort_by_key(|wish| {
            u8::from(wish.device.is_none()) + u8::from(wish.severity.is_none())
        });
        for wish in by_detail {
            let Some(at) = made.iter().position(|one| wish.fits(one)) else {
                self.say(
                    wish.title.span,
                    "expected this finding, and it was not made".to_owned(),
                    Some(note.clone()),
                );
                continue;
            };
            made.swap_remove(at);
        }
        let others: Vec<String> = made.iter().map(finding).collect();
        if wished.extent == Extent::All && !others.is_empty() {
            let message = format!("found, and not expected: {}", shortened(&others));
            self.say(wished.span, message, None);
        }
    }

    fn files(&mut self, wished: &Wished<Spanned<String>>) {
        let mut found: Vec<String> = Vec::new();
        for path in self.trial.devices.iter().flat_map(|seen| &seen.files) {
            if !found.contains(path) {
                found.push(path.clone());
            }
        }
        for pattern in &wished.items {
            if !found.iter().any(|path| fits(&pattern.value, path)) {
                let note = told("no files were fetched", "the files were", &found);
                self.say(
                    pattern.span,
                    "expected this file, and it was not fetched".to_owned(),
                    Some(note),
                );
            }
        }
        let is_expected = |path: &String| {
            let mut all = wished.items.iter();
            all.any(|pattern| fits(&pattern.value, path))
        };
        found.retain(|path| !is_expected(path));
        if wished.extent == Extent::All && !found.is_empty() {
            let message = format!("fetched, and not expected: {}", shortened(&found));
            self.say(wished.span, message, None);
        }
    }

    fn outputs(&mut self, expect: &Expect) {
        for On { device, what } in &expect.outputs {
            let (output, expected) = what;
            for seen in self.on(device.as_ref()) {
                let found = seen.outputs.get(&output.text).unwrap_or(&Value::Null);
                if !same(expected, found) {
                    let message = format!("expected this on {}, found {}", seen.name, shown(found));
                    self.say(expected.span, message, None);
                }
            }
        }
    }

    /// What an endpoint executed, in order.
    fn executed(&mut self, wish: &On<Wished<Spanned<String>>>) {
        let On { device, what } = wish;
        for seen in self.on(device.as_ref()) {
            let found = &seen.executed;
            let on = &seen.name;
            let note = told("nothing was executed", "executed were", found);
            if what.extent == Extent::Contains {
                for pattern in &what.items {
                    if !found.iter().any(|one| fits(&pattern.value, one)) {
                        let message = format!("expected this to be executed on {on}");
                        self.say(pattern.span, message, Some(note.clone()));
                    }
                }
                continue;
            }
            let agree = what
                .items
                .iter()
                .zip(found)
                .take_while(|(pattern, one)| fits(&pattern.value, one));
            let agree = agree.count();
            match (what.items.get(agree), found.get(agree)) {
                (None, None) => {}
                (Some(pattern), _) => {
                    let message = format!("expected this to be executed on {on}, at this point");
                    self.say(pattern.span, message, Some(note));
                }
                (None, Some(one)) => {
                    let message = format!("executed on {on}, and not expected: {one}");
                    self.say(what.span, message, Some(note));
                }
            }
        }
    }
}

impl Seen {
    fn end(&self) -> String {
        let state = self.state.map_or("without an end", DeviceState::as_str);
        match &self.reason {
            Some(reason) => format!("{} is {state} ({reason})", self.name),
            None => format!("{} is {state}", self.name),
        }
    }
}

impl FindingWish {
    fn fits(&self, (device, severity, title): &(&str, Severity, &str)) -> bool {
        let same_device = |wanted: &String| wanted.to_lowercase() == device.to_lowercase();
        self.title.value == *title
            && self.device.as_ref().is_none_or(same_device)
            && self.severity.is_none_or(|wanted| wanted == *severity)
    }
}

fn finding((device, severity, title): &(&str, Severity, &str)) -> String {
    format!("`{title}` ({severity}) on {device}")
}

/// Paths and commands are compared without regard to case, as most of the endpoints do.
fn fits(pattern: &str, text: &str) -> bool {
    wildcard::fits(&pattern.to_lowercase(), &text.to_lowercase())
}

/// A value of an output against how a person wrote it.
fn same(expected: &Node, found: &Value) -> bool {
    match (&expected.kind, found) {
        (NodeKind::Null, found) => found.is_null(),
        (NodeKind::List(items), Value::Array(found)) => {
            items.len() == found.len() && items.iter().zip(found).all(|(a, b)| same(a, b))
        }
        (NodeKind::Map(entries), Value::Object(found)) => {
            let fits = |(key, node): &(Key, Node)| {
                found.get(&key.text).is_some_and(|value| same(node, value))
            };
            entries.len() == found.len() && entries.iter().all(fits)
        }
        (NodeKind::List(_) | NodeKind::Map(_), _) => false,
        (_, Value::String(found)) => expected.scalar() == Some(found),
        (_, Value::Number(_) | Value::Bool(_)) => expected.scalar() == Some(&*found.to_string()),
        _ => false,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    }
}

/// What there was instead.
fn told(none: &str, some: &str, items: &[String]) -> String {
    if items.is_empty() {
        none.to_owned()
    } else {
        format!("{some} {}", shortened(items))
    }
}

/// The first of a list.
fn shortened(items: &[String]) -> String {
    let first = items[..items.len().min(MOST)].join(", ");
    match items.len().checked_sub(MOST).filter(|more| *more > 0) {
        Some(more) => format!("{first} and {more} more"),
        None => first,
    }
}
