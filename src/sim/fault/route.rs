//! The routes by their names, which are those that the books count them by.

use crate::sim::tickets;
use crate::template::FromText;
use crate::text::words::{List, suggest};

#[derive(Debug, Clone, Copy)]
pub(in crate::sim) struct Route {
    word: &'static str,
    about: About,
}

/// What a request for a route is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// The organisation, or several devices.
    Organisation,
    /// A device, or devices.
    Device,
    /// With POST, the device for which it opens a session.
    Opening,
    Session,
    /// A session; with POST, the device for which it opens one.
    SessionOrOpening,
    /// A session, to which POST sends a command.
    Commands,
    Command,
}

/// Those of the cloud, of its third version, of EDR, of App Control. Words come before what may stand for
/// anything.
const ALL: &[Route] = &[
    Route::new("liveresponse/sessions", About::Opening),
    Route::new("liveresponse/sessions/{id}", About::Session),
    Route::new("liveresponse/sessions/{id}/keepalive", About::Session),
    Route::new("liveresponse/sessions/{id}/commands", About::Commands),
    Route::new("liveresponse/sessions/{id}/commands/{n}", About::Command),
    Route::new("liveresponse/sessions/{id}/files", About::Session),
    Route::new("liveresponse/sessions/{id}/files/{file}", About::Session),
    Route::new(
        "liveresponse/sessions/{id}/files/{file}/content",
        About::Session,
    ),
    Route::new("devices/_search", About::Organisation),
    Route::new("devices/_scroll", About::Organisation),
    Route::new("devices/_facet", About::Organisation),
    Route::new("devices/_search/download", About::Organisation),
    Route::new("devices/{id}", About::Device),
    Route::new("device_actions", About::Device),
    Route::new("csp/auth/token", About::Organisation),
    Route::new("csp/auth/api-tokens/authorize", About::Organisation),
    Route::new("content host", About::Session),
    Route::new("v3/cblr/session", About::Session),
    Route::new("v3/cblr/session/{id}", About::SessionOrOpening),
    Route::new("v3/cblr/session/{id}/keepalive", About::Session),
    Route::new("v3/cblr/session/{id}/command", About::Commands),
    Route::new("v3/cblr/session/{id}/command/{n}", About::Command),
    Route::new("v3/cblr/session/{id}/file", About::Session),
    Route::new("v3/cblr/session/{id}/file/{file}", About::Session),
    Route::new("v3/cblr/session/{id}/file/{file}/content", About::Session),
    Route::new("v3/device", About::Organisation),
    Route::new("v3/device/{id}", About::Device),
    Route::new("api/info", About::Organisation),
    Route::new("api/v1/storage/events/partition", About::Organisation),
    Route::new("api/v1/cblr/session", About::Opening),
    Route::new("api/v1/cblr/session/{id}", About::Session),
    Route::new("api/v1/cblr/session/{id}/archive", About::Session),
    Route::new("api/v1/cblr/session/{id}/keepalive", About::Session),
    Route::new("api/v1/cblr/session/{id}/command", About::Commands),
    Route::new("api/v1/cblr/session/{id}/command/{n}", About::Command),
    Route::new("api/v1/cblr/session/{id}/file", About::Session),
    Route::new("api/v1/cblr/session/{id}/file/{file}", About::Session),
    Route::new(
        "api/v1/cblr/session/{id}/file/{file}/content",
        About::Session,
    ),
    Route::new("api/v1/sensor", About::Organisation),
    Route::new("api/v1/sensor/{id}", About::Device),
    Route::new("api/v2/sensor", About::Organisation),
    Route::new("api/v1/process", About::Organisation),
    Route::new("api/v1/process/{guid}/{segment}", About::Organisation),
    Route::new("api/v2/process/{guid}/{segment}", About::Organisation),
    Route::new("api/v1/binary", About::Organisation),
    Route::new("api/v1/binary/{md5}", About::Organisation),
    Route::new("api/v1/binary/{md5}/summary", About::Organisation),
    Route::new("api/v1/banning/blacklist", About::Organisation),
    Route::new("api/v1/banning/blacklist/{md5}", About::Organisation),
    Route::new("bit9platform/v1/serverConfig", About::Organisation),
    Route::new("bit9platform/v1/computer", About::Organisation),
    Route::new("bit9platform/v1/computer/{id}", About::Device),
    Route::new("bit9platform/v1/policy", About::Organisation),
    Route::new("bit9platform/v1/policy/{id}", About::Organisation),
    Route::new("bit9platform/v1/fileCatalog", About::Organisation),
    Route::new("bit9platform/v1/fileCatalog/{id}", About::Organisation),
    Route::new("bit9platform/v1/fileInstance", About::Organisation),
    Route::new("bit9platform/v1/fileInstance/{id}", About::Organisation),
    Route::new("bit9platform/v1/fileRule", About::Organisation),
    Route::new("bit9platform/v1/fileRule/{id}", About::Organisation),
    Route::new("bit9platform/v1/fileUpload", About::Organisation),
    Route::new("bit9platform/v1/fileUpload/{id}", About::Organisation),
];

