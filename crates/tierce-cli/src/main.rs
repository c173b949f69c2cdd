//! The tierce program.
fn main() {}
