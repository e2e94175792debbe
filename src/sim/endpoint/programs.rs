//! What programs on a simulated endpoint do: data, read once from `executables.yaml`.
//!
//! Nothing is run. A program that is not in the data and not on the endpoint's disk does not exist. One on the
//! disk does what a scenario says of a program of its name.

use super::code::Code;
use super::files::Node;
use super::gather;
use super::hives::{self, Change};
use super::shell;
use super::{Endpoint, Facts, path};
use crate::model::device::Os;
use crate::text::wildcard;
use serde::Deserialize;
use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("../executables.yaml"))
        .expect("the embedded table is tested")
});

/// What a program does with some arguments.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub(in crate::sim) os: Families,
    /// Its name without folder and, on Windows, in lower case without `.exe`.
    pub(in crate::sim) program: String,
    #[serde(default)]
    pub(in crate::sim) args: String,
    #[serde(default)]
    pub(in crate::sim) does: Does,
    #[serde(default)]
    pub(in crate::sim) output: String,
    #[serde(default)]
    pub(in crate::sim) code: i64,
    #[serde(default)]
    pub(in crate::sim) takes_ms: u64,
    #[serde(default)]
    pub(in crate::sim) encoding: Encoding,
    /// Files that are there when it ends.
    #[serde(skip)]
    pub(in crate::sim) writes: Vec<Written>,
}

/// A file that a program writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// From the folder on that it runs in, unless it is an absolute one.
    pub path: String,
    pub text: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(in crate::sim) enum Families {
    One(Os),
    Several(Vec<Os>),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::sim) enum Does {
    #[default]
    Print,
    Echo,
    Exit,
    Sleep,
    Cat,
    Tasklist,
    Ps,
    /// What `reg.exe` does with whole hives.
    Reg,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(in crate::sim) enum Encoding {
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// Little-endian, with a byte order mark.
    #[serde(rename = "utf-16")]
    Utf16,
    /// The same without the mark.
    #[serde(rename = "utf-16le")]
    Utf16Le,
    #[serde(rename = "cp437")]
    Cp437,
    #[serde(rename = "cp850")]
    Cp850,
}

/// What a started program will have done by its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Standard output and error, merged.
    pub output: Vec<u8>,
    pub code: i64,
    pub takes: Duration,
    pub image: String,
    pub writes: Vec<Written>,
    /// False when the data does not know what it would print.
    pub known: bool,
    /// What becomes of registry and files.
    pub(super) change: Option<Change>,
}

impl Run {
    pub(super) fn quiet(image: String) -> Self {
        Self {
            output: Vec::new(),
            code: 0,
            takes: Duration::ZERO,
            image,
            writes: Vec::new(),
            known: true,
            change: None,
        }
    }
}

/// Starts a command line, as the sensor would: without a shell, unless it names one.
pub fn start(line: &str, endpoint: &Endpoint, facts: &Facts) -> Result<Run, Code> {
    let (program, args) = split(line, endpoint);
    let is_own = (endpoint.programs.iter()).any(|row| row.is_for(endpoint.os, &program, &args));
    if let Some(run) = gather::run(&program, &args, endpoint, facts).filter(|_| !is_own) {
        return Ok(run);
    }
    if let Some(inner) = shell::unwrap(endpoint.os, &program, &args) {
        return Ok(in_shell(&inner, program, endpoint, facts));
    }
    run(&program, &args, endpoint, facts)
}

/// A shell always starts; what is wrong with its command shows in its exit code.
fn in_shell(inner: &str, shell: String, endpoint: &Endpoint, facts: &Facts) -> Run {
    let (program, args) = split(inner, endpoint);
    if let Ok(run) = run(&program, &args, endpoint, facts) {
        return run;
    }
    let (text, code) = if endpoint.os == Os::Windows {
        let text = format!(
            "'{program}' is not recognized as an internal or external command,\n\
             operable program or batch file.\n"
        );
        (text, 1)
    } else {
        (format!("sh: 1: {program}: not found\n"), 127)
    };
    Run {
        output: encode(&text, Encoding::Utf8, endpoint.os),
        code,
        known: false,
        ..Run::quiet(shell)
    }
}

/// The longest path that Windows looks for in a line.
const LONGEST: usize = 260;

