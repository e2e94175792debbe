//! One Live Response conversation in Carbon Black Cloud.
//!
//! It waits and looks; it never issues a command that may change something twice when the first may
//! have arrived, and never opens another session for a lost one.

mod looks;

use super::dialect::cloud_v6::{LARGEST_COMMAND, answer};
use super::dialect::refusal::{self, Asked};
use super::dialect::{SessionStatus, SessionView};
use super::fleet::Shared;
use super::pace::Repeat;
use super::transport::{Download, Source};
use crate::clock;
use crate::live::{Answer, Session, Sink, Sought, sought};
use crate::model::command::{Command, Reply, SessionFacts};
use crate::model::device::Os;
use crate::model::effect::Reached;
use crate::model::id::{CommandId, FileId, SessionId};
use crate::model::outcome::{Cause, whole_seconds};
use crate::wire::{Request, Response};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// What the service gives a session that says nothing of it.
const IDLE_LIMIT: Duration = Duration::from_mins(15);
/// Random characters of a form's boundary: so many stand in no file by accident.
const BOUNDARY: usize = 32;

pub(super) struct LiveSession {
    shared: Arc<Shared>,
    id: SessionId,
    os: Os,
    is_joined: bool,
    opened: Instant,
    view: SessionView,
    /// Commands that were handed over and have not been asked for, in the order in which they run.
    issued: BTreeMap<CommandId, Issued>,
    /// How commands ended that we looked at for the sake of those before them.
    ended: HashMap<CommandId, Result<Reply, Cause>>,
    /// The newest that has ended; all before it have too, unless the sensor minds no order.
    over: Option<CommandId>,
    is_orderly: bool,
    /// When the command before was seen to have ended: the next one began no earlier.
    last_end: Option<Instant>,
    /// When the service last had a reason to keep the session.
    last_sign: Instant,
}

/// A command under way.
#[derive(Clone)]
struct Issued {
    command: Command,
    at: Instant,
}

impl LiveSession {
    pub(super) fn new(shared: Arc<Shared>, view: SessionView, os: Os, is_joined: bool) -> Self {
        let now = Instant::now();
        Self {
            shared,
            id: view.id.clone(),
            os,
            is_joined,
            opened: now,
            view,
            issued: BTreeMap::new(),
            ended: HashMap::new(),
            over: None,
            is_orderly: true,
            last_end: None,
            last_sign: now,
        }
    }

    async fn await_active(&mut self) -> Result<SessionFacts, Cause> {
        let Shared {
            api, pace, watch, ..
        } = &*self.shared;
        if self.view.status != SessionStatus::Active {
            self.view = watch.until_active(pace, api, &self.id, self.opened).await?;
        }
        if self.view.facts == SessionFacts::default() {
            // A list may leave the particulars out. Without them one works too.
            let read = |response: &_| answer::session(response, Asked::Session);
            let sent = pace.send(api.session(&self.id), Repeat::Always, read).await;
            if let Ok(view) = sent.result
                && view.status == SessionStatus::Active
            {
                self.view = view;
            }
        }
        self.last_sign = Instant::now();
        Ok(self.view.facts.clone())
    }

    async fn hand_over(&mut self, command: &Command) -> Result<CommandId, Cause> {
        let supported = &self.view.facts.supported_commands;
        if !supported.is_empty() && !supported.iter().any(|name| name == command.name()) {
            return Err(Cause::Unsupported {
                command: command.name().into(),
            });
        }
        let Shared { api, pace, .. } = &*self.shared;
        let request = api.command(&self.id, command);
        if request.body.len() > LARGEST_COMMAND {
            return Err(Cause::Rejected {
                status: 413,
                detail: format!("a command of {} bytes, 10 KB at most", request.body.len()),
            });
        }
        let repeat = if command.is_read() {
            Repeat::Always
        } else {
            Repeat::Unreached
        };
        let sent = pace.send(request, repeat, answer::issued).await;
        let id = sent.result?;
        let now = Instant::now();
        let command = command.clone();
        self.issued.insert(id, Issued { command, at: now });
        self.last_sign = now;
        Ok(id)
    }

