//! `scenario.yaml`: an organisation described as data, read like a playbook, with all complaints at once.
//!
//! ```yaml
//! seed: 7
//! devices:
//!   - {count: 10, os: windows}
//!   - name: WS-0001
//!     os: windows
//!     files: [{path: 'C:\Users\Public\README.txt', text: pay}]
//! ```
//!
//! What goes wrong there is in the same file, under `faults`, and what is not as usual of the service itself
//! under `organisation`; keys of which nothing would come are refused.

mod device;
mod executable;
mod fault;
mod items;
mod organisation;
pub mod schema;
mod visit;

use super::device::SimDevice;
use super::endpoint::programs::Row;
use super::fault::{Faults, Rule};
use super::fleet::{Maker, Wanted};
use super::world::World;
use crate::template::{Fields, FromNode};
use crate::text::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::text::source::Source;
use crate::text::yaml::{self, Node};
use device::DeviceSpec;
use organisation::OrganisationItem;
use std::collections::HashSet;
use std::sync::Arc;

/// The seed of whoever names none: the same devices each time, so that a plan made against one simulator
/// fits the next.
pub const SEED: u64 = 7;
/// Devices of one organisation.
const MOST: usize = 100_000;

/// An organisation that can be made as often as it is needed.
#[derive(Debug, Clone)]
pub struct Scenario {
    devices: Vec<SimDevice>,
    organisation: OrganisationItem,
    faults: Faults,
}

/// What reading a file came to.
#[derive(Debug)]
pub struct Loaded {
    pub source: Source,
    /// There if nothing is wrong.
    pub scenario: Option<Scenario>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Scenario {
    /// Reads a scenario's file.
    pub fn load(name: &str, bytes: &[u8]) -> Loaded {
        let mut all = Diagnostics::new();
        let (source, node) = yaml::load(name, bytes, &mut all);
        let scenario = node.and_then(|node| Self::from_node(&node, &mut all));
        let sound = !all.has_errors();
        Loaded {
            source,
            scenario: scenario.filter(|_| sound),
            diagnostics: all.into_vec(),
        }
    }

    /// The devices, as they are when their world begins.
    pub fn devices(&self) -> Vec<SimDevice> {
        self.devices.clone()
    }

    /// What goes wrong in that world.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Refuses what shows in HTTP only, where there is none.
    pub fn refuse_http(&self, all: &mut Diagnostics) {
        for (place, word) in self.faults.only_over_http() {
            let message = format!("`{word}` goes wrong in HTTP, and here there is none");
            all.error(Code::BadValue, place, message).help(
                "a run over HTTP has it: sortie run PLAYBOOK --simulate SCENARIO; here `session`, `result`, \
                 `hang` and `delay` happen",
            );
        }
        for (place, key) in &self.organisation.only_over_http {
            let message = format!("`{key}` shows in HTTP, and here there is none");
            all.error(Code::BadValue, *place, message)
                .help("a run over HTTP has it: sortie run PLAYBOOK --simulate SCENARIO");
        }
    }

    /// The organisation at its beginning.
    pub fn world(&self) -> World {
        let settings = self.organisation.settings.clone();
        World::with(self.devices(), settings).with_faults(self.faults.clone())
    }
}

impl FromNode for Scenario {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "the scenario", all).hints(&[
            ("hosts", "the list is called `devices`"),
            ("fleet", "the list is called `devices`"),
        ]);
        let seed = fields.or("seed", SEED);
        let organisation = fields.or("organisation", OrganisationItem::default());
        let executables: Vec<Row> = fields.or("executables", Vec::new());
        let faults: Vec<Rule> = fields.or("faults", Vec::new());
        let devices: Option<Vec<DeviceSpec>> = fields.required("devices");
        let span = fields.key_span("devices");
        fields.finish();
        let specs = devices?;
        let count: usize = specs.iter().map(DeviceSpec::count).sum();
        if !(1..=MOST).contains(&count) {
            let message = format!("a scenario has 1 to {MOST} devices, this one {count}");
            all.error(Code::Limit, span, message);
            return None;
        }
        distinct(&specs, all);
        let devices = build(&specs, seed, &executables.into(), all);
        Some(Self {
            devices,
            organisation,
            faults: Faults::new(seed, faults),
        })
    }
}

