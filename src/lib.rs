#![doc = include_str!("ARCHITECTURE.md")]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests make their own files and may ask for the time"
    )
)]

// In reading order, lowest row first; `tests/it/tidy.rs` holds who may use whom.
pub mod clock;
pub mod secret;
pub mod text;

pub mod config;
pub mod model;

pub mod live;
pub mod template;
pub mod wire;

pub mod step;
pub mod target;

pub mod playbook;

pub mod plan;

pub mod bundle;

pub mod ledger;

pub mod run;

pub mod api;
pub mod report;
pub mod sim;
pub mod ui;

pub mod cli;
