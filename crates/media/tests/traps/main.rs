//! Hostile files against the sandbox: each must end as an error with a reason, in time, within the
//! memory it is allowed, and without a byte of any other file in the answer.
//!
//! The program runs itself again as the sandbox's child. Arguments that are no options choose
//! checks by part of their name.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a check fails by a panic, which `main` catches and counts"
)]

mod files;
mod friendly;
mod hostile;

use std::io::Write as _;
use std::panic;
use std::process::ExitCode;

use impasto_media::limits::Limits;
use impasto_media::sandbox::{Ffmpeg, Sandbox, child_main};

/// The hidden subcommand.
const SUBCOMMAND: &str = "sandbox-child";

/// A named check.
type Check = (&'static str, fn());

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == SUBCOMMAND) {
        return ExitCode::from(u8::try_from(child_main()).unwrap_or(1));
    }
    let chosen = |name: &str| {
        let mut parts = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        parts.peek().is_none() || parts.any(|part| name.contains(part.as_str()))
    };
    let mut failed = 0;
    let checks = hostile::CHECKS.iter().chain(friendly::CHECKS).filter(|(name, _)| chosen(name));
    for (name, check) in checks {
        let passed = panic::catch_unwind(check).is_ok();
        failed += usize::from(!passed);
        let _ =
            writeln!(std::io::stderr(), "trap {name} ... {}", if passed { "ok" } else { "FAILED" });
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A sandbox with less memory than the default, so that a pass says something about memory.
fn sandbox() -> Sandbox {
    let limits = Limits { memory_bytes: 700_000_000, wall_ms: 20_000, ..Limits::default() };
    Sandbox { limits, ..Sandbox::of_this_program(SUBCOMMAND).expect("the path of this program") }
}

/// The same without ffmpeg.
fn sandbox_without_ffmpeg() -> Sandbox {
    Sandbox { ffmpeg: None, ..sandbox() }
}

/// Whether this machine can run the checks that need ffmpeg.
fn ffmpeg() -> Option<&'static Ffmpeg> {
    Ffmpeg::installed()
}
