//! Keys and values of the registry as steps find them before they change them.

use super::cx::StepCx;
use super::given::filled;
use super::guard::Waiver;
use super::there::{KEPT_BEFORE, waive};
use super::{reg_query, unexpected};
use crate::model::command::{Command, CommandResult, RegistryValue};
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::model::row::Row;
use crate::template::{Scope, Template, TemplateError};

/// A key as it is asked for: without a separator at its end.
pub(super) fn key(template: &Template, scope: &Scope) -> Result<String, TemplateError> {
    let key = filled(template, scope)?;
    Ok(key.trim_end_matches('\\').to_owned())
}

/// Where a value of a key is.
pub(super) fn path(key: &str, value: &str) -> String {
    format!("{key}\\{value}")
}

/// A value, if it is there.
pub(super) async fn query(cx: &mut StepCx<'_>, path: &str) -> Result<Option<RegistryValue>, Cause> {
    let path = path.to_owned();
    let reply = match cx.ask(Command::RegQueryValue { path }).await {
        Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => return Ok(None),
        other => other?,
    };
    match reply.result {
        CommandResult::Value(value) => Ok(Some(value)),
        _ => Err(unexpected(&reply)),
    }
}

/// What is in a key.
pub(super) struct Key {
    pub(super) values: Vec<RegistryValue>,
    pub(super) sub_keys: Vec<String>,
}

/// A key, if it is there.
pub(super) async fn enumerate(cx: &mut StepCx<'_>, key: &str) -> Result<Option<Key>, Cause> {
    let path = key.to_owned();
    let reply = match cx.ask(Command::RegEnumKey { path }).await {
        Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => return Ok(None),
        other => other?,
    };
    match reply.result {
        CommandResult::Key { values, sub_keys } => Ok(Some(Key {
            values,
            sub_keys: (sub_keys.iter().map(|name| name.raw().to_owned())).collect(),
        })),
        _ => Err(unexpected(&reply)),
    }
}

/// The row of a value that `step` takes away or changes.
pub(super) fn kept(
    step: &'static str,
    key: &str,
    value: &RegistryValue,
    waiver: Option<&Waiver>,
) -> Row {
    let mut row = reg_query::row_of(key, value);
    if let Some(waiver) = waiver {
        return waive(row, step, waiver);
    }
    row.extra.insert(KEPT_BEFORE.into(), step.into());
    row
}
