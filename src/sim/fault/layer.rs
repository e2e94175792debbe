//! Between the doors and the routes: an HTTP request comes in, and an answer goes out, or less than one.
//!
//! It decides what is to be heard of the answer; whoever carries it (a connection, or a test in memory)
//! keeps back the rest.

use super::route::Route;
use super::{Amount, End, Event, Fault, Moment, Page, What};
use crate::sim::doors::{self, Address, Reply};
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use serde_json::json;
use std::time::Duration;

/// What becomes of a request.
pub struct Exchange {
    /// How long nothing is answered.
    pub delay: Duration,
    /// The body takes so long to come.
    pub slow: Duration,
    pub(in crate::sim) reply: Option<Reply>,
    /// How the connection ends, and after how many bytes of the body.
    pub(in crate::sim) cut: Option<(End, u64)>,
}

/// The connection ended before the answer was whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What had come until then.
    pub heard: Option<Response>,
}

impl Exchange {
    pub(in crate::sim) fn whole(reply: Reply) -> Self {
        Self {
            delay: Duration::ZERO,
            slow: Duration::ZERO,
            reply: Some(reply),
            cut: None,
        }
    }

    fn nothing(how: End) -> Self {
        Self {
            delay: Duration::ZERO,
            slow: Duration::ZERO,
            reply: None,
            cut: Some((how, 0)),
        }
    }

    /// The answer as somebody hears it who waits for all of it.
    pub fn heard(self) -> Result<Response, Broken> {
        let response = self.reply.map(doors::whole);
        match (response, self.cut) {
            (Some(response), None) => Ok(response),
            (response, cut) => {
                let after = cut.map_or(0, |(_, bytes)| bytes);
                let heard = response.map(|response| Response {
                    body: start(&response.body, after).to_vec(),
                    ..response
                });
                Err(Broken { heard })
            }
        }
    }
}

/// Answers any request, whichever host it would go to, with the faults of the organisation.
pub fn exchange(world: &World, request: &Request) -> Exchange {
    between(world, request, doors::reply)
}

/// Lets `answer` answer, unless something is to go wrong.
pub(in crate::sim) fn between(
    world: &World,
    request: &Request,
    answer: impl FnOnce(&World, &Request) -> Reply,
) -> Exchange {
    if world.judge().is_idle() {
        return Exchange::whole(answer(world, request));
    }
    let event = Event::of(world, request);
    let Some(fault) = world.judge().strike(&event) else {
        return Exchange::whole(answer(world, request));
    };
    world.note(|books| books.fault(fault.what.word()));
    let mut exchange = carry_out(world, request, &event, fault, answer);
    exchange.delay = fault.delay;
    exchange
}

fn carry_out(
    world: &World,
    request: &Request,
    event: &Event,
    fault: &Fault,
    answer: impl FnOnce(&World, &Request) -> Reply,
) -> Exchange {
    let unexecuted = || {
        let method = request.method.as_str();
        world.note(|books| match event.route {
            Some(route) => books.request(&format!("{method} {}", route.word())),
            None => books.unknown_route(&format!("{method} {}", request.path)),
        });
    };
    match &fault.what {
        What::Late => Exchange::whole(answer(world, request)),
        What::Status { status, .. } if *status < 300 => {
            let mut response = doors::whole(answer(world, request));
            response.status = *status;
            if [204, 205].contains(status) {
                response = Response::new(*status);
            }
            Exchange::whole(Reply::Whole(response))
        }
        What::Status {
            status,
            retry_after,
            page,
            executed,
        } => {
            if *executed {
                answer(world, request);
            } else {
                unexecuted();
            }
            let mut response = page.response(*status);
            let told = retry_after.iter();
            let told = told.map(|pause| ("retry-after".to_owned(), pause.clone()));
            response.headers.extend(told);
            Exchange::whole(Reply::Whole(response))
        }
        What::Break {
            how,
            at: Moment::Before,
        } => {
            unexecuted();
            Exchange::nothing(*how)
        }
        What::Break {
            how,
            at: Moment::Executed,
        } => {
            answer(world, request);
            Exchange::nothing(*how)
        }
        What::Break {
            how,
            at: Moment::Answered(amount),
        } => {
            let reply = answer(world, request);
            let bytes = amount.of(length(&reply));
            Exchange {
                cut: Some((*how, bytes)),
                ..Exchange::whole(reply)
            }
        }
        What::Truncate(amount) => Exchange::whole(truncated(answer(world, request), *amount)),
        What::Slow(over) => Exchange {
            slow: *over,
            ..Exchange::whole(answer(world, request))
        },
        What::Odd(oddities) => {
            let reply = match answer(world, request) {
                Reply::Whole(response) if response.is_success() => Reply::Whole(Response {
                    body: super::spoil::spoil(&response.body, oddities),
                    ..response
                }),
                other => other,
            };
            Exchange::whole(reply)
        }
        What::Redirect { status, to } => {
            unexecuted();
            let mut response = Response::new(*status);
            response.headers.push(("location".to_owned(), to.clone()));
            Exchange::whole(Reply::Whole(response))
        }
        What::Lose => {
            if let Some(session) = &event.session {
                world.lose(session);
            }
            Exchange::whole(answer(world, request))
        }
        What::Fate(fate) => Exchange::whole(answer(&world.under(*fate), request)),
    }
}

