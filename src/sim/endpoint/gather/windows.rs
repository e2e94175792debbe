//! The places of a Windows host.

use super::{Page, entries, no_text, text_of, words};
use crate::sim::endpoint::Endpoint;

const VIEWS: [&str; 2] = [r"SOFTWARE\", r"SOFTWARE\WOW6432Node\"];
const WINDOWS: &str = r"Microsoft\Windows\CurrentVersion\";
const NT: &str = r"Microsoft\Windows NT\CurrentVersion\";
const CONTROL: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\";
const SERVICES: &str = r"HKLM\SYSTEM\CurrentControlSet\Services";
const APPLICATIONS: &str = r"AppData\Roaming\Microsoft\Windows\";

pub(super) fn place(name: &str, page: &mut Page<'_>) {
    match name {
        "run_keys" => run_keys(page),
        "services" => {
            below(page, SERVICES, "", &["ImagePath", "Start"]);
            below(page, SERVICES, r"\Parameters", &["ServiceDll"]);
        }
        "tasks" => tasks(page, r"C:\Windows\System32\Tasks"),
        "processes" => page.processes(),
        "netstat" => netstat(page),
        "users" => users(page),
        "logons" => logons(page),
        "ps_history" => {
            for home in homes(page.endpoint) {
                let folder = format!(r"{home}\{APPLICATIONS}PowerShell\PSReadLine");
                page.files(&folder, "*_history.txt", text_of);
            }
        }
        "autoruns" => autoruns(page),
        _ => {}
    }
}

/// The values of a key that have one of the names; all of them if there are none.
fn values(page: &mut Page<'_>, key: &str, names: &[&str]) {
    let (values, _) = page.endpoint.registry.enumerate(key).unwrap_or_default();
    for value in values {
        let is_wanted = |name: &&str| name.eq_ignore_ascii_case(&value.name);
        if names.is_empty() || names.iter().any(is_wanted) {
            let fields = [key, &value.name, value.kind, &value.data];
            page.row("registry_value", fields, None, &[]);
        }
    }
}

fn sub_keys(page: &Page<'_>, key: &str) -> Vec<String> {
    let enumerated = page.endpoint.registry.enumerate(key);
    enumerated.map_or_else(|_| Vec::new(), |(_, sub_keys)| sub_keys)
}

/// The same of each key below one.
fn below(page: &mut Page<'_>, key: &str, more: &str, names: &[&str]) {
    for sub_key in sub_keys(page, key) {
        values(page, &format!(r"{key}\{sub_key}{more}"), names);
    }
}

/// Who is logged on.
fn people(page: &Page<'_>) -> Vec<String> {
    let mut all = sub_keys(page, "HKU");
    all.retain(|name| {
        let is_person = ["S-1-5-21-", "S-1-12-1-"]
            .iter()
            .any(|start| name.starts_with(start));
        is_person && !name.ends_with("_Classes")
    });
    all
}

fn homes(endpoint: &Endpoint) -> Vec<String> {
    let all = entries(endpoint, r"C:\Users").into_iter();
    all.filter(|(_, entry)| entry.attributes.contains(&"DIRECTORY"))
        .map(|(path, _)| path)
        .collect()
}

fn run_keys(page: &mut Page<'_>) {
    for name in ["Run", "RunOnce"] {
        for view in VIEWS {
            values(page, &format!(r"HKLM\{view}{WINDOWS}{name}"), &[]);
        }
        for sid in people(page) {
            values(page, &format!(r"HKU\{sid}\Software\{WINDOWS}{name}"), &[]);
        }
    }
}

fn tasks(page: &mut Page<'_>, folder: &str) {
    for (path, entry) in entries(page.endpoint, folder) {
        if entry.attributes.contains(&"DIRECTORY") {
            tasks(page, &path);
        } else {
            let actions = actions(&text_of(page.endpoint, &path));
            page.file(&path, &entry, &actions);
        }
    }
}

/// What a task's XML says that it starts.
fn actions(xml: &str) -> String {
    let element = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (inner, _) = rest.split_once(&format!("</{name}>"))?;
        let plain = inner.replace("&quot;", "\"").replace("&lt;", "<");
        Some(plain.replace("&gt;", ">").replace("&amp;", "&"))
    };
    let executes = xml.split("<Exec>").skip(1).map(|exec| {
        let parts = ["Command", "Arguments"].map(|name| element(exec, name));
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    });
    executes.collect::<Vec<_>>().join("; ")
}

