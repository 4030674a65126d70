//! Values as Jinja sees them, and back again without loss.

use std::sync::Arc;

use impasto_domain::{AssetRef, Value};
use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error as JinjaError, ErrorKind as JinjaErrorKind, Value as Jinja};

/// The most parts that the result of an expression may have.
const MAX_PARTS: usize = 100_000;
/// The most bytes that its texts may have together.
const MAX_TEXT_BYTES: usize = 4 << 20;
/// The deepest nesting of the result of an expression.
const MAX_DEPTH: usize = 64;

/// An asset in an expression: it shows its facts and comes back as the same asset.
#[derive(Debug)]
struct Asset(AssetRef);

/// The facts that an asset shows.
pub(crate) const ASSET_FACTS: &[&str] =
    &["width", "height", "duration", "fps", "bytes", "media_type", "digest"];

/// One fact of an asset; null if it is not known, `None` if there is no such fact.
pub(crate) fn asset_fact(asset: &AssetRef, name: &str) -> Option<Value> {
    let facts = &asset.facts;
    let whole = |number: Option<u64>| {
        number.map_or(Value::Null, |n| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX)))
    };
    Some(match name {
        "width" => whole(facts.width.map(u64::from)),
        "height" => whole(facts.height.map(u64::from)),
        "duration" => facts.duration_ms.map_or(Value::Null, |ms| Value::Number(ms as f64 / 1000.0)),
        "fps" => facts.fps.map_or(Value::Null, Value::Number),
        "bytes" => whole(Some(facts.bytes)),
        "media_type" => Value::from(asset.media_type.as_str()),
        "digest" => Value::from(asset.digest.to_string()),
        _ => return None,
    })
}

impl Object for Asset {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        asset_fact(&self.0, key.as_str()?).as_ref().map(to_jinja)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(ASSET_FACTS)
    }
}

/// The value as Jinja sees it.
pub(crate) fn to_jinja(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Boolean(truth) => Jinja::from(*truth),
        Value::Integer(whole) => Jinja::from(*whole),
        Value::Number(number) => Jinja::from(*number),
        Value::Text(text) => Jinja::from(text.as_str()),
        Value::List(items) => items.iter().map(to_jinja).collect(),
        Value::Map(entries) => {
            Jinja::from_pairs(entries.iter().map(|(name, value)| (name.clone(), to_jinja(value))))
        }
        Value::Asset(asset) => Jinja::from_object(Asset(AssetRef::clone(asset))),
    }
}

/// The value that Jinja gave, or why it cannot be one.
pub(crate) fn from_jinja(value: &Jinja) -> Result<Value, String> {
    read(value, 0, &mut Room { parts: MAX_PARTS, text_bytes: MAX_TEXT_BYTES })
}

/// What there is still room for.
struct Room {
    parts: usize,
    text_bytes: usize,
}

impl Room {
    /// Takes room for a part; whether there was some.
    fn take(&mut self, part: &Jinja) -> bool {
        let text_bytes = part.as_str().map_or(0, str::len);
        let left = self.parts.checked_sub(1).zip(self.text_bytes.checked_sub(text_bytes));
        if let Some((parts, text_bytes)) = left {
            *self = Self { parts, text_bytes };
        }
        left.is_some()
    }
}

fn read(value: &Jinja, depth: usize, parts: &mut Room) -> Result<Value, String> {
    if depth > MAX_DEPTH || !parts.take(value) {
        return Err("the expression gives too much data".into());
    }
    Ok(match value.kind() {
        ValueKind::Undefined => {
            return Err("the expression gives something that is not there".into());
        }
        ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Boolean(value.is_true()),
        ValueKind::Number => number(value)?,
        ValueKind::String => Value::from(value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => Value::List(
            value
                .try_iter()
                .map_err(|error| error.to_string())?
                .map(|item| read(&item, depth + 1, parts))
                .collect::<Result<_, _>>()?,
        ),
        ValueKind::Map => match value.downcast_object_ref::<Asset>() {
            Some(asset) => Value::from(asset.0.clone()),
            None => map(value, depth, parts)?,
        },
        ValueKind::Invalid => return Err(value.to_string()),
        other => return Err(format!("the expression gives {other}, which cannot be kept")),
    })
}

fn number(value: &Jinja) -> Result<Value, String> {
    if value.is_integer() {
        return value.as_i64().map(Value::Integer).ok_or_else(|| format!("{value} is too large"));
    }
    match f64::try_from(value.clone()) {
        Ok(number) if number.is_finite() => Ok(Value::Number(number)),
        _ => Err(format!("{value} is not a finite number")),
    }
}

fn map(value: &Jinja, depth: usize, parts: &mut Room) -> Result<Value, String> {
    let keys = value.try_iter().map_err(|error| error.to_string())?;
    let entries = keys.map(|key| {
        let held = value.get_item(&key).map_err(|error| error.to_string())?;
        let name = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        Ok((name, read(&held, depth + 1, parts)?))
    });
    Ok(Value::Map(entries.collect::<Result<_, String>>()?))
}

/// The filter `flatten`: lists in a list become one list, one level deep.
pub(crate) fn flatten(value: &Jinja) -> Result<Jinja, JinjaError> {
    let mut flat: Vec<Jinja> = Vec::new();
    for item in value.try_iter()? {
        if matches!(item.kind(), ValueKind::Seq | ValueKind::Iterable) {
            flat.extend(item.try_iter()?);
        } else {
            flat.push(item);
        }
        if flat.len() > MAX_PARTS {
            return Err(JinjaError::new(JinjaErrorKind::InvalidOperation, "the list is too long"));
        }
    }
    Ok(flat.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_domain::{Digest, MediaFacts, Values};
    use proptest::prelude::*;

    fn asset() -> AssetRef {
        let facts = MediaFacts {
            bytes: 9,
            width: Some(4),
            duration_ms: Some(1500),
            ..MediaFacts::default()
        };
        AssetRef { digest: Digest::of(b"x"), media_type: "video/mp4".into(), facts }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::Integer),
            (-1e15..1e15f64).prop_map(Value::Number),
            Just(Value::Number(3.0)),
            ".{0,40}".prop_map(Value::Text),
            Just(Value::from(asset())),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                proptest::collection::btree_map(".{0,6}", inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn comes_back_as_it_went(value in any_value()) {
            prop_assert_eq!(from_jinja(&to_jinja(&value)).unwrap(), value);
        }
    }

    #[test]
    fn an_asset_shows_its_facts() {
        let shown = to_jinja(&Value::from(asset()));
        assert_eq!(shown.get_attr("width").unwrap(), Jinja::from(4));
        assert_eq!(shown.get_attr("duration").unwrap(), Jinja::from(1.5));
        assert!(shown.get_attr("fps").unwrap().is_none());
        assert!(shown.get_attr("colour").unwrap().is_undefined());
    }

    #[test]
    fn flattens_one_level() {
        let nested = to_jinja(&Value::from(vec![
            Value::from(vec![Value::from(1), Value::from(vec![Value::from(2)])]),
            Value::from(3),
        ]));
        let flat = from_jinja(&flatten(&nested).unwrap()).unwrap();
        assert_eq!(flat.to_json(), serde_json::json!([1, [2], 3]));
        let _: Values = Values::new();
    }
}
