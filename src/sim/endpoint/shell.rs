//! Just enough of command lines and shells: the first word, quotes, `cmd /c` and `sh -c`.
//!
//! No pipes, no redirection, no variables.

use crate::model::device::Os;

/// The program and everything after it.
pub(super) fn first_word(line: &str, os: Os) -> (String, String) {
    let line = line.trim();
    let quotes: &[char] = if os == Os::Windows {
        &['"']
    } else {
        &['"', '\'']
    };
    if let Some(quote) = line.chars().next().filter(|c| quotes.contains(c))
        && let Some((program, args)) = line[1..].split_once(quote)
    {
        return (program.to_owned(), args.trim().to_owned());
    }
    let (program, args) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (program.to_owned(), args.trim().to_owned())
}

/// What a shell was told to run; none if the program is no shell, or was told nothing.
pub(super) fn unwrap(os: Os, program: &str, args: &str) -> Option<String> {
    let name = program.rsplit(['\\', '/']).next().unwrap_or(program);
    if os == Os::Windows {
        if !["cmd", "cmd.exe"]
            .iter()
            .any(|shell| name.eq_ignore_ascii_case(shell))
        {
            return None;
        }
        // ASCII lower case keeps the places of bytes.
        let at = args.to_ascii_lowercase().find("/c")?;
        let told = args[at + 2..].trim();
        // Quotes around a line that begins with quotes of its own.
        let line = told.strip_prefix('"').filter(|line| line.starts_with('"'));
        let line = line.and_then(|line| line.strip_suffix('"'));
        return Some(line.map_or_else(|| unquote(told), str::to_owned));
    }
    if !["sh", "bash", "dash", "zsh"].contains(&name) {
        return None;
    }
    let rest = args.strip_prefix("-c ").or(args.strip_prefix("-lc "))?;
    Some(unquote(rest.trim()))
}

/// Without the quotes around the whole.
pub(super) fn unquote(text: &str) -> String {
    let text = text.trim();
    for quote in ['"', '\''] {
        let inner = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote));
        if let Some(inner) = inner.filter(|inner| !inner.contains(quote)) {
            return inner.to_owned();
        }
    }
    text.to_owned()
}
