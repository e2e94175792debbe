//! Colours, each with one meaning; whether they are shown is the stream's business.

use crate::model::outcome::DeviceState;
use crate::model::row::Severity;
use anstyle::{AnsiColor, Style};
use std::fmt::Display;

pub const DIM: Style = Style::new().dimmed();
pub const STRONG: Style = Style::new().bold();
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
const DOUBT: Style = AnsiColor::Yellow.on_default();

pub const fn of_state(state: DeviceState) -> Style {
    match state {
        DeviceState::Ok => GOOD,
        DeviceState::Failed | DeviceState::Unknown => BAD,
        DeviceState::Partial | DeviceState::Unreachable | DeviceState::Cancelled => DOUBT,
        DeviceState::Skipped => DIM,
    }
}

pub const fn of_severity(severity: Severity) -> Style {
    match severity {
        Severity::Critical | Severity::High => BAD,
        Severity::Medium => DOUBT,
        Severity::Low | Severity::Info => DIM,
    }
}

/// `text` in `style`, padded to `width` before the colour goes on.
pub fn paint(style: Style, text: impl Display, width: usize) -> String {
    format!("{style}{text:<width$}{style:#}")
}

/// At most `width` characters; what is cut shows as `…`.
pub fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}
