//! Taking a map apart: what is asked for is known, what is left over is an error.
//!
//! A reader asks for each key once, in the order of its struct, and calls [`Fields::finish`] at the end.
//! Nothing stops at the first problem, and there is no second list of keys to keep in step.

use super::expr::Expr;
use super::field::{Field, FromText, read};
use super::text::Template;
use crate::text::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::text::escape::Escaped;
use crate::text::source::Span;
use crate::text::words::suggest;
use crate::text::yaml::{Key, Node, NodeKind};

/// What can be read from a node; what is wrong with it goes to `diagnostics`.
pub trait FromNode: Sized {
    fn from_node(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self>;
}

/// A map being read.
#[derive(Debug)]
pub struct Fields<'n, 'd> {
    what: &'static str,
    span: Span,
    entries: Entries<'n>,
    asked: Vec<&'static str>,
    hints: &'static [(&'static str, &'static str)],
    diagnostics: &'d mut Diagnostics,
}

#[derive(Debug)]
enum Entries<'n> {
    Map(&'n [(Key, Node)]),
    /// A scalar or list that stands for the value of this key.
    Short(&'static str, &'n Node),
    /// It was no map, and that has been said.
    Broken,
}

impl<'n, 'd> Fields<'n, 'd> {
    /// Reads a map; nothing at all is an empty one. `what` is how messages call it: `step`, `retry`.
    pub fn new(node: &'n Node, what: &'static str, diagnostics: &'d mut Diagnostics) -> Self {
        let entries = match &node.kind {
            NodeKind::Map(entries) => Entries::Map(entries),
            NodeKind::Null => Entries::Map(&[]),
            _ => {
                let message = format!("{what}: expected a map, found {}", node.describe());
                diagnostics.error(Code::WrongType, node.span, message);
                Entries::Broken
            }
        };
        Self {
            what,
            span: node.span,
            entries,
            asked: Vec::new(),
            hints: &[],
            diagnostics,
        }
    }

    /// As [`Self::new`], but what is no map stands for the value of `first`: `get_file: /etc/passwd`.
    pub fn with_short_form(
        node: &'n Node,
        what: &'static str,
        first: &'static str,
        diagnostics: &'d mut Diagnostics,
    ) -> Self {
        if matches!(node.kind, NodeKind::Map(_) | NodeKind::Null) {
            return Self::new(node, what, diagnostics);
        }
        Self {
            what,
            span: node.span,
            entries: Entries::Short(first, node),
            asked: Vec::new(),
            hints: &[],
            diagnostics,
        }
    }

    /// Words of other languages and what we call them: `("loop", "use `for_each`")`.
    #[must_use]
    pub fn hints(mut self, hints: &'static [(&'static str, &'static str)]) -> Self {
        self.hints = hints;
        self
    }

    /// The place of the whole map.
    pub fn span(&self) -> Span {
        self.span
    }

    pub fn diagnostics(&mut self) -> &mut Diagnostics {
        self.diagnostics
    }

    /// The keys that are there, asked for or not.
    pub fn keys(&self) -> impl Iterator<Item = &'n Key> + use<'n> {
        let entries = match self.entries {
            Entries::Map(entries) => entries,
            Entries::Short(..) | Entries::Broken => &[],
        };
        entries.iter().map(|(key, _)| key)
    }

    /// Whether it was no map at all, which has been said.
    pub fn is_broken(&self) -> bool {
        matches!(self.entries, Entries::Broken)
    }

    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Asks for a key as it is, even if it has no value.
    pub fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.asked.push(key);
        self.find(key)
    }

    /// The place of a key, or of the map if the key is not there.
    pub fn key_span(&self, key: &str) -> Span {
        self.keys()
            .find(|candidate| candidate.text == key)
            .map_or(self.span, |candidate| candidate.span)
    }

    /// The value of a key that may be missing.
    pub fn optional<T: FromNode>(&mut self, key: &'static str) -> Option<T> {
        let node = self.take_filled(key)?;
        T::from_node(node, self.diagnostics)
    }

    /// The value of a key, or this one.
    pub fn or<T: FromNode>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// The value of a key that has to be there; `None` means that something has been said.
    pub fn required<T: FromNode>(&mut self, key: &'static str) -> Option<T> {
        if !self.has(key) && !self.is_broken() {
            let message = format!("{} needs `{key}`", self.what);
            self.diagnostics.error(Code::MissingKey, self.span, message);
        }
        self.optional(key)
    }

    /// The value of a key that this version understands and does not carry out; that goes to `not_built`.
    pub fn later<T: FromNode>(
        &mut self,
        key: &'static str,
        not_built: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let value = self.optional(key)?;
        not_built.push(Diagnostic::not_built(self.key_span(key), key));
        Some(value)
    }

    /// As [`Self::later`]; but saying what holds anyway is no reason to refuse anything.
    pub fn later_or<T: FromNode + PartialEq>(
        &mut self,
        key: &'static str,
        default: T,
        not_built: &mut Vec<Diagnostic>,
    ) -> T {
        match self.optional(key) {
            Some(value) if value != default => {
                not_built.push(Diagnostic::not_built(self.key_span(key), key));
                value
            }
            _ => default,
        }
    }

