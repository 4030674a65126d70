//! Tasks: kinds of work with typed input and output.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{MediaKind, TaskId, Value, Values};

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Text.
    Text,
    /// A prompt: text, or a map of its parts (subject, style, lighting, …).
    Prompt,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// A file of one kind of media.
    Media(MediaKind),
    /// Any plain data.
    Json,
    /// Values of one type, in order.
    List(Box<Type>),
}

impl Type {
    /// Whether `value` is of this type. `null` is of no type but [`Type::Json`].
    pub fn admits(&self, value: &Value) -> bool {
        match self {
            Self::Text => matches!(value, Value::Text(_)),
            Self::Prompt => matches!(value, Value::Text(_) | Value::Map(_)),
            Self::Integer => value.as_integer().is_some(),
            Self::Number => value.as_number().is_some(),
            Self::Boolean => matches!(value, Value::Boolean(_)),
            Self::Media(kind) => value.as_asset().is_some_and(|asset| asset.kind() == *kind),
            Self::Json => true,
            Self::List(item) => {
                value.as_list().is_some_and(|items| items.iter().all(|i| item.admits(i)))
            }
        }
    }

    /// Whether a value of type `other` can stand where this type is asked for.
    pub fn accepts(&self, other: &Type) -> bool {
        match (self, other) {
            (Self::Json, _) | (_, Self::Json) => true,
            (Self::Number, Self::Integer) | (Self::Prompt, Self::Text) => true,
            (Self::List(wanted), Self::List(given)) => wanted.accepts(given),
            (wanted, given) => wanted == given,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.pad("text"),
            Self::Prompt => f.pad("prompt"),
            Self::Integer => f.pad("integer"),
            Self::Number => f.pad("number"),
            Self::Boolean => f.pad("boolean"),
            Self::Media(kind) => kind.fmt(f),
            Self::Json => f.pad("json"),
            Self::List(item) => f.pad(&format!("list<{item}>")),
        }
    }
}

impl FromStr for Type {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(item) = text.strip_prefix("list<").and_then(|rest| rest.strip_suffix('>')) {
            return Ok(Self::List(Box::new(item.parse()?)));
        }
        Ok(match text {
            "text" => Self::Text,
            "prompt" => Self::Prompt,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "image" => Self::Media(MediaKind::Image),
            "video" => Self::Media(MediaKind::Video),
            "audio" => Self::Media(MediaKind::Audio),
            "mesh" => Self::Media(MediaKind::Mesh),
            "world" => Self::Media(MediaKind::World),
            "file" => Self::Media(MediaKind::Other),
            "json" => Self::Json,
            _ => {
                return Err(format!(
                    "'{text}' is not a type; there are text, prompt, integer, number, boolean, image, \
                     video, audio, mesh, world, file, json and list<…>"
                ));
            }
        })
    }
}

impl Serialize for Type {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One named, typed field of a task's or workflow's input or output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// What it means.
    #[serde(default)]
    pub description: String,
    /// Whether it must be given.
    #[serde(default)]
    pub required: bool,
    /// What it is when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The least a number may be, or the fewest items of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The most a number may be, or the most items of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The longest a text may be, in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_chars: Option<usize>,
    /// The only texts that will do; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The unit of a number, such as `s` or `px`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl Field {
    /// What is wrong with `value` for this field, as a sentence with the remedy; `None` if nothing.
    pub fn problem(&self, value: &Value) -> Option<String> {
        let name = &self.name;
        if !self.ty.admits(value) {
            return Some(format!(
                "`{name}` needs {}, but was given {}",
                self.ty,
                value.type_name()
            ));
        }
        if let Some(text) = value.as_text() {
            if !self.values.is_empty() && !self.values.iter().any(|allowed| allowed == text) {
                return Some(format!("`{name}` is '{text}'; it can be {}", self.values.join(", ")));
            }
            let (length, most) = (text.chars().count(), self.max_chars.unwrap_or(usize::MAX));
            if length > most {
                return Some(format!("`{name}` has {length} characters, the most is {most}"));
            }
        }
        let unit = self.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
        let (size, what) = match value {
            Value::List(items) => (items.len() as f64, "has"),
            other => (other.as_number()?, "is"),
        };
        if let Some(least) = self.min.filter(|least| size < *least) {
            return Some(format!("`{name}` {what} {size}{unit}, the least is {least}{unit}"));
        }
        if let Some(most) = self.max.filter(|most| size > *most) {
            return Some(format!("`{name}` {what} {size}{unit}, the most is {most}{unit}"));
        }
        None
    }
}