    async fn finish_by(
        &mut self,
        command: &Command,
        id: CommandId,
        deadline: Instant,
    ) -> Result<Reply, Cause> {
        if let Some(ended) = self.ended.remove(&id) {
            self.issued.remove(&id);
            return ended;
        }
        let begun = Instant::now();
        let mut trouble = None;
        let keeper = self.keep_alive();
        let looking = self.look_until_ended(command, id, deadline, &mut trouble);
        let ended = tokio::select! {
            ended = timeout_at(deadline, looking) => ended,
            never = keeper => match never {},
        };
        let Ok(result) = ended else {
            return Err(match trouble {
                // A cause that says "not reached" would be about our look, and not about the command.
                Some(cause) if cause.reached() == Reached::No => Cause::ConnectionLost {
                    detail: cause.summary(),
                },
                Some(cause) => cause,
                None => late(begun, deadline),
            });
        };
        let has_ended = match &result {
            Ok(_) => true,
            Err(cause) => matches!(cause, Cause::Endpoint { .. } | Cause::CommandCancelled),
        };
        if has_ended {
            let now = Instant::now();
            self.issued.remove(&id);
            if self.over < Some(id) {
                self.last_end = Some(now);
            }
            self.last_sign = now;
        }
        result
    }

    /// Tells the service every now and then that the session is in use, as long as it is polled.
    fn keep_alive(&self) -> impl Future<Output = Infallible> + use<> {
        let shared = Arc::clone(&self.shared);
        let id = self.id.clone();
        let every = self.view.idle_limit.unwrap_or(IDLE_LIMIT) / 3;
        let mut next = self.last_sign + every;
        async move {
            loop {
                sleep_until(next).await;
                let read = |response: &_| refusal::check(response, Asked::Session);
                let request = shared.api.keep_alive(&id);
                // If it fails, what it was sent beside will say why.
                drop(shared.pace.send(request, Repeat::Never, read).await);
                next = Instant::now() + every;
            }
        }
    }

    async fn ask<T>(
        &self,
        request: Request,
        read: impl Fn(&Response) -> Result<T, Cause>,
    ) -> Result<T, Cause> {
        let pace = &self.shared.pace;
        pace.send(request, Repeat::Always, read).await.result
    }
}

/// Fetches a file, from its beginning if need be several times.
async fn fetch(
    shared: &Shared,
    id: &SessionId,
    file: &FileId,
    sink: &mut dyn Sink,
) -> Result<u64, Cause> {
    let mut tries = shared.pace.tries(Repeat::Always);
    loop {
        match fetch_once(shared, id, file, sink).await {
            Ok(received) => {
                tries.succeeded();
                return Ok(received);
            }
            Err(cause) => tries.again(cause).await?,
        }
    }
}

async fn fetch_once(
    shared: &Shared,
    id: &SessionId,
    file: &FileId,
    sink: &mut dyn Sink,
) -> Result<u64, Cause> {
    let Shared { api, pace, .. } = shared;
    let request = Source::Api(api.content(id, file));
    let refused = match pace.download(request, sink).await? {
        Download::Whole { received } => return Ok(received),
        Download::Refused(response) => response,
    };
    let is_pointer = matches!(refused.status, 301 | 302 | 303 | 307 | 308);
    let Some(location) = refused.header("location").filter(|_| is_pointer) else {
        refusal::check(&refused, Asked::File)?;
        return Err(not_a_store("the file's route", refused.status));
    };
    match pace
        .download(Source::Signed(location.to_owned()), sink)
        .await?
    {
        Download::Whole { received } => Ok(received),
        // A signed address runs out: asking the API again gives a new one. It says nothing of our
        // token, and must not look as if it did.
        Download::Refused(response) if (400..500).contains(&response.status) => {
            Err(not_a_store("the file store", response.status))
        }
        Download::Refused(response) => {
            refusal::check(&response, Asked::File)?;
            Err(not_a_store("the file store", response.status))
        }
    }
}

/// What was begun then was not over by the deadline.
fn late(begun: Instant, deadline: Instant) -> Cause {
    Cause::CommandTimeout {
        seconds: whole_seconds(deadline.saturating_duration_since(begun)),
    }
}

fn not_a_store(who: &str, status: u16) -> Cause {
    Cause::BadAnswer {
        detail: format!("{who} answered {status}"),
    }
}

