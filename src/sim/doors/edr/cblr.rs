//! Live Response: `/api/v1/cblr/session…`. Whatever succeeds is answered with 200.

use super::super::cloud_v6::{body, upload};
use super::super::orders::{self, Operand};
use super::super::{Problem, Reply, Routed, cblr, terms};
use super::{archive, asked, shapes};
use crate::sim::endpoint::order::Order;
use crate::sim::manners::{CloseAnswer, Edr, WhilePending};
use crate::sim::session::{Status, Terms, Timeouts};
use crate::sim::store::Stored;
use crate::sim::view::{CommandView, SessionView};
use crate::sim::world::{Missing, Refusal, World};
use crate::wire::{Method, Request, Response};
use serde_json::Value;
use std::time::Duration;

type Answer = Result<Reply, Problem>;

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    let ["v1", "cblr", "session", path @ ..] = path else {
        return None;
    };
    let route = match path {
        [] => "api/v1/cblr/session",
        [_] => "api/v1/cblr/session/{id}",
        [_, "keepalive"] => "api/v1/cblr/session/{id}/keepalive",
        [_, "archive"] => "api/v1/cblr/session/{id}/archive",
        [_, "command"] => "api/v1/cblr/session/{id}/command",
        [_, "command", _] => "api/v1/cblr/session/{id}/command/{n}",
        [_, "file"] => "api/v1/cblr/session/{id}/file",
        [_, "file", _] => "api/v1/cblr/session/{id}/file/{file}",
        [_, "file", _, "content"] => "api/v1/cblr/session/{id}/file/{file}/content",
        _ => return None,
    };
    let answer = if world.manners().edr.live_response {
        routed(world, request, path)
    } else {
        Err(Problem::new(
            412,
            "PRECONDITION_FAILED",
            "Live Response is not enabled on this server",
        ))
    };
    Some((route, answer))
}

fn routed(world: &World, request: &Request, path: &[&str]) -> Answer {
    let [id, rest @ ..] = path else {
        return match request.method {
            Method::Get => Ok(list(world, request)),
            Method::Post => open(world, request),
            _ => Err(Problem::wrong_method()),
        };
    };
    let place = Place::find(world, request, id)?;
    match (request.method, rest) {
        (Method::Get, []) => Ok(place.told(&world.session(&place.id)?)),
        (Method::Put, []) => place.close(),
        (Method::Get, ["keepalive"]) => place.keep_alive(),
        (Method::Get, ["archive"]) => archive::answer(world, place.number),
        (Method::Get, ["command"]) => place.commands(),
        (Method::Post, ["command"]) => place.post(),
        (Method::Get, ["command", number]) => place.command(number),
        (Method::Put, ["command", number]) => place.cancel(number),
        (Method::Get, ["file"]) => place.files(),
        (Method::Post, ["file"]) => {
            let stored = upload(world, request, &place.id)?;
            Ok(json(&shapes::file(&stored, &[], world.manners())))
        }
        (Method::Get, ["file", file]) => place.edit(file, false),
        (Method::Put, ["file", file]) => {
            let delete = orders::flag(&body(request)?, "delete")?;
            place.edit(file, delete)
        }
        (Method::Delete, ["file", file]) => place.edit(file, true),
        (Method::Get, ["file", file, "content"]) => place.content(file),
        _ => Err(Problem::wrong_method()),
    }
}

fn json(body: &Value) -> Reply {
    Response::json(200, body).into()
}

/// All that are open, and those that ended not long ago.
fn list(world: &World, request: &Request) -> Reply {
    let open_only = asked(request, "active_only").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let ids = world.manners().edr.sensor_ids;
    let mut all = world.kept_sessions();
    all.retain(|view| !open_only || !matches!(view.status, Status::Timeout | Status::Closed));
    let all = world.survey(|devices, _| {
        let shown = all.iter();
        shown
            .map(|view| shapes::session(view, devices.get(&view.device), ids))
            .collect()
    });
    json(&Value::Array(all))
}

fn open(world: &World, request: &Request) -> Answer {
    let body = body(request)?;
    let sensor = orders::integer(&body, "sensor_id")?
        .ok_or_else(|| Problem::bad_request("sensor_id is missing"))?;
    // One that cannot exist is an unknown one.
    let sensor = u64::try_from(sensor).unwrap_or(u64::MAX);
    let opened = world.open_by(sensor, agreed(world.manners().edr, &body)?)?;
    Ok(told(world, &opened.session))
}

/// The terms of a session; its timeouts are what was observed, and not what is documented.
fn agreed(ways: Edr, body: &Value) -> Result<Terms, Problem> {
    let usual = Timeouts {
        check_in: Duration::from_mins(20),
        session: Duration::from_mins(5),
        command: None,
        sensor: Some(Duration::from_mins(2)),
    };
    Ok(Terms {
        timeouts: terms::timeouts(body, usual)?,
        max_sessions: ways.max_sessions,
        // Only the cloud is known to have a limit.
        max_commands: usize::MAX,
        reopening: ways.reopening,
        kept: Duration::from_hours(24 * shapes::STORAGE_DAYS),
    })
}

fn told(world: &World, view: &SessionView) -> Reply {
    let ids = world.manners().edr.sensor_ids;
    json(&world.survey(|devices, _| shapes::session(view, devices.get(&view.device), ids)))
}

