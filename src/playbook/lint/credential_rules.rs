//! Where a command line takes a password, a key or a token.
//!
//! A table of sharp patterns, and no guess at what looks random: a lint that is often wrong is turned
//! off. What asks for a password, or reads it from a file or the environment, is none of it.

use super::command_line::Invocation;
use regex::Regex;
use std::sync::LazyLock;

/// A place that takes a secret, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    /// What takes it, as a subject: `` `net user` ``.
    pub(super) by: String,
    pub(super) value: String,
}

impl Taken {
    fn new(by: impl AsRef<str>, value: impl Into<String>) -> Self {
        let by = format!("`{}`", by.as_ref());
        let value = value.into();
        Self { by, value }
    }
}

/// A program's own switch for a password.
struct Switch {
    programs: &'static [&'static str],
    /// A word that has to be there too, where the switch means something else without it.
    with: Option<&'static str>,
    name: &'static str,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The next argument, or what stands behind a colon.
    Next,
    /// The rest of the same argument.
    Attached,
}

const fn switch(programs: &'static [&'static str], name: &'static str, form: Form) -> Switch {
    Switch {
        programs,
        with: None,
        name,
        form,
    }
}

#[rustfmt::skip]
const SWITCHES: &[Switch] = {
    use Form::{Attached, Next};
    &[
        switch(&["psexec", "psexec64", "paexec", "sshpass", "certutil", "mongo", "mongosh", "mongodump", "winrs"], "-p", Next),
        switch(&["signtool", "schtasks", "tasklist", "taskkill", "systeminfo", "driverquery",
            "gpresult", "getmac", "openfiles", "eventcreate", "wevtutil", "xfreerdp"], "/p", Next),
        switch(&["schtasks"], "/rp", Next),
        switch(&["cmdkey"], "/pass", Next),
        switch(&["plink", "pscp", "psftp", "putty"], "-pw", Next),
        switch(&["sqlcmd", "osql", "bcp", "ipmitool"], "-P", Next),
        switch(&["ldapsearch", "ldapmodify", "ldapadd", "ldapdelete"], "-w", Next),
        switch(&["redis-cli"], "-a", Next),
        Switch { programs: &["docker", "podman", "az"], with: Some("login"), name: "-p", form: Next },
        switch(&["sshpass", "mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump"], "-p", Attached),
        switch(&["7z", "7za", "7zr", "rar", "unrar", "winrar"], "-p", Attached),
        switch(&["rar", "winrar"], "-hp", Attached),
    ]
};

/// Programs that look for words, and are given none that is secret.
const SEARCHING: [&str; 8] = [
    "grep",
    "egrep",
    "fgrep",
    "zgrep",
    "rg",
    "findstr",
    "find",
    "select-string",
];

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is ours and is tested")
}

/// A switch of any program that is called after what it takes, with the value in the next argument.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        "(?i)^(--?|/)(user-?|admin-?)?(password|passwd|passphrase|pwd|storepass|keypass|api[-_]?key|access[-_]?key|secret[-_]?key|client[-_]?secret|(access|auth)?[-_]?token)$",
    )
});

/// The same with the value behind `=` or `:`, where the name can be looser.
static NAMED_WITH_VALUE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        "(?i)^((?:--?|/)(?:[a-z]+[-_]?)?(?:pass|password|passwd|passphrase|pwd|api[-_]?key|access[-_]?key|secret[-_]?key|client[-_]?secret|token))[=:](.+)$",
    )
});

/// `PGPASSWORD=x`, `$env:API_TOKEN = 'x'`, `SERVICEPASSWORD=x`.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:^|[\s;&"'])((?:\$env:)?[A-Z0-9_]*(?:PASSWORD|PASSWD|_PWD|SECRET|TOKEN|API_?KEY|ACCESS_KEY))\s*=\s*["']?([^\s"';&|]+)"#,
    )
});

/// Headers that carry nothing but a credential. The last range is where expressions are marked.
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(Bearer|Authorization: ?Basic|X-Auth-Token:|X-Api-Key:|Private-Token:)\s*([a-z0-9._~+/=-]{12,}|[\x{F0000}-\x{FFFFD}])",
    )
});

