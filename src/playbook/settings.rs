//! `run:` and `defaults:`, how a run goes unless the command line says otherwise.

use super::modifier::{Attempts, Jitter, Retry, RetryOn};
use super::syntax::not_built;
use crate::model::event::OnError;
use crate::template::{Choice, Field, Fields, FromNode, FromText, Word};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::duration::Duration;
use crate::text::size::Size;
use crate::text::yaml::Node;
use schemars::JsonSchema;

/// How the run rolls out.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Settings {
    /// Devices worked on at the same time. An organisation has 100 sessions, and ten are left for people
    /// in the console.
    #[schemars(range(min = 1, max = MOST_SESSIONS), extend("default" = DEFAULT_SESSIONS))]
    pub max_sessions: usize,
}

/// Below what the cloud grants an organisation, so that people in the console find sessions too.
pub const DEFAULT_SESSIONS: usize = 20;
/// What the cloud grants an organisation, less ten that are left for people.
pub const MOST_SESSIONS: usize = 90;

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_sessions: DEFAULT_SESSIONS,
        }
    }
}

impl FromNode for Settings {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "run", all).hints(&[
            ("serial", "stages: the devices of each wave"),
            (
                "max_parallel",
                "max_sessions: devices worked on at the same time",
            ),
            ("forks", "max_sessions: devices worked on at the same time"),
        ]);
        not_built(
            &mut fields,
            &[
                "stages",
                "soak",
                "promote",
                "max_failed",
                "max_unreachable",
                "max_unknown",
                "on_threshold",
                "offline",
                "wait_for",
                "device_timeout",
                "deadline",
                "order",
                "start_rate",
                "require_coverage",
                "max_devices",
                "max_share",
            ],
        );
        let max_sessions = fields.or("max_sessions", DEFAULT_SESSIONS);
        if !(1..=MOST_SESSIONS).contains(&max_sessions) {
            let span = fields
                .take("max_sessions")
                .map_or(fields.span(), |node| node.span);
            let message =
                format!("expected a number from 1 to {MOST_SESSIONS}, found `{max_sessions}`");
            fields
                .diagnostics()
                .error(Code::BadValue, span, message)
                .help(
                    "an organisation has 100 sessions, and ten are left for people in the console",
                );
        }
        fields.finish();
        Some(Self { max_sessions })
    }
}

/// What steps inherit.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Defaults {
    /// Time for one try of a step, without the wait for a session.
    #[schemars(extend("default" = "2m"))]
    pub timeout: Field<Duration>,
    /// How often to try a step, and when again.
    #[schemars(extend("default" = 1))]
    pub retry: Retry,
    /// What a failed step means for the device.
    #[schemars(with = "Word<OnError>", extend("default" = "fail"))]
    pub on_error: OnError,
    /// `get_file` keeps nothing of a larger file.
    pub max_size: Option<Field<Size>>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            timeout: Field::Literal(Duration::from_secs(120)),
            retry: Retry::default(),
            on_error: OnError::default(),
            max_size: None,
        }
    }
}

impl FromNode for Defaults {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "defaults", all);
        let base = Self::default();
        let defaults = Self {
            timeout: fields.or("timeout", base.timeout),
            retry: fields.or("retry", base.retry),
            on_error: fields.or("on_error", base.on_error),
            max_size: fields.optional("max_size"),
        };
        if let Some(until) = &defaults.retry.until {
            let message = "`until` is about one step's result, and belongs to that step";
            fields
                .diagnostics()
                .error(Code::BadValue, until.span(), message)
                .help("move it into the step's own `retry`");
        }
        fields.finish();
        Some(defaults)
    }
}

impl Choice for OnError {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("fail", Self::Fail),
        ("continue", Self::Continue),
        ("ignore", Self::Ignore),
        ("stop_run", Self::StopRun),
    ];
}

impl Choice for Jitter {
    const CHOICES: &'static [(&'static str, Self)] = &[("true", Self::Full), ("false", Self::None)];
}

impl FromText for RetryOn {
    fn expected() -> String {
        format!(
            "{} or a code such as win32:0x80070020",
            Self::WORDS.join(", ")
        )
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| format!("expected {}", Self::expected()))
    }
}

/// A factor such as `2` or `1.5`.
#[derive(Debug, Clone, Copy)]
struct Factor(f64);

impl FromText for Factor {
    fn expected() -> String {
        "a factor from 1 to 100".into()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(factor) if (1.0..=100.0).contains(&factor) => Ok(Self(factor)),
            _ => Err(format!("expected {}", Self::expected())),
        }
    }
}

impl FromNode for Retry {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let base = Self::default();
        let mut fields = Fields::with_short_form(node, "retry", "attempts", all).hints(&[
            ("retries", "attempts: it counts all tries"),
            ("count", "attempts: it counts all tries"),
            ("on", "only_on"),
        ]);
        let retry = Self {
            attempts: fields
                .required::<Attempts>("attempts")
                .map_or(base.attempts, Attempts::get),
            delay: fields
                .optional::<Duration>("delay")
                .map_or(base.delay, Duration::get),
            backoff: fields.or("backoff", Factor(base.backoff)).0,
            max_delay: fields
                .optional::<Duration>("max_delay")
                .map_or(base.max_delay, Duration::get),
            jitter: fields.or("jitter", base.jitter),
            only_on: fields.or("only_on", base.only_on),
            until: fields.optional("until"),
        };
        fields.finish();
        Some(retry)
    }
}
