//! Runs one command line on the endpoint, as SYSTEM or root, and brings its output back.
//!
//! `command` goes to the endpoint as it is; no shell stands between. In its place, `program` and `args`
//! make a command line in which each argument arrives as it is, whatever is in it; on Windows a batch
//! file is refused what its shell would act on. Standard output and error arrive merged, through a file on
//! the endpoint that is removed afterwards. `effect` says what running it means: `read` changes nothing and
//! may be repeated, `converge` leads to the same end state, `once` (the default) must never run twice.
//!
//! `output: text` takes up to 16 MiB and gives them as `stdout`. `encoding` names a code page; `auto` knows
//! UTF-8 and UTF-16 and takes everything else for the OEM page 437. `output: file` keeps the output in the
//! bag as it is, up to `defaults.max_size`, filed as `rel/STEP.out` apart from the endpoint's own files;
//! secrets in it stay there.
//!
//! ```yaml
//! name: Connections
//! exec: {command: 'netstat.exe -ano', effect: read, expect_code: 0}
//! register: connections
//! ```

pub(super) mod capture;
pub(super) mod quote;

use super::cx::{StepCx, Stop};
use super::guard::one_of;
use super::{Arguments, Built, Ceiling, ResultField, Shape, Spec, get_file, never_started};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::Cause;
use crate::model::remote::RemoteText;
use crate::model::row::{Row, RowKind, StoredFile};
use crate::template::{
    Choice, Field, Fields, FromText, Scope, Template, TemplateError, Word, short_form,
};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::encoding::Encoding;
use crate::text::size::Size;
use crate::text::yaml::Node;
use capture::{Brought, Capture, Keep, MAX_OUTPUT, Ran};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

pub(super) const SPEC: Spec = Spec {
    key: "exec",
    summary: "run a command line and fetch its output",
    permissions: &[Permission::Exec],
    effect: Effect::Once,
    os: &Os::NAMED,
    commands: &[
        "create process",
        "get file",
        "directory list",
        "delete file",
    ],
    results: &[
        ResultField::new(
            "stdout",
            Shape::Text,
            "standard output and error, merged and decoded; empty unless `output: text`",
        ),
        ResultField::new(
            "files",
            Shape::List,
            "with `output: file`, the output, with `path`, `size`, `sha256`, `stored_path`",
        ),
        ResultField::new(
            "code",
            Shape::Number,
            "the exit code; none when nobody waited",
        ),
        ResultField::new("pid", Shape::Number, "the process id"),
    ],
    source: include_str!("exec.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<Exec>,
};

/// What a result's `data` column holds of an output; the whole of it is in the step's own file.
const MAX_DATA: usize = 64 * 1024;

/// What to run, and what becomes of its output.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [{"required": ["command"]}, {"required": ["program"]}]),
    transform = short_form("command")
)]
pub struct Exec {
    /// The command line as the endpoint gets it; no shell stands between.
    pub command: Option<Template>,
    /// The program to run, in place of `command`; it and `args` are quoted for the target.
    pub program: Option<Template>,
    /// The arguments of `program`, one by one.
    #[schemars(extend("default" = []))]
    pub args: Vec<Template>,
    /// The working directory on the endpoint.
    pub cwd: Option<Template>,
    /// Whether to wait for the command's end; without waiting there is neither output nor exit code.
    #[schemars(with = "Word<Wait>", extend("default" = true))]
    pub wait: Wait,
    /// What becomes of the output: `text` fetches it as text, `file` as it is, `none` leaves it alone.
    /// `none` where nobody waits.
    #[schemars(with = "Word<Output>", extend("default" = "text"))]
    pub output: Output,
    /// How the output is encoded: `auto`, or an encoding such as `utf-8`, `windows-1252` or `cp850`.
    #[schemars(with = "String", extend("default" = "auto"))]
    pub encoding: Encoding,
    /// The exit code without which the step fails; a missing one is not 0.
    pub expect_code: Option<Field<i64>>,
    /// What running it means: `read` changes nothing and may be repeated, `converge` leads to the same
    /// end state however often it runs, `once` must never run twice.
    #[schemars(with = "Word<Effect>", extend("default" = "once"))]
    pub effect: Effect,
    /// Nothing is kept of a larger output, where it is kept as a file: `defaults.max_size`.
    #[schemars(skip)]
    pub max_size: Option<Field<Size>>,
}

/// Whether the command's end is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    ForEnd,
    No,
}

/// What becomes of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Text,
    File,
    None,
}

impl Choice for Wait {
    const CHOICES: &'static [(&'static str, Self)] = &[("true", Self::ForEnd), ("false", Self::No)];
}

impl Choice for Output {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("text", Self::Text),
        ("file", Self::File),
        ("none", Self::None),
    ];
}

impl Choice for Effect {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("read", Self::Read),
        ("converge", Self::Converge),
        ("once", Self::Once),
    ];
}

/// A code page by its name.
#[derive(Debug, Clone)]
struct Page(Encoding);

impl FromText for Page {
    fn expected() -> String {
        "auto, or an encoding such as utf-8, utf-16le, windows-1252 or cp850".into()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Encoding::from_label(text)
            .map(Self)
            .ok_or_else(|| format!("expected {}", Self::expected()))
    }
}

