//! One command line out of a program and its arguments, quoted so that the program gets each as it is.

use crate::model::device::Os;

/// What a batch file's own arguments mean to the shell that runs it, in quotes or not.
const OF_BATCHES: &str = "%!^&|<>()\"\r\n";

/// The error says what cannot be quoted, and why.
pub(in crate::step) fn line(program: &str, args: &[String], os: Os) -> Result<String, String> {
    let words = std::iter::once(program).chain(args.iter().map(String::as_str));
    if words.clone().any(|word| word.contains('\0')) {
        return Err("a command line cannot hold the character NUL".to_owned());
    }
    if program.is_empty() {
        return Err("`program` is empty".to_owned());
    }
    if os != Os::Windows {
        return Ok(words.map(posix).collect::<Vec<_>>().join(" "));
    }
    if program.contains('"') {
        return Err("no name on Windows has a \" in it".to_owned());
    }
    if is_batch(program) {
        let special = |arg: &String| arg.chars().find(|c| OF_BATCHES.contains(*c));
        if let Some(c) = args.iter().find_map(special) {
            let c = c.escape_debug();
            return Err(format!(
                "the shell that runs a batch file would act on `{c}`, quoted or not"
            ));
        }
    }
    let program = if program.contains([' ', '\t']) {
        format!("\"{program}\"")
    } else {
        program.to_owned()
    };
    let words = std::iter::once(program).chain(args.iter().map(|arg| windows(arg)));
    Ok(words.collect::<Vec<_>>().join(" "))
}

/// Windows itself passes over dots and blanks at the end of a name.
fn is_batch(program: &str) -> bool {
    let name = program.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    [".bat", ".cmd"].iter().any(|ending| name.ends_with(ending))
}

/// By the rules with which programs take their line apart: a backslash means something before a quote alone.
fn windows(arg: &str) -> String {
    let is_plain = |c: char| !matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '"');
    if !arg.is_empty() && arg.chars().all(is_plain) {
        return arg.to_owned();
    }
    let mut quoted = String::from("\"");
    let mut backslashes = 0;
    for c in arg.chars() {
        match c {
            '\\' => backslashes += 1,
            '"' => {
                quoted.push_str(&"\\".repeat(2 * backslashes + 1));
                quoted.push('"');
                backslashes = 0;
                continue;
            }
            _ => {
                quoted.push_str(&"\\".repeat(backslashes));
                backslashes = 0;
            }
        }
        if c != '\\' {
            quoted.push(c);
        }
    }
    quoted.push_str(&"\\".repeat(2 * backslashes));
    quoted.push('"');
    quoted
}

fn posix(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes a command line apart as programs on Windows do, written from the published rules.
    fn taken_apart(line: &str) -> Vec<String> {
        let mut chars = line.chars().peekable();
        let mut program = String::new();
        let mut quoted = false;
        while let Some(c) = chars.next_if(|c| quoted || !matches!(c, ' ' | '\t')) {
            if c == '"' {
                quoted = !quoted;
            } else {
                program.push(c);
            }
        }
        let mut words = vec![program];
        loop {
            while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
            if chars.peek().is_none() {
                return words;
            }
            let mut word = String::new();
            let mut quoted = false;
            while let Some(c) = chars.next_if(|c| quoted || !matches!(c, ' ' | '\t')) {
                match c {
                    '\\' => {
                        let mut count = 1;
                        while chars.next_if_eq(&'\\').is_some() {
                            count += 1;
                        }
                        if chars.peek() == Some(&'"') {
                            word.push_str(&"\\".repeat(count / 2));
                            if count % 2 == 1 {
                                chars.next();
                                word.push('"');
                            }
                        } else {
                            word.push_str(&"\\".repeat(count));
                        }
                    }
                    // A second quote in quotes is one of the word.
                    '"' if quoted && chars.next_if_eq(&'"').is_some() => word.push('"'),
                    '"' => quoted = !quoted,
                    c => word.push(c),
                }
            }
            words.push(word);
        }
    }

    fn on_windows(program: &str, args: &[&str]) -> Result<String, String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        line(program, &args, Os::Windows)
    }

    #[test]
    fn windows_lines() {
        let table: [(&[&str], &str); 6] = [
            (&["/all"], "x.exe /all"),
            (&["a b", ""], r#"x.exe "a b" """#),
            (&[r"C:\a b\"], r#"x.exe "C:\a b\\""#),
            (&[r"C:\a\"], r"x.exe C:\a\"),
            (&[r#"say "hi""#], r#"x.exe "say \"hi\"""#),
            (&[r#"\" x"#], r#"x.exe "\\\" x""#),
        ];
        for (args, expected) in table {
            assert_eq!(on_windows("x.exe", args).as_deref(), Ok(expected));
        }
        let spaced = on_windows(r"C:\Program Files\x.exe", &["a"]);
        assert_eq!(spaced.as_deref(), Ok(r#""C:\Program Files\x.exe" a"#));
    }

    #[test]
    fn what_cannot_be_quoted_is_refused() {
        let table = [
            ("x.bat", "%PATH%", "batch file"),
            ("X.CMD. ", "a & b", "batch file"),
            ("x.bat", "\"", "batch file"),
            ("a\"b", "x", "no name"),
            ("x.exe", "\0", "NUL"),
            ("", "x", "empty"),
        ];
        for (program, arg, word) in table {
            let why = on_windows(program, &[arg]).expect_err(program);
            assert!(why.contains(word), "{why}");
        }
        assert!(on_windows("x.bat", &["plain", "with blanks"]).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_windows_program_gets_its_arguments_as_they_are(
            args in prop::collection::vec("[\\\\\" \tab%^&é]{0,8}", 0..5),
        ) {
            let line = line(r"C:\a b\x.exe", &args, Os::Windows).expect("no batch");
            let expected: Vec<String> = std::iter::once(r"C:\a b\x.exe".to_owned()).chain(args).collect();
            prop_assert_eq!(taken_apart(&line), expected);
        }
    }

    /// The shell itself is asked.
    #[cfg(unix)]
    #[test]
    fn a_posix_shell_takes_the_words_apart_again() {
        let args = [
            "", " ", "a b", "'", "''", "\"", "$HOME", "`id`", "$(id)", "a\nb", "*", "~", "\\",
            "!x", "-n", "é☃", "#", "a;b", "&", "|", "%s", "{a,b}", "[x]", "=",
        ];
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let shown = line(
            "printf",
            &[vec!["%s\\0".to_owned()], args.clone()].concat(),
            Os::Linux,
        );
        let shown = std::process::Command::new("sh")
            .args(["-c", &shown.expect("no NUL")])
            .output()
            .expect("there is a shell");
        let told = String::from_utf8(shown.stdout).expect("UTF-8");
        let told: Vec<&str> = told.split_terminator('\0').collect();
        assert_eq!(told, args);
    }
}
