//! One run of the engine in virtual time: a simulated world, a plan over it, a run directory, and all
//! that is left when the run is over.

use jiff::Timestamp;
use sortie::bundle::{DiskError, Draft, Leases, RunDir};
use sortie::clock;
use sortie::ledger::journal::{self, Reopened, Tape};
use sortie::ledger::resume::{Rest, Wish, remaining};
use sortie::ledger::{Ledger, Writer};
use sortie::live::{Backend, DeviceQuery, Fleet};
use sortie::model::device::Os;
use sortie::model::event::{EventKind, RunEvent};
use sortie::model::id::{DeviceId, RunId};
use sortie::model::outcome::Cause;
use sortie::model::state::RunState;
use sortie::plan::{self, Plan, PlannedDevice, RunSettings, assets};
use sortie::playbook::check::check_with;
use sortie::playbook::chosen::Selection;
use sortie::playbook::used::Unavailable;
use sortie::run::cancel::Cancel;
use sortie::run::execute;
use sortie::run::job::Job;
use sortie::sim::device::SimDevice;
use sortie::sim::fleet::{Wanted, fleet};
use sortie::sim::port::SimFleet;
use sortie::sim::world::World;
use sortie::step::cx::PIECE;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A playbook around its steps.
pub(crate) fn playbook(steps: &str) -> String {
    format!(
        "sortie: 1\nname: rehearsal\npermissions: [read, exec]\ntargets: {{os: windows}}\n\
         run: {{max_sessions: 20}}\nsteps:\n{steps}"
    )
}

/// Believable Windows devices, every one selected.
pub(crate) fn windows(count: usize) -> Vec<SimDevice> {
    let wanted = Wanted {
        os: vec![Os::Windows],
        ..Wanted::default()
    };
    let mut devices = fleet(count, &wanted, 7);
    devices.retain(|device| device.os == Os::Windows);
    devices
}

/// A directory that costs no disk where the system has such a thing.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    }
    .expect("a directory can be made")
}

type Reel = dyn FnOnce(File) -> Box<dyn Tape>;
type Edit = dyn FnOnce(&mut Vec<PlannedDevice>);

pub(crate) struct Rig {
    pub(crate) world: World,
    playbook: String,
    /// The playbooks that it may use, and the files that it may send.
    pub(crate) files: Vec<(&'static str, String)>,
    fleet: Arc<dyn Fleet>,
    tape: Box<Reel>,
    edit: Box<Edit>,
    pub(crate) selection: Selection,
    /// Bytes of a file that are fetched at once.
    pub(crate) piece: u64,
    pub(crate) leases: Option<Leases>,
}

impl Rig {
    pub(crate) fn new(playbook: impl Into<String>, devices: Vec<SimDevice>) -> Self {
        Self::on(playbook, World::new(devices))
    }

    pub(crate) fn on(playbook: impl Into<String>, world: World) -> Self {
        Self {
            fleet: Arc::new(SimFleet::new(world.clone())),
            world,
            playbook: playbook.into(),
            files: Vec::new(),
            tape: Box::new(|file| Box::new(file)),
            edit: Box::new(|_| {}),
            selection: Selection::default(),
            piece: PIECE,
            leases: None,
        }
    }

    /// Another way to the world.
    pub(crate) fn through(mut self, fleet: impl FnOnce(&World) -> Arc<dyn Fleet>) -> Self {
        self.fleet = fleet(&self.world);
        self
    }

    /// Something between the ledger and its file.
    pub(crate) fn tape(mut self, tape: impl FnOnce(File) -> Box<dyn Tape> + 'static) -> Self {
        self.tape = Box::new(tape);
        self
    }

    /// Changes what is planned after the devices were found.
    pub(crate) fn planned(mut self, edit: impl FnOnce(&mut Vec<PlannedDevice>) + 'static) -> Self {
        self.edit = Box::new(edit);
        self
    }

    pub(crate) fn backend(&self) -> Backend {
        self.fleet.backend()
    }

    pub(crate) async fn run(self) -> Ended {
        self.begin().await.end().await
    }

    pub(crate) async fn begin(self) -> Running {
        let out = scratch();
        let started = clock::now();
        let run_id = RunId::begin(started);
        let (rig, plan) = self.plan().await;
        let draft = Draft::begin(out.path(), &run_id).expect("it is empty");
        let file = journal::create(&draft.path().join("journal.jsonl")).expect("it is new");
        let ids: Vec<DeviceId> = plan
            .devices
            .iter()
            .map(|planned| planned.device.id)
            .collect();
        let (ledger, writer) = Ledger::open((rig.tape)(file), ids.clone(), None);
        let ledger = ledger.without(&plan.secrets);
        let first = EventKind::RunStarted {
            format: journal::FORMAT.to_owned(),
            run_id: run_id.clone(),
            plan_sha256: plan.sha256.clone(),
            devices: ids.len() as u64,
            simulated: true,
        };
        // A tape that fails at once is one of the cases.
        drop(ledger.record(first).await);
        let dir = draft.publish().expect("its place is free");
        let parts = Parts {
            dir,
            ledger,
            writer,
            rest: None,
            out,
            started,
        };
        start(rig.world, rig.fleet, (rig.piece, rig.leases), plan, parts)
    }

