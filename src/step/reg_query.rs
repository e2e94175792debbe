//! Reads the Windows registry: a key's values and sub keys, or one value.
//!
//! `depth` says how many levels of sub keys are read too. A key or value that does not exist skips the
//! step, unless `if_missing: fail`. To the sensor, which runs as SYSTEM, `HKCU` is SYSTEM's own;
//! `hives: all` reads it of every user: of those who are logged on, whose hives are loaded, and of those
//! who are logged off and have a profile.
//!
//! The hive of somebody who is logged off is loaded for that, by `reg.exe load` below `HKU`, and unloaded
//! again, if the playbook permits `exec`; `UsrClass.dat` in place of `NTUSER.DAT` where `key` is below
//! `HKCU\Software\Classes`. That counts as a change: Windows writes to the hive's file and to the log files
//! beside it, and until it is unloaded its user cannot log on with it. One that cannot be unloaded is
//! reported as left behind. Without the permission, and where it cannot be loaded, a row with the cause
//! stands in the place of that user's values, and the step is done all the same.
//!
//! ```yaml
//! name: Run keys
//! reg_query: 'HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run'
//! register: run_keys
//! ```

pub(super) mod hive;

use super::cx::{OnObstacle, StepCx, Stop};
use super::{AHEAD, Arguments, Built, Cost, Foretold, ResultField, Shape, Spec, unexpected};
use crate::model::command::{Command, CommandResult, RegistryValue};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::model::remote::RemoteText;
use crate::model::row::{Row, RowKind};
use crate::template::{
    Bounded, Choice, Field, Fields, Scope, Template, TemplateError, Word, short_form,
};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::escape::Escaped;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};
use std::collections::VecDeque;

pub(super) const SPEC: Spec = Spec {
    key: "reg_query",
    summary: "read registry keys and values",
    permissions: &[Permission::Read],
    effect: Effect::Read,
    os: &[Os::Windows],
    commands: &[
        "reg enum key",
        "reg query value",
        "create process",
        "get file",
        "delete file",
    ],
    results: &[
        ResultField::new(
            "values",
            Shape::List,
            "the values, each with `path` (of its key), `name`, `type`, `data`",
        ),
        ResultField::new("names", Shape::List, "the paths of the sub keys"),
        ResultField::new(
            "found",
            Shape::Flag,
            "whether there is any value or sub key",
        ),
    ],
    source: include_str!("reg_query.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<RegQuery>,
};

/// More levels than any hive has in practice.
type Depth = Bounded<0, 32>;
const FLAT: Depth = Depth::new(0);
/// More values than a person or a table can use.
const MAX_VALUES: usize = 200_000;

/// What to read.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("key"))]
pub struct RegQuery {
    /// The key, such as `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run`.
    pub key: Template,
    /// The one value to read; without it the key's values and sub keys are read.
    pub value: Option<Template>,
    /// How many levels of sub keys are read too.
    #[schemars(extend("default" = 0))]
    pub depth: Field<Depth>,
    /// Whose hives `HKCU` stands for: `own` is the sensor's, `all` those of all users; the ones of users who
    /// are logged off are loaded if the playbook permits `exec`.
    #[schemars(with = "Word<Hives>", extend("default" = "own"))]
    pub hives: Hives,
    /// What a key or value that is not there means for the step.
    #[schemars(with = "Word<OnObstacle>", extend("default" = "skip"))]
    pub if_missing: OnObstacle,
    /// Whether the playbook permits to load hives.
    #[schemars(skip)]
    pub permits_exec: bool,
}

/// Whose hives `HKCU` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hives {
    Own,
    All,
}

impl Choice for Hives {
    const CHOICES: &'static [(&'static str, Self)] = &[("own", Self::Own), ("all", Self::All)];
}

/// The two spellings of the hive of the current user.
const CURRENT_USER: [&str; 2] = ["HKCU", "HKEY_CURRENT_USER"];
/// How the SIDs of people begin; the others are the system's own accounts.
const PEOPLE: [&str; 2] = ["S-1-5-21-", "S-1-12-1-"];

