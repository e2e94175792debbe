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
