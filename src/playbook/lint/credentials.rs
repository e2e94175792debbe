//! Passwords, keys and tokens in command lines: text that stands in the playbook, or comes from an input
//! that everybody may see.

use super::command_line::{Invocation, UNKNOWN, invocations_in, invocations_of};
use super::credential_rules::{Taken, in_invocation, in_text, is_plain, token};
use crate::playbook::input::{Input, InputType};
use crate::playbook::{Playbook, Step};
use crate::step::StepKind;
use crate::template::{Data, Reference, Template};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::escape::Escaped;
use crate::text::source::Span;

/// Expressions are told apart by marks from here on, which nobody types.
const MARKS: std::ops::RangeInclusive<char> = '\u{f0000}'..='\u{ffffd}';

pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    for step in playbook.written() {
        let Some(line) = Line::of(&step.kind) else {
            continue;
        };
        for taken in line.taken() {
            judge(playbook, step, &line, &taken, all);
        }
        for (template, text) in &line.parts {
            if let Some((what, _)) = token(text) {
                let message = format!("this is {what}, and whoever reads the playbook has it");
                all.warn(Code::Secret, template.span(), message)
                    .help(line.way_out());
            }
        }
    }
}

fn judge(playbook: &Playbook, step: &Step, line: &Line, taken: &Taken, all: &mut Diagnostics) {
    let (by, value) = (Escaped(&taken.by), &taken.value);
    let marks: Vec<char> = value.chars().filter(|c| MARKS.contains(c)).collect();
    if marks.is_empty() {
        if is_plain(value) && token(value).is_none() {
            let message = format!(
                "{by} is given a secret that stands here as text: whoever reads the playbook has it"
            );
            all.warn(Code::Secret, line.span_of(value), message)
                .help(line.way_out());
        }
        return;
    }
    let references: Vec<&Reference> = marks
        .into_iter()
        .flat_map(|mark| line.references(mark))
        .collect();
    let sources: Vec<Source> = references
        .iter()
        .map(|reference| source(playbook, step, reference, 4))
        .collect();
    if sources.iter().any(|one| matches!(one, Source::Secret)) {
        return;
    }
    for (reference, source) in references.into_iter().zip(sources) {
        let name = reference.path.join(".");
        match source {
            Source::Secret | Source::Elsewhere => continue,
            Source::Text => {
                let message = format!(
                    "{by} is given `{name}`, whose text stands in the playbook: whoever reads that has it"
                );
                all.warn(Code::Secret, reference.span, message)
                    .help(line.way_out());
            }
            Source::Input(input) => {
                let message = format!(
                    "{by} is given `{name}`, which is not secret: plan, journal and reports would show it"
                );
                all.warn(Code::Secret, reference.span, message)
                    .help(make_secret(input));
            }
        }
        return;
    }
}

fn make_secret(input: &Input) -> String {
    let mut help = format!("add secret: true to the input `{}`", input.name);
    let forbidden = [
        ("default", input.default.is_some()),
        ("choices", !input.choices.is_empty()),
        ("type", !matches!(input.kind, InputType::String)),
    ];
    for (key, _) in forbidden.iter().filter(|(_, there)| *there) {
        help = format!("{help}, and remove its `{key}`");
    }
    help
}

/// Where a value comes from that a reference stands for.
enum Source<'p> {
    Secret,
    Input(&'p Input),
    /// The playbook itself.
    Text,
    /// A result, an element, a device: nothing that anybody typed as a password.
    Elsewhere,
}