impl RegQuery {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "key", all);
        let key = fields.required("key");
        let value = fields.optional("value");
        let depth = fields.or("depth", Field::Literal(FLAT));
        let hives = fields.or("hives", Hives::Own);
        let if_missing = fields.or("if_missing", OnObstacle::Skip);
        let key: Option<Template> = key;
        let text = key.as_ref().and_then(Template::as_literal);
        if hives == Hives::All && text.is_some_and(|text| below_current_user(text).is_none()) {
            let span = fields.key_span("hives");
            fields
                .diagnostics()
                .error(
                    Code::BadValue,
                    span,
                    "`hives: all` reads HKCU of every user, and `key` is elsewhere",
                )
                .help("begin `key` with HKCU, or remove `hives`");
        }
        fields.finish();
        Some(Self {
            hives,
            key: key?,
            value,
            depth,
            if_missing,
            permits_exec: false,
        })
    }

    pub(super) const fn permissions(&self) -> &'static [Permission] {
        if self.loads() {
            &[Permission::Read, Permission::Exec]
        } else {
            SPEC.permissions
        }
    }

    pub(super) const fn effect(&self) -> Effect {
        if self.loads() {
            // What was loaded and unloaded can be so again.
            Effect::Converge
        } else {
            SPEC.effect
        }
    }

    /// Whether hives of users who are logged off are loaded.
    const fn loads(&self) -> bool {
        matches!(self.hives, Hives::All) && self.permits_exec
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments {
            others: self.depth.references().collect(),
            cost: Cost {
                commands: 1,
                open_ended: self.depth.literal() != Some(&FLAT) || self.hives == Hives::All,
                ..Cost::default()
            },
            ..Arguments::default()
                .with("key", [&self.key])
                .with("value", &self.value)
        }
    }

    pub(super) fn foretell(&self, scope: &Scope) -> Result<Foretold, TemplateError> {
        let key = self.key.render(scope)?;
        let value = self.value.as_ref().map(|value| value.render(scope));
        let value = value.transpose()?;
        let command = match (self.hives, &value) {
            (Hives::All, _) => users(),
            (Hives::Own, Some(value)) => value_command(&key, value),
            (Hives::Own, None) => Command::RegEnumKey { path: key },
        };
        Ok(Foretold {
            commands: vec![command],
            is_all: self.hives == Hives::Own
                && (value.is_some() || self.depth.resolve(scope)? == FLAT),
        })
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let key = self.key.render(cx.scope)?;
        let depth = self.depth.resolve(cx.scope)?.get();
        let value = self.value.as_ref().map(|value| value.render(cx.scope));
        let value = value.transpose()?;
        let what = (value.as_deref(), depth);
        let result = match self.hives {
            Hives::Own => read(cx, At::own(&key), what).await.map(Found::into_value),
            Hives::All => {
                let Some(below) = below_current_user(&key) else {
                    let why = format!(
                        "`hives: all` reads HKCU of every user, and not {}",
                        Escaped(&key)
                    );
                    return Err(TemplateError::new(Code::BadValue, self.key.span(), why).into());
                };
                self.everybodys(cx, below, what).await
            }
        };
        match result {
            Err(cause)
                if self.if_missing == OnObstacle::Skip && cause.is_endpoint_code(&NOT_FOUND) =>
            {
                Err(Stop::Skipped(Cause::Missing { what: key.into() }))
            }
            other => Ok(other?),
        }
    }

    /// The same below the hive of each person; where nobody has it, it is missing.
    async fn everybodys(
        &self,
        cx: &mut StepCx<'_>,
        below: &str,
        what: What<'_>,
    ) -> Result<Value, Cause> {
        let reply = cx.ask(users()).await?;
        let CommandResult::Key { sub_keys, .. } = &reply.result else {
            return Err(unexpected(&reply));
        };
        if self.loads() {
            hive::unload_left(cx, sub_keys.iter().map(RemoteText::raw)).await;
        }
        let (mut all, mut missing) = (Found::default(), None);
        let names = sub_keys.iter().map(RemoteText::raw);
        let loaded: Vec<&str> = names.filter(|name| is_person(name)).collect();
        for user in &loaded {
            let key = format!(r"HKU\{user}\{below}");
            all.add(read(cx, At::own(&key), what).await, &mut missing)?;
        }
        let mut unread = false;
        for user in logged_off(cx, &loaded).await? {
            let shown = format!(r"HKU\{user}\{below}");
            let loaded = if self.loads() {
                let (file, below) = hive::file_for(below);
                let key = hive::load(cx, &user, file).await;
                key.map(|key| (key, below))
            } else {
                Err(Cause::LoggedOff)
            };
            match loaded {
                Ok((key, below)) => {
                    let asked = if below.is_empty() {
                        key.clone()
                    } else {
                        format!(r"{key}\{below}")
                    };
                    let at = At {
                        asked: &asked,
                        shown: &shown,
                    };
                    let found = read(cx, at, what).await;
                    hive::unload(cx, &key, &found).await?;
                    all.add(found, &mut missing)?;
                }
                Err(cause) if is_of_the_user(&cause) => {
                    unread = true;
                    cx.rows.push(unread_row(&shown, cause));
                }
                Err(cause) => return Err(cause),
            }
        }
        match missing {
            // Of somebody who was not read, nobody knows whether it is there.
            Some(cause) if all.is_empty() && !unread => Err(cause),
            _ => Ok(all.into_value()),
        }
    }
}

/// What was read.
#[derive(Default)]
struct Found {
    values: Vec<Value>,
    names: Vec<String>,
}

impl Found {
    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.names.is_empty()
    }

    fn into_value(self) -> Value {
        json!({"found": !self.is_empty(), "values": self.values, "names": self.names})
    }

    /// Takes what was found below one more hive, or remembers that it is not there.
    fn add(
        &mut self,
        found: Result<Self, Cause>,
        missing: &mut Option<Cause>,
    ) -> Result<(), Cause> {
        match found {
            Ok(found) => {
                self.values.extend(found.values);
                self.names.extend(found.names);
            }
            Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => *missing = Some(cause),
            Err(cause) => return Err(cause),
        }
        Ok(())
    }
}

