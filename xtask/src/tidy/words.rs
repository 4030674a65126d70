//! Words that do not belong: lint levels without a reason, unfinished work, names of modules that say
//! nothing, paths of one machine, hosts of one network.

use super::Violation;
use super::source::Source;
use super::tree::Tree;

/// Names under which anything could stand.
const VAGUE: &[&str] =
    &["utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"];

/// First folders of paths that exist on somebody's machine only.
const MACHINE: &[&str] = &["work", "home", "tmp", "Users"];

/// Parts of host names that serve packages. What is built must not depend on whose network it is.
const REGISTRIES: &[&str] =
    &["artifactory", "nexus", "registry", "mirror", "npmjs", "pypi", "crates.io", "pythonhosted"];

/// Kinds of files in which work is left to do with a word in a comment.
const CODE: &[&str] = &[".rs", ".toml", ".yaml", ".yml", ".sh", ".js", ".ts", ".css", ".html"];

// Put together so that this file does not break its own rule.
const UNFINISHED: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];

/// Checks every text of the tree.
pub(crate) fn check(tree: &Tree, sources: &[Source], violations: &mut Vec<Violation>) {
    for (path, text) in tree.texts() {
        let source = sources.iter().find(|source| source.path == path);
        let is_test = |line| source.is_some_and(|source| source.is_test(line));
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let mut report = |message| violations.push(Violation::new(path, number, message));
            if CODE.iter().any(|end| path.ends_with(end)) {
                unfinished(line).map(&mut report);
            }
            if !is_test(number) {
                machine_path(line).map(&mut report);
            }
            registry(line).map(&mut report);
        }
    }
    for source in sources {
        check_source(source, violations);
    }
}

fn check_source(source: &Source, violations: &mut Vec<Violation>) {
    let mut report =
        |line, message: String| violations.push(Violation::new(&source.path, line, message));
    for (_, line) in &source.levels {
        let message = "a lint is switched off for ever: use `#[expect(lint, reason = \"...\")]`";
        report(*line, message.to_owned());
    }
    for (path, line) in &source.paths {
        let last = path.rsplit("::").next().unwrap_or(path);
        if matches!(last, "todo!" | "unimplemented!") {
            report(*line, format!("`{last}` is unfinished work"));
        }
    }
    let mut parts = source.path.split(['/', '.']);
    if let Some(part) = parts.find(|part| VAGUE.contains(part)) {
        report(1, format!("`{part}` says nothing: name the file after what is in it"));
    }
    for item in &source.syntax.items {
        if let syn::Item::Mod(module) = item
            && VAGUE.contains(&module.ident.to_string().as_str())
        {
            let line = module.ident.span().start().line;
            report(line, format!("`{}` says nothing: name it after what is in it", module.ident));
        }
    }
    let shipped = source.home().is_some() || source.path.starts_with("xtask/src/");
    if shipped && !source.text.lines().any(|line| line.starts_with("//!")) {
        report(1, "has no documentation at its top (`//!`): purpose, invariants".to_owned());
    }
}

fn unfinished(line: &str) -> Option<String> {
    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
    let word = words.find(|word| UNFINISHED.contains(word))?;
    Some(format!("`{word}` is unfinished work: finish it, or write it down where it is planned"))
}

fn machine_path(line: &str) -> Option<String> {
    let starts_path = |at: usize| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "./_-~})*".contains(c)))
    };
    let found = MACHINE.iter().find(|folder| {
        let path = format!("/{folder}/");
        line.match_indices(&path).any(|(at, _)| starts_path(at))
    })?;
    Some(format!("a path below /{found} exists on one machine only"))
}

fn registry(line: &str) -> Option<String> {
    let mut hosts = line.split("://").skip(1).map(|rest| {
        let end = |c: char| !(c.is_alphanumeric() || ".-_@:".contains(c));
        rest.split(end).next().unwrap_or_default()
    });
    let host = hosts.find(|host| REGISTRIES.iter().any(|part| host.contains(part)))?;
    Some(format!("`{host}` serves packages: a tree is built from any registry, so it names none"))
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    fn check_text(path: &str, text: &str, expected: &[&str]) {
        let tree = Tree::of(&[(path, text)]);
        let mut violations = Vec::new();
        let sources = source::parse(&tree, &mut violations);
        check(&tree, &sources, &mut violations);
        let seen: Vec<_> = violations.iter().map(|v| v.message.as_str()).collect();
        assert_eq!(seen.len(), expected.len(), "{text}: {seen:?}");
        for (seen, expected) in seen.iter().zip(expected) {
            assert!(seen.contains(expected), "`{expected}` in `{seen}`");
        }
    }

    const FILE: &str = "crates/a/src/lib.rs";

    #[test]
    fn lints_are_not_switched_off() {
        check_text(FILE, "//! A.\n#[allow(dead_code)]\nfn f() {}", &["switched off"]);
        check_text(FILE, "//! A.\n#![allow(dead_code)]", &["switched off"]);
        let conditional = "//! A.\n#[cfg_attr(unix, allow(dead_code))]\nfn f() {}";
        check_text(FILE, conditional, &["switched off"]);
        check_text(FILE, "//! A.\n#[expect(dead_code, reason = \"b\")]\nfn f() {}", &[]);
        check_text(FILE, "//! A.\nfn f() { allow(1) }", &[]);
    }

    #[test]
    fn nothing_is_left_unfinished() {
        check_text(FILE, "//! A.\nfn f() { todo!() }", &["`todo!`"]);
        check_text(FILE, "//! A.\nfn f() { std::unimplemented!() }", &["`unimplemented!`"]);
        for word in UNFINISHED {
            check_text(FILE, &format!("//! A.\n// {word}: later"), &["unfinished"]);
            check_text("docs/a.md", word, &[]);
        }
        check_text(FILE, "//! A todo list.", &[]);
    }

    #[test]
    fn modules_say_what_they_hold() {
        for name in VAGUE {
            check_text(&format!("crates/a/src/{name}.rs"), "//! A.", &["says nothing"]);
            check_text(&format!("crates/a/src/{name}/b.rs"), "//! A.", &["says nothing"]);
            check_text(FILE, &format!("//! A.\nmod {name} {{}}"), &["says nothing"]);
        }
    }

    #[test]
    fn files_are_documented() {
        check_text(FILE, "fn f() {}", &["no documentation"]);
        check_text("xtask/src/a.rs", "/// A.\nfn f() {}", &["no documentation"]);
        check_text("crates/a/tests/a.rs", "fn f() {}", &[]);
    }

    #[test]
    fn paths_and_hosts_of_one_place_are_not_written_down() {
        for folder in MACHINE {
            let line = format!("cd /{folder}/somebody");
            check_text("docs/a.md", &line, &["one machine"]);
            check_text(FILE, &format!("//! A.\nconst P: &str = \"/{folder}/a\";"), &["machine"]);
            check_text("docs/a.md", &format!("crates/{folder}/a ~/{folder}/a"), &[]);
            let test = format!("//! A.\n#[cfg(test)]\nmod tests {{\n// /{folder}/a\n}}");
            check_text(FILE, &test, &[]);
        }
        check_text("a.lock", &format!("https:{}", "//registry.example.org/a"), &["serves"]);
        check_text("a.lock", &format!("sparse+https:{}", "//index.crates.io/"), &["serves"]);
        let standard = "registry+https://github.com/rust-lang/crates.io-index";
        check_text("Cargo.lock", standard, &[]);
    }
}
