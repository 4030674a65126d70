//! The mapping vocabulary: how the input of a task becomes what an endpoint takes.
//!
//! It is closed and small. Each input has a [`Rule`]: verbs that change its value, always in the same
//! order whatever the order in the file (`enum`, `snap`, `clamp`, `times`, `as`, `prefix` and `suffix`,
//! `first`, `list`, `wrap`), and the places where it goes (`to`). Beside the rules there are `size`,
//! which makes one size of several inputs, `template`, which is there before anything else, `default`, said where nothing is, and `const`, always said.
//! Making a request is total: it never fails. An open mapping never drops an input; a closed one
//! drops what no rule names, and [`crate::Offer::problems`] has told so before.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use impasto_domain::{Value, Values};
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use crate::body::{Body, FileForm};
use crate::pointer::Pointer;
use crate::size::Size;

/// The input that carries parameters which only some models have, by their own names.
pub const OPTIONS: &str = "options";
/// The input whose entries go to the provider as they are, unchecked.
pub const PASSTHROUGH: &str = "passthrough";
/// What a template of `wrap` has in the place of the value.
const THE_VALUE: &str = "$";
/// What it has in the place of the media type of a file.
const THE_TYPE: &str = "$type";

/// Where an input goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Into the body.
    Body(Pointer),
    /// Into the query, written `?name`.
    Query(String),
    /// Into the path, written `{name}`.
    Path(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix('?') {
            return Ok(Self::Query(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return Ok(Self::Path(name.to_owned()));
        }
        let pointer: Pointer = text.parse()?;
        if !pointer.is_writable() {
            return Err(format!("nothing can be put at '{text}'"));
        }
        Ok(Self::Body(pointer))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(pointer) => pointer.fmt(f),
            Self::Query(name) => write!(f, "?{name}"),
            Self::Path(name) => write!(f, "{{{name}}}"),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a value is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A text.
    Text,
    /// A whole number, to the nearest.
    Integer,
    /// A number.
    Number,
}

/// A change of a value. The order of the variants is the order in which they are applied.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Another word for a text, a number or a truth; others stay.
    Enum(BTreeMap<String, Value>),
    /// The nearest of these numbers; of two equally near, the larger.
    Snap(Vec<f64>),
    /// Not less than the first and not more than the second.
    Clamp(Option<f64>, Option<f64>),
    /// So many times the number: seconds to milliseconds.
    Times(f64),
    /// Text for a number, or a number for a text.
    As(Shape),
    /// What comes before and after a text.
    Affix(String, String),
    /// The first of a list.
    First,
    /// A list of one, unless it is a list already.
    List,
    /// The value inside of something else, in the place of `"$"`; for a list, each item. The media
    /// type of a file is put in the place of `"$type"`.
    Wrap(Json),
}

impl Verb {
    pub(crate) fn change(&self, value: Value) -> Value {
        match self {
            Self::Enum(words) => {
                let word = scalar(&value).and_then(|word| words.get(&word));
                word.cloned().unwrap_or(value)
            }
            Self::Snap(steps) => of_number(value, |number| nearest(number, steps)),
            Self::Clamp(least, most) => clamp(value, *least, *most),
            Self::Times(factor) => of_number(value, |number| number * factor),
            Self::As(shape) => reshape(value, *shape),
            Self::Affix(prefix, suffix) => match scalar(&value) {
                Some(text) => Value::from(format!("{prefix}{text}{suffix}")),
                None => value,
            },
            Self::First => match value {
                Value::List(items) => items.into_iter().next().unwrap_or_default(),
                other => other,
            },
            Self::List => match value {
                Value::List(items) => Value::List(items),
                other => Value::List(vec![other]),
            },
            Self::Wrap(_) => value,
        }
    }
}

/// What a mask says where, and how. A task's masks are white where the picture may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskForm {
    /// White may change, black stays.
    #[default]
    White,
    /// Black may change, white stays.
    Black,
    /// What is transparent may change, what is opaque stays.
    Transparent,
}

impl MaskForm {
    /// Every form, by its name.
    pub const ALL: [(&str, Self); 3] =
        [("white", Self::White), ("black", Self::Black), ("transparent", Self::Transparent)];

    /// Its name, as files have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::White => "white",
            Self::Black => "black",
            Self::Transparent => "transparent",
        }
    }
}

/// What becomes of one input.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rule {
    /// Where it goes; empty means under its own name. With several, each item of a list goes to the
    /// next of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<Place>,
    /// What is done to it, in the order in which it is done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verbs: Vec<Verb>,
    /// How its files travel.
    #[serde(skip_serializing_if = "is_usual")]
    pub file: FileForm,
    /// What of a mask may change, as the endpoint has it.
    #[serde(skip_serializing_if = "is_white")]
    pub mask: MaskForm,
    /// A value that counts as nothing said: the task's default, where the offer does not take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsaid: Option<Value>,
}

