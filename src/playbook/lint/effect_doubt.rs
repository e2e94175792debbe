//! `effect: read` is a promise: what is known to destroy breaks it, and of the rest only the common
//! reading programs are known to keep it.

use super::command_line::{UNKNOWN, invocations};
use super::{commands, programs};
use crate::model::effect::Effect;
use crate::playbook::Playbook;
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::escape::Escaped;

pub(super) fn check(playbook: &Playbook, all: &mut Diagnostics) {
    for (exec, line) in commands(playbook) {
        if exec.effect != Effect::Read {
            continue;
        }
        let found = invocations(line);
        let doubtful = found
            .iter()
            .find(|found| !programs::reads(found) && programs::destroys(found).is_none());
        let Some(doubtful) = doubtful else {
            continue;
        };
        let program = &doubtful.program;
        let message = if let Some(path) = doubtful.writes.first() {
            format!(
                "`{program}` writes `{}`, and `effect: read` says that it changes nothing",
                Escaped(path)
            )
        } else if program.contains(UNKNOWN) {
            "nobody knows yet what this runs: `effect: read` is taken on trust".to_owned()
        } else {
            format!(
                "`{}` is not known to read only: `effect: read` is taken on trust",
                Escaped(program)
            )
        };
        all.warn(Code::EffectDoubt, line.span(), message)
            .help("remove `effect` unless you are sure: what only reads may run again after a lost answer");
    }
}