static IN_URL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"\b([a-zA-Z][a-zA-Z0-9+.-]*)://[^\s/:@"']+:([^\s/@"']+)@"#));

/// Texts that can be nothing else, wherever they stand.
static TOKENS: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    [
        ("an AWS access key", r"\b((?:AKIA|ASIA)[0-9A-Z]{16})\b"),
        (
            "a GitHub token",
            r"\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})\b",
        ),
        ("a GitLab token", r"\b(glpat-[A-Za-z0-9_-]{20,})"),
        ("a Slack token", r"\b(xox[abprs]-[A-Za-z0-9-]{10,})"),
        ("a Google API key", r"\b(AIza[A-Za-z0-9_-]{35})"),
        (
            "a JSON web token",
            r"\b(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+)",
        ),
        ("a private key", "(-----BEGIN [A-Z ]*PRIVATE KEY-----)"),
    ]
    .map(|(name, text)| (name, pattern(text)))
    .into()
});

/// What the text of a whole line gives away, whatever its programs are.
pub(super) fn in_text(text: &str) -> Vec<Taken> {
    let assigned = VARIABLE.captures_iter(text);
    let headers = HEADER.captures_iter(text);
    let named = assigned
        .chain(headers)
        .map(|found| Taken::new(found[1].trim_end_matches(':'), &found[2]));
    let urls = IN_URL
        .captures_iter(text)
        .map(|found| Taken::new(format!("{}://", &found[1]), &found[2]));
    named.chain(urls).collect()
}

/// A token that is known by its looks, and what it is.
pub(super) fn token(text: &str) -> Option<(&'static str, &str)> {
    TOKENS
        .iter()
        .find_map(|(name, pattern)| Some((*name, pattern.find(text)?.as_str())))
}

/// What one program is given.
pub(super) fn in_invocation(found: &Invocation) -> Vec<Taken> {
    if SEARCHING.contains(&found.program.as_str()) {
        return Vec::new();
    }
    let mut all = by_position(found);
    for rule in SWITCHES {
        let fits = rule.programs.contains(&found.program.as_str())
            && rule.with.is_none_or(|word| found.has(word));
        if fits {
            let by = format!("{} {}", found.program, rule.name);
            all.extend(rule.value(&found.args).map(|value| Taken::new(by, value)));
        }
    }
    let is_mysql = found.program.starts_with("mysql") || found.program.starts_with("mariadb");
    for (at, arg) in found.args.iter().enumerate() {
        if let Some(parts) = NAMED_WITH_VALUE.captures(arg) {
            all.push(Taken::new(&parts[1], &parts[2]));
        } else if NAMED.is_match(arg) && !is_mysql {
            // `mysql --password x` asks, and opens the database `x`.
            let value = found.args.get(at + 1).filter(|next| !is_switch(next));
            all.extend(value.map(|value| Taken::new(arg, value)));
        }
    }
    all
}

impl Switch {
    fn value<'a>(&self, args: &'a [String]) -> Option<&'a str> {
        let name = |text: &'a str| match self.name.strip_prefix('/') {
            Some(name) => text
                .strip_prefix(['/', '-'])
                .filter(|bare| {
                    let start = bare.get(..name.len());
                    start.is_some_and(|start| start.eq_ignore_ascii_case(name))
                })
                .map(|bare| &bare[name.len()..]),
            None => text.strip_prefix(self.name),
        };
        let (at, rest) = args
            .iter()
            .enumerate()
            .find_map(|(at, arg)| Some((at, name(arg)?)).filter(|(_, rest)| self.takes(rest)))?;
        match self.form {
            Form::Attached => Some(rest),
            Form::Next if rest.is_empty() => {
                let next = args.get(at + 1)?;
                (!is_switch(next)).then_some(next)
            }
            Form::Next => Some(&rest[1..]),
        }
    }

    fn takes(&self, rest: &str) -> bool {
        match self.form {
            Form::Attached => !rest.is_empty(),
            Form::Next => rest.is_empty() || rest.starts_with([':', '=']),
        }
    }
}

fn is_switch(arg: &str) -> bool {
    arg.starts_with(['-', '/'])
}