/// A kind of work with typed input and output, read from a file of the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id, such as `text-to-image`.
    pub id: TaskId,
    /// Its name for people.
    pub title: String,
    /// What it does, in a sentence or two.
    pub description: String,
    /// Words by which it is known in the names of endpoints, such as `upscaler`: small letters, with
    /// `-` between.
    #[serde(skip)]
    pub words: Vec<String>,
    /// What it takes.
    pub input: Vec<Field>,
    /// What it gives.
    pub output: Vec<Field>,
    /// Whether it takes a video as a timeline that has not been rendered yet.
    pub lazy_video: bool,
    /// Whether a tool of this process gets foreign files as they came, because it only passes them on.
    pub foreign_files: bool,
}

impl Task {
    /// The input field of that name.
    pub fn input_field(&self, name: &str) -> Option<&Field> {
        self.input.iter().find(|field| field.name == name)
    }

    /// The output field of that name.
    pub fn output_field(&self, name: &str) -> Option<&Field> {
        self.output.iter().find(|field| field.name == name)
    }

    /// The input with defaults filled in and nulls dropped, or everything that is wrong with it.
    pub fn admit(&self, given: Values) -> Result<Values, Vec<String>> {
        admit(&self.input, given)
    }
}

/// Checks `given` against `fields`: see [`Task::admit`].
pub(crate) fn admit(fields: &[Field], given: Values) -> Result<Values, Vec<String>> {
    let mut problems = Vec::new();
    let mut admitted: Values = given.into_iter().filter(|(_, value)| !value.is_null()).collect();
    for name in admitted.keys().filter(|name| fields.iter().all(|field| &field.name != *name)) {
        let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let near = nearest(name, &known).map(|near| format!("did you mean `{near}`? "));
        let near = near.unwrap_or_default();
        problems.push(format!("there is no input `{name}`; {near}there are {}", known.join(", ")));
    }
    for field in fields {
        match (admitted.get(&field.name), &field.default) {
            (Some(value), _) => problems.extend(field.problem(value)),
            (None, Some(default)) => {
                admitted.insert(field.name.clone(), default.clone());
            }
            (None, None) if field.required => problems.push(format!("`{}` is missing", field.name)),
            (None, None) => {}
        }
    }
    if problems.is_empty() { Ok(admitted) } else { Err(problems) }
}

/// The name that was probably meant, if one is near enough: a third of its letters may differ.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let furthest = (word.chars().count() / 3).max(1);
    let distances = known.iter().map(|name| (strsim::damerau_levenshtein(word, name), *name));
    distances.filter(|(distance, _)| *distance <= furthest).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_told_with_the_nearest() {
        let problems = task().admit(values(serde_json::json!({"prompt": "m", "siez": "s"})));
        let expected = "there is no input `siez`; did you mean `size`? there are prompt, n, size";
        assert_eq!(problems.unwrap_err(), [expected]);
    }

    fn task() -> Task {
        let fields = serde_json::json!([
            {"name": "prompt", "type": "prompt", "required": true, "max_chars": 10},
            {"name": "n", "type": "integer", "default": 1, "min": 1, "max": 4},
            {"name": "size", "type": "text", "values": ["s", "l"]},
        ]);
        Task {
            id: TaskId::new("t"),
            title: String::new(),
            description: String::new(),
            words: vec![],
            input: serde_json::from_value(fields).unwrap(),
            output: vec![],
            lazy_video: false,
            foreign_files: false,
        }
    }

    fn values(json: serde_json::Value) -> Values {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn fills_in_defaults_and_drops_nulls() {
        let admitted =
            task().admit(values(serde_json::json!({"prompt": "mug", "size": null}))).unwrap();
        assert_eq!(admitted, values(serde_json::json!({"prompt": "mug", "n": 1})));
    }

    #[test]
    fn names_everything_that_is_wrong() {
        let given =
            serde_json::json!({"prompt": "much too long", "n": 9, "size": "m", "colour": 1});
        let problems = task().admit(values(given)).unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems.iter().any(|p| p == "`n` is 9, the most is 4"));
        assert_eq!(task().admit(Values::new()).unwrap_err(), ["`prompt` is missing"]);
    }

    #[test]
    fn types_read_back() {
        for text in ["text", "list<list<image>>", "json", "mesh"] {
            assert_eq!(text.parse::<Type>().unwrap().to_string(), text);
        }
        assert!("list<pixel>".parse::<Type>().is_err());
    }
}
