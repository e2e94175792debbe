//! `undo`: the steps that take a step back. A run never does them; they are written down and checked for
//! the day on which somebody wants them.

use super::steps::{Around, Out, list};
use super::{Part, Place, Playbook, Step};
use crate::model::id::StepId;
use crate::template::Fields;
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::source::Span;
use crate::text::yaml::Node;

/// What a step to take back cannot have: it would need a run of its own.
const NOT_WITHIN: [&str; 4] = ["block", "use", "verify", "undo"];

/// Reads the list beside a step.
pub(super) fn read(fields: &mut Fields<'_, '_>, around: &Around) -> Vec<Step> {
    let Some(node) = fields.take("undo") else {
        return Vec::new();
    };
    if around.place.part == Part::Verify {
        let span = fields.key_span("undo");
        let message = "a proof changes nothing, so there is nothing to undo";
        fields
            .diagnostics()
            .error(Code::BadValue, span, message)
            .help("remove it");
        return Vec::new();
    }
    plain(node, fields.diagnostics());
    let mut inner = around.clone();
    inner.place = Place::default();
    let mut out = Out::default();
    list(fields, "undo", &inner, &mut out);
    out.steps
}

fn plain(node: &Node, all: &mut Diagnostics) {
    let items = node.as_list().into_iter().flatten();
    let keys = items.filter_map(Node::as_map).flatten();
    for (key, _) in keys.filter(|(key, _)| NOT_WITHIN.contains(&key.text.as_str())) {
        let message = format!("`{}` has no place in what takes a step back", key.text);
        all.error(Code::BadValue, key.span, message)
            .help("`undo` is a plain list of steps");
    }
}

impl Playbook {
    /// Every step that is written down, also those that no run does.
    pub(super) fn written(&self) -> impl Iterator<Item = &Step> {
        let steps = self.steps.iter();
        steps.flat_map(|step| std::iter::once(step).chain(&step.undo))
    }
}

/// The id of every step that is written down, with where it was chosen, and its place; those that a run
/// does come first.
pub(super) fn ids(steps: &mut [Step]) -> Vec<(&mut StepId, Option<Span>, Span)> {
    let mut ids = Vec::with_capacity(steps.len());
    let mut undoing = Vec::new();
    for step in steps {
        ids.push((&mut step.id, step.id_span, step.span));
        let undo = step.undo.iter_mut();
        undoing.extend(undo.map(|step| (&mut step.id, step.id_span, step.span)));
    }
    ids.append(&mut undoing);
    ids
}