impl Route {
    pub(in crate::sim) const SESSIONS: Self = ALL[0];
    pub(in crate::sim) const SESSION: Self = ALL[1];
    pub(in crate::sim) const COMMANDS: Self = ALL[3];
    pub(in crate::sim) const COMMAND: Self = ALL[4];
    pub(in crate::sim) const FILES: Self = ALL[5];
    pub(in crate::sim) const FILE: Self = ALL[6];
    pub(in crate::sim) const CONTENT: Self = ALL[7];
    /// Signed content, on a host of its own.
    pub(in crate::sim) const SIGNED: Self = ALL[16];

    const fn new(word: &'static str, about: About) -> Self {
        Self { word, about }
    }

    pub(in crate::sim) fn all() -> impl Iterator<Item = Self> {
        ALL.iter().copied()
    }

    /// The route of a whole path, whichever host it would go to.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        if path.starts_with(tickets::PREFIX) {
            return Some(Self::SIGNED);
        }
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match parts.as_slice() {
            ["appservices", "v6", "orgs", _, rest @ ..] | ["integrationServices", rest @ ..] => {
                Self::of(rest)
            }
            ["csp", "gateway", "am", "api", "auth", rest @ ..] => {
                Self::of(&[&["csp", "auth"], rest].concat())
            }
            ["api", rest @ ..] if rest.first().is_some_and(|part| *part == "bit9platform") => {
                Self::of(rest)
            }
            ["api", ..] => Self::of(&parts),
            _ => None,
        }
    }

    /// Is a request for it about one session?
    pub(in crate::sim) fn is_of_a_session(self) -> bool {
        match self.about {
            About::Session | About::SessionOrOpening | About::Commands | About::Command => true,
            About::Organisation | About::Device | About::Opening => false,
        }
    }

    /// May a request for it be about one device?
    pub(in crate::sim) fn is_of_a_device(self) -> bool {
        self.about != About::Organisation
    }

    /// Is a request for it about a command?
    pub(in crate::sim) fn is_of_a_command(self) -> bool {
        matches!(self.about, About::Commands | About::Command)
    }

    /// Does a POST to it open a session?
    pub(in crate::sim) fn opens_sessions(self) -> bool {
        matches!(self.about, About::Opening | About::SessionOrOpening)
    }

    /// Does a POST to it send a command?
    pub(in crate::sim) fn takes_commands(self) -> bool {
        self.about == About::Commands
    }

    /// The route whose name has these parts.
    fn of(path: &[&str]) -> Option<Self> {
        let fits = |route: &&Self| {
            let parts: Vec<&str> = route.word.split('/').collect();
            // App Control does not mind the case of its resources.
            let alike = |(part, given): (&&str, &&str)| {
                part.starts_with('{')
                    || part == given
                    || parts[0] == "bit9platform" && part.eq_ignore_ascii_case(given)
            };
            parts.len() == path.len() && parts.iter().zip(path).all(alike)
        };
        ALL.iter().find(fits).copied()
    }

    pub(in crate::sim) fn word(self) -> &'static str {
        self.word
    }
}

/// Routes are told apart by their names.
impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl FromText for Route {
    fn expected() -> String {
        "a route such as liveresponse/sessions or devices/_search".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let known = ALL.iter().find(|route| route.word == text);
        known
            .copied()
            .ok_or_else(|| format!("expected {}", Self::expected()))
    }

    fn help(text: &str) -> Option<String> {
        let near = suggest(text, Self::all().map(Self::word));
        Some(if let Some(near) = near {
            format!("did you mean `{near}`?")
        } else {
            let words: Vec<&str> = Self::all().map(Self::word).collect();
            format!("the routes are {}", List::and(&words))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_routes_that_others_use_by_name_are_those() {
        let named = [
            (Route::SESSIONS, "liveresponse/sessions"),
            (Route::SESSION, "liveresponse/sessions/{id}"),
            (Route::COMMANDS, "liveresponse/sessions/{id}/commands"),
            (Route::COMMAND, "liveresponse/sessions/{id}/commands/{n}"),
            (Route::FILE, "liveresponse/sessions/{id}/files/{file}"),
            (
                Route::CONTENT,
                "liveresponse/sessions/{id}/files/{file}/content",
            ),
            (Route::SIGNED, "content host"),
        ];
        for (route, word) in named {
            assert_eq!(route.word(), word);
        }
    }

    #[test]
    fn paths_have_routes() {
        let table = [
            (
                "/appservices/v6/orgs/X/devices/_search",
                Some("devices/_search"),
            ),
            ("/appservices/v6/orgs/X/devices/7", Some("devices/{id}")),
            (
                "/integrationServices/v3/cblr/session",
                Some("v3/cblr/session"),
            ),
            ("/integrationServices/v3/device/7", Some("v3/device/{id}")),
            (
                "/api/v1/cblr/session/7/command/1",
                Some("api/v1/cblr/session/{id}/command/{n}"),
            ),
            (
                "/api/bit9platform/v1/filecatalog/3",
                Some("bit9platform/v1/fileCatalog/{id}"),
            ),
            (
                "/api/v2/process/00000001-0000-0004-01d2-2461a83a8200/1",
                Some("api/v2/process/{guid}/{segment}"),
            ),
            ("/api/v1/Sensor", None),
            ("/elsewhere", None),
        ];
        for (path, word) in table {
            assert_eq!(Route::of_path(path).map(Route::word), word, "{path}");
        }
    }
}
