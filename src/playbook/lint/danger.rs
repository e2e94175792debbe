//! Command lines that destroy: said to be what they are, and refused where they can only be a mistake.

use super::command_line::Invocation;
use super::{commands, invocations_of_step, programs, vital};
use crate::model::effect::{Effect, Permission};
use crate::playbook::Playbook;
use crate::step::Exec;
use crate::template::Template;
use crate::text::diagnostic::{Code, Diagnostics};

pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    for (exec, line) in commands(playbook) {
        for found in invocations_of_step(exec) {
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
    } else if let Some(target) = found.args.iter().find(|arg| vital::is_in_system(arg)) {
        let message = format!("`{program}` works where the system keeps itself: `{target}`");
        all.warn(Code::Danger, span, message)
            .help("make sure of the path: a machine that does not start answers no more");
    } else if let Some(target) = trees(found).find(|arg| vital::is_right_below_root(arg)) {
        let message = format!(
            "`{program}` takes a folder right below a root, with all that is in it: `{target}`"
        );
        all.warn(Code::Danger, span, message)
            .help("make sure of the path: what stands there is seldom one intruder's alone");
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
    let mut args = found.args.iter().map(String::as_str);
    if permission == Permission::Kill {
        let target = args.find(|name| vital::is_vital_process(name))?;
        return Some((target, vital::STOPS));
    }
    if let Some(target) = args.find(|arg| vital::is_sensor_path(arg)) {
        return Some((target, vital::SENSOR_LOST));
    }
    let mut operands = found.operands();
    if found.program == "sc" {
        let target = operands.find(|name| vital::is_sensor_service(name))?;
        return Some((target, vital::SENSOR_LOST));
    }
    if found.program == "net" {
        // `net use Z: /delete` lets go of a drive and takes nothing from it.
        return None;
    }
    let why = if takes_trees(found) {
        vital::fatal_tree
    } else {
        vital::fatal_path
    };
    operands.find_map(|target| Some((target, why(target)?)))
}

/// The folders that go with all that is in them.
fn trees(found: &Invocation) -> impl Iterator<Item = &str> {
    found.operands().filter(|_| takes_trees(found))
}

/// Whether a folder goes with all that is in it.
fn takes_trees(found: &Invocation) -> bool {
    match found.program.as_str() {
        "rd" | "rmdir" | "del" | "erase" => found.has("/s"),
        "rm" => found.args.iter().any(|arg| {
            arg == "--recursive"
                || (arg.starts_with('-') && !arg.starts_with("--") && arg.contains(['r', 'R']))
        }),
        "remove-item" => found.has("-Recurse"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::command_line::invocations;
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
            ("rd /s /q \"C:\\Program Files\\VMware\"", true),
            ("rm -rf /var/opt", true),
            ("rm /var/opt", false),
            ("sc delete CbDefense", true),
            ("sc delete evil", false),
            ("net use Z: /delete", false),
            ("del %SystemRoot%\\System32\\*.*", true),
        ];
        for (text, expected) in table {
            let found = &invocations(&Template::literal(text, Span::at(0)))[0];
            let permission = programs::destroys(found).expect("it destroys");
            assert_eq!(fatal(found, permission).is_some(), expected, "{text}");
        }
    }
}