/// Names and numbers that an author chose are those of one device each.
fn distinct(specs: &[DeviceSpec], all: &mut Diagnostics) {
    let (mut names, mut ids) = (HashSet::new(), HashSet::new());
    for spec in specs {
        if let Some(name) = spec.name()
            && !names.insert(name.value.to_lowercase())
        {
            let message = "another device has this name";
            all.error(Code::DuplicateId, name.span, message);
        }
        if let Some(id) = &spec.id
            && !ids.insert(id.value)
        {
            all.error(Code::DuplicateId, id.span, "another device has this id");
        }
    }
}

fn build(
    specs: &[DeviceSpec],
    seed: u64,
    programs: &Arc<[Row]>,
    all: &mut Diagnostics,
) -> Vec<SimDevice> {
    // What is taken already is never given to a device that nobody named.
    let taken = Wanted {
        ids: specs
            .iter()
            .filter_map(|spec| Some(spec.id.as_ref()?.value))
            .collect(),
        exclude: specs
            .iter()
            .filter_map(|spec| Some(spec.name()?.value.clone()))
            .collect(),
        ..Wanted::default()
    };
    let mut maker = Maker::new(&taken, seed);
    let mut devices = Vec::new();
    for spec in specs {
        for index in 0..spec.count() {
            let mut complaints = Diagnostics::new();
            let mut device = spec.build(index, &mut maker, &mut complaints);
            device.endpoint.programs = Arc::clone(programs);
            devices.push(device);
            if complaints.has_errors() {
                // The others of a group have the same mistakes.
                for complaint in complaints.into_vec() {
                    all.push(complaint);
                }
                break;
            }
        }
    }
    devices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::Os;
    use crate::sim::console::{Comes, Leaves, Visit};
    use crate::sim::endpoint::content::Content;
    use crate::sim::endpoint::memory::Memory;
    use crate::sim::endpoint::order::{Order, Yield};
    use crate::sim::endpoint::{Facts, Performed};
    use crate::text::render::{Style, render};

    fn devices(text: &str) -> Vec<SimDevice> {
        let loaded = Scenario::load("s.yaml", text.as_bytes());
        let said = render(&loaded.diagnostics, &loaded.source, Style::default());
        loaded.scenario.expect(&said).devices()
    }

    fn perform(device: &mut SimDevice, order: &Order) -> Performed {
        let facts = device.facts();
        device.endpoint.perform(order, 0, &facts, None)
    }

    fn lists(device: &mut SimDevice, path: &str) -> Result<Vec<(String, u64)>, u32> {
        let order = Order::DirectoryList { path: path.into() };
        match perform(device, &order).result {
            Ok(Yield::Entries(all)) => Ok(all.into_iter().map(|e| (e.name, e.size)).collect()),
            Err(code) => Err(code.0),
            Ok(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn groups_are_believable_and_take_nobodys_name() {
        let text = "devices:\n\
            - {count: 7, os: windows}\n\
            - {name: ws-0003, os: windows}\n\
            - {name: x, id: 3230002, os: linux}\n\
            - {count: 10, offline: true}\n";
        let made = devices(text);
        let distinct = |all: Vec<String>| all.into_iter().collect::<HashSet<_>>().len();
        assert_eq!(made.len(), 19);
        assert_eq!(
            distinct(made.iter().map(|d| d.name.to_lowercase()).collect()),
            19
        );
        assert_eq!(
            distinct(made.iter().map(|d| d.id.to_string()).collect()),
            19
        );
        assert!(
            made[..7]
                .iter()
                .all(|d| d.os == Os::Windows && d.is_online())
        );
        let planted = |range: &[SimDevice]| range.iter().filter(|d| d.planted).count();
        assert_eq!((planted(&made[..7]), planted(&made[7..9])), (2, 0));
        let families: HashSet<Os> = made[9..].iter().map(|d| d.os).collect();
        assert_eq!(
            (families.len(), made[9..].iter().any(SimDevice::is_online)),
            (3, false)
        );
        let again: Vec<String> = devices(text).into_iter().map(|d| d.name).collect();
        assert_eq!(again, made.into_iter().map(|d| d.name).collect::<Vec<_>>());
    }

    #[test]
    fn the_service_has_the_ways_that_are_said_of_it() {
        use crate::sim::manners::{
            ContentFrom, Edr, Letters, Manners, Percent, RegistryNames, Reopening, SessionList,
            Sign, V3,
        };
        let text = "devices: [{count: 1}]\norganisation: {max_sessions: 2, max_commands: 9, \
            command_status: lower, registry_names: documented, dump_percent: zero, \
            result_codes: signed, content: here, v3: {session_list: listed}, \
            edr: {reopening: refused, max_sessions: 3}}";
        let loaded = Scenario::load("s.yaml", text.as_bytes());
        let scenario = loaded.scenario.expect("it is sound");
        let settings = &scenario.organisation.settings;
        assert_eq!((settings.max_sessions, settings.max_commands), (2, 9));
        let expected = Manners {
            status: Letters::Lower,
            registry: RegistryNames::Documented,
            percent: Percent::StaysZero,
            codes: Sign::Signed,
            content: ContentFrom::Here,
            v3: V3 {
                session_list: SessionList::Listed,
                ..V3::default()
            },
            edr: Edr {
                reopening: Reopening::Refused,
                max_sessions: 3,
                ..Edr::default()
            },
        };
        assert_eq!(settings.manners, expected);
        assert_eq!(scenario.world().manners(), expected);

        let mut refused = Diagnostics::new();
        scenario.refuse_http(&mut refused);
        assert_eq!(refused.into_vec().len(), 7, "the limits hold there too");
    }

    #[test]
    fn a_device_behaves_as_is_said_of_it() {
        let made = devices(
            r"
devices:
  - name: a
    os: windows
    reports_every: 10s
    memory: 4GiB
    disk_free: 1GiB
    console:
      - {after: 5s, stays: 1m, commands: 3}
      - {joins_after: 2s, closes: true}
  - {name: b, os: linux, back_after: 5m, off_after: 9m}
",
        );
        let (a, b) = (&made[0], &made[1]);
        let seconds = std::time::Duration::from_secs;
        assert_eq!(a.period, seconds(10));
        assert_eq!(
            (a.endpoint.memory, a.endpoint.free),
            (Memory(4 << 30), 1 << 30)
        );
        let visit = |comes, stays, commands, leaves| Visit {
            comes,
            stays: seconds(stays),
            commands,
            leaves,
        };
        assert_eq!(
            a.visits,
            [
                visit(Comes::After(seconds(5)), 60, 3, Leaves::SessionOpen),
                visit(Comes::Joining(seconds(2)), 600, 0, Leaves::SessionClosed),
            ]
        );
        assert!(a.is_online() && !b.is_online());
        assert_eq!((a.off_at, b.off_at), (None, Some(seconds(540))));
    }

    #[test]
    fn a_device_has_what_is_said_of_it() {
        let mut made = devices(
            r"
executables:
  - {os: windows, program: Tool.EXE, args: '-x*', output: 'on {host}', code: 3, takes: 5s}
devices:
  - name: WS-1
    os: windows
    policy: Strict
    user: eve
    ip: 10.0.0.9
    files:
      - {path: 'D:\data\{user}.txt', text: pay, age: 3d}
      - {path: 'D:\data\big.bin', size: 3MiB, locked: true}
      - {path: 'C:\Empty\'}
    without: ['C:\Windows\System32\drivers\etc', 'C:\pagefile.sys']
    registry:
      - key: HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run
        values: [{name: securityhealth, data: x}, {name: n, type: reg_dword, data: 5}]
    processes:
      - {path: 'C:\Users\Public\evil.exe', command_line: evil.exe -x, user: eve, pid: 4711}
      - {path: 'C:\a.exe'}
  - {name: bare, os: linux, bare: true}
",
        );
        let mut bare = made.pop().expect("two of them");
        let ws = &mut made[0];
        assert_eq!((ws.policy.1.as_str(), ws.user.as_str()), ("Strict", "eve"));
        assert_eq!(ws.endpoint.drives, [r"C:\", r"D:\"]);
        let data = lists(ws, r"D:\data\*.*").expect("is there");
        assert!(
            data.contains(&("eve.txt".into(), 3)) && data.contains(&("big.bin".into(), 3 << 20))
        );
        assert_eq!(lists(ws, r"C:\Empty\").map(|all| all.len()), Ok(2));
        assert!(lists(ws, r"C:\Windows\System32\drivers\etc\hosts").is_err());
        assert!(lists(ws, r"C:\Windows\System32\drivers\tcpip.sys").is_ok());
        let locked = Order::GetFile {
            path: r"D:\data\big.bin".into(),
            offset: 0,
            count: None,
        };
        assert_eq!(
            perform(ws, &locked).result.err().map(|code| code.0),
            Some(0x8007_0020)
        );
        let run = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run";
        let (values, _) = ws.endpoint.registry.enumerate(run).expect("is there");
        let told: Vec<_> = values
            .iter()
            .map(|v| (v.name.as_str(), v.kind, v.data.as_str()))
            .collect();
        assert!(
            told.contains(&("securityhealth", "REG_SZ", "x")),
            "{told:?}"
        );
        assert!(
            told.contains(&("n", "REG_DWORD", "5")) && told.len() == 3,
            "{told:?}"
        );
        let evil = ws.endpoint.processes.get(4711).expect("it runs");
        assert_eq!((&*evil.line, &*evil.user), ("evil.exe -x", "eve"));
        assert!(
            ws.endpoint
                .processes
                .all()
                .iter()
                .any(|p| &*p.line == r"C:\a.exe")
        );
        let start = Order::CreateProcess {
            line: "tool.exe -xyz".into(),
            wait: true,
            working_directory: None,
            output_file: Some(r"C:\Windows\Temp\o.txt".into()),
        };
        let ran = perform(ws, &start);
        assert!(
            matches!(ran.result, Ok(Yield::Started { return_code: 3, .. })),
            "{ran:?}"
        );
        assert_eq!((ran.takes.as_secs(), ran.unknown_program), (5, None));
        assert!(lists(&mut bare, "/etc/").is_err());
        assert_eq!(bare.endpoint.processes.all().len(), 0);
    }

    #[test]
    fn a_program_on_the_disk_does_what_is_said_of_its_name() {
        let mut made = devices(
            r"
executables:
  - {os: windows, program: tool.exe, args: '-x*', code: 3, takes: 5s, writes: [{path: 'out/{host}.csv', text: 'by {user}'}, 'C:\marker']}
devices:
  - {name: WS-1, os: windows, user: eve}
",
        );
        let ws = &mut made[0];
        for path in [r"C:\t\TOOL.exe", r"C:\t\other.exe"] {
            let program = Some(Content::text("MZ"));
            ws.endpoint.plant(path, program, |_| {}).expect("legal");
        }
        for (line, code) in [
            (r"C:\t\tool.exe -xyz", 3),
            (r"C:\t\tool.exe -y", 0),
            (r"C:\t\other.exe -x", 0),
        ] {
            let start = Order::CreateProcess {
                line: line.into(),
                wait: true,
                working_directory: Some(r"C:\t".into()),
                output_file: None,
            };
            let ran = perform(ws, &start).result;
            assert!(
                matches!(ran, Ok(Yield::Started { return_code, .. }) if return_code == code),
                "{line}: {ran:?}"
            );
        }
        // What it writes comes with its end.
        assert!(lists(ws, r"C:\t\out\").is_err());
        let size = |ws: &mut SimDevice, path: &str| {
            let list = Order::DirectoryList { path: path.into() };
            let later = ws.endpoint.perform(&list, 5000, &Facts::default(), None);
            match later.result {
                Ok(Yield::Entries(all)) => all[0].size,
                other => panic!("{path}: {other:?}"),
            }
        };
        assert_eq!(size(ws, r"C:\t\out\WS-1.csv"), 6);
        assert_eq!(size(ws, r"C:\marker"), 0);
    }
}
