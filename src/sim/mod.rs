//! The built-in simulator: an organisation with devices, behind the APIs of Carbon Black Cloud, EDR and App Control,
//! written from their contract.
//!
//! One [`world::World`], three doors: HTTP in memory ([`doors`]), HTTP over TCP ([`server`]), and the
//! engine's own ports ([`port`]); [`fault`] stands before each of them, and [`scenario`] reads the file that
//! describes it all. It knows nothing of our client, or a wrong mapping would agree with itself.

pub mod actions;
mod app_control;
mod bans;
pub mod books;
mod catalogue;
pub mod console;
mod contact;
pub mod control;
pub mod csp;
pub mod device;
pub mod doors;
pub mod endpoint;
pub mod fault;
pub mod fleet;
mod kept;
pub mod keys;
pub mod manners;
mod organisation;
pub mod port;
pub mod request_log;
pub mod scenario;
pub mod server;
pub mod session;
pub mod store;
mod tickets;
pub mod tls;
pub mod view;
pub mod world;
mod zipped;