fn is_white(form: &MaskForm) -> bool {
    *form == MaskForm::White
}

fn is_usual(form: &FileForm) -> bool {
    *form == FileForm::default()
}

impl Rule {
    /// The value with every verb applied that does not wrap it.
    fn value(&self, value: Value) -> Value {
        self.verbs.iter().fold(value, |value, verb| verb.change(value))
    }

    /// The value as the endpoint takes it.
    fn body(&self, value: Value) -> Body {
        let body = Body::of(&self.value(value), self.file);
        let wrap = self.verbs.iter().find_map(|verb| match verb {
            Verb::Wrap(template) => Some(template),
            _ => None,
        });
        match (wrap, body) {
            (None, body) => body,
            (Some(template), Body::List(items)) => {
                Body::List(items.into_iter().map(|item| filled(template, &item)).collect())
            }
            (Some(template), one) => filled(template, &one),
        }
    }
}

/// What goes to an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Request {
    /// The body.
    pub body: Body,
    /// Values of the query.
    pub query: BTreeMap<String, String>,
    /// What fills placeholders of the path.
    pub path: BTreeMap<String, String>,
}

impl Request {
    fn put(&mut self, place: &Place, value: Body) {
        match place {
            Place::Body(pointer) => pointer.put_freely(&mut self.body, value),
            Place::Query(name) => {
                self.query.extend(value.as_field().map(|text| (name.clone(), text)));
            }
            Place::Path(name) => {
                self.path.extend(value.as_field().map(|text| (name.clone(), text)));
            }
        }
    }

    fn lacks(&self, place: &Place) -> bool {
        match place {
            Place::Body(pointer) => {
                pointer.look(&self.body).is_none_or(|body| matches!(body, Body::Null))
            }
            Place::Query(name) => !self.query.contains_key(name),
            Place::Path(name) => !self.path.contains_key(name),
        }
    }

    /// Puts the value at each place in turn: one value at the first, the items of a list one after
    /// the other, all of them at a place that appends.
    fn spread(&mut self, places: &[Place], value: Body) {
        let appends = |place: &Place| matches!(place, Place::Body(pointer) if pointer.appends());
        match (places, value) {
            ([place], Body::List(items)) if appends(place) => {
                items.into_iter().for_each(|item| self.put(place, item));
            }
            ([_, _, ..], Body::List(items)) => {
                places.iter().zip(items).for_each(|(place, item)| self.put(place, item));
            }
            ([place, ..], value) => self.put(place, value),
            ([], _) => {}
        }
    }
}

/// How the input of a task becomes what an endpoint takes.
///
/// ```
/// use impasto_catalog::Mapping;
/// use impasto_domain::{Value, Values};
/// let input = Values::from([("prompt".to_owned(), Value::from("a mug"))]);
/// assert_eq!(Mapping::default().apply(input.clone()), input);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Mapping {
    /// Whether only inputs with a rule go through.
    pub(crate) closed: bool,
    /// What becomes of each input.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) rules: BTreeMap<String, Rule>,
    /// How a size is made of several inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<Box<Size>>,
    /// What the body is before anything is put into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<Box<Json>>,
    /// What is said where nothing is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) defaults: Vec<(Place, Value)>,
    /// What is always said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) consts: Vec<(Place, Value)>,
}

impl Mapping {
    /// Whether it leaves every input as it is.
    pub fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// Whether something is done with an input of that name.
    pub fn takes(&self, name: &str) -> bool {
        !self.closed
            || self.rules.contains_key(name)
            || name == PASSTHROUGH
            || name == OPTIONS
            || self.size.is_some() && Size::INPUTS.contains(&name)
    }

    /// The masks that mean something else to the endpoint than to the task.
    pub fn other_masks(&self) -> impl Iterator<Item = (&str, MaskForm)> {
        let other = self.rules.iter().filter(|(_, rule)| rule.mask != MaskForm::White);
        other.map(|(name, rule)| (name.as_str(), rule.mask))
    }

    /// What the endpoint takes for `input`, where names are all that it has: for operations of this
    /// process, which take values as they are.
    pub fn apply(&self, input: Values) -> Values {
        let name_of = |place: &Place| place.to_string();
        let mut mapped = Values::new();
        for (name, value) in input {
            match self.rules.get(&name) {
                Some(rule) => {
                    let to = rule.to.first().map_or(name, name_of);
                    mapped.insert(to, rule.value(value));
                }
                None if self.closed => {}
                None => {
                    mapped.insert(name, value);
                }
            }
        }
        for (place, value) in &self.defaults {
            let said = mapped.entry(name_of(place)).or_default();
            if said.is_null() {
                *said = value.clone();
            }
        }
        mapped.extend(self.consts.iter().map(|(place, value)| (name_of(place), value.clone())));
        mapped
    }

