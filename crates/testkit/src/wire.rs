//! Fake providers on a real wire: a small HTTP server that can do everything wrong, providers made
//! from their files, and a table of failures with what must come of each.
//!
//! A dialect is tested by an [`Honest`] wire, which answers as its providers do. [`Server`] speaks for
//! it and counts; [`Mischief`] says what goes wrong; [`cases`] is the table; [`check`] runs one case
//! through a real engine and looks at what the caller sees, what is written down, and how often
//! something was started.

mod cases;
mod door;
mod file;
mod mischief;
mod offer;
mod server;

pub use cases::{
    Case, End, Expected, MakeDriver, MakeWire, Setting, SettingFn, Verdict, cases, check,
};
pub use door::{PlainDoor, sample_bytes, sample_of};
pub use file::{FileWire, answer_of};
pub use mischief::{Files, Honest, Link, Mischief, Naughty, Pace, Role, Slip, path_of};
pub use offer::{Narrowed, example_of};
pub use server::{Arrived, Manner, Reply, Server, Wire};
