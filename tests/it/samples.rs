//! The sample of every step that is built runs on a simulated host without a failure.

use crate::repository::{blocks, read};
use crate::rig::{Rig, windows};
use crate::tidy::playbook_around;
use sortie::step::{Built, KINDS};

#[tokio::test(start_paused = true)]
async fn the_samples_of_the_manual_run() {
    let mut wrong = Vec::new();
    for (spec, _) in KINDS.iter().filter(|(spec, _)| spec.built == Built::Yes) {
        for sample in blocks(&spec.manual(), &["yaml"]) {
            let mut rig = Rig::new(playbook_around(&sample), windows(1));
            // The one that the sample of `use` names.
            rig.files = vec![(
                "../any/process-sweep.yaml",
                read("playbooks/any/process-sweep.yaml"),
            )];
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
