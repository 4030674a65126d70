//! The packages of the workspace, and what each manifest must say.

use std::path::Path;

use serde_json::Value;

use crate::process::{Failure, Program, Result};

use super::Violation;
use super::tree::Tree;

/// When a dependency is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Development,
    Build,
}

/// A dependency as a manifest names it.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Whether it lies in this tree.
    pub(crate) local: bool,
    /// The line of the manifest that names it.
    pub(crate) line: usize,
}

/// A package of the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The path of its manifest from the root.
    pub(crate) manifest: String,
    pub(crate) dependencies: Vec<Dependency>,
}

impl Package {
    /// Its folder under `crates/`; none for packages that are not part of the product.
    pub(crate) fn home(&self) -> Option<&str> {
        self.manifest.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")
    }
}

/// Asks cargo for the packages of the workspace.
pub(crate) fn read(root: &Path) -> Result<Vec<Package>> {
    let arguments = ["metadata", "--no-deps", "--format-version", "1"];
    let answer = Program::cargo(root, arguments).output()?;
    let answer: Value = serde_json::from_str(&answer)
        .map_err(|error| Failure::new(format!("`cargo metadata` cannot be read: {error}")))?;
    let base = answer["workspace_root"].as_str().unwrap_or_default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages = list(&answer["packages"]).into_iter().map(|package| {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let text = std::fs::read_to_string(manifest).unwrap_or_default();
        Package {
            name: package["name"].as_str().unwrap_or_default().to_owned(),
            manifest: manifest.strip_prefix(base).unwrap_or(manifest).trim_matches('/').to_owned(),
            dependencies: list(&package["dependencies"])
                .iter()
                .map(|value| dependency(value, &text))
                .collect(),
        }
    });
    Ok(packages.collect())
}

fn dependency(value: &Value, manifest: &str) -> Dependency {
    let name = value["name"].as_str().unwrap_or_default().to_owned();
    let names_it =
        |line: &str| line.strip_prefix(&name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    let line = manifest.lines().position(names_it).map_or(1, |index| index + 1);
    let kind = match value["kind"].as_str() {
        Some("dev") => Kind::Development,
        Some("build") => Kind::Build,
        _ => Kind::Normal,
    };
    Dependency { name, kind, local: value["path"].is_string(), line }
}

/// Every package takes the lints of the workspace, and the lock file is part of the tree.
pub(crate) fn check(tree: &Tree, packages: &[Package], violations: &mut Vec<Violation>) {
    for package in packages {
        let path = &package.manifest;
        let text = tree.file(path).and_then(|file| file.text.as_deref()).unwrap_or_default();
        let takes_lints = text.parse::<toml::Table>().is_ok_and(|manifest| {
            let workspace = manifest.get("lints").and_then(|lints| lints.get("workspace"));
            workspace.and_then(toml::Value::as_bool) == Some(true)
        });
        if !takes_lints {
            let message = "takes no lints of the workspace: add `[lints]` `workspace = true`";
            violations.push(Violation::new(path, 1, message));
        }
    }
    if !tree.file("Cargo.lock").is_some_and(|file| file.tracked) {
        let message = "is not committed: a binary is built from locked versions";
        violations.push(Violation::new("Cargo.lock", 1, message));
    }
}

/// A package in `folder` that uses others.
#[cfg(test)]
pub(crate) fn package(folder: &str, uses: &[(&str, Kind)]) -> Package {
    let name = folder.strip_prefix("crates/").map(|name| format!("impasto-{name}"));
    let dependency = |(name, kind): &(&str, Kind)| Dependency {
        name: (*name).to_owned(),
        kind: *kind,
        local: true,
        line: 1,
    };
    Package {
        name: name.unwrap_or_else(|| folder.to_owned()),
        manifest: format!("{folder}/Cargo.toml"),
        dependencies: uses.iter().map(dependency).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_manifest(manifest: &str, lock: &str, expected: &[&str]) {
        let tree = Tree::of(&[("crates/a/Cargo.toml", manifest), (lock, "")]);
        let mut violations = Vec::new();
        check(&tree, &[package("crates/a", &[])], &mut violations);
        let seen: Vec<_> = violations.iter().map(|v| v.path.as_str()).collect();
        assert_eq!(seen, expected, "{manifest}");
    }

    #[test]
    fn lints_and_lock_are_asked_for() {
        let good = "[lints]\nworkspace = true\n";
        check_manifest(good, "Cargo.lock", &[]);
        check_manifest(good, "other", &["Cargo.lock"]);
        check_manifest("[package]\n", "Cargo.lock", &["crates/a/Cargo.toml"]);
        check_manifest("[lints]\nworkspace = false\n", "Cargo.lock", &["crates/a/Cargo.toml"]);
    }

    #[test]
    fn a_dependency_knows_its_line_and_kind() {
        let value = serde_json::json!({"name": "toml", "kind": "dev", "path": null});
        let found = dependency(&value, "[dependencies]\ntoml-span = \"1\"\ntoml.workspace = true");
        assert_eq!((found.line, found.kind, found.local), (3, Kind::Development, false));
    }
}
