//! The state machine of one Live Response session and of its commands.
//!
//! Nothing happens by itself: `advance` brings it up to a moment, and whatever fell due before is
//! done then, in order, as if it had been done in time. Holds no lock and sends nothing.

use super::bans::Bans;
use super::books::{Books, Change};
use super::catalogue;
use super::device::SimDevice;
use super::endpoint::code::Code;
use super::endpoint::content::Clip;
use super::endpoint::order::{Order, Yield};
use super::endpoint::{Facts, Performed};
use super::fault::Fate;
use super::fleet::image;
use super::manners::Reopening;
use super::store::{FileId, Store};
use super::world::Settings;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// How long a session waits; whoever opens it may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// That a sensor has to check in.
    pub check_in: Duration,
    /// That a session may idle between commands; twice as long before the first.
    pub session: Duration,
    /// That a command may run.
    pub command: Option<Duration>,
    /// That a sensor stays without a command; it stays as long as the session if nothing is said.
    pub sensor: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            check_in: Duration::from_mins(15),
            session: Duration::from_mins(15),
            command: None,
            sensor: None,
        }
    }
}

/// On which terms a session is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub timeouts: Timeouts,
    /// How many there may be at once.
    pub max_sessions: usize,
    /// How many commands it takes.
    pub max_commands: usize,
    pub reopening: Reopening,
    /// How long it is told of after its end.
    pub kept: Duration,
}

impl Terms {
    pub(super) fn of_the_cloud(settings: &Settings) -> Self {
        Self {
            timeouts: Timeouts::default(),
            max_sessions: settings.max_sessions,
            max_commands: settings.max_commands,
            reopening: Reopening::Existing,
            kept: GRACE,
        }
    }
}

/// Who asked for a session first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opener {
    Client,
    /// A person in the vendor's console.
    Console,
}

/// What a command takes that hangs: longer than any session lives.
const FOR_EVER: Duration = Duration::from_hours(10 * 365 * 24);
/// How long an expired session is still shown before every call about it is answered with 404.
pub(super) const GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Pending,
    Active,
    /// The sensor has gone, and the service still knows of the session.
    Inactive,
    Timeout,
    Closed,
}

#[derive(Debug)]
pub(super) struct Session {
    pub number: u64,
    pub device: u64,
    pub opened: Instant,
    /// When the sensor will have checked in; none if it never does.
    pub check_in: Option<Instant>,
    pub status: Status,
    pub opener: Opener,
    pub timeouts: Timeouts,
    /// From then on the sensor does nothing more.
    pub silent_from: Option<Instant>,
    /// Until then somebody in the console keeps it alive.
    pub held: Instant,
    /// When it expired or was closed.
    ended: Option<Instant>,
    pub kept: Duration,
    pub max_commands: usize,
    /// The last command, end of a command, or keep-alive.
    active: Instant,
    pub commands: Vec<Issued>,
    pub store: Store,
}

/// A command in a session.
#[derive(Debug)]
pub(super) struct Issued {
    pub order: Order,
    pub fate: Fate,
    pub posted: Instant,
    pub phase: Phase,
    /// Where a fetched file is to go, or whence one comes that is put.
    pub file: Option<FileId>,
}

#[derive(Debug)]
pub(super) enum Phase {
    Pending,
    /// It runs on the endpoint; nobody sees the outcome before `until`.
    Running {
        begun: Instant,
        until: Instant,
        outcome: Result<Yield, Code>,
    },
    Ended {
        at: Instant,
        outcome: Result<Yield, Code>,
    },
    Cancelled {
        at: Instant,
    },
}

/// What a session acts upon.
pub(super) struct Ground<'a> {
    pub device: &'a mut SimDevice,
    pub books: &'a mut Books,
    pub bans: &'a mut Bans,
    pub origin: Instant,
    /// The same moment by the wall clock.
    pub wall: Timestamp,
    /// What any command takes.
    pub command: Duration,
}

impl Session {
    pub(super) fn new(
        (number, device): (u64, u64),
        terms: Terms,
        now: Instant,
        check_in: Option<Duration>,
    ) -> Self {
        Self {
            opener: Opener::Client,
            timeouts: terms.timeouts,
            silent_from: None,
            held: now,
            number,
            device,
            opened: now,
            check_in: check_in.map(|delay| now + delay),
            status: Status::Pending,
            ended: None,
            kept: terms.kept,
            max_commands: terms.max_commands,
            active: now,
            commands: Vec::new(),
            store: Store::new(number),
        }
    }

