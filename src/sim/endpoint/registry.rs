//! A Windows registry: keys, values, and the short names of hives.

use super::code::Code;
use super::layered::{Layered, Place};
use std::collections::BTreeMap;

/// Aliases of hives and of the views into them, longest first where one begins another.
const HIVES: [(&str, &str); 10] = [
    ("hkey_local_machine", "hklm"),
    ("hkey_users", "hku"),
    // The sensor runs as SYSTEM, so that is whose hive the current user's is.
    ("hkey_current_user", r"hku\s-1-5-18"),
    ("hkey_classes_root", r"hklm\software\classes"),
    (
        "hkey_current_config",
        r"hklm\system\currentcontrolset\hardware profiles\current",
    ),
    ("hklm", "hklm"),
    ("hku", "hku"),
    ("hkcu", r"hku\s-1-5-18"),
    ("hkcr", r"hklm\software\classes"),
    (
        "hkcc",
        r"hklm\system\currentcontrolset\hardware profiles\current",
    ),
];

/// Types by the names that a request uses.
const TYPES: [&str; 8] = [
    "REG_NONE",
    "REG_SZ",
    "REG_EXPAND_SZ",
    "REG_BINARY",
    "REG_DWORD",
    "REG_DWORD_BIG_ENDIAN",
    "REG_QWORD",
    "REG_MULTI_SZ",
];

/// A value; its data is text already, as the sensor sends it: decimal numbers, hex, comma-joined strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub name: String,
    /// `REG_SZ` and so on.
    pub kind: &'static str,
    pub data: String,
}

impl Value {
    /// The canonical name of a type, in any case, with or without the `pb` prefix.
    pub fn kind(name: &str) -> Option<&'static str> {
        let name = name.strip_prefix("pb").unwrap_or(name);
        TYPES
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(name))
    }
}

#[derive(Debug, Clone)]
pub struct Key {
    pub name: Box<str>,
    pub values: Vec<Value>,
}

#[derive(Debug, Clone, Default)]
pub struct Registry {
    keys: Layered<Place, Key>,
    /// What was loaded from files: where it stands, and the path of its file; both folded.
    loaded: BTreeMap<String, String>,
}

impl Registry {
    pub fn on(keys: Layered<Place, Key>) -> Self {
        Self {
            keys,
            loaded: BTreeMap::new(),
        }
    }

    /// The values of a key and the names of the keys below it.
    pub fn enumerate(&self, path: &str) -> Result<(Vec<Value>, Vec<String>), Code> {
        let path = canonical(path)?;
        let key = self.key(&path).ok_or(Code::FILE_NOT_FOUND)?;
        let below = self.below(&path);
        Ok((
            key.values.clone(),
            below.into_iter().map(|k| k.name.to_string()).collect(),
        ))
    }

    pub fn query(&self, path: &str) -> Result<Value, Code> {
        let (key, index) = self.find_value(path)?;
        Ok(self.key(&key).ok_or(Code::FILE_NOT_FOUND)?.values[index].clone())
    }

    pub fn set(&mut self, path: &str, mut value: Value, overwrite: Overwrite) -> Result<(), Code> {
        if let Ok((at, index)) = self.find_value(path) {
            if overwrite == Overwrite::No {
                return Err(Code::ALREADY_EXISTS);
            }
            return self.change(&at, |key| {
                value.name.clone_from(&key.values[index].name);
                key.values[index] = value;
            });
        }
        let (key, name) = path.rsplit_once('\\').ok_or(Code::INVALID_PARAMETER)?;
        name.clone_into(&mut value.name);
        self.change(&canonical(key)?, |key| key.values.push(value))
    }

    pub fn delete_value(&mut self, path: &str) -> Result<(), Code> {
        let (key, index) = self.find_value(path)?;
        self.change(&key, |key| {
            key.values.remove(index);
        })
    }

