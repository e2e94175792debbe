//! How long each kind of command takes in this run, so that the first look comes at the right time.
//!
//! An average that forgets; no clock and no waiting.

use super::pace::lock;
use crate::model::command::Command;
use crate::model::device::Os;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

/// How much the newest observation counts.
const WEIGHT: f64 = 0.3;

/// How much longer a program is expected to take than what the sensor does by itself.
const PROGRAM: u32 = 3;

#[derive(Debug)]
pub(super) struct Learned {
    unknown: Duration,
    averages: Mutex<HashMap<(&'static str, Os), Duration>>,
}

impl Learned {
    pub(super) fn new(unknown: Duration) -> Self {
        Self {
            unknown,
            averages: Mutex::default(),
        }
    }

    /// When to look first, from when the command began.
    pub(super) fn expected(&self, command: &Command, os: Os) -> Duration {
        let averages = lock(&self.averages);
        averages
            .get(&(command.name(), os))
            .copied()
            .unwrap_or_else(|| match command {
                Command::CreateProcess { wait: true, .. } => self.unknown * PROGRAM,
                _ => self.unknown,
            })
    }

    /// It had not ended after `not_yet` and had after `ended`: it took something between. Where the
    /// first look found it ended, nobody knows by how much it was earlier: a little less is taken, so that
    /// the average can sink, and never more than was expected, for the look may have come late.
    pub(super) fn observe(
        &self,
        command: &Command,
        os: Os,
        not_yet: Option<Duration>,
        ended: Duration,
    ) {
        let took = match not_yet {
            Some(not_yet) => (not_yet + ended) / 2,
            None => ended.mul_f64(0.9).min(self.expected(command, os)),
        };
        lock(&self.averages)
            .entry((command.name(), os))
            .and_modify(|average| {
                *average = average.mul_f64(1.0 - WEIGHT) + took.mul_f64(WEIGHT);
            })
            .or_insert(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_and_can_sink() {
        let learned = Learned::new(Duration::from_millis(100));
        let command = Command::ProcessList;
        let expected = || learned.expected(&command, Os::Windows);
        assert_eq!(expected(), Duration::from_millis(100));
        let seconds = Duration::from_secs;
        learned.observe(&command, Os::Windows, Some(seconds(2)), seconds(4));
        assert_eq!(expected(), seconds(3), "the first observation stands alone");
        for _ in 0..100 {
            learned.observe(&command, Os::Windows, None, expected());
        }
        assert!(expected() < Duration::from_millis(300));
        let before = expected();
        learned.observe(&command, Os::Windows, None, seconds(100));
        assert_eq!(expected(), before, "who looks late learns nothing");
        assert_eq!(
            learned.expected(&command, Os::Linux),
            Duration::from_millis(100),
            "families differ"
        );
        let program = |wait| Command::CreateProcess {
            command_line: "x.exe".into(),
            wait,
            working_directory: None,
            output_file: None,
        };
        let expected = |wait| learned.expected(&program(wait), Os::Windows).as_millis();
        assert_eq!((expected(true), expected(false)), (300, 100));
    }
}
