//! YAML (and so JSON) as a tree in which every node knows its place in the text.
//!
//! Hostile text is bounded by named limits: bytes, nodes (an alias counts as all the nodes that it
//! repeats), and depth. Only the kinds of scalar of the YAML 1.2 core schema exist.

use std::collections::HashMap;

use impasto_domain::{Diagnostic, Span, Value};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};

/// The largest workflow file, in bytes.
pub(crate) const MAX_SOURCE_BYTES: usize = 1 << 20;
/// The most nodes in a file, those repeated by aliases counted each time.
pub(crate) const MAX_NODES: usize = 50_000;
/// The deepest nesting of lists and maps.
pub(crate) const MAX_DEPTH: usize = 64;

/// A part of a file and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) data: Data,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// Null, a boolean, a number or a text.
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Data::Scalar(value) = &self.data { value.as_text() } else { None }
    }

    /// The entry of that name, if it is a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        if let Data::Map(entries) = &self.data { Some(entries) } else { None }
    }

    /// What it is, in a word, for messages.
    pub(crate) fn kind(&self) -> String {
        match &self.data {
            Data::Scalar(value) => value.type_name(),
            Data::List(_) => "list".into(),
            Data::Map(_) => "map".into(),
        }
    }

    /// The value it stands for.
    pub(crate) fn value(&self) -> Value {
        match &self.data {
            Data::Scalar(value) => value.clone(),
            Data::List(items) => Value::List(items.iter().map(Self::value).collect()),
            Data::Map(entries) => {
                Value::Map(entries.iter().map(|e| (e.key.clone(), e.value.value())).collect())
            }
        }
    }

    fn size(&self) -> usize {
        match &self.data {
            Data::Scalar(_) => 1,
            Data::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Data::Map(entries) => 1 + entries.iter().map(|e| 1 + e.value.size()).sum::<usize>(),
        }
    }
}

/// The tree of `source`, or what is wrong with it.
pub(crate) fn parse(source: &str) -> Result<Node, Vec<Diagnostic>> {
    if source.len() > MAX_SOURCE_BYTES {
        let message =
            format!("the file has {} bytes, the most is {MAX_SOURCE_BYTES}", source.len());
        return Err(vec![Diagnostic::error(0..0, message)]);
    }
    let mut reader = Reader::new(source);
    match reader.document() {
        Ok(node) if reader.problems.is_empty() => Ok(node),
        Ok(_) => Err(reader.problems),
        Err(problem) => {
            reader.problems.push(problem);
            Err(reader.problems)
        }
    }
}

struct Reader<'s> {
    parser: Parser<'s, StrInput<'s>>,
    source: &'s str,
    /// The byte at which each character begins; empty if every character is one byte.
    bytes: Vec<usize>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    problems: Vec<Diagnostic>,
}

type Step<'s> = (Event<'s>, Span);

impl<'s> Reader<'s> {
    fn new(source: &'s str) -> Self {
        let bytes = if source.is_ascii() {
            Vec::new()
        } else {
            source.char_indices().map(|(byte, _)| byte).collect()
        };
        Self {
            parser: Parser::new_from_str(source),
            source,
            bytes,
            anchors: HashMap::new(),
            nodes: 0,
            problems: Vec::new(),
        }
    }

    fn byte(&self, character: usize) -> usize {
        let found =
            if self.bytes.is_empty() { Some(&character) } else { self.bytes.get(character) };
        found.copied().unwrap_or(self.source.len()).min(self.source.len())
    }

