//! The command lines that gather: parts of two files, put together for the places that are asked for.

use super::Place;
use crate::model::device::Os;
use crate::step::exec::quote;
use crate::text::json::hex;
use sha2::{Digest, Sha256};

const WINDOWS: &str = include_str!("windows.ps1");
const UNIX: &str = include_str!("unix.sh");

/// A command takes 10 KB as JSON; what is left is for its other members.
const LARGEST: usize = 9_000;

/// A command line, and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) places: Vec<Place>,
    pub(super) command_line: String,
    /// Of the script alone, as it stands between the quotes.
    pub(super) sha256: String,
}

/// As few command lines as hold the places, each place once and whole.
pub(super) fn scripts(places: &[Place], os: Os) -> Vec<Script> {
    let mut all: Vec<Script> = Vec::new();
    let mut seen = Vec::new();
    for place in places {
        if seen.contains(place) {
            continue;
        }
        seen.push(*place);
        if let Some(last) = all.last_mut() {
            let more = [&last.places[..], &[*place]].concat();
            let longer = assembled(more, os);
            if longer.length() <= LARGEST {
                *last = longer;
                continue;
            }
        }
        all.push(assembled(vec![*place], os));
    }
    all
}

impl Script {
    /// Bytes in a request.
    fn length(&self) -> usize {
        serde_json::Value::from(self.command_line.as_str())
            .to_string()
            .len()
    }
}

/// The first part of the file, those of the places, and the last one, behind a statement that says what is
/// asked for.
fn assembled(places: Vec<Place>, os: Os) -> Script {
    let words: Vec<&str> = places.iter().map(|place| place.word()).collect();
    let asked = words.join(" ");
    let (source, first) = if os == Os::Windows {
        (WINDOWS, format!("$sortie_gather='1 {asked}';"))
    } else {
        (UNIX, format!("sortie_gather=\"1 {asked}\";"))
    };
    let names = [&["start"], &words[..], &["end"]].concat();
    let parts = names.iter().map(|name| part(source, name));
    let text: Vec<String> = std::iter::once(first).chain(parts).collect();
    let text = text.join(" ");
    let sha256 = hex(&Sha256::digest(&text));
    let (program, args) = if os == Os::Windows {
        let args = ["-NoProfile", "-NonInteractive", "-Command", &text];
        ("powershell.exe", args.to_vec())
    } else {
        ("/bin/sh", vec!["-c", &text])
    };
    let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    Script {
        places,
        command_line: quote::line(program, &args, os).unwrap_or_default(),
        sha256,
    }
}

