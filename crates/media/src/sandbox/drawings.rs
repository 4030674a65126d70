//! Drawings that a provider made: an SVG is read as a tree and written anew with nothing in it but
//! shapes, colours and words.
//!
//! Invariants
//! - Only elements of a short list are written; what is not on it is left out with all it holds.
//! - Nothing that is written names anything but a part of the same drawing, and nothing in it runs.
//! - What the parts come to once every use of them is drawn is counted before it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use impasto_domain::{Error, MediaFacts, Result};

use super::child::{Normalised, undecodable};
use crate::limits::Limits;

/// What a drawing may hold. Filters are not among it: a blur can be made to take for ever.
const ELEMENTS: [&str; 27] = [
    "svg",
    "g",
    "defs",
    "symbol",
    "use",
    "title",
    "desc",
    "path",
    "rect",
    "circle",
    "ellipse",
    "line",
    "polyline",
    "polygon",
    "text",
    "tspan",
    "textPath",
    "linearGradient",
    "radialGradient",
    "stop",
    "clipPath",
    "mask",
    "pattern",
    "marker",
    "view",
    "switch",
    "style",
];
/// How deep elements may lie in each other.
const DEEPEST: usize = 64;
/// How large a drawing is that does not say, as browsers have it.
const USUAL_PX: [f64; 2] = [300.0, 150.0];
/// The name that the usual prefix stands for.
const NAMESPACE: &str = "http://www.w3.org/2000/svg";

fn bad(reason: impl AsRef<str>) -> Error {
    undecodable("SVG drawing", &reason.as_ref())
}

/// Whether these bytes, which are some XML, begin like a drawing.
pub(crate) fn is_drawing(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(bytes.get(..4096).unwrap_or(bytes));
    head.contains("<svg")
}

/// Reads a drawing and writes it anew.
pub(super) fn normalise(bytes: &[u8], limits: &Limits) -> Result<Normalised> {
    limits.check_count("bytes of a drawing", bytes.len() as u64, limits.drawing_bytes)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| bad("it is not written in UTF-8"))?;
    let mut drawing = Reader { rest: text, most: limits.drawing_parts }.read()?;
    drawing.leave_out_styles();
    drawing.check_parts(limits)?;
    let [width, height] = drawing.size()?;
    limits.check_size("SVG drawing", width, height)?;
    let facts = MediaFacts { width: Some(width), height: Some(height), ..MediaFacts::default() };
    Ok(Normalised { bytes: drawing.write().into_bytes(), media_type: "image/svg+xml", facts })
}

/// A part of a drawing.
#[derive(Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    inside: Vec<Inside>,
}

enum Inside {
    Element(usize),
    Text(String),
}

/// A drawing: its elements, the root first.
struct Drawing {
    elements: Vec<Element>,
}

/// Whoever reads what is left of a text.
struct Reader<'t> {
    rest: &'t str,
    most: u64,
}

