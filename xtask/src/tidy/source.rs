//! A Rust file as the rules see it: its tokens with their lines, and which lines are tests.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Violation;
use super::tree::Tree;

/// A parsed Rust file.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
    /// Paths as written, with groups of `use` taken apart: (`std::fs::read`, line).
    pub(crate) paths: Vec<(String, usize)>,
    /// String literals outside attributes of documentation: (value, line).
    pub(crate) strings: Vec<(String, usize)>,
    /// Identifiers of attributes that set lint levels: (`allow`, line).
    pub(crate) levels: Vec<(String, usize)>,
    tests: Vec<RangeInclusive<usize>>,
}

impl Source {
    /// Whether that line (from 1) is only compiled for tests.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&line))
    }

    /// The folder under `crates/` in whose `src` it lies, as `domain` for `crates/domain/src/id.rs`.
    pub(crate) fn home(&self) -> Option<&str> {
        let (home, rest) = self.path.strip_prefix("crates/")?.split_once('/')?;
        rest.starts_with("src/").then_some(home)
    }
}

/// Parses every Rust file of the tree. One that does not parse is a violation.
pub(crate) fn parse(tree: &Tree, violations: &mut Vec<Violation>) -> Vec<Source> {
    let mut sources = Vec::new();
    let rust = tree.texts().filter(|(path, _)| path.ends_with(".rs"));
    for (path, text) in rust {
        match source(path, text) {
            Ok(source) => sources.push(source),
            Err(error) => {
                let line = error.span().start().line;
                violations.push(Violation::new(path, line, format!("does not parse: {error}")));
            }
        }
    }
    let whole: BTreeSet<String> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        let in_test_module = whole.iter().any(|module| {
            source.path == format!("{module}.rs") || source.path.starts_with(&format!("{module}/"))
        });
        if in_test_module || is_test_path(&source.path) {
            source.tests.push(0..=usize::MAX);
        }
    }
    sources
}

fn source(path: &str, text: &str) -> syn::Result<Source> {
    let syntax = syn::parse_file(text)?;
    let tokens: TokenStream = text
        .parse()
        .map_err(|error: proc_macro2::LexError| syn::Error::new(error.span(), error.to_string()))?;
    let mut finder = TestRanges { ranges: Vec::new() };
    if is_test_only(&syntax.attrs) {
        finder.ranges.push(0..=usize::MAX);
    }
    finder.visit_file(&syntax);
    let mut source = Source {
        path: path.to_owned(),
        text: text.to_owned(),
        syntax,
        paths: Vec::new(),
        strings: Vec::new(),
        levels: Vec::new(),
        tests: finder.ranges,
    };
    walk(tokens, "", &mut source);
    Ok(source)
}

/// Tests, benchmarks and examples of a package are not shipped.
fn is_test_path(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.any(|part| matches!(part, "tests" | "benches" | "examples" | "testkit"))
}

/// The paths, without `.rs`, of modules in other files that `source` declares for tests only.
fn test_modules(source: &Source) -> Vec<String> {
    let stem = source.path.trim_end_matches(".rs");
    let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    let below = if matches!(name, "lib" | "main" | "mod") { folder } else { stem };
    let declared = source.syntax.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_none() && is_test_only(&module.attrs) => {
            Some(format!("{below}/{}", module.ident))
        }
        _ => None,
    });
    declared.collect()
}

struct TestRanges {
    ranges: Vec<RangeInclusive<usize>>,
}

impl TestRanges {
    fn note(&mut self, attributes: &[syn::Attribute], item: &impl Spanned) {
        if is_test_only(attributes) {
            let span = item.span();
            self.ranges.push(span.start().line..=span.end().line);
        }
    }
}

impl<'ast> Visit<'ast> for TestRanges {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.note(&item.attrs, item);
        visit::visit_item_mod(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.note(&item.attrs, item);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.attrs, item);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.note(&item.attrs, item);
        visit::visit_item_impl(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.note(&item.attrs, item);
    }
}

fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            let words = list.tokens.to_string();
            let mut words = words.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.clone().any(|word| word == "test") && !words.any(|word| word == "not")
        }
        _ => false,
    })
}

/// Walks tokens rather than syntax: the contents of macros count as well, and comments do not.
fn walk(tokens: TokenStream, prefix: &str, source: &mut Source) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            token if is_punct(&token, '#') => {
                tokens.next_if(|next| is_punct(next, '!'));
                if let Some(TokenTree::Group(group)) =
                    tokens.next_if(|next| is_group(next, Delimiter::Bracket))
                {
                    attribute(group.stream(), source);
                }
            }
            TokenTree::Ident(ident) => path(&ident, prefix, &mut tokens, source),
            TokenTree::Group(group) => walk(group.stream(), "", source),
            TokenTree::Literal(literal) => {
                let line = literal.span().start().line;
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    source.strings.push((text.value(), line));
                }
            }
            TokenTree::Punct(_) => {}
        }
    }
}

