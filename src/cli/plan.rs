//! `sortie plan`: what a run would do; and how a plan comes about, for `run` too.

use super::Failure;
use super::backend::{self, Backend};
use super::exit::Exit;
use super::options::Scope;
use super::output::Output;
use super::{inputs, library, load};
use crate::clock;
use crate::live::{DeviceQuery, Fleet};
use crate::model::device::Device;
use crate::model::id::StepId;
use crate::plan::assets::Assets;
use crate::plan::document::Document;
use crate::plan::{self, Plan, PlanError, PlannedDevice, RunSettings};
use crate::playbook::Playbook;
use crate::playbook::chosen::Selection;
use crate::playbook::settings::MOST_SESSIONS;
use crate::playbook::used::{Library, Unavailable};
use crate::target::Selector;
use crate::target::ids::Ids;
use crate::target::{self, Targets};
use crate::text::escape::Escaped;
use crate::text::json;
use crate::text::source::Source;
use crate::text::words::suggest;
use crate::ui;
use clap::Args;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The playbook to plan for.
    playbook: PathBuf,
    /// Print the plan as YAML.
    #[arg(long, conflicts_with = "json")]
    yaml: bool,
    /// Show the steps as they are rendered for this device alone.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["json", "yaml"])]
    device: Option<String>,
    /// Save the plan, to run it later with `sortie run --plan FILE`.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Steps that are not built are marked.
    Show,
    /// Nothing that is not built may be in it.
    Run,
}

pub(super) async fn run(args: PlanArgs, scope: &Scope, output: &Output) -> Result<Exit, Failure> {
    let (plan, backend) = make(&args.playbook, Purpose::Show, scope, output).await?;
    let document = Document::of(&plan);
    if let Some(path) = &args.output {
        save(path, &document)?;
        Output::say(&format!(
            "saved as {}",
            Escaped(&path.display().to_string())
        ));
    }
    if scope.json {
        Output::result(&json::raw_line(&document));
    } else if args.yaml {
        let yaml = serde_yaml::to_string(&document)
            .map_err(|error| Failure::new(Exit::Bug, error.to_string()))?;
        Output::result(&yaml);
    } else {
        let shown = match &args.device {
            Some(name) => &only(&plan, name)?,
            None => &plan,
        };
        Output::result(&ui::plan::draw(shown, output.width));
    }
    if let Some(simulator) = backend.simulator {
        simulator.close().await?;
    }
    Ok(Exit::Ok)
}

/// The plan as far as it concerns one device, by any form of its name; its fingerprint stays the whole
/// plan's.
fn only(plan: &Plan, name: &str) -> Result<Plan, Failure> {
    let wanted =
        Targets {
            selectors: vec![Selector::parse(&format!("names:{name}")).map_err(|error| {
                Failure::new(Exit::Usage, Escaped(&error.to_string()).to_string())
            })?],
            ..Targets::default()
        };
    let keep = |at: &usize| wanted.matches(&plan.devices[*at].device, clock::now());
    let kept: Vec<usize> = (0..plan.devices.len()).filter(keep).collect();
    if kept.is_empty() {
        let message = format!("the plan has no device `{}`", Escaped(name));
        let names: Vec<String> = plan
            .devices
            .iter()
            .map(|one| one.device.name.to_string())
            .collect();
        let failure = Failure::new(Exit::NoDevice, message);
        return Err(match suggest(name, names.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure,
        });
    }
    Ok(Plan {
        devices: kept.iter().map(|at| plan.devices[*at].clone()).collect(),
        table: kept.iter().map(|at| plan.table[*at].clone()).collect(),
        ..plan.clone()
    })
}

fn save(path: &Path, document: &Document) -> Result<(), Failure> {
    crate::bundle::save(path, json::raw_line(document).as_bytes())
        .map_err(|error| Failure::new(Exit::Output, Escaped(&error.to_string()).to_string()))
}

/// The way from a file to a plan: check, inputs, targets, devices, values.
pub(super) async fn make(
    path: &Path,
    purpose: Purpose,
    scope: &Scope,
    output: &Output,
) -> Result<(Plan, Backend), Failure> {
    let name = path.display().to_string();
    let library = library::beside(path);
    let playbook = load::playbook(&name, &load::read(path)?, &library, output)?;
    let files = library::to_send(path);
    of(playbook, purpose, &files, scope, output).await
}

