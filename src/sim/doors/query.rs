//! The Lucene-like query of searches, as far as it is sensible here: words, `field:value`, wildcards,
//! quotes, `AND`, `OR`, `NOT`, `-`, parentheses. No ranges: those are refused.

use crate::text::wildcard;

/// None means everything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    root: Option<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    All(Vec<Part>),
    Any(Vec<Part>),
    Not(Box<Part>),
    Term {
        field: Option<String>,
        value: String,
    },
}

/// How deep parentheses and negations may nest.
const DEEPEST: usize = 32;

impl Query {
    pub(super) fn read(text: &str) -> Result<Self, ()> {
        let tokens = tokens(text)?;
        if tokens.is_empty() {
            return Ok(Self::default());
        }
        let mut reader = Reader { tokens, at: 0 };
        let root = reader.any(None, 0)?;
        match reader.peek() {
            None => Ok(Self { root: Some(root) }),
            Some(_) => Err(()),
        }
    }

    /// Looks for words in fields: without a field, in any of them.
    pub(super) fn fits(&self, fields: &[(&'static str, String)]) -> bool {
        self.holds(&|wanted, value| {
            fields
                .iter()
                .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name))
                .any(|(_, own)| is_in(value, &own.to_lowercase()))
        })
    }

    /// Is it true, if `term` says of each field (or of none) and value whether they fit? Both are folded.
    pub(super) fn holds(&self, term: &Judge<'_>) -> bool {
        self.root.as_ref().is_none_or(|root| root.holds(term))
    }

    /// Every field and value that it names, in order.
    pub(super) fn terms(&self) -> Vec<(Option<&str>, &str)> {
        let mut terms = Vec::new();
        if let Some(root) = &self.root {
            root.tell(&mut terms);
        }
        terms
    }
}

type Judge<'a> = dyn Fn(Option<&str>, &str) -> bool + 'a;

impl Part {
    fn holds(&self, term: &Judge<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(term)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(term)),
            Self::Not(part) => !part.holds(term),
            Self::Term { field, value } => term(field.as_deref(), value),
        }
    }

    fn tell<'a>(&'a self, terms: &mut Vec<(Option<&'a str>, &'a str)>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.tell(terms)),
            Self::Not(part) => part.tell(terms),
            Self::Term { field, value } => terms.push((field.as_deref(), value)),
        }
    }
}