    pub(super) fn id(&self) -> String {
        format!("{}:{}", self.number, self.device)
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(
            self.status,
            Status::Pending | Status::Active | Status::Inactive
        )
    }

    /// Every call about it is answered with 404.
    pub(super) fn is_gone(&self, now: Instant) -> bool {
        self.status == Status::Closed || self.ended.is_some_and(|at| at + GRACE <= now)
    }

    /// When it ended, of those that are kept for longer than a moment.
    pub(super) fn kept_since(&self) -> Option<Instant> {
        self.ended.filter(|_| self.kept > GRACE)
    }

    /// When its sensor checked in; none if that was too late, is to come, or never was.
    pub(super) fn checked_in(&self) -> Option<Instant> {
        let in_time = |at: &Instant| self.ended.is_none_or(|end| *at <= end);
        match self.status {
            Status::Pending | Status::Timeout => None,
            Status::Active | Status::Inactive | Status::Closed => self.checks_in().filter(in_time),
        }
    }

    /// Nothing of it is kept any more.
    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        self.ended.is_some_and(|at| at + self.kept <= now)
    }

    /// Brings it up to `now`.
    pub(super) fn advance(&mut self, now: Instant, ground: &mut Ground<'_>) {
        if self.status == Status::Pending {
            self.wait_for_check_in(now, ground.books);
        }
        while self.status == Status::Active {
            let expiry = self.expiry();
            let departure = self.departure().filter(|at| *at < expiry);
            let end = departure.unwrap_or(expiry);
            match self.next_step() {
                Some((index, at)) if at <= now && at <= end => self.step(index, at, ground),
                _ if end > now => return,
                _ if departure.is_some() => self.status = Status::Inactive,
                _ => self.expire(expiry, ground.books),
            }
        }
        let expiry = self.expiry();
        if self.status == Status::Inactive && expiry <= now {
            self.expire(expiry, ground.books);
        }
    }

    fn wait_for_check_in(&mut self, now: Instant, books: &mut Books) {
        let limit = self.opened + self.timeouts.check_in;
        match self.checks_in() {
            Some(at) if at < limit => {
                if at <= now {
                    self.status = Status::Active;
                    self.active = at;
                }
            }
            _ => {
                if limit <= now {
                    self.expire(limit, books);
                }
            }
        }
    }

    /// When its sensor will have checked in; none if it never does, or is silent by then.
    fn checks_in(&self) -> Option<Instant> {
        let is_heard = |at: &Instant| self.silent_from.is_none_or(|end| *at < end);
        self.check_in.filter(is_heard)
    }

    fn expiry(&self) -> Instant {
        let idle = if self.commands.is_empty() {
            self.timeouts.session * 2
        } else {
            self.timeouts.session
        };
        self.active.max(self.held) + idle
    }

    /// When a sensor leaves that is given nothing to do.
    fn departure(&self) -> Option<Instant> {
        let is_busy = self
            .commands
            .iter()
            .any(|issued| matches!(issued.phase, Phase::Pending | Phase::Running { .. }));
        let patience = self.timeouts.sensor.filter(|_| !is_busy)?;
        Some(self.active.max(self.held) + patience)
    }

    pub(super) fn expire(&mut self, at: Instant, books: &mut Books) {
        self.end(Status::Timeout, at);
        books.leaked(self.opener);
    }

    pub(super) fn end(&mut self, status: Status, at: Instant) {
        self.status = status;
        // Who closes it after that does not make it last longer.
        self.ended.get_or_insert(at);
        self.cancel_pending(at);
    }

    /// The command that starts or ends next, and when; none if the sensor is silent by then.
    fn next_step(&self) -> Option<(usize, Instant)> {
        let next = self.next_in_order();
        next.filter(|(_, at)| self.silent_from.is_none_or(|end| *at < end))
    }

    /// Commands run one at a time, in order.
    fn next_in_order(&self) -> Option<(usize, Instant)> {
        let mut free = self.opened;
        for (index, issued) in self.commands.iter().enumerate() {
            match &issued.phase {
                Phase::Ended { at, .. } => free = *at,
                Phase::Cancelled { .. } => {}
                Phase::Running { until, .. } => return Some((index, *until)),
                Phase::Pending => return Some((index, issued.posted.max(free))),
            }
        }
        None
    }

    /// Starts or ends a command.
    fn step(&mut self, index: usize, at: Instant, ground: &mut Ground<'_>) {
        let issued = &mut self.commands[index];
        let before = std::mem::replace(&mut issued.phase, Phase::Pending);
        issued.phase = if let Phase::Running { outcome, .. } = before {
            if let (Some(file), Ok(Yield::File(clip))) = (&issued.file, &outcome) {
                self.store.fill(&file.uuid, clip.clone());
            }
            self.active = at;
            Phase::Ended { at, outcome }
        } else {
            let upload = match &issued.order {
                Order::PutFile { file_id, .. } => self.store.clip(file_id),
                _ => None,
            };
            execute(
                &issued.order,
                upload.as_ref(),
                issued.fate,
                at,
                ground,
                self.timeouts,
            )
        };
    }

    pub(super) fn post(&mut self, order: Order, fate: Fate, now: Instant) -> u64 {
        let file = match &order {
            Order::GetFile { path, .. } => Some(self.store.expect(path)),
            Order::PutFile { file_id, .. } => self.store.find(file_id).map(|file| file.id.clone()),
            _ => None,
        };
        self.commands.push(Issued {
            order,
            fate,
            posted: now,
            phase: Phase::Pending,
            file,
        });
        self.active = now;
        self.commands.len() as u64 - 1
    }

    pub(super) fn keep_alive(&mut self, now: Instant) {
        self.active = now;
    }

    pub(super) fn cancel_pending(&mut self, at: Instant) {
        for issued in &mut self.commands {
            issued.cancel(at);
        }
    }

    /// When something about it will next be different; none if it ended.
    pub(super) fn next_change(&self) -> Option<Instant> {
        match self.status {
            Status::Pending => {
                let limit = self.opened + self.timeouts.check_in;
                Some(self.checks_in().map_or(limit, |at| at.min(limit)))
            }
            Status::Active => {
                let expiry = self.expiry();
                let end = self.departure().map_or(expiry, |at| at.min(expiry));
                Some(self.next_step().map_or(end, |(_, at)| at.min(end)))
            }
            Status::Inactive => Some(self.expiry()),
            Status::Timeout | Status::Closed => None,
        }
    }
}

