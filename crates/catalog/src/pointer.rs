//! Places in JSON: pointers with two additions.
//!
//! A pointer is written as in RFC 6901 (`/data/task_id`). `*` stands for every item of a list or
//! every value of an object; `-` at the end, when writing, for the place after the last item. A text
//! without a leading `/` is the name of one key at the top, whatever characters it has.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use crate::body::Body;

/// The furthest place of a list that may be written to.
const PLACES_MAX: usize = 256;

/// A place in JSON.
///
/// ```
/// use impasto_catalog::Pointer;
/// let answer = serde_json::json!({"images": [{"url": "a"}, {"url": "b"}]});
/// let urls: Pointer = "/images/*/url".parse()?;
/// assert_eq!(urls.all(&answer), ["a", "b"]);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Step {
    Key(String),
    Every,
    Append,
}

impl Pointer {
    /// The place of one key at the top.
    pub fn key(name: &str) -> Self {
        Self(vec![Step::Key(name.to_owned())])
    }

    /// Whether it is the whole document.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it can be written to: `*` cannot.
    pub fn is_writable(&self) -> bool {
        !self.0.contains(&Step::Every) && !self.0.is_empty()
    }

    /// Whether it stands for the place after the last item of a list.
    pub fn appends(&self) -> bool {
        self.0.last() == Some(&Step::Append)
    }

    /// Whether it may stand for more than one place.
    pub fn is_many(&self) -> bool {
        self.0.contains(&Step::Every)
    }

    /// The name of the key at the top that it begins with, if it begins with one.
    pub fn first_key(&self) -> Option<&str> {
        match self.0.first() {
            Some(Step::Key(key)) => Some(key),
            _ => None,
        }
    }

    /// Whether it is one key at the top and no more.
    pub fn is_key(&self) -> bool {
        matches!(self.0.as_slice(), [Step::Key(_)])
    }

    /// Everything at this place, in order. Nulls are there too.
    pub fn all<'j>(&self, json: &'j Json) -> Vec<&'j Json> {
        let mut found = vec![json];
        for step in &self.0 {
            let mut next = Vec::new();
            for value in found {
                match (step, value) {
                    (Step::Key(key), Json::Object(object)) => next.extend(object.get(key)),
                    (Step::Key(key), Json::Array(items)) => {
                        next.extend(key.parse::<usize>().ok().and_then(|place| items.get(place)));
                    }
                    (Step::Every, Json::Object(object)) => next.extend(object.values()),
                    (Step::Every, Json::Array(items)) => next.extend(items),
                    _ => {}
                }
            }
            found = next;
        }
        found
    }

    /// The first thing at this place that is not null.
    pub fn first<'j>(&self, json: &'j Json) -> Option<&'j Json> {
        self.all(json).into_iter().find(|value| !value.is_null())
    }

    /// Puts `value` at this place of `body`, making the objects and lists on the way. What is there
    /// already is replaced, except that two maps are merged.
    ///
    /// # Errors
    /// A sentence saying why there is no such place.
    pub fn put(&self, body: &mut Body, value: Body) -> Result<(), String> {
        let mut place = body;
        for (depth, step) in self.0.iter().enumerate() {
            let in_list = match step {
                Step::Append => true,
                // Digits below an object that is there are a key of it.
                Step::Key(key) => {
                    key.bytes().all(|byte| byte.is_ascii_digit())
                        && depth > 0
                        && !matches!(place, Body::Map(_))
                }
                Step::Every => return Err(format!("`{self}` stands for many places")),
            };
            if matches!(place, Body::Null) {
                *place = if in_list { Body::List(Vec::new()) } else { Body::Map(BTreeMap::new()) };
            }
            place = match (step, place) {
                (Step::Key(key), Body::Map(entries)) => entries.entry(key.clone()).or_default(),
                (Step::Key(key), Body::List(items)) => item_at(items, key)
                    .ok_or_else(|| format!("`{self}` is not a place of a list"))?,
                (Step::Append, Body::List(items)) => {
                    items.push(Body::Null);
                    let last = items.len() - 1;
                    items.get_mut(last).ok_or_else(|| format!("`{self}` is no place"))?
                }
                _ => return Err(format!("there is something else on the way to `{self}`")),
            };
        }
        match (place, value) {
            (Body::Map(there), Body::Map(more)) => there.extend(more),
            (place, value) => *place = value,
        }
        Ok(())
    }
}

