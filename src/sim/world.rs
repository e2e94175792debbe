//! A simulated organisation: devices, sessions, and the books. One handle, many doors.
//!
//! Time is tokio's, so that it also runs on a paused clock; every call first lets happen what is due.
//! No background task and no sleeping: who waits asks when something will change.

use super::actions::Action;
use super::books::Books;
use super::csp::Csp;
use super::device::SimDevice;
use super::endpoint::content::Clip;
use super::endpoint::order::Order;
use super::fault::{Fate, Faults, Judge};
use super::keys::Keys;
use super::manners::Manners;
use super::organisation::{Organisation, Shown, Times};
use super::session::{Session, Status, Terms};
use super::store::Stored;
use super::view::{CommandView, SessionView};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How fast and how roomy the organisation is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// From the request for a session to the sensor's check-in.
    pub check_in: Duration,
    /// What any command takes on the endpoint.
    pub command: Duration,
    pub max_sessions: usize,
    pub max_commands: usize,
    /// Scheme and host that signed content addresses begin with.
    pub content_base: String,
    /// What access tokens live.
    pub bearer_life: Duration,
    /// Bytes of an upload above which it is refused.
    pub max_upload: usize,
    pub manners: Manners,
    /// Policies besides those that devices have, by number.
    pub policies: BTreeMap<u64, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            check_in: Duration::from_millis(100),
            command: Duration::from_millis(10),
            max_sessions: 100,
            max_commands: 250,
            content_base: "http://content.sim.invalid".to_owned(),
            bearer_life: Duration::from_secs(1799),
            max_upload: 512 << 20,
            manners: Manners::default(),
            policies: BTreeMap::from([
                (6525, "Standard".to_owned()),
                (6526, "Monitored".to_owned()),
                (6527, "Restrictive".to_owned()),
            ]),
        }
    }
}

/// Why the service says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0} not found")]
    NotFound(Missing),
    #[error("session limit reached")]
    SessionLimit,
    #[error("the device already has the session {0}")]
    SessionExists(String),
    #[error("Live Response is disabled for device {0}")]
    LiveResponseOff(u64),
    #[error("session {0} is not active")]
    NotActive(String),
    #[error("command limit of session {0} reached")]
    CommandLimit(String),
    #[error("command not supported by the sensor: {0}")]
    Unsupported(&'static str),
    #[error("signed address expired or unknown")]
    BadTicket,
}

/// What is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    #[error("session {0}")]
    Session(String),
    #[error("device {0}")]
    Device(u64),
    #[error("command {0}")]
    Command(u64),
    #[error("file {0}")]
    File(String),
    #[error("content of file {0}")]
    Content(String),
}

/// A session as opened, and whether it was there before.
#[derive(Debug, Clone)]
pub struct Opened {
    pub session: SessionView,
    pub existed: bool,
}

#[derive(Clone)]
pub struct World {
    keys: Arc<Keys>,
    csp: Arc<Csp>,
    organisation: Arc<Mutex<Organisation>>,
    judge: Arc<Judge>,
    /// What this handle's next call meets with.
    fate: Fate,
}

/// What a simulated organisation is called.
const ORG_KEY: &str = "SIMULATED";

impl World {
    pub fn new(devices: Vec<SimDevice>) -> Self {
        Self::with(devices, Settings::default())
    }

    pub fn with(devices: Vec<SimDevice>, settings: Settings) -> Self {
        Self {
            keys: Arc::new(Keys::new()),
            csp: Arc::new(Csp::new()),
            organisation: Arc::new(Mutex::new(Organisation::new(devices, settings))),
            judge: Arc::new(Judge::new(Faults::default())),
            fate: Fate::Usual,
        }
    }

