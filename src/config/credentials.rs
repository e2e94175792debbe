//! Where the API is and what opens it: a profile, from variables or from one section of an INI file.
//!
//! It reads what it is pointed at and nothing else, and no message of it ever holds a value that
//! could be secret.

use crate::secret::Secret;
use configparser::ini::Ini;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The section that is used when nobody names one.
pub const DEFAULT_PROFILE: &str = "default";

/// Larger than any file of profiles; what is larger is something else.
const LARGEST_FILE: u64 = 1 << 20;

/// How to reach one organisation.
#[derive(Clone)]
pub struct Profile {
    pub endpoint: Endpoint,
    pub token: Secret,
    pub org_key: String,
    /// False is a risk that the caller must warn of, every run.
    pub ssl_verify: bool,
    /// Trusted instead of the system's authorities, while `ssl_verify` is on.
    pub ssl_cert_file: Option<PathBuf>,
    /// May hold a password.
    pub proxy: Option<Secret>,
    /// Neither the system's proxy nor `proxy`.
    pub ignore_system_proxy: bool,
    /// How many commands of one device may be under way at once; 1 does one after the other.
    pub read_ahead: Option<usize>,
}

/// Where to look; what is named here beats the variables.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sources<'a> {
    pub credentials: Option<&'a Path>,
    pub profile: Option<&'a str>,
}

#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error(
        "no credentials: set CBC_URL, CBC_TOKEN and CBC_ORG_KEY, or name a file with --credentials FILE"
    )]
    Nothing,
    #[error("{missing} not set: CBC_URL, CBC_TOKEN and CBC_ORG_KEY go together")]
    Incomplete { missing: String },
    #[error("--profile {profile} needs a file: name it with --credentials FILE")]
    NoFile { profile: String },
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: other users can read it, and it opens your organisation: run `chmod 600 {}`", path.display(), quoted(path))]
    Exposed { path: PathBuf },
    #[error("{}: not an INI file: {detail}", path.display())]
    NotIni { path: PathBuf, detail: String },
    #[error("{}: no section [{profile}]: {}", path.display(), known(sections))]
    NoProfile {
        path: PathBuf,
        profile: String,
        sections: Vec<String>,
    },
    #[error("{place}: `{key}` is missing")]
    Missing { place: String, key: &'static str },
    #[error("{place}: `{key}` is given twice")]
    Twice { place: String, key: String },
    #[error("{place}: `{key}` {problem}")]
    Bad {
        place: String,
        key: &'static str,
        problem: &'static str,
    },
}

/// Finds the profile. `variable` looks up one environment variable.
pub fn load(
    sources: Sources<'_>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Profile, CredentialsError> {
    match (sources.credentials, sources.profile) {
        (Some(path), profile) => from_ini(path, &read(path)?, profile.unwrap_or(DEFAULT_PROFILE)),
        (None, Some(profile)) => Err(CredentialsError::NoFile {
            profile: profile.to_owned(),
        }),
        (None, None) => from_variables(variable),
    }
}

fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Result<Profile, CredentialsError> {
    const NEEDED: [(&str, &str); 3] = [
        ("CBC_URL", "url"),
        ("CBC_TOKEN", "token"),
        ("CBC_ORG_KEY", "org_key"),
    ];
    let mut options = BTreeMap::new();
    let mut missing = Vec::new();
    for (name, key) in NEEDED {
        match variable(name).filter(|value| !value.is_empty()) {
            Some(value) => {
                options.insert(key.to_owned(), value);
            }
            None => missing.push(name),
        }
    }
    if missing.len() == NEEDED.len() {
        return Err(CredentialsError::Nothing);
    }
    if !missing.is_empty() {
        return Err(CredentialsError::Incomplete {
            missing: missing.join(" and "),
        });
    }
    if let Some(value) = variable("CBC_SSL_VERIFY").filter(|value| !value.is_empty()) {
        options.insert("ssl_verify".to_owned(), value);
    }
    profile("environment (CBC_ variables)", &options)
}