/// The program of a line, and everything after it. A path without quotes may have blanks on Windows, where the
/// shortest that is a file is meant.
fn split(line: &str, endpoint: &Endpoint) -> (String, String) {
    let line = line.trim();
    let first = shell::first_word(line, endpoint.os);
    let has_blanks = endpoint.os == Os::Windows && !line.starts_with('"');
    if !has_blanks || !first.0.contains(['\\', '/']) {
        return first;
    }
    let blanks = line.match_indices(char::is_whitespace).map(|(at, _)| at);
    let ends = blanks.chain([line.len()]).take_while(|at| *at <= LONGEST);
    let mut splits = ends.map(|end| line.split_at(end));
    let found = splits.find(|(path, _)| file_of(path, endpoint).is_some());
    found.map_or(first, |(path, args)| {
        (path.to_owned(), args.trim().to_owned())
    })
}

pub(super) fn run(
    program: &str,
    args: &str,
    endpoint: &Endpoint,
    facts: &Facts,
) -> Result<Run, Code> {
    let os = endpoint.os;
    let name = base_name(os, program);
    let mut of_that_name = endpoint
        .programs
        .iter()
        .chain(ROWS.iter())
        .filter(|row| row.os.has(os) && row.program == name)
        .peekable();
    if of_that_name.peek().is_none() || !is_system_path(os, program) {
        return from_disk(program, args, endpoint, facts);
    }
    let Some(row) = of_that_name.find(|row| wildcard::fits(&row.args, args)) else {
        return Ok(Run {
            output: encode(
                "The syntax of the command is incorrect.\n",
                Encoding::Utf8,
                os,
            ),
            code: 1,
            known: false,
            ..Run::quiet(program.to_owned())
        });
    };
    Ok(row.perform(program, args, endpoint, facts))
}

impl Families {
    pub(in crate::sim) fn has(&self, os: Os) -> bool {
        match self {
            Self::One(one) => *one == os,
            Self::Several(several) => several.contains(&os),
        }
    }
}

impl Row {
    fn is_for(&self, os: Os, program: &str, args: &str) -> bool {
        self.os.has(os)
            && self.program == base_name(os, program)
            && wildcard::fits(&self.args, args)
    }

    fn perform(&self, program: &str, args: &str, endpoint: &Endpoint, facts: &Facts) -> Run {
        let mut run = Run {
            code: self.code,
            takes: Duration::from_millis(self.takes_ms),
            writes: self.written(facts),
            ..Run::quiet(program.to_owned())
        };
        let number = || {
            args.split_whitespace()
                .rev()
                .find_map(|word| word.parse::<u32>().ok())
        };
        let text = match self.does {
            Does::Print => facts.fill(&self.output),
            Does::Echo => format!("{}\n", shell::unquote(args)),
            Does::Exit => {
                run.code = number().map_or(0, i64::from);
                String::new()
            }
            Does::Sleep => {
                run.takes = Duration::from_secs(number().map_or(0, u64::from));
                String::new()
            }
            Does::Cat => {
                let path = shell::unquote(args);
                if let Some(bytes) = read(&path, endpoint) {
                    run.output = bytes;
                    return run;
                }
                run.code = 1;
                format!("{path}: No such file or directory\n")
            }
            Does::Tasklist => tasklist(endpoint),
            Does::Ps => ps(endpoint),
            Does::Reg => {
                let said = hives::reg(args, endpoint, facts);
                run.code = said.code;
                run.change = said.change;
                said.text
            }
        };
        run.output = encode(&text, self.encoding, endpoint.os);
        run
    }

    fn written(&self, facts: &Facts) -> Vec<Written> {
        let filled = |file: &Written| Written {
            path: facts.fill(&file.path),
            text: facts.fill(&file.text),
        };
        self.writes.iter().map(filled).collect()
    }
}