    /// Makes a key; those that lead to it come with it, as with `RegCreateKeyEx`.
    pub fn create(&mut self, path: &str) -> Result<(), Code> {
        let folded = canonical(path)?;
        if self.key(&folded).is_some() {
            return Err(Code::ALREADY_EXISTS);
        }
        self.make(path, &folded);
        Ok(())
    }

    pub fn delete(&mut self, path: &str) -> Result<(), Code> {
        let path = canonical(path)?;
        self.key(&path).ok_or(Code::FILE_NOT_FOUND)?;
        if !path.contains('\\') || !self.below(&path).is_empty() {
            return Err(Code::ACCESS_DENIED);
        }
        self.keys.remove(&place(&path));
        Ok(())
    }

    /// Puts values into a key, made if it is not there, over those of the same name: how images are built.
    /// The keys of a hive that nobody has loaded stand below the path of its file.
    pub fn plant(&mut self, path: &str, values: Vec<Value>) -> Result<(), Code> {
        let folded = match in_file(path) {
            Some(folded) => folded,
            None => canonical(path)?,
        };
        if self.key(&folded).is_none() {
            self.make(path, &folded);
        }
        self.change(&folded, |key| {
            let is_new = |name: &str| {
                let mut new = values.iter();
                new.any(|value| value.name.to_lowercase() == name.to_lowercase())
            };
            key.values.retain(|value| !is_new(&value.name));
            key.values.extend(values);
        })
    }

    /// Makes everything the base of whoever clones it from now on.
    pub fn share(&mut self) {
        self.keys.share();
    }

    /// Hangs a file's keys below a hive, under a name that is not taken.
    pub fn load(&mut self, path: &str, file: &str) -> Result<(), Code> {
        let (folded, name) = right_below_a_hive(path)?;
        if self.key(&folded).is_some() {
            return Err(Code::ACCESS_DENIED);
        }
        let file = file.to_lowercase();
        self.carry(&file, &folded, name);
        self.loaded.insert(folded, file);
        Ok(())
    }

    /// Takes what was loaded away again, with what became of it since; gives the path of its file.
    pub fn unload(&mut self, path: &str) -> Result<String, Code> {
        let (folded, _) = right_below_a_hive(path)?;
        let file = self.loaded.remove(&folded).ok_or(Code::INVALID_PARAMETER)?;
        let name = file.rsplit('\\').next().unwrap_or(&file).to_owned();
        self.carry(&folded, &file, &name);
        Ok(file)
    }

    /// Takes a key with all below it elsewhere.
    fn carry(&mut self, from: &str, to: &str, name: &str) {
        let values = self.key(from).map(|key| key.values.clone());
        let below = self.below(from).into_iter();
        let below: Vec<String> = below.map(|key| key.name.to_string()).collect();
        self.keys.remove(&place(from));
        let key = Key {
            name: name.into(),
            values: values.unwrap_or_default(),
        };
        self.keys.insert(place(to), key);
        for name in below {
            let folded = name.to_lowercase();
            let (from, to) = (format!("{from}\\{folded}"), format!("{to}\\{folded}"));
            self.carry(&from, &to, &name);
        }
    }

    fn make(&mut self, path: &str, folded: &str) {
        // Names below an alias come as the caller wrote them; those of the alias itself stay folded.
        let written: Vec<&str> = path.split('\\').filter(|p| !p.is_empty()).collect();
        let parts: Vec<&str> = folded.split('\\').collect();
        for end in 1..=parts.len() {
            let place = place(&parts[..end].join("\\"));
            if self.keys.get(&place).is_none() {
                let from_the_end = parts.len() - end;
                let name = written
                    .len()
                    .checked_sub(from_the_end + 1)
                    .and_then(|at| written.get(at))
                    .filter(|name| name.eq_ignore_ascii_case(parts[end - 1]));
                let name = name.copied().unwrap_or(parts[end - 1]);
                let key = Key {
                    name: name.into(),
                    values: Vec::new(),
                };
                self.keys.insert(place, key);
            }
        }
    }

