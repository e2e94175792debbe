//! The door to the network: one exchange, once.
//!
//! No repeating, no pacing and no meaning here. Hosts and credentials are the implementation's own
//! business: whoever uses this trait knows paths only.

use crate::live::{Answer, Sink};
use crate::wire::{Request, Response};

/// Larger JSON is no answer.
pub const LARGEST_ANSWER: usize = 64 << 20;

/// Carries requests to one API host. A [`Cause`](crate::model::outcome::Cause) means that no whole
/// answer came; any answer, whatever its status, is an `Ok`.
pub trait Transport: Send + Sync {
    fn send(&self, request: Request) -> Answer<'_, Response>;

    /// Streams the body of a success into `sink`, from its beginning. What went wrong on the way has
    /// left its bytes there.
    fn download<'a>(&'a self, source: Source, sink: &'a mut dyn Sink) -> Answer<'a, Download>;
}

/// Where a download comes from.
#[derive(Debug)]
pub enum Source {
    Api(Request),
    /// What an API answer pointed to: asked for without any credential. The address is a key itself.
    Signed(String),
}

/// What a download gave.
#[derive(Debug)]
pub enum Download {
    /// All of it went into the sink.
    Whole { received: u64 },
    /// Nothing did: the answer is not a success.
    Refused(Response),
}