fn length(reply: &Reply) -> u64 {
    match reply {
        Reply::Whole(response) => response.body.len() as u64,
        Reply::Content(clip) => clip.len(),
    }
}

fn truncated(reply: Reply, amount: Amount) -> Reply {
    let left = amount.of(length(&reply));
    match reply {
        Reply::Whole(response) => Reply::Whole(Response {
            body: start(&response.body, left).to_vec(),
            ..response
        }),
        Reply::Content(clip) => Reply::Content(clip.first(left)),
    }
}

fn start(body: &[u8], length: u64) -> &[u8] {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    &body[..length.min(body.len())]
}

impl Page {
    fn response(self, status: u16) -> Response {
        let (kind, body) = match self {
            Self::Json => {
                let code = match status {
                    401 => "UNAUTHORIZED",
                    403 => "FORBIDDEN",
                    404 => "NOT_FOUND",
                    409 => "CONFLICT",
                    429 => "TOO_MANY_REQUESTS",
                    400..500 => "BAD_REQUEST",
                    _ => "INTERNAL_ERROR",
                };
                let body = json!({"error_code": code, "message": "planted by the scenario"});
                ("application/json", body.to_string())
            }
            Self::Html => (
                "text/html",
                format!(
                    "<html><head><title>{status}</title></head><body><h1>{status}</h1><p>The upstream \
                     server did not answer.</p></body></html>"
                ),
            ),
            Self::Xml => (
                "application/xml",
                "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
                    .to_owned(),
            ),
            Self::Text => ("text/plain", "planted by the scenario".to_owned()),
            Self::Empty => return Response::new(status),
        };
        Response {
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            body: body.into_bytes(),
            ..Response::new(status)
        }
    }
}

impl Event {
    fn of(world: &World, request: &Request) -> Self {
        let route = Route::of_path(&request.path);
        let address = Address::of(world, request);
        let command = match (&address.session, address.command) {
            _ if !world.judge().asks_for_commands() => None,
            (Some(session), Some(number)) => world.command_name(session, number),
            _ if request.method == Method::Post && route.is_some_and(Route::takes_commands) => {
                let name = &doors::lenient_body(request)["name"];
                name.as_str().map(str::to_owned)
            }
            _ => None,
        };
        Self {
            route,
            method: request.method,
            device: address.device.and_then(|id| world.named(id)),
            session: address.session,
            command,
        }
    }

    /// An event of the port.
    pub(in crate::sim) fn call(
        world: &World,
        (method, route): (Method, Route),
        session: &str,
        command: Option<&str>,
    ) -> Self {
        let device = session.split_once(':').and_then(|(_, id)| id.parse().ok());
        Self {
            route: Some(route),
            method,
            device: device.and_then(|id| world.named(id)),
            session: Some(session.to_owned()),
            command: command.map(str::to_owned),
        }
    }

    /// A request for a session, at the port.
    pub(in crate::sim) fn request(world: &World, device: u64) -> Self {
        Self {
            route: Some(Route::SESSIONS),
            method: Method::Post,
            device: world.named(device),
            session: None,
            command: None,
        }
    }
}
