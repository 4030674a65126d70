//! `xtask check`: everything that a change must pass, in order, stopping at the first failure.
//!
//! Invariants: the same on a laptop and in continuous integration; a step that cannot run says so
//! and why; the tests come last and nothing is printed after them, so that the log ends with the
//! test runner's own closing lines.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::generate;
use crate::process::{Failure, Program, Result, find};
use crate::screen::{heading, say, seconds};
use crate::sdk;
use crate::system::{JUDGE, VOICE, provide};
use crate::tidy;

struct Step {
    name: &'static str,
    does: &'static str,
    remedy: &'static str,
    run: fn(&Path) -> Result,
}

const STEPS: &[Step] = &[
    Step {
        name: "system",
        does: "programs that the tests can use",
        remedy: "install them by hand",
        run: system,
    },
    Step {
        name: "format",
        does: "cargo fmt --all --check",
        remedy: "run `cargo fmt --all`",
        run: format,
    },
    Step {
        name: "tidy",
        does: "the house rules",
        remedy: "each line above names a file, a line and the rule; CONTRIBUTING.md says why",
        run: tidy::run,
    },
    Step {
        name: "clippy",
        does: "cargo clippy --workspace --all-targets -- -D warnings",
        remedy: "mend what clippy names; a real exception is `#[expect(lint, reason = \"...\")]`",
        run: clippy,
    },
    Step {
        name: "deny",
        does: "cargo deny check bans licenses sources",
        remedy: "deny.toml says which crates may be used, where, and under which licences",
        run: deny,
    },
    Step {
        name: "generated",
        does: "files that the program writes about itself are up to date",
        remedy: "`cargo xtask generate` writes them anew",
        run: generate::check,
    },
    Step {
        name: "doctests",
        does: "cargo test --doc --workspace",
        remedy: "the example of a public item does not hold any more: mend the one or the other",
        run: doctests,
    },
    Step {
        name: "sdk",
        does: "the official SDKs against a server with the offline models",
        remedy: "`cargo xtask sdk NAME` runs the tests of one face alone; tests/sdk/README.md says how",
        run: sdks,
    },
    Step {
        name: "tests",
        does: "every other test",
        remedy: "run the failing test alone: `cargo test -p <package> <name>`",
        run: tests,
    },
];

const ADVISORIES: Step = Step {
    name: "advisories",
    does: "cargo deny check advisories (needs the network)",
    remedy: "raise the version of the crate that is named, or explain in deny.toml why not",
    run: advisories,
};

/// Runs every step.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result {
    let mut steps: Vec<&Step> = STEPS.iter().collect();
    match arguments {
        [] => say("advisories are skipped: they need the network (`--advisories` asks for them)"),
        [flag] if flag == "--advisories" => steps.insert(5, &ADVISORIES),
        _ => {
            return Err(Failure::new(format!("`check` does not know {arguments:?}"))
                .remedy("`cargo xtask check` or `cargo xtask check --advisories`"));
        }
    }
    let mut times = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let last = index + 1 == steps.len();
        if last {
            summary(&times);
        }
        heading(&format!("[{}/{}] {}: {}", index + 1, steps.len(), step.name, step.does));
        let start = Instant::now();
        let outcome = (step.run)(root);
        let time = start.elapsed();
        match outcome {
            // The test runner has the last word.
            Ok(()) if last => {}
            Ok(()) => say(&format!("{}: passed in {}", step.name, seconds(time))),
            Err(failure) if last && failure.remedy.is_none() => return Err(failure.said()),
            Err(failure) => {
                say(&format!("{}: failed after {}", step.name, seconds(time)));
                let remedy = failure.remedy.clone().unwrap_or_else(|| step.remedy.to_owned());
                return Err(failure.remedy(remedy));
            }
        }
        times.push((step.name, time));
    }
    Ok(())
}

fn summary(times: &[(&str, Duration)]) {
    heading("passed so far");
    for (name, time) in times {
        say(&format!("{name:<12} {:>12}", seconds(*time)));
    }
}

fn system(root: &Path) -> Result {
    provide(root, &[VOICE, JUDGE]);
    Ok(())
}

fn format(root: &Path) -> Result {
    component(root, "fmt", "rustfmt")?;
    Program::cargo(root, ["fmt", "--all", "--check"]).run()
}

fn clippy(root: &Path) -> Result {
    component(root, "clippy", "clippy")?;
    let arguments = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    Program::cargo(root, arguments).run()
}

fn component(root: &Path, command: &str, component: &str) -> Result {
    if Program::cargo(root, [command, "--version"]).succeeds() {
        return Ok(());
    }
    Err(Failure::new(format!("`cargo {command}` is missing"))
        .remedy(format!("`rustup component add {component}`")))
}

/// The version is named so that a newer one cannot change the verdict on an older tree.
const DENY_VERSION: &str = "0.20.2";

fn deny(root: &Path) -> Result {
    if !Program::cargo(root, ["deny", "--version"]).succeeds() {
        install_deny(root)?;
    }
    let checks = ["bans", "licenses", "sources"];
    Program::cargo(root, ["deny", "--locked", "check"].iter().chain(&checks)).run()
}

/// Installs cargo-deny unoptimised: it reads a few hundred manifests, and the optimiser would take
/// several times as long as it ever runs.
fn install_deny(root: &Path) -> Result {
    say("cargo-deny is missing: installing it (about a minute on two cores)");
    let installed = Program::cargo(
        root,
        ["install", "cargo-deny", "--locked", "--quiet", "--version", DENY_VERSION],
    )
    .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
    .env("CARGO_PROFILE_RELEASE_LTO", "off")
    .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256")
    .run();
    installed.map_err(|failure| {
        failure.remedy(format!("`cargo install cargo-deny --locked --version {DENY_VERSION}`"))
    })
}

fn advisories(root: &Path) -> Result {
    Program::cargo(root, ["deny", "--locked", "check", "advisories"]).run()
}

fn doctests(root: &Path) -> Result {
    Program::cargo(root, ["test", "--locked", "--doc", "--workspace", "--quiet"]).run()
}

fn sdks(root: &Path) -> Result {
    sdk::run(root, &[])
}

fn tests(root: &Path) -> Result {
    if find("cargo-nextest").is_some() {
        return Program::cargo(root, ["nextest", "run", "--locked", "--workspace"]).run();
    }
    say("cargo-nextest is missing: `cargo test` runs the same tests, one binary at a time");
    Program::cargo(root, ["test", "--locked", "--workspace", "--lib", "--bins", "--tests"]).run()
}
