//! What the steps of one device see: a scope for the playbook, and one for each that it uses, while that runs.

use crate::plan::scope;
use crate::playbook::Playbook;
use crate::template::{Scope, TemplateError};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) struct Frames<'p> {
    playbook: &'p Playbook,
    scopes: BTreeMap<usize, Scope>,
}

impl<'p> Frames<'p> {
    pub(super) fn new(playbook: &'p Playbook, top: Scope) -> Self {
        Self {
            playbook,
            scopes: BTreeMap::from([(0, top)]),
        }
    }

    /// What a frame sees; nothing, unless it was begun.
    pub(super) fn of(&mut self, frame: usize) -> &mut Scope {
        self.scopes.entry(frame).or_default()
    }

    /// Gives a used playbook what it is used with.
    pub(super) fn begin(&mut self, frame: usize) -> Result<(), TemplateError> {
        if let Some(used) = self.playbook.frame(frame) {
            let scope = scope::for_frame(used, self.of(used.caller))?;
            self.scopes.insert(frame, scope);
        }
        Ok(())
    }

    /// Forgets what a used playbook saw, but for its outputs where its user wants them.
    pub(super) fn end(&mut self, frame: usize, status: &str) {
        let scope = self.scopes.remove(&frame).unwrap_or_default();
        let Some(used) = self.playbook.frame(frame) else {
            return;
        };
        if let Some(name) = &used.register {
            // As of the playbook itself: an output over a step that came to nothing has no value.
            let value =
                |template: &crate::template::Template| template.json(&scope).unwrap_or(Value::Null);
            let outputs = used.used.outputs.iter();
            let mut result: Map<_, _> = outputs
                .map(|(name, template)| (name.text.clone(), value(template)))
                .collect();
            result.insert("status".into(), status.into());
            self.of(used.caller).set_json(name, &Value::Object(result));
        }
    }
}
