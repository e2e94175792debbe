//! What an author can ask for: one file per kind of step, and the closed enum over them.
//!
//! A step is data: its arguments are plain fields, its behaviour an `async fn` over [`cx::StepCx`],
//! through which alone it touches anything. This file has the only list of the kinds and the only
//! matches over them.

mod assert;
mod ban_hash;
mod create_directory;
pub mod cx;
mod delete_file;
mod exec;
mod fetch_binary;
mod find_files;
mod finding;
mod foretold;
mod gather;
mod get_file;
mod given;
mod guard;
mod isolate;
mod kill_process;
mod list_directory;
mod list_processes;
mod memdump;
mod put_file;
mod reg_create_key;
mod reg_delete_key;
mod reg_delete_value;
mod reg_query;
mod reg_set;
mod registry;
mod release;
mod remove_service;
mod remove_task;
mod run_tool;
mod set;
mod set_policy;
mod spec;
mod there;
mod r#use;
mod wait;

pub use assert::Assert;
pub use ban_hash::BanHash;
pub use create_directory::CreateDirectory;
pub use delete_file::DeleteFile;
pub use exec::Exec;
pub use fetch_binary::FetchBinary;
pub use find_files::FindFiles;
pub use finding::Finding;
pub use foretold::{Foretold, Ground};
pub use gather::Gather;
pub use get_file::GetFile;
pub use guard::{Absent, Guarded, Hash, Md5, SENSOR, Sha256, Waiver};
pub use isolate::Isolation;
pub use kill_process::KillProcess;
pub use list_directory::ListDirectory;
pub use list_processes::{ListProcesses, ROW_FIELDS};
pub use memdump::Memdump;
pub use put_file::PutFile;
pub use reg_create_key::RegCreateKey;
pub use reg_delete_key::RegDeleteKey;
pub use reg_delete_value::RegDeleteValue;
pub use reg_query::RegQuery;
pub use reg_set::RegSet;
pub use remove_service::RemoveService;
pub use remove_task::RemoveTask;
pub use run_tool::RunTool;
pub use set::Set;
pub use set_policy::SetPolicy;
pub use spec::{Arguments, Built, Ceiling, Cost, ResultField, Shape, Spec};
pub use r#use::{Passed, Use};
pub use wait::Wait;

use crate::model::command::{Command, Reply};
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::Cause;
use crate::template::{Field, Scope, Spanned, Template, TemplateError};
use crate::text::diagnostic::{Diagnostic, Diagnostics};
use crate::text::source::Span;
use crate::text::yaml::Node;
use cx::{StepCx, Stop};
use foretold::AHEAD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// An action with its arguments.
#[derive(Debug, Clone)]
pub enum StepKind {
    GetFile(GetFile),
    FindFiles(FindFiles),
    ListDirectory(ListDirectory),
    RegQuery(RegQuery),
    ListProcesses(ListProcesses),
    PutFile(PutFile),
    CreateDirectory(CreateDirectory),
    DeleteFile(DeleteFile),
    RegSet(RegSet),
    RegCreateKey(RegCreateKey),
    RegDeleteValue(RegDeleteValue),
    RegDeleteKey(RegDeleteKey),
    RemoveService(RemoveService),
    RemoveTask(RemoveTask),
    Gather(Gather),
    Exec(Exec),
    RunTool(RunTool),
    KillProcess(KillProcess),
    Memdump(Memdump),
    Isolate(Isolation),
    Release(Isolation),
    SetPolicy(SetPolicy),
    BanHash(BanHash),
    FetchBinary(FetchBinary),
    Assert(Assert),
    Finding(Finding),
    Set(Set),
    Wait(Wait),
    /// Only of a playbook that is being checked: what is carried out are the steps in its place.
    Use(Use),
}

/// Reads an action's arguments.
type Read = fn(&Node, &mut Diagnostics) -> Option<StepKind>;

