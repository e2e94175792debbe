//! `sortie check`: everything that is wrong with playbooks, without any network.

use super::Failure;
use super::exit::Exit;
use super::load::{self, Verdict};
use super::output::Output;
use crate::playbook::check::check;
use crate::text::escape::Escaped;
use crate::text::words::Count;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Playbooks to check.
    #[arg(required = true, value_name = "PLAYBOOK")]
    playbooks: Vec<PathBuf>,
}

pub(super) fn run(args: &CheckArgs, output: &Output) -> Result<Exit, Failure> {
    let mut total = Verdict::default();
    for path in &args.playbooks {
        let name = path.display().to_string();
        let bytes = match load::read(path) {
            Ok(bytes) => bytes,
            Err(failure) => {
                failure.report();
                total.errors += 1;
                continue;
            }
        };
        let checked = check(&name, &bytes);
        let verdict = load::show(&checked.diagnostics, &checked.source, output);
        if let Some(playbook) = &checked.playbook {
            let warnings = match verdict.warnings {
                0 => String::new(),
                some => format!(", {}", Count(some, "warning")),
            };
            let steps = Count(playbook.steps.len() as u64, "step");
            Output::result(&format!("{}: ok, {steps}{warnings}", Escaped(&name)));
        }
        total.errors += verdict.errors;
        total.warnings += verdict.warnings;
    }
    if total.errors == 0 {
        return Ok(Exit::Ok);
    }
    let playbooks = Count(args.playbooks.len() as u64, "playbook");
    Err(Failure::new(
        Exit::Usage,
        format!("{} in {playbooks}", Count(total.errors, "error")),
    ))
}
