//! What a person sees on a terminal: folds of events and plans, drawn.
//!
//! Nothing here decides anything. Everything foreign is shown escaped, and every line can be understood
//! without colour.

/// Adds a line to a string, which cannot fail.
macro_rules! put {
    ($out:expr) => { $out.push('\n') };
    ($out:expr, $($arg:tt)*) => {{
        use std::fmt::Write as _;
        writeln!($out, $($arg)*).expect("a string takes everything");
    }};
}

mod failures;
pub mod past;
pub mod plan;
pub mod progress;
pub mod rows;
pub mod style;
pub mod summary;
