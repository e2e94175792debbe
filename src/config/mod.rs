//! What a user configures outside of playbooks. The only place that reads configuration files.
//!
//! No defaults of the engine and no command line here: it says what was configured, not what follows.

pub mod credentials;
pub mod state;
