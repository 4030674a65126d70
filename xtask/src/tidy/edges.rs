//! Which crate may use which: the table in ARCHITECTURE.md against the real dependencies.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::packages::{Kind, Package};
use super::tree::Tree;

const TABLE: &str = "ARCHITECTURE.md";

/// What each crate may use, with the line of the table that says so.
type Edges = BTreeMap<String, (BTreeSet<String>, usize)>;

/// Compares the table with the packages.
pub(crate) fn check(tree: &Tree, packages: &[Package], violations: &mut Vec<Violation>) {
    let Some(text) = tree.file(TABLE).and_then(|file| file.text.as_deref()) else {
        violations.push(Violation::new(TABLE, 1, "is missing; it holds the table of edges"));
        return;
    };
    let Some(edges) = table(text, violations) else {
        violations.push(Violation::new(TABLE, 1, "has no block that begins with ```edges"));
        return;
    };
    let homes: BTreeMap<&str, &str> =
        packages.iter().filter_map(|p| Some((p.name.as_str(), p.home()?))).collect();
    for (name, (_, line)) in &edges {
        if !homes.values().any(|home| home == name) {
            let message = format!("the table names `{name}`, but there is no crates/{name}");
            violations.push(Violation::new(TABLE, *line, message));
        }
    }
    for package in packages {
        for dependency in &package.dependencies {
            let Some(target) = homes.get(dependency.name.as_str()) else {
                if dependency.local {
                    let message = format!("`{}` is no library crate", dependency.name);
                    violations.push(Violation::new(&package.manifest, 1, message));
                }
                continue;
            };
            let Some(home) = package.home() else { continue };
            if dependency.kind == Kind::Development && *target == "testkit" {
                continue;
            }
            let Some((allowed, _)) = edges.get(home) else { continue };
            if !allowed.contains(*target) {
                let message = format!("`{home}` may not use `{target}`: no such edge in {TABLE}");
                let line = dependency.line;
                violations.push(Violation::new(&package.manifest, line, message));
            }
        }
        if let Some(home) = package.home().filter(|home| !edges.contains_key(*home)) {
            let message = format!("`{home}` has no line in the table of edges in {TABLE}");
            violations.push(Violation::new(&package.manifest, 1, message));
        }
    }
    cycle(&edges, violations);
}

fn table(text: &str, violations: &mut Vec<Violation>) -> Option<Edges> {
    let mut lines = text.lines().enumerate().skip_while(|(_, line)| line.trim() != "```edges");
    lines.next()?;
    let mut edges = Edges::new();
    for (index, line) in lines.take_while(|(_, line)| line.trim() != "```") {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let Some((left, right)) = line.split_once("->") else {
            violations.push(Violation::new(TABLE, index + 1, "an edge is `left -> right ...`"));
            continue;
        };
        let right = right.split_whitespace().map(str::to_owned).collect();
        edges.insert(left.trim().to_owned(), (right, index + 1));
    }
    Some(edges)
}

/// Cargo refuses circles among real dependencies; the table must not promise one either.
fn cycle(edges: &Edges, violations: &mut Vec<Violation>) {
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = settled.len();
        for (name, (uses, _)) in edges {
            let known = |used: &String| settled.contains(&**used) || !edges.contains_key(used);
            if uses.iter().all(known) {
                settled.insert(name);
            }
        }
        if settled.len() == before {
            break;
        }
    }
    for (name, (_, line)) in edges.iter().filter(|(name, _)| !settled.contains(&***name)) {
        let message = format!("`{name}` lies on a circle of edges, or uses one that does");
        violations.push(Violation::new(TABLE, *line, message));
    }
}

#[cfg(test)]
mod tests {
    use super::super::packages::package;
    use super::*;

    fn check_table(table: &str, packages: &[Package], expected: &[&str]) {
        let tree = Tree::of(&[(TABLE, &format!("# A\n```edges\n{table}\n```\n"))]);
        let mut violations = Vec::new();
        check(&tree, packages, &mut violations);
        let seen: Vec<_> =
            violations.iter().map(|v| format!("{}:{}: {}", v.path, v.line, v.message)).collect();
        assert_eq!(seen.len(), expected.len(), "{seen:?}");
        for (seen, expected) in seen.iter().zip(expected) {
            assert!(seen.contains(expected), "`{expected}` in `{seen}`");
        }
    }

    #[test]
    fn an_edge_must_be_in_the_table() {
        let domain = package("crates/domain", &[]);
        let media = |kind| package("crates/media", &[("impasto-domain", kind)]);
        let table = "domain ->\nmedia -> domain";
        check_table(table, &[domain.clone(), media(Kind::Normal)], &[]);
        let table = "domain ->\nmedia ->";
        let broken = ["crates/media/Cargo.toml:1: `media` may not use `domain`"];
        check_table(table, &[domain.clone(), media(Kind::Normal)], &broken);
        check_table(table, &[domain, media(Kind::Development)], &broken);
    }

    #[test]
    fn testkit_is_for_development_only() {
        let user = |kind| {
            [package("crates/testkit", &[]), package("crates/a", &[("impasto-testkit", kind)])]
        };
        check_table("a ->\ntestkit ->", &user(Kind::Development), &[]);
        check_table("a ->\ntestkit ->", &user(Kind::Normal), &["`a` may not use `testkit`"]);
    }

    #[test]
    fn the_table_and_the_folders_agree() {
        check_table("a ->\nb ->", &[package("crates/a", &[])], &["no crates/b"]);
        check_table("", &[package("crates/a", &[])], &["`a` has no line"]);
        check_table("nonsense", &[], &["an edge is"]);
        let two = [package("crates/a", &[]), package("crates/b", &[])];
        check_table("a -> b\nb -> a", &two, &["`a` lies on a circle", "`b` lies on a circle"]);
    }

    #[test]
    fn no_crate_uses_the_tasks_of_the_repository() {
        let packages = [package("xtask", &[]), package("crates/a", &[("xtask", Kind::Normal)])];
        check_table("a ->", &packages, &["`xtask` is no library crate"]);
    }
}
