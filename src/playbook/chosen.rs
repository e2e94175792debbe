//! Which steps of a playbook a run carries out, where its command line names some of them.

use super::{Block, Part, Playbook, Step, references};
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
            known("id", id.as_str(), ids.collect())?;
        }
        Ok(())
    }

    /// Why a step is left out, for each step of the playbook.
    pub fn left_out(&self, playbook: &Playbook) -> Vec<Option<Cause>> {
        let is_first = |step: &Step| Some(&step.id) == self.start_at.as_ref();
        let first = playbook.steps.iter().position(is_first).unwrap_or(0);
        let steps = playbook.steps.iter().enumerate();
        steps
            .map(|(index, step)| self.left_out_step(step, playbook, index < first))
            .collect()
    }

    fn left_out_step(&self, step: &Step, playbook: &Playbook, is_before: bool) -> Option<Cause> {
        let any = |tags: &[String]| step.tags.iter().any(|tag| tags.contains(tag));
        // What tidies up belongs to everything.
        let tidies = step.tags.is_empty() && playbook.chain(step.place)[0].part == Part::Always;
        let by = if any(&self.skip_tags) {
            format!("--skip-tags {}", self.skip_tags.join(","))
        } else if !self.tags.is_empty() && !any(&self.tags) && !tidies {
            format!("--tags {}", self.tags.join(","))
        } else if let (true, Some(id)) = (is_before, &self.start_at) {
            format!("--start-at {id}")
        } else {
            return None;
        };
        Some(Cause::LeftOut { by })
    }

    /// What the steps that are left need of those that are left out.
    pub fn missing(&self, playbook: &Playbook) -> Vec<Diagnostic> {
        let mut all = Diagnostics::new();
        let left_out = self.left_out(playbook);
        // The steps that give a name, with the reason if none of them runs.
        let mut gives: BTreeMap<(&str, &str), Option<(&Step, &Cause)>> = BTreeMap::new();
        for (name, _) in &playbook.vars {
            gives.insert(("vars", &name.text), None);
        }
        for (step, cause) in playbook.steps.iter().zip(&left_out) {
            if cause.is_none() {
                let within = playbook.chain(step.place).into_iter();
                let blocks = within.filter_map(|place| playbook.blocks.get(place.block?));
                let conditions = blocks.flat_map(Block::references);
                for reference in references::of_step(step).into_iter().chain(conditions) {
                    complain(reference, &gives, &mut all);
                }
            }
            let reason = cause.as_ref().map(|cause| (step, cause));
            let result = step.register.iter().map(|name| (name.as_str(), ""));
            let vars = match &step.kind {
                StepKind::Set(set) => &set.values[..],
                _ => &[],
            };
            for name in result.chain(vars.iter().map(|(name, _)| ("vars", name.as_str()))) {
                let entry = gives.entry(name).or_insert(reason);
                *entry = entry.and(reason);
            }
        }
        all.into_vec()
    }
}

fn complain(
    reference: &Reference,
    gives: &BTreeMap<(&str, &str), Option<(&Step, &Cause)>>,
    all: &mut Diagnostics,
) {
    let field = match reference.root() {
        "vars" => reference.path.get(1).map_or("", String::as_str),
        _ => "",
    };
    if let Some(Some((step, cause))) = gives.get(&(reference.root(), field))
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