/// The way from a checked playbook, wherever its text came from.
pub(super) async fn of(
    playbook: Arc<Playbook>,
    purpose: Purpose,
    files: &Library<'_>,
    scope: &Scope,
    output: &Output,
) -> Result<(Plan, Backend), Failure> {
    let mut not_built = load::targets_not_built(&playbook, scope);
    match purpose {
        // Steps that are not built are marked; a plan on other devices or in another way would lie.
        Purpose::Show => not_built.extend_from_slice(&playbook.settings.not_built),
        Purpose::Run => not_built.extend(playbook.not_built()),
    }
    load::refuse_not_built(&not_built, &playbook.source, output)?;
    let inputs = inputs::resolve(&playbook, scope, output)?;
    let targets = load::targets(&playbook, scope)?;
    let settings = settings(&playbook, scope);
    chosen(&settings.selection, &playbook, output)?;
    let assets = load::assets(&playbook, &inputs, &settings.selection, files, output)?;
    let backend = backend::connect(scope, &targets, output).await?;
    let devices = select(&backend.fleet, &targets).await?;
    let plan = plan::build(
        Arc::clone(&playbook),
        inputs,
        settings,
        backend.fleet.backend(),
        devices,
        assets,
    )
    .map_err(|error| unrendered(error, &playbook.source, output))?;
    Ok((plan, backend))
}

/// The devices that are meant: at least one, and no more than there may be.
pub(super) async fn select(
    fleet: &dyn Fleet,
    targets: &Targets,
) -> Result<Vec<PlannedDevice>, Failure> {
    let devices = target::resolve(fleet, targets)
        .await
        .map_err(|cause| backend::failed(&cause))?;
    if devices.is_empty() {
        return Err(Failure::new(Exit::NoDevice, "no device matches the targets; nothing was sent to any")
            .hint("compare the targets with the console's inventory; --limit and --exclude narrow them further"));
    }
    within(targets.max, devices.len())?;
    Ok(devices
        .into_iter()
        .map(|device| PlannedDevice { device, gone: None })
        .collect())
}

/// More devices than the author reckoned with are a mistake in the selection.
fn within(max: Option<u64>, selected: usize) -> Result<(), Failure> {
    match max {
        Some(max) if selected as u64 > max => Err(Failure::new(
            Exit::Refused,
            format!(
                "{selected} devices match, and the playbook allows {max}; nothing was sent to any"
            ),
        )
        .hint("narrow them with --limit or --exclude, or raise `max` under `targets`")),
        _ => Ok(()),
    }
}

pub(super) fn settings(playbook: &Playbook, scope: &Scope) -> RunSettings {
    let wished = scope
        .max_sessions
        .map_or(playbook.settings.max_sessions, usize::from);
    if wished > MOST_SESSIONS {
        Output::say(&format!(
            "warning: {wished} sessions at once are more than the cloud leaves us; using {MOST_SESSIONS}"
        ));
    }
    RunSettings {
        max_sessions: wished.min(MOST_SESSIONS),
        selection: Selection {
            tags: scope.tags.clone(),
            skip_tags: scope.skip_tags.clone(),
            start_at: scope.start_at.as_deref().map(StepId::from),
        },
    }
}

/// Makes sure that the chosen steps are there, and need nothing of those that are left out.
fn chosen(selection: &Selection, playbook: &Playbook, output: &Output) -> Result<(), Failure> {
    selection
        .check(playbook)
        .map_err(|error| Failure::new(Exit::Usage, Escaped(&error.to_string()).to_string()))?;
    let missing = selection.missing(playbook);
    if missing.is_empty() {
        return Ok(());
    }
    load::show(&missing, &playbook.source, output);
    let message = "the chosen steps need what is left out; nothing was sent";
    Err(Failure::new(Exit::Usage, message))
}

/// A template that fails for a device is drawn on the playbook.
fn unrendered(error: PlanError, source: &Source, output: &Output) -> Failure {
    let device = error.device.clone();
    load::show(&[error.error.into()], source, output);
    Failure::new(
        Exit::Usage,
        format!("a value cannot be rendered for {device}; nothing was sent"),
    )
}

