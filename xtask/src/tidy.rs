//! `xtask tidy`: the house rules that no other tool enforces.
//!
//! Invariants: it reads files, runs `git ls-files` and `cargo metadata`, and changes nothing; every
//! violation is reported at once, as `file:line: message`; each rule is a function of the tree, so
//! each has a test in which it fails.

mod edges;
mod fences;
mod names;
mod packages;
mod size;
mod source;
mod tree;
mod words;

use std::path::Path;

use crate::process::{Failure, Result};
use crate::screen::say;

use packages::Package;
use tree::Tree;

/// A rule that is broken somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    path: String,
    line: usize,
    message: String,
}

impl Violation {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

/// Reads the tree, applies every rule, and prints what is broken.
pub(crate) fn run(root: &Path) -> Result {
    let tree = Tree::read(root)?;
    let packages = packages::read(root)?;
    let (sources, violations) = inspect(&tree, &packages);
    for violation in &violations {
        say(&format!("{}:{}: {}", violation.path, violation.line, violation.message));
    }
    if violations.is_empty() {
        say(&format!("{} files, {sources} of them Rust: tidy", tree.files.len()));
        return Ok(());
    }
    Err(Failure::new(format!("{} violations of the house rules", violations.len()))
        .remedy("each line above names a file, a line and the rule; CONTRIBUTING.md says why"))
}

/// Applies every rule; returns how many Rust files there are, and what is broken.
fn inspect(tree: &Tree, packages: &[Package]) -> (usize, Vec<Violation>) {
    let mut violations = Vec::new();
    let sources = source::parse(tree, &mut violations);
    edges::check(tree, packages, &mut violations);
    packages::check(tree, packages, &mut violations);
    fences::check_dependencies(packages, &mut violations);
    words::check(tree, &sources, &mut violations);
    let ids = names::catalogue_ids(tree, &mut violations);
    let dialects = names::dialects(tree);
    for source in &sources {
        size::check(source, &mut violations);
        fences::check_source(source, &mut violations);
        names::check(source, &ids, &dialects, &mut violations);
    }
    violations.sort();
    violations.dedup();
    (sources.len(), violations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_is_reported_at_once_and_in_order() {
        let tree = Tree::of(&[
            ("ARCHITECTURE.md", "```edges\ndomain ->\n```\n"),
            ("Cargo.lock", ""),
            ("crates/domain/src/lib.rs", "#[allow(dead_code)]\nfn f() { todo!() }\n"),
        ]);
        let (count, violations) = inspect(&tree, &[]);
        assert_eq!(count, 1);
        let seen: Vec<_> = violations.iter().map(|v| (v.path.as_str(), v.line)).collect();
        let file = "crates/domain/src/lib.rs";
        assert_eq!(seen, [("ARCHITECTURE.md", 2), (file, 1), (file, 1), (file, 2)]);
    }
}
