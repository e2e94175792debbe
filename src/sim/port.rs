//! The engine's ports on a [`World`], without HTTP: for runs in virtual time.
//!
//! Waiting is sleeping until the moment at which the world says that something changes; nothing is polled.

mod words;

use super::doors;
use super::endpoint::content::{Clip, Content};
use super::fault::port::struck;
use super::fault::route::Route;
use super::fault::{Event, Fate};
use super::manners::Manners;
use super::session::Status;
use super::view::Stage;
use super::world::{Missing, Refusal, World};
use crate::live::{
    Answer, Backend, DeviceQuery, Fleet, Listed, Ours, Session, Sink, Sought, WINDOW, sought,
};
use crate::model::command::{Command, Reply, SessionFacts};
use crate::model::device::Device;
use crate::model::id::{CommandId, DeviceId, FileId, SessionId};
use crate::model::outcome::{Cause, whole_seconds};
use crate::model::spent::Spent;
use crate::wire::Method;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{self, Instant};
use words::{order, shown};

/// Bytes handed to a sink at once.
const CHUNK: usize = 64 << 10;
/// While a command is waited for, the session is told so: three times within what it may idle.
const SIGN_OF_LIFE: Duration = Duration::from_mins(5);

/// An organisation's devices, straight from the world.
pub struct SimFleet {
    world: World,
    window: usize,
    spent: Arc<Meter>,
}

#[derive(Default)]
struct Meter {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Meter {
    fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn bytes(&self, count: usize) {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl SimFleet {
    pub fn new(world: World) -> Self {
        Self {
            world,
            window: WINDOW,
            spent: Arc::default(),
        }
    }

    /// With another number of commands under way at once.
    #[must_use]
    pub fn with_window(self, window: usize) -> Self {
        Self { window, ..self }
    }
}

impl Fleet for SimFleet {
    fn backend(&self) -> Backend {
        Backend {
            api: "v6".to_owned(),
            url: "http://sim.invalid".to_owned(),
            organisation: self.world.org_key().to_owned(),
            simulated: true,
        }
    }

    fn window(&self) -> usize {
        self.window
    }

    fn find(&self, query: DeviceQuery) -> Answer<'_, Vec<Device>> {
        Box::pin(async move {
            self.spent.request();
            Ok(doors::found(&self.world, |id, os| {
                let family = query.all_of.as_ref();
                query.ids.contains(&DeviceId(id))
                    || family.is_some_and(|all| all.is_empty() || all.contains(&os))
            }))
        })
    }

    fn request<'a>(&'a self, device: &'a Device, ours: &'a Ours) -> Answer<'a, Box<dyn Session>> {
        Box::pin(async move {
            self.spent.request();
            let event = Event::request(&self.world, device.id.0);
            let world = self.world.under(struck(&self.world, &event).await);
            let opened = world.open(device.id.0).map_err(|r| cause(&r))?;
            let view = opened.session;
            let is_asked_for =
                view.commands == 0 && ours.asked.is_some_and(|asked| asked <= view.created);
            let id = SessionId(view.id);
            let session = SimSession {
                world: self.world.clone(),
                spent: Arc::clone(&self.spent),
                joined: opened.existed && !is_asked_for && !ours.sessions.contains(&id),
                id,
            };
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }

    fn dismiss<'a>(&'a self, session: &'a SessionId) -> Answer<'a, ()> {
        Box::pin(async move {
            self.spent.request();
            match self.world.close(session.as_str()) {
                Ok(()) | Err(Refusal::NotFound(_)) => Ok(()),
                Err(refusal) => Err(cause(&refusal)),
            }
        })
    }

    fn spent(&self) -> Spent {
        Spent {
            requests: self.spent.requests.load(Ordering::Relaxed),
            bytes: self.spent.bytes.load(Ordering::Relaxed),
        }
    }

    fn is_struggling(&self) -> bool {
        false
    }
}

struct SimSession {
    world: World,
    spent: Arc<Meter>,
    joined: bool,
    id: SessionId,
}

impl SimSession {
    /// What goes wrong on purpose at a call of ours, by the request that it stands for.
    async fn meet(&self, method: Method, route: Route, command: Option<&str>) -> Fate {
        let at = (method, route);
        let event = Event::call(&self.world, at, self.id.as_str(), command);
        struck(&self.world, &event).await
    }
}

impl Session for SimSession {
    fn id(&self) -> SessionId {
        self.id.clone()
    }

    fn is_joined(&self) -> bool {
        self.joined
    }