/// A saved plan, on the devices as they are now. Targets can vanish from it, and never come to it.
pub(super) async fn reopen(
    path: &Path,
    scope: &Scope,
    output: &Output,
) -> Result<(Plan, Backend), Failure> {
    let shown = Escaped(&path.display().to_string()).to_string();
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot read {shown}: {error}")))?;
    let document = Document::read(&bytes).map_err(|error| {
        Failure::new(
            Exit::Refused,
            format!("{shown}: {}", Escaped(&error.to_string())),
        )
        .hint("make it again with sortie plan -o")
    })?;
    let files = library::to_send(Path::new(&document.path));
    revive(&document, &files, scope, output).await
}

/// Makes a plan of a saved one, on its devices as they are now. `files` gives those that it sends.
pub(super) async fn revive(
    document: &Document,
    files: &Library<'_>,
    scope: &Scope,
    output: &Output,
) -> Result<(Plan, Backend), Failure> {
    // What was approved is what runs: the used playbooks come out of the plan, and never from the disk.
    let library = |path: &str| {
        let text = document.used.get(path).ok_or(Unavailable::Missing)?;
        Ok(text.clone().into_bytes())
    };
    let text = document.playbook.as_bytes();
    let playbook = load::playbook(&document.path, text, &library, output)?;
    load::refuse_not_built(&playbook.not_built(), &playbook.source, output)?;
    let inputs = inputs::again(&playbook, &document.inputs, scope, output)?;
    let selection = &document.settings.selection;
    // Whatever lies there now: its hash is part of what was approved.
    let assets = load::assets(&playbook, &inputs, selection, files, output)?;
    if *assets.sources() != document.sources {
        let message = "a file that the plan sends is another one now; nothing was sent";
        let hint = "put the file back that was approved, or make the plan again";
        return Err(Failure::new(Exit::Refused, message).hint(hint));
    }
    let ids = Ids(document.devices.iter().map(|line| line.id).collect());
    let mut targets = playbook.targets.clone();
    targets.selectors = vec![Selector::Ids(ids.clone())];
    let backend = backend::connect(scope, &targets_for(scope, &playbook, targets), output).await?;
    let answering = backend.fleet.backend();
    if (&answering.organisation, &answering.api)
        != (&document.backend.organisation, &document.backend.api)
    {
        return Err(Failure::new(
            Exit::Refused,
            format!(
                "the plan is for organisation {}, and the credentials are for {}",
                Escaped(&document.backend.organisation),
                Escaped(&answering.organisation)
            ),
        )
        .hint("choose the profile that the plan was made with"));
    }
    let found = backend
        .fleet
        .find(DeviceQuery {
            ids: ids.0,
            all_of: None,
        })
        .await
        .map_err(|cause| backend::failed(&cause))?;
    let plan = on_devices(document, (playbook, assets), inputs, answering, &found)
        .map_err(|error| Failure::new(Exit::Refused, error.to_string()))?;
    Ok((plan, backend))
}

/// A simulator must make the devices that the plan's own simulator made, so it needs the same targets.
fn targets_for(scope: &Scope, playbook: &Playbook, by_id: Targets) -> Targets {
    if scope.simulate.is_some() && !playbook.targets.is_empty() {
        playbook.targets.clone()
    } else {
        by_id
    }
}

fn on_devices(
    document: &Document,
    (playbook, assets): (Arc<Playbook>, Assets),
    inputs: Map<String, Value>,
    backend: crate::live::Backend,
    found: &[Device],
) -> Result<Plan, PlanError> {
    let planned = |line: &plan::document::DeviceLine| match found
        .iter()
        .find(|device| device.id == line.id)
    {
        Some(device) => PlannedDevice {
            device: device.clone(),
            gone: None,
        },
        None => PlannedDevice {
            device: line.last_known(),
            gone: Some(crate::model::outcome::Cause::DeviceNotFound),
        },
    };
    let devices = document.devices.iter().map(planned).collect();
    let mut plan = plan::build(
        playbook,
        inputs,
        document.settings.clone(),
        backend,
        devices,
        assets,
    )?;
    for ((planned, row), line) in plan
        .devices
        .iter_mut()
        .zip(&plan.table)
        .zip(&document.devices)
    {
        if planned.gone.is_none() {
            planned.gone = Document::drift(line, &planned.device, row);
        }
    }
    // What was approved is the saved plan; devices that dropped out of it do not make another one.
    plan.sha256.clone_from(&document.sha256);
    Ok(plan)
}