/// Passwords that have no switch.
fn by_position(found: &Invocation) -> Vec<Taken> {
    let words: Vec<&str> = (found.args.iter().map(String::as_str))
        .filter(|arg| !is_switch(arg))
        .collect();
    let verb = words.first().map(|word| word.to_ascii_lowercase());
    let at = match (found.program.as_str(), verb.as_deref()) {
        ("net" | "net1", Some("user" | "users")) => Some(("net user", 2)),
        ("net" | "net1", Some("use")) => {
            let share = words.iter().position(|word| word.starts_with(r"\\"));
            share.map(|share| ("net use", share + 1))
        }
        _ => None,
    };
    let mut all = Vec::new();
    all.extend(at.and_then(|(by, at)| Some(Taken::new(by, *words.get(at)?))));
    let following = |name: &str| {
        let mut args = found.args.iter();
        let named = |arg: &String| arg.trim_start_matches('(').eq_ignore_ascii_case(name);
        args.find(|arg| named(arg)).and_then(|_| args.next())
    };
    match found.program.as_str() {
        "sc" => all.extend(following("password=").map(|value| Taken::new("password=", value))),
        "curl" => {
            let login = following("-u").or_else(|| following("--user"));
            let password = login.and_then(|login| login.split_once(':'));
            all.extend(password.map(|(_, password)| Taken::new("curl -u", password)));
        }
        "reg"
            if found
                .value_of("/v")
                .is_some_and(|name| name.eq_ignore_ascii_case("DefaultPassword")) =>
        {
            let data = found.value_of("/d");
            all.extend(data.map(|data| Taken::new("DefaultPassword", data)));
        }
        _ => {}
    }
    let cmdlet = "ConvertTo-SecureString";
    let is_cmdlet = found.program == cmdlet.to_ascii_lowercase();
    let first = if is_cmdlet {
        words.first().copied()
    } else {
        following(cmdlet).map(String::as_str)
    };
    if found.has("-AsPlainText") || found.has("-AsPlainText)") {
        let string = following("-String").map(String::as_str);
        let plain = string.or(first).filter(|plain| !is_switch(plain));
        all.extend(plain.map(|plain| Taken::new(cmdlet, plain)));
    }
    all
}

