//! The command line: the only place where everything meets, that prints, and that decides the exit code.
//!
//! One file for each command; results go to standard output and talk to standard error.

mod again;
mod backend;
mod check;
mod conclude;
mod exit;
mod follow;
mod inputs;
mod library;
mod load;
mod one_liner;
mod options;
mod output;
mod past;
mod plan;
mod resume;
mod run;
mod schema;
mod signals;
mod simulate;
mod steps;
mod test;
mod told;
mod vigil;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use exit::Exit;
use one_liner::OneLiner;
use options::{Global, Scope};
use output::Output;
use std::process::ExitCode;

/// Runs Live Response playbooks on many devices at once and brings back one evidence bag per device.
#[derive(Debug, Parser)]
#[command(name = "sortie", version, propagate_version = true, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Try it without a tenant:
  sortie run playbooks/windows/triage.yaml --simulate 25

Exit codes:
    0  every device ended ok
    2  wrong usage, or the playbook is invalid; nothing was sent
    3  refused by a safety rail; nothing was sent
    4  credentials, or the backend is unusable
    5  no device matched
   10  complete, but some device failed
   11  complete, only unreachable devices are missing
   12  stopped by a step with on_error: stop_run, or by a file named STOP in the run directory
   13  an outcome is unknown: a person must decide
   15  the journal or the output could not be written
   16  another process works on the run
   23  what an earlier run left cannot be read, or was changed
  130, 143  interrupted; resumable";

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a playbook, choose its devices, and run it on them.
    Run(run::RunArgs),
    /// Show what a run would do, on which devices, at what price.
    Plan(plan::PlanArgs),
    #[command(flatten)]
    OneLiner(OneLiner),
    /// Go on with a run that was interrupted, or with the devices that were not there.
    Resume(resume::ResumeArgs),
    /// Say what came of a step whose outcome is unknown.
    Resolve(resume::ResolveArgs),
    /// List the runs that were made, the newest first.
    Runs(past::RunsArgs),
    /// Show a run, its devices by state and reason, and what is outstanding.
    Show(past::ShowArgs),
    /// Check playbooks without any network, and show everything that is wrong with them.
    Check(check::CheckArgs),
    /// Run the cases beside playbooks, NAME.test.yaml, on simulated devices and without waiting.
    Test(test::TestArgs),
    /// Show the steps that playbooks are made of, or the manual of one.
    Steps(steps::StepsArgs),
    /// Print the JSON Schema of playbooks or scenarios, for completion and hover in editors.
    Schema(schema::SchemaArgs),
    /// Serve the built-in simulator of Carbon Black Cloud, EDR and App Control.
    Simulate(simulate::SimulateArgs),
}

/// Options stand before or after any command, and its help shows those that mean something to it.
fn parse() -> Result<Cli, clap::Error> {
    let scope = Scope::augment_args(clap::Command::new("scope"));
    let hidden = |is_meant: &dyn Fn(&str) -> bool| -> Vec<clap::Arg> {
        scope
            .get_arguments()
            .filter(|option| !option.get_help_heading().is_some_and(is_meant))
            .map(|option| option.clone().hide(true))
            .collect()
    };
    let nothing = hidden(&|_| false);
    // A playbook of one step has neither inputs nor steps to choose from.
    let no_choice = hidden(&|heading| !matches!(heading, "Inputs" | "Steps"));
    let only_output = hidden(&|heading| heading == "Output");
    let commands =
        ["check", "runs", "show", "test", "steps", "simulate"].map(|name| (name, &nothing));
    // The plan has its devices and its steps.
    let no_plan = hidden(&|heading| !matches!(heading, "Devices" | "Steps"));
    let one_liners = one_liner::NAMES.map(|name| (name, &no_choice));
    let command = commands
        .into_iter()
        .chain(one_liners)
        .chain([("resume", &no_plan), ("resolve", &only_output)])
        .fold(Cli::command(), |command, (name, hidden)| {
            command.mut_subcommand(name, |command| command.args(hidden))
        });
    Cli::from_arg_matches(&command.try_get_matches()?)
}

/// Runs the program and says how it ended.
pub fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors; clap knows which stream each belongs to.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                Exit::Usage.code()
            } else {
                Exit::Ok.code()
            });
        }
    };
    cli.global.color.write_global();
    let output = Output::new();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            Output::error(&format!("cannot start: {error}"), None);
            return ExitCode::from(Exit::Bug.code());
        }
    };
    output::log(cli.global.verbose, cli.global.log_format);
    let exit = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => run::run(args, &cli.global.scope, &output).await,
            Command::Plan(args) => plan::run(args, &cli.global.scope, &output).await,
            Command::OneLiner(asked) => one_liner::run(asked, &cli.global.scope, &output).await,
            Command::Resume(args) => resume::resume(&args, &cli.global.scope, &output).await,
            Command::Resolve(args) => resume::resolve(&args, &cli.global.scope, &output).await,
            Command::Runs(args) => past::runs(&args, &output),
            Command::Show(args) => past::show(&args, &output).await,
            Command::Check(args) => check::run(&args, &output),
            Command::Test(args) => test::run(&args, &output),
            Command::Steps(args) => steps::run(&args, &output),
            Command::Schema(args) => Ok(schema::run(&args)),
            Command::Simulate(args) => simulate::run(args, &output).await,
        }
    });
    // What still waits for the disk or the network has nothing left to say.
    runtime.shutdown_background();
    ExitCode::from(exit.unwrap_or_else(Failure::report).code())
}

/// Why a command ended early: what to tell, and how to exit.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn report(self) -> Exit {
        Output::error(&self.message, self.hint.as_deref());
        self.exit
    }
}