/// Every kind of step: the one list, in the order of the manual.
pub const KINDS: [(&Spec, Read); 30] = [
    (&get_file::SPEC, |node, all| {
        GetFile::read(node, all).map(StepKind::GetFile)
    }),
    (&find_files::SPEC, |node, all| {
        FindFiles::read(node, all).map(StepKind::FindFiles)
    }),
    (&list_directory::SPEC, |node, all| {
        ListDirectory::read(node, all).map(StepKind::ListDirectory)
    }),
    (&reg_query::SPEC, |node, all| {
        RegQuery::read(node, all).map(StepKind::RegQuery)
    }),
    (&list_processes::SPEC, |node, all| {
        Some(StepKind::ListProcesses(ListProcesses::read(node, all)))
    }),
    (&put_file::SPEC, |node, all| {
        PutFile::read(node, all).map(StepKind::PutFile)
    }),
    (&create_directory::SPEC, |node, all| {
        CreateDirectory::read(node, all).map(StepKind::CreateDirectory)
    }),
    (&delete_file::SPEC, |node, all| {
        DeleteFile::read(node, all).map(StepKind::DeleteFile)
    }),
    (&reg_set::SPEC, |node, all| {
        RegSet::read(node, all).map(StepKind::RegSet)
    }),
    (&reg_create_key::SPEC, |node, all| {
        RegCreateKey::read(node, all).map(StepKind::RegCreateKey)
    }),
    (&reg_delete_value::SPEC, |node, all| {
        RegDeleteValue::read(node, all).map(StepKind::RegDeleteValue)
    }),
    (&reg_delete_key::SPEC, |node, all| {
        RegDeleteKey::read(node, all).map(StepKind::RegDeleteKey)
    }),
    (&remove_service::SPEC, |node, all| {
        RemoveService::read(node, all).map(StepKind::RemoveService)
    }),
    (&remove_task::SPEC, |node, all| {
        RemoveTask::read(node, all).map(StepKind::RemoveTask)
    }),
    (&gather::SPEC, |node, all| {
        Gather::read(node, all).map(StepKind::Gather)
    }),
    (&exec::SPEC, |node, all| {
        Some(StepKind::Exec(Exec::read(node, all)))
    }),
    (&run_tool::SPEC, |node, all| {
        RunTool::read(node, all).map(StepKind::RunTool)
    }),
    (&kill_process::SPEC, |node, all| {
        Some(StepKind::KillProcess(KillProcess::read(node, all)))
    }),
    (&memdump::SPEC, |node, all| {
        Memdump::read(node, all).map(StepKind::Memdump)
    }),
    (&isolate::SPEC, |node, all| {
        Some(StepKind::Isolate(Isolation::read(
            node,
            isolate::SPEC.key,
            all,
        )))
    }),
    (&isolate::QUARANTINE, |node, all| {
        Some(StepKind::Isolate(Isolation::read(
            node,
            isolate::QUARANTINE.key,
            all,
        )))
    }),
    (&release::SPEC, |node, all| {
        Some(StepKind::Release(Isolation::read(
            node,
            release::SPEC.key,
            all,
        )))
    }),
    (&set_policy::SPEC, |node, all| {
        SetPolicy::read(node, all).map(StepKind::SetPolicy)
    }),
    (&ban_hash::SPEC, |node, all| {
        Some(StepKind::BanHash(BanHash::read(node, all)))
    }),
    (&fetch_binary::SPEC, |node, all| {
        FetchBinary::read(node, all).map(StepKind::FetchBinary)
    }),
    (&assert::SPEC, |node, all| {
        Assert::read(node, all).map(StepKind::Assert)
    }),
    (&finding::SPEC, |node, all| {
        Finding::read(node, all).map(StepKind::Finding)
    }),
    (&set::SPEC, |node, all| {
        Set::read(node, all).map(StepKind::Set)
    }),
    (&wait::SPEC, |node, all| {
        Wait::read(node, all).map(StepKind::Wait)
    }),
    (&r#use::SPEC, |node, all| {
        Use::read(node, all).map(StepKind::Use)
    }),
];

/// Actions that the language has and this version does not understand yet.
pub const NOT_BUILT: [&str; 1] = ["collect"];

/// The action keys of a step, of which it has exactly one.
impl JsonSchema for StepKind {
    fn schema_name() -> Cow<'static, str> {
        "Action".into()
    }

    /// Editors complete keys out of `properties`; `oneOf` is what makes a second action an error.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = Map::new();
        let mut choice = Vec::new();
        for (spec, _) in KINDS {
            let mut arguments = (spec.schema)(generator);
            arguments.insert("description".into(), spec.describe().into());
            properties.insert(spec.key.to_owned(), arguments.into());
            // The message is for editors, which would otherwise ask for one of them by name.
            choice
                .push(json!({ "required": [spec.key], "errorMessage": "the step has no action" }));
        }
        json_schema!({ "type": "object", "properties": properties, "oneOf": choice })
    }
}