impl Session for LiveSession {
    fn id(&self) -> SessionId {
        self.id.clone()
    }

    fn is_joined(&self) -> bool {
        self.is_joined
    }

    fn ready(&mut self, deadline: Instant) -> Answer<'_, SessionFacts> {
        Box::pin(async move {
            let begun = Instant::now();
            match timeout_at(deadline, self.await_active()).await {
                Ok(result) => result,
                Err(_) => Err(Cause::NeverCheckedIn {
                    seconds: whole_seconds(deadline.saturating_duration_since(begun)),
                }),
            }
        })
    }

    fn issue<'a>(&'a mut self, command: &'a Command) -> Answer<'a, CommandId> {
        Box::pin(self.hand_over(command))
    }

    fn finish<'a>(
        &'a mut self,
        command: &'a Command,
        id: CommandId,
        deadline: Instant,
    ) -> Answer<'a, Reply> {
        Box::pin(self.finish_by(command, id, deadline))
    }

    fn seek<'a>(
        &'a mut self,
        command: &'a Command,
        known: &'a BTreeSet<CommandId>,
    ) -> Answer<'a, Sought> {
        Box::pin(async move {
            let Shared { api, .. } = &*self.shared;
            let listed = self.ask(api.commands(&self.id), answer::commands).await?;
            let next = self
                .ask(api.session(&self.id), answer::next_command)
                .await?;
            let found = sought(command, known, &listed, next);
            if let Sought::There(id) = found {
                let (command, at) = (command.clone(), Instant::now());
                self.issued.insert(id, Issued { command, at });
            }
            Ok(found)
        })
    }

    fn cancel(&mut self, id: CommandId) -> Answer<'_, ()> {
        Box::pin(async move {
            self.issued.remove(&id);
            if self.ended.remove(&id).is_some() || self.over >= Some(id) {
                return Ok(());
            }
            let request = self.shared.api.cancel(&self.id, id);
            self.ask(request, |response| refusal::check(response, Asked::Session))
                .await
        })
    }

    fn upload<'a>(
        &'a mut self,
        name: &'a str,
        content: Arc<[u8]>,
        deadline: Instant,
    ) -> Answer<'a, FileId> {
        Box::pin(async move {
            let begun = Instant::now();
            let boundary = format!("sortie-{}", clock::nonce(BOUNDARY));
            let request = self.shared.api.upload(&self.id, name, content, &boundary);
            // A file that lies in the store twice does nobody harm.
            let uploading = self.ask(request, answer::uploaded);
            let uploaded = tokio::select! {
                uploaded = timeout_at(deadline, uploading) => uploaded,
                never = self.keep_alive() => match never {},
            };
            if uploaded.is_ok() {
                self.last_sign = Instant::now();
            }
            uploaded.unwrap_or_else(|_| Err(late(begun, deadline)))
        })
    }

    fn announced<'a>(&'a mut self, file: &'a FileId) -> Answer<'a, Option<u64>> {
        Box::pin(async move {
            let request = self.shared.api.file(&self.id, file);
            self.ask(request, answer::file_size).await
        })
    }

    fn content<'a>(
        &'a mut self,
        file: &'a FileId,
        sink: &'a mut dyn Sink,
        deadline: Instant,
    ) -> Answer<'a, u64> {
        Box::pin(async move {
            let begun = Instant::now();
            let fetching = fetch(&self.shared, &self.id, file, sink);
            let fetched = tokio::select! {
                fetched = timeout_at(deadline, fetching) => fetched,
                never = self.keep_alive() => match never {},
            };
            fetched.unwrap_or_else(|_| Err(late(begun, deadline)))
        })
    }

    fn close(&mut self) -> Answer<'_, ()> {
        Box::pin(async move {
            let Shared { api, pace, .. } = &*self.shared;
            let read = |response: &_| refusal::check(response, Asked::Session);
            let sent = pace.send(api.close(&self.id), Repeat::Always, read).await;
            match sent.result {
                // An earlier try of ours has closed it.
                Err(Cause::SessionLost) if sent.is_doubted => Ok(()),
                result => result,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fleet::ApiFleet;
    use crate::api::scripted::{FREE, Log, Scripted, backend, count, ok, status};
    use crate::live::{Buffer, Fleet, Ours};
    use crate::model::command::CommandResult;
    use crate::model::device::sample;
    use crate::wire::Response;
    use serde_json::{Value, json};

    type Script = Box<dyn FnMut(&str, Duration) -> Result<Response, Cause> + Send>;

    /// A session over a script that need not care for opening.
    async fn session(word: &'static str, mut script: Script) -> (Box<dyn Session>, ApiFleet, Log) {
        let (transport, log) = Scripted::new(move |what, at| {
            if what == "POST /sessions" {
                return ok(&view(word));
            }
            script(what, at)
        });
        let fleet = ApiFleet::over(transport, backend(), FREE);
        let session = fleet
            .request(&sample(5, "h", Os::Windows), &Ours::default())
            .await;
        (session.expect("opens"), fleet, log)
    }

    async fn session_knowing_all(mut script: Script) -> (Box<dyn Session>, ApiFleet, Log) {
        let (transport, log) = Scripted::new(move |what, at| match what {
            "POST /sessions" => ok(&json!({"id": "1:5", "status": "PENDING"})),
            what => script(what, at),
        });
        let fleet = ApiFleet::over(transport, backend(), FREE);
        let session = fleet
            .request(&sample(5, "h", Os::Windows), &Ours::default())
            .await;
        (session.expect("opens"), fleet, log)
    }

    fn view(word: &str) -> Value {
        let commands = ["process list", "get file"];
        json!({"id": "1:5", "status": word, "session_timeout": 90, "drives": ["C:\\"],
               "supported_commands": commands})
    }

    fn after(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    /// A command that runs until so many seconds after the start.
    fn until(seconds: u64) -> Script {
        Box::new(move |what, at| match what {
            "POST /sessions/1:5/commands" => ok(&json!({"id": 0, "status": "PENDING"})),
            "GET /sessions/1:5/commands/0" if at < Duration::from_secs(seconds) => {
                ok(&json!({"id": 0, "status": "IN PROGRESS"}))
            }
            "GET /sessions/1:5/commands/0" => ok(&json!({"id": 0, "status": "COMPLETE"})),
            "GET /sessions/1:5/keepalive" => status(204),
            other => panic!("{other}"),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_sensor_has_an_end() {
        type Case = (fn(&str) -> Result<Response, Cause>, Cause);
        let table: [Case; 6] = [
            (
                |_| ok(&json!([view("PENDING")])),
                Cause::NeverCheckedIn { seconds: 60 },
            ),
            (|_| ok(&json!([view("TIMEOUT")])), Cause::SessionLost),
            (|_| status(401), Cause::Unauthorized),
            (|_| status(500), Cause::NeverCheckedIn { seconds: 60 }),
            // Not listed, then asked for alone.
            (
                |what| {
                    if what.contains("1:5") {
                        status(404)
                    } else {
                        ok(&json!([]))
                    }
                },
                Cause::SessionLost,
            ),
            (
                |what| {
                    if what.contains("1:5") {
                        ok(&view("CLOSED"))
                    } else {
                        status(405)
                    }
                },
                Cause::SessionLost,
            ),
        ];
        for (script, expected) in table {
            let (mut session, _, log) =
                session("PENDING", Box::new(move |what, _| script(what))).await;
            assert_eq!(session.ready(after(60)).await, Err(expected));
            assert!(log.lock().expect("no panic").len() < 100);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_is_refused_is_asked_once() {
        let script = Box::new(|what: &str, at: Duration| match what {
            "GET /sessions" => status(403),
            _ if at < Duration::from_secs(20) => ok(&view("PENDING")),
            _ => ok(&view("ACTIVE")),
        });
        let (mut session, _, log) = session("PENDING", script).await;
        let facts = session.ready(after(60)).await.expect("checks in");
        assert_eq!(facts.drives, ["C:\\".into()]);
        assert_eq!(
            count(&log, "GET /sessions/1:5"),
            count(&log, "GET /sessions") - 1
        );
        assert!(count(&log, "GET /sessions/1:5") <= 8);
    }

    #[tokio::test(start_paused = true)]
    async fn looks_follow_what_the_kind_took_before() {
        let mut began = Duration::ZERO;
        let script = Box::new(move |what: &str, at: Duration| match what {
            "POST /sessions/1:5/commands" => {
                began = at;
                ok(&json!({"id": 0, "status": "PENDING"}))
            }
            "GET /sessions/1:5/keepalive" => status(204),
            _ if at < began + Duration::from_secs(3) => ok(&json!({"status": "PENDING"})),
            _ => ok(&json!({"status": "COMPLETE", "processes": []})),
        });
        let (mut session, _, log) = session("ACTIVE", script).await;
        session.ready(after(1)).await.expect("is active");
        let mut looks = Vec::new();
        for _ in 0..20 {
            let before = count(&log, "GET /sessions/1:5/commands");
            let id = session
                .issue(&Command::ProcessList)
                .await
                .expect("takes it");
            let reply = session.finish(&Command::ProcessList, id, after(120)).await;
            assert_eq!(
                reply.expect("ends").result,
                CommandResult::Processes(Vec::new())
            );
            looks.push(count(&log, "GET /sessions/1:5/commands") - before);
        }
        assert!(looks[0] <= 6, "{looks:?}");
        let learnt: usize = looks[1..].iter().sum();
        assert!(learnt <= 19 * 2, "{looks:?}");
    }

    /// A sensor that takes so long for each of its commands, one after the other, and ends the one with this
    /// number at once.
    fn sensor(each: Duration, hasty: Option<u64>) -> Script {
        let mut posted: Vec<Duration> = Vec::new();
        let mut free = Duration::ZERO;
        Box::new(move |what, at| {
            if what == "POST /sessions/1:5/commands" {
                free = free.max(at) + each;
                posted.push(free);
                return ok(&json!({"id": posted.len() - 1, "status": "PENDING"}));
            }
            let Some((_, number)) = what.split_once("commands/") else {
                return status(204);
            };
            let number: usize = number.parse().expect("a number");
            let is_over = at >= posted[number] || hasty == Some(number as u64);
            let word = if is_over { "COMPLETE" } else { "PENDING" };
            ok(&json!({"status": word, "processes": []}))
        })
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_under_way_only_the_newest_is_looked_at() {
        let (mut session, _, log) =
            session("ACTIVE", sensor(Duration::from_millis(300), None)).await;
        session.ready(after(1)).await.expect("is active");
        let command = &Command::ProcessList;
        for round in 0..5 {
            let mut ids = Vec::new();
            for _ in 0..4 {
                ids.push(session.issue(command).await.expect("takes it"));
            }
            let before = count(&log, "GET /sessions/1:5/commands");
            for id in ids {
                let reply = session.finish(command, id, after(60)).await;
                assert_eq!(reply.expect("ends").command, id);
            }
            let looks = count(&log, "GET /sessions/1:5/commands") - before;
            assert!(looks <= if round == 0 { 12 } else { 5 }, "{round}: {looks}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_to_have_ended_is_not_taken_back() {
        let (mut session, _, log) =
            session("ACTIVE", sensor(Duration::from_millis(300), None)).await;
        session.ready(after(1)).await.expect("is active");
        let command = &Command::ProcessList;
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(session.issue(command).await.expect("takes it"));
        }
        tokio::time::advance(Duration::from_secs(5)).await;
        let first = session.finish(command, ids[0], after(60)).await;
        first.expect("ends");
        for id in &ids[1..] {
            session.cancel(*id).await.expect("there is nothing to do");
        }
        let taken_back = || count(&log, "DELETE /sessions/1:5/commands");
        assert_eq!(taken_back(), 0);
        let late = session.issue(command).await.expect("takes it");
        session.cancel(late).await.expect("it still waits");
        assert_eq!(taken_back(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sensor_that_minds_no_order_is_asked_of_each() {
        let (mut session, _, _) = session("ACTIVE", sensor(Duration::from_secs(1), Some(3))).await;
        session.ready(after(1)).await.expect("is active");
        let command = &Command::ProcessList;
        let begun = Instant::now();
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(session.issue(command).await.expect("takes it"));
        }
        for (id, seconds) in ids.into_iter().zip([1, 2, 3, 3]) {
            let reply = session.finish(command, id, after(60)).await;
            assert_eq!(reply.expect("ends").command, id);
            assert!(begun.elapsed() >= Duration::from_secs(seconds));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_command_keeps_its_session_alive() {
        let (mut session, _, log) = session("ACTIVE", until(3_600)).await;
        let id = session
            .issue(&Command::ProcessList)
            .await
            .expect("takes it");
        let reply = session
            .finish(&Command::ProcessList, id, after(7_200))
            .await;
        assert!(reply.is_ok(), "{reply:?}");
        // Every third of 90 s.
        let signs = count(&log, "GET /sessions/1:5/keepalive");
        assert!((119..=121).contains(&signs), "{signs}");
        // 3,600 s at 5 s each, plus the first ones.
        assert!(count(&log, "GET /sessions/1:5/commands") < 740);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trouble_while_looking_does_not_undo_the_command() {
        let refused = || {
            Err(Cause::Unconnected {
                host: "h".into(),
                detail: "refused".into(),
            })
        };
        for (recovers, is_ok) in [(60, true), (100_000, false)] {
            let mut script = until(0);
            let script = Box::new(move |what: &str, at: Duration| {
                let is_out = what.starts_with("GET") && at < Duration::from_secs(recovers);
                if is_out { refused() } else { script(what, at) }
            });
            let (mut session, _, log) = session("ACTIVE", script).await;
            let id = session
                .issue(&Command::ProcessList)
                .await
                .expect("takes it");
            let reply = session.finish(&Command::ProcessList, id, after(600)).await;
            match reply {
                Ok(_) => assert!(is_ok),
                // Whoever repeats by this cause must see that it may have run.
                Err(cause) => assert!(!is_ok && cause.reached() == Reached::Maybe, "{cause:?}"),
            }
            assert_eq!(count(&log, "POST /sessions/1:5/commands"), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_read_is_handed_over_again_after_a_doubt() {
        let delete = Command::DeleteFile {
            path: "C:\\x".into(),
        };
        for (command, posts) in [(Command::ProcessList, 2), (delete, 1)] {
            let mut first = Some(Cause::NoAnswer { seconds: 60 });
            let script = Box::new(move |_: &str, _: Duration| match first.take() {
                Some(cause) => Err(cause),
                None => ok(&json!({"id": 1})),
            });
            let (mut session, _, log) = session_knowing_all(script).await;
            assert_eq!(session.issue(&command).await.is_ok(), posts == 2);
            assert_eq!(count(&log, "POST /sessions/1:5/commands"), posts);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_command_is_told_by_list_and_count_together() {
        let delete = |path: &str| Command::DeleteFile { path: path.into() };
        let listed = |id: u64, path: &str| json!({"id": id, "name": "DELETE FILE", "input": {"object": path}});
        let there = Ok(Sought::There(CommandId(1)));
        let lost = || Cause::BadAnswer {
            detail: String::new(),
        };
        let table = [
            (
                json!([listed(0, "a"), listed(1, "b")]),
                json!({"current_command_index": 2}),
                there,
            ),
            (
                json!([listed(0, "a")]),
                json!({"current_command_index": 1}),
                Ok(Sought::NotThere),
            ),
            (
                json!([listed(0, "a")]),
                json!({"current_command_index": 2}),
                Ok(Sought::Unclear),
            ),
            (
                json!([]),
                json!({"current_command_index": 0}),
                Ok(Sought::Unclear),
            ),
            (
                json!([listed(0, "a"), listed(1, "c")]),
                json!({"current_command_index": 2}),
                Ok(Sought::Unclear),
            ),
            (
                json!({"errors": []}),
                json!({"current_command_index": 1}),
                Err(lost()),
            ),
            (
                json!([listed(0, "a")]),
                json!({"status": "ACTIVE"}),
                Err(lost()),
            ),
        ];
        for (list, view, expected) in table {
            let case = format!("{list} {view}");
            let script = Box::new(move |what: &str, _: Duration| match what {
                "GET /sessions/1:5/commands" => ok(&list),
                _ => ok(&view),
            });
            let (mut session, _, log) = session("ACTIVE", script).await;
            let known = BTreeSet::from([CommandId(0)]);
            let found = session.seek(&delete("b"), &known).await;
            let told = |cause| match cause {
                Cause::BadAnswer { .. } => lost(),
                other => other,
            };
            assert_eq!(found.map_err(told), expected, "{case}");
            assert_eq!(count(&log, "POST /sessions/1:5/commands"), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_was_found_is_waited_for_like_any_other() {
        let mut session = {
            let script = Box::new(|what: &str, at: Duration| match what {
                "GET /sessions/1:5/commands" => {
                    ok(&json!([{"id": 0, "name": "kill", "object": 7}]))
                }
                "GET /sessions/1:5" => ok(&json!({"current_command_index": 1})),
                "GET /sessions/1:5/keepalive" => status(204),
                _ if at < Duration::from_secs(3) => ok(&json!({"id": 0, "status": "PENDING"})),
                _ => ok(&json!({"id": 0, "status": "COMPLETE"})),
            });
            session("ACTIVE", script).await.0
        };
        let kill = Command::Kill {
            pid: 7,
            created: None,
            path: "x".into(),
        };
        let found = session.seek(&kill, &BTreeSet::new()).await;
        assert_eq!(found, Ok(Sought::There(CommandId(0))));
        let reply = session.finish(&kill, CommandId(0), after(60)).await;
        assert_eq!(reply.expect("ends").result, CommandResult::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_ends_as_its_status_says() {
        let table = [
            (
                json!({"status": "error", "result_code": -2_147_024_894}),
                Cause::Endpoint { code: 0x8007_0002 },
            ),
            (json!({"status": "CANCELLED"}), Cause::CommandCancelled),
            (
                json!({"status": "WHATEVER"}),
                Cause::CommandTimeout { seconds: 30 },
            ),
        ];
        for (body, expected) in table {
            let script = Box::new(move |what: &str, _: Duration| match what {
                "POST /sessions/1:5/commands" => ok(&json!({"id": 0})),
                "GET /sessions/1:5/keepalive" => status(204),
                _ => ok(&body),
            });
            let (mut session, ..) = session("ACTIVE", script).await;
            let id = session
                .issue(&Command::ProcessList)
                .await
                .expect("takes it");
            let end = session.finish(&Command::ProcessList, id, after(30)).await;
            assert_eq!(end.expect_err("fails"), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_work_is_not_sent() {
        let (mut session, fleet, _) = session("ACTIVE", until(0)).await;
        session.ready(after(1)).await.expect("is active");
        let before = fleet.spent();
        let unknown = Command::DeleteFile {
            path: "C:\\x".into(),
        };
        let command = "delete file".into();
        assert_eq!(
            session.issue(&unknown).await,
            Err(Cause::Unsupported { command })
        );
        let large = Command::GetFile {
            path: "x".repeat(LARGEST_COMMAND),
            offset: 0,
            count: None,
        };
        let refused = session.issue(&large).await;
        assert!(
            matches!(refused, Err(Cause::Rejected { status: 413, .. })),
            "{refused:?}"
        );
        assert_eq!(fleet.spent(), before);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_twice_by_ourselves_is_closing() {
        for (first, expected) in [
            (Cause::NoAnswer { seconds: 60 }, Ok(())),
            (
                Cause::RateLimited { retry_after: None },
                Err(Cause::SessionLost),
            ),
        ] {
            let mut first = Some(first);
            let script = Box::new(move |_: &str, _: Duration| match first.take() {
                Some(cause) => Err(cause),
                None => status(404),
            });
            let (mut session, ..) = session("PENDING", script).await;
            assert_eq!(session.close().await, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_address_is_asked_for_anew() {
        let mut pointers = 0;
        let script = Box::new(move |what: &str, _: Duration| {
            if what.starts_with("GET") {
                pointers += 1;
                let mut response = Response::new(302);
                let location = format!("https://store/{pointers}");
                response.headers.push(("location".into(), location));
                return Ok(response);
            }
            match what {
                "SIGNED https://store/1" => status(403),
                "SIGNED https://store/2" => status(503),
                _ => ok(&json!("evidence")),
            }
        });
        let (mut session, _, log) = session("ACTIVE", script).await;
        let mut sink = Buffer {
            bytes: Vec::new(),
            limit: 100,
        };
        let file = FileId::from("f");
        let received = session.content(&file, &mut sink, after(60)).await;
        assert_eq!((received, &*sink.bytes), (Ok(10), &b"\"evidence\""[..]));
        assert_eq!(count(&log, "SIGNED"), 3);
    }
}
