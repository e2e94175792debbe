//! Where the user's programs keep what they remember between two runs.

use std::path::PathBuf;

/// The directory by the rules of the system, if it can be told.
pub fn directory(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    // The rules want a relative path to be passed over.
    let absolute = |name: &str| {
        let path = PathBuf::from(variable(name)?);
        Some(path).filter(|path| path.is_absolute())
    };
    if cfg!(windows) {
        return absolute("LOCALAPPDATA");
    }
    absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_users_own_choice_comes_first() {
        let table = [
            (Some("/x"), Some("/home/a"), Some("/x")),
            (Some("x"), Some("/home/a"), Some("/home/a/.local/state")),
            (None, Some("/home/a"), Some("/home/a/.local/state")),
            (None, None, None),
        ];
        for (xdg, home, expected) in table {
            let variable = |name: &str| match name {
                "XDG_STATE_HOME" => xdg.map(str::to_owned),
                "HOME" => home.map(str::to_owned),
                _ => None,
            };
            assert_eq!(directory(&variable).as_deref(), expected.map(Path::new));
        }
    }
}
