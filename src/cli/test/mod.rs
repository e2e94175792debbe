//! `sortie test`: the cases beside a playbook, each a whole run on devices of its own, in virtual time.
//!
//! ```yaml
//! cases:
//!   - name: Finds a planted program
//!     scenario: {devices: [{name: WS-0001, os: windows, planted: true}]}
//!     expect: {findings: [{title: A program in a public folder starts with Windows, device: WS-0001}]}
//! ```
//!
//! What is expected is compared with what lies on disk after the run, and with the simulator's own books.

mod case;
mod expect;
mod files;
mod judge;
mod junit;
mod rehearse;
mod wished;

use super::Failure;
use super::exit::Exit;
use super::output::Output;
use crate::bundle;
use crate::text::diagnostic::Severity;
use crate::text::escape::Escaped;
use crate::text::render::{Style, point};
use crate::ui::style::{BAD, GOOD, paint};
use clap::Args;
use files::Suite;
use judge::Broken;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Playbooks with a file of cases beside them, NAME.test.yaml beside NAME.yaml; of a folder, all below it.
    #[arg(required = true, value_name = "PLAYBOOK")]
    playbooks: Vec<PathBuf>,
    /// Also write the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// How one case ended.
struct Verdict<'a> {
    name: &'a str,
    /// What did not come as expected.
    broken: Vec<Broken>,
}

pub(super) fn run(args: &TestArgs, output: &Output) -> Result<Exit, Failure> {
    let suites = files::load(&args.playbooks, output)?;
    let (mut passed, mut failed) = (0_usize, 0_usize);
    let mut report = junit::begin();
    for suite in &suites {
        Output::result(&Escaped(&suite.source.name).to_string());
        let mut verdicts = Vec::new();
        for case in &suite.cases {
            let verdict = Verdict {
                name: &case.name.value,
                broken: judge::judge(&case.expect, &rehearse::rehearse(suite, case)?),
            };
            tell(suite, &verdict, output);
            if verdict.broken.is_empty() {
                passed += 1;
            } else {
                failed += 1;
            }
            verdicts.push(verdict);
        }
        junit::add(&mut report, suite, &verdicts);
    }
    Output::result(&format!("{passed} passed, {failed} failed"));
    if let Some(path) = &args.junit {
        let unwritable = |error: String| Failure::new(Exit::Output, Escaped(&error).to_string());
        let text = junit::text(&report).map_err(unwritable)?;
        bundle::save(path, text.as_bytes()).map_err(|error| unwritable(error.to_string()))?;
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::Failed })
}

fn tell(suite: &Suite, verdict: &Verdict<'_>, output: &Output) {
    let word = if verdict.broken.is_empty() {
        paint(GOOD, "ok", 6)
    } else {
        paint(BAD, "failed", 6)
    };
    Output::result(&format!("  {word}  {}", Escaped(verdict.name)));
    let style = Style {
        color: output.color,
        width: output.width,
    };
    for broken in &verdict.broken {
        Output::say(&drawn(suite, broken, style));
        Output::say("");
    }
}

/// What did not come, on the line that expected it.
fn drawn(suite: &Suite, broken: &Broken, style: Style) -> String {
    let notes: Vec<String> = broken.note.iter().cloned().collect();
    point(
        Severity::Error,
        &broken.message,
        broken.span,
        &notes,
        &suite.source,
        style,
    )
}