fn read(path: &Path) -> Result<String, CredentialsError> {
    let unreadable = |source| CredentialsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    // Asked of the open file: a look by name could be about another one.
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    if is_exposed(&metadata) {
        return Err(CredentialsError::Exposed {
            path: path.to_owned(),
        });
    }
    let mut text = String::new();
    file.take(LARGEST_FILE)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    Ok(text)
}

#[cfg(unix)]
fn is_exposed(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

/// Elsewhere permissions are lists that the file's folder hands down.
#[cfg(not(unix))]
fn is_exposed(_: &std::fs::Metadata) -> bool {
    false
}

fn from_ini(path: &Path, text: &str, wanted: &str) -> Result<Profile, CredentialsError> {
    let mut ini = Ini::new_cs();
    ini.set_multiline(true);
    // A token may hold a semicolon.
    ini.set_inline_comment_symbols(Some(&[]));
    // What stands before the first section would otherwise land in the default profile unseen.
    ini.set_default_section("");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let not_ini = |detail| CredentialsError::NotIni {
        path: path.to_owned(),
        detail,
    };
    let sections = ini.read(text.to_owned()).map_err(not_ini)?;
    if sections.contains_key("") {
        return Err(not_ini(
            "an option stands before the first [section]".into(),
        ));
    }
    // `[DEFAULT]` in capitals lends its options to all sections and is none itself.
    let shared = sections.get("DEFAULT");
    let Some(own) = sections.get(wanted).filter(|_| wanted != "DEFAULT") else {
        let mut names: Vec<String> = sections
            .into_keys()
            .filter(|name| name != "DEFAULT")
            .collect();
        names.sort();
        return Err(CredentialsError::NoProfile {
            path: path.to_owned(),
            profile: wanted.to_owned(),
            sections: names,
        });
    };
    let place = format!("{} [{wanted}]", path.display());
    let mut options = BTreeMap::new();
    for section in shared.into_iter().chain([own]) {
        let mut seen = BTreeMap::new();
        for (key, value) in section {
            let key = key.to_lowercase();
            if seen
                .insert(key.clone(), value.clone().unwrap_or_default())
                .is_some()
            {
                return Err(CredentialsError::Twice { place, key });
            }
        }
        options.append(&mut seen);
    }
    profile(&place, &options)
}

fn profile(place: &str, options: &BTreeMap<String, String>) -> Result<Profile, CredentialsError> {
    let bad = |key, problem| CredentialsError::Bad {
        place: place.to_owned(),
        key,
        problem,
    };
    let optional = |key: &str| {
        options
            .get(key)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    };
    let needed = |key| {
        optional(key).ok_or_else(|| CredentialsError::Missing {
            place: place.to_owned(),
            key,
        })
    };
    let switch = |key, default| match options.get(key) {
        Some(value) => boolean(value).ok_or_else(|| {
            bad(
                key,
                "is neither yes nor no: use true, yes, on, 1, or false, no, off, 0",
            )
        }),
        None => Ok(default),
    };
    let word = |key| {
        let value = needed(key)?;
        if value.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(value)
        } else {
            Err(bad(
                key,
                "holds a blank, a line break or a character outside ASCII",
            ))
        }
    };
    Ok(Profile {
        endpoint: Endpoint::parse(needed("url")?).map_err(|problem| bad("url", problem))?,
        token: Secret::new(word("token")?),
        org_key: word("org_key")?.to_owned(),
        ssl_verify: switch("ssl_verify", true)?,
        ssl_cert_file: optional("ssl_cert_file").map(PathBuf::from),
        proxy: optional("proxy").map(Secret::new),
        ignore_system_proxy: switch("ignore_system_proxy", false)?,
        read_ahead: optional("read_ahead")
            .map(|text| match text.parse() {
                Ok(number @ 1..=16) => Ok(number),
                _ => Err(bad("read_ahead", "is no number from 1 to 16")),
            })
            .transpose()?,
    })
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        number => number.parse::<i64>().ok().map(|number| number != 0),
    }
}

