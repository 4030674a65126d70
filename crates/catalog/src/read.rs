//! Reads TOML with the place of everything in it.
//!
//! A file is read key by key instead of all at once, so that one look at it reports everything that
//! is wrong. Reading never stops at a problem: it is written down and `None` goes on.
//! A table reports the keys that nobody asked for when it is finished.

use std::cell::RefCell;
use std::str::FromStr;

use impasto_domain::{Diagnostic, Span, Value, Values};
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// Tables with no more keys than this are walked through.
const FEW_KEYS: usize = 8;
/// About how many keys a table can have: room for those that are asked for.
const KEYS_ASKED: usize = 32;

/// What is wrong with one file, in the order in which it was found.
#[derive(Default)]
pub(crate) struct Problems(RefCell<Vec<Diagnostic>>);

impl Problems {
    pub(crate) fn add(&self, diagnostic: Diagnostic) {
        self.0.borrow_mut().push(diagnostic);
    }

    pub(crate) fn into_sorted(self) -> Vec<Diagnostic> {
        let mut diagnostics = self.0.into_inner();
        diagnostics.sort_by_key(|diagnostic| diagnostic.span);
        diagnostics
    }
}

/// A value in a file, with its place.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    value: &'a DeValue<'a>,
    pub(crate) span: Span,
    problems: &'a Problems,
}

/// A key in a file, with its place.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) name: &'a str,
    pub(crate) span: Span,
}

impl<'a> Node<'a> {
    /// Reports a problem with this value.
    pub(crate) fn problem(&self, message: impl Into<String>, hint: Option<String>) {
        let mut diagnostic = Diagnostic::error(self.span, message);
        diagnostic.hint = hint;
        self.problems.add(diagnostic);
    }

    /// Something that says of itself how it is read. What is wrong is reported where it is.
    pub(crate) fn told<T: DeserializeOwned>(&self) -> Option<T> {
        let spanned = Spanned::new(self.span.start..self.span.end, self.value.clone());
        match T::deserialize(ValueDeserializer::from(spanned)) {
            Ok(told) => Some(told),
            Err(error) => {
                let span = error.span().map_or(self.span, Span::from);
                self.problems.add(Diagnostic::error(span, error.message().replace('\n', "; ")));
                None
            }
        }
    }

    fn wants<T>(&self, wanted: &str, found: Option<T>) -> Option<T> {
        if found.is_none() {
            self.problem(format!("{wanted} is needed here, not {}", self.kind()), None);
        }
        found
    }

    fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    pub(crate) fn as_text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    pub(crate) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(crate) fn text(&self) -> Option<String> {
        self.wants("a text", self.value.as_str()).map(str::to_owned)
    }

    /// A text that says something.
    pub(crate) fn words(&self) -> Option<String> {
        let text = self.text()?;
        if text.trim().is_empty() {
            self.problem("this must not be empty", None);
            return None;
        }
        Some(text)
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        self.wants("true or false", self.value.as_bool())
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        self.wants("a whole number", self.plain_integer())
    }

    pub(crate) fn number(&self) -> Option<f64> {
        let number = self.plain_integer().map(|whole| whole as f64).or_else(|| self.plain_float());
        self.wants("a number", number.filter(|number| number.is_finite()))
    }

    /// A number of characters.
    pub(crate) fn length(&self) -> Option<usize> {
        let length = self.plain_integer().and_then(|whole| usize::try_from(whole).ok());
        self.wants("a whole number from 0", length)
    }

    /// The digits of a number as they were written, so that an amount of money stays exact.
    pub(crate) fn digits(&self) -> Option<String> {
        match self.value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Float(float) => Some(float.as_str().to_owned()),
            DeValue::Integer(_) => self.plain_integer().map(|whole| whole.to_string()),
            _ => self.wants("an amount", None),
        }
    }

    fn plain_integer(&self) -> Option<i64> {
        let integer = self.value.as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    fn plain_float(&self) -> Option<f64> {
        self.value.as_float()?.as_str().parse().ok()
    }

    /// A text that stands for something else, such as a type or a date.
    pub(crate) fn parse<T: FromStr<Err = String>>(&self) -> Option<T> {
        match self.text()?.parse() {
            Ok(parsed) => Some(parsed),
            Err(message) => {
                self.problem(message, None);
                None
            }
        }
    }

    /// One of a closed set of words.
    pub(crate) fn one_of<T: Copy>(&self, what: &str, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.problem(format!("there is no {what} '{text}'"), Some(suggestion(&text, &known)));
        None
    }

    /// The items of a list; none if it is not a list.
    pub(crate) fn items(&self) -> Vec<Node<'a>> {
        let problems = self.problems;
        let array = self.wants("a list", self.value.as_array());
        let nodes = array.into_iter().flat_map(|items| items.iter()).map(|item| Node {
            value: item.get_ref(),
            span: item.span().into(),
            problems,
        });
        nodes.collect()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.items().iter().filter_map(Node::text).collect()
    }

    pub(crate) fn table(&self) -> Option<Table<'a>> {
        let entries = self.wants("a table", self.value.as_table())?;
        Some(Table {
            entries,
            span: self.span,
            asked: Vec::with_capacity(KEYS_ASKED),
            problems: self.problems,
        })
    }

    /// The entries of a table whose keys are names of the writer's choice.
    pub(crate) fn entries(&self) -> Vec<(Key<'a>, Node<'a>)> {
        self.table().map(|table| table.entries().collect()).unwrap_or_default()
    }

    /// Plain data; dates are not used anywhere and are refused.
    pub(crate) fn data(&self) -> Option<Value> {
        Some(match self.value {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Integer(_) => Value::from(self.integer()?),
            DeValue::Float(_) => Value::from(self.number()?),
            DeValue::Boolean(truth) => Value::from(*truth),
            DeValue::Datetime(_) => return self.wants("plain data (a date needs quotes)", None),
            DeValue::Array(_) => Value::List(self.items().iter().filter_map(Node::data).collect()),
            DeValue::Table(_) => {
                let entries = self.entries();
                let pairs =
                    entries.iter().map(|(key, node)| Some((key.name.to_owned(), node.data()?)));
                Value::Map(pairs.flatten().collect::<Values>())
            }
        })
    }
}