/// Whether a text is itself what must not be known, and no stand-in for it: a variable of a shell, a
/// file, a word such as `prompt`, the password that samples are usually stored with.
pub(super) fn is_plain(value: &str) -> bool {
    let value = value.trim_matches(|c: char| matches!(c, '"' | '\'' | ')'));
    let stands_in = value.starts_with(['$', '%', '!', '<', '@', '(', '`', '['])
        || ["env:", "file:", "fd:", "stdin"]
            .iter()
            .any(|prefix| value.starts_with(prefix));
    let word = matches!(
        value.to_ascii_lowercase().as_str(),
        "" | "0" | "1" | "true" | "false" | "yes" | "no" | "none" | "null" | "prompt" | "infected"
    );
    !stands_in && !word && value.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::super::command_line::invocations_in;
    use super::*;

    fn told(line: &str) -> Vec<String> {
        let mut all = in_text(line);
        for found in invocations_in(line) {
            all.extend(in_invocation(&found));
        }
        all.retain(|taken| is_plain(&taken.value));
        all.into_iter()
            .map(|taken| format!("{} {}", taken.by, taken.value))
            .collect()
    }

    #[test]
    fn what_takes_a_password() {
        let table = [
            ("net user bob Hunter2! /add", "`net user` Hunter2!"),
            (
                r"cmd /c net use Z: \\srv\share Hunter2 /user:CORP\bob",
                "`net use` Hunter2",
            ),
            ("net1 users bob Hunter2", "`net user` Hunter2"),
            (
                r"psexec \\host -u bob -p Hunter2 cmd",
                "`psexec -p` Hunter2",
            ),
            (
                "schtasks /create /tn x /ru bob /RP Hunter2",
                "`schtasks /rp` Hunter2",
            ),
            (
                "wevtutil qe System /r:host /u:bob /p:Hunter2",
                "`wevtutil /p` Hunter2",
            ),
            ("plink -ssh bob@host -pw Hunter2 id", "`plink -pw` Hunter2"),
            ("sshpass -pHunter2 ssh host", "`sshpass -p` Hunter2"),
            ("sshpass -p Hunter2 ssh host", "`sshpass -p` Hunter2"),
            ("mysql -ubob -pHunter2 db", "`mysql -p` Hunter2"),
            ("sqlcmd -S db -U sa -P Hunter2", "`sqlcmd -P` Hunter2"),
            ("docker login -u bob -p Hunter2", "`docker -p` Hunter2"),
            ("tool --password=Hunter2", "`--password` Hunter2"),
            ("tool -Password Hunter2", "`-Password` Hunter2"),
            (
                "wmic /user:bob /password:Hunter2 os get name",
                "`/password` Hunter2",
            ),
            (
                "wget --http-password=Hunter2 http://x",
                "`--http-password` Hunter2",
            ),
            (
                "sc config x obj= bob password= Hunter2",
                "`password=` Hunter2",
            ),
            ("curl -u bob:Hunter2 https://x", "`curl -u` Hunter2"),
            ("curl https://bob:Hunter2@x/y", "`https://` Hunter2"),
            (
                "curl -H 'Authorization: Bearer abcdefghijkl1234'",
                "`Bearer` abcdefghijkl1234",
            ),
            (
                "curl -H \"X-Auth-Token: ABCDEFGHIJKL/XYZ\"",
                "`X-Auth-Token` ABCDEFGHIJKL/XYZ",
            ),
            (
                "sh -c 'PGPASSWORD=Hunter2 psql -c x'",
                "`PGPASSWORD` Hunter2",
            ),
            (
                "powershell -c \"$env:API_TOKEN = 'Hunter2'\"",
                "`$env:API_TOKEN` Hunter2",
            ),
            (
                "powershell -c \"ConvertTo-SecureString 'Hunter2' -AsPlainText -Force\"",
                "`ConvertTo-SecureString` Hunter2",
            ),
            (
                "reg add HKLM\\X /v DefaultPassword /d Hunter2 /f",
                "`DefaultPassword` Hunter2",
            ),
        ];
        for (line, expected) in table {
            assert_eq!(told(line), [expected], "{line}");
        }
    }

    #[test]
    fn what_does_not() {
        let table = [
            "net user bob /active:no",
            "net user bob * /add",
            "net user",
            r"net use Z: \\srv\share /user:bob",
            r"net use Z: \\srv\share *",
            "net use Z: /delete",
            "net accounts /minpwlen:8",
            "net user bob /passwordreq:yes",
            "mysql -u bob -p db",
            "mysql -P3306 --password db",
            "docker run -p 8080:80 x",
            "ssh -p 2222 host",
            "mkdir -p /opt/x",
            "netstat -p tcp",
            "7z x -pinfected sample.zip",
            "shutdown /p",
            "tool --password $PASSWORD",
            "tool --password=%PW%",
            "tool --password-file /etc/x",
            "tool --password --verbose",
            "curl -u bob https://x",
            "curl https://x:8080/a@b",
            "curl -H \"Authorization: Bearer $TOKEN\"",
            "findstr /s /i password= *.txt",
            "grep -r --password hunter /etc",
            "reg query HKLM\\X /v DefaultPassword",
            "powershell -c \"Get-LocalUser | where PasswordRequired\"",
            "powershell -c \"New-LocalUser bob -Password (Read-Host -AsSecureString)\"",
            "ffmpeg -pass 1 x",
            "sqlcmd -p 1 -E",
            "msiexec /i x.msi REQUIRE_PASSWORD=1",
            "echo the bearer of this",
        ];
        for line in table {
            assert!(told(line).is_empty(), "{line}: {:?}", told(line));
        }
    }

    #[test]
    fn tokens_are_known_by_their_looks() {
        let github = format!("ghp_{}", "a1".repeat(18));
        let aws = format!("AKIA{}", "Z2".repeat(8));
        assert_eq!(
            token(&format!("x {github} y")),
            Some(("a GitHub token", &*github))
        );
        assert_eq!(token(&aws), Some(("an AWS access key", &*aws)));
        for text in [
            "ghp_short",
            "AKIA",
            "XAKIAZZZZZZZZZZZZZZZZ",
            "eyJhbGciOi.x.y",
        ] {
            assert_eq!(token(text), None, "{text}");
        }
    }
}
