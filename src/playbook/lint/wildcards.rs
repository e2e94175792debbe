//! Wildcards where nobody expands them: a sensor takes a path as the name of one thing, and so do we.
//!
//! Windows has no such names, so there it can only be a mistake. Elsewhere `*` may stand in a name.

use super::command_line::UNKNOWN;
use crate::playbook::Playbook;
use crate::template::Template;
use crate::text::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::text::escape::Escaped;
use crate::text::wildcard::has_wildcard;

pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    for step in playbook.written() {
        let key = step.kind.spec().key;
        for (argument, template) in step.kind.arguments().templates {
            if let Some(found) = complaint(key, argument, template) {
                all.push(found);
            }
        }
    }
}

fn complaint(key: &str, argument: &str, template: &Template) -> Option<Diagnostic> {
    let text = template.outline(UNKNOWN);
    let (wild, help) = match (key, argument) {
        ("get_file", "path") => (
            in_path(&text),
            "find_files takes wildcards, and with `get: true` it fetches what it finds",
        ),
        ("delete_file", "path") => (
            in_path(&text),
            "list the folder with list_directory, or search with find_files, and delete each file by for_each",
        ),
        ("list_directory", "path") => (
            in_path(&text),
            "list the whole directory, and keep what fits: files | selectattr('name', 'like', '*.pf')",
        ),
        ("put_file" | "create_directory" | "memdump", "path")
        | ("run_tool", "directory" | "done_when")
        | ("exec", "cwd") => (in_path(&text), "name one place"),
        ("run_tool", "outputs") => (
            in_path(&text),
            "name each file, or have the tool write one archive of them all",
        ),
        ("kill_process", "name" | "path") if !text.starts_with("regex:") => (
            !text.starts_with("glob:") && in_path(&text),
            "begin it with glob: to have wildcards",
        ),
        ("remove_service", "name") => (has_wildcard(&text), "name one service"),
        ("remove_task", "path") => (has_wildcard(&text), "name one task"),
        (
            "reg_query" | "reg_set" | "reg_create_key" | "reg_delete_key" | "reg_delete_value",
            "key" | "value",
        ) => (
            in_key(&text),
            "ask for what is there with reg_query, and take each of its `names` or `values` by for_each",
        ),
        _ => return None,
    };
    if !wild {
        return None;
    }
    let shown = Escaped(template.text());
    let message = format!("`{key}` does not expand wildcards: `{shown}` is taken as one name");
    let mut found = if is_windows_path(&text) && argument != "outputs" {
        let message = format!("{message}, which Windows cannot have");
        Diagnostic::error(Code::BadValue, template.span(), message)
    } else {
        Diagnostic::warning(Code::BadValue, template.span(), message)
    };
    found.help(help);
    Some(found)
}

fn in_path(path: &str) -> bool {
    let rest = [r"\\?\", r"\??\"]
        .iter()
        .find_map(|prefix| path.strip_prefix(prefix));
    has_wildcard(rest.unwrap_or(path))
}

/// With a drive, or on a share.
fn is_windows_path(path: &str) -> bool {
    path.starts_with(r"\\") || path.as_bytes().get(1..3) == Some(br":\")
}

/// A key or a value may be called `*`, and Windows has some that are; no more than that.
fn in_key(key: &str) -> bool {
    let parts: Vec<&str> = key.split('\\').collect();
    parts.iter().enumerate().any(|(at, part)| {
        let before = at
            .checked_sub(1)
            .map(|before| parts[before].to_ascii_lowercase());
        let everybody = matches!(before.as_deref(), Some("hku" | "hkey_users"));
        part.contains('*') && (*part != "*" || everybody)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_only_look_like_patterns() {
        let table = [
            (r"HKU\*\Software", true),
            (r"HKU\S-1-5-21-*\Software", true),
            (r"HKLM\SOFTWARE\Classes\*\shell", false),
            (r"HKCR\*", false),
            (r"\??\Volume{x}", false),
            ("*", false),
            ("Run*", true),
        ];
        for (key, expected) in table {
            assert_eq!(in_key(key), expected, "{key}");
        }
        assert!(!in_path(r"\\?\C:\x") && in_path(r"\\?\C:\x?"));
    }
}
