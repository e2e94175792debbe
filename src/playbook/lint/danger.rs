//! Command lines that destroy: said to be what they are, and refused where they can only be a mistake.

use super::command_line::{Invocation, UNKNOWN, invocations};
use super::{commands, programs};
use crate::model::effect::{Effect, Permission};
use crate::playbook::Playbook;
use crate::step::Exec;
use crate::template::Template;
use crate::text::diagnostic::{Code, Diagnostics};

/// Where the sensor lives; without it there is no next command.
const SENSOR: [&str; 9] = [
    r"c:\program files\confer",
    r"c:\programdata\carbonblack",
    r"c:\windows\carbonblack",
    r"c:\program files\vmware\carbon black",
    "/opt/carbonblack",
    "/var/opt/carbonblack",
    "/var/lib/cb",
    "/applications/vmware carbon black cloud",
    "/library/application support/com.vmware.carbonblack.cloud",
];

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

/// Without these the machine or its sensor stops.
const VITAL: [&str; 14] = [
    "csrss", "lsass", "lsaiso", "services", "smss", "wininit", "winlogon", "repmgr", "repux", "cb",
    "cbagentd", "cbdaemon", "cbcomms", "systemd",
];

pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    for (exec, line) in commands(playbook) {
        for found in invocations(line) {
            if let Some(permission) = programs::destroys(&found) {
                destroying(playbook, (exec, line), &found, permission, all);
            }
        }
    }
}

fn destroying(
    playbook: &Playbook,
    (exec, line): (&Exec, &Template),
    found: &Invocation,
    permission: Permission,
    all: &mut Diagnostics,
) {
    let (span, program) = (line.span(), &found.program);
    if exec.effect == Effect::Read {
        let message =
            format!("`{program}` destroys, and `effect: read` says that it changes nothing");
        all.error(Code::Danger, span, message)
            .help("remove `effect`: what destroys must never run twice by itself");
    }
    if let Some((target, why)) = fatal(found, permission) {
        let message = format!("`{program}` would take `{target}`: {why}");
        all.error(Code::Danger, span, message)
            .help("name exactly what is to go");
    } else if let Some(target) = found.args.iter().find(|arg| is_below(arg, &SYSTEM)) {
        let message = format!("`{program}` works where the system keeps itself: `{target}`");
        all.warn(Code::Danger, span, message)
            .help("make sure of the path: a machine that does not start answers no more");
    } else if exec.effect != Effect::Read && !playbook.permissions.contains(&permission) {
        let message =
            format!("`{program}` destroys: this step counts as `{permission}`, not only as `exec`");
        all.warn(Code::Danger, span, message).help(format!(
            "declare it, for whoever reviews this: add {permission} to `permissions`"
        ));
    }
}

/// What can only be a mistake, and why.
fn fatal(found: &Invocation, permission: Permission) -> Option<(&str, &'static str)> {
    if permission == Permission::Kill {
        let name = |arg: &&String| {
            let name = arg.to_ascii_lowercase();
            VITAL.contains(&name.trim_end_matches(".exe"))
        };
        let target = found.args.iter().find(name)?;
        return Some((target, "without it the machine or its sensor stops"));
    }
    if let Some(target) = found.args.iter().find(|arg| is_below(arg, &SENSOR)) {
        return Some((
            target,
            "that is the sensor, and no further command would arrive",
        ));
    }
    let target = found.operands().find(|arg| is_too_much(arg))?;
    Some((
        target,
        "that is a whole drive, or a folder right below its root",
    ))
}

fn is_below(arg: &str, folders: &[&str]) -> bool {
    let path = plain(arg);
    folders.iter().any(|folder| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['\\', '/']))
    })
}

/// A root, everything in a root, and what stands directly in it and has no suffix.
fn is_too_much(arg: &str) -> bool {
    if arg.contains(UNKNOWN) {
        return false;
    }
    let path = plain(arg);
    let below = match path.as_bytes() {
        [drive, b':', ..] if drive.is_ascii_alphabetic() => &path[2..],
        [b'/', ..] => &path[1..],
        _ => return false,
    };
    let parts: Vec<&str> = below
        .split(['\\', '/'])
        .filter(|part| !part.is_empty() && !matches!(*part, "*" | "*.*"))
        .collect();
    match parts[..] {
        [] => true,
        [only] => matches!(
            only,
            "windows"
                | "users"
                | "program files"
                | "program files (x86)"
                | "programdata"
                | "etc"
                | "usr"
                | "bin"
                | "sbin"
                | "lib"
                | "boot"
                | "home"
                | "root"
                | "var"
                | "opt"
                | "system"
                | "library"
                | "applications"
        ),
        _ => false,
    }
}

/// In lower case, with the separators that the lists have.
fn plain(arg: &str) -> String {
    let path = arg.to_ascii_lowercase();
    if path.as_bytes().get(1) == Some(&b':') {
        path.replace('/', "\\")
    } else {
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;
    use crate::text::source::Span;

    #[test]
    fn what_can_only_be_a_mistake() {
        let table = [
            ("del C:\\", true),
            ("rd /s /q C:\\*", true),
            ("rd /s /q C:\\Windows", true),
            ("rm -rf /", true),
            ("rm -rf /etc/*", true),
            ("rm -rf /tmp/x", false),
            ("del C:\\evil.exe", false),
            ("del \"C:\\Program Files\\Confer\\RepMgr.exe\"", true),
            ("rm /opt/carbonblack/psc/x", true),
            ("rm /opt/carbonblackish", false),
            ("taskkill /f /im LSASS.exe", true),
            ("taskkill /f /im evil.exe", false),
            ("format d:", true),
        ];
        for (text, expected) in table {
            let found = &invocations(&Template::literal(text, Span::at(0)))[0];
            let permission = programs::destroys(found).expect("it destroys");
            assert_eq!(fatal(found, permission).is_some(), expected, "{text}");
        }
    }
}
