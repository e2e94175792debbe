//! The `sortie` program.

fn main() {}