/// A program that lies on the endpoint's disk does what the scenario says of it, or runs and says nothing;
/// anything else there is no program.
fn from_disk(program: &str, args: &str, endpoint: &Endpoint, facts: &Facts) -> Result<Run, Code> {
    let at = path::locate(endpoint.os, program, &endpoint.cwd).map_err(|_| Code::FILE_NOT_FOUND)?;
    let content = endpoint
        .files
        .node(&at.parts)
        .and_then(|node| node.content.as_ref())
        .ok_or(Code::FILE_NOT_FOUND)?;
    let head = content.head();
    let folded = program.to_lowercase();
    let is_script = head.starts_with(b"#!") || [".bat", ".cmd"].iter().any(|s| folded.ends_with(s));
    let magics: [&[u8]; 4] = [b"MZ", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"];
    if is_script || magics.iter().any(|magic| head.starts_with(magic)) {
        let name = base_name(endpoint.os, program);
        let mut rows = endpoint.programs.iter();
        let row = rows.find(|row| {
            row.os.has(endpoint.os) && row.program == name && wildcard::fits(&row.args, args)
        });
        Ok(row.map_or_else(
            || Run::quiet(program.to_owned()),
            |row| row.perform(program, args, endpoint, facts),
        ))
    } else {
        Err(Code::BAD_IMAGE)
    }
}

/// The programs that a command line names: the first word and, where that is a shell, what it is told to start.
pub(in crate::sim) fn named(line: &str, endpoint: &Endpoint) -> Vec<String> {
    let (program, args) = split(line, endpoint);
    let inner = shell::unwrap(endpoint.os, &program, &args);
    let inner = inner.map(|inner| split(&inner, endpoint).0);
    std::iter::once(program).chain(inner).collect()
}

/// The file that a program's word means, with its path in the system's own spelling; a bare name is looked up
/// where the system's own programs are, and then where the shell stands.
pub(in crate::sim) fn file_of<'a>(
    program: &str,
    endpoint: &'a Endpoint,
) -> Option<(String, &'a Node)> {
    let os = endpoint.os;
    let file = |path: &str| {
        let at = path::locate(os, path, &endpoint.cwd).ok()?;
        let found = endpoint.files.find(&at.parts);
        found.filter(|(_, node)| !node.is_directory())
    };
    let is_bare = !program.contains(['\\', '/']);
    let folders: &[&str] = match os {
        _ if !is_bare => &[""],
        Os::Windows => &WINDOWS_FOLDERS,
        _ => &["/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/", ""],
    };
    folders.iter().find_map(|folder| {
        let path = format!("{folder}{program}");
        let found = file(&path);
        if os == Os::Windows {
            found.or_else(|| file(&format!("{path}.exe")))
        } else {
            found
        }
    })
}

const WINDOWS_FOLDERS: [&str; 4] = [
    r"C:\Windows\System32\",
    r"C:\Windows\",
    r"C:\Windows\System32\wbem\",
    r"C:\Windows\System32\WindowsPowerShell\v1.0\",
];

fn read(path: &str, endpoint: &Endpoint) -> Option<Vec<u8>> {
    let at = path::locate(endpoint.os, path, &endpoint.cwd).ok()?;
    let clip = endpoint.files.read(&at.parts, 0, None).ok()?;
    Some(clip.bytes())
}

/// The name of a program as rows have it.
pub(in crate::sim) fn base_name(os: Os, program: &str) -> String {
    let name = program.rsplit(['\\', '/']).next().unwrap_or(program);
    let name = path::fold(os, name);
    match name.strip_suffix(".exe") {
        Some(stem) if os == Os::Windows => stem.to_owned(),
        _ => name,
    }
}

