//! What a machine, or our way to it, cannot do without: folders, processes, services and keys.
//!
//! The lists are no rails: what a run destroys is guarded when it runs. They catch what can only be a
//! mistake while it is still a file.

use super::command_line::UNKNOWN;
use crate::step::SENSOR;
use crate::text::wildcard;

/// Where a system keeps itself.
const SYSTEM: [&str; 13] = [
    r"c:\windows\system32",
    r"c:\windows\syswow64",
    r"c:\windows\winsxs",
    r"c:\windows\boot",
    r"c:\windows\servicing",
    "/bin",
    "/boot",
    "/etc",
    "/lib",
    "/sbin",
    "/usr",
    "/system",
    "/var/lib",
];

/// Folders right below a root that are never one intruder's.
const TOP: [&str; 19] = [
    "windows",
    "users",
    "program files",
    "program files (x86)",
    "programdata",
    "etc",
    "usr",
    "bin",
    "sbin",
    "lib",
    "lib64",
    "boot",
    "home",
    "root",
    "var",
    "opt",
    "system",
    "library",
    "applications",
];

/// Without these the machine or its sensor stops.
const VITAL: [&str; 15] = [
    "csrss", "lsass", "lsaiso", "services", "smss", "wininit", "winlogon", "repmgr", "repux", "cb",
    "cbagentd", "cbdaemon", "cbcomms", "systemd", "launchd",
];

/// The same with their paths, for patterns.
const VITAL_PATHS: [&str; 11] = [
    r"c:\windows\system32\lsass.exe",
    r"c:\windows\system32\csrss.exe",
    r"c:\windows\system32\services.exe",
    r"c:\windows\system32\smss.exe",
    r"c:\windows\system32\wininit.exe",
    r"c:\windows\system32\winlogon.exe",
    r"c:\program files\confer\repmgr.exe",
    r"c:\windows\carbonblack\cb.exe",
    "/opt/carbonblack/psc/bin/cbagentd",
    "/usr/lib/systemd/systemd",
    "/sbin/launchd",
];

/// The sensor's services and drivers.
const SENSOR_SERVICES: [&str; 8] = [
    "cbdefense",
    "cbdefensewsc",
    "carbonblack",
    "carbonblackk",
    "cbstream",
    "ctifile",
    "ctinet",
    "cbdaemon",
];

/// Keys below a hive that belong to everybody.
const SHARED_KEYS: [&str; 14] = [
    r"software\classes",
    r"software\microsoft",
    r"software\microsoft\windows",
    r"software\microsoft\windows\currentversion",
    r"software\microsoft\windows\currentversion\run",
    r"software\microsoft\windows\currentversion\runonce",
    r"software\microsoft\windows nt",
    r"software\microsoft\windows nt\currentversion",
    r"software\microsoft\windows nt\currentversion\winlogon",
    r"software\microsoft\windows nt\currentversion\image file execution options",
    r"software\wow6432node",
    r"system\currentcontrolset",
    r"system\currentcontrolset\control",
    r"system\currentcontrolset\services",
];

pub(super) const SENSOR_LOST: &str = "that is the sensor, and no further command would arrive";
pub(super) const STOPS: &str = "without it the machine or its sensor stops";

/// Why a path can only be taken away by mistake.
pub(super) fn fatal_path(path: &str) -> Option<&'static str> {
    if is_below(path, &SENSOR) {
        Some(SENSOR_LOST)
    } else if is_too_much(path) {
        Some("that is a whole drive, or a folder right below its root")
    } else if SYSTEM.contains(&plain(&without_wildcards(path)).as_str()) {
        Some("that is where the system keeps itself, all of it")
    } else {
        None
    }
}

/// Why a folder must not go with all that is below it.
pub(super) fn fatal_tree(path: &str) -> Option<&'static str> {
    let above = format!("{}{}", plain(path), separator(path));
    let holds = |folders: &[&str]| folders.iter().any(|folder| folder.starts_with(&above));
    fatal_path(path).or_else(|| holds(&SENSOR).then_some("the sensor is in it"))
}

pub(super) fn is_in_system(path: &str) -> bool {
    is_below(path, &SYSTEM)
}

/// Whether it stands directly in a root.
pub(super) fn is_right_below_root(path: &str) -> bool {
    !path.contains(UNKNOWN) && below_root(&plain(path)).is_some_and(|parts| parts.len() == 1)
}

pub(super) fn is_vital_process(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    VITAL.contains(&name.trim_end_matches(".exe"))
}

/// The vital processes, each with its path.
pub(super) fn vital_processes() -> impl Iterator<Item = &'static str> {
    VITAL_PATHS.into_iter()
}

pub(super) fn is_sensor_path(path: &str) -> bool {
    is_below(path, &SENSOR)
}

pub(super) fn is_sensor_service(name: &str) -> bool {
    SENSOR_SERVICES.contains(&name.trim().to_ascii_lowercase().as_str())
}

