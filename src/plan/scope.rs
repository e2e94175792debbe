//! What templates can name for one device: inputs, vars, the device, the run.

use super::Plan;
use crate::model::command::SessionFacts;
use crate::model::device::Device;
use crate::model::id::RunId;
use crate::playbook::frame::Frame;
use crate::playbook::references::is_known_before_session;
use crate::playbook::vars::Known;
use crate::playbook::{Playbook, Step};
use crate::step::StepKind;
use crate::template::{Data, Reference, Scope, TemplateError};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The scope in which a device's steps begin. Without `facts` or `run`, what they tell is undefined.
pub fn for_device(
    plan: &Plan,
    device: &Device,
    facts: Option<&SessionFacts>,
    run: Option<(&RunId, Timestamp)>,
) -> Result<Scope, TemplateError> {
    let mut inputs = plan.inputs.clone();
    for (name, value) in plan.secrets.values() {
        inputs.insert(name.to_owned(), value.expose().into());
    }
    over(inputs, plan, device, facts, run)
}

/// What is known before the session, for eyes: marks stand in the places of secrets.
pub(super) fn marked(plan: &Plan, device: &Device) -> Result<Scope, TemplateError> {
    over(plan.inputs.clone(), plan, device, None, None)
}

fn over(
    inputs: Map<String, Value>,
    plan: &Plan,
    device: &Device,
    facts: Option<&SessionFacts>,
    run: Option<(&RunId, Timestamp)>,
) -> Result<Scope, TemplateError> {
    let mut scope = Scope::new();
    scope.set_json("inputs", &Value::Object(inputs));
    scope.set_json("device", &fields(device, facts));
    if let Some((id, started)) = run {
        scope.set_json(
            "run",
            &json!({"id": id, "short_id": id.short(), "started": started}),
        );
    }
    // A derived value may need what only a session tells; it is then derived later.
    derive(&mut scope, &plan.playbook, |data| {
        facts.is_some() || is_known_before_session(data.references())
    })?;
    Ok(scope)
}

/// The scope in which the steps of a used playbook begin: its own inputs and vars, and of its caller's the
/// device and the run.
pub fn for_frame(frame: &Frame, caller: &Scope) -> Result<Scope, TemplateError> {
    let mut scope = around(caller);
    scope.set_json("inputs", &Value::Object(frame.inputs(caller)?));
    derive(&mut scope, &frame.used, |_| true)?;
    Ok(scope)
}

/// What a used playbook is given, in the scope of its caller.
pub(super) type Inputs = fn(&Frame, &Scope) -> Result<Map<String, Value>, TemplateError>;

/// What the steps of one device see, as far as it is known before its session.
pub(super) struct Scopes<'p> {
    playbook: &'p Playbook,
    early: &'p [Early],
    inputs: Inputs,
    frames: BTreeMap<usize, Scope>,
}

impl<'p> Scopes<'p> {
    pub(super) fn new(
        playbook: &'p Playbook,
        early: &'p [Early],
        inputs: Inputs,
        top: Scope,
    ) -> Self {
        Self {
            playbook,
            early,
            inputs,
            frames: BTreeMap::from([(0, top)]),
        }
    }

    /// What a step sees.
    pub(super) fn of(&mut self, step: &Step) -> Result<Cow<'_, Scope>, TemplateError> {
        self.begin(step.frame)?;
        let scope = &self.frames[&step.frame];
        if step.vars.is_empty() {
            return Ok(Cow::Borrowed(scope));
        }
        let known = |reference: &Reference| self.early[step.frame].knows(reference);
        Known::of(step, &known).enter(scope).map(Cow::Owned)
    }

    /// Makes the scope of a frame, and those of the frames that it stands in.
    fn begin(&mut self, frame: usize) -> Result<(), TemplateError> {
        let around: Vec<_> = self.playbook.frames_around(frame).collect();
        for (at, used) in around.into_iter().rev() {
            if !self.frames.contains_key(&at) {
                let scope = self.early(at, used)?;
                self.frames.insert(at, scope);
            }
        }
        Ok(())
    }

    fn early(&self, at: usize, frame: &Frame) -> Result<Scope, TemplateError> {
        let (early, caller) = (self.early[at], &self.frames[&frame.caller]);
        let mut scope = around(caller);
        if early.inputs {
            let inputs = (self.inputs)(frame, caller)?;
            scope.set_json("inputs", &Value::Object(inputs));
        }
        derive(&mut scope, &frame.used, |_| early.vars)?;
        Ok(scope)
    }
}

/// What every scope has.
fn around(caller: &Scope) -> Scope {
    let shared = ["device", "run"].into_iter();
    let shared = shared.filter_map(|name| Some((name, caller.get(name)?.clone())));
    shared.collect()
}

pub(super) fn derive(
    scope: &mut Scope,
    playbook: &Playbook,
    is_known: impl Fn(&Data) -> bool,
) -> Result<(), TemplateError> {
    let mut vars = Map::new();
    scope.set_json("vars", &json!({}));
    for (name, data) in &playbook.vars {
        if is_known(data) {
            vars.insert(name.text.clone(), data.json(scope)?);
            scope.set_json("vars", &Value::Object(vars.clone()));
        }
    }
    Ok(())
}

/// What of a frame is known before the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Early {
    pub(super) inputs: bool,
    pub(super) vars: bool,
}

impl Early {
    /// Of each frame, that of the playbook that is run first.
    pub(super) fn of(playbook: &Playbook) -> Vec<Self> {
        // A step may change what a variable is.
        let mut sets = vec![false; playbook.frames.len() + 1];
        for step in &playbook.steps {
            sets[step.frame] |= matches!(step.kind, StepKind::Set(_));
        }
        let mut all: Vec<Self> = Vec::with_capacity(sets.len());
        for (frame, sets) in sets.into_iter().enumerate() {
            let known = |caller: &Self| {
                let frame = playbook.frame(frame);
                frame.is_none_or(|frame| frame.references().all(|one| caller.knows(one)))
            };
            let caller = playbook.frame(frame).map(|frame| all[frame.caller]);
            let inputs = caller.is_none_or(|caller| known(&caller));
            let vars = Self { inputs, vars: true };
            let mut derived = playbook.of_frame(frame).vars.iter();
            let vars =
                !sets && derived.all(|(_, data)| data.references().all(|one| vars.knows(one)));
            all.push(Self { inputs, vars });
        }
        all
    }

    pub(super) fn knows(self, reference: &Reference) -> bool {
        match reference.root() {
            "inputs" => self.inputs,
            "vars" => self.vars,
            _ => is_known_before_session(std::iter::once(reference)),
        }
    }
}

fn fields(device: &Device, facts: Option<&SessionFacts>) -> Value {
    let mut fields = json!({
        "id": device.id, "name": device.name, "short_name": device.short_name(), "fqdn": device.fqdn(),
        "os": device.os, "os_version": device.os_version, "policy": device.policy, "groups": device.groups,
        "ip": device.ip, "last_seen": device.last_seen, "isolated": device.isolated,
    });
    if let Some(facts) = facts {
        fields["drives"] = json!(facts.drives);
        fields["cwd"] = json!(facts.working_directory);
    }
    fields
}
