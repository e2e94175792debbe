//! The Lucene-like query of a device search, as far as it is sensible here: words, `field:value`,
//! wildcards, quotes, `AND`, `OR`, `NOT`. No parentheses and no ranges: those are refused.

use crate::text::wildcard;

/// Alternatives, each a list of terms that must all hold. No alternative at all means everything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    alternatives: Vec<Vec<Term>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Term {
    field: Option<String>,
    value: String,
    negated: bool,
}

impl Query {
    pub(super) fn read(text: &str) -> Result<Self, ()> {
        let mut alternatives = vec![Vec::new()];
        let mut negated = false;
        for word in words(text)? {
            match word.as_str() {
                "AND" => {}
                "OR" => alternatives.push(Vec::new()),
                "NOT" => negated = true,
                word => {
                    let (word, minus) = word.strip_prefix('-').map_or((word, false), |w| (w, true));
                    let term = term(word, negated || minus);
                    alternatives.last_mut().ok_or(())?.push(term);
                    negated = false;
                }
            }
        }
        let is_empty = alternatives.iter().all(Vec::is_empty);
        if is_empty && alternatives.len() == 1 && !negated {
            return Ok(Self::default());
        }
        if negated || alternatives.iter().any(Vec::is_empty) {
            return Err(());
        }
        Ok(Self { alternatives })
    }

    pub(super) fn fits(&self, fields: &[(&'static str, String)]) -> bool {
        self.alternatives.is_empty()
            || self
                .alternatives
                .iter()
                .any(|terms| terms.iter().all(|term| term.holds(fields)))
    }
}

impl Term {
    fn holds(&self, fields: &[(&'static str, String)]) -> bool {
        let found = fields
            .iter()
            .filter(|(name, _)| self.field.as_deref().is_none_or(|field| field == *name))
            .any(|(_, value)| self.is_in(&value.to_lowercase()));
        found != self.negated
    }

    /// A word without wildcards may stand anywhere in a value: `WS` finds `WS-0001`.
    fn is_in(&self, value: &str) -> bool {
        if wildcard::has_wildcard(&self.value) {
            wildcard::fits(&self.value, value)
        } else {
            value.contains(&self.value)
        }
    }
}

fn term(word: &str, negated: bool) -> Term {
    let (field, value) = match word.split_once(':') {
        Some((field, value)) => (Some(field.to_lowercase()), value),
        None => (None, word),
    };
    Term {
        field,
        value: value.replace('"', "").to_lowercase(),
        negated,
    }
}

/// Words, where quotes hold blanks together.
fn words(text: &str) -> Result<Vec<String>, ()> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' | ')' | '[' | ']' | '{' | '}' if !quoted => return Err(()),
            c if c.is_whitespace() && !quoted => {
                words.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    if quoted { Err(()) } else { Ok(words) }
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
            ("(name:WS*)", Err(())),
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
    }
}
