//! The nouns of the field, as plain data: devices, commands, effects, events, outcomes.
//!
//! No async, no files, no HTTP, no command line.

pub mod blame;
mod cause_text;
pub mod command;
pub mod conceal;
pub mod device;
mod device_state;
pub mod effect;
mod endpoint_code;
pub mod event;
pub mod id;
pub mod memo;
pub mod outcome;
pub mod remote;
pub mod row;
pub mod spent;
pub mod state;