impl Exec {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Self {
        let mut fields = Fields::with_short_form(node, SPEC.key, "command", all);
        let command = fields.optional("command");
        let program = fields.optional("program");
        let args: Vec<Template> = fields.or("args", Vec::new());
        let cwd = fields.optional("cwd");
        let wait = fields.or("wait", Wait::ForEnd);
        let output = fields.or(
            "output",
            if wait == Wait::No {
                Output::None
            } else {
                Output::Text
            },
        );
        let encoding = fields.or("encoding", Page(Encoding::Auto)).0;
        let expect_code = fields.optional("expect_code");
        let effect = fields.or("effect", SPEC.effect);
        for (key, clash) in [
            ("output", output != Output::None),
            ("expect_code", expect_code.is_some()),
        ] {
            if wait == Wait::No && clash {
                let span = fields.key_span(key);
                let message = format!(
                    "`{key}` needs the command's end, and `wait: false` does not wait for it"
                );
                fields
                    .diagnostics()
                    .error(Code::BadValue, span, message)
                    .help(format!("remove `{key}` or `wait`"));
            }
        }
        one_of(
            &mut fields,
            SPEC.key,
            ["command", "program"],
            "give it a command line, for example exec: 'ipconfig.exe /all'",
        );
        if !args.is_empty() && command.is_some() {
            let span = fields.key_span("args");
            fields
                .diagnostics()
                .error(
                    Code::BadValue,
                    span,
                    "`args` are the arguments of `program`, and `command` is a whole line",
                )
                .help("write them into `command`, or name the program alone under `program`");
        }
        fields.finish();
        Self {
            command,
            program,
            args,
            cwd,
            wait,
            output,
            encoding,
            expect_code,
            effect,
            max_size: None,
        }
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let (commands, contents) = if self.output == Output::None {
            (1, 0)
        } else {
            (3, 1)
        };
        let limit = self.limit();
        Arguments {
            others: (self.expect_code.iter().flat_map(Field::references))
                .chain(limit.into_iter().flat_map(Field::references))
                .collect(),
            ceiling: match (self.output, limit) {
                (Output::File, Some(most)) => Ceiling::Given(most),
                (Output::File, None) => Ceiling::Open,
                (Output::Text | Output::None, _) => Ceiling::Bytes(MAX_OUTPUT as u64),
            },
            ..Arguments::costing(commands, contents)
                .with("command", &self.command)
                .with("program", &self.program)
                .with("args", &self.args)
                .with("cwd", &self.cwd)
        }
    }

    /// The playbook's limit for files counts where the output becomes one.
    fn limit(&self) -> Option<&Field<Size>> {
        (self.max_size.as_ref()).filter(|_| self.output == Output::File)
    }

    fn command_line(&self, scope: &Scope, os: Os) -> Result<String, Stop> {
        match (&self.command, &self.program) {
            (Some(command), _) => Ok(command.render(scope)?),
            (None, Some(program)) => {
                let args = self.args.iter().map(|arg| arg.render(scope));
                let args: Vec<String> = args.collect::<Result<_, _>>()?;
                let line = quote::line(&program.render(scope)?, &args, os);
                Ok(line.map_err(|why| TemplateError::new(Code::BadValue, program.span(), why))?)
            }
            (None, None) => Err(never_started()),
        }
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let command_line = self.command_line(cx.scope, cx.device.os)?;
        let working_directory = self
            .cwd
            .as_ref()
            .map(|cwd| cwd.render(cx.scope))
            .transpose()?;
        let expected = self
            .expect_code
            .as_ref()
            .map(|code| code.resolve(cx.scope))
            .transpose()?;
        let limit = self
            .limit()
            .map(|limit| limit.resolve(cx.scope))
            .transpose()?
            .map(Size::bytes);
        let keep = match self.output {
            Output::None => Keep::Nothing,
            Output::Text => Keep::Bytes,
            Output::File => Keep::File { limit },
        };
        let capture = Capture {
            command_line: command_line.clone(),
            working_directory,
            wait: self.wait == Wait::ForEnd,
            keep,
            effect: self.effect,
        };
        let Ran { pid, code, output } = capture.run(cx).await?;
        let output = output.map(|brought| match brought {
            Brought::Nothing => Told::Nothing,
            Brought::Bytes(bytes) => Told::Text(self.encoding.decode(&bytes)),
            Brought::File(file) => Told::File(file),
        });
        cx.rows.push(row_of(command_line, &output, pid, code));
        let (stdout, files) = match output? {
            Told::Nothing => (String::new(), Vec::new()),
            Told::Text(text) => (text, Vec::new()),
            Told::File(file) => (String::new(), vec![get_file::listed(&file)]),
        };
        if let Some(expected) = expected
            && code != Some(expected)
        {
            return Err(Cause::ExitCode { code, expected }.into());
        }
        Ok(json!({"stdout": stdout, "files": files, "code": code, "pid": pid}))
    }
}

/// What an output says, decoded.
enum Told {
    Nothing,
    Text(String),
    File(Box<StoredFile>),
}

/// What a row holds of a text.
pub(super) fn shown(text: &str) -> RemoteText {
    text[..text.floor_char_boundary(MAX_DATA)].into()
}

fn row_of(
    command_line: String,
    output: &Result<Told, Cause>,
    pid: Option<u64>,
    code: Option<i64>,
) -> Row {
    let mut row = Row::new(RowKind::Exec);
    row.name = Some(command_line.into());
    row.extra.insert("code".into(), json!(code));
    row.extra.insert("pid".into(), json!(pid));
    match output {
        Ok(Told::Nothing) => {}
        Ok(Told::Text(text)) => {
            row.size = Some(text.len() as u64);
            row.data = Some(shown(text));
        }
        Ok(Told::File(file)) => {
            row.size = Some(file.size_received);
            row.sha256 = Some(file.sha256.clone());
            let stored_path = json!(file.stored_path);
            row.extra.insert("stored_path".into(), stored_path);
        }
        // The command ran all the same.
        Err(cause) => row.cause = Some(cause.clone()),
    }
    row
}
