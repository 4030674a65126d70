//! References in expressions: `inputs.photo`, `steps.draft.images[0]`, `item.name`, `vary.seed`.
//!
//! The text of an expression is scanned for the names that it uses, with their places, so that a
//! wrong one can be pointed at before anything runs. Jinja expressions bind no names of their own,
//! so every bare name is a reference, a word of the language, or wrong.

use std::ops::Range;

/// What a reference begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// `inputs.NAME`
    Input(String),
    /// `steps.STEP.OUTPUT`
    Output { step: String, output: String },
    /// `item`
    Item,
    /// `index`
    Index,
    /// `vary.NAME`
    Vary(String),
}

/// One step further into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Key(String),
    Place(usize),
}

/// A name that an expression uses, and what it takes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) root: Root,
    pub(crate) trail: Vec<Access>,
    /// Where it stands in the expression, in bytes.
    pub(crate) place: Range<usize>,
    /// Where the name of the step, input or variant stands.
    pub(crate) name_place: Range<usize>,
    /// Where the name of the output stands.
    pub(crate) output_place: Range<usize>,
}

/// Something wrong with an expression, at a place in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) place: Range<usize>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(place: Range<usize>, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, in a text where the expression begins at `by`.
    pub(crate) fn shifted(mut self, by: usize) -> Self {
        self.place = self.place.start + by..self.place.end + by;
        self
    }
}

/// A name as it was found, before anyone knows what it means.
#[derive(Debug)]
struct Found {
    name: String,
    place: Range<usize>,
    accesses: Vec<(Access, Range<usize>)>,
    end: usize,
    called: bool,
}

/// What an expression uses.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    pub(crate) references: Vec<Reference>,
    pub(crate) filters: Vec<(String, Range<usize>)>,
    pub(crate) tests: Vec<(String, Range<usize>)>,
    /// Whether the expression is one reference and nothing else.
    pub(crate) lone: bool,
}

/// Words that are not names of values.
const WORDS: &[&str] = &[
    "true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else",
];
/// Functions that an expression may call.
const FUNCTIONS: &[&str] = &["range", "dict"];
/// The names that an expression sees.
const ROOTS: [&str; 5] = ["inputs", "steps", "item", "index", "vary"];

/// Finds everything that `expression` uses.
pub(crate) fn scan(expression: &str) -> Result<Uses, Vec<Problem>> {
    let mut scanner = Scanner { text: expression, at: 0, before: Before::Start };
    let (mut uses, mut problems) = (Uses::default(), Vec::new());
    let mut whole = false;
    while let Some(token) = scanner.token() {
        match token {
            Token::Filter(name, place) => uses.filters.push((name, place)),
            Token::Test(name, place) => uses.tests.push((name, place)),
            Token::Name(found) => {
                whole = !found.called
                    && expression.get(..found.place.start).is_some_and(|t| t.trim().is_empty())
                    && expression.get(found.end..).is_some_and(|t| t.trim().is_empty());
                match meaning(&found) {
                    Ok(Some(reference)) => uses.references.push(reference),
                    Ok(None) => {}
                    Err(problem) => problems.push(problem),
                }
            }
        }
    }
    uses.lone = whole && uses.references.len() == 1;
    if problems.is_empty() { Ok(uses) } else { Err(problems) }
}

fn meaning(found: &Found) -> Result<Option<Reference>, Problem> {
    let name = found.name.as_str();
    if WORDS.contains(&name) || (found.called && FUNCTIONS.contains(&name)) {
        return Ok(None);
    }
    if !ROOTS.contains(&name) {
        let hint = crate::suggest::hint(name, ROOTS);
        return Err(
            Problem::new(found.place.clone(), format!("there is no `{name}` here")).hint(hint)
        );
    }
    let key = |at: usize, what: &str| match found.accesses.get(at) {
        Some((Access::Key(key), place)) => Ok((key.clone(), place.clone())),
        _ => Err(Problem::new(found.place.start..found.end, format!("`{what}` is missing here"))
            .hint(format!(
                "write `{name}.NAME`{}",
                if name == "steps" { " and `.OUTPUT`" } else { "" }
            ))),
    };
    let (root, used, name_place, output_place) = match name {
        "inputs" => {
            let (input, place) = key(0, "the name of an input")?;
            (Root::Input(input), 1, place.clone(), place)
        }
        "vary" => {
            let (variant, place) = key(0, "the name of a variant")?;
            (Root::Vary(variant), 1, place.clone(), place)
        }
        "steps" => {
            let (step, place) = key(0, "the name of a step")?;
            let (output, output_place) = key(1, "the name of an output")?;
            (Root::Output { step, output }, 2, place, output_place)
        }
        "item" => (Root::Item, 0, found.place.clone(), found.place.clone()),
        _ => (Root::Index, 0, found.place.clone(), found.place.clone()),
    };
    let trail = found.accesses.iter().skip(used).map(|(access, _)| access.clone()).collect();
    let place = found.place.start..found.end;
    Ok(Some(Reference { root, trail, place, name_place, output_place }))
}

/// What stands before the next name; it decides what the name is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Start,
    Dot,
    Bar,
    Is,
    Other,
}

