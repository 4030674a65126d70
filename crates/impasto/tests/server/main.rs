//! The real binary as a server, and what is done to servers: killed under load, asked slowly, asked
//! nonsense, asked too much.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what is wrong by panicking, and prints what it measured"
)]

mod client;
mod drain;
mod events;
mod harness;
mod hints;
mod hostile;
mod jobs;
mod keys;
mod kill;
mod lending;
mod listeners;
mod logs;
mod queue;
mod receiver;
mod reload;
mod sounds;
mod watched;
