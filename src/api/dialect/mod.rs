//! The APIs' words: pure translation between our vocabulary and HTTP exchanges.
//!
//! No sending, no waiting, no state. Everything a backend or an endpoint says is read tolerantly
//! here, so that nothing behind this line needs to know in how many ways it can be said.

pub mod cloud_v6;
pub mod node;
pub mod refusal;

use crate::model::command::{Reply, SessionFacts};
use crate::model::device::Device;
use crate::model::id::SessionId;
use jiff::Timestamp;
use std::time::Duration;

/// A session as the backend describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    pub id: SessionId,
    pub status: SessionStatus,
    /// How many commands it has had, from anybody.
    pub commands_so_far: u64,
    pub created: Option<Timestamp>,
    /// Without a command or a keep-alive it ends after this.
    pub idle_limit: Option<Duration>,
    pub facts: SessionFacts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStatus {
    /// The sensor may still come; also whatever word we do not know.
    Waiting,
    Active,
    Over,
}

/// How far a command has come; its failures are causes.
#[derive(Debug)]
pub enum Progress {
    Running,
    Ended(Reply),
}

/// One page of a device search.
#[derive(Debug)]
pub struct DevicePage {
    pub devices: Vec<Device>,
    /// How many there are in all.
    pub found: u64,
    /// What to ask for the page after it.
    pub after: Option<String>,
}