    /// The same organisation, in which these things go wrong.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.judge = Arc::new(Judge::new(faults));
        self
    }

    pub(super) fn judge(&self) -> &Judge {
        &self.judge
    }

    /// A handle on the same organisation for one call that meets with this.
    pub(super) fn under(&self, fate: Fate) -> Self {
        Self {
            fate,
            ..self.clone()
        }
    }

    /// What `X-Auth-Token` must hold in the cloud: `SECRET/ID`.
    pub fn token(&self) -> &str {
        &self.keys.cloud
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What may be exchanged for an access token instead.
    pub fn csp(&self) -> &Csp {
        &self.csp
    }

    /// An access token, and the seconds that it lives.
    pub(super) fn grant(&self) -> (String, u64) {
        let mut org = self.lock();
        let life = org.settings.bearer_life;
        (org.bearers.grant(life, Instant::now()), life.as_secs())
    }

    pub(super) fn admits(&self, bearer: &str) -> bool {
        self.lock().bearers.admits(bearer, Instant::now())
    }

    /// The same for every simulator, so that a plan made against one fits the next.
    pub fn org_key(&self) -> &'static str {
        ORG_KEY
    }

    /// Everything that happened until now.
    pub fn books(&self) -> Books {
        let mut org = self.lock();
        org.advance_all(Instant::now());
        org.books.clone()
    }

    /// The books as they are; new ones are begun.
    pub(super) fn reset_books(&self) -> Books {
        let mut org = self.lock();
        org.advance_all(Instant::now());
        org.books.reset()
    }

    /// Asks for a session; one that the device already has is given again.
    pub fn open(&self, device: u64) -> Result<Opened, Refusal> {
        self.open_by(device, self.terms())
    }

    /// The same on terms of one's own; a session that is there keeps its.
    pub(super) fn open_by(&self, device: u64, terms: Terms) -> Result<Opened, Refusal> {
        let mut org = self.lock();
        if self.fate == Fate::SessionLimit {
            return Err(Refusal::SessionLimit);
        }
        let mut opened = org.open(device, terms, Instant::now())?;
        if self.fate == Fate::NeverChecksIn && !opened.existed {
            opened.session.next_change = org.never_checks_in();
        }
        Ok(opened)
    }

    /// Asks something of sensors; they hear it when they next report.
    pub fn act(&self, devices: &[u64], action: &Action) {
        let now = Instant::now();
        let mut org = self.lock();
        org.advance_all(now);
        org.act(devices, action, now);
    }

    /// Shows it also for a short while after it has expired; nothing else does.
    pub fn session(&self, id: &str) -> Result<SessionView, Refusal> {
        let mut org = self.lock();
        let number = org.known(id, Instant::now())?;
        let session = org.sessions.get(&number).ok_or_else(|| gone(id))?;
        Ok(org.shown(session.device).session(session))
    }

    /// All that are known, oldest first.
    pub fn sessions(&self) -> Vec<SessionView> {
        let now = Instant::now();
        let mut org = self.lock();
        org.advance_all(now);
        org.sessions
            .values()
            .filter(|session| !session.is_gone(now))
            .map(|s| org.shown(s.device).session(s))
            .collect()
    }

    pub fn keep_alive(&self, id: &str) -> Result<SessionView, Refusal> {
        self.with_session(id, |now, session, shown| {
            if session.status == Status::Active {
                session.keep_alive(now);
            }
            Ok(shown.session(session))
        })
    }

    /// Ends a session for everybody: what is pending is cancelled, what runs goes on.
    pub fn close(&self, id: &str) -> Result<(), Refusal> {
        let now = Instant::now();
        let mut org = self.lock();
        let number = org.known(id, now)?;
        org.close(number, now);
        Ok(())
    }

    /// The session is gone as if it had never been; what runs goes on.
    pub(super) fn lose(&self, id: &str) {
        let mut org = self.lock();
        if let Ok(number) = org.known(id, Instant::now()) {
            org.lose(number);
        }
    }

    /// How many devices there are.
    pub fn size(&self) -> usize {
        self.lock().devices.len()
    }

    /// A device that there is, with its name.
    pub(super) fn named(&self, id: u64) -> Option<(u64, String)> {
        Some((id, self.lock().devices.get(&id)?.name.clone()))
    }

    pub(super) fn command_name(&self, id: &str, number: u64) -> Option<String> {
        let mut org = self.lock();
        let session = org.known(id, Instant::now()).ok()?;
        let index = usize::try_from(number).ok()?;
        let issued = org.sessions.get(&session)?.commands.get(index)?;
        Some(issued.order.name().to_owned())
    }

    pub(super) fn ticket_holder(&self, path: &str) -> Option<String> {
        self.lock().tickets.holder(path)
    }

    pub fn post(&self, id: &str, order: Order) -> Result<CommandView, Refusal> {
        self.with_session(id, |now, session, shown| {
            if session.status != Status::Active {
                return Err(Refusal::NotActive(id.to_owned()));
            }
            if session.commands.len() >= session.max_commands {
                return Err(Refusal::CommandLimit(id.to_owned()));
            }
            if !shown.supported().contains(&order.name()) {
                return Err(Refusal::Unsupported(order.name()));
            }
            if let Order::PutFile { file_id, .. } = &order
                && session.store.find(file_id).is_none()
            {
                return Err(Refusal::NotFound(Missing::File(file_id.clone())));
            }
            let number = session.post(order, self.fate, now);
            shown.command(session, number)
        })
    }

    pub fn command(&self, id: &str, number: u64) -> Result<CommandView, Refusal> {
        self.with_session(id, |_, session, shown| shown.command(session, number))
    }

    pub fn commands(&self, id: &str) -> Result<Vec<CommandView>, Refusal> {
        self.with_session(id, |_, session, shown| {
            (0..session.commands.len() as u64)
                .map(|number| shown.command(session, number))
                .collect()
        })
    }

    /// Takes a pending command back; on others it has no effect.
    pub fn cancel(&self, id: &str, number: u64) -> Result<(), Refusal> {
        self.with_session(id, |now, session, _| {
            usize::try_from(number)
                .ok()
                .and_then(|index| session.commands.get_mut(index))
                .map(|issued| issued.cancel(now))
                .ok_or(Refusal::NotFound(Missing::Command(number)))
        })
    }

    /// Stores a file for the endpoint; the session need not be active yet.
    pub fn upload(&self, id: &str, name: &str, clip: Clip) -> Result<Stored, Refusal> {
        let length = clip.len();
        let stored = self.with_session(id, |_, session, _| Ok(session.store.upload(name, clip)))?;
        self.note(|books| books.upload_bytes += length);
        Ok(stored)
    }

    pub fn files(&self, id: &str) -> Result<Vec<Stored>, Refusal> {
        self.with_session(id, |_, session, _| Ok(session.store.files().to_vec()))
    }

    pub fn file(&self, id: &str, file: &str) -> Result<Stored, Refusal> {
        self.with_session(id, |_, session, _| {
            let found = session.store.find(file).cloned();
            found.ok_or_else(|| Refusal::NotFound(Missing::File(file.to_owned())))
        })
    }

    pub fn remove_file(&self, id: &str, file: &str) -> Result<(), Refusal> {
        self.with_session(id, |_, session, _| {
            if session.store.remove(file) {
                Ok(())
            } else {
                Err(Refusal::NotFound(Missing::File(file.to_owned())))
            }
        })
    }

    /// A file's bytes, as the port gets them.
    pub(super) fn take_content(&self, id: &str, file: &str) -> Result<Clip, Refusal> {
        let missing = || Refusal::NotFound(Missing::Content(file.to_owned()));
        let clip = self.file(id, file)?.clip.ok_or_else(missing)?;
        self.lock().books.content_bytes += clip.len();
        Ok(clip)
    }

    /// An address on the content host, good for one fetch.
    pub(super) fn sign(&self, id: &str, file: &str) -> Result<String, Refusal> {
        let missing = || Refusal::NotFound(Missing::Content(file.to_owned()));
        let clip = self.file(id, file)?.clip.ok_or_else(missing)?;
        let mut org = self.lock();
        let path = org.tickets.mint((id, file), clip, Instant::now());
        Ok(format!("{}{path}", org.settings.content_base))
    }

    pub(super) fn redeem(&self, path: &str, signature: &str) -> Result<Clip, Refusal> {
        let mut org = self.lock();
        let clip = org.tickets.redeem(path, signature, Instant::now());
        let clip = clip.ok_or(Refusal::BadTicket)?;
        org.books.content_bytes += clip.len();
        Ok(clip)
    }

    pub(super) fn set_content_base(&self, base: String) {
        self.lock().settings.content_base = base;
    }

    /// Writes into the books.
    pub(super) fn note(&self, write: impl FnOnce(&mut Books)) {
        write(&mut self.lock().books);
    }

    /// Reads the devices, with the wall clock of the world's beginning and of this moment.
    pub(super) fn survey<T>(&self, read: impl FnOnce(&BTreeMap<u64, SimDevice>, Times) -> T) -> T {
        let mut org = self.lock();
        org.catch_up(Instant::now());
        let times = org.times();
        read(&org.devices, times)
    }

    pub(super) fn manners(&self) -> Manners {
        self.lock().settings.manners
    }

    /// On which the cloud gives sessions.
    pub(super) fn terms(&self) -> Terms {
        Terms::of_the_cloud(&self.lock().settings)
    }

    pub(super) fn max_upload(&self) -> usize {
        self.lock().settings.max_upload
    }

    /// The name of a policy that the organisation has.
    pub(super) fn policy(&self, id: u64) -> Option<String> {
        self.policies().remove(&id)
    }

    fn with_session<T>(
        &self,
        id: &str,
        act: impl FnOnce(Instant, &mut Session, &Shown<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let now = Instant::now();
        let mut org = self.lock();
        let number = org.known(id, now)?;
        let org = &mut *org;
        let session = org.sessions.get_mut(&number).filter(|s| s.is_open());
        let session = session.ok_or_else(|| gone(id))?;
        let shown = Shown {
            origin: org.origin,
            wall: org.wall,
            device: org.devices.get(&session.device),
        };
        act(now, session, &shown)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Organisation> {
        // A panic elsewhere leaves counters at worst, and a simulator that stops answering helps nobody.
        self.organisation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone(id: &str) -> Refusal {
    Refusal::NotFound(Missing::Session(id.to_owned()))
}
