//! Programs that the system must lend: what each is for, and how it is had.

use std::path::Path;

use crate::process::{Program, find};
use crate::screen::say;

/// A program from outside this tree.
pub(crate) struct Need {
    /// The program that proves that it is there.
    pub(crate) program: &'static str,
    /// The Debian package that brings it.
    pub(crate) package: &'static str,
    /// What it is wanted for.
    pub(crate) reason: &'static str,
}

/// The voice of the offline studio.
pub(crate) const VOICE: Need = Need {
    program: "espeak-ng",
    package: "espeak-ng",
    reason: "the offline voice speaks through it",
};

/// A judge of our files that is not our own.
pub(crate) const JUDGE: Need = Need {
    program: "ffprobe",
    package: "ffmpeg",
    reason: "tests let ffprobe judge the files that we write; nothing at run time needs it",
};

/// Installs what is missing, as far as it can, and says what is missing still.
///
/// It is no failure when something cannot be had: what needs it says so itself.
pub(crate) fn provide(root: &Path, needs: &[Need]) {
    for need in needs {
        if find(need.program).is_some() {
            say(&format!("{}: there", need.program));
            continue;
        }
        say(&format!("{}: missing; {}", need.program, need.reason));
        if install(root, need.package) && find(need.program).is_some() {
            say(&format!("{}: installed from the package {}", need.program, need.package));
        } else {
            say(&format!(
                "{}: not installed; what needs it will skip and say so \
                 (`apt-get install {}` gives it)",
                need.program, need.package
            ));
        }
    }
}

fn install(root: &Path, package: &str) -> bool {
    let Some(before) = administrator(root) else {
        say("  cannot install: neither root nor sudo without a password");
        return false;
    };
    let apt = |arguments: &[&str]| {
        let common = ["-qq", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"];
        let words = before.iter().chain(&["apt-get"]).chain(&common).chain(arguments);
        let mut words = words.copied();
        let name = words.next().unwrap_or("apt-get");
        Program::new(root, name, words).env("DEBIAN_FRONTEND", "noninteractive")
    };
    say(&format!("  installing the package {package} with apt-get"));
    let get = ["install", "--yes", "--no-install-recommends", package];
    // The lists of a fresh machine are empty; they are fetched only when the package is not known.
    apt(&get).succeeds() || (apt(&["update"]).succeeds() && apt(&get).succeeds())
}

/// The words to put before a command so that it runs as root; none if that cannot be.
fn administrator(root: &Path) -> Option<&'static [&'static str]> {
    find("apt-get")?;
    let user = Program::new(root, "id", ["-u"]).output().ok()?;
    if user.trim() == "0" {
        return Some(&[]);
    }
    let asks_nothing = Program::new(root, "sudo", ["-n", "true"]).succeeds();
    asks_nothing.then_some(&["sudo", "-n"])
}