    fn key(&self, folded: &str) -> Option<&Key> {
        self.keys.get(&place(folded))
    }

    fn below(&self, folded: &str) -> Vec<&Key> {
        self.keys.children(folded)
    }

    fn change(&mut self, folded: &str, edit: impl FnOnce(&mut Key)) -> Result<(), Code> {
        let mut key = self.key(folded).ok_or(Code::FILE_NOT_FOUND)?.clone();
        edit(&mut key);
        self.keys.insert(place(folded), key);
        Ok(())
    }

    /// Which key and which of its values a path means. Names of values may hold backslashes, so every cut is tried.
    fn find_value(&self, path: &str) -> Result<(String, usize), Code> {
        for (cut, _) in path.rmatch_indices('\\') {
            let Ok(folded) = canonical(&path[..cut]) else {
                continue;
            };
            let name = &path[cut + 1..];
            let index = self.key(&folded).and_then(|key| {
                key.values
                    .iter()
                    .position(|v| v.name.to_lowercase() == name.to_lowercase())
            });
            if let Some(index) = index {
                return Ok((folded, index));
            }
        }
        Err(Code::FILE_NOT_FOUND)
    }
}

/// May a value that is there be replaced?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    Yes,
    No,
}

/// A key's path under its true hive, folded.
fn canonical(path: &str) -> Result<String, Code> {
    let path = path.trim_matches('\\').to_lowercase();
    let (hive, rest) = path.split_once('\\').unwrap_or((&path, ""));
    let (_, true_name) = HIVES
        .into_iter()
        .find(|(alias, _)| *alias == hive)
        .ok_or(Code::INVALID_PARAMETER)?;
    Ok(if rest.is_empty() {
        true_name.to_owned()
    } else {
        format!("{true_name}\\{rest}")
    })
}

/// The path of a key in a hive's file, folded.
fn in_file(path: &str) -> Option<String> {
    let is_drive =
        |bytes: &[u8]| matches!(bytes, [letter, b':', b'\\', ..] if letter.is_ascii_alphabetic());
    is_drive(path.as_bytes()).then(|| path.trim_matches('\\').to_lowercase())
}

/// A key that hives are loaded as: its path, folded, and its name.
fn right_below_a_hive(path: &str) -> Result<(String, &str), Code> {
    let folded = canonical(path)?;
    let name = path.trim_matches('\\').rsplit('\\').next();
    match folded.split_once('\\') {
        Some(("hklm" | "hku", rest)) if !rest.contains('\\') => {
            Ok((folded, name.unwrap_or_default()))
        }
        _ => Err(Code::INVALID_PARAMETER),
    }
}

