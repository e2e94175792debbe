//! `ids`: devices by the backend's number.

use super::SelectorError;
use crate::model::device::Device;
use crate::model::id::DeviceId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids(pub Vec<DeviceId>);

impl Ids {
    pub const KEY: &'static str = "ids";

    pub fn parse(values: &[&str]) -> Result<Self, SelectorError> {
        let id = |text: &&str| {
            text.parse()
                .map(DeviceId)
                .map_err(|_| SelectorError::NotAnId {
                    text: (*text).to_owned(),
                })
        };
        values.iter().map(id).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn matches(&self, device: &Device) -> bool {
        self.0.contains(&device.id)
    }
}
