//! The simulator's port with things going wrong at chosen calls.

use sortie::live::{Answer, Backend, DeviceQuery, Fleet, Ours, Session, Sink, Sought};
use sortie::model::command::{Command, Reply, SessionFacts};
use sortie::model::device::Device;
use sortie::model::id::{CommandId, FileId, SessionId};
use sortie::model::outcome::Cause;
use sortie::model::spent::Spent;
use sortie::sim::port::SimFleet;
use sortie::sim::world::World;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Request,
    Ready,
    Issue,
    Seek,
    Finish,
    Upload,
    Announced,
    Content,
    Close,
}

/// One call at the port.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) device: u64,
    pub(crate) op: Op,
    /// Counts the calls of this kind for this device, from 1.
    pub(crate) nth: usize,
    /// Name of the command, where there is one.
    pub(crate) command: &'a str,
}

#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It fails and nothing happens.
    Before(Cause),
    /// It happens, and the answer is this.
    After(Cause),
    /// The session is gone when the call arrives.
    Lose,
    Hang,
    Panic,
}

type Rule = Arc<dyn Fn(&Call<'_>) -> Option<Fault> + Send + Sync>;

#[derive(Clone)]
struct Judge {
    world: World,
    rule: Rule,
    seen: Arc<Mutex<HashMap<(u64, Op), usize>>>,
}

impl Judge {
    async fn pass<T>(
        &self,
        device: u64,
        (op, command): (Op, &str),
        session: Option<SessionId>,
        call: impl Future<Output = Result<T, Cause>>,
    ) -> Result<T, Cause> {
        let nth = {
            let mut seen = self.seen.lock().expect("no panic within");
            let count = seen.entry((device, op)).or_default();
            *count += 1;
            *count
        };
        let fault = (self.rule)(&Call {
            device,
            op,
            nth,
            command,
        });
        match fault {
            None => call.await,
            Some(Fault::Before(cause)) => Err(cause),
            Some(Fault::After(cause)) => call.await.and(Err(cause)),
            Some(Fault::Lose) => {
                let id = session.expect("a session is there to be lost");
                self.world.close(id.as_str()).expect("it is open");
                call.await
            }
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Panic) => panic!("planted in {op:?}"),
        }
    }
}

pub(crate) struct Faulty {
    inner: SimFleet,
    judge: Judge,
    struggles: bool,
    grants_after: Duration,
}

impl Faulty {
    pub(crate) fn new(
        world: &World,
        rule: impl Fn(&Call<'_>) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner: SimFleet::new(world.clone()),
            judge: Judge {
                world: world.clone(),
                rule: Arc::new(rule),
                seen: Arc::default(),
            },
            struggles: false,
            grants_after: Duration::ZERO,
        }
    }

    /// Its backend never recovers.
    pub(crate) fn struggling(mut self) -> Self {
        self.struggles = true;
        self
    }

    /// The answer to a request for a session takes so long to arrive.
    pub(crate) fn granting_after(mut self, delay: Duration) -> Self {
        self.grants_after = delay;
        self
    }
}

impl Fleet for Faulty {
    fn backend(&self) -> Backend {
        self.inner.backend()
    }

    fn window(&self) -> usize {
        self.inner.window()
    }

    fn find(&self, query: DeviceQuery) -> Answer<'_, Vec<Device>> {
        self.inner.find(query)
    }

    fn request<'a>(&'a self, device: &'a Device, ours: &'a Ours) -> Answer<'a, Box<dyn Session>> {
        Box::pin(async move {
            let id = device.id.0;
            let request = async {
                let session = self.inner.request(device, ours).await?;
                tokio::time::sleep(self.grants_after).await;
                Ok(session)
            };
            let inner = self
                .judge
                .pass(id, (Op::Request, ""), None, request)
                .await?;
            let judge = self.judge.clone();
            Ok(Box::new(FaultySession {
                inner,
                judge,
                device: id,
            }) as Box<dyn Session>)
        })
    }

    fn dismiss<'a>(&'a self, session: &'a SessionId) -> Answer<'a, ()> {
        self.inner.dismiss(session)
    }

    fn spent(&self) -> Spent {
        self.inner.spent()
    }

    fn is_struggling(&self) -> bool {
        self.struggles
    }
}

struct FaultySession {
    inner: Box<dyn Session>,
    judge: Judge,
    device: u64,
}

impl Session for FaultySession {
    fn id(&self) -> SessionId {
        self.inner.id()
    }

    fn is_joined(&self) -> bool {
        self.inner.is_joined()
    }

    fn ready(&mut self, deadline: Instant) -> Answer<'_, SessionFacts> {
        let id = Some(self.id());
        Box::pin(
            self.judge
                .pass(self.device, (Op::Ready, ""), id, self.inner.ready(deadline)),
        )
    }

    fn issue<'a>(&'a mut self, command: &'a Command) -> Answer<'a, CommandId> {
        let (id, call) = (Some(self.id()), (Op::Issue, command.name()));
        Box::pin(
            self.judge
                .pass(self.device, call, id, self.inner.issue(command)),
        )
    }

    fn finish<'a>(
        &'a mut self,
        command: &'a Command,
        number: CommandId,
        deadline: Instant,
    ) -> Answer<'a, Reply> {
        let (id, call) = (Some(self.id()), (Op::Finish, command.name()));
        let finish = self.inner.finish(command, number, deadline);
        Box::pin(self.judge.pass(self.device, call, id, finish))
    }

    fn seek<'a>(
        &'a mut self,
        command: &'a Command,
        known: &'a BTreeSet<CommandId>,
    ) -> Answer<'a, Sought> {
        let (id, call) = (Some(self.id()), (Op::Seek, command.name()));
        Box::pin(
            self.judge
                .pass(self.device, call, id, self.inner.seek(command, known)),
        )
    }

    fn cancel(&mut self, id: CommandId) -> Answer<'_, ()> {
        self.inner.cancel(id)
    }

    fn upload<'a>(
        &'a mut self,
        name: &'a str,
        content: Arc<[u8]>,
        deadline: Instant,
    ) -> Answer<'a, FileId> {
        let id = Some(self.id());
        let upload = self.inner.upload(name, content, deadline);
        Box::pin(self.judge.pass(self.device, (Op::Upload, ""), id, upload))
    }

    fn announced<'a>(&'a mut self, file: &'a FileId) -> Answer<'a, Option<u64>> {
        let id = Some(self.id());
        Box::pin(self.judge.pass(
            self.device,
            (Op::Announced, ""),
            id,
            self.inner.announced(file),
        ))
    }

    fn content<'a>(
        &'a mut self,
        file: &'a FileId,
        sink: &'a mut dyn Sink,
        deadline: Instant,
    ) -> Answer<'a, u64> {
        let id = Some(self.id());
        let content = self.inner.content(file, sink, deadline);
        Box::pin(self.judge.pass(self.device, (Op::Content, ""), id, content))
    }

    fn close(&mut self) -> Answer<'_, ()> {
        let id = Some(self.id());
        Box::pin(
            self.judge
                .pass(self.device, (Op::Close, ""), id, self.inner.close()),
        )
    }
}