fn source<'p>(
    playbook: &'p Playbook,
    step: &'p Step,
    reference: &Reference,
    levels: usize,
) -> Source<'p> {
    let Some(name) = reference.path.get(1).filter(|_| levels > 0) else {
        return Source::Elsewhere;
    };
    match reference.root() {
        "inputs" => match playbook.inputs.iter().find(|input| input.name == *name) {
            Some(input) if input.secret => Source::Secret,
            Some(input) if input.kind == InputType::Bool => Source::Elsewhere,
            Some(input) => Source::Input(input),
            None => Source::Elsewhere,
        },
        "vars" => {
            let outer = || playbook.vars.iter().find(|(key, _)| key.text == *name);
            let data = step.vars.get(reference);
            let Some(data) = data.or_else(|| outer().map(|(_, data)| data)) else {
                return Source::Elsewhere;
            };
            let mut found = match data {
                Data::Text(text) if text.as_literal().is_some_and(is_plain) => Source::Text,
                _ => Source::Elsewhere,
            };
            for inner in data.references() {
                match source(playbook, step, inner, levels - 1) {
                    Source::Secret => return Source::Secret,
                    Source::Elsewhere => {}
                    other => found = other,
                }
            }
            found
        }
        _ => Source::Elsewhere,
    }
}

/// What a step runs, with a mark of its own for each expression.
struct Line<'p> {
    parts: Vec<(&'p Template, String)>,
    expressions: Vec<(&'p Template, &'p str)>,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One text, which is taken apart.
    Whole,
    /// A program and its arguments.
    Words,
}

impl<'p> Line<'p> {
    fn of(kind: &'p StepKind) -> Option<Self> {
        let (first, args, form) = match kind {
            StepKind::Exec(exec) => match (&exec.command, &exec.program) {
                (Some(command), _) => (command, &[][..], Form::Whole),
                (None, Some(program)) => (program, &exec.args[..], Form::Words),
                (None, None) => return None,
            },
            StepKind::RunTool(tool) => (&tool.source, &tool.args[..], Form::Words),
            _ => return None,
        };
        let mut line = Self {
            parts: Vec::new(),
            expressions: Vec::new(),
            form,
        };
        for template in std::iter::once(first).chain(args) {
            line.push(template);
        }
        Some(line)
    }

    fn push(&mut self, template: &'p Template) {
        let mut marks = (u32::from(*MARKS.start())..)
            .skip(self.expressions.len())
            .map(|mark| char::from_u32(mark).unwrap_or(UNKNOWN));
        let text = template
            .outline(UNKNOWN)
            .chars()
            .map(|c| match c {
                UNKNOWN => marks.next().unwrap_or(UNKNOWN),
                other => other,
            })
            .collect();
        self.parts.push((template, text));
        let expressions = template.expressions().map(|source| (template, source));
        self.expressions.extend(expressions);
    }

    fn invocations(&self) -> Vec<Invocation> {
        let mut texts = self.parts.iter().map(|(_, text)| text);
        match self.form {
            Form::Whole => texts.next().map(|text| invocations_in(text)),
            Form::Words => Some(invocations_of(texts.cloned())),
        }
        .unwrap_or_default()
    }

    /// All that is taken, the same place once.
    fn taken(&self) -> Vec<Taken> {
        let mut all: Vec<Taken> = Vec::new();
        let texts = self.parts.iter().flat_map(|(_, text)| in_text(text));
        let invocations = self.invocations();
        for taken in texts.chain(invocations.iter().flat_map(in_invocation)) {
            if !all.iter().any(|one| one.value == taken.value) {
                all.push(taken);
            }
        }
        all
    }

    /// What the expression with this mark refers to.
    fn references(&self, mark: char) -> Vec<&'p Reference> {
        let index = u32::from(mark) - u32::from(*MARKS.start());
        let expression = self
            .expressions
            .iter()
            .zip(0..)
            .find(|(_, at)| *at == index);
        let Some((&(template, source), _)) = expression else {
            return Vec::new();
        };
        let named = |reference: &&Reference| source.contains(&reference.path.join("."));
        template.references().filter(named).collect()
    }

    fn span_of(&self, value: &str) -> Span {
        let part = self.parts.iter().find(|(_, text)| text.contains(value));
        part.unwrap_or(&self.parts[0]).0.span()
    }

    fn way_out(&self) -> &'static str {
        match self.form {
            Form::Whole => {
                "declare an input with secret: true, and write {{ inputs.NAME | cmd_quote }} here; | ps_quote for PowerShell, | sh_quote for sh"
            }
            Form::Words => "declare an input with secret: true, and write {{ inputs.NAME }} here",
        }
    }
}
