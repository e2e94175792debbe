//! A command line that is run, its output in a file of ours, which is fetched and taken away again.

use crate::model::command::{Command, CommandResult};
use crate::model::device::Os;
use crate::model::effect::Effect;
use crate::model::outcome::Cause;
use crate::model::row::StoredFile;
use crate::step::cx::{FileRequest, StepCx};
use crate::step::{get_file, unexpected};

/// Output taken into memory; more is refused rather than cut.
pub(in crate::step) const MAX_OUTPUT: usize = 16 * 1024 * 1024;

/// What to run, and what becomes of its output.
#[derive(Debug)]
pub(in crate::step) struct Capture {
    pub(in crate::step) command_line: String,
    pub(in crate::step) working_directory: Option<String>,
    pub(in crate::step) wait: bool,
    pub(in crate::step) keep: Keep,
    pub(in crate::step) effect: Effect,
}

/// What becomes of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::step) enum Keep {
    Nothing,
    Bytes,
    /// In the bag, unless it is larger than the limit.
    File {
        limit: Option<u64>,
    },
}

/// What came of an output.
#[derive(Debug)]
pub(in crate::step) enum Brought {
    Nothing,
    Bytes(Vec<u8>),
    File(Box<StoredFile>),
}

/// A command line that ran, also where its output could not be had.
#[derive(Debug)]
pub(in crate::step) struct Ran {
    pub(in crate::step) pid: Option<u64>,
    /// None where nobody waited.
    pub(in crate::step) code: Option<i64>,
    pub(in crate::step) output: Result<Brought, Cause>,
}

impl Capture {
    pub(in crate::step) async fn run(self, cx: &mut StepCx<'_>) -> Result<Ran, Cause> {
        let output_file = (self.keep != Keep::Nothing).then(|| output_path(cx));
        let command = Command::CreateProcess {
            command_line: self.command_line,
            wait: self.wait,
            working_directory: self.working_directory,
            output_file: output_file.clone(),
        };
        let started = cx.hands.command(command, self.effect).await;
        // A refusal by the endpoint means that nothing ran; after any other trouble the file may be there.
        let output = match (&started, &output_file) {
            (Ok(_), Some(path)) => bring(cx, path, self.keep).await,
            (Err(cause), Some(path)) if !cause.is_refusal() => {
                cx.remove(path).await?;
                Ok(Brought::Nothing)
            }
            _ => Ok(Brought::Nothing),
        };
        let reply = started?;
        let CommandResult::Started { pid, return_code } = reply.result else {
            return Err(unexpected(&reply));
        };
        let code = return_code.filter(|_| self.wait);
        Ok(Ran { pid, code, output })
    }
}

/// Fetches the output and takes it away from the endpoint, whatever came of fetching it.
async fn bring(cx: &mut StepCx<'_>, path: &str, keep: Keep) -> Result<Brought, Cause> {
    let brought = match keep {
        Keep::Nothing => Ok(Brought::Nothing),
        Keep::Bytes => fetch(cx, path).await.map(Brought::Bytes),
        Keep::File { limit } => {
            let stored = store(cx, path, limit).await;
            stored.map(|file| Brought::File(Box::new(file)))
        }
    };
    cx.remove(path).await?;
    brought
}

/// Files the output under the step's name. A path that is relative is none of the endpoint's own, among
/// which a file of ours would pass for evidence.
async fn store(cx: &mut StepCx<'_>, path: &str, limit: Option<u64>) -> Result<StoredFile, Cause> {
    let output = FileRequest {
        save_as: format!("{}.out", cx.step),
        limit,
        ..FileRequest::whole(path)
    };
    get_file::fetch(cx, &output, None).await
}

/// Takes an output into memory.
pub(in crate::step) async fn fetch(cx: &mut StepCx<'_>, path: &str) -> Result<Vec<u8>, Cause> {
    if let Some(bytes) = cx.hands.kept(path) {
        return Ok(bytes);
    }
    let reply = cx
        .ask(Command::GetFile {
            path: path.to_owned(),
            offset: 0,
            count: None,
        })
        .await?;
    let CommandResult::File(file) = &reply.result else {
        return Err(unexpected(&reply));
    };
    let read = cx.hands.read(file, MAX_OUTPUT).await;
    let bytes = read.map_err(|cause| match cause {
        // What is too large for text need not be for a file.
        Cause::TooLarge { limit } => Cause::TooMuchOutput { limit },
        other => other,
    })?;
    cx.hands.keep(path, &bytes).await?;
    Ok(bytes)
}

fn output_path(cx: &mut StepCx<'_>) -> String {
    let name = format!("sortie-{}.out", cx.hands.nonce());
    if cx.device.os == Os::Windows {
        format!("C:\\Windows\\Temp\\{name}")
    } else {
        format!("/tmp/{name}")
    }
}
