//! One entry of `faults:`: which requests it is about, which of them it strikes, and what then goes wrong.

use super::super::endpoint::code::Code as Hresult;
use super::super::endpoint::order::NAMES;
use super::super::fault::route::Route;
use super::super::fault::{
    About, Amount, End, Fate, Fault, Moment, Oddity, Page, Per, Rule, What, When,
};
use crate::template::{Bounded, Choice, Fields, FromNode, FromText, Spanned};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::duration::Duration;
use crate::text::words::List;
use crate::text::yaml::Node;
use crate::wire::Method;
use globset::{GlobBuilder, GlobMatcher};

/// The keys of which each says what goes wrong.
const DEEDS: [&str; 10] = [
    "status", "reset", "close", "truncate", "slow", "odd", "redirect", "session", "result", "hang",
];
/// What may stand beside `status`, and means nothing without it.
const OF_STATUS: [&str; 3] = ["retry_after", "body", "executed"];

impl Choice for Method {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("GET", Self::Get),
        ("POST", Self::Post),
        ("PUT", Self::Put),
        ("DELETE", Self::Delete),
    ];
}

impl Choice for Per {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("organisation", Self::Organisation),
        ("device", Self::Device),
        ("session", Self::Session),
    ];
}

impl Choice for Page {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("json", Self::Json),
        ("text", Self::Text),
        ("html", Self::Html),
        ("xml", Self::Xml),
        ("empty", Self::Empty),
    ];
}

/// What happens to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lot {
    Lost,
    Pending,
    Refused,
}

impl Choice for Lot {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("lost", Self::Lost),
        ("pending", Self::Pending),
        ("refused", Self::Refused),
    ];
}

impl FromText for Amount {
    fn expected() -> String {
        "half, or a number of bytes".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "half" => Ok(Self::Half),
            _ => text
                .parse()
                .map(Self::Bytes)
                .map_err(|_| format!("expected {}", Self::expected())),
        }
    }
}

impl FromText for Moment {
    fn expected() -> String {
        "before, executed, headers, half, or a number of bytes".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "before" => Ok(Self::Before),
            "executed" => Ok(Self::Executed),
            "headers" => Ok(Self::Answered(Amount::Bytes(0))),
            _ => Amount::from_text(text)
                .map(Self::Answered)
                .map_err(|_| format!("expected {}", Self::expected())),
        }
    }
}

impl FromText for Hresult {
    fn expected() -> String {
        "a result code such as 0x80070005".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let code = match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        };
        code.filter(|code| *code > 0)
            .map(Self)
            .ok_or_else(|| format!("expected {}", Self::expected()))
    }
}

/// A share of all events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance(f64);

impl FromText for Chance {
    fn expected() -> String {
        "a share such as 5% or 0.05".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let (number, of) = match text.strip_suffix('%') {
            Some(percent) => (percent, 100.0),
            None => (text, 1.0),
        };
        let share = number.parse::<f64>().ok().map(|number| number / of);
        share
            .filter(|share| (0.0..=1.0).contains(share))
            .map(Self)
            .ok_or_else(|| format!("expected {}", Self::expected()))
    }
}

/// A device by its name, with wildcards, or by its number.
#[derive(Debug)]
struct Whom(GlobMatcher);

impl FromNode for Whom {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let text = String::from_node(node, all)?;
        let mut glob = GlobBuilder::new(&text);
        let glob = glob.case_insensitive(true).backslash_escape(false).build();
        if glob.is_err() {
            let message = "this is no name of devices: wildcards are *, ? and [a-z]";
            all.error(Code::BadValue, node.span, message);
        }
        Some(Self(glob.ok()?.compile_matcher()))
    }
}

/// The name of a command, as the API has it.
#[derive(Debug)]
struct CommandName(String);

impl FromNode for CommandName {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let name: Named = Named::from_node(node, all)?;
        Some(Self(name.0.to_owned()))
    }
}

/// One of the commands that a sensor may be given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named(&'static str);

impl Choice for Named {
    const CHOICES: &'static [(&'static str, Self)] = &{
        let mut all = [("", Self("")); NAMES.len()];
        let mut at = 0;
        while at < NAMES.len() {
            all[at] = (NAMES[at], Self(NAMES[at]));
            at += 1;
        }
        all
    };
}

