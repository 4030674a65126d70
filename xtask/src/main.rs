//! Tasks of the repository: `cargo xtask <command>`.
//!
//! Everything that a person or the continuous integration does to this tree is a command here, so
//! that both do the same. Nothing of the product depends on this package.

mod bench;
mod check;
mod demo;
mod generate;
mod process;
mod screen;
mod sdk;
mod system;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use process::Failure;

const HELP: &str = "\
Tasks of the repository.

Usage: cargo xtask <command>

Commands:
  check [--advisories]   everything a change must pass: format, lints, licences, tidy, tests
  tidy                   the house rules alone: edges, lengths, names, fences
  bench [NAME]           speed and memory beside peers; keeps the figures in benches/README.md
  generate [--check]     files that the program writes about itself, or whether they are up to date
  sdk [NAME]             the official SDKs against a server: all, or those of one face
  demo [-- FLAGS]        a product film from one photograph; FLAGS go to `impasto run`
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let root = root();
    let outcome = match command {
        "check" => check::run(&root, rest),
        "tidy" => tidy::run(&root),
        "bench" => bench::run(&root, rest),
        "demo" => demo::run(&root, rest),
        "generate" => generate::run(&root, rest),
        "sdk" => sdk::run(&root, rest),
        "help" | "--help" | "-h" => {
            screen::say(HELP.trim_end());
            Ok(())
        }
        other => Err(Failure::new(format!("there is no command `{other}`"))
            .remedy("`cargo xtask help` lists the commands")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen::failure(&failure);
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace: the parent of this package, wherever the tree lies now.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| Path::new(".").to_path_buf(), Path::to_path_buf)
}