    /// A map whose keys the author chose, such as `vars`.
    pub fn map<T: FromNode>(&mut self, key: &'static str) -> Option<Vec<(Key, T)>> {
        let node = self.take_filled(key)?;
        entries(node, key, self.diagnostics)
    }

    /// A key without a value is a mistake: YAML's nothing is not our default.
    fn take_filled(&mut self, key: &'static str) -> Option<&'n Node> {
        let node = self.take(key)?;
        if !node.is_null() {
            return Some(node);
        }
        let span = self.key_span(key);
        self.diagnostics
            .error(Code::WrongType, span, format!("`{key}` has no value"))
            .help("give it one, or remove the line");
        None
    }

    fn find(&self, key: &str) -> Option<&'n Node> {
        match self.entries {
            Entries::Map(entries) => entries
                .iter()
                .find(|(candidate, _)| candidate.text == key)
                .map(|(_, node)| node),
            Entries::Short(first, node) => (first == key).then_some(node),
            Entries::Broken => None,
        }
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self) {
        let Entries::Map(entries) = self.entries else {
            return;
        };
        for (key, _) in entries {
            if self.asked.contains(&key.text.as_str()) {
                continue;
            }
            #[cfg(test)]
            asked::record(&self.asked);
            let message = format!("{} has no key `{}`", self.what, Escaped(&key.text));
            let hint = self.hints.iter().find(|(foreign, _)| *foreign == key.text);
            let help = match hint {
                Some((_, hint)) => Some((*hint).to_owned()),
                // Comparing words takes its time.
                None if self.diagnostics.is_full() => None,
                None => suggest(&key.text, self.asked.iter().copied())
                    .map(|near| format!("did you mean `{near}`?")),
            };
            self.diagnostics
                .error(Code::UnknownKey, key.span, message)
                .maybe_help(help);
        }
    }
}

/// A map whose keys the author chose; all its values are read before giving up.
pub fn entries<T: FromNode>(
    node: &Node,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<(Key, T)>> {
    let Some(entries) = node.as_map() else {
        let message = format!("{what}: expected a map, found {}", node.describe());
        diagnostics.error(Code::WrongType, node.span, message);
        return None;
    };
    let read: Vec<_> = entries
        .iter()
        .map(|(key, value)| Some((key.clone(), T::from_node(value, diagnostics)?)))
        .collect();
    read.into_iter().collect()
}

impl FromNode for Template {
    fn from_node(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        Self::from_scalar(node, diagnostics)
    }
}

impl FromNode for Expr {
    fn from_node(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        Self::from_scalar(node, diagnostics)
    }
}

impl<T: FromText> FromNode for Field<T> {
    fn from_node(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        Self::from_scalar(node, diagnostics)
    }
}

/// Text that is not a template.
impl FromNode for String {
    fn from_node(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let text = node.scalar();
        if text.is_none() {
            let message = format!("expected text, found {}", node.describe());
            diagnostics.error(Code::WrongType, node.span, message);
        }
        text.map(str::to_owned)
    }
}

/// What is known when the playbook is read.
impl<T: FromText> FromNode for T {
    fn from_node(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read(node, diagnostics)
    }
}

/// A list, or one value that stands for a list of one.
impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Some(items) = node.as_list() else {
            return T::from_node(node, diagnostics).map(|item| vec![item]);
        };
        // All items are read before giving up, so that all of them are complained about.
        let read: Vec<_> = items
            .iter()
            .map(|item| T::from_node(item, diagnostics))
            .collect();
        read.into_iter().collect()
    }
}

/// The keys that a reader asked for before it met an unknown one, so that a test can hold the schema
/// against them.
#[cfg(test)]
pub(crate) mod asked {
    use std::cell::RefCell;

    thread_local! {
        static LAST: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn record(keys: &[&'static str]) {
        LAST.set(keys.to_vec());
    }

    /// Those of the last map in which this thread met an unknown key.
    pub(crate) fn take() -> Vec<&'static str> {
        LAST.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{Choice, Data, Scope, to_value};
    use crate::text::duration::Duration;
    use crate::text::size::Size;
    use crate::text::source::Source;
    use crate::text::yaml;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum IfMissing {
        Fail,
        Skip,
    }

    impl Choice for IfMissing {
        const CHOICES: &'static [(&'static str, Self)] =
            &[("fail", Self::Fail), ("skip", Self::Skip)];
    }

    /// Stands for the arguments of a step.
    #[derive(Debug, PartialEq)]
    struct GetFile {
        path: Vec<Template>,
        save_as: Option<Template>,
        max_size: Option<Field<Size>>,
        timeout: Field<Duration>,
        if_missing: IfMissing,
        sample: bool,
        when: Option<Expr>,
        vars: Vec<(Key, Data)>,
    }