enum Token {
    Name(Found),
    Filter(String, Range<usize>),
    Test(String, Range<usize>),
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    before: Before,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// The next name, filter or test; everything else is passed over.
    fn token(&mut self) -> Option<Token> {
        loop {
            self.skip_spaces();
            let first = self.rest().chars().next()?;
            match first {
                '\'' | '"' => {
                    self.string();
                    self.before = Before::Other;
                }
                '0'..='9' => {
                    self.at +=
                        run(self.rest(), |c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
                    self.before = Before::Other;
                }
                c if c.is_ascii_alphabetic() || c == '_' => {
                    if let Some(token) = self.word() {
                        return Some(token);
                    }
                }
                other => {
                    self.at += other.len_utf8();
                    self.before = match other {
                        '.' => Before::Dot,
                        '|' => Before::Bar,
                        _ => Before::Other,
                    };
                }
            }
        }
    }

    fn word(&mut self) -> Option<Token> {
        let (name, place) = self.identifier();
        let before = std::mem::replace(&mut self.before, Before::Other);
        match before {
            Before::Dot => return None,
            Before::Bar => return Some(Token::Filter(name, place)),
            Before::Is if name == "not" => {
                self.before = Before::Is;
                return None;
            }
            Before::Is => return Some(Token::Test(name, place)),
            Before::Start | Before::Other => {}
        }
        if name == "is" {
            self.before = Before::Is;
            return None;
        }
        let after = self.rest().trim_start();
        if after.starts_with('=') && !after.starts_with("==") {
            return None;
        }
        let accesses = self.accesses();
        let called = self.rest().trim_start().starts_with('(');
        Some(Token::Name(Found { name, place, accesses, end: self.at, called }))
    }

    fn identifier(&mut self) -> (String, Range<usize>) {
        let length = run(self.rest(), |c| c.is_ascii_alphanumeric() || c == '_');
        let place = self.at..self.at + length;
        let name = self.text.get(place.clone()).unwrap_or_default().to_owned();
        self.at = place.end;
        (name, place)
    }

    /// `.name`, `['name']` and `[3]`, as many as follow.
    fn accesses(&mut self) -> Vec<(Access, Range<usize>)> {
        let mut accesses = Vec::new();
        loop {
            let start = self.at;
            let Some(access) = self.access() else {
                self.at = start;
                return accesses;
            };
            accesses.push(access);
        }
    }

    fn access(&mut self) -> Option<(Access, Range<usize>)> {
        self.skip_spaces();
        if self.rest().starts_with('.') {
            self.at += 1;
            self.skip_spaces();
            let (name, place) = self.identifier();
            return (!name.is_empty()).then_some((Access::Key(name), place));
        }
        if !self.rest().starts_with('[') {
            return None;
        }
        self.at += 1;
        self.skip_spaces();
        let start = self.at;
        let access = if self.rest().starts_with(['\'', '"']) {
            Access::Key(self.string()?)
        } else {
            let length = run(self.rest(), |c| c.is_ascii_digit());
            self.at += length;
            Access::Place(self.text.get(start..self.at)?.parse().ok()?)
        };
        let end = self.at;
        self.skip_spaces();
        if !self.rest().starts_with(']') {
            return None;
        }
        self.at += 1;
        Some((access, start..end))
    }

    /// Passes over a string; answers with what it holds if it has no escapes.
    fn string(&mut self) -> Option<String> {
        let quote = self.rest().chars().next()?;
        self.at += quote.len_utf8();
        let start = self.at;
        let mut escaped = false;
        let mut plain = true;
        while let Some(c) = self.rest().chars().next() {
            let here = self.at;
            self.at += c.len_utf8();
            if escaped {
                escaped = false;
            } else if c == '\\' {
                (escaped, plain) = (true, false);
            } else if c == quote {
                return plain.then(|| self.text.get(start..here).unwrap_or_default().to_owned());
            }
        }
        None
    }
}

fn run(text: &str, member: impl Fn(char) -> bool) -> usize {
    text.find(|c| !member(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, expected: &[&str]) {
        let uses = scan(expression).unwrap();
        let shown: Vec<&str> =
            uses.references.iter().filter_map(|r| expression.get(r.place.clone())).collect();
        assert_eq!(shown, expected, "{expression}");
    }

    #[test]
    fn finds_references_and_nothing_else() {
        check("inputs.a", &["inputs.a"]);
        check("steps.a.b[0].c + 1", &["steps.a.b[0].c"]);
        check("steps['render:x']['video']", &["steps['render:x']['video']"]);
        check("'inputs.a' ~ item.x | default(value=index)", &["item.x", "index"]);
        check(
            "steps.a.b if inputs.c is not none else [1, vary.s]",
            &["steps.a.b", "inputs.c", "vary.s"],
        );
        check("steps.a.list[index].x", &["steps.a.list", "index"]);
        check("range(3) | map('abs') | list", &[]);
        check("{'item': inputs . a}", &["inputs . a"]);
    }

    #[test]
    fn knows_a_lone_reference() {
        for (expression, lone) in [
            (" steps.a.b[0] ", true),
            ("(item)", false),
            ("item | list", false),
            ("item.f()", false),
        ] {
            assert_eq!(scan(expression).unwrap().lone, lone, "{expression}");
        }
    }

    #[test]
    fn names_what_is_wrong() {
        assert_eq!(scan("input.a").unwrap_err()[0].hint.as_deref(), Some("did you mean `inputs`?"));
        assert!(scan("steps.a").unwrap_err()[0].message.contains("output"));
        assert!(scan("inputs[index]").is_err());
    }
}
