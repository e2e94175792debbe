//! A playbook as a document: read, checked, and then only read from.
//!
//! A [`Playbook`] comes only out of [`check::check`], so whoever holds one need not ask again. It knows
//! no device and no session.

pub mod check;
pub mod chosen;
mod expand;
pub mod explain;
pub mod frame;
pub mod input;
mod lint;
pub mod modifier;
mod proof;
pub mod references;
pub mod rollout;
pub mod schema;
pub mod settings;
pub mod settled;
mod steps;
pub mod syntax;
mod targets;
mod undo;
pub mod used;
pub mod vars;

use crate::model::device::Os;
use crate::model::effect::Permission;
use crate::model::event::OnError;
use crate::model::id::StepId;
use crate::step::StepKind;
use crate::target::Targets;
use crate::template::{Data, Expr, Field, Identifier, Named, Template, Word};
use crate::text::diagnostic::Diagnostic;
use crate::text::duration::Duration;
use crate::text::source::{Source, Span};
use crate::text::yaml::Key;
use frame::Frame;
use input::Input;
use modifier::{ForEach, Retry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::Settings;
use std::collections::BTreeMap;
use std::sync::Arc;
use vars::Vars;

/// A checked playbook; every part knows its place in the source.
#[derive(Debug, Clone, JsonSchema)]
pub struct Playbook {
    #[schemars(skip)]
    pub source: Arc<Source>,
    /// The files that it uses, relative to its own folder, in the order of the source.
    #[schemars(skip)]
    pub files: Vec<String>,
    /// What reports and lists call it; in a library, the path below `playbooks/` without suffix.
    pub name: String,
    /// What it is for, in a sentence or two.
    pub description: Option<String>,
    /// Who answers for it.
    pub author: Option<String>,
    /// Words to find it by.
    #[schemars(extend("default" = []))]
    pub tags: Vec<String>,
    /// All that its steps may do; a step that needs more is an error.
    #[schemars(with = "Vec<Word<Permission>>", extend("default" = ["read"]))]
    pub permissions: Vec<Permission>,
    /// What it asks of whoever runs it: `inputs.NAME` in templates, `-e NAME=VALUE` on the command line.
    #[schemars(with = "Named<Input>", extend("default" = {}))]
    pub inputs: Vec<Input>,
    /// Values derived for each device: `vars.NAME` in templates.
    #[schemars(with = "Named<Data>", extend("default" = {}))]
    pub vars: Vec<(Key, Data)>,
    /// The devices it runs on, unless the command line names others. None at all means none.
    #[schemars(with = "Option<targets::Selection>")]
    pub targets: Targets,
    /// How the run rolls out.
    #[schemars(rename = "run", with = "Option<Settings>")]
    pub settings: Settings,
    /// What is done on each device, one after the other; those of `always` come last in it.
    #[schemars(
        length(min = 1),
        description = "What is done on each device, one after the other."
    )]
    pub steps: Vec<Step>,
    /// The blocks that steps stand in; a block comes behind the one that it stands in.
    #[schemars(skip)]
    pub blocks: Vec<Block>,
    /// The playbooks that it uses; a frame comes behind the one that it is used in.
    #[schemars(skip)]
    pub frames: Vec<Frame>,
    /// Columns of the results, each a template that is rendered for each device at its end.
    #[schemars(with = "Named<Template>", extend("default" = {}))]
    pub outputs: Vec<(Key, Template)>,
}

/// One step: exactly one action, and modifiers beside it.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = schema::with_block)]
pub struct Step {
    /// Stable name in results, for resuming and for starting at it; made from `name` unless chosen.
    #[schemars(with = "Option<String>", regex(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"))]
    pub id: StepId,
    /// What people call it; what the action does, unless given.
    #[schemars(rename = "name", with = "Option<String>")]
    pub label: String,
    /// Of the action's key.
    #[schemars(skip)]
    pub span: Span,
    /// Where the author chose the id.
    #[schemars(skip)]
    pub id_span: Option<Span>,
    #[schemars(skip)]
    pub place: Place,
    /// Whose step it is: 0 is the playbook that is run, 1 the first of its frames.
    #[schemars(skip)]
    pub frame: usize,
    #[schemars(flatten)]
    pub kind: StepKind,
    /// The step is skipped where this expression does not hold; without `{{ }}`.
    pub when: Option<Expr>,
    /// Only on these operating systems; other devices skip the step. On every system unless given.
    #[schemars(with = "Option<Vec<Word<Os>>>")]
    pub os: Vec<Os>,
    /// Runs the action for each element of a list or expression, which is `item` meanwhile.
    pub for_each: Option<ForEach>,
    /// The name by which later steps refer to the result.
    #[schemars(with = "Option<Identifier>")]
    pub register: Option<String>,
    #[schemars(skip)]
    pub register_span: Span,
    /// Values derived for this step alone, for each element again: `vars.NAME`, which hides a variable of
    /// the playbook. On a block they hold for its steps.
    #[schemars(with = "Option<Named<Data>>")]
    pub vars: Vars,
    /// Words by which a run chooses steps, with --tags and --skip-tags.
    #[schemars(with = "Option<Vec<String>>")]
    pub tags: Vec<String>,
    /// Whether some of them are its own, and not only those of what it stands in.
    #[schemars(skip)]
    pub has_tags: bool,
    /// How often to try, and when again; as in `defaults` unless given.
    #[schemars(with = "Option<Retry>")]
    pub retry: Retry,
    /// Time for one try, without the wait for a session; as in `defaults` unless given.
    #[schemars(with = "Option<Field<Duration>>")]
    pub timeout: Field<Duration>,
    /// What a failure means for the device: `fail` ends its run, `continue` makes it partial, `ignore`
    /// only records it, `stop_run` starts no further device. As in `defaults` unless given.
    #[schemars(with = "Option<Word<OnError>>")]
    pub on_error: OnError,
    /// Whether what the step is asked and what it answers stays out of everything that is shown or written.
    /// How it ended, findings and fetched files are told all the same; later steps see its result.
    #[schemars(extend("default" = false))]
    pub no_log: bool,
    /// The steps of its `verify` come next.
    #[schemars(skip)]
    pub has_proof: bool,
    /// What takes it back; no run does that.
    #[schemars(skip)]
    pub undo: Vec<Step>,
    /// What is said beside its action and not built.
    #[schemars(skip)]
    pub not_built: Vec<Diagnostic>,
}

