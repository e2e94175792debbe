//! The end of a run: its reports, and what is shown of it.

use super::exit::Exit;
use super::options::{Scope, Simulated};
use super::output::Output;
use super::run::{Carried, unwritable};
use super::{Failure, again};
use crate::model::device::Device;
use crate::report::{self, View};
use crate::text::escape::Escaped;
use crate::text::json;
use crate::ui::summary::{Ending, draw};
use serde_json::Value;

/// How a run ended: its reports are written, and the run directory is complete.
pub(super) struct Reported<'a> {
    pub(super) exit: Exit,
    pub(super) view: View<'a>,
    pub(super) summary: Value,
}

/// Makes everything that is told of a run out of what lies on disk.
pub(super) fn report(carried: &Carried) -> Result<Reported<'_>, Failure> {
    let Carried {
        run_id,
        playbook,
        dir,
        ..
    } = carried;
    let devices: Vec<&Device> = carried.devices.iter().collect();
    let state = report::fold(dir, &devices).map_err(|error| broken(&error))?;
    let exit = Exit::of_run(&state);
    let view = View {
        dir,
        run_id,
        playbook: &playbook.name,
        source: &playbook.source,
        devices,
        state,
        simulated: carried.simulated,
    };
    report::results::write(&view).map_err(|error| broken(&error))?;
    let summary = report::summary::summary(&view, exit.code());
    dir.write("summary.json", json::line(&summary).as_bytes())
        .map_err(|error| unwritable(&error))?;
    dir.finish().map_err(|error| unwritable(&error))?;
    Ok(Reported {
        exit,
        view,
        summary,
    })
}

fn broken(error: &report::ReportError) -> Failure {
    Failure::new(Exit::Output, Escaped(&error.to_string()).to_string())
        .hint("the journal and the bags are in the run directory")
}

/// Shows what it wants of a run that came to its end, before the summary.
pub(super) type ShowEnd<'a> = &'a dyn Fn(&View<'_>) -> Result<(), report::ReportError>;

pub(super) fn conclude(
    show: ShowEnd<'_>,
    scope: &Scope,
    carried: &Carried,
    output: &Output,
) -> Result<Exit, Failure> {
    let Reported {
        exit,
        view,
        summary,
    } = report(carried)?;
    if scope.json {
        Output::result(&json::line(&summary));
        return Ok(exit);
    }
    show(&view).map_err(|error| broken(&error))?;
    Output::result(&draw(&Ending {
        playbook: view.playbook,
        source: view.source,
        simulated: view.simulated,
        run_dir: &view.dir.path().display().to_string(),
        devices: &view.devices,
        state: &view.state,
        took: carried.took,
        width: output.width,
        is_gone: matches!(
            scope.simulate,
            Some(Simulated::Count(_) | Simulated::Scenario(_))
        ),
        resume: &|wish| again::resume(view.dir.path(), scope, wish),
        resolve: &|device, step| again::resolve(view.dir.path(), device, step),
    }));
    Ok(exit)
}