fn netstat(page: &mut Page<'_>) {
    for line in page.printed("netstat.exe", "-ano") {
        match words(&line)[..] {
            ["TCP", local, remote, state, pid] => {
                page.connection(["TCP", local, remote, state, pid]);
            }
            ["UDP", local, remote, pid] => page.connection(["UDP", local, remote, "", pid]),
            _ => {}
        }
    }
}

fn users(page: &mut Page<'_>) {
    let profiles = format!(r"HKLM\SOFTWARE\{NT}ProfileList");
    below(page, &profiles, "", &["ProfileImagePath"]);
    for (name, id, disabled) in [
        ("Administrator", 500, "False"),
        ("DefaultAccount", 503, "True"),
        ("Guest", 501, "True"),
    ] {
        let user = format!(r"{}\{name}", page.facts.host);
        let sid = format!("S-1-5-21-1004336348-1177238915-682003330-{id}");
        let data = format!("{user} {sid}");
        let rest = [
            ("user", user),
            ("sid", sid),
            ("disabled", disabled.to_owned()),
            ("locked", "False".to_owned()),
        ];
        page.told(&data, &rest);
    }
}

/// Whoever runs the desktop sits in front of it.
fn logons(page: &mut Page<'_>) {
    let all = page.endpoint.processes.all().into_iter();
    for process in all.filter(|process| process.path.ends_with(r"\explorer.exe")) {
        let user = process.user.to_string();
        let rest = [
            ("user", user.clone()),
            ("session", (process.pid * 64).to_string()),
            ("logon_type", "2".to_owned()),
            ("package", "Kerberos".to_owned()),
            ("created", page.moment(process.created)),
        ];
        page.told(&format!("{user} 2 Kerberos"), &rest);
    }
}

fn autoruns(page: &mut Page<'_>) {
    const WINLOGON: [&str; 5] = ["Shell", "Userinit", "Taskman", "VmApplet", "AppSetup"];
    for view in VIEWS {
        let key = |name: &str| format!(r"HKLM\{view}{NT}{name}");
        values(page, &key("Winlogon"), &WINLOGON);
        values(page, &key("Windows"), &["AppInit_DLLs", "LoadAppInit_DLLs"]);
        let options = key("Image File Execution Options");
        below(page, &options, "", &["Debugger", "VerifierDlls"]);
        below(page, &key("SilentProcessExit"), "", &["MonitorProcess"]);
        let components = format!(r"HKLM\{view}Microsoft\Active Setup\Installed Components");
        below(page, &components, "", &["StubPath"]);
        let policies = format!(r"HKLM\{view}{WINDOWS}Policies\Explorer\Run");
        values(page, &policies, &[]);
    }
    for sid in people(page) {
        let key = |name: &str| format!(r"HKU\{sid}\Software\{name}");
        values(page, &key(&format!("{NT}Winlogon")), &["Shell"]);
        values(page, &key(&format!("{NT}Windows")), &["Load", "Run"]);
        values(page, &key(&format!(r"{WINDOWS}Policies\Explorer\Run")), &[]);
        values(
            page,
            &format!(r"HKU\{sid}\Environment"),
            &["UserInitMprLogonScript"],
        );
    }
    let packages =
        ["Authentication", "Notification", "Security"].map(|name| format!("{name} Packages"));
    let packages = packages.each_ref().map(String::as_str);
    values(page, &format!("{CONTROL}Session Manager"), &["BootExecute"]);
    values(page, &format!(r"{CONTROL}Session Manager\AppCertDlls"), &[]);
    values(page, &format!("{CONTROL}Lsa"), &packages);
    below(page, &format!(r"{CONTROL}Print\Monitors"), "", &["Driver"]);
    for home in homes(page.endpoint) {
        let folder = format!(r"{home}\{APPLICATIONS}Start Menu\Programs\Startup");
        page.files(&folder, "*", no_text);
    }
    let common = r"C:\ProgramData\Microsoft\Windows\Start Menu\Programs\Startup";
    page.files(common, "*", no_text);
}
