//! The sample of every step that is built runs on a simulated host without a failure.

use crate::repository::{blocks, read};
use crate::rig::Rig;
use crate::tidy::playbook_around;
use sortie::sim::scenario::Scenario;
use sortie::step::{Built, KINDS};

const HOST: &str = "
executables: [{os: windows, program: autorunsc64.exe, writes: out.csv}]
devices: [{count: 1, os: windows}]
";

#[tokio::test(start_paused = true)]
async fn the_samples_of_the_manual_run() {
    let mut wrong = Vec::new();
    for (spec, _) in KINDS.iter().filter(|(spec, _)| spec.built == Built::Yes) {
        for sample in blocks(&spec.manual(), &["yaml"]) {
            let loaded = Scenario::load("host.yaml", HOST.as_bytes());
            let world = loaded.scenario.expect("it is one").world();
            let mut rig = Rig::on(playbook_around(&sample), world);
            // Those that the samples of `use` and `run_tool` name.
            let sweep = read("playbooks/any/process-sweep.yaml");
            rig.files = vec![
                ("../any/process-sweep.yaml", sweep),
                ("tools/autorunsc64.exe", "MZ".to_owned()),
            ];
            let ended = rig.run().await;
            let failed: Vec<_> = ended
                .steps()
                .into_iter()
                .filter(|(_, outcome, _)| !matches!(*outcome, "done" | "skipped"))
                .collect();
            if !failed.is_empty() {
                wrong.push(format!(
                    "{}: {failed:?} {:?}",
                    spec.key,
                    ended.end_of(ended.ids[0])
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
