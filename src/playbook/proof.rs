//! `verify`: the steps that prove another.
//!
//! They follow it in the playbook's list, in a part of their own. They only read, and whatever becomes of
//! them is the proved step's failure: they have no rules of their own for that.

use super::steps::{Around, Out, list};
use super::vars::Vars;
use super::{Block, Part, Place, Step};
use crate::model::effect::Effect;
use crate::model::event::OnError;
use crate::template::Fields;
use crate::text::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::text::duration::Duration;
use crate::text::yaml::{Key, Node};

/// Reads what proves the last step; says what of it is not built.
pub(super) fn read(
    node: Option<&Node>,
    around: &Around,
    all: &mut Diagnostics,
    out: &mut Out,
) -> Vec<Diagnostic> {
    let mut not_built = Vec::new();
    let Some(node) = node else {
        return not_built;
    };
    let mut inner = around.clone();
    inner.defaults.on_error = OnError::Ignore;
    inner.place = Place {
        block: Some(out.blocks.len()),
        part: Part::Verify,
    };
    out.blocks.push(Block {
        place: around.place,
        when: None,
        when_vars: Vars::default(),
        vars: Vars::default(),
        has_rescue: false,
        frame: 0,
        begins: None,
        proves: out.steps.len().checked_sub(1),
    });
    let mut fields = Fields::with_short_form(node, "verify", "steps", all);
    if !fields.has("steps") {
        let span = fields.span();
        let message = "`verify` needs `steps`";
        fields
            .diagnostics()
            .error(Code::MissingKey, span, message)
            .help("write the list of steps that prove this one");
    }
    list(&mut fields, "steps", &inner, out);
    // When to look again, and when `recheck` is due.
    for key in ["hold", "recheck"] {
        let _: Option<Duration> = fields.later(key, &mut not_built);
    }
    fields.finish();
    not_built
}

/// What a step that proves another cannot have.
pub(super) fn refuse_beside(fields: &mut Fields<'_, '_>, around: &Around) {
    if around.place.part != Part::Verify {
        return;
    }
    for (key, why, help) in [
        (
            "verify",
            "what proves a step is not proved itself",
            "move its steps into the list that it stands in",
        ),
        (
            "on_error",
            "what a failed proof means is said by the step that it proves",
            "write it beside that step",
        ),
    ] {
        if fields.take(key).is_some() {
            let span = fields.key_span(key);
            fields
                .diagnostics()
                .error(Code::BadValue, span, why)
                .help(help);
        }
    }
}

/// A proof is a plain list.
pub(super) fn no_block(node: &Node, around: &Around, all: &mut Diagnostics) {
    let is_block = |entry: &&(Key, Node)| ["block", "use"].contains(&entry.0.text.as_str());
    let key = node.as_map().and_then(|map| map.iter().find(is_block));
    if let Some((key, _)) = key.filter(|_| around.place.part == Part::Verify) {
        let message = "what proves a step is a plain list, without blocks and other playbooks";
        all.error(Code::BadValue, key.span, message)
            .help("write its steps one after the other");
    }
}

/// Looking must not change what is looked at.
pub(super) fn reads_only(step: &Step, all: &mut Diagnostics) {
    if step.place.part != Part::Verify || step.kind.effect() == Effect::Read {
        return;
    }
    let key = step.kind.spec().key;
    let help = match key {
        "exec" | "run_tool" => "say effect: read if that is true",
        _ => "make it a step of its own",
    };
    let message = format!("a proof only reads, and `{key}` may change the endpoint");
    all.error(Code::BadValue, step.span, message).help(help);
}