/// A key: what the endpoint is asked for, and what people call it.
#[derive(Debug, Clone, Copy)]
struct At<'a> {
    asked: &'a str,
    shown: &'a str,
}

impl<'a> At<'a> {
    fn own(key: &'a str) -> Self {
        Self {
            asked: key,
            shown: key,
        }
    }
}

/// One value, or a key to a depth.
type What<'a> = (Option<&'a str>, u32);

async fn read(cx: &mut StepCx<'_>, key: At<'_>, (value, depth): What<'_>) -> Result<Found, Cause> {
    match value {
        Some(value) => one_value(cx, key, value).await,
        None => whole_key(cx, key, depth).await,
    }
}

fn is_person(sid: &str) -> bool {
    PEOPLE.iter().any(|start| sid.starts_with(start)) && !sid.ends_with("_Classes")
}

/// The people who have a profile and whose hives are not loaded.
async fn logged_off(cx: &mut StepCx<'_>, loaded: &[&str]) -> Result<Vec<String>, Cause> {
    let mut profiles = match hive::profiles(cx).await {
        Ok(profiles) => profiles,
        // Then nobody knows who else there is.
        Err(cause @ Cause::Endpoint { .. }) => {
            cx.rows.push(unread_row(hive::PROFILES, cause));
            return Ok(Vec::new());
        }
        Err(cause) => return Err(cause),
    };
    profiles.retain(|sid| is_person(sid) && !loaded.contains(&sid.as_str()));
    Ok(profiles)
}

/// Whether others can be read all the same.
fn is_of_the_user(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::LoggedOff | Cause::RegFailed { .. } | Cause::Missing { .. } | Cause::Endpoint { .. }
    )
}

/// What stands in the place of values that could not be read.
fn unread_row(key: &str, cause: Cause) -> Row {
    Row {
        path: Some(key.into()),
        cause: Some(cause),
        ..Row::new(RowKind::RegistryValue)
    }
}

/// Lists the hives that are loaded.
fn users() -> Command {
    Command::RegEnumKey { path: "HKU".into() }
}

fn value_command(key: &str, value: &str) -> Command {
    Command::RegQueryValue {
        path: format!("{key}\\{value}"),
    }
}

fn below_current_user(key: &str) -> Option<&str> {
    let (hive, below) = key.split_once('\\')?;
    let is_it = CURRENT_USER
        .iter()
        .any(|own| own.eq_ignore_ascii_case(hive));
    is_it.then_some(below)
}

async fn one_value(cx: &mut StepCx<'_>, key: At<'_>, value: &str) -> Result<Found, Cause> {
    let reply = cx.ask(value_command(key.asked, value)).await?;
    let CommandResult::Value(value) = &reply.result else {
        return Err(unexpected(&reply));
    };
    cx.rows.push(row_of(key.shown, value));
    Ok(Found {
        values: vec![value_of(key.shown, value)],
        names: Vec::new(),
    })
}

async fn whole_key(cx: &mut StepCx<'_>, root: At<'_>, depth: u32) -> Result<Found, Cause> {
    let mut values = Vec::new();
    let mut names = Vec::new();
    // What follows the root.
    let mut pending = VecDeque::from([(String::new(), 0)]);
    while let Some((below, level)) = pending.pop_front() {
        let enumeration = |below: &str| Command::RegEnumKey {
            path: format!("{}{below}", root.asked),
        };
        if depth > FLAT.get() {
            let next = pending.iter().take(AHEAD);
            cx.hands
                .expect(next.map(|(below, _)| enumeration(below)).collect());
        }
        let key = format!("{}{below}", root.shown);
        let reply = match cx.ask(enumeration(&below)).await {
            // A sub key may vanish or be closed to us; that is a row, not the end.
            Err(cause @ Cause::Endpoint { .. }) if level > 0 => {
                cx.rows.push(unread_row(&key, cause));
                continue;
            }
            other => other?,
        };
        let CommandResult::Key {
            values: found,
            sub_keys,
        } = &reply.result
        else {
            return Err(unexpected(&reply));
        };
        for value in found {
            cx.rows.push(row_of(&key, value));
            values.push(value_of(&key, value));
        }
        for sub_key in sub_keys {
            let name = sub_key.raw();
            if level < depth {
                pending.push_back((format!("{below}\\{name}"), level + 1));
            }
            names.push(format!("{key}\\{name}"));
        }
        if values.len() + names.len() > MAX_VALUES {
            return Err(Cause::TooMany {
                limit: MAX_VALUES as u64,
            });
        }
    }
    Ok(Found { values, names })
}

fn value_of(key: &str, value: &RegistryValue) -> Value {
    json!({"path": key, "name": value.name, "type": value.kind, "data": value.data})
}

pub(super) fn row_of(key: &str, value: &RegistryValue) -> Row {
    Row {
        path: Some(RemoteText::from(key)),
        name: Some(value.name.clone()),
        type_: Some(value.kind.clone()),
        data: Some(value.data.clone()),
        ..Row::new(RowKind::RegistryValue)
    }
}
