//! The filters of the language.
//!
//! Those of minijinja that can only shrink or keep what they get are taken as they are; those that
//! multiply text are ours and charge a budget per evaluation. Left out: whatever pads (`indent`,
//! `format`, `batch`, `slice`), escapes for HTML, or looks into the engine.

use super::engine::{TooLarge, write_text};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters};

/// Bytes that all filters of one evaluation may write together.
const BUDGET: usize = 4 << 20;

pub(super) const NAMES: [&str; 43] = [
    "abs",
    "attr",
    "basename",
    "bool",
    "capitalize",
    "cmd_quote",
    "count",
    "d",
    "default",
    "dictsort",
    "dirname",
    "first",
    "float",
    "groupby",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "ps_quote",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sh_quote",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
];

pub(super) fn register(engine: &mut Environment<'static>) {
    engine.add_filter("abs", filters::abs);
    engine.add_filter("attr", filters::attr);
    engine.add_filter("bool", filters::bool);
    engine.add_filter("capitalize", filters::capitalize);
    engine.add_filter("count", filters::length);
    engine.add_filter("dictsort", filters::dictsort);
    engine.add_filter("first", filters::first);
    engine.add_filter("float", filters::float);
    engine.add_filter("groupby", filters::groupby);
    engine.add_filter("int", filters::int);
    engine.add_filter("items", filters::items);
    engine.add_filter("last", filters::last);
    engine.add_filter("length", filters::length);
    engine.add_filter("lines", filters::lines);
    engine.add_filter("list", filters::list);
    engine.add_filter("lower", filters::lower);
    engine.add_filter("map", filters::map);
    engine.add_filter("max", filters::max);
    engine.add_filter("min", filters::min);
    engine.add_filter("reject", filters::reject);
    engine.add_filter("rejectattr", filters::rejectattr);
    engine.add_filter("reverse", filters::reverse);
    engine.add_filter("round", filters::round);
    engine.add_filter("select", filters::select);
    engine.add_filter("selectattr", filters::selectattr);
    engine.add_filter("sort", filters::sort);
    engine.add_filter("split", filters::split);
    engine.add_filter("sum", filters::sum);
    engine.add_filter("title", filters::title);
    engine.add_filter("trim", filters::trim);
    engine.add_filter("unique", filters::unique);
    engine.add_filter("upper", filters::upper);

    engine.add_filter("basename", basename);
    engine.add_filter("cmd_quote", cmd_quote);
    engine.add_filter("d", default);
    engine.add_filter("default", default);
    engine.add_filter("dirname", dirname);
    engine.add_filter("join", join);
    engine.add_filter("ps_quote", ps_quote);
    engine.add_filter("replace", replace);
    engine.add_filter("sh_quote", sh_quote);
    engine.add_filter("string", string);
    engine.add_filter("tojson", string_as_json);
}

/// The last part of a Windows or POSIX path.
fn basename(path: &str) -> String {
    let path = path.trim_end_matches(SEPARATORS);
    let at = path.rfind(SEPARATORS).map_or(0, |at| at + 1);
    path[at..].to_owned()
}

/// Everything before the last part, without a separator unless it is the root (`C:\`, `/`).
fn dirname(path: &str) -> String {
    let path = path.trim_end_matches(SEPARATORS);
    let Some(at) = path.rfind(SEPARATORS) else {
        return String::new();
    };
    let parent = path[..at].trim_end_matches(SEPARATORS);
    if parent.is_empty() || parent.ends_with(':') {
        path[..=at].to_owned()
    } else {
        parent.to_owned()
    }
}

const SEPARATORS: [char; 2] = ['\\', '/'];

