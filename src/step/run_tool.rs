//! Brings a tool to the endpoint, runs it, fetches what it wrote, and takes everything away again.
//!
//! `source` is a file beside the playbook, and `sha256` pins it: a file with another hash is an error before
//! anything is sent. Inputs may say which file it is, and nothing that differs from device to device. It
//! runs as SYSTEM or root in a directory of its own, or in `directory`, where nothing of somebody else's is
//! touched: a file that is there already in the place of the tool, of an output or of `done_when` fails the
//! step first. `args` are quoted for the target; an element that is one expression and gives a list
//! stands for its elements. On Linux and macOS `chmod` makes it executable first.
//!
//! `outputs` are paths below the directory. They are filed in the bag as `rel/STEP/…`, apart from the
//! endpoint's own files, each up to `defaults.max_size`; one that is missing fails the step after the others
//! were fetched. What the tool prints is kept as text, up to 16 MiB.
//!
//! Whatever came of it, outputs, tool and directory are then deleted, unless `keep: true`. What else the tool
//! wrote is not ours to delete and stays; where the directory was made for the step, reports list it as left
//! behind.
//!
//! A tool that runs longer than one command may is started with `detach`: nobody waits for its end, and the
//! step looks every `poll` (ten minutes at most) whether the file `done_when` is there, below the directory
//! unless it is an absolute path. When `timeout` is over before, the step fails, and a tool that still runs
//! stays with what it writes. There is no exit code. `effect` says what running it means, as for `exec`.
//!
//! ```yaml
//! name: Autoruns
//! run_tool:
//!   source: tools/autorunsc64.exe
//!   sha256: 9b8db510ef42b8ed54a3712636fda55a4f8cfcd5493e20b74ab00cd4f3979f2d
//!   args: [-accepteula, -a, '*', -o, out.csv]
//!   outputs: [out.csv]
//!   effect: read
//! ```

mod detached;
mod site;

use super::cx::{Content, FileRequest, StepCx, Stop};
use super::exec::capture;
use super::given::{elements, filled, names_something};
use super::guard::Sha256;
use super::{
    Arguments, Built, Ceiling, Cost, ResultField, Shape, Spec, base_name, exec, get_file,
    unexpected,
};
use crate::model::command::{Command, CommandResult};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::{Cause, LOCKED, NOT_FOUND};
use crate::model::row::{Row, RowKind, StoredFile};
use crate::template::{Field, Fields, FromNode, Scope, Spanned, Template, TemplateError, Word};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::duration::Duration;
use crate::text::encoding::Encoding;
use crate::text::size::Size;
use crate::text::yaml::Node;
use detached::{Done, until_done};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};
use site::Site;

pub(super) const SPEC: Spec = Spec {
    key: "run_tool",
    summary: "run a tool and fetch what it writes",
    permissions: &[Permission::Exec],
    effect: Effect::Once,
    os: &Os::NAMED,
    commands: &[
        "directory list",
        "create directory",
        "put file",
        "create process",
        "get file",
        "delete file",
    ],
    results: &[
        ResultField::new(
            "stdout",
            Shape::Text,
            "what it printed, standard output and error, merged and decoded",
        ),
        ResultField::new(
            "files",
            Shape::List,
            "the outputs fetched, each with `path`, `size`, `sha256`, `stored_path`",
        ),
        ResultField::new("code", Shape::Number, "the exit code; none with `detach`"),
        ResultField::new("pid", Shape::Number, "the process id"),
    ],
    source: include_str!("run_tool.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<RunTool>,
};

/// Which tool to run, and what it leaves.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RunTool {
    /// The local file that is sent, relative to the playbook.
    pub source: Template,
    /// The hash that the local file must have.
    #[schemars(with = "Field<Sha256>")]
    pub sha256: Spanned<Field<Sha256>>,
    /// Its arguments, each quoted for the target.
    #[schemars(extend("default" = []))]
    pub args: Vec<Template>,
    /// The directory on the endpoint where it runs; one of its own, made for the step, unless given.
    pub directory: Option<Template>,
    /// The files it writes, below `directory`, that are fetched.
    #[schemars(extend("default" = []))]
    pub outputs: Vec<Template>,
    /// Whether tool and outputs stay on the endpoint.
    #[schemars(extend("default" = false))]
    pub keep: bool,
    /// Does not wait for its end with a command of its own, for tools that run longer than one may.
    pub detach: Option<Detach>,
    /// The exit code without which the step fails; a missing one is not 0.
    pub expect_code: Option<Field<i64>>,
    /// What running it means: `read` changes nothing and may be repeated, `converge` leads to the same
    /// end state however often it runs, `once` must never run twice.
    #[schemars(with = "Word<Effect>", extend("default" = "once"))]
    pub effect: Effect,
    /// Nothing is kept of a larger output: `defaults.max_size`.
    #[schemars(skip)]
    pub max_size: Option<Field<Size>>,
}

