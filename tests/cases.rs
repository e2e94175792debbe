//! Cases: what a user types and sees, as folders of files below `tests/cases/<area>/<name>/`.
//!
//! `case.yaml` lists command lines; `expect/` holds what they must answer. A case is added without any
//! Rust: make the folder, run `SORTIE_BLESS=1 cargo test --test cases <name>`, and read the diff.
#![expect(
    clippy::disallowed_methods,
    reason = "a test makes its own files in its own temporary directory"
)]

#[path = "support/mod.rs"]
mod support;

use libtest_mimic::{Arguments, Trial};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut trials = Vec::new();
    for area in support::folders(&root) {
        for folder in support::folders(&area) {
            let name = folder
                .strip_prefix(&root)
                .expect("it was found below the root")
                .display()
                .to_string();
            trials.push(Trial::test(name, move || {
                support::case::run(&folder).map_err(Into::into)
            }));
        }
    }
    assert!(!trials.is_empty(), "there are no cases below tests/cases");
    libtest_mimic::run(&arguments, trials).exit_code()
}
