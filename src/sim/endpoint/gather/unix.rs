//! The places of a Linux or macOS host.

use super::{Page, entries, no_text, text_of, words};
use crate::model::device::Os;
use crate::sim::endpoint::Endpoint;

const UNITS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/etc/systemd/user",
];

pub(super) fn place(name: &str, page: &mut Page<'_>) {
    match name {
        "services" => {
            for folder in UNITS {
                page.files(folder, "*.service", starts);
            }
            page.files("/etc/init.d", "*", no_text);
        }
        "tasks" => tasks(page),
        "processes" => page.processes(),
        "netstat" => netstat(page),
        "users" => users(page),
        "logons" => {
            for line in page.printed("who", "") {
                if let [user, terminal, ..] = words(&line)[..] {
                    let rest = [("user", user.to_owned()), ("terminal", terminal.to_owned())];
                    page.told(&words(&line).join(" "), &rest);
                }
            }
        }
        "ps_history" => {
            for home in homes(page.endpoint) {
                page.files(&home, ".*_history", text_of);
            }
        }
        "autoruns" => autoruns(page),
        _ => {}
    }
}

/// What a unit starts.
fn starts(endpoint: &Endpoint, path: &str) -> String {
    let text = text_of(endpoint, path);
    let mut goes_on = false;
    let mut is_told = |line: &&str| {
        let words = line.trim_start_matches([' ', '\t']);
        let is_told = goes_on || words.starts_with("Exec");
        let is_comment = goes_on && words.starts_with(['#', ';']);
        goes_on = is_told && (is_comment || line.trim_end_matches('\n').ends_with('\\'));
        is_told
    };
    text.split_inclusive('\n')
        .filter(|line| is_told(line))
        .collect()
}

fn homes(endpoint: &Endpoint) -> Vec<String> {
    let mut all: Vec<String> = ["/root", "/var/root"].map(str::to_owned).into();
    for folder in ["/home", "/Users"] {
        let people = entries(endpoint, folder).into_iter();
        all.extend(people.map(|(path, _)| path));
    }
    all
}

fn tasks(page: &mut Page<'_>) {
    page.files("/etc", "crontab", text_of);
    for folder in [
        "/etc/cron.d",
        "/var/spool/cron/crontabs",
        "/usr/lib/cron/tabs",
    ] {
        page.files(folder, "*", text_of);
    }
    for period in ["hourly", "daily", "weekly", "monthly"] {
        page.files(&format!("/etc/cron.{period}"), "*", no_text);
        page.files(&format!("/etc/periodic/{period}"), "*", no_text);
    }
    page.files("/etc/systemd/system", "*.timer", text_of);
    page.files("/Library/LaunchDaemons", "*", text_of);
}

fn netstat(page: &mut Page<'_>) {
    if page.endpoint.os == Os::Macos {
        for line in page.printed("lsof", "-nP -i") {
            if let [
                _,
                pid,
                _,
                _,
                _,
                _,
                _,
                protocol @ ("TCP" | "UDP"),
                name,
                ref rest @ ..,
            ] = words(&line)[..]
            {
                let (local, remote) = name.split_once("->").unwrap_or((name, ""));
                let state = rest.concat();
                let state = state.trim_matches(['(', ')']);
                page.connection([protocol, local, remote, state, pid]);
            }
        }
        return;
    }
    for line in page.printed("ss", "-tunap") {
        if let [
            protocol @ ("tcp" | "udp"),
            state,
            _,
            _,
            local,
            remote,
            users,
        ] = words(&line)[..]
        {
            let pid = users.split_once("pid=").map_or("", |(_, rest)| rest);
            let pid = pid.split(',').next().unwrap_or_default();
            let state = state.replace("ESTAB", "ESTABLISHED");
            page.connection([protocol, local, remote, &state, pid]);
        }
    }
}

fn users(page: &mut Page<'_>) {
    let text = text_of(page.endpoint, "/etc/passwd");
    for line in text.lines() {
        if let [user, _, uid, _, _, home, shell] = line.split(':').collect::<Vec<_>>()[..] {
            let mut rest = vec![
                ("user", user.to_owned()),
                ("uid", uid.to_owned()),
                ("home", home.to_owned()),
            ];
            if page.endpoint.os == Os::Macos {
                page.told(&format!("{user} {uid} {home}"), &rest);
            } else {
                rest.push(("shell", shell.to_owned()));
                page.told(&format!("{user} {uid} {home} {shell}"), &rest);
            }
        }
    }
}

fn autoruns(page: &mut Page<'_>) {
    for name in ["rc.local", "ld.so.preload"] {
        page.files("/etc", name, text_of);
    }
    for folder in [
        "/etc/profile.d",
        "/etc/update-motd.d",
        "/etc/xdg/autostart",
        "/Library/LaunchAgents",
    ] {
        page.files(folder, "*", text_of);
    }
    let homes = homes(page.endpoint);
    for home in &homes {
        page.files(&format!("{home}/.ssh"), "authorized_keys", text_of);
    }
    for home in &homes {
        for folder in [".config/autostart", "Library/LaunchAgents"] {
            page.files(&format!("{home}/{folder}"), "*", text_of);
        }
    }
}
