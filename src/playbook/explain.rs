//! What each diagnostic means, why we insist, and one playbook on either side of the line.
//!
//! The samples are the pairs that the tests hold to their word, so no explanation shows something
//! that is not so.

use crate::text::diagnostic::Code;
use crate::text::words::wrap;

/// A code, explained.
#[derive(Debug, Clone, Copy)]
pub struct Explanation {
    pub code: Code,
    /// What it means and why it matters.
    pub why: &'static str,
    /// A playbook of which it is said.
    pub wrong: &'static str,
    /// What is said of it.
    pub said: &'static str,
    /// A playbook of which there is nothing to say.
    pub right: &'static str,
}

macro_rules! explained {
    ($code:expr, $slug:literal, $why:literal) => {
        Explanation {
            code: $code,
            why: $why,
            wrong: include_str!(concat!("../../tests/invalid/", $slug, ".yaml")),
            said: include_str!(concat!("../../tests/invalid/", $slug, ".stderr")),
            right: include_str!(concat!("../../tests/invalid/", $slug, ".ok.yaml")),
        }
    };
}

/// Explains a code.
#[rustfmt::skip]
pub const fn explain(code: Code) -> Explanation {
    match code {
        Code::Syntax => explained!(code, "syntax",
            "The file is not YAML, so nothing behind this place can be read. Often the line above is the one to mend: a bracket or a quote that was never closed."),
        Code::YamlFeature => explained!(code, "yaml-feature",
            "Anchors, aliases, merge keys, tags and second documents are YAML, but not part of the language: whoever reviews a playbook should see what will be sent where it will be sent, and not have to unfold it first."),
        Code::Trap => explained!(code, "trap",
            "YAML reads this differently from what it looks like: backslashes in double quotes are escapes, ` #` begins a comment, `*` an alias, `{{` a map. Single quotes keep a value as it is written."),
        Code::Limit => explained!(code, "limit",
            "Too large, too deep, too long or too many. Live Response accepts 10 KiB for one command, and a file that nests deeply or never ends is a mistake or an attack."),
        Code::UnknownKey => explained!(code, "unknown-key",
            "The language has no such key here. It is an error and not ignored, because a misspelt key would otherwise silently not do what it says. Keys of other tools are answered with ours."),
        Code::MissingKey => explained!(code, "missing-key",
            "Something that this map cannot do without is not there."),
        Code::DuplicateKey => explained!(code, "duplicate-key",
            "One map has the same key twice, and only one of the values could count."),
        Code::WrongType => explained!(code, "wrong-type",
            "A map stands where a list belongs, a list where text belongs, or the like."),
        Code::BadValue => explained!(code, "bad-value",
            "The kind of value is right and the value is not: a duration without its unit, a word that is none of the choices, a number out of its range. Durations and sizes always have a unit, so that nobody confuses seconds with minutes."),
        Code::DuplicateId => explained!(code, "duplicate-id",
            "Results, resuming and `--start-at` find a step by its id, so two steps cannot share one. Ids that are not chosen are made distinct."),
        Code::NoAction => explained!(code, "no-action",
            "A step has exactly one action key, such as `get_file` or `exec`, and modifiers beside it. This one has modifiers only."),
        Code::TwoActions => explained!(code, "two-actions",
            "A step has exactly one action, so that it has one result, one retry and one line in the report. Write two steps."),
        Code::Permission => explained!(code, "permission",
            "`permissions` is the ceiling of what a playbook may do, for whoever reviews it and for whoever runs it. Without it a playbook may only read. A step above the ceiling is never run."),
        Code::Reserved => explained!(code, "reserved",
            "The language has this key or action, and this version does not carry it out yet. It is refused rather than skipped: half a response is worse than none."),
        Code::TemplateSyntax => explained!(code, "template-syntax",
            "What stands between `{{` and `}}`, or in a bare expression such as `when`, cannot be read. There are expressions and filters, and no statements."),
        Code::UndefinedVariable => explained!(code, "undefined-variable",
            "Templates know `inputs`, `vars`, `device`, `run`, `item` under `for_each`, and the results that earlier steps register. Nothing is ever silently empty: a path with a hole in it is another path."),
        Code::UndefinedFilter => explained!(code, "undefined-filter",
            "There is no filter, test or function of this name."),
        Code::RegisterBeforeUse => explained!(code, "register-before-use",
            "A step refers to a result that a later step registers. Steps run from top to bottom."),
        Code::UnusedVariable => explained!(code, "unused-variable",
            "An input, a variable or a result is declared and nobody looks at it. Often the place that should use it has another name in it."),
        Code::Unquoted => explained!(code, "unquoted",
            "Text that is not known yet becomes part of a command line. Whoever names a file on the endpoint chooses that text, and it may hold what a shell takes for an operator. Quote it for what reads it: `| ps_quote`, `| sh_quote` or `| cmd_quote`. Numbers, choices and words of our own need no quotes, and a command that is nothing but one input is taken as it is given."),
        Code::Danger => explained!(code, "danger",
            "The command line destroys: it deletes, clears, formats, ends processes or the machine. Such a command line counts as `delete` or `kill`, and `permissions` should say so. It cannot be `effect: read`, and what would take a drive, the sensor or a vital process is refused. So it is in `delete_file`, `kill_process` and the like."),
        Code::EffectDoubt => explained!(code, "effect-doubt",
            "`effect: read` promises that the command changes nothing, so that it may run again after a lost answer and meets no rail. The common reading programs are known; of this one it is taken on trust."),
        Code::Cleanup => explained!(code, "cleanup",
            "The command line writes a file on the endpoint, and no later step removes it. What a response leaves behind confuses the next one, and may hold secrets."),
        Code::Unreachable => explained!(code, "unreachable",
            "The step can never run on any device, whatever is found there."),
        Code::Secret => explained!(code, "secret",
            "A secret goes to the endpoint and is kept out of everything else: the journal, the bags, the reports, the terminal. That can only be done for a value that comes out of an expression as it is, or through one of the quoting filters; half of it, or its upper case, would be another text that nobody knows to be secret. It stands in no playbook either, and in no command line as plain text: give it to an input with `secret: true`, by the environment or a file."),
    }
}

impl Explanation {
    /// The explanation on `width` columns. The samples keep their lines.
    pub fn draw(&self, width: usize) -> String {
        let mut text = format!("{}\n\n{}\n", self.code, wrap(self.why, width));
        for (title, sample) in [
            ("A playbook of which it is said:", self.wrong),
            ("What is said:", self.said),
            ("A playbook without it:", self.right),
        ] {
            text.extend(["\n", title, "\n\n"]);
            for line in sample.lines() {
                text.push_str(format!("    {line}").trim_end());
                text.push('\n');
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_explained_with_its_own_pair() {
        for code in Code::ALL {
            let explanation = explain(code);
            assert!(
                explanation.said.contains(&format!("[{code}]: ")),
                "the samples of `{code}` are another code's"
            );
            assert!(
                explanation.why.ends_with('.') && explanation.wrong != explanation.right,
                "{code}"
            );
        }
    }
}