/// A word without wildcards may stand anywhere in a value: `WS` finds `WS-0001`.
fn is_in(wanted: &str, value: &str) -> bool {
    if wildcard::has_wildcard(wanted) {
        wildcard::fits(wanted, value)
    } else {
        value.contains(wanted)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    /// `name:` before a parenthesis.
    Field(String),
    Word(String),
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next_is(&mut self, token: &Token) -> bool {
        let is_it = self.peek() == Some(token);
        self.at += usize::from(is_it);
        is_it
    }

    fn any(&mut self, field: Option<&str>, depth: usize) -> Result<Part, ()> {
        let mut parts = vec![self.all(field, depth)?];
        while self.next_is(&Token::Or) {
            parts.push(self.all(field, depth)?);
        }
        Ok(Part::Any(parts))
    }

    /// What stands side by side must all hold, with and without `AND`.
    fn all(&mut self, field: Option<&str>, depth: usize) -> Result<Part, ()> {
        let mut parts = vec![self.one(field, depth)?];
        loop {
            let and = self.next_is(&Token::And);
            match self.peek() {
                None | Some(Token::Or | Token::Close) if !and => return Ok(Part::All(parts)),
                _ => parts.push(self.one(field, depth)?),
            }
        }
    }

    fn one(&mut self, field: Option<&str>, depth: usize) -> Result<Part, ()> {
        if depth > DEEPEST {
            return Err(());
        }
        let at = self.at;
        self.at += 1;
        let token = self.tokens.get_mut(at).ok_or(())?;
        match std::mem::replace(token, Token::Close) {
            Token::Not => Ok(Part::Not(Box::new(self.one(field, depth + 1)?))),
            Token::Open => self.group(field, depth),
            Token::Field(name) if self.next_is(&Token::Open) => self.group(Some(&name), depth),
            Token::Word(word) => Ok(term(field, &word)),
            _ => Err(()),
        }
    }

    fn group(&mut self, field: Option<&str>, depth: usize) -> Result<Part, ()> {
        let part = self.any(field, depth + 1)?;
        if self.next_is(&Token::Close) {
            Ok(part)
        } else {
            Err(())
        }
    }
}

fn term(field: Option<&str>, word: &str) -> Part {
    let (field, value) = match word.split_once(':') {
        // A colon within quotes belongs to what they hold together.
        Some((field, value)) if !field.contains('"') => (Some(field.to_lowercase()), value),
        _ => (field.map(str::to_owned), word),
    };
    Part::Term {
        field,
        value: value.replace('"', "").to_lowercase(),
    }
}

/// Words, where quotes hold blanks together, and what stands between them.
fn tokens(text: &str) -> Result<Vec<Token>, ()> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '[' | ']' | '{' | '}' if !quoted => return Err(()),
            '(' | ')' if !quoted => {
                let name = (c == '(').then(|| word.strip_suffix(':')).flatten();
                if let Some(name) = name.map(str::to_lowercase) {
                    tokens.push(Token::Field(name));
                    word.clear();
                }
                end(&mut word, &mut tokens);
                tokens.push(if c == '(' { Token::Open } else { Token::Close });
                continue;
            }
            '-' | '+' if word.is_empty() && !quoted => {
                if c == '-' {
                    tokens.push(Token::Not);
                }
                continue;
            }
            c if c.is_whitespace() && !quoted => {
                end(&mut word, &mut tokens);
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    end(&mut word, &mut tokens);
    if quoted { Err(()) } else { Ok(tokens) }
}

fn end(word: &mut String, tokens: &mut Vec<Token>) {
    let word = std::mem::take(word);
    match word.as_str() {
        "" => {}
        "AND" => tokens.push(Token::And),
        "OR" => tokens.push(Token::Or),
        "NOT" => tokens.push(Token::Not),
        _ => tokens.push(Token::Word(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_select_by_word_and_field() {
        let fields = [
            ("name", "WS-0007".to_owned()),
            ("os_version", "Windows 10 x64".to_owned()),
        ];
        let table = [
            ("", Ok(true)),
            ("name:WS*", Ok(true)),
            ("name:WS", Ok(true)),
            ("name:SRV*", Ok(false)),
            ("ws-0007", Ok(true)),
            ("x64 AND name:ws-*", Ok(true)),
            ("name:SRV* OR os_version:\"windows 10*\"", Ok(true)),
            ("NOT name:WS*", Ok(false)),
            ("x64 -name:SRV*", Ok(true)),
            ("os:WS*", Ok(false)),
            ("(name:WS*)", Ok(true)),
            ("(name:SRV* OR x64) AND name:WS*", Ok(true)),
            ("x64 -(name:WS* OR name:SRV*)", Ok(false)),
            ("name:(SRV* OR ws-0007)", Ok(true)),
            ("name:(SRV* OR x64)", Ok(false)),
            ("NOT NOT x64", Ok(true)),
            ("(name:WS*", Err(())),
            ("name:WS*)", Err(())),
            ("()", Err(())),
            ("id:[1 TO 5]", Err(())),
            ("x64 AND", Err(())),
            ("NOT", Err(())),
            ("name:\"WS", Err(())),
            ("name:WS* OR", Err(())),
        ];
        for (text, expected) in table {
            assert_eq!(
                Query::read(text).map(|q| q.fits(&fields)),
                expected,
                "{text}"
            );
        }
        let query = Query::read("a:1 (b OR -C:\"d:e\") \"f:g\"").expect("legible");
        let terms = [
            (Some("a"), "1"),
            (None, "b"),
            (Some("c"), "d:e"),
            (None, "f:g"),
        ];
        assert_eq!(query.terms(), terms);
        let deep = "(".repeat(10_000) + "x" + &")".repeat(10_000);
        assert_eq!(Query::read(&deep), Err(()));
        assert_eq!(Query::read(&"NOT ".repeat(10_000)), Err(()));
    }
}
