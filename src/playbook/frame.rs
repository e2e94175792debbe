//! A used playbook in the place where it is used: whose steps they are, and what they see.
//!
//! The steps of all playbooks stand in one list; each says in which frame it stands. Frame 0 is the playbook
//! that is run.

use super::input::{self, Given, Input};
use super::vars::Vars;
use super::{Block, Place, Playbook, Step};
use crate::model::device::Os;
use crate::model::event::OnError;
use crate::model::id::StepId;
use crate::step::Passed;
use crate::template::{Data, Reference, Scope, TemplateError};
use crate::text::diagnostic::Code;
use crate::text::source::Span;
use crate::text::yaml::Key;
use serde_json::{Map, Value};
use std::sync::Arc;

/// One use of a playbook.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The playbook that is used; the same for all uses of its file.
    pub used: Arc<Playbook>,
    /// The frame that it is used in.
    pub caller: usize,
    /// Of the step that uses it.
    pub id: StepId,
    pub label: String,
    pub span: Span,
    pub os: Vec<Os>,
    pub on_error: OnError,
    pub register: Option<String>,
    /// Of the step that uses it, for what it is given.
    pub vars: Vars,
    pub with: Vec<(Key, Passed)>,
}

impl Frame {
    /// What it is given refers to, in the scope of its caller.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let rendered = self.with.iter().filter_map(|(_, passed)| match passed {
            Passed::Fixed(_) => None,
            Passed::Rendered(data) => Some(data),
        });
        let vars = self.vars.as_slice().iter().map(|(_, data)| data);
        let all = rendered.chain(vars).flat_map(Data::references);
        all.filter(|reference| self.vars.get(reference).is_none())
    }

    /// Its inputs with what they are given in a caller's scope.
    pub fn inputs(&self, caller: &Scope) -> Result<Map<String, Value>, TemplateError> {
        self.given(&self.used.inputs, caller)
    }

    /// The same where marks stand in the places of secrets: they need not match what a secret has to.
    pub fn marked(&self, caller: &Scope) -> Result<Map<String, Value>, TemplateError> {
        let mut declared = self.used.inputs.clone();
        for input in declared.iter_mut().filter(|input| input.secret) {
            input.pattern = None;
        }
        self.given(&declared, caller)
    }

    fn given(
        &self,
        declared: &[Input],
        caller: &Scope,
    ) -> Result<Map<String, Value>, TemplateError> {
        let caller = self.vars.enter(caller)?;
        let given = self.with.iter().map(|(key, passed)| {
            let given = match passed {
                Passed::Fixed(node) => Given::Node(node.clone()),
                Passed::Rendered(data) => Given::Value(data.json(&caller)?),
            };
            Ok((key.text.clone(), given))
        });
        input::resolve(declared, &given.collect::<Result<_, _>>()?).map_err(|errors| {
            let error = &errors[0];
            let at = self.with.iter().find(|(key, _)| key.text == error.name());
            let span = at.map_or(self.span, |(key, _)| key.span);
            TemplateError::new(Code::BadValue, span, format!("`{}`: {error}", self.id))
        })
    }
}

/// What a failure means outside of what it happened in.
const fn outside(within: OnError, of_use: OnError) -> OnError {
    match (within, of_use) {
        (OnError::Ignore, _) => OnError::Ignore,
        (OnError::Continue, OnError::Fail | OnError::StopRun | OnError::Continue) => {
            OnError::Continue
        }
        // The author of the used playbook wants the run to end, unless its user knows better.
        (OnError::StopRun, OnError::Fail) => OnError::StopRun,
        (OnError::Fail | OnError::StopRun | OnError::Continue, of_use) => of_use,
    }
}

impl Playbook {
    /// A used playbook's place in the list; none is the playbook that is run.
    pub fn frame(&self, frame: usize) -> Option<&Frame> {
        self.frames.get(frame.checked_sub(1)?)
    }

    /// The frames that one stands in, itself first; none of them is the playbook that is run.
    pub fn frames_around(&self, frame: usize) -> impl Iterator<Item = (usize, &Frame)> {
        let at = |frame| Some((frame, self.frame(frame)?));
        std::iter::successors(at(frame), move |(_, frame)| at(frame.caller))
    }

    /// The inputs, vars and outputs of a frame.
    pub fn of_frame(&self, frame: usize) -> &Self {
        self.frame(frame).map_or(self, |frame| &frame.used)
    }

    /// Whether a step runs on this system at all.
    pub fn is_for(&self, step: &Step, os: Os) -> bool {
        let mut around = self.frames_around(step.frame);
        step.is_for(os) && around.all(|(_, frame)| frame.os.is_empty() || frame.os.contains(&os))
    }

    /// What a failure of a step means in the end.
    pub fn on_error(&self, step: &Step) -> OnError {
        self.on_error_in(step.on_error, step.frame, 0)
    }

    /// What a failure that means this in a frame means in one around it.
    pub fn on_error_in(&self, within: OnError, frame: usize, around: usize) -> OnError {
        // A frame comes behind the one that it stands in.
        let left = self
            .frames_around(frame)
            .take_while(|(frame, _)| *frame > around);
        left.fold(within, |within, (_, frame)| outside(within, frame.on_error))
    }

    /// The frame of what stands at a place.
    pub fn frame_at(&self, place: Place) -> usize {
        let inside = |block: &Block| block.begins.unwrap_or(block.frame);
        place.block.map_or(0, |block| inside(&self.blocks[block]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_outside() {
        use OnError::{Continue, Fail, Ignore, StopRun};
        let table = [
            (Fail, [Fail, Continue, Ignore, StopRun]),
            (Continue, [Continue, Continue, Ignore, Continue]),
            (Ignore, [Ignore, Ignore, Ignore, Ignore]),
            (StopRun, [StopRun, Continue, Ignore, StopRun]),
        ];
        for (within, expected) in table {
            let found = [Fail, Continue, Ignore, StopRun].map(|of_use| outside(within, of_use));
            assert_eq!(found, expected, "{within:?}");
        }
    }
}
