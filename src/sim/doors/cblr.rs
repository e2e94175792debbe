//! What the APIs whose Live Response lies below `/cblr` have in common: v3 and EDR.

use super::{Problem, Reply, shapes};
use crate::sim::endpoint::content::Clip;
use crate::sim::endpoint::files::Entry;
use crate::sim::manners::Manners;
use crate::sim::store::{Origin, Stored};
use crate::sim::view::{CommandView, Stage};
use crate::sim::world::{Missing, Refusal, World};
use crate::wire::Request;
use serde_json::{Value, json};

/// A command's word for how far it is.
pub(super) fn status(view: &CommandView) -> &'static str {
    match &view.stage {
        Stage::Pending => "pending",
        Stage::Running => "in progress",
        Stage::Cancelled { .. } => "cancel",
        Stage::Ended { outcome: Ok(_), .. } => "complete",
        Stage::Ended { .. } => "error",
    }
}

/// Of a session's commands those of a status, as many as are wanted.
pub(super) fn wanted(
    request: &Request,
    mut commands: Vec<CommandView>,
) -> Result<Vec<CommandView>, Problem> {
    let (mut word, mut count) = (None, usize::MAX);
    for (key, value) in &request.query {
        let wrong = || Problem::bad_request(format!("{key} cannot be {value}"));
        match key.as_str() {
            "status" => word = Some(status_word(value).ok_or_else(wrong)?),
            "count" => count = value.trim().parse().map_err(|_| wrong())?,
            _ => {}
        }
    }
    commands.retain(|command| word.is_none_or(|word| status(command) == word));
    commands.truncate(count);
    Ok(commands)
}

/// The word of a command's status, however it is spelled: filters have words of their own.
fn status_word(text: &str) -> Option<&'static str> {
    let letters = text.chars().filter(char::is_ascii_alphabetic);
    let letters: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    Some(match letters.as_str() {
        "pending" => "pending",
        "inprogress" => "in progress",
        "complete" | "completed" => "complete",
        "cancel" | "canceled" | "cancelled" => "cancel",
        "error" => "error",
        _ => return None,
    })
}

/// An entry of a directory.
pub(super) fn listed(view: &CommandView, entry: &Entry) -> Value {
    let seconds = |at| view.moment(at).as_second();
    json!({
        "size": entry.size,
        "attributes": entry.attributes,
        "filename": entry.name,
        "alternate_name": "",
        "create_time": seconds(entry.created),
        "last_access_time": seconds(entry.accessed),
        "last_write_time": seconds(entry.written),
    })
}

/// A registry value's data: a number if its type is one.
pub(super) fn typed(kind: &str, data: &str) -> Value {
    match (kind, data.parse::<u64>()) {
        ("REG_DWORD" | "REG_DWORD_BIG_ENDIAN" | "REG_QWORD", Ok(number)) => json!(number),
        _ => json!(data),
    }
}

/// The bytes of a session's file, which clients call `name`.
pub(super) fn content(
    world: &World,
    session: &str,
    stored: &Stored,
    name: &str,
) -> Result<Reply, Problem> {
    if stored.clip.is_none() {
        return Err(Refusal::NotFound(Missing::Content(name.to_owned())).into());
    }
    let clip = world.take_content(session, &stored.id.uuid)?;
    Ok(Reply::Content(clip))
}

/// A file that is called `id`. The commands tell why one never came.
pub(super) fn file(
    stored: &Stored,
    id: &Value,
    commands: &[CommandView],
    manners: Manners,
) -> Value {
    let mut of_it = commands
        .iter()
        .filter(|command| command.file.as_ref() == Some(&stored.id));
    let fetch = match stored.origin {
        Origin::Upload => None,
        Origin::Endpoint => of_it.next(),
    };
    let size = stored.clip.as_ref().map_or(0, Clip::len);
    json!({
        "id": id,
        "file_name": stored.name,
        "size": size,
        "size_uploaded": size,
        "status": fetch.map_or(0, |fetch| shapes::result_code(fetch, manners)),
        "delete": false,
    })
}
