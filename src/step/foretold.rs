//! What a step is known to read before anything was answered.

use crate::model::command::Command;
use crate::model::device::Os;

/// How many reads a step says at once that it will ask for: more than any window is wide.
pub(super) const AHEAD: usize = 16;

/// What commands depend on besides a step's scope.
#[derive(Debug, Clone, Copy)]
pub struct Ground {
    pub os: Os,
    /// Bytes of a file that are fetched at once.
    pub piece: u64,
}

/// The reads that a step will ask for.
#[derive(Debug, Default)]
pub struct Foretold {
    pub commands: Vec<Command>,
    /// It asks for nothing else.
    pub is_all: bool,
}

impl Foretold {
    pub(super) fn all(commands: Vec<Command>) -> Self {
        Self {
            commands,
            is_all: true,
        }
    }
}
