//! Text for people: words, escapes, diagnostics, and YAML with places. No domain types.

pub mod diagnostic;
pub mod duration;
pub mod encoding;
pub mod escape;
pub mod json;
pub mod render;
pub mod size;
pub mod source;
pub mod spot;
pub mod wildcard;
pub mod words;
pub mod yaml;
