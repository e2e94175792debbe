//! `NAME.test.yaml`, read like a playbook: cases, each with its devices, its inputs, and what it expects.

use super::super::Failure;
use super::super::load::{self, Door};
use super::super::output::Output;
use super::expect::Expect;
use crate::playbook::Playbook;
use crate::playbook::input::{self, Given, InputError};
use crate::sim::scenario::Scenario;
use crate::template::{Fields, FromNode, Spanned};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::yaml::{Node, NodeKind};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

pub(super) struct Case {
    pub(super) name: Spanned<String>,
    pub(super) inputs: Map<String, Value>,
    pub(super) stage: Stage,
    pub(super) expect: Expect,
}

/// The devices that a case is run on.
#[derive(Debug)]
pub(super) enum Stage {
    /// Such as `--simulate 5` would make.
    Usual,
    Made(Scenario),
    /// In a file, by its path from the file of the cases.
    File(String),
}

impl FromNode for Stage {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        if let NodeKind::Text(path) = &node.kind {
            return Some(Self::File(path.clone()));
        }
        let scenario = Scenario::from_node(node, all)?;
        scenario.refuse_http(all);
        Some(Self::Made(scenario))
    }
}

impl Stage {
    /// Reads the file, if the devices are in one.
    pub(super) fn open(&mut self, cases: &Path, output: &Output) -> Result<(), Failure> {
        if let Self::File(path) = self {
            let path = cases.with_file_name(path);
            *self = Self::Made(load::scenario(&path, Door::Port, output)?);
        }
        Ok(())
    }
}

/// The cases of a file, as far as they can be read.
pub(super) fn cases(node: &Node, playbook: &Playbook, all: &mut Diagnostics) -> Option<Vec<Case>> {
    let mut fields =
        Fields::new(node, "the file", all).hints(&[("tests", "the list is called `cases`")]);
    let listed = fields.take("cases");
    let span = fields.key_span("cases");
    if fields.is_broken() {
        return None;
    }
    fields.finish();
    let listed = listed.and_then(Node::as_list).unwrap_or_default();
    if listed.is_empty() {
        all.error(
            Code::MissingKey,
            span,
            "the file needs `cases`, a list with at least one",
        );
    }
    let mut names = HashSet::new();
    let mut cases = Vec::new();
    for node in listed {
        let case = case(node, playbook, all);
        if let Some(case) = &case
            && !names.insert(case.name.value.clone())
        {
            all.error(
                Code::DuplicateId,
                case.name.span,
                "another case has this name",
            );
        }
        cases.push(case);
    }
    cases.into_iter().collect()
}

fn case(node: &Node, playbook: &Playbook, all: &mut Diagnostics) -> Option<Case> {
    let mut fields = Fields::new(node, "the case", all).hints(&[
        (
            "devices",
            "devices are in `scenario`, for example scenario: {devices: […]}",
        ),
        (
            "simulate",
            "devices are in `scenario`, a map or the path of a file",
        ),
    ]);
    let name = fields.required("name");
    let span = fields.span();
    let given = fields.take("inputs");
    let stage = fields.or("scenario", Stage::Usual);
    let place = fields.key_span("expect");
    let expect: Option<Expect> = fields.required("expect");
    fields.finish();
    let inputs = inputs(given, span, playbook, all);
    if let Some(expect) = &expect {
        expect.check(playbook, all);
    }
    Some(Case {
        name: name?,
        inputs: inputs?,
        stage,
        expect: Expect {
            span: place,
            ..expect?
        },
    })
}

/// The playbook's inputs with the values of a case: nothing of whoever runs the test is among them.
fn inputs(
    given: Option<&Node>,
    case: crate::text::source::Span,
    playbook: &Playbook,
    all: &mut Diagnostics,
) -> Option<Map<String, Value>> {
    let entries = given.and_then(Node::as_map).unwrap_or_default();
    if let Some(node) = given.filter(|node| node.as_map().is_none()) {
        let message = format!("inputs: expected a map, found {}", node.describe());
        all.error(Code::WrongType, node.span, message);
        return None;
    }
    let values: BTreeMap<String, Given> = entries
        .iter()
        .map(|(key, node)| (key.text.clone(), Given::Node(node.clone())))
        .collect();
    input::resolve(&playbook.inputs, &values)
        .map_err(|errors| {
            for error in errors {
                let (name, code) = match &error {
                    InputError::Unknown { name, .. } => (Some(name), Code::UnknownKey),
                    InputError::Value { name, .. } => (Some(name), Code::BadValue),
                    InputError::Missing { .. } => (None, Code::MissingKey),
                };
                let key = entries.iter().find(|(key, _)| Some(&key.text) == name);
                let span = key.map_or(case, |(key, _)| key.span);
                let message = match &error {
                    InputError::Missing { name, .. } => {
                        format!("the playbook needs the input `{name}`")
                    }
                    other => other.to_string(),
                };
                all.error(code, span, message);
            }
        })
        .ok()
}
