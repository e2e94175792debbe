//! What the inputs alone decide: the same for every device, and known before any is asked.

use super::vars::Known;
use super::{Playbook, Step};
use crate::step::StepKind;
use crate::template::{Data, Reference};
use crate::text::yaml::Key;

/// Looks at a playbook whose used playbooks stand in their places.
#[derive(Debug, Clone, Copy)]
pub struct Settled<'p>(pub &'p Playbook);

impl Settled<'_> {
    /// The first of these, at a step, that something else decides too, or that nobody may see.
    pub fn other<'r>(
        self,
        step: &Step,
        mut references: impl Iterator<Item = &'r Reference>,
    ) -> Option<&'r Reference> {
        let outer = |reference: &Reference| self.knows(step.frame, reference);
        let known = Known::of(step, &outer);
        references.find(|reference| !known.covers(std::iter::once(*reference)))
    }

    /// Whether what a reference means in a frame, outside of any step, is settled.
    pub fn knows(self, frame: usize, reference: &Reference) -> bool {
        self.knows_before(frame, reference, usize::MAX)
    }

    /// Whether all that a used playbook is given is.
    pub fn knows_inputs(self, frame: usize) -> bool {
        let used = self.0.frame(frame);
        used.is_none_or(|used| used.references().all(|one| self.knows(used.caller, one)))
    }

    /// Of variables, only those that come before this one are looked at: no other is there yet.
    fn knows_before(self, frame: usize, reference: &Reference, end: usize) -> bool {
        let playbook = self.0.of_frame(frame);
        let Some(name) = reference.path.get(1) else {
            return false;
        };
        match reference.root() {
            "inputs" => {
                let mut inputs = playbook.inputs.iter();
                let input = inputs.find(|input| input.name == *name);
                input.is_some_and(|input| !input.secret) && self.knows_inputs(frame)
            }
            "vars" => {
                let vars: &[(Key, Data)] = &playbook.vars;
                let at = vars.iter().position(|(key, _)| key.text == *name);
                let Some(at) = at.filter(|at| *at < end) else {
                    return false;
                };
                let mut references = vars[at].1.references();
                !self.sets(frame, name) && references.all(|one| self.knows_before(frame, one, at))
            }
            _ => false,
        }
    }

    /// Whether a step makes a variable something else.
    fn sets(self, frame: usize, name: &str) -> bool {
        self.0.steps.iter().any(|step| match &step.kind {
            StepKind::Set(set) => {
                step.frame == frame && set.values.iter().any(|(key, _)| key == name)
            }
            _ => false,
        })
    }
}
