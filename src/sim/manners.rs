//! Where the service was seen to behave in more than one way: which of them a world shows.
//!
//! The defaults are what the current service does. Faults are none of these: they are no behaviour.

use super::endpoint::code::Code;

/// One way of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manners {
    pub status: Letters,
    pub registry: RegistryNames,
    pub percent: Percent,
    pub codes: Sign,
    pub content: ContentFrom,
    pub v3: V3,
    pub edr: Edr,
}

/// Ways of the third version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct V3 {
    pub session_list: SessionList,
    pub file_ids: FileIds,
    pub registry_types: RegistryTypes,
}

/// Ways of EDR, and of its server's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edr {
    /// Otherwise every route of it is answered with 412.
    pub live_response: bool,
    pub max_sessions: usize,
    pub reopening: Reopening,
    pub sensor_ids: SensorIds,
    pub close_answer: CloseAnswer,
    pub keepalive_while_pending: WhilePending,
    pub no_sensors: NoSensors,
}

impl Default for Edr {
    fn default() -> Self {
        Self {
            live_response: true,
            max_sessions: 10,
            reopening: Reopening::default(),
            sensor_ids: SensorIds::default(),
            close_answer: CloseAnswer::default(),
            keepalive_while_pending: WhilePending::default(),
            no_sensors: NoSensors::default(),
        }
    }
}

/// What a list of all sessions is answered with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SessionList {
    /// With 405, as in the cloud.
    #[default]
    Refused,
    Listed,
}

/// What files are called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileIds {
    #[default]
    Numbers,
    /// As in its last years.
    Uuids,
}

/// How the type of a registry value is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RegistryTypes {
    #[default]
    Plain,
    /// With `pb` before it.
    Prefixed,
}

/// What somebody gets who asks for a session on a device that has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reopening {
    #[default]
    Existing,
    /// 404: clients list sessions first.
    Refused,
}

/// How the number of a sensor is written in a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SensorIds {
    #[default]
    Numbers,
    Text,
}

/// What a session says of itself in answer to being closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CloseAnswer {
    #[default]
    Closed,
    StillActive,
}

/// What keepalive does to a session whose sensor has not checked in yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhilePending {
    #[default]
    Closes,
    Ignored,
}

/// What a search for sensors is answered with that finds none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NoSensors {
    /// 204.
    #[default]
    NoContent,
    /// 500.
    Error,
    /// An empty list.
    Empty,
}

/// How the status of a command is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Letters {
    #[default]
    Upper,
    /// A documented defect.
    Lower,
}

/// What the members of a registry value are called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RegistryNames {
    /// `registry_name`, and types with the prefix `pb`.
    #[default]
    Observed,
    /// `value_name`, and types without.
    Documented,
}

/// What a memory dump says of how far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Percent {
    #[default]
    Counts,
    /// Zero, also at the end.
    StaysZero,
}

/// How an HRESULT is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sign {
    #[default]
    Unsigned,
    Signed,
}

/// Where the bytes of a file come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ContentFrom {
    /// A redirect to another host.
    #[default]
    Elsewhere,
    /// The answer itself, as behind some proxies.
    Here,
}

impl Sign {
    pub(super) fn of(self, code: Code) -> i64 {
        match self {
            Self::Unsigned => i64::from(code.0),
            Self::Signed => i64::from(code.0.cast_signed()),
        }
    }
}