/// What stands next in a text.
enum Next<'t> {
    Text(&'t str),
    Plain(&'t str),
    Opens { name: &'t str, attributes: BTreeMap<String, String>, is_whole: bool },
    Closes(&'t str),
}

impl<'t> Reader<'t> {
    fn read(mut self) -> Result<Drawing> {
        let mut elements: Vec<Element> = Vec::new();
        // Where we are: the elements that are open, and how many of the innermost are left out.
        let (mut open, mut names, mut left_out) = (Vec::<usize>::new(), Vec::new(), 0_usize);
        while let Some(next) = self.next()? {
            match next {
                Next::Text(text) => {
                    let text = unescaped(text)?;
                    keep_text(&mut elements, &open, left_out, text);
                }
                Next::Plain(text) => keep_text(&mut elements, &open, left_out, text.to_owned()),
                Next::Opens { name, attributes, is_whole } => {
                    if names.is_empty() && (!elements.is_empty() || name != "svg") {
                        return Err(bad("it is not one drawing"));
                    }
                    if names.len() >= DEEPEST {
                        return Err(bad(format!("it is more than {DEEPEST} elements deep")));
                    }
                    let parent = open.last().and_then(|at| elements.get(*at));
                    // Words around an element would become one style.
                    let is_style = parent.is_some_and(|parent| parent.name == "style");
                    let is_kept = left_out == 0 && !is_style && ELEMENTS.contains(&name);
                    if is_kept {
                        let at = elements.len();
                        if let Some(parent) = open.last().and_then(|at| elements.get_mut(*at)) {
                            parent.inside.push(Inside::Element(at));
                        }
                        let attributes = kept(attributes);
                        elements.push(Element {
                            name: name.to_owned(),
                            attributes,
                            inside: vec![],
                        });
                        if elements.len() as u64 > self.most {
                            return Err(bad(format!("it has more than {} parts", self.most)));
                        }
                        if !is_whole {
                            open.push(at);
                        }
                    } else if !is_whole {
                        left_out += 1;
                    }
                    if !is_whole {
                        names.push(name);
                    }
                }
                Next::Closes(name) => {
                    if names.pop() != Some(name) {
                        return Err(bad(format!("`{}` ends where it did not begin", short(name))));
                    }
                    match left_out {
                        0 => drop(open.pop()),
                        _ => left_out -= 1,
                    }
                }
            }
        }
        if !names.is_empty() || elements.is_empty() {
            return Err(bad("it ends before its end"));
        }
        Ok(Drawing { elements })
    }

    fn next(&mut self) -> Result<Option<Next<'t>>> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            if !self.rest.starts_with('<') {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                return Ok(Some(Next::Text(self.take(end))));
            }
            if self.rest.starts_with("<!--") {
                self.up_to("-->")?;
            } else if self.rest.starts_with("<![CDATA[") {
                let text = self.up_to("]]>")?;
                let plain = text.strip_prefix("<![CDATA[").unwrap_or(text);
                return Ok(Some(Next::Plain(plain)));
            } else if self.rest.starts_with("<?") {
                self.up_to("?>")?;
            } else if self.rest.starts_with("<!") {
                // A document type may give names to other texts, and these to others: none is needed.
                if self.up_to(">")?.contains('[') {
                    return Err(bad("it declares names of its own").hint(SIMPLER));
                }
            } else if self.rest.starts_with("</") {
                let tag = self.up_to(">")?;
                return Ok(Some(Next::Closes(tag.trim_start_matches("</").trim())));
            } else {
                return self.tag().map(Some);
            }
        }
    }

    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    /// What stands before `end`, which is passed over.
    fn up_to(&mut self, end: &str) -> Result<&'t str> {
        let at = self.rest.find(end).ok_or_else(|| bad("it was cut off"))?;
        let taken = self.take(at);
        self.take(end.len());
        Ok(taken)
    }

    fn name(&mut self) -> Result<&'t str> {
        let is_part =
            |char: char| char.is_ascii_alphanumeric() || "-_.:".contains(char) || !char.is_ascii();
        let end = self.rest.find(|char| !is_part(char)).unwrap_or(self.rest.len());
        if end == 0 { Err(bad("a name is missing")) } else { Ok(self.take(end)) }
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn tag(&mut self) -> Result<Next<'t>> {
        self.take(1);
        let name = self.name()?;
        let mut attributes = BTreeMap::new();
        loop {
            self.skip_spaces();
            if let Some(rest) = self.rest.strip_prefix("/>") {
                self.rest = rest;
                return Ok(Next::Opens { name, attributes, is_whole: true });
            }
            if let Some(rest) = self.rest.strip_prefix('>') {
                self.rest = rest;
                return Ok(Next::Opens { name, attributes, is_whole: false });
            }
            let attribute = self.name()?;
            self.skip_spaces();
            self.rest = self.rest.strip_prefix('=').ok_or_else(|| bad("a value is missing"))?;
            self.skip_spaces();
            let quote = self.rest.chars().next().filter(|char| matches!(char, '"' | '\''));
            let quote = quote.ok_or_else(|| bad("a value has no quotes"))?;
            self.take(1);
            let value = unescaped(self.up_to(&quote.to_string())?)?;
            attributes.insert(attribute.to_owned(), value);
        }
    }
}

/// What to do about a drawing that uses more of XML than drawings need.
const SIMPLER: &str = "export it as a plain SVG, or as PNG";