/// A literal for PowerShell. It takes four typographic quotes for apostrophes too.
fn ps_quote(text: &str) -> Result<String, Error> {
    refuse(text, "ps_quote", &['\0'])?;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars() {
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    Ok(quoted)
}

/// A word for a POSIX shell.
fn sh_quote(text: &str) -> Result<String, Error> {
    refuse(text, "sh_quote", &['\0'])?;
    Ok(format!("'{}'", text.replace('\'', "'\\''")))
}

/// A word for `cmd.exe`. There is no escape that always holds, so what would need one is refused.
fn cmd_quote(text: &str) -> Result<String, Error> {
    const SPECIAL: [char; 14] = [
        '%', '!', '^', '&', '|', '<', '>', '"', '(', ')', '\r', '\n', '\0', '\u{1a}',
    ];
    refuse(text, "cmd_quote", &SPECIAL)?;
    if text.ends_with('\\') {
        // `"C:\dir\"` would hide the closing quote from most programs.
        return Err(invalid(
            "cmd_quote refuses a backslash at the end".to_owned(),
        ));
    }
    Ok(format!("\"{text}\""))
}

fn refuse(text: &str, filter: &str, refused: &[char]) -> Result<(), Error> {
    match text.chars().find(|c| refused.contains(c)) {
        Some(c) if c.is_control() => Err(invalid(format!(
            "{filter} refuses control characters and line breaks"
        ))),
        Some(c) => Err(invalid(format!(
            "{filter} refuses {c} instead of escaping it"
        ))),
        None => Ok(()),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// Also instead of nothing (`none`), which a device's attributes often are; with `true` behind it,
/// instead of everything that does not hold.
fn default(value: &Value, other: Value, lax: Option<bool>) -> Value {
    let missing = value.is_undefined() || value.is_none();
    if missing || (lax == Some(true) && !value.is_true()) {
        other
    } else {
        value.clone()
    }
}

fn replace(state: &mut State, text: &str, from: &str, to: &str) -> Result<String, Error> {
    let longer = to.len().saturating_sub(from.len());
    let count = text.matches(from).count();
    charge(
        state,
        text.len().saturating_add(count.saturating_mul(longer)),
    )?;
    Ok(text.replace(from, to))
}

fn join(state: &mut State, value: &Value, separator: Option<&str>) -> Result<String, Error> {
    let separator = separator.unwrap_or_default();
    let mut joined = String::new();
    for (index, item) in value.try_iter()?.enumerate() {
        let before = joined.len();
        if index > 0 {
            joined.push_str(separator);
        }
        if item.is_undefined() {
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        write_text(&item, BUDGET, &mut joined).map_err(too_large)?;
        charge(state, joined.len() - before)?;
    }
    Ok(joined)
}

fn string(state: &mut State, value: Value) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    if value.as_str().is_some() {
        return Ok(value);
    }
    let mut text = String::new();
    write_text(&value, BUDGET, &mut text).map_err(too_large)?;
    charge(state, text.len())?;
    Ok(text.into())
}

fn string_as_json(state: &mut State, value: &Value) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let mut text = String::new();
    super::engine::write_json_text(value, BUDGET, &mut text).map_err(too_large)?;
    charge(state, text.len())?;
    Ok(text)
}

fn too_large(_: TooLarge) -> Error {
    invalid("the text grows too large".to_owned())
}

/// Counts what filters write, so that a chain of them cannot multiply without end.
fn charge(state: &mut State, bytes: usize) -> Result<(), Error> {
    const SPENT: &str = "spent";
    let spent = state.get_temp(SPENT).and_then(|spent| spent.as_usize());
    let spent = spent.unwrap_or_default().saturating_add(bytes);
    if spent > BUDGET {
        return Err(too_large(TooLarge));
    }
    state.set_temp(SPENT, Value::from(spent));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::engine::ENGINE;
    use super::*;
    use std::process::Command;

    #[test]
    fn every_name_is_a_filter() {
        for name in NAMES {
            let expression = ENGINE.compile_expression_owned(format!("x | {name}"));
            let result = expression.expect("is an expression").eval(());
            let unknown = result.is_err_and(|error| error.kind() == ErrorKind::UnknownFilter);
            assert!(!unknown, "{name}");
        }
    }

    #[test]
    fn parts_of_paths() {
        let table = [
            ("C:\\Users\\bob\\x.txt", "x.txt", "C:\\Users\\bob"),
            ("C:\\x", "x", "C:\\"),
            ("C:\\dir\\", "dir", "C:\\"),
            ("C:\\", "C:", ""),
            ("/etc/passwd", "passwd", "/etc"),
            ("/etc", "etc", "/"),
            ("/", "", ""),
            ("name", "name", ""),
            ("\\\\srv\\share\\a", "a", "\\\\srv\\share"),
            ("é/ü", "ü", "é"),
            ("", "", ""),
        ];
        for (path, base, dir) in table {
            assert_eq!(
                (basename(path).as_str(), dirname(path).as_str()),
                (base, dir),
                "{path}"
            );
        }
    }

    #[test]
    fn a_posix_shell_reads_back_what_was_quoted() {
        let texts = [
            "",
            "plain",
            "it's",
            "''",
            "$HOME `id` $(id)",
            "a\nb",
            "\\",
            "-n",
            "*",
            "\u{2019}",
            "a'\"b",
        ];
        for text in texts {
            let script = format!("printf %s {}", sh_quote(text).expect("holds no NUL"));
            let output = Command::new("sh")
                .arg("-c")
                .arg(script)
                .output()
                .expect("there is a shell");
            assert_eq!(String::from_utf8_lossy(&output.stdout), text);
        }
        assert!(sh_quote("a\0b").is_err());
    }

    #[test]
    fn powershell_quotes_double_every_apostrophe() {
        let quoted =
            ps_quote("it's \u{2018}a\u{2019} \u{201a}\u{201b} \u{201c}\"$x").expect("holds no NUL");
        assert_eq!(
            quoted,
            "'it''s \u{2018}\u{2018}a\u{2019}\u{2019} \u{201a}\u{201a}\u{201b}\u{201b} \u{201c}\"$x'"
        );
    }

    #[test]
    fn cmd_refuses_what_it_cannot_quote() {
        assert_eq!(
            cmd_quote("C:\\a b\\c.txt").expect("is plain"),
            "\"C:\\a b\\c.txt\""
        );
        for c in [
            "%", "!", "^", "&", "|", "<", ">", "\"", "(", ")", "\r", "\n", "\0",
        ] {
            assert!(cmd_quote(&format!("a{c}b")).is_err(), "{c:?}");
        }
        assert!(cmd_quote("C:\\dir\\").is_err());
    }
}
