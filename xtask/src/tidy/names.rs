//! No Rust file names a provider or a model: adding one is a file in `catalog/`.
//!
//! A dialect is called after whose protocol it is. Where dialects are spoken, that name is the
//! dialect's, although a provider may have the same one.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::source::Source;
use super::tree::Tree;

/// Ids of the catalogue, with the file that defines each.
pub(crate) type Ids = BTreeMap<String, String>;

/// The ids of every provider and model in the catalogue.
pub(crate) fn catalogue_ids(tree: &Tree, violations: &mut Vec<Violation>) -> Ids {
    let mut ids = Ids::new();
    for (path, text) in tree.texts().filter(|(path, _)| is_record(path)) {
        let record: toml::Table = match text.parse() {
            Ok(record) => record,
            Err(error) => {
                violations.push(Violation::new(path, 1, format!("does not parse: {error}")));
                continue;
            }
        };
        let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".toml");
        let id = record.get("id").and_then(toml::Value::as_str).unwrap_or(stem);
        ids.insert(id.to_owned(), path.to_owned());
    }
    ids
}

fn is_record(path: &str) -> bool {
    let ours = ["catalog/providers/", "catalog/models/"];
    path.ends_with(".toml") && ours.iter().any(|folder| path.starts_with(folder))
}

/// The line with which a file begins that is a table of words of a language, where a word may happen
/// to be an id too.
const WORDS: &str = "// tidy:words";

/// The crates in which dialects are spoken, and the folder that has a file for each of them.
const SPEAKERS: [&str; 3] = ["dialects", "server", "impasto"];
const DIALECTS: &str = "crates/dialects/src/";

/// The names of the dialects.
pub(crate) fn dialects(tree: &Tree) -> BTreeSet<String> {
    let files = tree.texts().filter_map(|(path, _)| path.strip_prefix(DIALECTS));
    files.map(|file| file.split(['/', '.']).next().unwrap_or(file).to_owned()).collect()
}

/// Reports literals that are such an id.
pub(crate) fn check(
    source: &Source,
    ids: &Ids,
    dialects: &BTreeSet<String>,
    violations: &mut Vec<Violation>,
) {
    let Some(home) = source.home().filter(|_| !source.text.starts_with(WORDS)) else { return };
    let is_dialect = |text: &str| SPEAKERS.contains(&home) && dialects.contains(text);
    let shipped = source.strings.iter().filter(|(_, line)| !source.is_test(*line));
    for (text, line) in shipped.filter(|(text, _)| !is_dialect(text)) {
        if let Some(record) = ids.get(text) {
            let message = format!(
                "\"{text}\" is an id of {record}: Rust names no provider and no model, \
                 the catalogue does"
            );
            violations.push(Violation::new(&source.path, *line, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    fn check_text(path: &str, text: &str, expected: usize) {
        let tree = Tree::of(&[
            ("catalog/providers/acme.toml", "id = \"acme\""),
            ("catalog/models/house/brush.toml", "id = \"house/brush\""),
            ("catalog/tasks/resize.toml", "id = \"resize\""),
            ("crates/dialects/src/acme/wire.rs", ""),
            (path, text),
        ]);
        let mut violations = Vec::new();
        let ids = catalogue_ids(&tree, &mut violations);
        for source in source::parse(&tree, &mut violations) {
            check(&source, &ids, &dialects(&tree), &mut violations);
        }
        assert_eq!(violations.len(), expected, "{text}: {violations:?}");
    }

    #[test]
    fn ids_of_the_catalogue_are_not_for_rust() {
        let file = "crates/engine/src/lib.rs";
        check_text(file, "const P: &str = \"acme\";", 1);
        check_text("crates/server/src/lib.rs", "const P: &str = \"acme\";", 0);
        check_text("crates/server/src/lib.rs", "const P: &str = \"house/brush\";", 1);
        check_text(file, "fn f() { g!(\"house/brush\") }", 1);
        check_text(file, "const P: &str = r#\"acme\"#;", 1);
        check_text(file, "/// \"acme\"\nconst P: &str = \"resize\";", 0);
        check_text(file, "#[cfg(test)] mod tests { const P: &str = \"acme\"; }", 0);
        check_text("crates/engine/tests/a.rs", "const P: &str = \"acme\";", 0);
        check_text("xtask/src/a.rs", "const P: &str = \"acme\";", 0);
        check_text(file, "// tidy:words\nconst P: &str = \"acme\";", 0);
    }

    #[test]
    fn a_record_that_does_not_parse_is_a_violation() {
        let mut violations = Vec::new();
        catalogue_ids(&Tree::of(&[("catalog/providers/a.toml", "id =")]), &mut violations);
        assert_eq!(violations.len(), 1);
    }
}
