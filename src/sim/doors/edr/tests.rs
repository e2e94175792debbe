//! EDR from outside, on a clock that does not wait.

mod files;
mod searches;