/// A part of a file without its comments, on one line.
fn part(source: &str, name: &str) -> String {
    let mut current = "start";
    let mut kept = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(next) = line.strip_prefix("#: ") {
            current = next;
        } else if current == name && !line.is_empty() && !line.starts_with('#') {
            kept.push(line);
        }
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Choice;

    fn every_place() -> Vec<Place> {
        Place::CHOICES.iter().map(|(_, place)| *place).collect()
    }

    #[test]
    fn every_place_has_a_part_that_fits_alone() {
        for os in Os::NAMED {
            for (word, place) in Place::CHOICES {
                let scripts = scripts(&[*place], os);
                let [script] = &scripts[..] else {
                    panic!("{os} {word}: {scripts:?}");
                };
                assert!(script.length() <= LARGEST, "{os} {word}");
                let source = if os == Os::Windows { WINDOWS } else { UNIX };
                assert!(!part(source, word).is_empty(), "{os} {word}");
            }
        }
    }

    #[test]
    fn all_places_go_in_one_line_of_each_system() {
        let mut twice = every_place();
        twice.extend(every_place());
        for os in Os::NAMED {
            let scripts = scripts(&twice, os);
            assert_eq!(scripts.len(), 1, "{os}");
            assert_eq!(scripts[0].places, every_place(), "{os}");
        }
    }

    /// Nothing is quoted twice: what stands in the file is what the shell gets.
    #[test]
    fn quoting_is_trivial() {
        for os in Os::NAMED {
            let line = &scripts(&every_place(), os)[0].command_line;
            assert!(
                line.is_ascii() && !line.contains(['\n', '\r', '\t']),
                "{os}"
            );
            let (start, quote) = if os == Os::Windows {
                let start = "powershell.exe -NoProfile -NonInteractive -Command \"$sortie_gather='1 run_keys services ";
                (start, '"')
            } else {
                ("/bin/sh -c 'sortie_gather=\"1 run_keys services ", '\'')
            };
            assert!(line.starts_with(start), "{line}");
            assert_eq!(line.matches(quote).count(), 2, "{os}");
            assert!(line.ends_with(&format!(";{quote}")), "{line}");
        }
    }

    #[test]
    fn a_script_is_named_by_its_hash() {
        let of = |places: &[Place]| scripts(places, Os::Windows)[0].sha256.clone();
        assert_eq!(of(&[Place::Users]), of(&[Place::Users, Place::Users]));
        assert_ne!(of(&[Place::Users]), of(&[Place::Logons]));
        assert_eq!(of(&[Place::Users]).len(), 64);
    }

    /// What the shell tells of a place where something else stands in the place of one of its paths.
    #[cfg(unix)]
    fn told(place: Place, path: &str, instead: &std::path::Path) -> Vec<Option<String>> {
        let line = assembled(vec![place], Os::Linux).command_line;
        let line = line.replace(path, instead.to_str().expect("a path of ours"));
        let ran = std::process::Command::new("/bin/sh")
            .args(["-c", &line])
            .output()
            .expect("every system has a shell");
        let mut rows = Vec::new();
        let end = super::super::output::read(&ran.stdout, &mut rows);
        assert_eq!(end, Ok(()));
        let there = instead.to_str();
        let ours = rows.into_iter().filter(|row| {
            let path = row.path.as_ref().map(crate::model::remote::RemoteText::raw);
            path.is_none_or(|path| there.is_some_and(|there| path.starts_with(there)))
        });
        ours.map(|row| Some(row.data?.raw().to_owned())).collect()
    }

    /// What systemd starts is told, however it is written.
    #[cfg(unix)]
    #[test]
    fn a_unit_hides_nothing_that_it_starts() {
        let folder = tempfile::tempdir().expect("a folder");
        let starts = " \tExecStart=/evil one\nExecStop = /bin/sh \\\n# note\n  -c two \\\n three\n";
        let unit = format!("[Unit]\nDescription=x\n{starts}Type=simple\n");
        std::fs::write(folder.path().join("x.service"), unit).expect("a file");
        let told = told(Place::Services, "/etc/systemd/system", folder.path());
        assert_eq!(told, [Some(starts.to_owned())]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_last_user_needs_no_line_break() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "a:x:0:0::/:/bin/sh\nb:x:0:0::/:/bin/sh").expect("a file");
        let told = told(Place::Users, "/etc/passwd", file.path());
        let expected = ["a 0 / /bin/sh", "b 0 / /bin/sh"];
        assert_eq!(told, expected.map(|line| Some(line.to_owned())));
    }

    /// A file that is called like a socket makes nobody its owner.
    #[cfg(target_os = "linux")]
    #[test]
    fn whose_a_socket_is_no_name_of_a_file_says() {
        use std::os::fd::AsRawFd;
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let local = socket.local_addr().expect("an address").to_string();
        let held = format!("/proc/self/fd/{}", socket.as_raw_fd());
        let socket_is = std::fs::read_link(held).expect("it is open");
        let folder = tempfile::tempdir().expect("a folder");
        let named = folder.path().join(format!("x -> {}", socket_is.display()));
        let file = std::fs::File::create(named).expect("a file");
        let other = std::process::Command::new("sleep")
            .arg("60")
            .stdin(file)
            .spawn();
        let mut other = other.expect("every system can sleep");
        let line = assembled(vec![Place::Netstat], Os::Linux).command_line;
        let ran = std::process::Command::new("/bin/sh")
            .args(["-c", &line])
            .output();
        other.kill().expect("it sleeps");
        other.wait().expect("it is gone");
        let mut rows = Vec::new();
        let end = super::super::output::read(&ran.expect("a shell").stdout, &mut rows);
        assert_eq!(end, Ok(()));
        let ours = rows.iter().find(|row| row.extra["local"] == local.as_str());
        let ours = ours.expect("it listens");
        assert_eq!(ours.extra["pid"], std::process::id());
    }
}