    /// What the endpoint takes for `input`. Files stay assets: whoever sends it hands them over as
    /// their [`FileForm`] says. Nothing is left out that a rule names; later rules win where two
    /// write to one place; `passthrough` has the last word but for constants.
    pub fn request(&self, input: &Values) -> Request {
        let body = self.template.as_ref().map_or_else(
            || Body::Map(BTreeMap::new()),
            |template| Body::from(Json::clone(template)),
        );
        let mut request = Request { body, ..Request::default() };
        let none = Values::new();
        let options = input.get(OPTIONS).and_then(Value::as_map).unwrap_or(&none);
        for (name, value) in input.iter().chain(options).filter(|(_, value)| !value.is_null()) {
            if name != OPTIONS && name != PASSTHROUGH {
                self.say(name, value, &mut request);
            }
        }
        if let Some(size) = &self.size {
            size.say(input, &mut |place, value| request.put(place, value));
        }
        for (place, value) in self.defaults.iter().filter(|(_, value)| !value.is_null()) {
            if request.lacks(place) {
                request.put(place, Body::of(value, FileForm::default()));
            }
        }
        for (name, value) in input.get(PASSTHROUGH).and_then(Value::as_map).unwrap_or(&none) {
            if let Ok(place) = name.parse::<Place>() {
                request.put(&place, Body::of(value, FileForm::default()));
            }
        }
        for (place, value) in &self.consts {
            request.put(place, Body::of(value, FileForm::default()));
        }
        request
    }

    fn say(&self, name: &str, value: &Value, request: &mut Request) {
        let Some(rule) = self.rules.get(name) else {
            let sized = self.size.is_some() && Size::INPUTS.contains(&name);
            if !self.closed && !sized {
                let body = Body::of(value, FileForm::default());
                request.put(&Place::Body(Pointer::key(name)), body);
            }
            return;
        };
        if rule.unsaid.as_ref() == Some(value) {
            return;
        }
        let body = rule.body(value.clone());
        if rule.to.is_empty() {
            request.put(&Place::Body(Pointer::key(name)), body);
        } else {
            request.spread(&rule.to, body);
        }
    }
}

/// A text, number or truth as text.
fn scalar(value: &Value) -> Option<String> {
    Some(match value {
        Value::Text(text) => text.clone(),
        Value::Boolean(truth) => truth.to_string(),
        number => match (number.as_integer(), number.as_number()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(number)) => number.to_string(),
            (None, None) => return None,
        },
    })
}

/// Changes a number; one that comes out whole is a whole number if it was one.
fn of_number(value: Value, change: impl Fn(f64) -> f64) -> Value {
    let Some(number) = value.as_number() else { return value };
    let changed = Value::Number(change(number));
    match (&value, changed.as_integer()) {
        (Value::Integer(_), Some(whole)) => Value::Integer(whole),
        _ => changed,
    }
}

fn nearest(number: f64, steps: &[f64]) -> f64 {
    let mut best = number;
    let mut distance = f64::INFINITY;
    for step in steps {
        let away = (step - number).abs();
        if away < distance || (away == distance && *step > best) {
            (best, distance) = (*step, away);
        }
    }
    best
}

fn clamp(value: Value, least: Option<f64>, most: Option<f64>) -> Value {
    let Some(number) = value.as_number() else { return value };
    let clamped = number.max(least.unwrap_or(number)).min(most.unwrap_or(f64::INFINITY));
    if clamped == number {
        return value;
    }
    // A whole number stays one, inside the limits rather than at them.
    match value {
        Value::Integer(_) if clamped < number => Value::Integer(clamped.floor() as i64),
        Value::Integer(_) => Value::Integer(clamped.ceil() as i64),
        _ => Value::Number(clamped),
    }
}

fn reshape(value: Value, shape: Shape) -> Value {
    let number = || value.as_number().or_else(|| value.as_text()?.trim().parse().ok());
    let number = || number().filter(|number: &f64| number.is_finite());
    match shape {
        Shape::Text => scalar(&value).map_or(value, Value::from),
        Shape::Number => number().map_or(value, Value::Number),
        Shape::Integer => match number().map(|number| Value::Number(number.round())) {
            Some(whole) => whole.as_integer().map_or(value, Value::Integer),
            None => value,
        },
    }
}

/// The template with the value in its place.
fn filled(template: &Json, value: &Body) -> Body {
    match template {
        Json::String(text) if text == THE_VALUE => value.clone(),
        Json::String(text) if text == THE_TYPE => match value {
            Body::File(file) => Body::Text(file.asset.media_type.clone()),
            _ => Body::Null,
        },
        Json::Array(items) => Body::List(items.iter().map(|item| filled(item, value)).collect()),
        Json::Object(entries) => Body::Map(
            entries.iter().map(|(name, entry)| (name.clone(), filled(entry, value))).collect(),
        ),
        plain => Body::from(plain.clone()),
    }
}
