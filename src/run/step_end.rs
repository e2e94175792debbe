//! How a step ended on one device, and what of that is written down.

use super::recall::Restored;
use crate::clock;
use crate::model::conceal::{NO_LOG, withhold};
use crate::model::outcome::{Cause, Outcome};
use crate::model::row::{Row, RowKind};
use crate::playbook::Step;
use crate::secret::Secrets;
use crate::step::StepKind;
use crate::template::{Scope, TemplateError};
use crate::text::source::Source;
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;

/// How a step ended on one device, with what it found.
#[derive(Clone)]
pub(super) struct StepEnd {
    pub(super) outcome: Outcome,
    pub(super) attempts: u32,
    pub(super) started: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) rows: Vec<Row>,
    pub(super) raw: Vec<Vec<u8>>,
    pub(super) result: Value,
}

impl StepEnd {
    pub(super) fn skipped(step: &Step, cause: Cause) -> Self {
        Self::new(Outcome::Skipped { cause }, step.kind.empty_result())
    }

    pub(super) fn failed(step: &Step, error: TemplateError) -> Self {
        let cause = error.into();
        Self::new(Outcome::Failed { cause }, step.kind.empty_result())
    }

    /// It was cut short, or never began.
    pub(super) fn cut(step: &Step, outcome: Outcome, attempts: u32) -> Self {
        Self {
            attempts,
            ..Self::new(outcome, step.kind.empty_result())
        }
    }

    fn new(outcome: Outcome, result: Value) -> Self {
        let now = clock::now();
        Self {
            outcome,
            attempts: 0,
            started: now,
            ended: now,
            rows: Vec::new(),
            raw: Vec::new(),
            result,
        }
    }

    /// Lets later steps see the result, also of a step that was skipped or failed.
    pub(super) fn publish(&self, step: &Step, scope: &mut Scope) {
        if let (StepKind::Set(_), Value::Object(values), Outcome::Done) =
            (&step.kind, &self.result, &self.outcome)
        {
            let mut values = values.clone();
            values.remove(ITEMS);
            scope.extend_json("vars", &values);
        }
        if let Some(name) = &step.register {
            let mut result = self.result.clone();
            if let Value::Object(fields) = &mut result {
                fields.insert("status".into(), self.outcome.word().into());
            }
            scope.set_json(name, &result);
        }
    }

    /// Ends as this, if that is worse.
    pub(super) fn worsen(&mut self, outcome: Outcome) {
        if rank(&outcome) > rank(&self.outcome) {
            self.outcome = outcome;
        }
    }

    /// What of it is written down: all, unless its author wants nobody to see it. Findings are told on
    /// purpose; of everything else one row says that there was something.
    pub(super) fn recorded(&self, step: &Step) -> Cow<'_, Self> {
        if !step.no_log {
            return Cow::Borrowed(self);
        }
        let mut outcome = self.outcome.clone();
        outcome.conceal(&withhold);
        let (mut rows, others): (Vec<Row>, Vec<Row>) = self
            .rows
            .iter()
            .cloned()
            .partition(|row| row.kind == RowKind::Finding);
        rows.extend(others.first().map(|first| Row {
            name: Some(NO_LOG.into()),
            ..Row::new(first.kind)
        }));
        Cow::Owned(Self {
            outcome,
            rows,
            raw: Vec::new(),
            result: Value::Null,
            ..*self
        })
    }

    /// The step's part of `outcome.json`.
    pub(super) fn entry(&self, step: &Step, source: &Source) -> Value {
        let mut entry = json!({
            "step_id": step.id, "name": step.label, "action": step.kind.spec().key,
            "outcome": self.outcome.word(), "cause": self.outcome.cause(),
            "reason": self.outcome.cause().map(Cause::summary),
            "attempts": self.attempts, "started": self.started, "ended": self.ended,
        });
        if let (Value::Object(fields), Some(cause)) = (&mut entry, self.outcome.cause()) {
            fields.extend(cause.spot(source));
        }
        if !step.place.part.is_main() {
            entry["part"] = json!(step.place.part);
        }
        if step.no_log {
            entry["withheld"] = json!("no_log");
        }
        entry
    }

    fn kept(&self, step: &Step, secrets: &Secrets) -> Option<Value> {
        let result = (self.result.clone(), step.is_needed() && !step.no_log);
        let (mut shown, true) = result else {
            return None;
        };
        secrets.hide_in(&mut shown);
        // What is not the value itself is of no use to them.
        (shown == self.result).then_some(shown)
    }

    /// A step whose outcome stands.
    pub(super) fn restored(step: &Step, past: &Restored) -> Self {
        Self {
            attempts: past.attempts,
            result: past
                .result
                .clone()
                .unwrap_or_else(|| step.kind.empty_result()),
            ..Self::new(past.outcome.clone(), Value::Null)
        }
    }

    /// The step's own file: how it ended, what was found, and the answers as they came.
    pub(super) fn file(&self, entry: &Value, step: &Step, secrets: &Secrets) -> StepFile {
        let mut rows = self.rows.clone();
        if !secrets.is_empty() {
            let hide = |text: &mut String| secrets.hide(text);
            for row in &mut rows {
                row.conceal(&hide);
            }
        }
        let bodies = self.raw.iter();
        StepFile {
            end: entry.clone(),
            result: self.kept(step, secrets),
            rows,
            raw: bodies.map(|body| verbatim(body, secrets)).collect(),
        }
    }
}

/// The field of a result that holds one result for each item of `for_each`.
pub(super) const ITEMS: &str = "results";

/// What `data/steps/<nn>-<step>.json` holds.
#[derive(serde::Serialize)]
pub(super) struct StepFile {
    end: Value,
    /// What later steps see of it, where any may and it may be written down.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    raw: Vec<Box<RawValue>>,
    rows: Vec<Row>,
}

impl StepFile {
    /// Where a step's file has what later steps see.
    pub(super) const RESULT: &str = "result";
}

/// A body that is JSON stays as it is; anything else becomes a string. One with a secret in it keeps only
/// what it says.
fn verbatim(body: &[u8], secrets: &Secrets) -> Box<RawValue> {
    let text = String::from_utf8_lossy(body);
    if !secrets.is_empty() {
        let said = serde_json::from_slice(body).unwrap_or_else(|_| Value::from(&*text));
        let mut shown = said.clone();
        secrets.hide_in(&mut shown);
        // What a repeated key hides from a reader of JSON stands in the text all the same.
        if shown != said || matches!(secrets.text(&text), Cow::Owned(_)) {
            return serde_json::value::to_raw_value(&shown).expect("it was JSON before");
        }
    }
    RawValue::from_string(text.to_string())
        .unwrap_or_else(|_| serde_json::value::to_raw_value(&*text).expect("a string is JSON"))
}

const fn rank(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Skipped { .. } => 0,
        Outcome::Done => 1,
        Outcome::Failed { .. } => 2,
        Outcome::Unknown { .. } => 3,
    }
}
