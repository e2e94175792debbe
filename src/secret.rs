//! Values that must not be seen: no `Display`, no `Debug`, no `Serialize`, wiped on drop.

use secrecy::{ExposeSecret, SecretString};

/// A token, password or secret input.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself; every call is a place where it could leak, so keep them few.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}
