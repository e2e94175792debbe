//! `seen_within`: only devices that the backend saw lately, against records of devices that are long gone.

use super::SelectorError;
use crate::model::device::Device;
use crate::text::duration::Duration;
use jiff::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenWithin(pub Duration);

impl SeenWithin {
    pub const KEY: &'static str = "seen_within";

    pub fn parse(values: &[&str]) -> Result<Self, SelectorError> {
        let [text] = values else {
            return Err(SelectorError::NotADuration {
                text: values.join(","),
            });
        };
        text.parse()
            .map(Self)
            .map_err(|_| SelectorError::NotADuration {
                text: (*text).to_owned(),
            })
    }

    /// A device that was never seen was not seen lately.
    pub(super) fn matches(self, device: &Device, now: Timestamp) -> bool {
        device.last_seen.is_some_and(|seen| {
            now.duration_since(seen).as_secs() <= self.0.as_secs().cast_signed()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::{Os, sample};

    #[test]
    fn the_boundary_is_within() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let hour = SeenWithin::parse(&["1h"]).unwrap();
        let table = [
            (Some(1_000_000), true),
            (Some(1_000_000 - 3600), true),
            (Some(1_000_000 - 3601), false),
            // Clocks differ.
            (Some(1_000_060), true),
            (None, false),
        ];
        for (seen, within) in table {
            let device = Device {
                last_seen: seen.map(|second| Timestamp::from_second(second).unwrap()),
                ..sample(1, "a", Os::Linux)
            };
            assert_eq!(hour.matches(&device, now), within, "{seen:?}");
        }
        assert!(SeenWithin::parse(&["30"]).is_err() && SeenWithin::parse(&["1h", "2h"]).is_err());
    }
}