fn place(folded: &str) -> Place {
    let (parent, name) = folded.rsplit_once('\\').unwrap_or(("", folded));
    Place {
        parent: parent.into(),
        name: name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, data: &str) -> Value {
        Value {
            name: name.into(),
            kind: "REG_SZ",
            data: data.into(),
        }
    }

    fn registry() -> Registry {
        let mut registry = Registry::default();
        registry
            .plant(
                r"HKLM\SOFTWARE\Vendor\Run",
                vec![value("Tool", "t.exe"), value(r"C:\a b", "x")],
            )
            .expect("a known hive");
        registry
            .plant(r"HKU\S-1-5-18\Environment", vec![value("", "default")])
            .expect("a known hive");
        registry
    }

    #[test]
    fn hives_have_two_names_and_keys_no_case() {
        let registry = registry();
        for path in [
            r"HKLM\software\VENDOR",
            r"HKEY_LOCAL_MACHINE\SOFTWARE\Vendor\",
        ] {
            let (values, keys) = registry.enumerate(path).expect("is there");
            assert_eq!((values, keys), (vec![], vec!["Run".to_owned()]), "{path}");
        }
        assert_eq!(
            registry.query(r"HKCU\environment\").map(|v| v.data),
            Ok("default".into())
        );
        assert_eq!(
            registry
                .query(r"hklm\Software\Vendor\Run\C:\A B")
                .map(|v| v.data),
            Ok("x".into())
        );
        assert_eq!(
            registry.query(r"HKLM\SOFTWARE\Vendor\Run\no"),
            Err(Code::FILE_NOT_FOUND)
        );
        assert_eq!(
            registry.enumerate(r"HKLM\no").map(drop),
            Err(Code::FILE_NOT_FOUND)
        );
        assert_eq!(
            registry.enumerate(r"HKXX\no").map(drop),
            Err(Code::INVALID_PARAMETER)
        );
    }

    #[test]
    fn keys_and_values_change_as_windows_lets_them() {
        let mut registry = registry();
        let run = r"HKLM\SOFTWARE\Vendor\Run";
        let tool = r"HKLM\SOFTWARE\Vendor\Run\tool";
        assert_eq!(
            registry.set(tool, value("", "n"), Overwrite::No),
            Err(Code::ALREADY_EXISTS)
        );
        assert_eq!(registry.set(tool, value("", "n"), Overwrite::Yes), Ok(()));
        assert_eq!(registry.query(tool), Ok(value("Tool", "n")));
        assert_eq!(registry.delete_value(tool), Ok(()));
        assert_eq!(registry.delete_value(tool), Err(Code::FILE_NOT_FOUND));
        assert_eq!(registry.create(run), Err(Code::ALREADY_EXISTS));
        assert_eq!(registry.create(r"HKLM\SOFTWARE\Vendor\New\Deep"), Ok(()));
        assert_eq!(
            registry.delete(r"HKLM\SOFTWARE\Vendor\New"),
            Err(Code::ACCESS_DENIED)
        );
        assert_eq!(registry.delete(r"HKLM\SOFTWARE\Vendor\New\Deep"), Ok(()));
        assert_eq!(registry.delete(r"HKLM\SOFTWARE\Vendor\New"), Ok(()));
        assert_eq!(
            registry.enumerate(r"HKLM\SOFTWARE\Vendor").map(|(_, k)| k),
            Ok(vec!["Run".into()])
        );
    }

    #[test]
    fn a_hive_is_loaded_and_unloaded_with_what_changed_in_it() {
        let mut registry = registry();
        let file = r"C:\Users\Old\NTUSER.DAT";
        registry
            .plant(&format!(r"{file}\Software\Run"), vec![value("a", "1")])
            .expect("a file");
        assert!(registry.enumerate(file).is_err());
        assert_eq!(registry.load(r"HKU\Tmp", file), Ok(()));
        assert_eq!(registry.load(r"HKU\tmp", file), Err(Code::ACCESS_DENIED));
        assert_eq!(
            registry.load(r"HKU\a\b", file),
            Err(Code::INVALID_PARAMETER)
        );
        assert_eq!(
            registry.enumerate("HKU").map(|(_, keys)| keys),
            Ok(vec!["S-1-5-18".into(), "Tmp".into()])
        );
        let run = r"HKU\Tmp\software\run\A";
        assert_eq!(registry.query(run), Ok(value("a", "1")));
        assert_eq!(registry.set(run, value("", "2"), Overwrite::Yes), Ok(()));
        assert_eq!(
            registry.unload(r"HKU\S-1-5-18"),
            Err(Code::INVALID_PARAMETER)
        );
        assert_eq!(registry.unload(r"HKU\tmp"), Ok(file.to_lowercase()));
        assert_eq!(registry.query(run), Err(Code::FILE_NOT_FOUND));
        assert_eq!(registry.load(r"HKU\Tmp", file), Ok(()));
        assert_eq!(registry.query(run), Ok(value("a", "2")));
    }
}
