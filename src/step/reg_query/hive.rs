//! Registry hives as files: what Windows keeps in which file, and `reg.exe` to save, load and unload them.
//!
//! `get_file` saves hives that are locked, `reg_query` loads those of users who are
//! logged off. What the endpoint says of its profiles is hostile until it looks like what it should be.

use super::super::cx::{FileRequest, StepCx};
use super::super::exec::quote;
use super::super::get_file;
use super::super::unexpected;
use crate::model::command::{Command, CommandResult};
use crate::model::device::Os;
use crate::model::effect::{Effect, Reached};
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::model::remote::RemoteText;
use crate::model::row::StoredFile;
use crate::text::encoding::Encoding;
use std::time::Duration;

/// Where Windows says whose profile lies where.
pub(in crate::step) const PROFILES: &str =
    r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList";
/// The value there that has the folder.
const HOME: &str = "ProfileImagePath";

/// The hives of the system itself, by their files.
const CONFIG: &str = r"c:\windows\system32\config\";
const OF_THE_SYSTEM: [(&str, &str); 5] = [
    ("sam", r"HKLM\SAM"),
    ("security", r"HKLM\SECURITY"),
    ("software", r"HKLM\SOFTWARE"),
    ("system", r"HKLM\SYSTEM"),
    ("default", r"HKU\.DEFAULT"),
];
/// The two hives of a user: where they lie in the profile, and what follows the SID below HKU.
const OF_A_USER: [(&str, &str); 2] = [
    (r"\ntuser.dat", ""),
    (r"\appdata\local\microsoft\windows\usrclass.dat", "_Classes"),
];

/// What `reg.exe` has to say for itself.
const MAX_SAID: u64 = 4096;
/// How often unloading is tried: a key may be held open for a moment after it was read.
const TRIES: u32 = 3;
const BETWEEN: Duration = Duration::from_secs(1);
/// Time for unloading, also when the step's own time is over.
const CLEAN_UP: Duration = Duration::from_mins(1);

/// Has Windows save the hive that is in a locked file, and brings that into the bag.
pub(in crate::step) async fn fetch(
    cx: &mut StepCx<'_>,
    wanted: &FileRequest,
) -> Result<StoredFile, Cause> {
    let path = wanted.path.as_str();
    let Some(key) = key_of(cx, path).await? else {
        return Err(Cause::NotAHive { what: path.into() });
    };
    let copy = temporary(cx, "hiv");
    let fetched = match reg(cx, &["save", &key, &copy, "/y"]).await {
        Ok(()) => {
            let copy = FileRequest {
                path: copy.clone(),
                ..wanted.clone()
            };
            get_file::fetch(cx, &copy, None).await
        }
        Err(failed) if failed.fate == Fate::NeverRan => return Err(failed.cause),
        Err(failed) => Err(failed.cause),
    };
    cx.remove(&copy).await?;
    match fetched {
        // What watches the endpoint may have taken it.
        Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => {
            Err(Cause::Missing { what: copy.into() })
        }
        other => other,
    }
}

/// The key whose hive is in a file; none where Windows keeps no hive in it that can be saved.
async fn key_of(cx: &mut StepCx<'_>, path: &str) -> Result<Option<String>, Cause> {
    let path = fold(path);
    if let Some(name) = path.strip_prefix(CONFIG) {
        let known = OF_THE_SYSTEM.iter().find(|(known, _)| *known == name);
        return Ok(known.map(|(_, key)| (*key).to_owned()));
    }
    let found = OF_A_USER
        .iter()
        .find_map(|(file, after)| Some((path.strip_suffix(file)?, after)));
    let Some((home, after)) = found else {
        return Ok(None);
    };
    for sid in profiles(cx).await? {
        if home_of(cx, &sid)
            .await?
            .is_some_and(|own| fold(&own) == home)
        {
            return Ok(Some(format!(r"HKU\{sid}{after}")));
        }
    }
    Ok(None)
}

/// The SIDs of all who have a profile.
pub(in crate::step) async fn profiles(cx: &mut StepCx<'_>) -> Result<Vec<String>, Cause> {
    let path = PROFILES.to_owned();
    let reply = cx.ask(Command::RegEnumKey { path }).await?;
    let CommandResult::Key { sub_keys, .. } = &reply.result else {
        return Err(unexpected(&reply));
    };
    let sids = sub_keys.iter().map(RemoteText::raw);
    Ok(sids.filter(|sid| is_sid(sid)).map(str::to_owned).collect())
}