/// The path as a POSIX shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-~".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn known(sections: &[String]) -> String {
    if sections.is_empty() {
        "the file has no section".into()
    } else {
        format!("it has [{}]", sections.join("], ["))
    }
}

/// The address of an API, checked: `https`, or `http` to this very machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    host: String,
}

impl Endpoint {
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = text.trim_end_matches('/');
        let (rest, is_plain) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => return Err("must start with https://"),
        };
        if url.contains(['?', '#', '\\']) || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("is not a plain address: https://HOST[:PORT][/PATH]");
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err("must not hold a user name or password");
        }
        let host = host_of(authority).ok_or("has no valid host: https://HOST[:PORT]")?;
        let endpoint = Self {
            url: url.to_owned(),
            host: host.to_owned(),
        };
        if is_plain && !endpoint.is_loopback() {
            return Err("must start with https:// (http:// is for this machine only)");
        }
        Ok(endpoint)
    }

    /// Scheme, host, port and path, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Host and, where it is given, port, for messages.
    pub fn authority(&self) -> &str {
        let rest = self
            .url
            .split_once("://")
            .map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split_once('/')
            .map_or(rest, |(authority, _)| authority)
    }

    pub fn is_plain(&self) -> bool {
        self.url.starts_with("http://")
    }

    /// Does it lead to this very machine?
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

