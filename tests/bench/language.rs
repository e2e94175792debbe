//! What checking a large playbook and planning for a large fleet cost.
//!
//! `cargo bench` prints the times; before them, how much memory the first plan took.

#![expect(
    clippy::print_stderr,
    reason = "a benchmark's memory is told where criterion tells its times"
)]

use criterion::{BatchSize, Criterion};
use serde_json::Map;
use sortie::live::Backend;
use sortie::model::device::{Device, Os};
use sortie::model::id::DeviceId;
use sortie::plan::document::Document;
use sortie::plan::{self, Plan, PlannedDevice, RunSettings};
use sortie::playbook::Playbook;
use sortie::playbook::check::check;
use sortie::playbook::chosen::Selection;
use std::hint::black_box;
use std::sync::Arc;

const TOP: &str = "sortie: 1
name: bench/language
permissions: [read, exec]
inputs:
  folder: {default: 'C:\\Users\\Public', description: where to look}
vars: {logs: 'C:\\Logs\\{{ device.short_name }}'}
targets: {os: windows}
steps:
";

/// Steps as people write them: a listing, a file whose path differs by device, a command, a condition.
fn playbook(steps: usize) -> String {
    let one = |n: usize| match n % 4 {
        0 => format!(
            "  - list_directory: '{{{{ inputs.folder }}}}\\{n}'\n    register: listing_{n}\n"
        ),
        1 => format!(
            "  - name: Log {n}\n    get_file: {{path: '{{{{ vars.logs }}}}\\{n}.log', max_size: 10MiB}}\n"
        ),
        2 => format!(
            "  - name: Task {n}\n    exec: {{command: 'schtasks.exe /query /tn task{n}', effect: read}}\n"
        ),
        _ => format!(
            "  - name: Found {n}\n    when: listing_{} .files | length > 0\n    finding: {{title: 'Files on {{{{ device.name }}}}', severity: low}}\n",
            n - 3
        ),
    };
    (0..steps)
        .map(one)
        .fold(TOP.to_owned(), |text, step| text + &step)
}

fn checked(text: &str) -> Playbook {
    let checked = check("bench.yaml", text.as_bytes());
    checked
        .playbook
        .unwrap_or_else(|| panic!("{:?}", checked.diagnostics))
}

fn device(number: u64) -> PlannedDevice {
    let name = format!("WS-{number:05}");
    let device = Device {
        id: DeviceId(number),
        name: name.as_str().into(),
        os: Os::Windows,
        os_version: "Windows 10 x64".into(),
        policy: "Standard".into(),
        groups: Vec::new(),
        ip: "10.0.0.7".into(),
        last_seen: None,
        registered: None,
        isolated: false,
        sensor_states: Vec::new(),
        verbatim: serde_json::json!({"id": number, "name": name}),
    };
    PlannedDevice { device, gone: None }
}

fn planned(playbook: &Arc<Playbook>, devices: Vec<PlannedDevice>) -> Plan {
    let inputs = playbook.inputs.iter();
    let inputs: Map<_, _> = inputs
        .filter_map(|input| Some((input.name.clone(), input.default.clone()?)))
        .collect();
    let settings = RunSettings {
        max_sessions: 20,
        selection: Selection::default(),
    };
    let backend = Backend {
        api: "v6".into(),
        url: "http://127.0.0.1".into(),
        organisation: "BENCH".into(),
        simulated: true,
    };
    plan::build(
        Arc::clone(playbook),
        inputs,
        settings,
        backend,
        devices,
        plan::assets::Assets::default(),
    )
    .expect("every value renders")
}

/// The most memory that this process ever held, in KiB; none where the system does not tell.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn main() {
    let twenty = Arc::new(checked(&playbook(20)));
    let fleet: Vec<PlannedDevice> = (1..=10_000).map(device).collect();
    let before = peak();
    let document = serde_json::to_vec(&Document::of(&planned(&twenty, fleet.clone())))
        .expect("a plan is JSON");
    if let (Some(before), Some(after)) = (before, peak()) {
        let (devices, plan) = (before >> 10, after >> 10);
        eprintln!(
            "10,000 devices take {devices} MiB, with a plan of 20 steps and its document {plan} MiB"
        );
        eprintln!("the document has {} KiB", document.len() >> 10);
    }
    drop(document);

    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    let thousand = playbook(1_000);
    criterion.bench_function("check of 1,000 steps", |bencher| {
        bencher.iter(|| check("bench.yaml", black_box(thousand.as_bytes())));
    });
    criterion.bench_function("plan of 20 steps for 10,000 devices", |bencher| {
        bencher.iter_batched(
            || fleet.clone(),
            |fleet| planned(&twenty, fleet),
            BatchSize::PerIteration,
        );
    });
    criterion.bench_function("the same with plan.json", |bencher| {
        bencher.iter_batched(
            || fleet.clone(),
            |fleet| serde_json::to_vec(&Document::of(&planned(&twenty, fleet))),
            BatchSize::PerIteration,
        );
    });
    criterion.final_summary();
}