    fn next(&mut self) -> Result<Step<'s>, Diagnostic> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let span = self.byte(span.start.index())..self.byte(span.end.index());
                Ok((event, span.into()))
            }
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, (self.source.len()..self.source.len()).into())),
        }
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let at = self.byte(error.marker().index());
        Diagnostic::error(at..at + 1, format!("this is not valid YAML: {}", error.info()))
            .hint("texts that hold `: `, `{`, `[`, `#` or `\"` go in quotes")
    }

    fn document(&mut self) -> Result<Node, Diagnostic> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd | Event::DocumentEnd, span) => {
                    return Err(Diagnostic::error(span, "the file is empty")
                        .hint("a workflow has `workflow`, `steps` and `outputs`"));
                }
                first => {
                    let node = self.node(first, 0)?;
                    self.no_second_document()?;
                    return Ok(node);
                }
            }
        }
    }

    fn no_second_document(&mut self) -> Result<(), Diagnostic> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(_), span) => {
                    return Err(Diagnostic::error(span, "a second document begins here")
                        .hint("a file holds one workflow"));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, (event, span): Step<'s>, depth: usize) -> Result<Node, Diagnostic> {
        self.nodes += 1;
        if depth > MAX_DEPTH {
            return Err(Diagnostic::error(span, format!("nested deeper than {MAX_DEPTH}")));
        }
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some() {
                    self.problems.push(Diagnostic::error(span, "tags are not supported"));
                }
                (anchor, Node { span, data: Data::Scalar(self.scalar(&text, style, span)) })
            }
            Event::SequenceStart(anchor, _) => (anchor, self.list(span, depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(span, depth)?),
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => return Err(Diagnostic::error(span, "a value was expected here")),
        };
        self.check_size(span)?;
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn check_size(&self, span: Span) -> Result<(), Diagnostic> {
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        Err(Diagnostic::error(span, format!("the file has more than {MAX_NODES} values"))
            .hint("aliases count as all that they repeat"))
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Diagnostic> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::error(span, "this alias stands inside of what it repeats"));
        };
        self.nodes += node.size();
        self.check_size(span)?;
        Ok(Node { span, data: node.data.clone() })
    }

    fn list(&mut self, start: Span, depth: usize) -> Result<Node, Diagnostic> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, end) => {
                    let span = self.block(start, end, items.last().map(|item: &Node| item.span));
                    return Ok(Node { span, data: Data::List(items) });
                }
                item => items.push(self.node(item, depth + 1)?),
            }
        }
    }

    fn map(&mut self, start: Span, depth: usize) -> Result<Node, Diagnostic> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, key_span) = match self.next()? {
                (Event::MappingEnd, end) => {
                    let last = entries.last().map(|entry| entry.value.span);
                    let span = self.block(start, end, last);
                    return Ok(Node { span, data: Data::Map(entries) });
                }
                key => key,
            };
            let key = self.node((event, key_span), depth + 1)?;
            let following = self.next()?;
            let value = self.node(following, depth + 1)?;
            let Some(key) = key_text(&key) else {
                self.problems.push(Diagnostic::error(key_span, "a key has to be a text"));
                continue;
            };
            if places.insert(key.clone(), entries.len()).is_some() {
                self.problems.push(
                    Diagnostic::error(key_span, format!("`{key}` is given twice"))
                        .hint("keep one of the two"),
                );
                continue;
            }
            entries.push(Entry { key, key_span, value });
        }
    }

    /// The place of a list or map: to its closing bracket, or to the end of its last item.
    fn block(&self, start: Span, end: Span, last: Option<Span>) -> Span {
        let flow = self.source.get(start.start..).is_some_and(|s| s.starts_with(['{', '[']));
        let end = if flow { end.end } else { last.map_or(start.end, |last| last.end) };
        (start.start..end.max(start.start)).into()
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Value {
        if style != ScalarStyle::Plain {
            return Value::from(text);
        }
        match plain(text) {
            Some(value) => value,
            None => {
                self.problems.push(
                    Diagnostic::error(span, format!("{text} is not a number that can be kept"))
                        .hint("put it in quotes if it is a text"),
                );
                Value::Null
            }
        }
    }
}

/// Keys may look like numbers or booleans: they are texts all the same.
fn key_text(key: &Node) -> Option<String> {
    match &key.data {
        Data::Scalar(Value::Text(text)) => Some(text.clone()),
        Data::Scalar(Value::Integer(number)) => Some(number.to_string()),
        Data::Scalar(Value::Number(number)) => Some(number.to_string()),
        Data::Scalar(Value::Boolean(truth)) => Some(truth.to_string()),
        _ => None,
    }
}

/// What an unquoted scalar stands for in the YAML 1.2 core schema; `None` for a number that does
/// not fit.
fn plain(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(Value::from(true)),
        "false" | "False" | "FALSE" => return Some(Value::from(false)),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "-.inf" | "+.inf" => return None,
        _ => {}
    }
    let digits = text.trim_start_matches(['-', '+']);
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && digits.chars().all(|digit| digit.is_digit(radix))
            && !digits.is_empty()
        {
            return i64::from_str_radix(digits, radix).ok().map(Value::from);
        }
    }
    let signs = text.len() - digits.len();
    let numeric = digits.starts_with(|first: char| first.is_ascii_digit())
        || digits
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let allowed =
        digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if signs > 1 || !numeric || !allowed {
        return Some(Value::from(text));
    }
    if digits.chars().all(|digit| digit.is_ascii_digit()) {
        return text.parse::<i64>().ok().map(Value::from);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Some(Value::from(number)),
        Ok(_) => None,
        // Such as a date or a version: 2026-01-02, 1.2.3.
        Err(_) => Some(Value::from(text)),
    }
}
