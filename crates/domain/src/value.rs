//! The values that flow between steps.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use crate::AssetRef;

/// The key that marks an asset in the JSON form of a value.
const ASSET_KEY: &str = "$asset";

/// Named values: the input or the output of a call.
pub type Values = BTreeMap<String, Value>;

/// A value: plain data, or a reference to an asset.
///
/// Its JSON form is what one would write by hand; an asset is `{"$asset": {…}}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
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
    List(Vec<Value>),
    /// Values by name.
    Map(Values),
    /// A file. Boxed, since what is known of it is much larger than any other value.
    Asset(Box<AssetRef>),
}

impl Value {
    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, if it is one; whole numbers count.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Integer(whole) => Some(*whole as f64),
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The whole number, if it is one; `3.0` counts.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(whole) => Some(*whole),
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Some(*number as i64)
            }
            _ => None,
        }
    }

    /// True or false, if it is either.
    pub fn as_boolean(&self) -> Option<bool> {
        if let Self::Boolean(truth) = self { Some(*truth) } else { None }
    }

    /// The asset, if it is one.
    pub fn as_asset(&self) -> Option<&AssetRef> {
        if let Self::Asset(asset) = self { Some(asset) } else { None }
    }

    /// The list, if it is one.
    pub fn as_list(&self) -> Option<&[Value]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&Values> {
        if let Self::Map(entries) = self { Some(entries) } else { None }
    }

    /// Whether it is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What it is, in a word, for messages.
    pub fn type_name(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Boolean(_) => "boolean".into(),
            Self::Integer(_) => "integer".into(),
            Self::Number(_) => "number".into(),
            Self::Text(_) => "text".into(),
            Self::List(_) => "list".into(),
            Self::Map(_) => "map".into(),
            Self::Asset(asset) => asset.kind().to_string(),
        }
    }

    /// Every asset in it, however deep, in order.
    pub fn assets(&self) -> Vec<&AssetRef> {
        match self {
            Self::Asset(asset) => vec![asset],
            Self::List(items) => items.iter().flat_map(Self::assets).collect(),
            Self::Map(entries) => entries.values().flat_map(Self::assets).collect(),
            _ => Vec::new(),
        }
    }

    /// Its JSON form.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Boolean(truth) => Json::from(*truth),
            Self::Integer(whole) => Json::from(*whole),
            Self::Number(number) => Json::from(*number),
            Self::Text(text) => Json::from(text.as_str()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => {
                entries.iter().map(|(name, value)| (name.clone(), value.to_json())).collect()
            }
            Self::Asset(asset) => serde_json::json!({ ASSET_KEY: asset }),
        }
    }

    /// The value that a JSON form stands for. A map whose only key is `$asset` must be an asset.
    pub fn from_json(json: Json) -> Result<Self, String> {
        Ok(match json {
            Json::Null => Self::Null,
            Json::Bool(truth) => Self::Boolean(truth),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Self::Integer(whole),
                None => Self::Number(number.as_f64().unwrap_or(f64::MAX)),
            },
            Json::String(text) => Self::Text(text),
            Json::Array(items) => {
                Self::List(items.into_iter().map(Self::from_json).collect::<Result<_, _>>()?)
            }
            Json::Object(mut entries) if entries.len() == 1 && entries.contains_key(ASSET_KEY) => {
                let asset = entries.remove(ASSET_KEY).unwrap_or_default();
                Self::Asset(
                    serde_json::from_value(asset).map_err(|error| format!("bad asset: {error}"))?,
                )
            }
            Json::Object(entries) => Self::Map(
                entries
                    .into_iter()
                    .map(|(name, value)| Ok((name, Self::from_json(value)?)))
                    .collect::<Result<_, String>>()?,
            ),
        })
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Boolean(truth) => serializer.serialize_bool(*truth),
            Self::Integer(whole) => serializer.serialize_i64(*whole),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => serializer.collect_map(entries),
            Self::Asset(asset) => serializer.collect_map([(ASSET_KEY, asset)]),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Json::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

macro_rules! from_plain {
    ($($plain:ty => $variant:ident),* $(,)?) => {$(
        impl From<$plain> for Value {
            fn from(plain: $plain) -> Self {
                Self::$variant(plain.into())
            }
        }
    )*};
}

from_plain! {
    bool => Boolean,
    i64 => Integer,
    i32 => Integer,
    u32 => Integer,
    f64 => Number,
    &str => Text,
    String => Text,
    AssetRef => Asset,
    Values => Map,
    Vec<Value> => List,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digest, MediaFacts};

    #[test]
    fn json_form_reads_back() {
        let asset = AssetRef {
            digest: Digest::of(b"x"),
            media_type: "image/png".into(),
            facts: MediaFacts { bytes: 1, width: Some(4), ..MediaFacts::default() },
        };
        let value = Value::from(vec![
            Value::Null,
            Value::from(1.5),
            Value::from(-3),
            Value::from("text"),
            Value::from(asset),
            Value::from(Values::from([("a".to_owned(), Value::from(true))])),
        ]);
        let text = serde_json::to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        assert_eq!(Value::from_json(value.to_json()).unwrap(), value);
        assert_eq!(value.assets().len(), 1);
    }

    #[test]
    fn a_broken_asset_is_refused() {
        assert!(serde_json::from_str::<Value>(r#"{"$asset": {"digest": "12"}}"#).is_err());
    }
}
