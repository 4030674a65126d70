//! The command line of Impasto.
fn main() {}