/// Why a registry key can only be deleted by mistake.
pub(super) fn fatal_key(key: &str) -> Option<&'static str> {
    if key.contains(UNKNOWN) {
        return None;
    }
    let key = key.to_ascii_lowercase();
    let parts: Vec<&str> = key.split('\\').filter(|part| !part.is_empty()).collect();
    let (hive, below) = parts.split_first()?;
    let name = below
        .join("\\")
        .replace(r"system\controlset001", r"system\currentcontrolset");
    let classes = matches!(*hive, "hkcr" | "hkey_classes_root");
    if below.is_empty() || (below.len() == 1 && !classes) {
        return Some("that is a whole hive, or a key right below its root");
    }
    let services = r"system\currentcontrolset\services\";
    let service = name
        .strip_prefix(services)
        .and_then(|rest| rest.split('\\').next());
    if service.is_some_and(is_sensor_service) {
        return Some(SENSOR_LOST);
    }
    SHARED_KEYS
        .contains(&name.as_str())
        .then_some("the system and many programs keep their own settings below it")
}

/// The same for one value of a key.
pub(super) fn holds_sensor(key: &str) -> bool {
    fatal_key(key) == Some(SENSOR_LOST)
}

fn is_below(path: &str, folders: &[&str]) -> bool {
    let path = plain(path);
    folders.iter().any(|folder| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['\\', '/']))
    })
}

/// A root, everything in a root, and what stands directly in it and is everybody's.
fn is_too_much(path: &str) -> bool {
    if path.contains(UNKNOWN) {
        return false;
    }
    match below_root(&plain(path)).as_deref() {
        Some([]) => true,
        Some([only]) => TOP.contains(&only.as_str()),
        _ => false,
    }
}

/// The parts of an absolute path, without those that mean everything.
fn below_root(path: &str) -> Option<Vec<String>> {
    let below = match path.as_bytes() {
        [drive, b':', ..] if drive.is_ascii_alphabetic() => &path[2..],
        [b'/', ..] => &path[1..],
        _ => return None,
    };
    let parts = below
        .split(['\\', '/'])
        .filter(|part| !part.is_empty() && !matches!(*part, "*" | "*.*"));
    Some(parts.map(str::to_owned).collect())
}

fn without_wildcards(path: &str) -> String {
    let mut path = path;
    while let Some((folder, last)) = path.rsplit_once(['\\', '/']) {
        if !last.is_empty() && !matches!(last, "*" | "*.*") {
            break;
        }
        path = folder;
    }
    path.to_owned()
}

fn separator(path: &str) -> char {
    if plain(path).starts_with('/') {
        '/'
    } else {
        '\\'
    }
}

/// In lower case, with the separators that the lists have, and the usual variables in full.
fn plain(path: &str) -> String {
    let mut path = path.to_ascii_lowercase();
    for (variable, value) in [
        ("%systemroot%", r"c:\windows"),
        ("%windir%", r"c:\windows"),
        ("$env:systemroot", r"c:\windows"),
        ("$env:windir", r"c:\windows"),
        ("%systemdrive%", "c:"),
        ("$env:systemdrive", "c:"),
        ("%programfiles%", r"c:\program files"),
        ("%programdata%", r"c:\programdata"),
    ] {
        if let Some(rest) = path.strip_prefix(variable) {
            path = format!("{value}{rest}");
        }
    }
    let path = path.strip_prefix(r"\\?\").unwrap_or(&path);
    let path = if path.as_bytes().get(1) == Some(&b':') {
        path.replace('/', "\\")
    } else {
        path.to_owned()
    };
    match path.trim_end_matches(['\\', '/']) {
        "" => path,
        trimmed => trimmed.to_owned(),
    }
}

/// Whether a name or a path fits a pattern with `*` and `?`, as systems compare them.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    wildcard::fits(&pattern.to_lowercase(), &text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_everybodys() {
        let table = [
            ("HKLM", true),
            (r"HKLM\SOFTWARE", true),
            (
                r"HKEY_LOCAL_MACHINE\Software\Microsoft\Windows\CurrentVersion\Run",
                true,
            ),
            (r"HKLM\SYSTEM\ControlSet001\Services", true),
            (
                r"HKLM\SYSTEM\CurrentControlSet\Services\CbDefense\Parameters",
                true,
            ),
            (r"HKLM\SYSTEM\CurrentControlSet\Services\Evil", false),
            (r"HKLM\SOFTWARE\Evil", false),
            (r"HKCR\evil", false),
            ("HKLM\\\u{fffc}", false),
        ];
        for (key, expected) in table {
            assert_eq!(fatal_key(key).is_some(), expected, "{key}");
        }
    }

    #[test]
    fn folders_that_hold_everything() {
        let table = [
            (r"C:\Program Files\VMware", false, true),
            (r"%SystemRoot%\System32", true, true),
            (r"C:\Windows\System32\*", true, true),
            (r"C:\Windows\System32\evil.dll", false, false),
            (r"\\?\C:\Users", true, true),
            ("/var/opt/", false, true),
            ("/var/optional", false, false),
            ("/", true, true),
            ("evil", false, false),
        ];
        for (path, alone, tree) in table {
            assert_eq!(fatal_path(path).is_some(), alone, "{path}");
            assert_eq!(fatal_tree(path).is_some(), tree, "{path}");
        }
        assert!(is_right_below_root("/x") && is_right_below_root(r"C:\x\"));
        assert!(!is_right_below_root("/x/y") && !is_right_below_root("/\u{fffc}"));
    }
}
