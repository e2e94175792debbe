//! The routes by their names, which are those that the books count them by.

use crate::sim::tickets;
use crate::template::FromText;
use crate::text::words::{List, suggest};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Route {
    Sessions,
    Session,
    KeepAlive,
    Commands,
    Command,
    Files,
    File,
    Content,
    DeviceSearch,
    DeviceScroll,
    DeviceFacet,
    DeviceTable,
    Device,
    DeviceActions,
    AppToken,
    ApiToken,
    /// Signed content, on a host of its own.
    Signed,
}

impl Route {
    pub(in crate::sim) const ALL: &'static [(&'static str, Self)] = &[
        ("liveresponse/sessions", Self::Sessions),
        ("liveresponse/sessions/{id}", Self::Session),
        ("liveresponse/sessions/{id}/keepalive", Self::KeepAlive),
        ("liveresponse/sessions/{id}/commands", Self::Commands),
        ("liveresponse/sessions/{id}/commands/{n}", Self::Command),
        ("liveresponse/sessions/{id}/files", Self::Files),
        ("liveresponse/sessions/{id}/files/{file}", Self::File),
        (
            "liveresponse/sessions/{id}/files/{file}/content",
            Self::Content,
        ),
        ("devices/_search", Self::DeviceSearch),
        ("devices/_scroll", Self::DeviceScroll),
        ("devices/_facet", Self::DeviceFacet),
        ("devices/_search/download", Self::DeviceTable),
        ("devices/{id}", Self::Device),
        ("device_actions", Self::DeviceActions),
        ("csp/auth/token", Self::AppToken),
        ("csp/auth/api-tokens/authorize", Self::ApiToken),
        ("content host", Self::Signed),
    ];

    /// The route of a whole path, whichever host it would go to.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        if path.starts_with(tickets::PREFIX) {
            return Some(Self::Signed);
        }
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match parts.as_slice() {
            ["appservices", "v6", "orgs", _, rest @ ..] => Self::of(rest),
            ["csp", "gateway", "am", "api", "auth", rest @ ..] => {
                Self::of(&[&["csp", "auth"], rest].concat())
            }
            _ => None,
        }
    }

    /// Is a request for it about one session?
    pub(in crate::sim) fn is_of_a_session(self) -> bool {
        match self {
            Self::Session
            | Self::KeepAlive
            | Self::Commands
            | Self::Command
            | Self::Files
            | Self::File
            | Self::Content
            | Self::Signed => true,
            Self::Sessions
            | Self::DeviceSearch
            | Self::DeviceScroll
            | Self::DeviceFacet
            | Self::DeviceTable
            | Self::Device
            | Self::DeviceActions
            | Self::AppToken
            | Self::ApiToken => false,
        }
    }

    /// May a request for it be about one device?
    pub(in crate::sim) fn is_of_a_device(self) -> bool {
        self.is_of_a_session()
            || [Self::Sessions, Self::Device, Self::DeviceActions].contains(&self)
    }

    /// Is a request for it about a command?
    pub(in crate::sim) fn is_of_a_command(self) -> bool {
        [Self::Commands, Self::Command].contains(&self)
    }

    /// The route of what follows the organisation in a path, and stands in its name. Words come before what may stand for anything.
    fn of(path: &[&str]) -> Option<Self> {
        let fits = |pattern: &str| {
            let parts: Vec<&str> = pattern.split('/').collect();
            let alike = |(part, given): (&&str, &&str)| part.starts_with('{') || part == given;
            parts.len() == path.len() && parts.iter().zip(path).all(alike)
        };
        let known = Self::ALL.iter().find(|(pattern, _)| fits(pattern));
        known.map(|(_, route)| *route)
    }

    pub(in crate::sim) fn word(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, route)| *route == self);
        known.map_or("", |(word, _)| *word)
    }
}

impl FromText for Route {
    fn expected() -> String {
        "a route such as liveresponse/sessions or devices/_search".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|(word, _)| *word == text);
        known
            .map(|(_, route)| *route)
            .ok_or_else(|| format!("expected {}", Self::expected()))
    }

    fn help(text: &str) -> Option<String> {
        let words: Vec<&str> = Self::ALL.iter().map(|(word, _)| *word).collect();
        let near = suggest(text, words.iter().copied());
        Some(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the routes are {}", List::and(&words)),
        })
    }
}