fn short(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(40).collect()
}

/// Text with its characters in place of their names. Only the five that everyone knows have one.
fn unescaped(text: &str) -> Result<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(rest.get(..at).unwrap_or_default());
        let after = rest.get(at + 1..).unwrap_or_default();
        let (name, left) = after.split_once(';').ok_or_else(|| bad("a bare `&` is in it"))?;
        let numbered = name.strip_prefix('#').and_then(|digits| match digits.strip_prefix('x') {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
            None => digits.parse().ok(),
        });
        let known = match name {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => numbered.and_then(char::from_u32),
        };
        let unknown = || bad(format!("`&{};` is no name that is read", short(name))).hint(SIMPLER);
        plain.push(known.ok_or_else(unknown)?);
        rest = left;
    }
    plain.push_str(rest);
    Ok(plain)
}

fn keep_text(elements: &mut [Element], open: &[usize], left_out: usize, text: String) {
    let Some(element) = open.last().and_then(|at| elements.get_mut(*at)) else { return };
    let says = ["text", "tspan", "textPath", "title", "desc", "style"];
    if left_out > 0 || !says.contains(&element.name.as_str()) {
        return;
    }
    // What stands side by side is one text, however it was written.
    match element.inside.last_mut() {
        Some(Inside::Text(before)) => before.push_str(&text),
        _ => element.inside.push(Inside::Text(text)),
    }
}

/// The attributes that are kept: none that runs, none that leads elsewhere.
fn kept(attributes: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for (name, value) in attributes {
        let name = if name == "xlink:href" { "href".to_owned() } else { name };
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            || name == "xml:space";
        let is_ours = is_plain
            && !name.to_ascii_lowercase().starts_with("on")
            && !matches!(name.as_str(), "xmlns" | "filter" | "src");
        let stays = if name == "href" { value.starts_with('#') } else { stays_inside(&value) };
        if is_ours && stays {
            kept.insert(name, value);
        }
    }
    kept
}

/// Whether a text of a style names nothing but parts of the same drawing.
fn stays_inside(text: &str) -> bool {
    let plain = text.to_ascii_lowercase();
    let unclear = ['\\', '@', '<'].iter().any(|char| plain.contains(*char))
        || [
            "/*",
            "javascript:",
            "expression",
            "image(",
            "image-set",
            "src(",
            "behavior",
            "binding",
        ]
        .iter()
        .any(|word| plain.contains(word));
    let leads_inside = |rest: &str| rest.trim_start_matches([' ', '"', '\'']).starts_with('#');
    !unclear && plain.split("url(").skip(1).all(leads_inside)
}

/// The parts of the drawing that a text of a style names.
fn named_in(text: &str) -> Vec<&str> {
    let plain = text.to_ascii_lowercase();
    let places = plain.match_indices("url(").filter_map(|(at, word)| text.get(at + word.len()..));
    places.filter_map(named_first).collect()
}

/// The part that is named right behind `url(`.
fn named_first(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches([' ', '"', '\'']).strip_prefix('#')?;
    rest.split([')', '"', '\'', ' ']).next()
}

impl Element {
    /// The parts of the drawing that it names.
    fn named(&self) -> Vec<&str> {
        let href = self.attributes.get("href").and_then(|href| href.strip_prefix('#'));
        href.into_iter().chain(self.attributes.values().flat_map(|value| named_in(value))).collect()
    }
}

impl Drawing {
    /// Leaves out style sheets that lead elsewhere, and those that name parts: who uses these, and how
    /// often, could not be counted.
    fn leave_out_styles(&mut self) {
        let styles = self.elements.iter_mut().filter(|element| element.name == "style");
        for style in styles {
            style.inside.retain(|inside| match inside {
                Inside::Text(text) => stays_inside(text) && named_in(text).is_empty(),
                Inside::Element(_) => false,
            });
        }
    }