/// A table that is being read.
pub(crate) struct Table<'a> {
    entries: &'a DeTable<'a>,
    pub(crate) span: Span,
    asked: Vec<&'static str>,
    pub(crate) problems: &'a Problems,
}

impl<'a> Table<'a> {
    pub(crate) fn root(entries: &'a DeTable<'a>, problems: &'a Problems) -> Self {
        Self { entries, span: Span::default(), asked: Vec::new(), problems }
    }

    fn entries(&self) -> impl Iterator<Item = (Key<'a>, Node<'a>)> + use<'a> {
        let problems = self.problems;
        self.entries.iter().map(move |(key, value)| {
            let name = Key { name: key.get_ref().as_ref(), span: key.span().into() };
            (name, Node { value: value.get_ref(), span: value.span().into(), problems })
        })
    }

    /// The value of a key that may be absent.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.asked.push(key);
        // Most tables have a few keys: a walk is quicker than a hash.
        let value = if self.entries.len() <= FEW_KEYS {
            self.entries.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)?
        } else {
            self.entries.get(key)?
        };
        Some(Node { value: value.get_ref(), span: value.span().into(), problems: self.problems })
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&mut self, key: &'static str) -> Option<Node<'a>> {
        let found = self.get(key);
        if found.is_none() {
            self.problems.add(Diagnostic::error(self.span, format!("`{key}` is missing")));
        }
        found
    }

    /// Reports every key that nobody asked for. `what` is what the table describes.
    pub(crate) fn finish(self, what: &str) {
        for (key, _) in self.entries() {
            if !self.asked.contains(&key.name) {
                let message = format!("{what} has no key `{}`", key.name);
                let hint = suggestion(key.name, &self.asked);
                self.problems.add(Diagnostic::error(key.span, message).hint(hint));
            }
        }
    }
}

/// The name among `known` that was probably meant by `word`, if one is near enough.
///
/// ```
/// use impasto_catalog::similar;
/// assert_eq!(similar("resize-imgae", &["crop-image", "resize-image"]), Some("resize-image"));
/// assert_eq!(similar("zebra", &["crop-image", "resize-image"]), None);
/// ```
pub fn similar<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let furthest = (word.chars().count() / 3).max(1);
    let distances = known.iter().map(|name| (strsim::damerau_levenshtein(word, name), *name));
    distances.filter(|(distance, _)| *distance <= furthest).min().map(|(_, name)| name)
}

/// Names of which a word is a part, a few of the shortest.
fn named_alike(word: &str, known: &[&str]) -> Vec<String> {
    const MOST: usize = 4;
    const CHARS_MIN: usize = 3;
    let word = word.to_lowercase();
    if word.chars().count() < CHARS_MIN {
        return Vec::new();
    }
    let mut names: Vec<&str> =
        known.iter().filter(|name| name.to_lowercase().contains(&word)).copied().collect();
    names.sort_unstable_by_key(|name| (name.len(), *name));
    names.iter().take(MOST).map(|name| format!("`{name}`")).collect()
}

/// What to do about an unknown word: the one that was meant, or all there are.
pub(crate) fn suggestion(word: &str, known: &[&str]) -> String {
    const MOST_NAMES: usize = 40;
    if let Some(name) = similar(word, known) {
        return format!("did you mean `{name}`?");
    }
    let parts = named_alike(word, known);
    if !parts.is_empty() {
        return format!("did you mean {}?", parts.join(" or "));
    }
    let mut names: Vec<&str> = known.to_vec();
    names.sort_unstable();
    names.truncate(MOST_NAMES);
    let more = known.len().saturating_sub(names.len());
    match (names.is_empty(), more) {
        (true, _) => "there are none here".into(),
        (false, 0) => format!("there are {}", names.join(", ")),
        (false, more) => format!("there are {} and {more} more", names.join(", ")),
    }
}