/// How the end of a detached tool is seen.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Detach {
    /// The file on the endpoint that is there once the tool is done; below the directory, or absolute.
    pub done_when: Template,
    /// How often to look.
    #[schemars(extend("default" = "30s"))]
    pub poll: Field<Duration>,
}

impl FromNode for Detach {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "detach", all);
        let done_when: Option<Template> = fields.required("done_when");
        names_something(&mut fields, "done_when", done_when.as_ref());
        let poll = fields.or("poll", Field::Literal(Duration::from_secs(30)));
        fields.finish();
        Some(Self {
            done_when: done_when?,
            poll,
        })
    }
}

impl RunTool {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, SPEC.key, all);
        let source = fields.required("source");
        let sha256 = fields.required("sha256");
        let args = fields.or("args", Vec::new());
        let directory: Option<Template> = fields.optional("directory");
        names_something(&mut fields, "directory", directory.as_ref());
        let outputs: Vec<Template> = fields.or("outputs", Vec::new());
        let keep = fields.or("keep", false);
        let detach: Option<Detach> = fields.optional("detach");
        let expect_code = fields.optional("expect_code");
        let effect = fields.or("effect", SPEC.effect);
        if detach.is_some() && expect_code.is_some() {
            let span = fields.key_span("expect_code");
            let message = "`expect_code` needs the tool's end, and `detach` does not wait for it";
            fields
                .diagnostics()
                .error(Code::BadValue, span, message)
                .help("remove `expect_code` or `detach`");
        }
        for output in &outputs {
            if let Some(Err(why)) = output.as_literal().map(site::is_below) {
                fields
                    .diagnostics()
                    .error(Code::BadValue, output.span(), why)
                    .help("name it from the tool's directory on, for example out/report.csv");
            }
        }
        fields.finish();
        Some(Self {
            source: source?,
            sha256: sha256?,
            args,
            directory,
            outputs,
            keep,
            detach,
            expect_code,
            effect,
            max_size: None,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let outputs = self.outputs.len() as u64;
        let removals = if self.keep { 1 } else { 3 + outputs };
        let numbers = self.expect_code.iter().flat_map(Field::references);
        let poll = self.detach.iter().flat_map(|one| one.poll.references());
        Arguments {
            others: (self.sha256.value.references())
                .chain(poll)
                .chain(numbers)
                .chain(self.max_size.iter().flat_map(Field::references))
                .collect(),
            cost: Cost {
                // A directory, a file, a process, and what it printed.
                commands: 4 + outputs + removals,
                contents: 1 + outputs,
                uploads: 1,
                open_ended: self.detach.is_some(),
            },
            ceiling: self.max_size.as_ref().map_or(Ceiling::Open, Ceiling::Given),
            ..Arguments::default()
                .with("source", [&self.source])
                .with("args", &self.args)
                .with("directory", &self.directory)
                .with("outputs", &self.outputs)
                .with("done_when", self.detach.iter().map(|one| &one.done_when))
        }
    }

    /// Every value in its place.
    fn task(&self, cx: &mut StepCx<'_>) -> Result<Task, Stop> {
        let scope = cx.scope;
        let os = cx.device.os;
        let name = self.source.render(scope)?;
        let name = base_name(&name).to_owned();
        let directory = match &self.directory {
            Some(given) => Directory::Given(filled(given, scope)?),
            None => Directory::OfItsOwn,
        };
        let site = Site::new(os, &directory, &cx.hands.nonce());
        let wrong = |template: &Template, why: String| {
            TemplateError::new(Code::BadValue, template.span(), why)
        };
        let tool = site.at(&name);
        let line = exec::quote::line(&tool, &words(&self.args, scope)?, os)
            .map_err(|why| wrong(&self.source, why))?;
        let mut outputs = Vec::new();
        for template in &self.outputs {
            for output in elements(template, scope)? {
                site::is_below(&output).map_err(|why| wrong(template, why))?;
                outputs.push(Output {
                    path: site.at(&output),
                    save_as: format!("{}/{}", cx.step, output.replace('\\', "/")),
                    name: output,
                });
            }
        }
        let done = self.detach.as_ref().map(|detach| {
            let given = filled(&detach.done_when, scope)?;
            let poll = detach.poll.resolve(scope)?.get();
            Ok::<_, TemplateError>(Done {
                is_ours: site::is_below(&given).is_ok(),
                path: site.resolve(&given),
                poll: detached::bounded(poll),
            })
        });
        let limit = self.max_size.as_ref().map(|limit| limit.resolve(scope));
        let expected = self.expect_code.as_ref().map(|code| code.resolve(scope));
        Ok(Task {
            sha256: self.sha256.value.resolve(scope)?.0,
            done: done.transpose()?,
            limit: limit.transpose()?.map(Size::bytes),
            expected: expected.transpose()?,
            site,
            name,
            tool,
            line,
            outputs,
        })
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let mut task = self.task(cx)?;
        let mut ran = Ran::default();
        let worked = self.work(cx, &mut task, &mut ran).await;
        let left = task.site.clear(cx, self.keep).await?;
        let text = ran.text.as_ref().and_then(|text| text.as_ref().ok());
        let mut row = Row {
            name: Some(task.line.as_str().into()),
            data: text.map(|text| exec::shown(text)),
            size: text.map(|text| text.len() as u64),
            cause: (worked.as_ref().err())
                .or(ran.text.as_ref().and_then(|text| text.as_ref().err()))
                .cloned(),
            ..Row::new(RowKind::Exec)
        };
        for (key, value) in [
            ("code", json!(ran.code)),
            ("pid", json!(ran.pid)),
            ("tool_sha256", json!(task.sha256)),
            ("left_behind", json!(left)),
        ] {
            row.extra.insert(key.into(), value);
        }
        cx.rows.push(row);
        cx.rows.extend(ran.files.iter().map(row_of));
        worked?;
        if let Some(expected) = task.expected
            && ran.code != Some(expected)
        {
            let code = ran.code;
            return Err(Cause::ExitCode { code, expected }.into());
        }
        let files = ran.files.into_iter().map(|(_, fetched)| fetched);
        let files = files.collect::<Result<Vec<StoredFile>, _>>()?;
        let files: Vec<Value> = files.iter().map(get_file::listed).collect();
        let stdout = ran.text.transpose()?.unwrap_or_default();
        Ok(json!({"stdout": stdout, "files": files, "code": ran.code, "pid": ran.pid}))
    }

    /// Everything but taking away what was made.
    async fn work(&self, cx: &mut StepCx<'_>, task: &mut Task, ran: &mut Ran) -> Result<(), Cause> {
        let outputs = task.outputs.iter().map(|output| &output.path);
        let marker = task.done.iter().filter(|done| done.is_ours);
        let marker = marker.map(|done| &done.path);
        let ours = std::iter::once(&task.tool).chain(outputs).chain(marker);
        let ours: Vec<String> = ours.cloned().collect();
        task.site.enter(cx, &ours).await?;
        let sent = cx
            .hands
            .upload(Content::Asset(&task.sha256), &task.name)
            .await?;
        task.site.put(cx, &task.tool, sent).await?;
        self.start(cx, task, ran).await?;
        if let Some(done) = &task.done {
            task.site.runs = true;
            until_done(cx, done, ran.pid).await?;
            task.site.runs = false;
        }
        let printed = task.site.printed();
        ran.text = Some(match capture::fetch(cx, &printed).await {
            // Nobody saw its end: the file need not be whole, nor be there.
            Err(cause)
                if task.done.is_some()
                    && (cause.is_endpoint_code(&NOT_FOUND) || cause.is_endpoint_code(&LOCKED)) =>
            {
                Ok(String::new())
            }
            other => other.map(|bytes| Encoding::Auto.decode(&bytes)),
        });
        for output in &task.outputs {
            let path = &output.path;
            let wanted = FileRequest {
                save_as: output.save_as.clone(),
                limit: task.limit,
                ..FileRequest::whole(path)
            };
            let mut fetched = get_file::fetch(cx, &wanted, None).await;
            if let Err(cause) = &fetched
                && cause.is_endpoint_code(&NOT_FOUND)
            {
                task.site.is_gone(path);
                fetched = Err(Cause::Missing {
                    what: path.as_str().into(),
                });
            }
            let broken = (fetched.as_ref().err()).filter(|cause| {
                !matches!(cause, Cause::Missing { .. }) && !get_file::is_of_the_file(cause)
            });
            let broken = broken.cloned();
            ran.files.push((path.clone(), fetched));
            if let Some(cause) = broken {
                return Err(cause);
            }
        }
        Ok(())
    }

    async fn start(
        &self,
        cx: &mut StepCx<'_>,
        task: &mut Task,
        ran: &mut Ran,
    ) -> Result<(), Cause> {
        let command = Command::CreateProcess {
            command_line: task.line.clone(),
            wait: task.done.is_none(),
            working_directory: Some(task.site.directory().to_owned()),
            output_file: Some(task.site.printed()),
        };
        let started = cx.hands.command(command, self.effect).await;
        // A refusal by the endpoint means that nothing ran; after any other trouble its files may be there.
        if !started.as_ref().is_err_and(Cause::is_refusal) {
            task.site.writes_its_own();
            let names = task.outputs.iter().map(|output| output.name.as_str());
            task.site.writes_outputs(names);
            let marker = task.done.iter().filter(|done| done.is_ours);
            task.site.marks(marker.map(|done| done.path.clone()));
        }
        let reply = started?;
        let CommandResult::Started { pid, return_code } = reply.result else {
            return Err(unexpected(&reply));
        };
        ran.pid = pid;
        ran.code = return_code.filter(|_| task.done.is_none());
        Ok(())
    }
}

