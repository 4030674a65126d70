//! What JSON schemas say of a value, in the few words that matter here.
//!
//! References are followed within the document, `allOf` is merged, a choice of a type and `null` is
//! that type. Depth is limited, so that a schema of itself ends.

use std::cell::Cell;

use impasto_domain::MediaKind;
use serde_json::{Map, Value as Json};

/// How deep references and nestings are followed.
const DEPTH_MAX: usize = 12;
/// The most schemas of a document that are looked at, each time that something refers to one.
const SCHEMAS_MAX: u32 = 50_000;
/// The longest description that is kept, in characters.
const ABOUT_CHARS_MAX: usize = 300;
/// The most words of an enumeration that are kept.
const WORDS_MAX: usize = 400;

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// Values of one kind.
    List(Box<Kind>),
    /// An object of a width and a height, or a word for one.
    Size,
    /// Anything else.
    Any,
}

/// A parameter of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The name.
    pub name: String,
    /// What it means.
    pub about: String,
    /// What it is.
    pub kind: Kind,
    /// Whether it must be given.
    pub required: bool,
    /// What it is where nothing is given.
    pub default: Option<Json>,
    /// The only values there are; empty means any.
    pub words: Vec<Json>,
    /// The least, or the fewest items.
    pub min: Option<f64>,
    /// The most, or the most items.
    pub max: Option<f64>,
    /// The longest text, in characters.
    pub max_chars: Option<usize>,
    /// Whether it holds files or URLs of files, and of which kind if that can be told.
    pub file: Option<Option<MediaKind>>,
    /// Whether the provider says that it will go.
    pub deprecated: bool,
}

impl Parameter {
    /// What a schema of that name says.
    pub(crate) fn of(root: &Root<'_>, name: &str, schema: &Json, required: bool) -> Self {
        let schema = resolved(root, schema, 0);
        let kind = kind(&schema);
        let list = matches!(kind, Kind::List(_));
        let number = |names: [&str; 2]| {
            names.iter().find_map(|name| schema.get(*name)?.as_f64()).filter(|n| n.is_finite())
        };
        let (min, max) = if list {
            (number(["minItems", ""]), number(["maxItems", ""]))
        } else {
            (number(["minimum", "exclusiveMinimum"]), number(["maximum", "exclusiveMaximum"]))
        };
        let about: String =
            words_of(&schema, "description").chars().take(ABOUT_CHARS_MAX).collect();
        let item = schema.get("items").filter(|_| list);
        let file = file_of(name, &about, &schema).or_else(|| file_of(name, &about, item?));
        let text = matches!(kind, Kind::Text | Kind::Any) || kind == Kind::List(Kind::Text.into());
        let words = if list { item } else { Some(&schema) };
        let mut words = words.map(enumerated).unwrap_or_default();
        words.truncate(WORDS_MAX);
        Self {
            name: name.to_owned(),
            max_chars: length_max(&schema),
            default: schema.get("default").filter(|value| !value.is_null()).cloned(),
            file: file.filter(|_| text && words.is_empty()),
            deprecated: schema.get("deprecated") == Some(&Json::Bool(true)),
            about,
            kind,
            required,
            words,
            min,
            max,
        }
    }
}

fn length_max(schema: &Json) -> Option<usize> {
    schema.get("maxLength")?.as_u64().and_then(|length| usize::try_from(length).ok())
}

