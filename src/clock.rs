//! The only source of wall-clock time and of randomness.
//!
//! Waiting is `tokio::time`'s business and never this module's: a deadline that followed the wall
//! clock would move when somebody corrects it.

use jiff::Timestamp;

/// The wall clock, in UTC, to the microsecond.
pub fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "this module is the one place that may ask"
    )]
    let exact = Timestamp::now();
    Timestamp::from_microsecond(exact.as_microsecond()).expect("a time cut short is a time")
}

/// `length` characters of lower-case base32 without look-alikes, for names that must not clash.
pub fn nonce(length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    (0..length)
        .map(|_| char::from(ALPHABET[usize::from(byte() % 32)]))
        .collect()
}

/// A number in `0.0..1.0`, for jitter.
#[expect(
    clippy::disallowed_methods,
    reason = "this module is the one place that may ask"
)]
pub fn fraction() -> f64 {
    fastrand::f64()
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module is the one place that may ask"
)]
fn byte() -> u8 {
    fastrand::u8(..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_has_its_length_and_alphabet() {
        let name = nonce(40);
        assert_eq!(name.len(), 40);
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || (b'2'..=b'9').contains(&b)),
            "{name}"
        );
    }
}
