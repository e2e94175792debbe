//! The results as JUnit XML: a suite for each playbook, a test case for each case.
//!
//! ```xml
//! <testsuites name="sortie" tests="2" failures="1" errors="0">
//!   <testsuite name="playbooks/a.yaml" tests="2" failures="1" …>
//!     <testcase name="Finds it" classname="a"/>
//!     <testcase name="Finds nothing" classname="a">
//!       <failure message="playbooks/a.test.yaml:9:15: expected exit code 0, found 10">…</failure>
//! ```
//!
//! A failure is an expectation that did not hold; there are no errors, as what cannot be run ends the
//! command before. Times are left out: they are virtual, and nobody's business. Characters that XML 1.0
//! does not have are left out too.

use super::files::Suite;
use super::{Verdict, drawn};
use crate::text::escape::Escaped;
use crate::text::render::Style;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

pub(super) fn begin() -> Report {
    Report::new("sortie")
}

pub(super) fn add(report: &mut Report, suite: &Suite, verdicts: &[Verdict<'_>]) {
    let mut tests = TestSuite::new(legible(&suite.playbook.source.name));
    for verdict in verdicts {
        let mut case = TestCase::new(legible(verdict.name), status(suite, verdict));
        case.set_classname(legible(&suite.playbook.name));
        tests.add_test_case(case);
    }
    report.add_test_suite(tests);
}

pub(super) fn text(report: &Report) -> Result<String, String> {
    let text = report.to_string().map_err(|error| error.to_string())?;
    Ok(format!("{}\n", text.trim_end()))
}

fn status(suite: &Suite, verdict: &Verdict<'_>) -> TestCaseStatus {
    let Some(first) = verdict.broken.first() else {
        return TestCaseStatus::success();
    };
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    let place = suite.source.place(first.span.start);
    let name = &suite.source.name;
    let (line, column) = (place.line, place.column);
    status.set_message(legible(&format!(
        "{name}:{line}:{column}: {}",
        first.message
    )));
    let blocks = verdict
        .broken
        .iter()
        .map(|broken| drawn(suite, broken, Style::default()));
    status.set_description(lawful(&blocks.collect::<Vec<_>>().join("\n")));
    status
}

/// What an endpoint or an author put into a line cannot end it.
fn legible(text: &str) -> String {
    lawful(&Escaped(text).to_string())
}

/// Without the two characters that XML 1.0 does not have and the writer lets through.
fn lawful(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::test::judge::Broken;
    use crate::playbook::check::check;
    use crate::text::source::{Source, Span};
    use std::sync::Arc;

    #[test]
    fn whatever_is_said_stays_xml() {
        let evil = "a\u{1b}[31m\u{0}\u{fffe}\u{ffff}<b>&\"]]>\u{202e}\n";
        let playbook = check(evil, b"sortie: 1\nname: '<x>'\nsteps: [wait: 1s]\n").playbook;
        let suite = Suite {
            playbook: Arc::new(playbook.expect("it is sound")),
            source: Source::new(evil, format!("expect: {evil}")),
            cases: Vec::new(),
        };
        let broken = Broken {
            span: Span::new(8, 9),
            message: evil.to_owned(),
            note: Some(evil.to_owned()),
        };
        let mut report = begin();
        let verdict = Verdict {
            name: evil,
            broken: vec![broken],
        };
        add(&mut report, &suite, &[verdict]);
        let text = text(&report).expect("it is written");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
        assert!(
            !text.contains(['\u{202e}', '\u{fffe}', '\u{ffff}']),
            "{text}"
        );
        assert!(
            !text.contains("<b>") && text.contains("&lt;b&gt;"),
            "{text}"
        );
        assert_eq!(text.matches("<failure ").count(), 1, "{text}");
    }
}
