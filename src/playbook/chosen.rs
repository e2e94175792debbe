//! Which steps of a playbook a run carries out, where its command line names some of them.

use super::{Part, Place, Playbook, Step, references};
use crate::model::id::StepId;
use crate::model::outcome::Cause;
use crate::step::StepKind;
use crate::template::Reference;
use crate::text::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::text::words::suggest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All steps, unless something is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// Only steps with one of these tags.
    pub tags: Vec<String>,
    /// No steps with one of these tags.
    pub skip_tags: Vec<String>,
    /// No steps before this one.
    pub start_at: Option<StepId>,
}

/// Something is chosen that the playbook does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no step has the {what} `{name}`{}", near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
pub struct SelectionError {
    what: &'static str,
    name: String,
    near: Option<String>,
}

impl Selection {
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Makes sure that what is chosen is there.
    pub fn check(&self, playbook: &Playbook) -> Result<(), SelectionError> {
        let known = |what, name: &str, names: Vec<&str>| {
            if names.contains(&name) {
                return Ok(());
            }
            Err(SelectionError {
                what,
                name: name.to_owned(),
                near: suggest(name, names).map(str::to_owned),
            })
        };
        for tag in self.tags.iter().chain(&self.skip_tags) {
            let tags = playbook.steps.iter().flat_map(|step| &step.tags);
            known("tag", tag, tags.map(String::as_str).collect())?;
        }
        if let Some(id) = &self.start_at {
            let ids = playbook.steps.iter().map(|step| step.id.as_str());
            let uses = playbook.frames.iter().map(|frame| frame.id.as_str());
            known("id", id.as_str(), ids.chain(uses).collect())?;
        }
        Ok(())
    }

    /// Why a step is left out, for each step of the playbook.
    pub fn left_out(&self, playbook: &Playbook) -> Vec<Option<Cause>> {
        let is_first = |step: &Step| {
            let mut around = playbook.frames_around(step.frame);
            Some(&step.id) == self.start_at.as_ref()
                || around.any(|(_, frame)| Some(&frame.id) == self.start_at.as_ref())
        };
        let first = playbook.steps.iter().position(is_first).unwrap_or(0);
        let steps = playbook.steps.iter().enumerate();
        steps
            .map(|(index, step)| self.left_out_step(step, playbook, index < first))
            .collect()
    }

    fn left_out_step(&self, step: &Step, playbook: &Playbook, is_before: bool) -> Option<Cause> {
        let any = |tags: &[String]| step.tags.iter().any(|tag| tags.contains(tag));
        let by = if any(&self.skip_tags) {
            format!("--skip-tags {}", self.skip_tags.join(","))
        } else if !self.tags.is_empty() && !any(&self.tags) && !self.tidies(step, playbook) {
            format!("--tags {}", self.tags.join(","))
        } else if let (true, Some(id)) = (is_before, &self.start_at) {
            format!("--start-at {id}")
        } else {
            return None;
        };
        Some(Cause::LeftOut { by })
    }

    /// What runs in any case belongs to all that it stands beside, so that nothing chosen goes without it.
    fn tidies(&self, step: &Step, playbook: &Playbook) -> bool {
        let chosen_in = |place: &Place| {
            let beside = Place {
                part: Part::Main,
                ..*place
            };
            playbook.steps.iter().any(|other| {
                other.tags.iter().any(|tag| self.tags.contains(tag))
                    && playbook.chain(other.place).contains(&beside)
            })
        };
        let chain = playbook.chain(step.place);
        let mut always = chain.iter().filter(|place| place.part == Part::Always);
        !step.has_tags && always.any(|place| place.block.is_none() || chosen_in(place))
    }

    /// What the steps that are left need of those that are left out.
    pub fn missing(&self, playbook: &Playbook) -> Vec<Diagnostic> {
        let mut all = Diagnostics::new();
        let left_out = self.left_out(playbook);
        // By the frame that a name is known in: the steps that give it, with the reason if none of them runs.
        let mut gives: BTreeMap<Name<'_>, Option<(&Step, &Cause)>> = BTreeMap::new();
        for frame in 0..=playbook.frames.len() {
            for (name, _) in &playbook.of_frame(frame).vars {
                gives.insert((frame, "vars", &name.text), None);
            }
        }
        for (step, cause) in playbook.steps.iter().zip(&left_out) {
            if cause.is_none() {
                for (frame, reference) in needs(step, playbook) {
                    complain(frame, reference, &gives, &mut all);
                }
            }
            let reason = cause.as_ref().map(|cause| (step, cause));
            let mut names: Vec<Name<'_>> = Vec::new();
            names.extend(step.register.iter().map(|name| (step.frame, &**name, "")));
            if let StepKind::Set(set) = &step.kind {
                let vars = set.values.iter();
                names.extend(vars.map(|(name, _)| (step.frame, "vars", &**name)));
            }
            for (_, used) in playbook.frames_around(step.frame) {
                names.extend(used.register.iter().map(|name| (used.caller, &**name, "")));
            }
            for name in names {
                let entry = gives.entry(name).or_insert(reason);
                *entry = entry.and(reason);
            }
        }
        all.into_vec()
    }
}

/// A name below `vars`, or a result, and the frame that it is known in.
type Name<'p> = (usize, &'p str, &'p str);

/// All that a step needs, with what it stands in, and the frame in which that looks.
fn needs<'p>(step: &'p Step, playbook: &'p Playbook) -> Vec<(usize, &'p Reference)> {
    let own = references::of_step(step).into_iter();
    let mut all: Vec<_> = own.map(|reference| (step.frame, reference)).collect();
    for place in playbook.chain(step.place) {
        let Some(block) = place.block.map(|block| &playbook.blocks[block]) else {
            continue;
        };
        let condition = block.references().into_iter();
        all.extend(condition.map(|reference| (block.frame, reference)));
        if let Some(used) = block.begins.and_then(|frame| playbook.frame(frame)) {
            all.extend(used.references().map(|reference| (block.frame, reference)));
        }
    }
    all
}

fn complain(
    frame: usize,
    reference: &Reference,
    gives: &BTreeMap<Name<'_>, Option<(&Step, &Cause)>>,
    all: &mut Diagnostics,
) {
    let field = match reference.root() {
        "vars" => reference.path.get(1).map_or("", String::as_str),
        _ => "",
    };
    if let Some(Some((step, cause))) = gives.get(&(frame, reference.root(), field))
        && !reference.guarded
    {
        let message = format!(
            "`{}` comes from the step `{}`, which is {}",
            reference.path[..=usize::from(!field.is_empty())].join("."),
            step.id,
            cause.summary()
        );
        all.error(Code::RegisterBeforeUse, reference.span, message)
            .help("choose that step too");
    }
}