fn is_sid(text: &str) -> bool {
    let digits = text.strip_prefix("S-1-").unwrap_or_default();
    !digits.is_empty()
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// The folder of a profile; none where Windows does not know it, or it is none on a drive.
async fn home_of(cx: &mut StepCx<'_>, sid: &str) -> Result<Option<String>, Cause> {
    let path = format!(r"{PROFILES}\{sid}\{HOME}");
    let reply = match cx.ask(Command::RegQueryValue { path }).await {
        Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => return Ok(None),
        other => other?,
    };
    let CommandResult::Value(value) = &reply.result else {
        return Err(unexpected(&reply));
    };
    Ok(on_drive(value.data.raw()))
}

/// A path on a drive, with what may stand for its beginning filled in. A share would send us elsewhere.
fn on_drive(path: &str) -> Option<String> {
    let stands_for = [
        ("%systemdrive%", "C:"),
        ("%systemroot%", r"C:\Windows"),
        ("%windir%", r"C:\Windows"),
    ];
    let filled = stands_for.iter().find_map(|(name, folder)| {
        let (start, rest) = path.split_at_checked(name.len())?;
        start
            .eq_ignore_ascii_case(name)
            .then(|| format!("{folder}{rest}"))
    });
    let path = filled.unwrap_or_else(|| path.to_owned());
    let path = path.trim_end_matches('\\');
    let mut chars = path.chars();
    let has_drive = chars
        .next()
        .is_some_and(|drive| drive.is_ascii_alphabetic())
        && chars.as_str().starts_with(r":\");
    let is_sound = !path.contains(['"', '%']) && !path.contains(char::is_control);
    (has_drive && is_sound).then(|| path.to_owned())
}

/// Two paths of the same file are the same after this.
fn fold(path: &str) -> String {
    let path = path.strip_prefix(r"\\?\").unwrap_or(path);
    path.replace('/', r"\").to_lowercase()
}

/// Below what of HKU a part of HKCU is to be looked for once the hive that it is in is loaded, and the
/// file of that hive in the profile.
pub(in crate::step) fn file_for(below: &str) -> (&'static str, &str) {
    const CLASSES: &str = r"software\classes";
    if let Some((start, rest)) = below.split_at_checked(CLASSES.len())
        && start.eq_ignore_ascii_case(CLASSES)
        && (rest.is_empty() || rest.starts_with('\\'))
    {
        return (OF_A_USER[1].0, rest.trim_start_matches('\\'));
    }
    (OF_A_USER[0].0, below)
}

/// Loads a hive of somebody who is logged off, and says as which key.
pub(in crate::step) async fn load(
    cx: &mut StepCx<'_>,
    sid: &str,
    file: &str,
) -> Result<String, Cause> {
    let Some(home) = home_of(cx, sid).await? else {
        let what = format!(r"{PROFILES}\{sid}\{HOME}").into();
        return Err(Cause::Missing { what });
    };
    let key = format!(r"HKU\sortie-{}", cx.hands.nonce());
    match reg(cx, &["load", &key, &format!("{home}{file}")]).await {
        Ok(()) => Ok(key),
        Err(failed) if failed.fate == Fate::InDoubt => {
            let came = Err(failed.cause);
            unload(cx, &key, &came).await?;
            came
        }
        Err(failed) => Err(failed.cause),
    }
}

/// Unloads a hive of ours, whatever came of what it was loaded for; where that fails, records that it stays.
/// As long as it does, its user cannot log on with it.
pub(in crate::step) async fn unload<T>(
    cx: &mut StepCx<'_>,
    key: &str,
    came: &Result<T, Cause>,
) -> Result<(), Cause> {
    let is_gone = !is_lost(came) && try_to_unload(cx, key).await;
    if !is_gone {
        cx.hands.left_behind(key.to_owned()).await?;
    }
    Ok(())
}

/// Nothing reaches the endpoint without a session, and the next attempt has one.
fn is_lost<T>(came: &Result<T, Cause>) -> bool {
    matches!(came, Err(Cause::SessionLost))
}

async fn try_to_unload(cx: &mut StepCx<'_>, key: &str) -> bool {
    for attempt in 1..=TRIES {
        cx.hands.extend(CLEAN_UP);
        let unloaded = reg(cx, &["unload", key]).await;
        if unloaded.is_ok() {
            return true;
        }
        let path = key.to_owned();
        match cx.ask(Command::RegEnumKey { path }).await {
            Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => return true,
            asked if is_lost(&asked) => return false,
            _ => {}
        }
        if attempt < TRIES {
            // A stop of the run makes this short, and is no reason to leave it.
            let _ = cx.hands.wait(BETWEEN).await;
        }
    }
    false
}

/// What `reg.exe` did not do, and why.
struct Failed {
    cause: Cause,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    NeverRan,
    /// It ran to its end, and says that it failed.
    Refused,
    InDoubt,
}

/// Runs `reg.exe` with these words.
async fn reg(cx: &mut StepCx<'_>, words: &[&str]) -> Result<(), Failed> {
    let failed = |fate, cause| Failed { cause, fate };
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let line = quote::line("reg.exe", &words, Os::Windows)
        .map_err(|said| failed(Fate::NeverRan, refused(None, said)))?;
    let output = temporary(cx, "out");
    let command = Command::CreateProcess {
        command_line: line,
        wait: true,
        working_directory: None,
        output_file: Some(output.clone()),
    };
    // A hive that was saved, loaded or unloaded can be so again.
    let reply = match cx.hands.command(command, Effect::Converge).await {
        Ok(reply) => reply,
        Err(cause) if cause.is_refusal() => {
            return Err(failed(Fate::NeverRan, refused(None, cause.summary())));
        }
        Err(cause) => {
            let fate = match &cause {
                Cause::Interrupted => Fate::InDoubt,
                cause if cause.reached() == Reached::No => Fate::NeverRan,
                _ => Fate::InDoubt,
            };
            gone(cx, &output).await?;
            return Err(failed(fate, cause));
        }
    };
    let CommandResult::Started { return_code, .. } = reply.result else {
        gone(cx, &output).await?;
        return Err(failed(Fate::InDoubt, unexpected(&reply)));
    };
    let (fate, cause) = match return_code {
        Some(0) => return gone(cx, &output).await,
        Some(code) => {
            let said = said(cx, &output).await;
            let said = said.unwrap_or_else(|cause| cause.summary());
            (Fate::Refused, refused(Some(code), said))
        }
        None => (
            Fate::InDoubt,
            refused(None, "it gave no exit code".to_owned()),
        ),
    };
    gone(cx, &output).await?;
    Err(failed(fate, cause))
}

fn refused(code: Option<i64>, said: String) -> Cause {
    Cause::RegFailed {
        code,
        said: said.into(),
    }
}

/// Takes the output away.
async fn gone(cx: &mut StepCx<'_>, output: &str) -> Result<(), Failed> {
    let fate = Fate::InDoubt;
    let removed = cx.remove(output).await;
    removed.map(drop).map_err(|cause| Failed { cause, fate })
}

/// What it said, on one line.
async fn said(cx: &mut StepCx<'_>, output: &str) -> Result<String, Cause> {
    let reply = cx
        .ask(Command::GetFile {
            path: output.to_owned(),
            offset: 0,
            count: Some(MAX_SAID),
        })
        .await?;
    let CommandResult::File(file) = &reply.result else {
        return Err(unexpected(&reply));
    };
    let limit = usize::try_from(MAX_SAID).unwrap_or(usize::MAX);
    let bytes = cx.hands.read(file, limit).await?;
    let text = Encoding::Auto.decode(&bytes);
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn temporary(cx: &mut StepCx<'_>, ending: &str) -> String {
    format!(r"C:\Windows\Temp\sortie-{}.{ending}", cx.hands.nonce())
}

/// Unloads what attempts of this run loaded and could not unload, of all that is below HKU. That it stays
/// was recorded then.
pub(in crate::step) async fn unload_left(
    cx: &mut StepCx<'_>,
    below_hku: impl Iterator<Item = &str>,
) {
    let nonce = cx.hands.nonce();
    let run = nonce.split('-').next().unwrap_or(&nonce);
    let ours = format!("sortie-{run}-");
    for name in below_hku.filter(|name| name.starts_with(&ours)) {
        let _ = reg(cx, &["unload", &format!(r"HKU\{name}")]).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_folders_on_drives() {
        let table = [
            (r"C:\Users\ann", Some(r"C:\Users\ann")),
            (r"D:\Users\ann\", Some(r"D:\Users\ann")),
            (r"%SystemDrive%\Users\ann", Some(r"C:\Users\ann")),
            (
                r"%systemroot%\ServiceProfiles\x",
                Some(r"C:\Windows\ServiceProfiles\x"),
            ),
            (r"\\host\share\ann", None),
            (r"%PROFILES%\ann", None),
            (r"ann", None),
            ("", None),
            ("C:\\a\" /y", None),
            ("C:\\a\nb", None),
            ("☃:\\a", None),
        ];
        for (path, expected) in table {
            assert_eq!(on_drive(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn sids_are_numbers() {
        for sid in ["S-1-5-18", "S-1-5-21-1004336348-1177238915-682003330-500"] {
            assert!(is_sid(sid), "{sid}");
        }
        for other in [
            "S-1-5-21-1-2-3-4.bak",
            "S-1-5-21-1_Classes",
            "S-1-",
            "s",
            r"S-1-5\x",
            "S-1-5 /y",
        ] {
            assert!(!is_sid(other), "{other}");
        }
    }

    #[test]
    fn the_classes_of_a_user_are_in_a_hive_of_their_own() {
        let (user, classes) = (OF_A_USER[0].0, OF_A_USER[1].0);
        let table = [
            (r"Software\Run", (user, r"Software\Run")),
            (r"software\CLASSES", (classes, "")),
            (r"Software\Classes\CLSID", (classes, "CLSID")),
            (r"Software\Classesx", (user, r"Software\Classesx")),
            ("é", (user, "é")),
        ];
        for (below, expected) in table {
            assert_eq!(file_for(below), expected, "{below}");
        }
    }
}