impl FromNode for Rule {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "the fault", all).hints(&[
            ("url", "use `route`"),
            ("path", "use `route`"),
            ("probability", "use `chance`"),
            (
                "code",
                "use `status` for the answer, or `result` for a command",
            ),
            ("timeout", "use `delay`"),
            ("sleep", "use `delay`"),
            ("count", "use `to`, or `nth` with a list"),
        ]);
        let about = about(&mut fields);
        let when = when(&mut fields);
        let delay: Option<Duration> = fields.optional("delay");
        let what = what(&mut fields, delay.is_some());
        if let Some(what) = &what {
            fits(&mut fields, what, &about);
        }
        fields.finish();
        Some(Self {
            place: node.span,
            about,
            when,
            fault: Fault {
                delay: delay.unwrap_or(Duration::ZERO).get(),
                what: what?,
            },
        })
    }
}

fn about(fields: &mut Fields<'_, '_>) -> About {
    let devices: Vec<Whom> = fields.or("device", Vec::new());
    let commands: Vec<CommandName> = fields.or("command", Vec::new());
    About {
        routes: fields.or("route", Vec::new()),
        methods: fields.or("method", Vec::new()),
        devices: devices.into_iter().map(|whom| whom.0).collect(),
        commands: commands.into_iter().map(|name| name.0).collect(),
    }
}

/// A count from 1.
type Ordinal = Bounded<1, 1_000_000_000>;

fn when(fields: &mut Fields<'_, '_>) -> When {
    let nth: Vec<Ordinal> = fields.or("nth", Vec::new());
    let mut number = |key| {
        let read: Option<Ordinal> = fields.optional(key);
        read.map(|number| u64::from(number.get()))
    };
    let (from, to, every) = (number("from"), number("to"), number("every"));
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        let span = fields.key_span("to");
        let message = "it ends before it begins";
        fields.diagnostics().error(Code::BadValue, span, message);
    }
    let after: Option<Duration> = fields.optional("after");
    let until: Option<Duration> = fields.optional("until");
    if let (Some(after), Some(until)) = (after, until)
        && after >= until
    {
        let span = fields.key_span("until");
        let message = "it ends before it begins";
        fields.diagnostics().error(Code::BadValue, span, message);
    }
    let chance: Option<Chance> = fields.optional("chance");
    When {
        nth: nth
            .into_iter()
            .map(|number| u64::from(number.get()))
            .collect(),
        from,
        to,
        every,
        after: after.map(Duration::get),
        until: until.map(Duration::get),
        chance: chance.map(|chance| chance.0),
        per: fields.or("per", Per::Organisation),
    }
}

/// What goes wrong; something has been said if there is nothing.
fn what(fields: &mut Fields<'_, '_>, is_late: bool) -> Option<What> {
    let said: Vec<&str> = DEEDS.into_iter().filter(|key| fields.has(key)).collect();
    let deeds = deeds(fields);
    let span = fields.span();
    let redirects = said == ["status", "redirect"];
    match said.as_slice() {
        [] if fields.is_broken() => None,
        [] if is_late => Some(What::Late),
        [] => {
            let message = format!("the fault needs one of {}, or `delay`", List::or(&DEEDS));
            fields.diagnostics().error(Code::MissingKey, span, message);
            None
        }
        [_] => deeds,
        _ if redirects => deeds,
        [_, second, ..] => {
            let message = format!("a fault does one thing: {}", List::and(&said));
            let span = fields.key_span(second);
            fields
                .diagnostics()
                .error(Code::BadValue, span, message)
                .help("make two faults of it; the first that strikes a request wins");
            None
        }
    }
}

