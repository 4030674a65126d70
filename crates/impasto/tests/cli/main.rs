//! The real binary, as a person would use it: good input, bad input, interruptions.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what is wrong by panicking, and prints what it skips"
)]

mod approve;
mod bad_input;
mod film;
mod harness;
mod listing;
mod network;
mod providers;
mod resume;
