//! How far playbooks may use each other, told without reading or keeping more than that.

use sortie::playbook::check::{Checked, check_with};
use sortie::playbook::used::Unavailable;
use sortie::text::diagnostic::{Code, Severity};

const STEP: &str = "  - wait: 1s\n";

fn playbook(steps: &str) -> String {
    format!("sortie: 1\nname: x\nsteps:\n{steps}")
}

/// `0.yaml` uses `1.yaml` so many times, and so on to the last one, which has one step.
fn chain(length: usize, times: usize) -> Checked {
    let file = |number: usize| {
        let next = format!("  - use: {}.yaml\n", number + 1);
        playbook(&if number == length {
            STEP.to_owned()
        } else {
            next.repeat(times)
        })
    };
    let library = |path: &str| {
        let number = path
            .strip_suffix(".yaml")
            .and_then(|number| number.parse().ok());
        number
            .map(|number| file(number).into_bytes())
            .ok_or(Unavailable::Missing)
    };
    check_with("0.yaml", file(0).as_bytes(), &library)
}

/// The first thing that is wrong.
fn told(checked: &Checked) -> Option<(Code, &str)> {
    let mut errors = checked
        .diagnostics
        .iter()
        .filter(|one| one.severity == Severity::Error);
    errors.next().map(|one| (one.code, one.message.as_str()))
}

#[test]
fn a_chain_has_sixteen_links() {
    assert_eq!(told(&chain(16, 1)), None);
    let long = chain(17, 1);
    assert_eq!(
        told(&long),
        Some((
            Code::Limit,
            "more than 16 playbooks use each other in a chain"
        ))
    );
}

#[test]
fn uses_of_uses_do_not_explode() {
    let large = chain(12, 2).playbook.expect("it is within the limit");
    assert_eq!(large.steps.len(), 4_096);
    let (code, message) = told(&chain(13, 2))
        .map(|(code, text)| (code, text.to_owned()))
        .expect("8,192 steps");
    assert_eq!(
        (code, message.as_str()),
        (
            Code::Limit,
            "with this one, the playbook has more than 5000 steps"
        )
    );
    // With thirty times each, nobody could keep what it would come to.
    assert!(told(&chain(16, 30)).is_some_and(|(code, _)| code == Code::Limit));
}

#[test]
fn files_have_a_size_together() {
    let large = playbook(&format!("{STEP}# {}\n", "x".repeat(1_000_000)));
    let top = |files: usize| {
        let uses = (1..=files).map(|number| format!("  - use: {number}.yaml\n"));
        check_with(
            "0.yaml",
            playbook(&uses.collect::<String>()).as_bytes(),
            &|_| Ok(large.clone().into_bytes()),
        )
    };
    assert_eq!(told(&top(4)), None);
    assert_eq!(
        told(&top(5)),
        Some((
            Code::Limit,
            "with `5.yaml`, the playbooks that are used are larger than 4 MiB"
        ))
    );
    let huge = "x".repeat(1 << 20) + "x";
    let checked = check_with("0.yaml", playbook("  - use: 1.yaml\n").as_bytes(), &|_| {
        Ok(huge.clone().into_bytes())
    });
    assert!(
        told(&checked).is_some_and(|(code, _)| code == Code::Limit),
        "{:?}",
        checked.diagnostics
    );
}