impl StepKind {
    pub const fn spec(&self) -> &'static Spec {
        match self {
            Self::GetFile(_) => &get_file::SPEC,
            Self::FindFiles(_) => &find_files::SPEC,
            Self::ListDirectory(_) => &list_directory::SPEC,
            Self::RegQuery(_) => &reg_query::SPEC,
            Self::ListProcesses(_) => &list_processes::SPEC,
            Self::PutFile(_) => &put_file::SPEC,
            Self::CreateDirectory(_) => &create_directory::SPEC,
            Self::DeleteFile(_) => &delete_file::SPEC,
            Self::RegSet(_) => &reg_set::SPEC,
            Self::RegCreateKey(_) => &reg_create_key::SPEC,
            Self::RegDeleteValue(_) => &reg_delete_value::SPEC,
            Self::RegDeleteKey(_) => &reg_delete_key::SPEC,
            Self::RemoveService(_) => &remove_service::SPEC,
            Self::RemoveTask(_) => &remove_task::SPEC,
            Self::Gather(_) => &gather::SPEC,
            Self::Exec(_) => &exec::SPEC,
            Self::RunTool(_) => &run_tool::SPEC,
            Self::KillProcess(_) => &kill_process::SPEC,
            Self::Memdump(_) => &memdump::SPEC,
            Self::Isolate(_) => &isolate::SPEC,
            Self::Release(_) => &release::SPEC,
            Self::SetPolicy(_) => &set_policy::SPEC,
            Self::BanHash(_) => &ban_hash::SPEC,
            Self::FetchBinary(_) => &fetch_binary::SPEC,
            Self::Assert(_) => &assert::SPEC,
            Self::Finding(_) => &finding::SPEC,
            Self::Set(_) => &set::SPEC,
            Self::Wait(_) => &wait::SPEC,
            Self::Use(_) => &r#use::SPEC,
        }
    }

    /// The rights that it needs, with its arguments.
    pub const fn permissions(&self) -> &'static [Permission] {
        match self {
            Self::GetFile(step) => step.permissions(),
            Self::RegQuery(step) => step.permissions(),
            Self::PutFile(step) => step.permissions(),
            _ => self.spec().permissions,
        }
    }

    /// The argument for which it needs a right that its kind does not need, and what that one does.
    pub const fn reason(&self, needed: Permission) -> Option<(Span, &'static str)> {
        match self {
            Self::GetFile(step) => step.reason(needed),
            Self::PutFile(step) => step.reason(needed),
            _ => None,
        }
    }

    /// The arguments as far as a plan and a check look at them.
    pub fn arguments(&self) -> Arguments<'_> {
        match self {
            Self::GetFile(step) => step.arguments(),
            Self::FindFiles(step) => step.arguments(),
            Self::ListDirectory(step) => step.arguments(),
            Self::RegQuery(step) => step.arguments(),
            Self::ListProcesses(step) => step.arguments(),
            Self::PutFile(step) => step.arguments(),
            Self::CreateDirectory(step) => step.arguments(),
            Self::DeleteFile(step) => step.arguments(),
            Self::RegSet(step) => step.arguments(),
            Self::RegCreateKey(step) => step.arguments(),
            Self::RegDeleteValue(step) => step.arguments(),
            Self::RegDeleteKey(step) => step.arguments(),
            Self::RemoveService(step) => step.arguments(),
            Self::RemoveTask(step) => step.arguments(),
            Self::Gather(step) => step.arguments(),
            Self::Exec(step) => step.arguments(),
            Self::RunTool(step) => step.arguments(),
            Self::KillProcess(step) => step.arguments(),
            Self::Memdump(step) => step.arguments(),
            Self::Isolate(step) | Self::Release(step) => step.arguments(),
            Self::SetPolicy(step) => step.arguments(),
            Self::BanHash(step) => step.arguments(),
            Self::FetchBinary(step) => step.arguments(),
            Self::Assert(step) => step.arguments(),
            Self::Finding(step) => step.arguments(),
            Self::Set(step) => step.arguments(),
            Self::Wait(step) => step.arguments(),
            Self::Use(step) => step.arguments(),
        }
    }

    pub async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        match self {
            Self::GetFile(step) => step.run(cx).await,
            Self::ListDirectory(step) => step.run(cx).await,
            Self::ListProcesses(step) => step.run(cx).await,
            Self::RegQuery(step) => step.run(cx).await,
            Self::Exec(step) => step.run(cx).await,
            Self::Assert(step) => step.run(cx),
            Self::Finding(step) => step.run(cx).await,
            Self::Set(step) => step.run(cx),
            Self::Wait(step) => step.run(cx).await,
            Self::FindFiles(step) => step.run(cx).await,
            Self::Memdump(step) => step.run(cx).await,
            Self::Gather(step) => step.run(cx).await,
            Self::RunTool(step) => step.run(cx).await,
            Self::PutFile(step) => step.run(cx).await,
            Self::CreateDirectory(step) => step.run(cx).await,
            Self::DeleteFile(step) => step.run(cx).await,
            Self::RegSet(step) => step.run(cx).await,
            Self::RegCreateKey(step) => step.run(cx).await,
            Self::RegDeleteValue(step) => step.run(cx).await,
            Self::RegDeleteKey(step) => step.run(cx).await,
            Self::KillProcess(step) => step.run(cx).await,
            Self::RemoveService(_)
            | Self::RemoveTask(_)
            | Self::Isolate(_)
            | Self::Release(_)
            | Self::SetPolicy(_)
            | Self::BanHash(_)
            | Self::FetchBinary(_)
            | Self::Use(_) => Err(never_started()),
        }
    }

    /// The reads that it begins with, as far as they are known before anything was answered.
    pub fn foretell(&self, scope: &Scope, ground: Ground) -> Result<Foretold, TemplateError> {
        match self {
            Self::GetFile(step) => step.foretell(scope, ground),
            Self::FindFiles(step) => step.foretell(scope, ground.os),
            Self::ListDirectory(step) => step.foretell(scope, ground.os),
            Self::ListProcesses(_) => Ok(Foretold::all(vec![Command::ProcessList])),
            Self::RegQuery(step) => step.foretell(scope),
            _ => Ok(Foretold::default()),
        }
    }

    /// What of it this version understands and does not carry out, with places; `action` is that of
    /// its key.
    pub fn not_built(&self, action: Span) -> Vec<Diagnostic> {
        let spec = self.spec();
        match spec.built {
            Built::NotYet => vec![Diagnostic::not_built(action, spec.key)],
            Built::Yes => Vec::new(),
        }
    }

    /// The local file that it sends, and the hash that the file must have where the author says so.
    pub fn local_file(&self) -> Option<(&Template, Option<&Spanned<Field<Sha256>>>)> {
        match self {
            Self::RunTool(step) => Some((&step.source, Some(&step.sha256))),
            Self::PutFile(step) => Some((step.source.as_ref()?, None)),
            _ => None,
        }
    }

    /// Whether the file that it puts there is taken away again at the device's end.
    pub const fn is_taken_away(&self) -> bool {
        matches!(self, Self::PutFile(step) if step.remove_after)
    }

    /// What repeating it would do.
    pub const fn effect(&self) -> Effect {
        match self {
            Self::Exec(step) => step.effect,
            Self::RunTool(step) => step.effect,
            Self::GetFile(step) => step.effect(),
            Self::RegQuery(step) => step.effect(),
            _ => self.spec().effect,
        }
    }

    /// What people call it unless they say so: what it does, or what a used playbook's file is called.
    pub fn label(&self) -> &str {
        match self {
            Self::Use(step) => step.file_stem(),
            _ => self.spec().summary,
        }
    }

    /// The names below its registered result; none where they are not known.
    pub fn result_names(&self) -> Option<Vec<&str>> {
        if let Self::Use(step) = self {
            let outputs = step.outputs.as_ref()?.iter().map(String::as_str);
            return Some(outputs.chain(["status"]).collect());
        }
        let own = self.spec().results.iter().map(|field| field.name);
        Some(own.chain(["status", "results"]).collect())
    }

    /// The result of a step that found nothing, because it failed or was skipped.
    pub fn empty_result(&self) -> Value {
        let empty = |shape| match shape {
            Shape::List => json!([]),
            Shape::Text => json!(""),
            Shape::Number => Value::Null,
            Shape::Flag => json!(false),
        };
        let fields = self
            .spec()
            .results
            .iter()
            .map(|field| (field.name.to_owned(), empty(field.shape)));
        Value::Object(fields.collect::<Map<_, _>>())
    }
}

/// What is not built is refused before anything is sent, and the steps of a used playbook stand in its place,
/// so nothing ever gets here.
fn never_started() -> Stop {
    Stop::Failed(Cause::Internal {
        detail: "a step that cannot run was started".into(),
    })
}

/// An endpoint answered a command with something that belongs to another one.
fn unexpected(reply: &Reply) -> Cause {
    Cause::BadAnswer {
        detail: format!(
            "command {} was answered with another command's result",
            reply.command
        ),
    }
}

/// The last part of a path of any system.
fn base_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}
