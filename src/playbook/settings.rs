//! `run:` and `defaults:`, how a run goes unless the command line says otherwise.

use super::modifier::{Attempts, Jitter, Retry, RetryOn};
use super::rollout::{Amount, Offline, OnThreshold, Order, Percent, Promote, Rate};
use crate::model::event::OnError;
use crate::template::{Choice, Field, Fields, FromNode, FromText, Word};
use crate::text::diagnostic::{Code, Diagnostic, Diagnostics};
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
    /// How many devices each stage has, such as `[1, 5, 10%, 100%]`; the last repeats.
    #[schemars(extend("default" = []))]
    pub stages: Vec<Amount>,
    /// The pause between two stages.
    #[schemars(extend("default" = 0))]
    pub soak: Duration,
    /// Whether the next stage begins by itself, or a person is asked.
    #[schemars(with = "Word<Promote>", extend("default" = "auto"))]
    pub promote: Promote,
    /// So many failed devices, or such a share, end the run.
    pub max_failed: Option<Amount>,
    /// So many unreachable devices, or such a share, end the run.
    pub max_unreachable: Option<Amount>,
    /// So many devices whose outcome nobody knows, or such a share, end the run.
    pub max_unknown: Option<Amount>,
    /// At a threshold, whether running devices end in order or at once.
    #[schemars(with = "Word<OnThreshold>", extend("default" = "drain"))]
    pub on_threshold: OnThreshold,
    /// What becomes of devices that are offline: `skip` leaves them, `wait` waits, `later` remembers them
    /// for a later run, `fail` counts them as failed.
    #[schemars(with = "Word<Offline>", extend("default" = "skip"))]
    pub offline: Offline,
    /// How long `offline: wait` waits.
    #[schemars(extend("default" = "1h"))]
    pub wait_for: Duration,
    /// Time for one device, from its session on.
    pub device_timeout: Option<Duration>,
    /// Time for the whole run.
    pub deadline: Option<Duration>,
    /// Which devices come first.
    #[schemars(with = "Word<Order>", extend("default" = "last_seen"))]
    pub order: Order,
    /// How many devices start in a minute at most, such as `20/min`.
    pub start_rate: Option<Rate>,
    /// The share of the selected devices without which the run has not reached its end.
    pub require_coverage: Option<Percent>,
    /// The run is refused when more devices are selected.
    #[schemars(range(min = 1))]
    pub max_devices: Option<u64>,
    /// The run is refused when a larger share of all devices is selected.
    pub max_share: Option<Percent>,
    /// What of these differs from what holds anyway, and is not built.
    #[schemars(skip)]
    pub not_built: Vec<Diagnostic>,
}

/// Below what the cloud grants an organisation, so that people in the console find sessions too.
pub const DEFAULT_SESSIONS: usize = 20;
/// What the cloud grants an organisation, less ten that are left for people.
pub const MOST_SESSIONS: usize = 90;

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_sessions: DEFAULT_SESSIONS,
            stages: Vec::new(),
            soak: Duration::ZERO,
            promote: Promote::Auto,
            max_failed: None,
            max_unreachable: None,
            max_unknown: None,
            on_threshold: OnThreshold::Drain,
            offline: Offline::Skip,
            wait_for: Duration::from_secs(3600),
            device_timeout: None,
            deadline: None,
            order: Order::LastSeen,
            start_rate: None,
            require_coverage: None,
            max_devices: None,
            max_share: None,
            not_built: Vec::new(),
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
        let base = Self::default();
        let mut later = Vec::new();
        let settings = Self {
            max_sessions,
            stages: fields.later_or("stages", base.stages, &mut later),
            soak: fields.later_or("soak", base.soak, &mut later),
            promote: fields.later_or("promote", base.promote, &mut later),
            max_failed: fields.later("max_failed", &mut later),
            max_unreachable: fields.later("max_unreachable", &mut later),
            max_unknown: fields.later("max_unknown", &mut later),
            on_threshold: fields.later_or("on_threshold", base.on_threshold, &mut later),
            offline: fields.later_or("offline", base.offline, &mut later),
            wait_for: fields.later_or("wait_for", base.wait_for, &mut later),
            device_timeout: fields.later("device_timeout", &mut later),
            deadline: fields.later("deadline", &mut later),
            order: fields.later_or("order", base.order, &mut later),
            start_rate: fields.later("start_rate", &mut later),
            require_coverage: fields.later("require_coverage", &mut later),
            max_devices: fields.later("max_devices", &mut later),
            max_share: fields.later("max_share", &mut later),
            not_built: later,
        };
        fields.finish();
        Some(settings)
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
    /// `get_file` keeps nothing of a larger file, and `exec` nothing of a larger `output: file`.
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