/// A request within a session that is known.
struct Place<'a> {
    world: &'a World,
    request: &'a Request,
    number: u64,
    /// As the world calls it.
    id: String,
}

impl<'a> Place<'a> {
    fn find(world: &'a World, request: &'a Request, id: &str) -> Result<Self, Problem> {
        let number = id.parse().ok();
        let known = number.and_then(|number| Some((number, world.full_id(number)?)));
        let (number, id) = known.ok_or_else(|| gone(id))?;
        Ok(Self {
            world,
            request,
            number,
            id,
        })
    }

    fn told(&self, view: &SessionView) -> Reply {
        told(self.world, view)
    }

    /// The body says so in more than one way; the session is that of the path.
    fn close(&self) -> Answer {
        let body = body(self.request)?;
        let status = orders::text(&body, "status")?.unwrap_or_default();
        if !["close", "closed"].contains(&status.trim().to_lowercase().as_str()) {
            return Err(Problem::bad_request("status can be changed to close only"));
        }
        let before = self.end()?;
        Ok(match self.world.manners().edr.close_answer {
            CloseAnswer::Closed => self.told(&closed(before)),
            CloseAnswer::StillActive => self.told(&before),
        })
    }

    /// Ends it; as it was before.
    fn end(&self) -> Result<SessionView, Problem> {
        let before = self.world.close_kept(self.number);
        before.ok_or_else(|| gone(&self.number.to_string()))
    }

    /// A session that is not active does not survive it.
    fn keep_alive(&self) -> Answer {
        let view = self.world.keep_alive(&self.id)?;
        let pending = self.world.manners().edr.keepalive_while_pending;
        let stays = match view.status {
            Status::Active => true,
            Status::Pending => pending == WhilePending::Ignored,
            _ => false,
        };
        if stays {
            Ok(self.told(&view))
        } else {
            Ok(self.told(&closed(self.end()?)))
        }
    }

    fn shown(&self, view: &CommandView, sensor: u64) -> Value {
        shapes::command(view, (self.number, sensor), self.world.manners())
    }

    fn commands(&self) -> Answer {
        let sensor = self.world.session(&self.id)?.device;
        let all = cblr::wanted(self.request, self.world.commands(&self.id)?)?;
        let shown = all.iter().map(|view| self.shown(view, sensor));
        Ok(json(&shown.collect()))
    }

    fn post(&self) -> Answer {
        // Who lost the session must hear that first: it decides whether to open a new one.
        let sensor = self.world.session(&self.id)?.device;
        let mut order = orders::read(&body(self.request)?, Operand::OBJECT)?;
        if let Order::PutFile { file_id, .. } = &mut order {
            *file_id = self.file(file_id)?.id.uuid;
        }
        let view = self.world.post(&self.id, order)?;
        Ok(json(&self.shown(&view, sensor)))
    }

    fn command(&self, number: &str) -> Answer {
        let sensor = self.world.session(&self.id)?.device;
        let view = self.world.command(&self.id, counted(number)?)?;
        Ok(json(&self.shown(&view, sensor)))
    }

    /// Whatever the body says besides: to cancel it is all that can be done to a command.
    fn cancel(&self, number: &str) -> Answer {
        body(self.request)?;
        self.world.cancel(&self.id, counted(number)?)?;
        self.command(number)
    }

    fn files(&self) -> Answer {
        let (all, commands) = (self.world.files(&self.id)?, self.world.commands(&self.id)?);
        let manners = self.world.manners();
        let shown = all
            .iter()
            .map(|stored| shapes::file(stored, &commands, manners));
        Ok(json(&shown.collect()))
    }

    fn file(&self, file: &str) -> Result<Stored, Problem> {
        let all = self.world.files(&self.id)?;
        let mut all = all.into_iter();
        let number = file.parse::<u64>().ok();
        let found = all.find(|stored| Some(stored.id.number) == number);
        found.ok_or_else(|| Refusal::NotFound(Missing::File(file.to_owned())).into())
    }

    /// Shows it, and deletes it if that is wanted.
    fn edit(&self, file: &str, delete: bool) -> Answer {
        let stored = self.file(file)?;
        let commands = self.world.commands(&self.id)?;
        let mut shown = shapes::file(&stored, &commands, self.world.manners());
        if delete {
            self.world.remove_file(&self.id, &stored.id.uuid)?;
            shown["delete"] = true.into();
        }
        Ok(json(&shown))
    }

    fn content(&self, file: &str) -> Answer {
        let stored = self.file(file)?;
        cblr::content(self.world, &self.id, &stored, file)
    }
}

fn closed(before: SessionView) -> SessionView {
    SessionView {
        status: Status::Closed,
        ..before
    }
}

fn gone(id: &str) -> Problem {
    Refusal::NotFound(Missing::Session(id.to_owned())).into()
}

/// A command's number as the world counts: from zero.
fn counted(number: &str) -> Result<u64, Problem> {
    let parsed: Option<u64> = number.parse().ok();
    let counted = parsed.and_then(|number| number.checked_sub(1));
    counted.ok_or_else(|| Problem::new(404, "NOT_FOUND", format!("Command {number} not found")))
}

#[cfg(test)]
mod tests;
