//! What v3 and EDR call a process, in lists and in searches alike.

use jiff::Timestamp;

/// Milliseconds from 1601, from which Windows counts, to 1970.
const EPOCH: i64 = 11_644_473_600_000;

/// Its sensor, its number, and when it began; zeros where that is not known.
pub(super) fn guid(sensor: u64, pid: u64, start: Option<Timestamp>) -> String {
    let since_1601 = start.map_or(0, |start| start.as_millisecond().saturating_add(EPOCH));
    let ticks = u64::try_from(since_1601)
        .unwrap_or(0)
        .saturating_mul(10_000);
    format!(
        "{sensor:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        pid >> 16 & 0xffff,
        pid & 0xffff,
        ticks >> 48,
        ticks & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensor_number_and_start_are_in_it() {
        let start: Timestamp = "2016-10-12T08:21:40Z".parse().expect("a time");
        for (sensor, pid, start, expected) in [
            (1, 4, Some(start), "00000001-0000-0004-01d2-2461a83a8200"),
            (
                98_765,
                70_000,
                Some(start),
                "000181cd-0001-1170-01d2-2461a83a8200",
            ),
            (1, 0, None, "00000001-0000-0000-0000-000000000000"),
            (
                1,
                0,
                Some(Timestamp::MIN),
                "00000001-0000-0000-0000-000000000000",
            ),
        ] {
            assert_eq!(guid(sensor, pid, start), expected);
        }
    }
}
