//! `os`: only devices of these operating systems.

use super::SelectorError;
use crate::model::device::{Device, Os};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Families(pub Vec<Os>);

impl Families {
    pub const KEY: &'static str = "os";

    pub fn parse(values: &[&str]) -> Result<Self, SelectorError> {
        let family = |text: &&str| {
            Os::NAMED
                .into_iter()
                .find(|os| os.as_str().eq_ignore_ascii_case(text))
                .ok_or_else(|| SelectorError::NotAnOs {
                    text: (*text).to_owned(),
                })
        };
        values
            .iter()
            .map(family)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn matches(&self, device: &Device) -> bool {
        self.0.contains(&device.os)
    }
}
