//! `sortie schema`: the JSON Schema of playbooks, for editors and other tools.

use super::exit::Exit;
use super::output::Output;
use crate::playbook::schema::schema;

pub(super) fn run() -> Exit {
    Output::result(&format!("{:#}", schema()));
    Exit::Ok
}