type Tokens = Peekable<proc_macro2::token_stream::IntoIter>;

/// Notes the path that begins with `first`; `prefix` is what a group of `use` puts before it.
fn path(first: &Ident, prefix: &str, tokens: &mut Tokens, source: &mut Source) {
    let line = first.span().start().line;
    let mut path = format!("{prefix}{first}");
    while two_colons(tokens) {
        match tokens.next_if(|next| is_group(next, Delimiter::Brace) || is_ident(next)) {
            Some(TokenTree::Group(group)) => {
                walk(group.stream(), &format!("{path}::"), source);
                break;
            }
            Some(next) => path = format!("{path}::{next}"),
            None => break,
        }
    }
    if tokens.peek().is_some_and(|next| is_punct(next, '!')) {
        path.push('!');
    }
    source.paths.push((path, line));
}

/// Takes `::` if it comes next. One colon is a type or a field.
fn two_colons(tokens: &mut Tokens) -> bool {
    let is_first = |next: &TokenTree| match next {
        TokenTree::Punct(punct) => punct.as_char() == ':' && punct.spacing() == Spacing::Joint,
        _ => false,
    };
    tokens.next_if(is_first).is_some() && tokens.next_if(|next| is_punct(next, ':')).is_some()
}

fn is_ident(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(_))
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}

fn attribute(tokens: TokenStream, source: &mut Source) {
    let mut rest = tokens.clone().into_iter();
    let Some(TokenTree::Ident(name)) = rest.next() else { return };
    // Words of documentation are no literals of the program.
    if name == "doc" {
        return;
    }
    if name == "allow" {
        source.levels.push((name.to_string(), name.span().start().line));
    }
    if name == "cfg_attr" {
        let before = source.paths.len();
        walk(tokens.clone(), "", source);
        let conditional = source.paths.split_off(before);
        source.levels.extend(conditional.into_iter().filter(|(word, _)| word == "allow"));
    }
    walk(tokens, "", source);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, text: &str) -> Source {
        let mut violations = Vec::new();
        let mut sources = parse(&Tree::of(&[(path, text)]), &mut violations);
        assert_eq!(violations, []);
        sources.remove(0)
    }

    #[test]
    fn paths_are_taken_apart_and_comments_are_not_seen() {
        let text = "//! about std::net\nuse std::{fs, time::{self, Instant}};\n\
                    fn f(a: u8) { std::env::var(\"A\"); println!(\"{a}\", rand::random()) }";
        let source = one("crates/a/src/lib.rs", text);
        let paths: Vec<_> = source.paths.iter().map(|(path, _)| path.as_str()).collect();
        for expected in ["std::fs", "std::time::Instant", "std::env::var", "rand::random"] {
            assert!(paths.contains(&expected), "{expected} in {paths:?}");
        }
        assert!(!paths.contains(&"std::net"));
        assert_eq!(source.strings, [("A".to_owned(), 3), ("{a}".to_owned(), 3)]);
    }

    #[test]
    fn test_lines_are_known() {
        let text = "fn f() {}\n#[cfg(test)]\nmod tests {\n  fn g() {}\n}\n\
                    #[cfg(not(test))]\nfn h() {}\n";
        let source = one("crates/a/src/lib.rs", text);
        let lines: Vec<_> = (1..=7).filter(|line| source.is_test(*line)).collect();
        assert_eq!(lines, [2, 3, 4, 5]);
    }

    #[test]
    fn modules_in_other_files_are_tests_when_declared_so() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "#[cfg(test)]\nmod proof;\nmod real;"),
            ("crates/a/src/proof.rs", "fn f() {}"),
            ("crates/a/src/real.rs", "#[cfg(test)] mod deep;"),
            ("crates/a/src/real/deep/inner.rs", "fn f() {}"),
            ("crates/a/tests/whole.rs", "fn f() {}"),
        ]);
        let sources = parse(&tree, &mut Vec::new());
        let tests: Vec<_> = sources.iter().filter(|s| s.is_test(1)).map(|s| &*s.path).collect();
        let expected = [
            "crates/a/src/lib.rs",
            "crates/a/src/proof.rs",
            "crates/a/src/real.rs",
            "crates/a/src/real/deep/inner.rs",
            "crates/a/tests/whole.rs",
        ];
        assert_eq!(tests, expected);
        assert!(!sources[0].is_test(3));
    }

    #[test]
    fn a_file_that_does_not_parse_is_a_violation() {
        let mut violations = Vec::new();
        parse(&Tree::of(&[("a.rs", "fn f() {}\nfn (")]), &mut violations);
        assert_eq!((violations.len(), violations[0].line), (1, 2));
    }
}