impl Pointer {
    /// As [`Pointer::put`], but what is in the way gives way. Used where places come from a caller.
    pub(crate) fn put_freely(&self, body: &mut Body, value: Body) {
        if self.put(body, value.clone()).is_err()
            && let Some(key) = self.first_key()
        {
            if let Body::Map(entries) = body {
                entries.remove(key);
            }
            // It can still be no place at all: then there is nothing that could be said there.
            let _no_place = self.put(body, value);
        }
    }

    /// What is at this place of a body, where it stands for one place.
    pub(crate) fn look<'b>(&self, body: &'b Body) -> Option<&'b Body> {
        self.0.iter().try_fold(body, |place, step| match (step, place) {
            (Step::Key(key), Body::Map(entries)) => entries.get(key),
            (Step::Key(key), Body::List(items)) => {
                key.parse::<usize>().ok().and_then(|place| items.get(place))
            }
            _ => None,
        })
    }
}

fn item_at<'b>(items: &'b mut Vec<Body>, key: &str) -> Option<&'b mut Body> {
    let place: usize = key.parse().ok().filter(|place| *place < PLACES_MAX)?;
    while items.len() <= place {
        items.push(Body::Null);
    }
    items.get_mut(place)
}

impl FromStr for Pointer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let Some(rest) = text.strip_prefix('/') else { return Ok(Self::key(text)) };
        let steps: Vec<Step> = rest
            .split('/')
            .map(|step| match step {
                "*" => Step::Every,
                "-" => Step::Append,
                key => Step::Key(key.replace("~1", "/").replace("~0", "~")),
            })
            .collect();
        let before_last = steps.len().saturating_sub(1);
        if steps.iter().take(before_last).any(|step| *step == Step::Append) {
            return Err(format!("in '{text}', `-` can only be the last step"));
        }
        Ok(Self(steps))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [Step::Key(key)] = self.0.as_slice()
            && !key.contains('/')
        {
            return f.pad(key);
        }
        for step in &self.0 {
            match step {
                Step::Key(key) => write!(f, "/{}", key.replace('~', "~0").replace('/', "~1"))?,
                Step::Every => f.write_str("/*")?,
                Step::Append => f.write_str("/-")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_places_and_every_item() {
        let answer =
            json!({"data": {"jobs": [{"s": "Done"}, {"s": null}, {"s": "Wait"}]}, "a/b": 1});
        let all = |text: &str| -> Vec<Json> {
            let pointer: Pointer = text.parse().unwrap();
            pointer.all(&answer).into_iter().cloned().collect()
        };
        assert_eq!(all("/data/jobs/*/s"), [json!("Done"), Json::Null, json!("Wait")]);
        assert_eq!(all("/data/jobs/2/s"), [json!("Wait")]);
        assert_eq!(all("/a~1b"), [json!(1)]);
        assert_eq!(all("a/b"), [json!(1)]);
        assert_eq!(all("/data/none/x"), [] as [Json; 0]);
        assert_eq!(all(""), std::slice::from_ref(&answer));
        assert!("/a/-/b".parse::<Pointer>().is_err());
    }

    #[test]
    fn writes_make_what_is_missing() {
        let mut body = Body::default();
        for (place, value) in
            [("model", "x"), ("/instances/0/prompt", "p"), ("/content/-", "a"), ("/content/-", "b")]
        {
            place.parse::<Pointer>().unwrap().put(&mut body, Body::from(value)).unwrap();
        }
        let expected = json!({"model": "x", "instances": [{"prompt": "p"}], "content": ["a", "b"]});
        assert_eq!(body.plain(), Some(expected));
        assert!("/model/x".parse::<Pointer>().unwrap().put(&mut body, Body::Null).is_err());
        assert!(
            "/instances/999999".parse::<Pointer>().unwrap().put(&mut body, Body::Null).is_err()
        );
    }

    #[test]
    fn they_read_back() {
        for text in ["seed", "/a/b", "/a/*/c", "/a/-", "", "/a~1b/c"] {
            assert_eq!(text.parse::<Pointer>().unwrap().to_string(), text);
        }
    }
}
