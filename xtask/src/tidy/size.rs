//! How long things may be: files, functions, lists of parameters, variants and methods.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Violation;
use super::source::Source;

const FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 70;
const PARAMETERS: usize = 6;
const VARIANTS: usize = 25;
const METHODS: usize = 10;

/// A line at the top of a file that is one long flat table.
const TABLE: &str = "// tidy:table";

/// Measures a file and everything in it that is not a test.
pub(crate) fn check(source: &Source, violations: &mut Vec<Violation>) {
    let lines = 1..=source.text.lines().count();
    let shipped = lines.filter(|line| !source.is_test(*line)).count();
    if shipped > FILE_LINES && !is_table(&source.text) {
        let message = format!(
            "{shipped} lines without tests, the most is {FILE_LINES}: split it by noun \
             (a flat table may say `{TABLE}` at its top)"
        );
        violations.push(Violation::new(&source.path, 1, message));
    }
    let mut ruler = Ruler { source, violations };
    ruler.visit_file(&source.syntax);
}

fn is_table(text: &str) -> bool {
    let mut top = text.lines().take_while(|line| line.is_empty() || line.starts_with("//"));
    top.any(|line| line.trim_end() == TABLE)
}

struct Ruler<'a> {
    source: &'a Source,
    violations: &'a mut Vec<Violation>,
}

impl Ruler<'_> {
    fn limit(&mut self, name: &syn::Ident, what: &str, found: usize, most: usize) {
        let line = name.span().start().line;
        if found > most && !self.source.is_test(line) {
            let message = format!("`{name}` has {found} {what}, the most is {most}");
            self.violations.push(Violation::new(&self.source.path, line, message));
        }
    }

    /// From the signature to the closing brace, both counted.
    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let (from, to) = (signature.span().start().line, body.span().end().line);
        self.limit(&signature.ident, "lines", to + 1 - from, FUNCTION_LINES);
        self.limit(&signature.ident, "parameters", signature.inputs.len(), PARAMETERS);
    }
}

impl<'ast> Visit<'ast> for Ruler<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        match &item.default {
            Some(body) => self.function(&item.sig, body),
            None => self.limit(&item.sig.ident, "parameters", item.sig.inputs.len(), PARAMETERS),
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.limit(&item.ident, "variants", item.variants.len(), VARIANTS);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        let methods = item.items.iter().filter(|item| matches!(item, syn::TraitItem::Fn(_)));
        self.limit(&item.ident, "methods", methods.count(), METHODS);
        visit::visit_item_trait(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{source, tree::Tree};
    use super::*;

    fn check_text(text: &str, expected: &[&str]) {
        let tree = Tree::of(&[("crates/a/src/lib.rs", text)]);
        let mut violations = Vec::new();
        for source in source::parse(&tree, &mut violations) {
            check(&source, &mut violations);
        }
        let seen: Vec<_> = violations.iter().map(|v| v.message.as_str()).collect();
        assert_eq!(seen.len(), expected.len(), "{seen:?}");
        for (seen, expected) in seen.iter().zip(expected) {
            assert!(seen.contains(expected), "`{expected}` in `{seen}`");
        }
    }

    fn list(count: usize, item: impl Fn(usize) -> String) -> String {
        (0..count).map(item).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn files() {
        let constants = |count| list(count, |i| format!("const C{i}: u8 = 0;"));
        check_text(&constants(800), &[]);
        check_text(&constants(801), &["801 lines without tests"]);
        check_text(&format!("//! A table.\n{TABLE}\n\n{}", constants(801)), &[]);
        check_text(&format!("#[cfg(test)]\nmod tests {{\n{}\n}}", constants(801)), &[]);
    }

    #[test]
    fn functions() {
        let function = |lines: usize| format!("fn f() {{\n{}\n}}", "f();\n".repeat(lines - 3));
        check_text(&function(70), &[]);
        check_text(&function(71), &["`f` has 71 lines"]);
        check_text(&format!("struct S; impl S {{ {} }}", function(71)), &["`f` has 71 lines"]);
        check_text(&format!("trait T {{ {} }}", function(71)), &["`f` has 71 lines"]);
        check_text(&format!("#[test]\n{}", function(71)), &[]);
        check_text(&format!("fn g() {{ {} }}", function(60)), &[]);
    }

    #[test]
    fn parameters() {
        let parameters = |count| list(count, |i| format!("p{i}: u8,"));
        check_text(&format!("fn f({}) {{}}", parameters(6)), &[]);
        check_text(&format!("fn f({}) {{}}", parameters(7)), &["`f` has 7 parameters"]);
        let method = format!("trait T {{ fn f(&self, {}); }}", parameters(6));
        check_text(&method, &["`f` has 7 parameters"]);
    }

    #[test]
    fn variants_and_methods() {
        let many = |count| format!("enum E {{ {} }}", list(count, |i| format!("V{i},")));
        check_text(&many(25), &[]);
        check_text(&many(26), &["`E` has 26 variants"]);
        let wide = |count| format!("trait T {{ {} }}", list(count, |i| format!("fn f{i}();")));
        check_text(&wide(10), &[]);
        check_text(&wide(11), &["`T` has 11 methods"]);
    }
}
