//! Live Response v6: `/appservices/v6/orgs/{org}/liveresponse/…`.

use super::orders::Operand;
use super::{Problem, Reply, Routed, multipart, orders, shapes, terms};
use crate::sim::endpoint::content::{Clip, Content};
use crate::sim::manners::ContentFrom;
use crate::sim::store::Stored;
use crate::sim::view::CommandView;
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use serde_json::Value;

/// Bytes of a command's body above which the service refuses it.
const MAX_COMMAND: usize = 10 * 1024;
/// Bytes of any other JSON body.
const MAX_JSON: usize = 8 << 20;

pub(super) fn answer(world: &World, request: &Request, path: &[&str]) -> Routed {
    let (route, answer) = match path {
        ["sessions"] => ("liveresponse/sessions", sessions(world, request)),
        ["sessions", id] => ("liveresponse/sessions/{id}", session(world, request, id)),
        ["sessions", id, "keepalive"] => (
            "liveresponse/sessions/{id}/keepalive",
            keep_alive(world, request, id),
        ),
        ["sessions", id, "commands"] => (
            "liveresponse/sessions/{id}/commands",
            commands(world, request, id),
        ),
        ["sessions", id, "commands", number] => (
            "liveresponse/sessions/{id}/commands/{n}",
            command(world, request, id, number),
        ),
        ["sessions", id, "files"] => (
            "liveresponse/sessions/{id}/files",
            files(world, request, id),
        ),
        ["sessions", id, "files", file] => (
            "liveresponse/sessions/{id}/files/{file}",
            file_object(world, request, id, file),
        ),
        ["sessions", id, "files", file, "content"] => {
            return Some((
                "liveresponse/sessions/{id}/files/{file}/content",
                content(world, request, id, file),
            ));
        }
        _ => return None,
    };
    Some((route, answer.map(Reply::Whole)))
}

type Answer = Result<Response, Problem>;

fn sessions(world: &World, request: &Request) -> Answer {
    match request.method {
        Method::Get => {
            let all: Vec<Value> = world.sessions().iter().map(shapes::session).collect();
            Ok(Response::json(200, &Value::Array(all)))
        }
        Method::Post => {
            let body = body(request)?;
            let device = orders::integer(&body, "device_id")?
                .ok_or_else(|| Problem::bad_request("device_id is missing"))?;
            // A device that cannot exist (connection tests ask for -1) is an unknown one.
            let device = u64::try_from(device).unwrap_or(u64::MAX);
            let opened = world.open_by(device, terms::cloud(world, &body)?)?;
            Ok(Response::json(201, &shapes::session(&opened.session)))
        }
        _ => Err(Problem::wrong_method()),
    }
}

fn session(world: &World, request: &Request, id: &str) -> Answer {
    match request.method {
        Method::Get => Ok(Response::json(200, &shapes::session(&world.session(id)?))),
        Method::Delete => {
            world.close(id)?;
            Ok(Response::new(204))
        }
        _ => Err(Problem::wrong_method()),
    }
}

fn keep_alive(world: &World, request: &Request, id: &str) -> Answer {
    match request.method {
        Method::Get => Ok(Response::json(
            200,
            &shapes::session(&world.keep_alive(id)?),
        )),
        _ => Err(Problem::wrong_method()),
    }
}

fn commands(world: &World, request: &Request, id: &str) -> Answer {
    match request.method {
        Method::Get => {
            let manners = world.manners();
            let all = world.commands(id)?;
            let all: Vec<Value> = all
                .iter()
                .map(|one| shapes::command(one, manners))
                .collect();
            Ok(Response::json(200, &Value::Array(all)))
        }
        Method::Post => {
            let order = orders::read(&command_body(world, request, id)?, Operand::V6)?;
            let command = world.post(id, order)?;
            Ok(Response::json(201, &shown(world, &command)))
        }
        _ => Err(Problem::wrong_method()),
    }
}

/// What is sent to a session as a command.
pub(super) fn command_body(world: &World, request: &Request, id: &str) -> Result<Value, Problem> {
    // Who lost the session must hear that first: it decides whether to open a new one.
    world.session(id)?;
    if request.body.len() > MAX_COMMAND {
        return Err(Problem::bad_request("the command is larger than 10 KB"));
    }
    body(request)
}

fn command(world: &World, request: &Request, id: &str, number: &str) -> Answer {
    let index: u64 = number
        .parse()
        .map_err(|_| Problem::new(404, "NOT_FOUND", format!("command {number} not found")))?;
    match request.method {
        Method::Get => Ok(Response::json(
            200,
            &shown(world, &world.command(id, index)?),
        )),
        Method::Delete => {
            world.cancel(id, index)?;
            Ok(Response::new(204))
        }
        _ => Err(Problem::wrong_method()),
    }
}

fn files(world: &World, request: &Request, id: &str) -> Answer {
    match request.method {
        Method::Get => {
            let all: Vec<Value> = world.files(id)?.iter().map(shapes::file).collect();
            Ok(Response::json(200, &Value::Array(all)))
        }
        Method::Post => {
            let stored = upload(world, request, id)?;
            Ok(Response::json(201, &shapes::file(&stored)))
        }
        _ => Err(Problem::wrong_method()),
    }
}

/// Stores the file of a form.
pub(super) fn upload(world: &World, request: &Request, id: &str) -> Result<Stored, Problem> {
    world.session(id)?;
    if request.body.len() > world.max_upload() {
        return Err(Problem::too_large());
    }
    let content_type = request.header("content-type").unwrap_or_default();
    let part = multipart::file(content_type, &request.body)
        .ok_or_else(|| Problem::bad_request("no multipart part is named file"))?;
    let clip = Clip::whole(Content::Bytes(part.bytes.into()));
    Ok(world.upload(id, &part.name, clip)?)
}

fn file_object(world: &World, request: &Request, id: &str, file: &str) -> Answer {
    match request.method {
        Method::Get => Ok(Response::json(200, &shapes::file(&world.file(id, file)?))),
        Method::Delete => {
            world.remove_file(id, file)?;
            Ok(Response::new(204))
        }
        _ => Err(Problem::wrong_method()),
    }
}

fn content(world: &World, request: &Request, id: &str, file: &str) -> Result<Reply, Problem> {
    match request.method {
        Method::Get if world.manners().content == ContentFrom::Here => {
            Ok(Reply::Content(world.take_content(id, file)?))
        }
        Method::Get => {
            let location = world.sign(id, file)?;
            let mut response = Response::new(302);
            response.headers.push(("location".to_owned(), location));
            Ok(response.into())
        }
        _ => Err(Problem::wrong_method()),
    }
}

fn shown(world: &World, command: &CommandView) -> Value {
    shapes::command(command, world.manners())
}

pub(super) fn body(request: &Request) -> Result<Value, Problem> {
    if request.body.len() > MAX_JSON {
        return Err(Problem::too_large());
    }
    let value: Value = serde_json::from_slice(&request.body)
        .map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Problem::bad_request("the body is not a JSON object"))
    }
}
