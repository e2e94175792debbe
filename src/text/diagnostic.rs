//! Messages to the author of a file: one complaint, with its place and a way out.
//!
//! Nothing is drawn here (`render` does), and nothing stops at the first problem: a reader collects
//! all of them and goes on.

use super::source::Span;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Error,
    Warning,
}

/// What kind of complaint this is. The slug is stable: documentation and scripts refer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The file is not YAML.
    Syntax,
    /// YAML that we do not accept: anchors, aliases, merge keys, tags, several documents.
    YamlFeature,
    /// YAML that means something else than it looks like.
    Trap,
    /// Too large, too deep, too many.
    Limit,
    UnknownKey,
    MissingKey,
    DuplicateKey,
    WrongType,
    BadValue,
    DuplicateId,
    NoAction,
    TwoActions,
    Permission,
    /// A key that a later version will understand.
    Reserved,
    TemplateSyntax,
    UndefinedVariable,
    UndefinedFilter,
    RegisterBeforeUse,
    UnusedVariable,
    Unreachable,
    /// Text that nobody has seen yet in a command line.
    Unquoted,
    /// A command line or a step that destroys.
    Danger,
    /// `effect: read` on what is not known to read only.
    EffectDoubt,
    /// A file that is left on the endpoint.
    Cleanup,
    /// A value that nobody may see, in a place where it would be seen.
    Secret,
}

impl Code {
    pub const ALL: [Self; 25] = [
        Self::Syntax,
        Self::YamlFeature,
        Self::Trap,
        Self::Limit,
        Self::UnknownKey,
        Self::MissingKey,
        Self::DuplicateKey,
        Self::WrongType,
        Self::BadValue,
        Self::DuplicateId,
        Self::NoAction,
        Self::TwoActions,
        Self::Permission,
        Self::Reserved,
        Self::TemplateSyntax,
        Self::UndefinedVariable,
        Self::UndefinedFilter,
        Self::RegisterBeforeUse,
        Self::UnusedVariable,
        Self::Unreachable,
        Self::Unquoted,
        Self::Danger,
        Self::EffectDoubt,
        Self::Cleanup,
        Self::Secret,
    ];

    pub const fn slug(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::YamlFeature => "yaml-feature",
            Self::Trap => "trap",
            Self::Limit => "limit",
            Self::UnknownKey => "unknown-key",
            Self::MissingKey => "missing-key",
            Self::DuplicateKey => "duplicate-key",
            Self::WrongType => "wrong-type",
            Self::BadValue => "bad-value",
            Self::DuplicateId => "duplicate-id",
            Self::NoAction => "no-action",
            Self::TwoActions => "two-actions",
            Self::Permission => "permission",
            Self::Reserved => "reserved",
            Self::TemplateSyntax => "template-syntax",
            Self::UndefinedVariable => "undefined-variable",
            Self::UndefinedFilter => "undefined-filter",
            Self::RegisterBeforeUse => "register-before-use",
            Self::UnusedVariable => "unused-variable",
            Self::Unreachable => "unreachable",
            Self::Unquoted => "unquoted",
            Self::Danger => "danger",
            Self::EffectDoubt => "effect-doubt",
            Self::Cleanup => "cleanup",
            Self::Secret => "secret",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.slug())
    }
}

/// One message to an author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    pub span: Span,
    pub message: String,
    /// What to do about it, as an instruction.
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, span, message.into())
    }

    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, span, message.into())
    }

    fn new(code: Code, severity: Severity, span: Span, message: String) -> Self {
        Self {
            code,
            severity,
            span,
            message,
            help: None,
        }
    }

    /// A key that this version understands and does not carry out. `check` says nothing of it; what would
    /// have to carry it out refuses it with this.
    pub fn not_built(key: Span, name: &str) -> Self {
        let mut this = Self::error(Code::Reserved, key, format!("`{name}` is not built yet"));
        this.help("remove it, or wait for a later version");
        this
    }

    /// Adds the way out.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the way out, if there is one.
    pub fn maybe_help(&mut self, help: Option<impl Into<String>>) -> &mut Self {
        if let Some(help) = help {
            self.help(help);
        }
        self
    }

    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help(help);
        self
    }
}

