//! Small words for messages: counts, lists, suggestions.

use std::fmt;

/// `1 device`, `3 devices`, `2 registry entries`, `114,000 requests`.
#[derive(Debug, Clone, Copy)]
pub struct Count<'a>(pub u64, pub &'a str);

impl fmt::Display for Count<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, noun) = *self;
        write!(f, "{} ", Grouped(count))?;
        if count == 1 {
            return f.write_str(noun);
        }
        match noun.as_bytes() {
            [.., b's' | b'x' | b'z'] | [.., b'c' | b's', b'h'] => write!(f, "{noun}es"),
            [.., before, b'y'] if !b"aeiou".contains(before) => {
                write!(f, "{}ies", &noun[..noun.len() - 1])
            }
            _ => write!(f, "{noun}s"),
        }
    }
}

/// Digits in groups of three, where there are five or more of them.
#[derive(Debug, Clone, Copy)]
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.char_indices() {
            if at > 0 && digits.len() > 4 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// `a, b or c`, `a, b and c`.
#[derive(Debug, Clone, Copy)]
pub struct List<'a, T> {
    items: &'a [T],
    last: &'static str,
}

impl<'a, T> List<'a, T> {
    pub const fn or(items: &'a [T]) -> Self {
        Self { items, last: "or" }
    }

    pub const fn and(items: &'a [T]) -> Self {
        Self { items, last: "and" }
    }
}

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.items.iter().enumerate() {
            match index {
                0 => {}
                _ if index + 1 == self.items.len() => write!(f, " {} ", self.last)?,
                _ => f.write_str(", ")?,
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

/// The text in lines of at most `width` characters, as far as its words allow.
pub fn wrap(text: &str, width: usize) -> String {
    let mut lines = String::with_capacity(text.len());
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            lines.push('\n');
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines
}

/// The candidate that somebody may have meant, if one is near enough to say so.
pub fn suggest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a (impl AsRef<str> + ?Sized + 'a)>,
) -> Option<&'a str> {
    let word = normal(word);
    let length = word.chars().count();
    // Comparing costs length times length; nobody misspells a word of that size.
    if length > 64 {
        return None;
    }
    candidates
        .into_iter()
        .map(AsRef::as_ref)
        .filter(|candidate| candidate.len() <= 64)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &normal(candidate));
            (distance, candidate)
        })
        .filter(|(distance, candidate)| {
            let longest = length.max(candidate.chars().count());
            *distance * 3 <= longest || (*distance == 1 && longest > 1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `maxSize`, `max-size` and `max_size` are the same word to whoever types them.
fn normal(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words() {
        let table = [
            ("", ""),
            ("one", "one"),
            ("one two three", "one two\nthree"),
            ("one  two\nthree", "one two\nthree"),
            (
                "é漢é abcdefghi longerthanten x",
                "é漢é\nabcdefghi\nlongerthanten\nx",
            ),
        ];
        for (text, lines) in table {
            assert_eq!(wrap(text, 9), lines);
        }
    }

    #[test]
    fn counts() {
        let table = [
            (0, "device", "0 devices"),
            (1, "device", "1 device"),
            (3, "device", "3 devices"),
            (2, "process", "2 processes"),
            (2, "entry", "2 entries"),
            (2, "key", "2 keys"),
            (2, "hash", "2 hashes"),
            (2, "match", "2 matches"),
            (2, "box", "2 boxes"),
            (3_000, "host", "3000 hosts"),
            (114_000, "host", "114,000 hosts"),
            (1_234_567_890, "host", "1,234,567,890 hosts"),
        ];
        for (count, noun, text) in table {
            assert_eq!(Count(count, noun).to_string(), text);
        }
    }

    #[test]
    fn lists() {
        let none: [&str; 0] = [];
        assert_eq!(List::or(&none).to_string(), "");
        assert_eq!(List::or(&["a"]).to_string(), "a");
        assert_eq!(List::and(&["a", "b"]).to_string(), "a and b");
        assert_eq!(List::or(&["a", "b", "c"]).to_string(), "a, b or c");
    }

    #[test]
    fn suggestions() {
        let keys = ["path", "paths", "max_size", "if_missing", "os", "name"];
        let table = [
            ("paht", Some("path")),
            ("Path", Some("path")),
            ("pathes", Some("paths")),
            ("maxSize", Some("max_size")),
            ("max-size", Some("max_size")),
            ("if_mising", Some("if_missing")),
            ("so", Some("os")),
            ("x", None),
            ("timeout", None),
            ("", None),
        ];
        for (word, meant) in table {
            assert_eq!(suggest(word, &keys), meant, "for {word:?}");
        }
        assert_eq!(suggest(&"a".repeat(100_000), &keys), None);
    }
}
