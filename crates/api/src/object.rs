//! Objects inside of bodies. The values of an object are not taken from a list in the order of its
//! fields, which is what a reader would do by itself.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads an object, and nothing else.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_map(Object(PhantomData))
}

/// The same where it may be absent or `null`.
pub(crate) fn optional<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Read<T>>::deserialize(deserializer)?.map(|read| read.0))
}

struct Read<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer).map(Self)
    }
}

struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use crate::{KeyRequest, PlanRequest, RunRequest};

    #[test]
    fn an_object_is_read_from_no_list() {
        let check = |read: Result<(), serde_json::Error>, good: bool| {
            assert_eq!(read.is_ok(), good, "{read:?}");
        };
        let run = |text| serde_json::from_str::<RunRequest>(text).map(drop);
        let plan = |text| serde_json::from_str::<PlanRequest>(text).map(drop);
        let key = |text| serde_json::from_str::<KeyRequest>(text).map(drop);
        check(run(r#"{"policy": {"tier": "draft"}, "webhook": {"url": "x"}}"#), true);
        check(run(r#"{"policy": null}"#), true);
        check(run(r#"{"policy": ["draft"]}"#), false);
        check(run(r#"{"policy": []}"#), false);
        check(run(r#"{"policy": {"odd": 1}}"#), false);
        check(run(r#"{"webhook": ["https://a.example"]}"#), false);
        check(plan(r#"{"policy": ["draft"]}"#), false);
        check(key(r#"{"tenant": "acme", "limits": [1]}"#), false);
        check(key(r#"{"tenant": "acme", "limits": {"concurrent": 1}}"#), true);
    }
}
