//! What is kept in one place: input and output out of the pure crates, SQL in one crate, sockets in
//! another.

use super::Violation;
use super::packages::{Kind, Package};
use super::source::Source;

/// Crates that are functions of their arguments.
const PURE: &[&str] = &["domain", "catalog", "prompt", "workflow", "router"];

/// What a pure crate may not name.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::thread",
    "time::SystemTime",
    "time::Instant",
    "rand",
    "getrandom",
    "fastrand",
    "tokio",
];

/// A thing of the outside world and the crates that may touch it.
struct Fence {
    /// Paths in Rust. One word alone is a crate or a type.
    names: &'static [&'static str],
    /// Names of packages.
    packages: &'static [&'static str],
    homes: &'static [&'static str],
    reason: &'static str,
}

const FENCES: &[Fence] = &[
    Fence {
        names: &["rusqlite", "sqlx"],
        packages: &["rusqlite", "sqlx", "libsqlite3-sys"],
        homes: &["store-sql"],
        reason: "only `store-sql` knows SQL",
    },
    Fence {
        names: &["tokio::net", "TcpStream", "TcpListener", "UdpSocket", "reqwest", "hyper", "ureq"],
        packages: &["reqwest", "hyper", "ureq", "axum", "tokio-tungstenite"],
        homes: &["net", "server"],
        reason: "only `net` opens outbound sockets, and only `server` listens",
    },
    Fence {
        names: &["rmcp"],
        packages: &["rmcp"],
        homes: &["server"],
        reason: "only `server` speaks the Model Context Protocol",
    },
];

/// Reports paths that lie outside their fence.
pub(crate) fn check_source(source: &Source, violations: &mut Vec<Violation>) {
    let Some(home) = source.home() else { return };
    let shipped = source.paths.iter().filter(|(_, line)| !source.is_test(*line));
    for (path, line) in shipped {
        if PURE.contains(&home)
            && let Some(name) = IMPURE.iter().find(|name| mentions(path, name))
        {
            let message =
                format!("`{home}` is pure and may not name `{name}`: take it as argument");
            violations.push(Violation::new(&source.path, *line, message));
        }
        for fence in FENCES.iter().filter(|fence| !fence.homes.contains(&home)) {
            if fence.names.iter().any(|name| mentions(path, name)) {
                let message = format!("`{path}` outside its fence: {}", fence.reason);
                violations.push(Violation::new(&source.path, *line, message));
            }
        }
    }
}

/// Reports dependencies that lie outside their fence.
pub(crate) fn check_dependencies(packages: &[Package], violations: &mut Vec<Violation>) {
    for package in packages {
        let Some(home) = package.home() else { continue };
        for dependency in package.dependencies.iter().filter(|d| d.kind != Kind::Development) {
            let name = dependency.name.as_str();
            let outside =
                |fence: &&Fence| fence.packages.contains(&name) && !fence.homes.contains(&home);
            if let Some(fence) = FENCES.iter().find(outside) {
                let message = format!("`{home}` may not use `{name}`: {}", fence.reason);
                violations.push(Violation::new(&package.manifest, dependency.line, message));
            }
        }
    }
}

/// Whether `path` goes through `name`.
///
/// A capitalised word is a type and may stand anywhere; `time::Instant` may be reached through any
/// path that ends so; anything else is reached from its root. A lower-case word alone is a variable.
fn mentions(path: &str, name: &str) -> bool {
    let path: Vec<&str> = path.trim_end_matches('!').split("::").collect();
    let name: Vec<&str> = name.split("::").collect();
    let is_type = |word: &str| word.starts_with(char::is_uppercase);
    if name.last().is_some_and(|word| is_type(word)) {
        return path.windows(name.len()).any(|part| part == name);
    }
    path.len() > 1 && path.starts_with(&name)
}

#[cfg(test)]
mod tests {
    use super::super::packages::package;
    use super::super::{source, tree::Tree};
    use super::*;

    fn check_text(path: &str, text: &str, expected: &[&str]) {
        let mut violations = Vec::new();
        for source in source::parse(&Tree::of(&[(path, text)]), &mut violations) {
            check_source(&source, &mut violations);
        }
        let seen: Vec<_> = violations.iter().map(|v| v.message.as_str()).collect();
        assert_eq!(seen.len(), expected.len(), "{text}: {seen:?}");
        for (seen, expected) in seen.iter().zip(expected) {
            assert!(seen.contains(expected), "`{expected}` in `{seen}`");
        }
    }

    #[test]
    fn pure_crates_name_nothing_impure() {
        for home in PURE {
            let file = format!("crates/{home}/src/a.rs");
            for (text, name) in [
                ("use std::fs;", "std::fs"),
                ("use std::{env, io};", "std::env"),
                ("fn f() { std::process::id(); }", "std::process"),
                ("use std::time::{Duration, Instant};", "time::Instant"),
                ("use std::time; fn f() { time::SystemTime::now(); }", "time::SystemTime"),
                ("fn f() { rand::random() }", "`rand`"),
                ("#[tokio::main] fn f() {}", "tokio"),
            ] {
                check_text(&file, text, &[name]);
            }
            for text in [
                "//! No std::fs.\nuse std::time::Duration;",
                "fn f() { let rand = 1; rand }",
                "fn f() { env!(\"CARGO_PKG_VERSION\") }",
                "#[cfg(test)] mod tests { use std::fs; }",
            ] {
                check_text(&file, text, &[]);
            }
        }
        check_text("crates/engine/src/a.rs", "use std::fs;", &[]);
    }

    #[test]
    fn databases_and_sockets_have_a_home() {
        let sql = "use rusqlite::Connection;";
        check_text("crates/store-sql/src/a.rs", sql, &[]);
        check_text("crates/engine/src/a.rs", sql, &["only `store-sql` knows SQL"]);
        for socket in ["use std::net::TcpStream;", "fn f() { reqwest::get() }"] {
            check_text("crates/net/src/a.rs", socket, &[]);
            check_text("crates/media/src/a.rs", socket, &["only `net`"]);
        }
    }

    #[test]
    fn so_have_the_packages_behind_them() {
        let check = |folder, name, kind, expected: usize| {
            let mut violations = Vec::new();
            check_dependencies(&[package(folder, &[(name, kind)])], &mut violations);
            assert_eq!(violations.len(), expected, "{folder} {name}");
        };
        check("crates/engine", "rusqlite", Kind::Normal, 1);
        check("crates/engine", "reqwest", Kind::Build, 1);
        check("crates/engine", "rusqlite", Kind::Development, 0);
        check("crates/store-sql", "rusqlite", Kind::Normal, 0);
    }
}
