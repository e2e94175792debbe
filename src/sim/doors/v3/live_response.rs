//! Live Response: sessions are opened by the number of a device, and closed by a word in a body.

use super::super::cblr;
use super::super::cloud_v6::{body, command_body, upload};
use super::super::orders::{self, Operand};
use super::super::{Problem, Reply, Routed, terms};
use super::shapes;
use crate::sim::endpoint::order::Order;
use crate::sim::manners::{FileIds, SessionList};
use crate::sim::session::Status;
use crate::sim::store::Stored;
use crate::sim::view::{CommandView, SessionView};
use crate::sim::world::{Missing, Refusal, World};
use crate::wire::{Method, Request, Response};
use serde_json::{Value, json};

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    let (route, answer) = match path {
        ["session"] => ("v3/cblr/session", sessions(world, request)),
        ["session", id] => ("v3/cblr/session/{id}", session(world, request, id)),
        ["session", id, "keepalive"] => (
            "v3/cblr/session/{id}/keepalive",
            keep_alive(world, request, id),
        ),
        ["session", id, "command"] => {
            ("v3/cblr/session/{id}/command", commands(world, request, id))
        }
        ["session", id, "command", number] => (
            "v3/cblr/session/{id}/command/{n}",
            command(world, request, id, number),
        ),
        ["session", id, "file"] => ("v3/cblr/session/{id}/file", files(world, request, id)),
        ["session", id, "file", file] => (
            "v3/cblr/session/{id}/file/{file}",
            file_object(world, request, id, file),
        ),
        ["session", id, "file", file, "content"] => {
            return Some((
                "v3/cblr/session/{id}/file/{file}/content",
                content(world, request, id, file),
            ));
        }
        _ => return None,
    };
    let answer = answer.map(|body| Reply::Whole(Response::json(200, &body)));
    Some((route, answer))
}

/// A body; every success has the same status.
type Answer = Result<Value, Problem>;

fn sessions(world: &World, request: &Request) -> Answer {
    match (request.method, world.manners().v3.session_list) {
        (Method::Get, SessionList::Listed) => {
            Ok(world.sessions().iter().map(shapes::session).collect())
        }
        (Method::Put, _) => close(world, request),
        _ => Err(Problem::wrong_method()),
    }
}

fn close(world: &World, request: &Request) -> Answer {
    let body = body(request)?;
    let id = orders::text(&body, "session_id")?
        .ok_or_else(|| Problem::bad_request("session_id is missing"))?;
    if orders::text(&body, "status")?.as_deref() != Some("CLOSE") {
        return Err(Problem::bad_request("the only status to be set is CLOSE"));
    }
    let session = world.session(&id)?;
    world.close(&id)?;
    Ok(shapes::session(&SessionView {
        status: Status::Closed,
        ..session
    }))
}

fn session(world: &World, request: &Request, id: &str) -> Answer {
    match request.method {
        Method::Get => Ok(shapes::session(&world.session(id)?)),
        Method::Post => {
            // The body may name a device too; the path decides.
            let terms = terms::cloud(world, &optional_body(request)?)?;
            // What is no number names a device that cannot exist, as any unknown one.
            let device = id.parse().unwrap_or(u64::MAX);
            Ok(shapes::session(&world.open_by(device, terms)?.session))
        }
        _ => Err(Problem::wrong_method()),
    }
}

fn keep_alive(world: &World, request: &Request, id: &str) -> Answer {
    match request.method {
        Method::Get => Ok(shapes::session(&world.keep_alive(id)?)),
        _ => Err(Problem::wrong_method()),
    }
}

fn commands(world: &World, request: &Request, id: &str) -> Answer {
    match request.method {
        Method::Get => listed(world, request, id),
        Method::Post => {
            let body = command_body(world, request, id)?;
            let mut order = orders::read(&body, Operand::OBJECT)?;
            if let Order::PutFile { file_id, .. } = &mut order {
                *file_id = find(world, id, file_id)?.id.uuid;
            }
            shown(world, id, &world.post(id, order)?)
        }
        _ => Err(Problem::wrong_method()),
    }
}

/// The commands of a session, oldest first.
fn listed(world: &World, request: &Request, id: &str) -> Answer {
    let session = world.session(id)?;
    let commands = cblr::wanted(request, world.commands(id)?)?;
    let commands = commands.iter();
    Ok(commands
        .map(|one| shapes::command(one, &session, world.manners()))
        .collect())
}

fn command(world: &World, request: &Request, id: &str, number: &str) -> Answer {
    let index: u64 = number
        .parse()
        .map_err(|_| Problem::new(404, "NOT_FOUND", format!("command {number} not found")))?;
    match request.method {
        Method::Get => {}
        Method::Put => {
            // Clients send it in several forms, and all of them mean this.
            optional_body(request)?;
            world.cancel(id, index)?;
        }
        _ => return Err(Problem::wrong_method()),
    }
    shown(world, id, &world.command(id, index)?)
}

fn shown(world: &World, id: &str, command: &CommandView) -> Answer {
    let session = world.session(id)?;
    Ok(shapes::command(command, &session, world.manners()))
}

fn files(world: &World, request: &Request, id: &str) -> Answer {
    match request.method {
        Method::Get => {
            let (files, commands) = (world.files(id)?, world.commands(id)?);
            let files = files.iter();
            Ok(files
                .map(|file| shapes::file(file, &commands, world.manners()))
                .collect())
        }
        Method::Post => {
            let stored = upload(world, request, id)?;
            Ok(shapes::file(&stored, &[], world.manners()))
        }
        _ => Err(Problem::wrong_method()),
    }
}

fn file_object(world: &World, request: &Request, id: &str, file: &str) -> Answer {
    let is_to_go = match request.method {
        Method::Get => false,
        Method::Put => orders::flag(&body(request)?, "delete")?,
        Method::Delete => true,
        Method::Post => return Err(Problem::wrong_method()),
    };
    let stored = find(world, id, file)?;
    let mut shown = shapes::file(&stored, &world.commands(id)?, world.manners());
    if is_to_go {
        world.remove_file(id, &stored.id.uuid)?;
        shown["delete"] = json!(true);
    }
    Ok(shown)
}

fn content(world: &World, request: &Request, id: &str, file: &str) -> Result<Reply, Problem> {
    match request.method {
        Method::Get => {
            let stored = find(world, id, file)?;
            cblr::content(world, id, &stored, file)
        }
        _ => Err(Problem::wrong_method()),
    }
}

/// The file that clients call so.
fn find(world: &World, id: &str, name: &str) -> Result<Stored, Problem> {
    let ids = world.manners().v3.file_ids;
    let is_it = |file: &Stored| match ids {
        FileIds::Numbers => name.parse() == Ok(file.id.number),
        FileIds::Uuids => name == file.id.uuid,
    };
    let found = world.files(id)?.into_iter().find(is_it);
    Ok(found.ok_or_else(|| Refusal::NotFound(Missing::File(name.to_owned())))?)
}

/// A body that need not be there.
fn optional_body(request: &Request) -> Answer {
    if request.body.is_empty() {
        Ok(json!({}))
    } else {
        body(request)
    }
}
