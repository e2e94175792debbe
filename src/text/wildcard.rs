//! Wildcards as shells and search boxes know them: `*` and `?`, nothing else.

/// Does the whole of `text` fit `pattern`? Case counts; fold both before asking where it should not.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let is_star = |piece: &char| *piece == '*';
    fits_pieces(&pattern, text, is_star, |piece, c| {
        *piece == '?' || *piece == c
    })
}

/// The same for a pattern of any pieces: a star stands for any characters, each other piece for one that fits.
pub(crate) fn fits_pieces<P>(
    pattern: &[P],
    text: &str,
    is_star: impl Fn(&P) -> bool,
    fits: impl Fn(&P, char) -> bool,
) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last star stood, and how far it had eaten: the one place to go back to.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(piece) if is_star(piece) => {
                star = Some((p, t));
                p += 1;
            }
            Some(piece) if fits(piece, text[t]) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, eaten)) => {
                    star = Some((at, eaten + 1));
                    p = at + 1;
                    t = eaten + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(is_star)
}

pub(crate) fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let table = [
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.pf", "CMD.EXE-1.pf", true),
            ("*.pf", "CMD.EXE-1.pfx", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("-ano*", "-an", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(fits(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