/// Is that host this very machine, whatever a name server says?
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                port.strip_prefix(':')
                    .or(port.is_empty().then_some("443"))?,
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "443")),
    };
    port.parse::<u16>().ok()?;
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "S3CRET;with#signs/AB12";

    fn variables<'a>(list: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            list.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        }
    }

    fn ini(text: &str, profile: &str) -> Result<Profile, String> {
        from_ini(Path::new("c.psc"), text, profile).map_err(|error| error.to_string())
    }

    fn problem(result: Result<Profile, String>) -> String {
        match result {
            Ok(profile) => format!("accepted {}", profile.endpoint.url()),
            Err(text) => text,
        }
    }

    #[test]
    fn a_section_becomes_a_profile() {
        let text = format!(
            "\u{feff}# comment\n[DEFAULT]\nproxy = http://u:p@proxy.example:3128\n[default]\nURL: https://defense.example/\n\
             token={TOKEN}\n; comment\nOrg_Key = ABCD1234\nssl_verify = Off\nunknown = 1\n[Other]\n"
        );
        let profile = ini(&text, "default").expect("is good");
        assert_eq!(profile.endpoint.url(), "https://defense.example");
        assert_eq!(profile.endpoint.host, "defense.example");
        assert_eq!(profile.token.expose(), TOKEN);
        assert_eq!(profile.org_key, "ABCD1234");
        assert!(!profile.ssl_verify && !profile.ignore_system_proxy);
        assert_eq!(
            profile.proxy.expect("is shared").expose(),
            "http://u:p@proxy.example:3128"
        );
    }

    #[test]
    fn a_bad_file_says_where_and_what() {
        let good = format!("[a]\nurl=https://h\ntoken={TOKEN}\norg_key=O\n");
        let table = [
            (
                "url=https://h\n",
                "c.psc: not an INI file: an option stands before the first [section]",
            ),
            (
                "[a\n",
                "c.psc: not an INI file: line 1: Found opening bracket for section name but no closing bracket",
            ),
            ("[A]\n[b]\n", "c.psc: no section [a]: it has [A], [b]"),
            ("", "c.psc: no section [a]: the file has no section"),
            ("[a]\nurl=https://h\n", "c.psc [a]: `token` is missing"),
            (
                &format!("{good}ssl_verify=maybe"),
                "c.psc [a]: `ssl_verify` is neither yes nor no: use true, yes, on, 1, or false, no, off, 0",
            ),
            (
                &format!("{good}ssl_verify="),
                "c.psc [a]: `ssl_verify` is neither yes nor no: use true, yes, on, 1, or false, no, off, 0",
            ),
            (
                &format!("{good}read_ahead=17"),
                "c.psc [a]: `read_ahead` is no number from 1 to 16",
            ),
            (
                &format!("{good}Token=x"),
                "c.psc [a]: `token` is given twice",
            ),
            (
                &good.replace("/AB12", "\n  /AB12"),
                "c.psc [a]: `token` holds a blank, a line break or a character outside ASCII",
            ),
        ];
        for (text, expected) in table {
            let said = problem(ini(text, "a"));
            assert_eq!(said, expected, "{text}");
            assert!(!said.contains("S3CRET"));
        }
        assert!(problem(ini(&good, "DEFAULT")).contains("no section [DEFAULT]"));
    }

    #[test]
    fn an_address_is_https_or_this_machine() {
        let table = [
            ("https://defense.example", "defense.example", true),
            (
                "https://defense.example:8443/base//",
                "defense.example",
                true,
            ),
            ("http://127.0.0.1:8080", "127.0.0.1", true),
            ("http://127.9.9.9", "127.9.9.9", true),
            ("http://[::1]:8080/", "::1", true),
            ("http://localhost:1", "localhost", true),
            ("http://defense.example", "", false),
            ("http://localhost.example", "", false),
            ("http://127.0.0.1.example", "", false),
            ("http://127.0.0.1@evil.example", "", false),
            ("https://user:pass@defense.example", "", false),
            ("HTTPS://defense.example", "", false),
            ("https://", "", false),
            ("https://h:port", "", false),
            ("https://h?x=1", "", false),
            ("https://h h", "", false),
            ("https://h\\@evil.example", "", false),
            ("ftp://h", "", false),
        ];
        for (text, host, is_good) in table {
            match Endpoint::parse(text) {
                Ok(endpoint) => {
                    assert_eq!((endpoint.host.as_str(), true), (host, is_good), "{text}");
                }
                Err(_) => assert!(!is_good, "{text}"),
            }
        }
    }

    #[test]
    fn variables_make_a_profile_unless_a_file_is_named() {
        let all = [
            ("CBC_URL", "http://localhost:9"),
            ("CBC_TOKEN", TOKEN),
            ("CBC_ORG_KEY", "O"),
            ("CBC_SSL_VERIFY", "0"),
        ];
        let profile = load(Sources::default(), &variables(&all)).expect("is good");
        assert!(
            !profile.ssl_verify && profile.endpoint.is_loopback() && profile.endpoint.is_plain()
        );

        let said = |sources, list| match load(sources, &variables(list)) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        };
        let none = Sources::default();
        assert!(said(none, &[]).starts_with("no credentials: set CBC_URL"));
        assert!(said(none, &all[..2]).starts_with("CBC_ORG_KEY not set"));
        let named = Sources {
            profile: Some("p"),
            ..none
        };
        assert!(said(named, &all).starts_with("--profile p needs a file"));
        let lost = Sources {
            credentials: Some(Path::new("/does/not/exist")),
            ..none
        };
        assert!(said(lost, &all).starts_with("/does/not/exist: cannot be read"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_fix() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("makes a folder");
        let path = folder.path().join("it's mine");
        std::fs::write(&path, "[default]\nurl=https://h\ntoken=t\norg_key=O\n").expect("writes");
        let sources = Sources {
            credentials: Some(&path),
            profile: None,
        };
        for (mode, is_good) in [(0o640, false), (0o604, false), (0o600, true), (0o400, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("sets");
            match load(sources, &|_| None) {
                Ok(_) => assert!(is_good, "{mode:o}"),
                Err(error) => {
                    assert!(!is_good, "{mode:o}");
                    let text = error.to_string();
                    assert!(
                        text.contains("chmod 600 '") && text.contains(r"it'\''s mine'"),
                        "{text}"
                    );
                }
            }
        }
    }
}
