//! `names`: devices by name patterns with `*`, `?` and `[…]`, without regard to case.
//!
//! A pattern is held against the name as the backend writes it, its short form and its full form.

use super::SelectorError;
use crate::model::device::Device;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

#[derive(Debug, Clone)]
pub struct Names {
    patterns: Vec<String>,
    set: GlobSet,
}

impl Names {
    pub const KEY: &'static str = "names";

    pub fn parse(values: &[&str]) -> Result<Self, SelectorError> {
        let refused = |text: &str, error: &globset::Error| SelectorError::NotAPattern {
            text: text.to_owned(),
            detail: error.kind().to_string(),
        };
        let mut set = GlobSetBuilder::new();
        for text in values {
            let glob = GlobBuilder::new(text)
                .case_insensitive(true)
                // `CORP\WS-*` has a backslash that means itself.
                .backslash_escape(false)
                .build()
                .map_err(|error| refused(text, &error))?;
            set.add(glob);
        }
        let set = set
            .build()
            .map_err(|error| refused(&values.join(","), &error))?;
        Ok(Self {
            patterns: values.iter().map(|&text| text.to_owned()).collect(),
            set,
        })
    }

    /// As written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    pub(super) fn matches(&self, device: &Device) -> bool {
        [&device.name, &device.short_name(), &device.fqdn()]
            .into_iter()
            .any(|name| self.set.is_match(name.raw()))
    }
}
