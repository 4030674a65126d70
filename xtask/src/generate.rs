//! `xtask generate`: files that are written by the program itself, and whether they are up to date.
//!
//! Invariant: adding a generated file is a row of [`FILES`]; `--check` changes nothing.

use std::path::Path;

use crate::process::{Failure, Program, Result};
use crate::screen::say;

/// A file and what prints its text.
struct Generated {
    path: &'static str,
    by: Printer,
}

/// What prints the text of a file.
enum Printer {
    /// The program itself, with these words after its name.
    Impasto(&'static [&'static str]),
    /// An example of this package: the package, the example.
    Example(&'static str, &'static str),
}

use Printer::{Example, Impasto};

const FILES: &[Generated] = &[
    Generated { path: "docs/reference/openapi.json", by: Example("impasto-api", "openapi") },
    Generated { path: "docs/reference/commands.md", by: Impasto(&["reference", "commands"]) },
    Generated { path: "docs/reference/tasks.md", by: Impasto(&["reference", "tasks"]) },
    Generated { path: "docs/systems.md", by: Impasto(&["reference", "systems"]) },
    Generated { path: "catalog/schema/task.json", by: Impasto(&["reference", "task-schema"]) },
    Generated {
        path: "catalog/schema/provider.json",
        by: Impasto(&["reference", "provider-schema"]),
    },
    Generated { path: "catalog/schema/model.json", by: Impasto(&["reference", "model-schema"]) },
];

/// Writes the files, or with `--check` says which of them are not as they would be written.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result {
    match arguments {
        [] => each(root, write),
        [flag] if flag == "--check" => check(root),
        _ => Err(Failure::new(format!("`generate` does not know {arguments:?}"))
            .remedy("`cargo xtask generate` or `cargo xtask generate --check`")),
    }
}

/// Fails if a file is not as it would be written now.
pub(crate) fn check(root: &Path) -> Result {
    let mut stale = Vec::new();
    each(root, |path, text| {
        if std::fs::read_to_string(path).unwrap_or_default() != text {
            stale.push(path.strip_prefix(root).unwrap_or(path).display().to_string());
        }
        Ok(())
    })?;
    if stale.is_empty() {
        say(&format!("{} generated files are up to date", FILES.len()));
        return Ok(());
    }
    Err(Failure::new(format!("not up to date: {}", stale.join(", ")))
        .remedy("`cargo xtask generate` writes them anew"))
}

fn each(root: &Path, mut act: impl FnMut(&Path, &str) -> Result) -> Result {
    let build = ["build", "--quiet", "--locked", "--package", "impasto"];
    Program::cargo(root, build).run()?;
    for file in FILES {
        let mut run = vec!["run", "--quiet", "--locked", "--package"];
        match file.by {
            Impasto(words) => run.extend(["impasto", "--"].iter().chain(words)),
            Example(package, example) => run.extend([package, "--example", example]),
        }
        let text = Program::cargo(root, run).output()?;
        act(&root.join(file.path), &text)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if std::fs::read_to_string(path).unwrap_or_default() != text {
        std::fs::write(path, text)?;
        say(&format!("written: {}", path.display()));
    }
    Ok(())
}