/// Steps that stand together, with what runs when one of them failed, and what runs in any case.
///
/// What else a block says has gone over to its steps.
#[derive(Debug, Clone)]
pub struct Block {
    pub place: Place,
    /// Its steps are skipped where this does not hold.
    pub when: Option<Expr>,
    /// Those that its condition looks at, its own and those around it.
    pub when_vars: Vars,
    /// Its own; they have gone over to its steps.
    pub vars: Vars,
    pub has_rescue: bool,
    /// It is no block that anybody wrote, but holds what proves this step; an index into the steps.
    pub proves: Option<usize>,
    /// Whose block it is; its condition is asked there.
    pub frame: usize,
    /// The frame of its steps, where it stands for a used playbook.
    pub begins: Option<usize>,
}

/// Where a step or a block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Index into the playbook's blocks; none at the top.
    pub block: Option<usize>,
    pub part: Part,
}

/// The list that a step stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    #[default]
    Main,
    /// It runs when a step of its block failed.
    Rescue,
    /// It runs last, whatever came of the others.
    Always,
    /// It proves the step before it.
    Verify,
}

impl Part {
    pub fn is_main(&self) -> bool {
        *self == Self::Main
    }
}

impl Playbook {
    /// Whether a step is part of the ordinary course: no rescue, no proof, no tidying up.
    pub fn is_main(&self, id: &StepId) -> bool {
        let step = self.steps.iter().find(|step| step.id == *id);
        step.is_some_and(|step| step.place.part.is_main())
    }
}

impl Step {
    /// What of it this version understands and does not carry out, with places.
    pub fn not_built(&self) -> Vec<Diagnostic> {
        let mut all = self.kind.not_built(self.span);
        all.extend_from_slice(&self.not_built);
        all
    }

    /// Whether what it found is looked at after its end.
    pub const fn is_needed(&self) -> bool {
        self.register.is_some() || matches!(self.kind, StepKind::Set(_) | StepKind::PutFile(_))
    }

    /// Whether it runs on this system at all: the author wants it there, and its sensors know how.
    pub fn is_for(&self, os: Os) -> bool {
        (self.os.is_empty() || self.os.contains(&os))
            && (os == Os::Other || self.kind.spec().os.contains(&os))
    }
}

impl Playbook {
    /// What this version understands and does not carry out, with places: whoever carries the playbook
    /// out refuses it for these. What its selectors ask for is in `targets.not_built`.
    pub fn not_built(&self) -> Vec<Diagnostic> {
        let steps = self.steps.iter();
        let steps = steps.flat_map(Step::not_built);
        self.settings
            .not_built
            .iter()
            .cloned()
            .chain(steps)
            .collect()
    }

    /// All places that a place lies in, from the top on, itself at last.
    pub fn chain(&self, place: Place) -> Vec<Place> {
        let mut chain = vec![place];
        while let Some(block) = chain[chain.len() - 1].block {
            chain.push(self.blocks[block].place);
        }
        chain.reverse();
        chain
    }

    /// Whether a step belongs to what runs last on a device.
    pub fn is_last(&self, step: &Step) -> bool {
        self.chain(step.place)[0].part == Part::Always
    }

    /// Whether a step runs only after a failure.
    pub fn is_rescue(&self, step: &Step) -> bool {
        let chain = self.chain(step.place);
        chain.iter().any(|place| place.part == Part::Rescue)
    }

    /// The files that it uses, by their paths relative to its own folder, with their texts.
    pub fn used_files(&self) -> BTreeMap<String, String> {
        let texts = self.source.more().map(|file| file.text.clone());
        self.files.iter().cloned().zip(texts).collect()
    }
}
