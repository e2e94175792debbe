//! Runs Live Response playbooks on many devices at once.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests make their own files and may ask for the time"
    )
)]

pub mod api;
pub mod bundle;
pub mod clock;
pub mod config;
pub mod ledger;
pub mod live;
pub mod model;
pub mod plan;
pub mod playbook;
pub mod run;
pub mod secret;
pub mod sim;
pub mod step;
pub mod target;
pub mod template;
pub mod text;
pub mod wire;