/// Reads all the keys, so that all of them are known and complained about.
fn deeds(fields: &mut Fields<'_, '_>) -> Option<What> {
    let status: Option<Spanned<Bounded<200, 599>>> = fields.optional("status");
    let retry_after = fields.optional("retry_after");
    let page = fields.or("body", Page::Json);
    let executed = fields.or("executed", false);
    for key in OF_STATUS {
        if fields.has(key) && (!fields.has("status") || fields.has("redirect")) {
            let (span, message) = (
                fields.key_span(key),
                format!("`{key}` belongs to a `status`"),
            );
            fields.diagnostics().error(Code::BadValue, span, message);
        }
    }
    let reset: Option<Moment> = fields.optional("reset");
    let close: Option<Moment> = fields.optional("close");
    let truncate: Option<Amount> = fields.optional("truncate");
    let slow: Option<Duration> = fields.optional("slow");
    let odd: Option<Vec<Oddity>> = fields.optional("odd");
    let redirect = redirect(fields, status.as_ref());
    let session: Option<Lot> = fields.optional("session");
    let result: Option<Hresult> = fields.optional("result");
    let hang: Option<bool> = fields.optional("hang");
    if hang == Some(false) {
        let span = fields.key_span("hang");
        let message = "without it nothing hangs: write hang: true, or remove it";
        fields.diagnostics().error(Code::BadValue, span, message);
    }
    let breaks = |how, at: Option<Moment>| at.map(|at| What::Break { how, at });
    let status = status
        .filter(|_| redirect.is_none())
        .map(|status| What::Status {
            status: code(&status),
            retry_after,
            page,
            executed,
        });
    status
        .or(redirect)
        .or(breaks(End::Reset, reset))
        .or(breaks(End::Close, close))
        .or(truncate.map(What::Truncate))
        .or(slow.map(|slow| What::Slow(slow.get())))
        .or(odd.map(What::Odd))
        .or(session.map(|lot| match lot {
            Lot::Lost => What::Lose,
            Lot::Pending => What::Fate(Fate::NeverChecksIn),
            Lot::Refused => What::Fate(Fate::SessionLimit),
        }))
        .or(result.map(|code| What::Fate(Fate::Fails(code))))
        .or(hang.map(|_| What::Fate(Fate::Hangs)))
}

fn code(status: &Spanned<Bounded<200, 599>>) -> u16 {
    u16::try_from(status.value.get()).unwrap_or(u16::MAX)
}

fn redirect(
    fields: &mut Fields<'_, '_>,
    status: Option<&Spanned<Bounded<200, 599>>>,
) -> Option<What> {
    let to: Spanned<String> = fields.optional("redirect")?;
    let begins = ["https://", "http://", "/"];
    if !begins.iter().any(|start| to.value.starts_with(start)) {
        let message = "expected an address that begins with https://, http:// or /";
        fields.diagnostics().error(Code::BadValue, to.span, message);
    }
    if let Some(status) = status.filter(|status| !(300..400).contains(&status.value.get())) {
        let message = "a redirect has a status from 300 to 399";
        fields
            .diagnostics()
            .error(Code::BadValue, status.span, message);
    }
    Some(What::Redirect {
        status: status.map_or(302, code),
        to: to.value,
    })
}

/// What cannot happen where the author wants it never would, and nobody would notice.
fn fits(fields: &mut Fields<'_, '_>, what: &What, about: &About) {
    let word = what.word();
    if let Some(can) = what.only_at() {
        let wrong_route = !about.routes.is_empty() && !about.routes.iter().any(|route| can(*route));
        let wrong_method = !about.methods.is_empty() && !about.methods.contains(&Method::Post);
        let key = if wrong_route { "route" } else { "method" };
        if wrong_route || wrong_method {
            let span = fields.key_span(key);
            let routes: Vec<&str> = Route::all()
                .filter(|route| can(*route))
                .map(Route::word)
                .collect();
            let message = format!("this `{word}` happens at POST {} only", List::or(&routes));
            fields
                .diagnostics()
                .error(Code::BadValue, span, message)
                .help(format!("remove `{key}`"));
        }
        if can(Route::SESSIONS) && !about.commands.is_empty() {
            let span = fields.key_span("command");
            let message = "no command is given where a session is asked for";
            fields.diagnostics().error(Code::BadValue, span, message);
        }
    }
    let all_lack = |has: fn(Route) -> bool| {
        !about.routes.is_empty() && !about.routes.iter().any(|route| has(*route))
    };
    let lost = matches!(what, What::Lose) && all_lack(Route::is_of_a_session);
    let device = !about.devices.is_empty() && all_lack(Route::is_of_a_device);
    let command =
        !about.commands.is_empty() && what.only_at().is_none() && all_lack(Route::is_of_a_command);
    for (key, is_wrong, missing) in [
        ("session", lost, "one session"),
        ("device", device, "one device"),
        ("command", command, "a command"),
    ] {
        if is_wrong {
            let span = fields.key_span(key);
            let message = format!("no request for this `route` is about {missing}");
            fields.diagnostics().error(Code::BadValue, span, message);
        }
    }
}