    /// Goes on with a run that another process left, as `sortie resume` does.
    pub(crate) async fn resume(self, left: Left, wish: Wish) -> Running {
        let (rig, plan) = self.plan().await;
        let dir = left.dir().await;
        let ids = plan.devices.iter().map(|planned| planned.device.id);
        let mut state = RunState::new(ids.clone());
        let journal = journal::reopen(&left.path.join("journal.jsonl"), |event| {
            state.apply(&event);
        });
        let Reopened { file, tail, .. } = journal.expect("what was written can be read");
        let rest = remaining(ids, &state, wish, &|step| plan.playbook.is_main(step));
        let (ledger, writer) = Ledger::go_on((rig.tape)(file), state, &tail, None);
        let ledger = ledger.without(&plan.secrets);
        let version = "test".to_owned();
        drop(ledger.record(EventKind::RunResumed { version }).await);
        let parts = Parts {
            dir,
            ledger,
            writer,
            rest: Some(rest),
            out: left.out,
            started: left.started,
        };
        start(rig.world, rig.fleet, (rig.piece, rig.leases), plan, parts)
    }

    async fn plan(self) -> (Ready, Plan) {
        let library = |path: &str| {
            let file = self.files.iter().find(|(name, _)| *name == path);
            Ok(file.ok_or(Unavailable::Missing)?.1.clone().into_bytes())
        };
        let checked = check_with("rehearsal.yaml", self.playbook.as_bytes(), &library);
        let playbook = checked.playbook.unwrap_or_else(|| {
            panic!("the playbook is wrong: {:?}", checked.diagnostics);
        });
        let everything = DeviceQuery {
            ids: Vec::new(),
            all_of: Some(vec![]),
        };
        let found = SimFleet::new(self.world.clone()).find(everything).await;
        let mut devices: Vec<_> = found
            .expect("the world answers")
            .into_iter()
            .map(|device| PlannedDevice { device, gone: None })
            .collect();
        (self.edit)(&mut devices);
        let settings = RunSettings {
            max_sessions: playbook.settings.max_sessions,
            selection: self.selection,
        };
        let inputs = playbook
            .inputs
            .iter()
            .filter_map(|input| Some((input.name.clone(), input.default.clone()?)))
            .collect();
        let backend = self.fleet.backend();
        let left_out = settings.selection.left_out(&playbook);
        let assets = assets::of(&playbook, &inputs, &left_out, &library).expect("files are right");
        let plan = plan::build(
            Arc::new(playbook),
            inputs,
            settings,
            backend,
            devices,
            assets,
        )
        .expect("every value renders");
        let ready = Ready {
            world: self.world,
            fleet: self.fleet,
            tape: self.tape,
            piece: self.piece,
            leases: self.leases,
        };
        (ready, plan)
    }
}

/// A rig whose plan is made.
struct Ready {
    world: World,
    fleet: Arc<dyn Fleet>,
    tape: Box<Reel>,
    piece: u64,
    leases: Option<Leases>,
}

/// What a process has in its hands when it begins.
struct Parts {
    dir: RunDir,
    ledger: Ledger,
    writer: Writer,
    rest: Option<BTreeMap<DeviceId, Rest>>,
    out: TempDir,
    started: Timestamp,
}

fn start(
    world: World,
    fleet: Arc<dyn Fleet>,
    (piece, leases): (u64, Option<Leases>),
    plan: Plan,
    parts: Parts,
) -> Running {
    let Parts {
        dir,
        ledger,
        writer,
        rest,
        out,
        started,
    } = parts;
    let ids = plan.devices.iter().map(|planned| planned.device.id);
    let (ids, max_sessions) = (ids.collect(), plan.settings.max_sessions);
    let cancel = Cancel::default();
    let path = dir.path().to_owned();
    let job = Arc::new(Job {
        run_id: dir.id().clone(),
        started,
        plan,
        fleet,
        ledger: ledger.clone(),
        dir,
        cancel: cancel.clone(),
        piece,
        rest,
        leases,
    });
    Running {
        world,
        cancel,
        ledger,
        writer,
        begun: Instant::now(),
        task: tokio::spawn(execute(job)),
        ids,
        max_sessions,
        path,
        out,
        started,
    }
}

/// What a process that was killed leaves.
pub(crate) struct Left {
    pub(crate) path: PathBuf,
    out: TempDir,
    started: Timestamp,
}

impl Left {
    /// Waits until the disk has done what the killed process had asked of it, as a kernel would.
    async fn dir(&self) -> RunDir {
        for _ in 0..100_000 {
            match RunDir::open(&self.path) {
                Ok(dir) => return dir,
                Err(DiskError::InUse { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("somebody still holds the run");
    }
}

pub(crate) struct Running {
    pub(crate) world: World,
    pub(crate) cancel: Cancel,
    ledger: Ledger,
    writer: Writer,
    begun: Instant,
    task: JoinHandle<()>,
    ids: Vec<DeviceId>,
    max_sessions: usize,
    path: PathBuf,
    /// Removes what the run wrote when the test is over.
    out: TempDir,
    started: Timestamp,
}

impl Running {
    /// Waits until nothing more happens.
    pub(crate) async fn over(&mut self) {
        while !self.task.is_finished() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Ends the process where it is.
    pub(crate) async fn kill(self) -> Left {
        self.task.abort();
        drop(self.task.await);
        Left {
            path: self.path,
            out: self.out,
            started: self.started,
        }
    }

    /// Waits until the process has ended by itself.
    pub(crate) async fn left(mut self) -> Left {
        self.over().await;
        drop(self.ledger);
        self.writer.finish().await.expect("the journal is written");
        Left {
            path: self.path,
            out: self.out,
            started: self.started,
        }
    }

    pub(crate) async fn end(self) -> Ended {
        // Far beyond anything that a run may wait for: it only makes a hang a failure.
        let ended = tokio::time::timeout(Duration::from_hours(200), self.task).await;
        ended
            .expect("the run ends by itself")
            .expect("the engine does not panic");
        let took = self.begun.elapsed();
        let live = self.ledger.state().clone();
        drop(self.ledger);
        let written = self.writer.finish().await;
        let mut events = Vec::new();
        let mut state = RunState::new(self.ids.iter().copied());
        let bytes = fs::read(self.path.join("journal.jsonl")).expect("it was written");
        journal::replay(&*bytes, |event| {
            state.apply(&event);
            events.push(event);
        })
        .expect("the journal is whole");
        Ended {
            world: self.world,
            took,
            written,
            live,
            state,
            events,
            ids: self.ids,
            max_sessions: self.max_sessions,
            path: self.path,
            _out: self.out,
        }
    }
}

/// What a run left: in the world, in the journal, on the disk.
pub(crate) struct Ended {
    pub(crate) world: World,
    pub(crate) took: Duration,
    pub(crate) written: Result<(), Cause>,
    /// The ledger's own fold at the end.
    pub(crate) live: RunState,
    /// The fold of the journal as it lies on disk.
    pub(crate) state: RunState,
    pub(crate) events: Vec<RunEvent>,
    pub(crate) ids: Vec<DeviceId>,
    pub(crate) max_sessions: usize,
    pub(crate) path: PathBuf,
    _out: TempDir,
}

impl Ended {
    /// A device's state and reason, as a report would tell them.
    pub(crate) fn end_of(&self, id: DeviceId) -> (String, String) {
        let record = self.state.device(id).expect("it was planned");
        let (state, reason) = record.state().expect("it has ended");
        let reason = reason.map(|reason| reason.summary()).unwrap_or_default();
        (state.to_string(), reason)
    }

    /// The same of the only device.
    pub(crate) fn end(&self) -> (String, String) {
        assert_eq!(self.ids.len(), 1);
        self.end_of(self.ids[0])
    }

    /// How the steps of the first device ended: id, outcome, attempts.
    pub(crate) fn steps(&self) -> Vec<(String, &'static str, u32)> {
        let record = self.state.device(self.ids[0]).expect("it was planned");
        record
            .steps
            .iter()
            .map(|step| (step.step.to_string(), step.outcome.word(), step.attempts))
            .collect()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&EventKind) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(&event.ev)).count()
    }

    /// What the endpoint of the first device was made to run, without our own cleaning up.
    pub(crate) fn ran(&self) -> Vec<String> {
        let books = self.world.books();
        let programs = books
            .changes
            .into_iter()
            .filter(|change| change.device == self.ids[0].0 && change.command == "create process");
        programs.map(|change| change.what).collect()
    }

    /// The bag of a device.
    pub(crate) fn bag(&self, id: DeviceId) -> PathBuf {
        let record = self.state.device(id).expect("it was planned");
        self.path.join(record.bag().expect("it was published"))
    }

    pub(crate) fn json(&self, id: DeviceId, file: &str) -> serde_json::Value {
        let bytes = fs::read(self.bag(id).join(file)).expect("it is in the bag");
        serde_json::from_slice(&bytes).expect("it is JSON")
    }

    pub(crate) fn lines(&self, id: DeviceId, file: &str) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.bag(id).join(file)).expect("it is in the bag");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("it is JSON"))
            .collect()
    }
}
