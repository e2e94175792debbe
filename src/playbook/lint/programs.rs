//! What is known of programs: those that only read, and those that destroy.
//!
//! Neither list is complete, and neither has to be: a reading program that is missing costs a
//! warning, and a destroying one that is missing counts as a change all the same.

use super::command_line::Invocation;
use crate::model::effect::Permission;

/// A program and what makes it so.
struct Rule {
    program: &'static str,
    /// One of these words has to be there; none at all means always.
    with: &'static [&'static str],
    /// And none of these.
    without: &'static [&'static str],
}

const fn always(program: &'static str) -> Rule {
    with(program, &[])
}

const fn with(program: &'static str, with: &'static [&'static str]) -> Rule {
    Rule {
        program,
        with,
        without: &[],
    }
}

const fn without(program: &'static str, without: &'static [&'static str]) -> Rule {
    Rule {
        program,
        with: &[],
        without,
    }
}

impl Rule {
    fn fits(&self, found: &Invocation) -> bool {
        self.program == found.program
            && (self.with.is_empty() || self.with.iter().any(|word| found.has(word)))
            && !self.without.iter().any(|word| found.has(word))
    }
}

/// What destroys, and the permission that declares it.
#[rustfmt::skip]
const DESTROYS: &[(Permission, Rule)] = {
    use Permission::{Delete, Kill};
    &[
        (Delete, always("del")), (Delete, always("erase")), (Delete, always("rd")), (Delete, always("rmdir")),
        (Delete, always("rm")), (Delete, always("unlink")), (Delete, always("shred")), (Delete, always("srm")),
        (Delete, always("remove-item")), (Delete, always("remove-itemproperty")), (Delete, always("clear-eventlog")),
        (Delete, with("find", &["-delete"])),
        (Delete, with("reg", &["delete"])),
        (Delete, with("sc", &["delete"])),
        (Delete, with("schtasks", &["/delete"])),
        (Delete, with("wevtutil", &["cl", "clear-log"])),
        (Delete, with("vssadmin", &["delete", "resize"])),
        (Delete, with("wbadmin", &["delete"])),
        (Delete, with("wmic", &["delete"])),
        (Delete, with("net", &["/delete", "/del"])),
        (Delete, with("fsutil", &["deletejournal"])),
        (Delete, with("bcdedit", &["/set", "/delete", "/deletevalue", "/import"])),
        (Delete, with("crontab", &["-r"])),
        (Delete, with("cipher", &["/w"])), (Delete, always("format")), (Delete, always("diskpart")), (Delete, always("sdelete")),
        (Delete, always("mkfs")), (Delete, always("dd")), (Delete, always("userdel")),
        (Delete, with("launchctl", &["remove", "bootout", "unload"])),
        (Kill, always("taskkill")), (Kill, always("kill")), (Kill, always("pkill")), (Kill, always("killall")),
        (Kill, always("stop-process")), (Kill, always("shutdown")), (Kill, always("reboot")), (Kill, always("halt")),
        (Kill, always("poweroff")), (Kill, always("stop-computer")), (Kill, always("restart-computer")),
    ]
};

/// What only reads.
#[rustfmt::skip]
const READS: &[Rule] = &[
    // Windows.
    always("netstat"), without("ipconfig", &["/flushdns", "/release", "/renew", "/registerdns", "/release6", "/renew6"]),
    always("systeminfo"), always("tasklist"), always("quser"), always("qwinsta"), always("query"),
    always("nbtstat"), always("getmac"), always("driverquery"), always("dir"), always("type"), always("where"), always("findstr"),
    always("more"), always("tree"), always("ver"), always("vol"), always("echo"), always("klist"), always("fc"),
    with("schtasks", &["/query"]),
    with("reg", &["query"]),
    with("sc", &["query", "queryex", "qc", "qdescription", "qfailure", "qtriggerinfo", "sdshow", "enumdepend"]),
    with("wevtutil", &["qe", "query-events", "gl", "get-log", "gli", "get-loginfo", "el", "enum-logs", "gp", "ep"]),
    with("vssadmin", &["list"]),
    Rule { program: "wmic", with: &["get", "list"], without: &["call", "create", "delete", "set"] },
    with("net", &["view", "accounts", "session", "sessions", "config", "statistics"]),
    with("netsh", &["show"]), with("route", &["print"]), with("arp", &["-a"]), with("auditpol", &["/get", "/list"]),
    with("gpresult", &["/r", "/z", "/v"]), with("fltmc", &["instances", "filters", "volumes"]), with("bcdedit", &["/enum"]),
    with("manage-bde", &["-status"]), with("dsregcmd", &["/status"]), with("cmdkey", &["/list"]), with("bitsadmin", &["/list"]),
    with("certutil", &["-hashfile", "-dump"]), with("fsutil", &["queryjournal", "readjournal", "drives", "volumeinfo"]),
    // Linux and macOS.
    always("ps"), always("ss"), always("ls"), always("cat"), always("id"), always("uname"), always("last"), always("lastb"),
    always("lastlog"), always("who"), always("w"), always("whoami"), always("lsof"), always("df"), always("du"), always("uptime"),
    always("printenv"), always("stat"), always("file"), always("head"), always("tail"), always("grep"), always("egrep"), always("wc"),
    always("uniq"), always("cut"), always("lsmod"), always("lsblk"), always("lscpu"), always("free"), always("md5sum"),
    always("sha1sum"), always("sha256sum"), always("shasum"), always("pgrep"), always("getent"), always("groups"),
    always("sw_vers"), always("system_profiler"), always("mdfind"), always("kextstat"), always("readlink"), always("strings"),
    without("sort", &["-o", "/o"]),
    without("dmesg", &["-c", "-C", "--clear", "-D", "-E"]),
    without("find", &["-delete", "-exec", "-execdir", "-ok", "-okdir", "-fprint", "-fls", "-fprintf"]),
    without("ip", &["add", "del", "delete", "set", "change", "replace", "flush", "append"]),
    without("journalctl", &["--rotate", "--flush", "--sync", "--vacuum-size", "--vacuum-time", "--vacuum-files"]),
    with("crontab", &["-l"]), with("dpkg", &["-l", "-L", "-S", "--list"]), with("rpm", &["-q", "-qa", "-qi", "-ql", "-V", "-Va"]),
    with("systemctl", &["status", "list-units", "list-unit-files", "list-timers", "list-sockets", "show", "is-active", "cat"]),
    with("sysctl", &["-a"]), with("launchctl", &["list", "print", "blame"]), with("log", &["show"]), with("dscl", &["-list", "-read"]),
    with("csrutil", &["status"]), with("spctl", &["--status"]), with("fdesetup", &["status"]), with("profiles", &["list", "show"]),
    with("pkgutil", &["--pkgs", "--pkg-info"]), with("defaults", &["read"]),
];

/// What reads as long as it is given no new value.
const READS_BARE: [&str; 7] = [
    "hostname", "date", "time", "mount", "env", "ifconfig", "bcdedit",
];

/// PowerShell's own word for it: these verbs do not change anything.
const READING_VERBS: [&str; 8] = [
    "get-",
    "select-",
    "where-",
    "sort-",
    "format-",
    "measure-",
    "test-",
    "convertto-",
];

/// The permission that a destroying program stands for; `None` for all others.
pub(super) fn destroys(found: &Invocation) -> Option<Permission> {
    DESTROYS
        .iter()
        .find(|(_, rule)| rule.fits(found))
        .map(|(permission, _)| *permission)
}

/// Whether it is known to change nothing.
pub(super) fn reads(found: &Invocation) -> bool {
    let cmdlet = READING_VERBS
        .iter()
        .any(|verb| found.program.starts_with(verb));
    let bare = READS_BARE.contains(&found.program.as_str()) && found.operands().next().is_none();
    let known = cmdlet || (bare && destroys(found).is_none());
    found.writes.is_empty() && (known || READS.iter().any(|rule| rule.fits(found)))
}

#[cfg(test)]
mod tests {
    use super::super::command_line::invocations;
    use super::*;
    use crate::template::Template;
    use crate::text::source::Span;

    #[test]
    fn readers_and_destroyers() {
        let table = [
            ("netstat.exe -ano", true, false),
            ("schtasks /query /fo csv", true, false),
            ("schtasks /delete /tn x /f", false, true),
            ("wmic process get name", true, false),
            ("wmic process where name='a' delete", false, true),
            ("ipconfig /flushdns", false, false),
            ("hostname.exe", true, false),
            ("hostname -f", true, false),
            ("hostname other", false, false),
            ("find / -name x", true, false),
            ("find / -name x -delete", false, true),
            ("ls -l > /tmp/x", false, false),
            ("tool.exe --scan", false, false),
            ("Get-Service", true, false),
            ("shutdown /s", false, true),
            ("cipher /w:C:\\", false, true),
            ("wevtutil cl Security", false, true),
            ("wevtutil qe Security /c:5", true, false),
        ];
        for (text, reading, destroying) in table {
            let found = invocations(&Template::literal(text, Span::at(0)));
            assert_eq!(reads(&found[0]), reading, "{text}");
            assert_eq!(destroys(&found[0]).is_some(), destroying, "{text}");
        }
    }
}
