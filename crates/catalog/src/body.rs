//! What an endpoint is told: plain data in which the files are still assets.
//!
//! A mapping makes a [`Body`] without touching a byte of a file. Whoever sends it decides how each
//! [`FilePart`] travels (a URL, an upload, inline) and then has plain JSON, or the parts of a form.

use std::collections::BTreeMap;

use impasto_domain::{AssetRef, Value};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// How a file is handed to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileForm {
    /// By a URL that the provider can read: uploaded first, or a URL that it gave us itself.
    #[default]
    Url,
    /// By the id that an upload answered.
    Upload,
    /// Inline, as base64 without a prefix.
    Base64,
    /// Inline, as `data:TYPE;base64,…`.
    DataUri,
    /// As a part of a multipart body.
    Part,
}

/// A file in a body.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilePart {
    /// The file.
    pub asset: AssetRef,
    /// How the endpoint wants it.
    pub form: FileForm,
}

/// What an endpoint is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Body {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number; always finite.
    Number(f64),
    /// Text.
    Text(String),
    /// Values in order.
    List(Vec<Body>),
    /// Values by name.
    Map(BTreeMap<String, Body>),
    /// A file that is still to be handed over.
    File(FilePart),
}

impl Body {
    /// What it is for `value`; its files travel in `form`. A whole number stays one even if it was
    /// written with a point.
    pub fn of(value: &Value, form: FileForm) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Boolean(truth) => Self::Boolean(*truth),
            Value::Integer(whole) => Self::Integer(*whole),
            Value::Number(number) => {
                value.as_integer().map_or(Self::Number(*number), Self::Integer)
            }
            Value::Text(text) => Self::Text(text.clone()),
            Value::List(items) => {
                Self::List(items.iter().map(|item| Self::of(item, form)).collect())
            }
            Value::Map(entries) => {
                let entry =
                    |(name, value): (&String, &Value)| (name.clone(), Self::of(value, form));
                Self::Map(entries.iter().map(entry).collect())
            }
            Value::Asset(asset) => Self::File(FilePart { asset: AssetRef::clone(asset), form }),
        }
    }

    /// Its files, in order.
    pub fn files(&self) -> Vec<&FilePart> {
        match self {
            Self::File(file) => vec![file],
            Self::List(items) => items.iter().flat_map(Self::files).collect(),
            Self::Map(entries) => entries.values().flat_map(Self::files).collect(),
            _ => Vec::new(),
        }
    }

    /// As JSON, each file being what `hand_over` says for it.
    ///
    /// # Errors
    /// The first error of `hand_over`.
    pub fn resolve<E>(
        &self,
        hand_over: &mut impl FnMut(&FilePart) -> Result<Json, E>,
    ) -> Result<Json, E> {
        Ok(match self {
            Self::Null => Json::Null,
            Self::Boolean(truth) => Json::from(*truth),
            Self::Integer(whole) => Json::from(*whole),
            Self::Number(number) => Json::from(*number),
            Self::Text(text) => Json::from(text.as_str()),
            Self::List(items) => {
                let items: Result<Vec<Json>, E> =
                    items.iter().map(|item| item.resolve(hand_over)).collect();
                Json::Array(items?)
            }
            Self::Map(entries) => {
                let mut object = serde_json::Map::new();
                for (name, value) in entries {
                    object.insert(name.clone(), value.resolve(hand_over)?);
                }
                Json::Object(object)
            }
            Self::File(file) => hand_over(file)?,
        })
    }

    /// As JSON, if there is no file in it.
    pub fn plain(&self) -> Option<Json> {
        self.resolve(&mut |_| Err(())).ok()
    }

    /// Its parts as a form has them: lists repeat a name, what is nested is `outer[inner]`, a file
    /// stays a file. Nulls are left out.
    pub fn parts(&self) -> Vec<(String, &Body)> {
        let mut parts = Vec::new();
        if let Self::Map(entries) = self {
            for (name, value) in entries {
                value.add_parts(name.clone(), &mut parts);
            }
        }
        parts
    }

    fn add_parts<'b>(&'b self, name: String, parts: &mut Vec<(String, &'b Body)>) {
        match self {
            Self::Null => {}
            Self::List(items) => items.iter().for_each(|item| item.add_parts(name.clone(), parts)),
            Self::Map(entries) => {
                for (inner, value) in entries {
                    value.add_parts(format!("{name}[{inner}]"), parts);
                }
            }
            _ => parts.push((name, self)),
        }
    }

    /// The value as a text of a form or a query: `true`, `5`, `a cat`. Nothing for what has no such
    /// text.
    pub fn as_field(&self) -> Option<String> {
        Some(match self {
            Self::Boolean(truth) => truth.to_string(),
            Self::Integer(whole) => whole.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            _ => return None,
        })
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Json> for Body {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(truth) => Self::Boolean(truth),
            Json::Number(number) => number
                .as_i64()
                .map_or_else(|| Self::Number(number.as_f64().unwrap_or_default()), Self::Integer),
            Json::String(text) => Self::Text(text),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Json::Object(object) => Self::Map(
                object.into_iter().map(|(name, value)| (name, Self::from(value))).collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_form_repeats_lists_and_nests_names() {
        let body = Body::from(json!({"a": [1, 2], "b": {"c": true}, "d": null, "e": "x"}));
        let parts: Vec<(String, String)> = body
            .parts()
            .into_iter()
            .map(|(name, value)| (name, value.as_field().unwrap()))
            .collect();
        let expected = [("a", "1"), ("a", "2"), ("b[c]", "true"), ("e", "x")];
        assert_eq!(parts, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }
}
