//! `sortie check`: everything that is wrong with playbooks, without any network.

use super::Failure;
use super::exit::Exit;
use super::library;
use super::load::{self, Verdict};
use super::output::Output;
use super::told;
use crate::plan::assets;
use crate::playbook::check::{Checked, check_with};
use crate::playbook::explain::explain;
use crate::text::diagnostic::Code;
use crate::text::escape::Escaped;
use crate::text::words::{Count, suggest};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Playbooks to check.
    #[arg(required_unless_present = "explain", value_name = "PLAYBOOK")]
    playbooks: Vec<PathBuf>,
    /// How to tell what is wrong: `human` on standard error; `json`, an array, and `github`, workflow
    /// commands that annotate a pull request, on standard output.
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    format: Format,
    /// Let warnings fail the check too.
    #[arg(long, value_enum, value_name = "WHAT")]
    deny: Option<Deny>,
    /// Explain a code, such as `trap`, with a playbook on either side of it; without one, list them.
    #[arg(long, value_name = "CODE", num_args = 0..=1, default_missing_value = "", conflicts_with = "playbooks")]
    explain: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Human,
    Json,
    Github,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    Warnings,
}

pub(super) fn run(args: &CheckArgs, output: &Output) -> Result<Exit, Failure> {
    if let Some(slug) = &args.explain {
        return explained(slug, output);
    }
    let mut total = Verdict::default();
    let (mut all, mut unreadable) = (Vec::new(), Vec::new());
    for path in &args.playbooks {
        let name = path.display().to_string();
        let bytes = match load::read(path) {
            Ok(bytes) => bytes,
            Err(failure) => {
                unreadable.push((name, failure.message.clone()));
                failure.report();
                total.errors += 1;
                continue;
            }
        };
        let mut checked = check_with(&name, &bytes, &library::beside(path));
        let files = checked.playbook.as_ref();
        let files = files.map(|playbook| assets::fixed(playbook, &library::to_send(path)));
        checked.add(files.unwrap_or_default());
        let verdict = if args.format == Format::Human {
            human(&name, &checked, output)
        } else {
            Verdict::of(&checked.diagnostics)
        };
        total.errors += verdict.errors;
        total.warnings += verdict.warnings;
        all.push(checked);
    }
    match args.format {
        Format::Human => {}
        Format::Json => Output::result(&told::json(&all, &unreadable)),
        Format::Github
            if unreadable.is_empty() && all.iter().all(|one| one.diagnostics.is_empty()) => {}
        Format::Github => Output::result(&told::github(&all, &unreadable)),
    }
    verdict(total, args)
}

fn human(name: &str, checked: &Checked, output: &Output) -> Verdict {
    let verdict = load::show(&checked.diagnostics, &checked.source, output);
    if let Some(playbook) = &checked.playbook {
        let warnings = match verdict.warnings {
            0 => String::new(),
            some => format!(", {}", Count(some, "warning")),
        };
        let steps = Count(playbook.steps.len() as u64, "step");
        Output::result(&format!("{}: ok, {steps}{warnings}", Escaped(name)));
    }
    verdict
}

fn verdict(total: Verdict, args: &CheckArgs) -> Result<Exit, Failure> {
    let playbooks = Count(args.playbooks.len() as u64, "playbook");
    if total.errors > 0 {
        let errors = Count(total.errors, "error");
        return Err(Failure::new(
            Exit::Usage,
            format!("{errors} in {playbooks}"),
        ));
    }
    if total.warnings > 0 && args.deny == Some(Deny::Warnings) {
        let warnings = Count(total.warnings, "warning");
        let message = format!("{warnings} in {playbooks}, denied by --deny warnings");
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(Exit::Ok)
}

fn explained(slug: &str, output: &Output) -> Result<Exit, Failure> {
    let slugs = Code::ALL.map(Code::slug);
    // As it is copied out of a message: `error[trap]`.
    let asked = slug
        .rsplit_once('[')
        .map_or(slug, |(_, code)| code.trim_end_matches(']'));
    if let Some(code) = Code::ALL.into_iter().find(|code| code.slug() == asked) {
        Output::result(&explain(code).draw(output.width));
        return Ok(Exit::Ok);
    }
    let message = match suggest(asked, slugs) {
        _ if slug.is_empty() => "--explain needs a code".to_owned(),
        Some(near) => format!(
            "there is no code `{}`; did you mean `{near}`?",
            Escaped(slug)
        ),
        None => format!("there is no code `{}`", Escaped(slug)),
    };
    let hint = format!("the codes are {}", slugs.join(", "));
    Err(Failure::new(Exit::Usage, message).hint(hint))
}
