//! What opens each door. A key of one product is not good for another.

use crate::clock;

#[derive(Debug, Clone)]
pub struct Keys {
    /// `SECRET/ID`, with permissions of its own.
    pub cloud: String,
    /// `SECRET/ID`, of the access level `LIVE_RESPONSE`.
    pub v3: String,
    /// 40 hexadecimal digits.
    pub edr: String,
    /// Looks like a GUID.
    pub app_control: String,
}

impl Keys {
    pub(super) fn new() -> Self {
        let pair = || format!("{}/{}", clock::nonce(24), clock::nonce(10)).to_uppercase();
        Self {
            cloud: pair(),
            v3: pair(),
            edr: hex(40),
            app_control: [8, 4, 4, 4, 12].map(hex).join("-"),
        }
    }

    pub fn all(&self) -> [&str; 4] {
        [&self.cloud, &self.v3, &self.edr, &self.app_control]
    }
}

/// So many random hexadecimal digits.
fn hex(digits: usize) -> String {
    let letters = clock::nonce(digits);
    let digit = |byte: u8| char::from_digit(u32::from(byte) % 16, 16).unwrap_or('0');
    letters.bytes().map(digit).collect()
}
