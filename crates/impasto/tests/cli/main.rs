//! The real binary, as a person would use it: good input, bad input, interruptions.

mod bad_input;
mod film;
mod harness;
mod listing;
mod resume;