    /// Counts what there is to draw once every part is drawn wherever it is used.
    fn check_parts(&self, limits: &Limits) -> Result<()> {
        let ids = self.elements.iter().enumerate();
        let ids: BTreeMap<&str, usize> = ids
            .filter_map(|(at, element)| Some((element.attributes.get("id")?.as_str(), at)))
            .collect();
        let mut counted = vec![None; self.elements.len()];
        let parts = self.count(0, &ids, &mut counted, &mut BTreeSet::new())?;
        limits.check_count("parts once it is drawn", parts, limits.drawing_parts)
    }

    fn count(
        &self,
        at: usize,
        ids: &BTreeMap<&str, usize>,
        counted: &mut [Option<u64>],
        above: &mut BTreeSet<usize>,
    ) -> Result<u64> {
        if let Some(parts) = counted.get(at).copied().flatten() {
            return Ok(parts);
        }
        if above.len() > DEEPEST * 2 || !above.insert(at) {
            return Err(bad("its parts use each other without end").hint(SIMPLER));
        }
        let Some(element) = self.elements.get(at) else { return Ok(0) };
        let inside = element.inside.iter().filter_map(|inside| match inside {
            Inside::Element(at) => Some(*at),
            Inside::Text(_) => None,
        });
        let used = element.named().into_iter().filter_map(|name| ids.get(name).copied());
        let next: Vec<usize> = inside.chain(used).collect();
        let mut parts: u64 = 1;
        for at in next {
            parts = parts.saturating_add(self.count(at, ids, counted, above)?);
        }
        above.remove(&at);
        if let Some(slot) = counted.get_mut(at) {
            *slot = Some(parts);
        }
        Ok(parts)
    }

    /// Width and height in pixels.
    fn size(&self) -> Result<[u32; 2]> {
        let root = self.elements.first().ok_or_else(|| bad("it is empty"))?;
        let box_of = root.attributes.get("viewBox").map(String::as_str).unwrap_or_default();
        let numbers: Vec<f64> = box_of
            .split([' ', ',', '\t', '\n'])
            .filter(|word| !word.is_empty())
            .filter_map(|word| word.parse().ok())
            .collect();
        let said = |name: &str| root.attributes.get(name).and_then(|text| pixels(text));
        let mut size = [0; 2];
        for (place, name) in ["width", "height"].into_iter().enumerate() {
            let of_box = numbers.get(place + 2).copied();
            let usual = USUAL_PX.get(place).copied();
            let length = said(name).or(of_box).or(usual).unwrap_or(1.0);
            if !length.is_finite() || length <= 0.0 {
                return Err(bad(format!("its {name} is no length")));
            }
            // Compared with the limits afterwards; a float ends at the largest number.
            if let Some(slot) = size.get_mut(place) {
                *slot = length.ceil() as u32;
            }
        }
        Ok(size)
    }

    fn write(&self) -> String {
        let mut text = String::new();
        self.write_element(0, &mut text);
        text
    }

    fn write_element(&self, at: usize, out: &mut String) {
        let Some(element) = self.elements.get(at) else { return };
        let name = &element.name;
        // Writing into a text does not fail.
        let _ = write!(out, "<{name}");
        if at == 0 {
            let _ = write!(out, " xmlns=\"{NAMESPACE}\"");
        }
        for (name, value) in &element.attributes {
            let _ = write!(out, " {name}=\"{}\"", escaped(value));
        }
        if element.inside.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for inside in &element.inside {
            match inside {
                Inside::Element(at) => self.write_element(*at, out),
                Inside::Text(text) => out.push_str(&escaped(text)),
            }
        }
        let _ = write!(out, "</{name}>");
    }
}

/// A length in pixels; nothing for a share of something else.
fn pixels(text: &str) -> Option<f64> {
    let units = [
        ("px", 1.0),
        ("pt", 4.0 / 3.0),
        ("pc", 16.0),
        ("mm", 96.0 / 25.4),
        ("cm", 96.0 / 2.54),
        ("in", 96.0),
    ];
    let text = text.trim();
    let found = units.iter().find_map(|(unit, px)| Some((text.strip_suffix(unit)?, *px)));
    let (number, px) = found.unwrap_or((text, 1.0));
    Some(number.trim().parse::<f64>().ok()? * px)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            char if char.is_control() && !matches!(char, '\n' | '\t') => escaped.push(' '),
            char => escaped.push(char),
        }
    }
    escaped
}
