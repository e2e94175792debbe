//! One command line out of a program and its arguments, quoted so that the program gets each as it is.

use crate::model::device::Os;

/// What a batch file's own arguments mean to the shell that runs it, in quotes or not.
const OF_BATCHES: &str = "%!^&|<>()\"\r\n";

/// What parts a batch file's arguments besides blanks, unless it stands in quotes.
const SPLITS_FOR_BATCHES: [char; 3] = [',', ';', '='];

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
    let is_batch = is_batch(program);
    if is_batch {
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
    let splits = |arg: &str| is_batch && arg.contains(SPLITS_FOR_BATCHES);
    let words = args.iter().map(|arg| windows(arg, splits(arg)));
    let words = std::iter::once(program).chain(words);
    Ok(words.collect::<Vec<_>>().join(" "))
}

/// Windows itself passes over dots and blanks at the end of a name.
fn is_batch(program: &str) -> bool {
    let name = program.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    [".bat", ".cmd"].iter().any(|ending| name.ends_with(ending))
}

/// By the rules with which programs take their line apart: a backslash means something before a quote alone.
fn windows(arg: &str, must_quote: bool) -> String {
    let is_plain = |c: char| !matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '"');
    if !must_quote && !arg.is_empty() && arg.chars().all(is_plain) {
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

    /// The arguments of a batch file, as `%~1` and so on have them.
    fn taken_apart_by_cmd(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted) = (Vec::new(), None, false);
        for c in line.chars() {
            match c {
                '"' => {
                    quoted = !quoted;
                    word.get_or_insert_with(String::new);
                }
                ' ' | '\t' | ',' | ';' | '=' if !quoted => words.extend(word.take()),
                c => word.get_or_insert_with(String::new).push(c),
            }
        }
        words.extend(word);
        words
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
        let batch = on_windows("x.cmd", &["a,b", "c"]);
        assert_eq!(batch.as_deref(), Ok(r#"x.cmd "a,b" c"#));
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
            program in "[A-Z]:[a-z \\\\.()\té☃]{1,12}exe\\\\?",
            args in prop::collection::vec("[\\\\\" \t\n\r\u{b}\u{a0}\u{3000}ab%^&|'/-é☃]{0,8}", 0..5),
        ) {
            let line = line(&program, &args, Os::Windows).expect("no batch");
            let expected: Vec<String> = std::iter::once(program).chain(args).collect();
            prop_assert_eq!(taken_apart(&line), expected);
        }

        #[test]
        fn a_batch_file_gets_its_arguments_as_they_are_or_nothing_runs(
            program in "[a-z ]{1,5}\\.([bB][aA]t|[cC]md|exe)[. ]{0,2}",
            args in prop::collection::vec("[\" \tab%!^&|<>()\r\n,;=é]{0,3}", 0..3),
        ) {
            let is_special = |arg: &String| arg.contains(['%', '!', '^', '&', '|', '<', '>', '(', ')', '"', '\r', '\n']);
            let is_program = program.trim_end_matches(['.', ' ']).ends_with("exe");
            let line = line(&program, &args, Os::Windows);
            prop_assert_eq!(line.is_ok(), is_program || !args.iter().any(is_special));
            if let Ok(line) = line {
                let taken_apart = if is_program { taken_apart } else { taken_apart_by_cmd };
                let expected: Vec<String> = std::iter::once(program).chain(args).collect();
                prop_assert_eq!(taken_apart(&line), expected);
            }
        }

        #[test]
        fn a_command_line_has_no_nul(args in prop::collection::vec("[a\u{0}]{0,3}", 1..4)) {
            let has_nul = args.iter().any(|arg| arg.contains('\0'));
            for os in Os::NAMED {
                prop_assert_eq!(line("x", &args, os).is_err(), has_nul);
            }
        }
    }

    /// What `sh` gives a program as its arguments.
    #[cfg(unix)]
    fn by_shell(args: &[String]) -> Vec<String> {
        let words = [vec!["%s\\0".to_owned()], args.to_vec()].concat();
        let line = line("printf", &words, Os::Linux).expect("no NUL");
        let shown = std::process::Command::new("sh")
            .args(["-c", &line])
            .output()
            .expect("there is a shell");
        let told = String::from_utf8(shown.stdout).expect("UTF-8");
        told.split_terminator('\0').map(str::to_owned).collect()
    }

    #[cfg(unix)]
    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_posix_program_gets_its_arguments_as_they_are(
            args in prop::collection::vec("([^\u{0}]|['\"\\\\$`!*?~#;&|<> \t\r\n-]){0,12}", 1..40),
        ) {
            prop_assert_eq!(by_shell(&args), args);
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
        assert_eq!(by_shell(&args), args);
    }
}
