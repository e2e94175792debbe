//! The steps of used playbooks in the place where they are used: one list, in the order in which they run.
//!
//! A use becomes a block with a frame. Nothing can be wrong here any more.

use super::frame::Frame;
use super::used::Unit;
use super::vars::Vars;
use super::{Block, Place, Playbook, Step};
use crate::model::id::StepId;
use crate::step::StepKind;
use std::sync::Arc;

/// Where the steps of a file come to stand.
struct Around {
    frame: usize,
    block: Option<usize>,
    tags: Vec<String>,
    no_log: bool,
    /// Before their ids. Chosen ids have no dot, so that no id is made twice.
    prefix: String,
}

/// Puts all that a playbook uses in its place.
pub(super) fn expand(top: Unit) -> Playbook {
    if top.uses.is_empty() {
        return top.alone();
    }
    let mut whole = Playbook {
        steps: Vec::new(),
        blocks: Vec::new(),
        ..Playbook::clone(&top.playbook)
    };
    let around = Around {
        frame: 0,
        block: None,
        tags: Vec::new(),
        no_log: false,
        prefix: String::new(),
    };
    place(&top, &around, &mut whole);
    whole
}

fn place(unit: &Unit, around: &Around, whole: &mut Playbook) {
    let file = &unit.playbook;
    // Where the blocks and the steps of the file stand in the whole.
    let mut blocks: Vec<usize> = Vec::new();
    let mut steps: Vec<usize> = Vec::new();
    for (index, step) in file.steps.iter().enumerate() {
        let begun = step.place.block.map_or(0, |block| block + 1);
        while blocks.len() < begun {
            let block = &file.blocks[blocks.len()];
            let moved = moved(block.place, &blocks, around);
            blocks.push(whole.blocks.len());
            whole.blocks.push(Block {
                place: moved,
                frame: around.frame,
                proves: block.proves.map(|step| steps[step]),
                ..block.clone()
            });
        }
        let at = moved(step.place, &blocks, around);
        steps.push(whole.steps.len());
        match (&step.kind, unit.uses.get(&index)) {
            (StepKind::Use(_), Some(used)) => used_here(step, used, at, around, whole),
            _ => whole.steps.push(Step {
                id: StepId(format!("{}{}", around.prefix, step.id)),
                place: at,
                frame: around.frame,
                tags: [&around.tags[..], &step.tags].concat(),
                no_log: around.no_log || step.no_log,
                ..step.clone()
            }),
        }
    }
}

fn moved(place: Place, blocks: &[usize], around: &Around) -> Place {
    Place {
        block: place.block.map(|block| blocks[block]).or(around.block),
        ..place
    }
}

fn used_here(step: &Step, used: &Unit, place_of_use: Place, around: &Around, whole: &mut Playbook) {
    let StepKind::Use(call) = &step.kind else {
        return;
    };
    let id = format!("{}{}", around.prefix, step.id);
    let inner = Around {
        frame: whole.frames.len() + 1,
        block: Some(whole.blocks.len()),
        tags: [&around.tags[..], &step.tags].concat(),
        no_log: around.no_log || step.no_log,
        prefix: format!("{id}."),
    };
    whole.blocks.push(Block {
        place: place_of_use,
        when: step.when.clone(),
        when_vars: step.vars.for_condition(step.when.as_ref()),
        vars: Vars::default(),
        has_rescue: false,
        proves: None,
        frame: around.frame,
        begins: Some(inner.frame),
    });
    whole.frames.push(Frame {
        used: Arc::clone(&used.playbook),
        caller: around.frame,
        id: StepId(id),
        label: step.label.clone(),
        span: step.span,
        os: step.os.clone(),
        on_error: step.on_error,
        register: step.register.clone(),
        vars: step.vars.clone(),
        with: call.with.clone(),
    });
    place(used, &inner, whole);
}