    fn ready(&mut self, deadline: Instant) -> Answer<'_, SessionFacts> {
        Box::pin(async move {
            self.spent.request();
            self.meet(Method::Get, Route::SESSION, None).await;
            let begun = Instant::now();
            let never = || Cause::NeverCheckedIn {
                seconds: whole_seconds(Instant::now() - begun),
            };
            loop {
                let view = self.world.session(self.id.as_str()).map_err(|r| lost(&r))?;
                match (view.status, view.checked_in) {
                    (Status::Active, Some(known)) => {
                        return Ok(SessionFacts {
                            drives: known.drives.into_iter().map(Into::into).collect(),
                            working_directory: known.cwd.into(),
                            supported_commands: known
                                .supported
                                .into_iter()
                                .map(str::to_owned)
                                .collect(),
                        });
                    }
                    (Status::Pending, _) => {
                        wait(view.next_change, deadline).await.ok_or_else(never)?;
                    }
                    _ => return Err(never()),
                }
            }
        })
    }

    fn issue<'a>(&'a mut self, command: &'a Command) -> Answer<'a, CommandId> {
        Box::pin(async move {
            self.spent.request();
            let name = Some(command.name());
            let fate = self.meet(Method::Post, Route::COMMANDS, name).await;
            let posted = self
                .world
                .under(fate)
                .post(self.id.as_str(), order(command));
            posted.map(|view| CommandId(view.id)).map_err(|r| lost(&r))
        })
    }

    fn finish<'a>(
        &'a mut self,
        command: &'a Command,
        id: CommandId,
        deadline: Instant,
    ) -> Answer<'a, Reply> {
        Box::pin(async move {
            self.spent.request();
            let name = Some(command.name());
            self.meet(Method::Get, Route::COMMAND, name).await;
            let begun = Instant::now();
            loop {
                let view = self
                    .world
                    .command(self.id.as_str(), id.0)
                    .map_err(|r| lost(&r))?;
                match &view.stage {
                    Stage::Pending | Stage::Running => {
                        let late = || Cause::CommandTimeout {
                            seconds: whole_seconds(Instant::now() - begun),
                        };
                        let sign = Instant::now() + SIGN_OF_LIFE;
                        let next = view.next_change.map_or(sign, |change| change.min(sign));
                        wait(Some(next), deadline).await.ok_or_else(late)?;
                        if next == sign {
                            self.spent.request();
                            let kept = self.world.keep_alive(self.id.as_str());
                            kept.map_err(|r| lost(&r))?;
                        }
                    }
                    Stage::Cancelled { .. } => return Err(Cause::CommandCancelled),
                    Stage::Ended {
                        outcome: Err(code), ..
                    } => return Err(Cause::Endpoint { code: code.0 }),
                    Stage::Ended {
                        outcome: Ok(result),
                        ..
                    } => {
                        let raw = doors::shapes::command(&view, Manners::default())
                            .to_string()
                            .into_bytes();
                        self.spent.bytes(raw.len());
                        return Ok(Reply {
                            session: self.id.clone(),
                            command: id,
                            result: shown(&view, result),
                            raw,
                        });
                    }
                }
            }
        })
    }

    fn seek<'a>(
        &'a mut self,
        command: &'a Command,
        known: &'a BTreeSet<CommandId>,
    ) -> Answer<'a, Sought> {
        Box::pin(async move {
            self.spent.request();
            self.meet(Method::Get, Route::COMMANDS, None).await;
            let views = self.world.commands(self.id.as_str());
            let views = views.map_err(|r| lost(&r))?;
            let listed: Vec<Listed> = views
                .iter()
                .map(|view| Listed {
                    id: CommandId(view.id),
                    name: view.order.name().to_owned(),
                    operand: None,
                })
                .collect();
            self.spent.request();
            self.meet(Method::Get, Route::SESSION, None).await;
            let view = self.world.session(self.id.as_str());
            let next = view.map_err(|r| lost(&r))?.commands;
            Ok(sought(command, known, &listed, next))
        })
    }

    fn cancel(&mut self, id: CommandId) -> Answer<'_, ()> {
        Box::pin(async move {
            self.spent.request();
            self.meet(Method::Delete, Route::COMMAND, None).await;
            self.world
                .cancel(self.id.as_str(), id.0)
                .map_err(|r| lost(&r))
        })
    }

    fn upload<'a>(
        &'a mut self,
        name: &'a str,
        content: Arc<[u8]>,
        _deadline: Instant,
    ) -> Answer<'a, FileId> {
        Box::pin(async move {
            self.spent.request();
            self.meet(Method::Post, Route::FILES, None).await;
            self.spent.bytes(content.len());
            let clip = Clip::whole(Content::Bytes(content));
            let stored = self.world.upload(self.id.as_str(), name, clip);
            stored
                .map(|file| FileId(file.id.uuid))
                .map_err(|r| lost(&r))
        })
    }

    fn announced<'a>(&'a mut self, file: &'a FileId) -> Answer<'a, Option<u64>> {
        Box::pin(async move {
            self.spent.request();
            self.meet(Method::Get, Route::FILE, None).await;
            let stored = self.world.file(self.id.as_str(), file.as_str());
            stored
                .map(|f| f.clip.map(|clip| clip.len()))
                .map_err(|r| lost(&r))
        })
    }

    fn content<'a>(
        &'a mut self,
        file: &'a FileId,
        sink: &'a mut dyn Sink,
        _deadline: Instant,
    ) -> Answer<'a, u64> {
        Box::pin(async move {
            self.spent.request();
            self.meet(Method::Get, Route::CONTENT, None).await;
            let clip = self.world.take_content(self.id.as_str(), file.as_str());
            let clip = clip.map_err(|r| lost(&r))?;
            sink.restart().map_err(|e| disk(&e))?;
            pour(&clip, sink, &self.spent)
        })
    }

    fn close(&mut self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.spent.request();
            self.meet(Method::Delete, Route::SESSION, None).await;
            match self.world.close(self.id.as_str()) {
                // What is gone need not be closed.
                Ok(()) | Err(Refusal::NotFound(_)) => Ok(()),
                Err(refusal) => Err(cause(&refusal)),
            }
        })
    }
}

