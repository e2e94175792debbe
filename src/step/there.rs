//! What lies at a path right now, a copy of it for the bag, and what of all that is a step's own work.

use super::cx::{FileRequest, StepCx};
use super::given::{filled, trimmed};
use super::guard::Waiver;
use super::{base_name, get_file, unexpected};
use crate::model::command::{Command, CommandResult, DirEntry};
use crate::model::conceal::NO_LOG;
use crate::model::device::Os;
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::model::row::{Row, RowKind, StoredFile};
use crate::template::{Scope, Template, TemplateError};
use crate::text::wildcard::has_wildcard;

/// The path of one thing, as it is asked for and changed: without a separator at its end.
pub(super) fn path(template: &Template, scope: &Scope) -> Result<String, TemplateError> {
    let path = filled(template, scope)?;
    Ok(trimmed(&path).to_owned())
}

/// What is there under this very name.
pub(super) async fn entry(cx: &mut StepCx<'_>, path: &str) -> Result<Option<DirEntry>, Cause> {
    let command = Command::DirectoryList {
        path: path.to_owned(),
    };
    let reply = match cx.ask(command).await {
        Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => return Ok(None),
        other => other?,
    };
    let CommandResult::Entries(entries) = reply.result else {
        return Err(unexpected(&reply));
    };
    if has_wildcard(path) {
        // Whatever fits it was listed, and elsewhere than on Windows it may be a name.
        let is_it = |entry: &DirEntry| entry.name.raw() == base_name(path);
        return Ok(entries.into_iter().find(is_it));
    }
    let mut entries = entries.into_iter();
    match (entries.next(), entries.next()) {
        (entry, None) => Ok(entry),
        (_, Some(_)) => Err(Cause::BadAnswer {
            detail: format!("several entries where one was asked for: {path}"),
        }),
    }
}

/// Brings what is there now into the bag, before `step` takes it away.
pub(super) async fn keep(
    cx: &mut StepCx<'_>,
    step: &'static str,
    path: &str,
    entry: Option<&DirEntry>,
) -> Result<StoredFile, Cause> {
    let wanted = FileRequest {
        is_anew: true,
        ..FileRequest::whole(path)
    };
    let file = get_file::fetch(cx, &wanted, entry).await?;
    let mut row = get_file::row_of(&file, &wanted);
    row.extra.insert(KEPT_BEFORE.into(), step.into());
    cx.rows.push(row);
    Ok(file)
}

/// What a row has of something that is kept because a step takes it away, or changes it.
pub(super) const KEPT_BEFORE: &str = "kept_before";

/// Says of something that there was no copy of it to be, and why.
pub(super) fn waive(row: Row, step: &'static str, waiver: &Waiver) -> Row {
    let mut row = Row { data: None, ..row };
    row.extra.insert(KEPT_BEFORE.into(), step.into());
    row.extra
        .insert("waived".into(), waiver.waived.as_str().into());
    row
}

/// A file or a link of which no copy is kept.
pub(super) fn row_of(path: &str, entry: &DirEntry) -> Row {
    Row {
        path: Some(path.into()),
        name: Some(entry.name.clone()),
        size: Some(entry.size),
        ..Row::new(RowKind::File)
    }
}

/// Whether this step has sent such a command for this operand before.
pub(super) fn has_run(cx: &StepCx<'_>, name: &str, operand: &str) -> bool {
    let written = cx.hands.written(operand);
    let mut ran = cx.hands.has_run().iter();
    ran.any(|command| {
        let told = command.operand();
        // Of a step that nobody may see it is known what it did, and not where.
        command.name() == name
            && told.is_some_and(|told| told == operand || told == NO_LOG || told == written)
    })
}

/// Whether nothing is above a path.
pub(super) fn is_root(path: &str, os: Os) -> bool {
    let below = if os == Os::Windows {
        path.trim_end_matches(['\\', '/'])
    } else {
        path.trim_end_matches('/')
    };
    below.is_empty() || (os == Os::Windows && below.ends_with(':'))
}
