//! Where the program speaks: results to standard output, talk to standard error, the log to standard error.
//!
//! A stream that somebody closed (`sortie … | head`) is no reason to stop a run.

use super::options::LogFormat;
use crate::secret::Secrets;
use anstyle::{AnsiColor, Style};
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;

/// Columns where neither a terminal nor `COLUMNS` tells.
const WIDTH: usize = 100;
/// Nothing fits on fewer.
const NARROWEST: usize = 40;
/// More than any screen has.
const WIDEST: usize = 1_000;

static HIDDEN: OnceLock<Secrets> = OnceLock::new();

fn hidden() -> Secrets {
    HIDDEN.get().cloned().unwrap_or_default()
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub(super) width: usize,
    /// Standard error is a terminal that a bar can move on.
    pub(super) is_terminal: bool,
    pub(super) color: bool,
}

impl Output {
    pub(super) fn new() -> Self {
        let width = terminal_size::terminal_size()
            .map(|(columns, _)| usize::from(columns.0))
            .or_else(|| std::env::var("COLUMNS").ok()?.parse().ok())
            .map_or(WIDTH, |columns| columns.clamp(NARROWEST, WIDEST));
        let color =
            anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        Self {
            width,
            is_terminal: std::io::stderr().is_terminal(),
            color,
        }
    }

    /// A result.
    pub(super) fn result(text: &str) {
        let mut out = anstream::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = out.write_all(b"\n");
        }
        let _ = out.flush();
    }

    /// Talk.
    pub(super) fn say(text: &str) {
        let mut err = anstream::stderr().lock();
        let text = hidden().text(text.trim_end_matches('\n'));
        let _ = writeln!(err, "{text}");
    }

    /// From here on nobody hears these, in talk and in the log. Results are made without them.
    pub(super) fn hide(secrets: &Secrets) {
        // There is one run in a process, and so one set of secrets.
        let _ = HIDDEN.set(secrets.clone());
    }

    /// What went wrong, and what to do about it.
    pub(super) fn error(message: &str, hint: Option<&str>) {
        const RED: Style = AnsiColor::Red.on_default().bold();
        const BOLD: Style = Style::new().bold();
        Self::say(&format!("{RED}error{RED:#}: {message}"));
        if let Some(hint) = hint {
            Self::say(&format!("  {BOLD}help{BOLD:#}: {hint}"));
        }
    }
}

/// Sends the program's own log to standard error; without `-v` only warnings.
pub(super) fn log(verbose: u8, format: LogFormat) {
    let level = match verbose {
        0 => "warn",
        1 => "sortie=info,warn",
        _ => "sortie=debug,info",
    };
    let filter = EnvFilter::try_from_env("SORTIE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Log);
    match format {
        LogFormat::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

/// Standard error without secrets. The log writes each of its entries at once.
struct Log;

impl Write for Log {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(entry);
        // Of an error the log would tell the same stream in a way that panics.
        let _ = io::stderr().write_all(hidden().text(&text).as_bytes());
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}