fn pour(clip: &Clip, sink: &mut dyn Sink, spent: &Meter) -> Result<u64, Cause> {
    let mut poured = 0;
    while poured < clip.len() {
        let chunk = clip.read(poured, CHUNK);
        sink.write(&chunk).map_err(|e| disk(&e))?;
        spent.bytes(chunk.len());
        poured += chunk.len() as u64;
    }
    Ok(poured)
}

fn disk(error: &std::io::Error) -> Cause {
    Cause::Disk {
        detail: error.to_string(),
    }
}

/// Sleeps until `change`; none if the deadline comes first, and then it has passed.
async fn wait(change: Option<Instant>, deadline: Instant) -> Option<()> {
    let in_time = change.filter(|change| *change <= deadline);
    time::sleep_until(in_time.unwrap_or(deadline)).await;
    in_time.map(drop)
}

/// What a refusal means for a session that was there before.
fn lost(refusal: &Refusal) -> Cause {
    match refusal {
        Refusal::NotFound(Missing::Session(_)) => Cause::SessionLost,
        other => cause(other),
    }
}

fn cause(refusal: &Refusal) -> Cause {
    match refusal {
        Refusal::NotFound(Missing::Device(_)) => Cause::DeviceNotFound,
        Refusal::NotFound(_) => Cause::Rejected {
            status: 404,
            detail: refusal.to_string(),
        },
        Refusal::SessionLimit => Cause::SessionLimit,
        Refusal::LiveResponseOff(_) => Cause::LiveResponseOff,
        Refusal::NotActive(_) | Refusal::SessionExists(_) => Cause::Rejected {
            status: 409,
            detail: refusal.to_string(),
        },
        Refusal::CommandLimit(_) => Cause::Rejected {
            status: 400,
            detail: refusal.to_string(),
        },
        Refusal::Unsupported(name) => Cause::Unsupported {
            command: (*name).to_owned(),
        },
        Refusal::BadTicket => Cause::Forbidden {
            detail: refusal.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Buffer;
    use crate::model::command::CommandResult;
    use crate::model::device::Os;
    use crate::sim::device::SimDevice;
    use crate::sim::fleet::{Wanted, fleet};

    async fn device(fleet: &SimFleet, id: u64) -> Device {
        let query = DeviceQuery {
            ids: vec![DeviceId(id)],
            all_of: None,
        };
        fleet.find(query).await.expect("answers").remove(0)
    }

    async fn run(session: &mut dyn Session, command: &Command) -> Result<CommandResult, Cause> {
        let id = session.issue(command).await?;
        let deadline = Instant::now() + Duration::from_mins(1);
        Ok(session.finish(command, id, deadline).await?.result)
    }

    fn process(line: &str, output_file: Option<&str>) -> Command {
        Command::CreateProcess {
            command_line: line.to_owned(),
            wait: true,
            working_directory: None,
            output_file: output_file.map(str::to_owned),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_output_of_a_program_comes_back() {
        let world = World::new(fleet(
            1,
            &Wanted {
                os: vec![Os::Windows],
                ..Wanted::default()
            },
            1,
        ));
        let fleet = SimFleet::new(world.clone());
        let all = DeviceQuery {
            ids: vec![],
            all_of: Some(vec![Os::Windows]),
        };
        let found = fleet.find(all).await.expect("answers");
        let begun = Instant::now();
        let mut session = fleet
            .request(&found[0], &Ours::default())
            .await
            .expect("opens");
        assert!(!session.is_joined());
        let facts = session
            .ready(begun + Duration::from_secs(5))
            .await
            .expect("checks in");
        assert_eq!(facts.drives[0].raw(), r"C:\");
        assert_eq!(
            begun.elapsed(),
            Duration::from_millis(100),
            "no polling, no rounding"
        );

        let out = r"C:\Windows\Temp\o.txt";
        let ended = run(&mut *session, &process("cmd.exe /c exit 3", None)).await;
        assert!(matches!(
            ended,
            Ok(CommandResult::Started {
                return_code: Some(3),
                ..
            })
        ));
        run(&mut *session, &process("whoami.exe", Some(out)))
            .await
            .expect("runs");
        let get = Command::GetFile {
            path: out.into(),
            offset: 0,
            count: None,
        };
        let Ok(CommandResult::File(file)) = run(&mut *session, &get).await else {
            panic!("a file is there");
        };
        let mut sink = Buffer {
            bytes: vec![],
            limit: 100,
        };
        let announced = session.announced(&file).await.expect("is known");
        let received = session
            .content(&file, &mut sink, begun)
            .await
            .expect("comes");
        assert_eq!((announced, received), (Some(21), 21));
        assert_eq!(sink.bytes, b"nt authority\\system\r\n");
        let missing = Command::RegEnumKey {
            path: r"HKLM\nothing".into(),
        };
        let refused = run(&mut *session, &missing).await.map(drop);
        assert_eq!(refused, Err(Cause::Endpoint { code: 0x8007_0002 }));

        session.close().await.expect("closes");
        let lost = run(&mut *session, &Command::ProcessList).await.map(drop);
        assert_eq!(lost, Err(Cause::SessionLost));
        session
            .close()
            .await
            .expect("what is gone need not be closed");
        assert_eq!(world.books().sessions_open, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_lives_as_long_as_its_command_is_waited_for() {
        let world = World::new(vec![SimDevice::new(1, "on", Os::Windows)]);
        let fleet = SimFleet::new(world);
        let mut session = fleet
            .request(&device(&fleet, 1).await, &Ours::default())
            .await
            .expect("opens");
        let begun = Instant::now();
        session
            .ready(begun + Duration::from_secs(1))
            .await
            .expect("checks in");
        let slow = process("timeout.exe /t 3000", None);
        let id = session.issue(&slow).await.expect("accepted");
        let ended = session
            .finish(&slow, id, begun + Duration::from_secs(5000))
            .await;
        assert_eq!(ended.map(drop), Ok(()));
        assert_eq!(begun.elapsed().as_secs(), 3000);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_at_the_deadline() {
        let world = World::new(vec![
            SimDevice::new(1, "off", Os::Windows).offline(),
            SimDevice::new(2, "on", Os::Windows),
            SimDevice::new(3, "no", Os::Windows).live_response_off(),
        ]);
        let fleet = SimFleet::new(world);
        let begun = Instant::now();
        let mut offline = fleet
            .request(&device(&fleet, 1).await, &Ours::default())
            .await
            .expect("opens");
        let never = offline
            .ready(begun + Duration::from_mins(2))
            .await
            .map(drop);
        assert_eq!(never, Err(Cause::NeverCheckedIn { seconds: 120 }));
        assert_eq!(begun.elapsed(), Duration::from_mins(2));
        let never = offline
            .ready(begun + Duration::from_secs(5000))
            .await
            .map(drop);
        assert_eq!(never, Err(Cause::NeverCheckedIn { seconds: 780 }));

        let refused = fleet
            .request(&device(&fleet, 3).await, &Ours::default())
            .await
            .err();
        assert_eq!(refused, Some(Cause::LiveResponseOff));

        let mut session = fleet
            .request(&device(&fleet, 2).await, &Ours::default())
            .await
            .expect("opens");
        session
            .ready(Instant::now() + Duration::from_secs(1))
            .await
            .expect("checks in");
        let slow = process("timeout.exe /t 30", None);
        let first = session.issue(&slow).await.expect("accepted");
        let second = session
            .issue(&Command::ProcessList)
            .await
            .expect("accepted");
        let deadline = Instant::now() + Duration::from_secs(10);
        let late = session.finish(&slow, first, deadline).await.map(drop);
        assert_eq!(late, Err(Cause::CommandTimeout { seconds: 10 }));
        session.cancel(second).await.expect("is pending");
        let taken_back = session
            .finish(&Command::ProcessList, second, deadline)
            .await
            .map(drop);
        assert_eq!(taken_back, Err(Cause::CommandCancelled));
        assert!(
            fleet
                .request(&device(&fleet, 2).await, &Ours::default())
                .await
                .expect("shared")
                .is_joined()
        );
    }
}