/// Nobody reads more than these, and a file of nothing but mistakes must not fill the memory.
const MOST: usize = 1_000;

/// All that is to be said about a file, up to a thousand of it.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    all: Vec<Diagnostic>,
    /// What came after the thousandth: how many, whether errors among them, and the last one.
    more: usize,
    more_errors: bool,
    last: Option<Diagnostic>,
}

impl Diagnostics {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        if self.is_full() {
            self.more += 1;
            self.more_errors |= diagnostic.severity == Severity::Error;
            return self.last.insert(diagnostic);
        }
        self.all.push(diagnostic);
        self.all.last_mut().expect("one was pushed just now")
    }

    /// Whether what comes now is only counted.
    pub fn is_full(&self) -> bool {
        self.all.len() >= MOST
    }

    /// Adds an error; `.help(…)` can follow.
    pub fn error(&mut self, code: Code, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::error(code, span, message))
    }

    /// Adds a warning; `.help(…)` can follow.
    pub fn warn(&mut self, code: Code, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::warning(code, span, message))
    }

    pub fn has_errors(&self) -> bool {
        let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
        self.more_errors || self.all.iter().any(is_error)
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.all.iter()
    }

    /// Moves all places by so much: the file does not stand first among several.
    pub fn shift(&mut self, by: usize) {
        for diagnostic in self.all.iter_mut().chain(&mut self.last) {
            diagnostic.span = diagnostic.span.shifted(by);
        }
    }

    /// Adds all that another file gave.
    pub fn append(&mut self, other: Self) {
        self.extend(other.all);
        if let Some(last) = other.last {
            self.more += other.more;
            self.more_errors |= other.more_errors;
            self.last = Some(last);
        }
    }

    /// In the order of the file, each said once; at last, how many more there are.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        let mut all = self.all;
        all.sort_by_key(|diagnostic| (diagnostic.span, diagnostic.severity));
        all.dedup();
        if let Some(last) = self.last {
            let message = format!("{} more problems are not told", self.more);
            let mut more = Diagnostic::new(Code::Limit, Severity::Warning, last.span, message);
            if self.more_errors {
                more.severity = Severity::Error;
            }
            all.push(more.with_help("mend the others first"));
        }
        all
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, iter: T) {
        for diagnostic in iter {
            self.push(diagnostic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_distinct_and_kebab_case() {
        let mut slugs: Vec<_> = Code::ALL.iter().map(|code| code.slug()).collect();
        assert!(
            slugs
                .iter()
                .all(|slug| slug.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        );
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), Code::ALL.len());
    }

    #[test]
    fn a_file_of_nothing_but_mistakes_does_not_fill_the_memory() {
        let mut all = Diagnostics::new();
        for at in 0..MOST {
            all.warn(Code::UnusedVariable, Span::at(at), "kept");
        }
        assert!(!all.has_errors() && all.is_full());
        all.error(Code::BadValue, Span::at(7), "only counted");
        all.warn(Code::BadValue, Span::at(8), "only counted");
        assert!(all.has_errors());
        let all = all.into_vec();
        let last = all.last().expect("there are many");
        assert_eq!(all.len(), MOST + 1);
        assert_eq!(
            (last.severity, last.message.as_str()),
            (Severity::Error, "2 more problems are not told")
        );
    }

    #[test]
    fn they_come_in_the_order_of_the_file_and_once() {
        let mut all = Diagnostics::new();
        all.warn(Code::UnusedVariable, Span::new(9, 10), "late");
        assert!(!all.has_errors());
        all.error(Code::BadValue, Span::new(2, 3), "early")
            .help("do it");
        all.error(Code::BadValue, Span::new(2, 3), "early")
            .help("do it");
        assert!(all.has_errors());
        let all = all.into_vec();
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[0].message.as_str(), all[0].help.as_deref()),
            ("early", Some("do it"))
        );
    }
}