/// A bare name is looked up where the system's own programs are; a path must lead there.
fn is_system_path(os: Os, program: &str) -> bool {
    let folded = path::fold(os, program).replace('/', "\\");
    !folded.contains('\\')
        || [r"c:\windows\", r"\bin\", r"\sbin\", r"\usr\"]
            .iter()
            .any(|root| folded.starts_with(root))
}

fn tasklist(endpoint: &Endpoint) -> String {
    let mut text =
        String::from("\"Image Name\",\"PID\",\"Session Name\",\"Session#\",\"Mem Usage\"\n");
    for process in endpoint.processes.all() {
        let name = match process.path.rsplit('\\').next() {
            Some(name) if !name.is_empty() => name,
            _ => "System",
        };
        let pid = process.pid;
        let _ = writeln!(
            text,
            "\"{name}\",\"{pid}\",\"Services\",\"0\",\"{} K\"",
            900 + pid * 3
        );
    }
    text
}

fn ps(endpoint: &Endpoint) -> String {
    let mut text = String::from("USER         PID    PPID COMMAND\n");
    for p in endpoint.processes.all() {
        let _ = writeln!(
            text,
            "{:<9} {:>6} {:>7} {}",
            p.user, p.pid, p.parent, p.line
        );
    }
    text
}

/// Text as a program of that system would write it.
fn encode(text: &str, encoding: Encoding, os: Os) -> Vec<u8> {
    let text = if os == Os::Windows {
        text.replace('\n', "\r\n")
    } else {
        text.to_owned()
    };
    match encoding {
        Encoding::Utf8 => text.into_bytes(),
        Encoding::Utf16 => utf16(&text),
        Encoding::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Encoding::Cp437 | Encoding::Cp850 => text.chars().map(|c| oem(c, encoding)).collect(),
    }
}

/// UTF-16, little-endian, with its byte order mark.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff)
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// The letters of the embedded texts in the code pages of a console.
fn oem(c: char, page: Encoding) -> u8 {
    match c {
        '\0'..='\u{7f}' => u8::try_from(c).unwrap_or(b'?'),
        'ü' => 0x81,
        'é' => 0x82,
        'ä' => 0x84,
        'ö' => 0x94,
        'Ä' => 0x8e,
        'Ö' => 0x99,
        'Ü' => 0x9a,
        'ß' => 0xe1,
        'Á' if page == Encoding::Cp850 => 0xb5,
        _ => b'?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::endpoint::content::Content;
    use crate::sim::endpoint::files::{Files, Node};
    use crate::sim::endpoint::layered::Layered;

    fn endpoint(os: Os) -> Endpoint {
        let mut files = Files::new(os, Layered::default());
        let (program, text) = if os == Os::Windows {
            (r"C:\t\tool.exe", r"C:\t\note.txt")
        } else {
            ("/t/tool", "/t/note.txt")
        };
        for (path, content) in [(program, "MZ\u{0}"), (text, "hello")] {
            let at = path::locate(os, path, "/").expect("legal");
            let name = at.parts.last().expect("named").clone();
            files.plant(&at.parts, Node::file(&name, Content::text(content), 0));
        }
        Endpoint::new(os, files)
    }

    fn said(os: Os, line: &str) -> Result<(i64, String, bool), Code> {
        let facts = Facts {
            host: "WS-7".into(),
            user: "jdoe".into(),
            ip: "10.20.0.7".into(),
            os_version: "x".into(),
            ..Facts::default()
        };
        let run = start(line, &endpoint(os), &facts)?;
        Ok((
            run.code,
            String::from_utf8_lossy(&run.output).into_owned(),
            run.known,
        ))
    }

    #[test]
    fn command_lines_find_their_program() {
        let (w, l) = (Os::Windows, Os::Linux);
        let ok = |code, text: &str, known| Ok((code, text.to_owned(), known));
        let table = [
            (w, "WHOAMI.EXE", ok(0, "nt authority\\system\r\n", true)),
            (
                w,
                r#""C:\Windows\System32\hostname.exe""#,
                ok(0, "WS-7\r\n", true),
            ),
            (
                w,
                r"C:\Users\Public\hostname.exe",
                Err(Code::FILE_NOT_FOUND),
            ),
            (w, "cmd.exe /c exit 3", ok(3, "", true)),
            (
                w,
                r#"cmd /c "whoami""#,
                ok(0, "nt authority\\system\r\n", true),
            ),
            (w, r"cmd.exe /c type C:\T\note.txt", ok(0, "hello", true)),
            (w, r"c:\t\TOOL.exe -x", ok(0, "", true)),
            (w, r"C:\t\note.txt", Err(Code::BAD_IMAGE)),
            (w, "nosuch.exe /x", Err(Code::FILE_NOT_FOUND)),
            (
                w,
                "schtasks.exe /frob",
                ok(1, "The syntax of the command is incorrect.\r\n", false),
            ),
            (l, "/bin/sh -c 'exit 4'", ok(4, "", true)),
            (l, "cat /t/note.txt", ok(0, "hello", true)),
            (
                l,
                "cat /t/nothing",
                ok(1, "/t/nothing: No such file or directory\n", true),
            ),
            (
                l,
                "sh -c \"nosuch -x\"",
                ok(127, "sh: 1: nosuch: not found\n", false),
            ),
            (l, "nosuch", Err(Code::FILE_NOT_FOUND)),
            (
                l,
                "/usr/bin/id",
                ok(0, "uid=0(root) gid=0(root) groups=0(root)\n", true),
            ),
        ];
        for (os, line, expected) in table {
            assert_eq!(said(os, line), expected, "{line}");
        }
    }

    #[test]
    fn a_word_is_the_file_that_it_starts() {
        let mut windows = endpoint(Os::Windows);
        let tools = [r"C:\Windows\System32\cmd.exe", r"C:\Windows\notepad.exe"];
        for path in tools {
            let content = Some(Content::text("MZ"));
            windows.plant(path, content, |_| {}).expect("legal");
        }
        let found = |word| file_of(word, &windows).map(|(path, _)| path);
        let table = [
            ("CMD", Some(r"c:\windows\system32\cmd.exe")),
            ("notepad.exe", Some(r"c:\windows\notepad.exe")),
            (r"C:/T/Tool", Some(r"c:\t\tool.exe")),
            ("tool.exe", None),
            (r"C:\t", None),
            ("", None),
        ];
        for (word, path) in table {
            assert_eq!(found(word).as_deref(), path, "{word}");
        }
        assert_eq!(named("ls -l", &endpoint(Os::Linux)), ["ls"]);
    }

    #[test]
    fn a_line_names_its_program_with_and_without_quotes() {
        let mut windows = endpoint(Os::Windows);
        let long = r"C:\Program Files\My Tool\tool.exe";
        let content = Some(Content::text("MZ"));
        windows.plant(long, content, |_| {}).expect("legal");
        let many = format!(r"C:\x{}", " ".repeat(100_000));
        let table: [(&str, &[&str]); 11] = [
            (
                r#"cmd.exe /c "C:\t\tool.exe -x""#,
                &["cmd.exe", r"C:\t\tool.exe"],
            ),
            (
                r#"cmd.exe /c "C:\t\tool.exe""#,
                &["cmd.exe", r"C:\t\tool.exe"],
            ),
            (
                r#"cmd /c "C:\Program Files\My Tool\tool.exe""#,
                &["cmd", long],
            ),
            (
                r#"cmd /c "C:\Program Files\My Tool\tool.exe" -x"#,
                &["cmd", long],
            ),
            (
                r#"cmd /s /c ""C:\Program Files\My Tool\tool.exe" -x "y z"""#,
                &["cmd", long],
            ),
            (
                r"cmd /C C:\Program Files\My Tool\tool.exe -x",
                &["cmd", long],
            ),
            (r#""C:\Program Files\My Tool\tool.exe" -x"#, &[long]),
            (r"C:\Program Files\My Tool\tool.exe -x", &[long]),
            (r"C:\Program Files\No Tool\tool.exe -x", &[r"C:\Program"]),
            (r#"cmd /c """#, &["cmd", ""]),
            (&many, &[r"C:\x"]),
        ];
        for (line, expected) in table {
            assert_eq!(named(line, &windows), expected, "{line}");
        }
        let ran = |line| start(line, &windows, &Facts::default()).map(|run| (run.image, run.code));
        let expected = Ok((long.to_owned(), 0));
        for line in [
            r#"cmd /c "C:\Program Files\My Tool\tool.exe" -x"#,
            r"C:\Program Files\My Tool\tool.exe -x",
        ] {
            assert_eq!(ran(line), expected, "{line}");
        }
    }

    #[test]
    fn windows_programs_do_not_all_speak_utf8() {
        assert_eq!(utf16("aÜ"), [0xff, 0xfe, b'a', 0, 0xdc, 0]);
        assert_eq!(
            encode("größe\n", Encoding::Cp850, Os::Windows),
            b"gr\x94\xe1e\r\n"
        );
        let used = ["quser", "net", "wmic"];
        for name in used {
            let row = ROWS
                .iter()
                .find(|row| row.program == name)
                .expect("in the table");
            assert_ne!(row.encoding, Encoding::Utf8, "{name}");
            let bytes = encode(&row.output, row.encoding, Os::Windows);
            assert!(
                !bytes.contains(&b'?'),
                "{name} has a letter that its code page lacks"
            );
        }
    }
}
