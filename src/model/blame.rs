//! Where in the playbook the reason of a failure stands, where there is such a place.

use super::outcome::Cause;
use crate::text::source::{Source, Span};
use crate::text::spot::Spot;
use serde_json::{Map, Value};

impl Cause {
    /// The expression or template that failed, in the playbook that was run.
    pub fn at(&self) -> Option<Span> {
        match self {
            Self::AssertFailed { at, .. }
            | Self::Template { at, .. }
            | Self::UntilFalse { at, .. } => *at,
            Self::Disproved { cause, .. } => cause.at(),
            _ => None,
        }
    }

    /// The same as the fields `file`, `line` and `column`; none where there is no place.
    pub fn spot(&self, source: &Source) -> Map<String, Value> {
        self.at()
            .map(|span| Spot::of(source, span).fields())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_have_a_place_and_those_of_old_journals_have_none() {
        let source = Source::new("p.yaml", "a: 1\nb: x\n");
        let read = |text: &str| serde_json::from_str::<Cause>(text).expect("a cause");
        let old = read(r#"{"why":"template","message":"x"}"#);
        assert_eq!((old.at(), old.spot(&source).len()), (None, 0));
        let cause = read(r#"{"why":"assert_failed","message":"x","at":{"start":8,"end":9}}"#);
        let spot = serde_json::Value::Object(cause.spot(&source));
        assert_eq!(
            spot,
            serde_json::json!({"file": "p.yaml", "line": 2, "column": 4})
        );
        assert_eq!(Cause::WhenFalse.at(), None);
        let mut source = source;
        source.add(Source::new("used.yaml", "c: y\n"));
        let cause = read(r#"{"why":"assert_failed","message":"x","at":{"start":14,"end":15}}"#);
        let spot = serde_json::Value::Object(cause.spot(&source));
        assert_eq!(
            spot,
            serde_json::json!({"file": "used.yaml", "line": 1, "column": 4})
        );
    }
}