impl Issued {
    /// Takes it back if it has not started. Running and ended commands do not care.
    pub(super) fn cancel(&mut self, at: Instant) {
        if matches!(self.phase, Phase::Pending) {
            self.phase = Phase::Cancelled { at };
        }
    }
}

/// Runs a command on its endpoint, and writes it down.
fn execute(
    order: &Order,
    upload: Option<&Clip>,
    fate: Fate,
    at: Instant,
    ground: &mut Ground<'_>,
    timeouts: Timeouts,
) -> Phase {
    let elapsed = at - ground.origin;
    let now = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
    let facts = Facts {
        begun: ground.wall,
        ..ground.device.facts()
    };
    image::complete(ground.device);
    let performed = match fate {
        Fate::Fails(code) => Performed::refused(code),
        _ if catalogue::blocks(ground.bans, ground.device, order, elapsed) => {
            Performed::refused(Code::ACCESS_DENIED)
        }
        _ => ground.device.endpoint.perform(order, now, &facts, upload),
    };
    ground.books.command(ground.device.id, order.name());
    if let Some(line) = &performed.unknown_program {
        ground.books.unknown_executable(line);
    }
    if let Some(what) = order.change() {
        ground.books.changes.push(Change {
            device: ground.device.id,
            command: order.name(),
            what,
            code: performed.result.as_ref().err().map_or(0, |code| code.0),
            at: now,
        });
    }
    let takes = match fate {
        Fate::Hangs => FOR_EVER,
        _ => ground.command + performed.takes,
    };
    let (takes, outcome) = match timeouts.command {
        // Nobody waits for it any longer; on the endpoint it goes on.
        Some(limit) if takes > limit => (limit, Err(Code::TIMEOUT)),
        _ => (takes, performed.result),
    };
    Phase::Running {
        begun: at,
        until: at + takes,
        outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::Os;
    use crate::sim::view::Stage;
    use crate::sim::world::{Missing, Refusal, World};
    use tokio::time::{advance, sleep};

    fn world(devices: Vec<SimDevice>) -> World {
        World::new(devices)
    }

    fn windows(id: u64) -> SimDevice {
        SimDevice::new(id, format!("WS-{id}"), Os::Windows)
    }

    async fn active(world: &World, device: u64) -> String {
        let id = world.open(device).expect("opens").session.id;
        sleep(Duration::from_millis(100)).await;
        assert_eq!(world.session(&id).expect("known").status, Status::Active);
        id
    }

    fn run(line: &str) -> Order {
        Order::CreateProcess {
            line: line.into(),
            wait: true,
            working_directory: None,
            output_file: None,
        }
    }

    fn word(world: &World, id: &str, number: u64) -> &'static str {
        match world.command(id, number).expect("known").stage {
            Stage::Pending => "pending",
            Stage::Running => "running",
            Stage::Cancelled { .. } => "cancelled",
            Stage::Ended { outcome: Ok(_), .. } => "complete",
            Stage::Ended {
                outcome: Err(_), ..
            } => "error",
        }
    }

    fn gone(id: &str) -> Refusal {
        Refusal::NotFound(Missing::Session(id.to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_sensor_checks_in_after_its_delay() {
        let slow = windows(2).check_in(Duration::from_secs(7));
        let world = world(vec![windows(1), slow]);
        for (device, delay) in [(1, 100), (2, 7_000)] {
            let id = world.open(device).expect("opens").session.id;
            assert_eq!(
                world.post(&id, Order::ProcessList).map(drop),
                Err(Refusal::NotActive(id.clone()))
            );
            advance(Duration::from_millis(delay - 1)).await;
            assert_eq!(world.session(&id).expect("known").status, Status::Pending);
            advance(Duration::from_millis(1)).await;
            assert_eq!(world.session(&id).expect("known").status, Status::Active);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_offline_device_times_out_and_is_forgotten() {
        let world = world(vec![windows(1).offline()]);
        let id = world.open(1).expect("opens").session.id;
        advance(Duration::from_secs(899)).await;
        assert_eq!(world.session(&id).expect("known").status, Status::Pending);
        advance(Duration::from_secs(1)).await;
        assert_eq!(world.session(&id).expect("known").status, Status::Timeout);
        advance(GRACE).await;
        assert_eq!(world.session(&id).map(drop), Err(gone(&id)));
        let books = world.books();
        assert_eq!((books.sessions_leaked, books.sessions_open), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn idling_ends_a_session_and_keep_alive_does_not_let_it() {
        let world = world(vec![windows(1), windows(2)]);
        let id = active(&world, 1).await;
        world.post(&id, Order::ProcessList).expect("is active");
        for _ in 0..3 {
            advance(Duration::from_secs(800)).await;
            world.keep_alive(&id).expect("is alive");
        }
        advance(Duration::from_secs(899)).await;
        assert_eq!(world.session(&id).expect("known").status, Status::Active);
        advance(Duration::from_secs(1)).await;
        assert_eq!(world.session(&id).expect("shown").status, Status::Timeout);
        assert_eq!(
            world.post(&id, Order::ProcessList).map(drop),
            Err(gone(&id))
        );

        // Before its first command it may idle twice as long.
        let unused = active(&world, 2).await;
        advance(Duration::from_secs(1799)).await;
        assert_eq!(
            world.session(&unused).expect("known").status,
            Status::Active
        );
        advance(Duration::from_secs(1)).await;
        assert_eq!(
            world.session(&unused).expect("shown").status,
            Status::Timeout
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_has_one_session_and_closing_ends_it() {
        let world = world(vec![windows(1)]);
        let first = world.open(1).expect("opens");
        let again = world.open(1).expect("opens");
        assert!(!first.existed && again.existed);
        assert_eq!(first.session.id, again.session.id);
        let id = first.session.id;
        world.close(&id).expect("is there");
        assert_eq!(world.close(&id), Err(gone(&id)));
        assert_eq!(world.session(&id).map(drop), Err(gone(&id)));
        assert_ne!(world.open(1).expect("opens").session.id, id);
        let books = world.books();
        assert_eq!(
            (
                books.sessions_opened,
                books.sessions_closed,
                books.sessions_open
            ),
            (2, 1, 1)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn limits_are_kept() {
        let settings = Settings {
            max_sessions: 2,
            max_commands: 3,
            ..Settings::default()
        };
        let off = windows(9).live_response_off();
        let world = World::with(vec![windows(1), windows(2), windows(3), off], settings);
        let id = active(&world, 1).await;
        active(&world, 2).await;
        assert_eq!(world.open(3).map(drop), Err(Refusal::SessionLimit));
        assert_eq!(world.open(9).map(drop), Err(Refusal::LiveResponseOff(9)));
        assert_eq!(
            world.open(7).map(drop),
            Err(Refusal::NotFound(Missing::Device(7)))
        );
        assert!(world.open(1).is_ok(), "one that is there is no new one");
        for _ in 0..3 {
            world
                .post(&id, Order::ProcessList)
                .expect("below the limit");
        }
        assert_eq!(
            world.post(&id, Order::ProcessList).map(drop),
            Err(Refusal::CommandLimit(id))
        );
        assert_eq!(world.books().max_concurrent_sessions, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn commands_run_one_at_a_time_in_order() {
        let world = world(vec![windows(1)]);
        let id = active(&world, 1).await;
        let long = world
            .post(&id, run("timeout.exe /t 5"))
            .expect("is active")
            .id;
        let second = world.post(&id, Order::ProcessList).expect("is active").id;
        let never = world.post(&id, run("whoami.exe")).expect("is active").id;
        let fourth = world.post(&id, run("nosuch.exe")).expect("is active").id;
        assert_eq!((long, second, never, fourth), (0, 1, 2, 3));
        world.cancel(&id, long).expect("a running one ignores it");
        world.cancel(&id, never).expect("is pending");
        advance(Duration::from_secs(5)).await;
        let words = |world: &World| [0, 1, 2, 3].map(|n| word(world, &id, n));
        assert_eq!(
            words(&world),
            ["running", "pending", "cancelled", "pending"]
        );
        advance(Duration::from_millis(10)).await;
        assert_eq!(
            words(&world),
            ["complete", "running", "cancelled", "pending"]
        );
        advance(Duration::from_millis(20)).await;
        assert_eq!(
            words(&world),
            ["complete", "complete", "cancelled", "error"]
        );

        let books = world.books();
        let ran: Vec<_> = books
            .changes
            .iter()
            .map(|c| (c.what.as_str(), c.code))
            .collect();
        assert_eq!(ran, [("timeout.exe /t 5", 0), ("nosuch.exe", 0x8007_0002)]);
        assert_eq!(books.commands["process list"], 1);
        assert_eq!(books.unknown_executables["nosuch.exe"], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_started_goes_on_after_closing_and_the_rest_never_runs() {
        let world = world(vec![windows(1)]);
        let id = active(&world, 1).await;
        world.post(&id, run("timeout.exe /t 5")).expect("is active");
        world.post(&id, run("whoami.exe")).expect("is active");
        advance(Duration::from_secs(1)).await;
        world.close(&id).expect("is there");
        advance(Duration::from_mins(1)).await;
        assert_eq!(
            world.books().done(1),
            [("create process", "timeout.exe /t 5")]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_output_file_is_there_when_its_program_has_ended() {
        let mut device = windows(1);
        device.endpoint.plant(r"C:\t", None, |_| {}).expect("legal");
        let world = world(vec![device]);
        let id = active(&world, 1).await;
        let order = Order::CreateProcess {
            line: "cmd.exe /c ping -n 3".into(),
            wait: false,
            working_directory: None,
            output_file: Some(r"C:\t\out.txt".into()),
        };
        let list = || Order::DirectoryList {
            path: r"C:\t\out.txt".into(),
        };
        world.post(&id, order).expect("is active");
        world.post(&id, list()).expect("is active");
        advance(Duration::from_secs(1)).await;
        assert_eq!(
            (word(&world, &id, 0), word(&world, &id, 1)),
            ("complete", "error")
        );
        advance(Duration::from_secs(3)).await;
        world.post(&id, list()).expect("is active");
        advance(Duration::from_secs(1)).await;
        assert_eq!(word(&world, &id, 2), "complete");
    }
}