/// A text of a schema, on one line.
pub(crate) fn words_of(schema: &Json, key: &str) -> String {
    let text = schema.get(key).and_then(Json::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A document, and how many more schemas of it are looked at: references can multiply without end.
pub(crate) struct Root<'j> {
    document: &'j Json,
    left: Cell<u32>,
}

impl<'j> Root<'j> {
    pub(crate) fn of(document: &'j Json) -> Self {
        Self { document, left: Cell::new(SCHEMAS_MAX) }
    }

    /// Whether one more is looked at.
    pub(crate) fn goes_on(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

/// The schema without references and compositions at its top.
pub(crate) fn resolved(root: &Root<'_>, schema: &Json, depth: usize) -> Json {
    if depth > DEPTH_MAX || !root.goes_on() {
        return Json::Object(Map::new());
    }
    let Some(object) = schema.as_object() else { return Json::Object(Map::new()) };
    let mut merged = Map::new();
    if let Some(target) = object.get("$ref").and_then(Json::as_str) {
        let found = target.strip_prefix('#').and_then(|pointer| root.document.pointer(pointer));
        lay(&mut merged, found.map(|found| resolved(root, found, depth + 1)));
        // The name of what is referred to often says what it is.
        let name = target.rsplit('/').next().unwrap_or_default();
        merged.entry("title").or_insert_with(|| name.into());
    }
    for part in object.get("allOf").and_then(Json::as_array).into_iter().flatten() {
        lay(&mut merged, Some(resolved(root, part, depth + 1)));
    }
    let own = object.iter().filter(|(key, _)| !matches!(key.as_str(), "$ref" | "allOf"));
    merged.extend(own.map(|(key, value)| (key.clone(), value.clone())));
    for word in ["anyOf", "oneOf"] {
        let Some(Json::Array(choices)) = merged.remove(word) else { continue };
        let choices: Vec<Json> = choices
            .iter()
            .map(|choice| resolved(root, choice, depth + 1))
            .filter(|choice| choice.get("type").and_then(Json::as_str) != Some("null"))
            .collect();
        one_of(&mut merged, &choices);
    }
    if let Some(Json::Array(types)) = merged.get("type").cloned() {
        let mut types = types.into_iter().filter(|name| name.as_str() != Some("null"));
        let first = types.next().filter(|_| types.next().is_none());
        merged.remove("type");
        merged.extend(first.map(|first| ("type".to_owned(), first)));
    }
    if let Some(items) = merged.get("items").cloned() {
        merged.insert("items".to_owned(), resolved(root, &items, depth + 1));
    }
    Json::Object(merged)
}

fn lay(merged: &mut Map<String, Json>, part: Option<Json>) {
    let Some(Json::Object(part)) = part else { return };
    for (key, value) in part {
        match (merged.get_mut(&key), value) {
            (Some(Json::Object(there)), Json::Object(more)) => there.extend(more),
            (Some(Json::Array(there)), Json::Array(more)) if key == "required" => {
                there.extend(more);
            }
            (_, value) => {
                merged.insert(key, value);
            }
        }
    }
}

/// What a value is that may be one of several.
fn one_of(merged: &mut Map<String, Json>, choices: &[Json]) {
    let lay_under = |merged: &mut Map<String, Json>, choice: &Json| {
        for (key, value) in choice.as_object().into_iter().flatten() {
            merged.entry(key.clone()).or_insert_with(|| value.clone());
        }
    };
    let typed = |name: &str| {
        choices.iter().find(|choice| choice.get("type").and_then(Json::as_str) == Some(name))
    };
    let sized = choices.iter().find(|choice| is_size(choice));
    let listed = choices.iter().find(|choice| !enumerated(choice).is_empty());
    match (choices, sized, listed) {
        ([one], ..) => lay_under(merged, one),
        (_, Some(size), words) => {
            lay_under(merged, size);
            merged.extend(words.map(|words| ("enum".to_owned(), enumerated(words).into())));
        }
        // Words, or any text beside them: any text.
        (_, None, Some(words)) if choices.iter().all(|choice| same_type(choice, words)) => {
            if choices.iter().all(|choice| !enumerated(choice).is_empty()) {
                let all: Vec<Json> = choices.iter().flat_map(enumerated).collect();
                merged.insert("enum".to_owned(), all.into());
            }
            merged.extend(words.get("type").cloned().map(|name| ("type".to_owned(), name)));
        }
        _ => {
            // A whole number or any, one file or several: the wider of both.
            let wider = [("number", "integer"), ("array", "string")];
            let wide = wider.iter().find(|(wide, narrow)| {
                typed(wide).is_some() && choices.len() == 2 && typed(narrow).is_some()
            });
            if let Some(choice) = wide.and_then(|(wide, _)| typed(wide)) {
                lay_under(merged, choice);
            }
        }
    }
}

fn same_type(a: &Json, b: &Json) -> bool {
    a.get("type") == b.get("type")
}

fn is_size(schema: &Json) -> bool {
    let Some(properties) = schema.get("properties").and_then(Json::as_object) else { return false };
    properties.contains_key("width") && properties.contains_key("height") && properties.len() <= 3
}

/// The only values that a schema admits; empty if it admits others.
pub(crate) fn enumerated(schema: &Json) -> Vec<Json> {
    let constant = schema.get("const").map(std::slice::from_ref);
    let listed = schema.get("enum").and_then(Json::as_array).map(Vec::as_slice);
    let words = listed.or(constant).unwrap_or_default();
    words.iter().filter(|word| !word.is_null()).cloned().collect()
}

/// What a resolved schema says that a value is.
pub(crate) fn kind(schema: &Json) -> Kind {
    if is_size(schema) {
        return Kind::Size;
    }
    let words = enumerated(schema);
    match schema.get("type").and_then(Json::as_str) {
        Some("string") => Kind::Text,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        Some("array") => {
            let item = schema.get("items").map_or(Kind::Any, kind);
            Kind::List(Box::new(item))
        }
        Some(_) => Kind::Any,
        None if !words.is_empty() && words.iter().all(Json::is_string) => Kind::Text,
        None if !words.is_empty() && words.iter().all(Json::is_i64) => Kind::Integer,
        None => Kind::Any,
    }
}

/// Whether a schema is one of a file, and of which kind if that can be told.
pub(crate) fn file_of(name: &str, about: &str, schema: &Json) -> Option<Option<MediaKind>> {
    let format = schema.get("format").and_then(Json::as_str).unwrap_or_default();
    let is_url = matches!(format, "uri" | "url" | "binary" | "byte")
        || schema.get("contentMediaType").is_some()
        || schema.get("contentEncoding").is_some();
    let lower = name.to_lowercase();
    let named = lower.ends_with("_url") || lower.ends_with("_urls") || lower == "url";
    let mut keys = schema.as_object().into_iter().flat_map(Map::keys);
    let has_field = keys.any(|key| key == "ui" || key.ends_with("_ui_field"));
    let told = about.to_lowercase();
    let told_url =
        told.starts_with("url of") || told.starts_with("the url of") || told.contains("data uri");
    (is_url || named || told_url || (has_field && told.contains("url")))
        .then(|| media_kind(&[&lower, &words_of(schema, "title").to_lowercase(), &told]))
}

/// The kind of media that words are about; the first of them that tells counts.
pub(crate) fn media_kind(texts: &[&str]) -> Option<MediaKind> {
    const WORDS: [(&str, MediaKind); 22] = [
        ("video", MediaKind::Video),
        ("image", MediaKind::Image),
        ("photo", MediaKind::Image),
        ("picture", MediaKind::Image),
        ("mask", MediaKind::Image),
        ("thumbnail", MediaKind::Image),
        ("frame", MediaKind::Image),
        ("audio", MediaKind::Audio),
        ("sound", MediaKind::Audio),
        ("voice", MediaKind::Audio),
        ("speech", MediaKind::Audio),
        ("music", MediaKind::Audio),
        ("mesh", MediaKind::Mesh),
        ("glb", MediaKind::Mesh),
        ("3d", MediaKind::Mesh),
        (".png", MediaKind::Image),
        (".jpg", MediaKind::Image),
        (".mp4", MediaKind::Video),
        (".mp3", MediaKind::Audio),
        (".wav", MediaKind::Audio),
        ("zip", MediaKind::Other),
        ("archive", MediaKind::Other),
    ];
    texts.iter().find_map(|text| {
        let places = WORDS.iter().filter_map(|(word, kind)| Some((text.find(word)?, *kind)));
        places.min_by_key(|(place, _)| *place).map(|(_, kind)| kind)
    })
}