    impl FromNode for GetFile {
        fn from_node(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
            let mut fields = Fields::with_short_form(node, "get_file", "path", diagnostics)
                .hints(&[("loop", "use `for_each`")]);
            let path = fields.required("path");
            let save_as = fields.optional("save_as");
            let max_size = fields.optional("max_size");
            let timeout = fields.or("timeout", Field::Literal(Duration::from_secs(120)));
            let if_missing = fields.or("if_missing", IfMissing::Fail);
            let sample = fields.or("sample", false);
            let when = fields.optional("when");
            let vars = fields.map("vars").unwrap_or_default();
            fields.finish();
            Some(Self {
                path: path?,
                save_as,
                max_size,
                timeout,
                if_missing,
                sample,
                when,
                vars,
            })
        }
    }

    fn read(
        text: &str,
    ) -> (
        Source,
        Option<GetFile>,
        Vec<crate::text::diagnostic::Diagnostic>,
    ) {
        let mut diagnostics = Diagnostics::new();
        let (source, node) = yaml::load("p.yaml", text.as_bytes(), &mut diagnostics);
        let node = node.expect("is YAML");
        let node = node.get("get_file").expect("the key is there");
        let sample = GetFile::from_node(node, &mut diagnostics);
        (source, sample, diagnostics.into_vec())
    }

    #[test]
    fn a_full_map_is_read() {
        let (_, sample, all) = read(
            "get_file: {path: [a, 'b{{ x }}'], max_size: '{{ m }}', timeout: 5m, if_missing: skip, \
             sample: true, when: x > 1, vars: {a: 1, b: ['{{ x }}', ~]}}",
        );
        assert!(all.is_empty(), "{all:?}");
        let sample = sample.expect("nothing was wrong");
        assert_eq!(sample.path.len(), 2);
        assert_eq!(sample.timeout, Field::Literal(Duration::from_secs(300)));
        assert_eq!((sample.if_missing, sample.sample), (IfMissing::Skip, true));
        let scope = Scope::from_iter([("x", 5)]);
        assert_eq!(sample.when.map(|when| when.test(&scope)), Some(Ok(true)));
        let [(a, _), (b, list)] = &sample.vars[..] else {
            panic!("two of them");
        };
        assert_eq!((a.text.as_str(), b.text.as_str()), ("a", "b"));
        assert_eq!(list.evaluate(&scope), Ok(to_value(&vec![Some(5), None])));
        assert_eq!(list.references().count(), 1);
    }

    #[test]
    fn what_is_no_map_stands_for_the_first_argument() {
        for (text, paths) in [("/etc/passwd", 1), ("[a, b]", 2), ("5", 1)] {
            let (_, sample, all) = read(&format!("get_file: {text}"));
            assert!(all.is_empty(), "{all:?}");
            assert_eq!(sample.map(|sample| sample.path.len()), Some(paths));
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let (source, sample, all) = read(
            "get_file:\n  paht: x\n  loop: y\n  max_size: 5\n  timeout: [1]\n  if_missing: skp\n  \
             sample: maybe\n  save_as:\n  when: {a: b}\n",
        );
        assert_eq!(sample, None);
        let told: Vec<_> = all
            .iter()
            .map(|one| {
                let line = source.place(one.span.start).line;
                let help = one.help.as_deref().unwrap_or_default();
                (line, one.code.slug(), one.message.as_str(), help)
            })
            .collect();
        let missing = (2, "missing-key", "get_file needs `path`", "");
        let unknown = (
            2,
            "unknown-key",
            "get_file has no key `paht`",
            "did you mean `path`?",
        );
        let expected = [
            unknown,
            missing,
            (
                3,
                "unknown-key",
                "get_file has no key `loop`",
                "use `for_each`",
            ),
            (
                4,
                "bad-value",
                "a size needs a unit: write 5B for bytes or 5MiB, found `5`",
                "",
            ),
            (
                5,
                "wrong-type",
                "expected a duration such as 90s, 5m, 4h or 7d, found a list",
                "",
            ),
            (
                6,
                "bad-value",
                "expected fail or skip, found `skp`",
                "did you mean `skip`?",
            ),
            (7, "bad-value", "expected true or false, found `maybe`", ""),
            (
                8,
                "wrong-type",
                "`save_as` has no value",
                "give it one, or remove the line",
            ),
            (9, "wrong-type", "expected an expression, found a map", ""),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn nothing_is_an_empty_map_and_no_map_is_said_once() {
        let mut diagnostics = Diagnostics::new();
        let (_, node) = yaml::load("p", b"a:\nb: 5\n", &mut diagnostics);
        let node = node.expect("is YAML");
        for (key, count) in [("a", 1), ("b", 1)] {
            let mut diagnostics = Diagnostics::new();
            let node = node.get(key).expect("the key is there");
            let mut fields = Fields::new(node, "retry", &mut diagnostics);
            assert_eq!(fields.required::<u64>("attempts"), None);
            fields.finish();
            assert_eq!(diagnostics.len(), count, "{diagnostics:?}");
        }
    }
}