/// Where the tool runs.
enum Directory {
    OfItsOwn,
    Given(String),
}

/// The step on one device.
struct Task {
    site: Site,
    sha256: String,
    /// What the tool is called there, and where it goes.
    name: String,
    tool: String,
    line: String,
    outputs: Vec<Output>,
    done: Option<Done>,
    limit: Option<u64>,
    expected: Option<i64>,
}

struct Output {
    /// Below the directory.
    name: String,
    path: String,
    /// Relative, because it is none of the endpoint's own files.
    save_as: String,
}

/// What came of it.
#[derive(Default)]
struct Ran {
    pid: Option<u64>,
    code: Option<i64>,
    text: Option<Result<String, Cause>>,
    files: Vec<(String, Result<StoredFile, Cause>)>,
}

/// The arguments, one by one.
fn words(templates: &[Template], scope: &Scope) -> Result<Vec<String>, TemplateError> {
    let words = templates.iter().map(|template| elements(template, scope));
    Ok(words.collect::<Result<Vec<_>, _>>()?.concat())
}

fn row_of((path, fetched): &(String, Result<StoredFile, Cause>)) -> Row {
    match fetched {
        Ok(file) => get_file::row_of(file, &FileRequest::whole(path)),
        Err(cause) => Row {
            path: Some(path.as_str().into()),
            name: Some(base_name(path).into()),
            cause: Some(cause.clone()),
            ..Row::new(RowKind::File)
        },
    }
}
