//! Messages of a realtime connection: MessagePack, where bytes may stand beside text.

use bytes::Bytes;
use impasto_domain::{Error, Result};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Number, Value as Json};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How deep a message may be nested.
const DEPTH_MAX: usize = 64;

/// The bytes of a file that stand in a message beside what is said of it.
#[derive(Clone, Debug)]
pub struct Content {
    /// The name of the output that is the file.
    pub name: String,
    /// Its place, if the output is a list.
    pub place: Option<usize>,
    /// The bytes.
    pub bytes: Bytes,
}

/// A message as JSON; bytes in it become data URIs, as they would be sent in JSON.
///
/// # Errors
/// It is not MessagePack, or nested too deeply.
pub fn read(message: &[u8]) -> Result<Json> {
    let mut decoder = rmp_serde::Deserializer::from_read_ref(message);
    decoder.set_max_depth(DEPTH_MAX);
    let read = Packed::deserialize(&mut decoder);
    let bad = |error| Error::invalid(format!("the message is no MessagePack: {error}"));
    read.map(|Packed(json)| json).map_err(bad)
}

/// The message that JSON becomes, with the bytes of files as `content` of what describes them.
///
/// # Errors
/// It cannot be written.
pub fn write(output: &Json, contents: &[Content]) -> Result<Vec<u8>> {
    rmp_serde::to_vec(&Node { json: output, name: None, place: None, contents })
        .map_err(|error| Error::internal(format!("the message cannot be written: {error}")))
}

struct Packed(Json);

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value with text as its keys")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_none<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json, E> {
        Ok(truth.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        // A client without whole numbers sends 3.0 for 3.
        let whole = number.fract() == 0.0 && number.abs() < 9e15;
        let exact =
            if whole { Some(Number::from(number as i64)) } else { Number::from_f64(number) };
        Ok(exact.map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(text.into())
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Json, E> {
        let data = STANDARD.encode(bytes);
        Ok(format!("data:application/octet-stream;base64,{data}").into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(Packed(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut map = Map::new();
        while let Some((name, Packed(value))) = entries.next_entry::<String, Packed>()? {
            map.insert(name, value);
        }
        Ok(Json::Object(map))
    }
}

/// Somewhere in an output.
struct Node<'n> {
    json: &'n Json,
    /// The output in which this is; none for all of them.
    name: Option<&'n str>,
    place: Option<usize>,
    contents: &'n [Content],
}

impl Node<'_> {
    fn content(&self) -> Option<&Bytes> {
        let name = self.name?;
        let here = |content: &&Content| content.name == name && content.place == self.place;
        self.contents.iter().find(here).map(|content| &content.bytes)
    }
}

struct Raw<'r>(&'r [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let contents = self.contents;
        match self.json {
            Json::Array(items) => {
                serializer.collect_seq(items.iter().enumerate().map(|(place, json)| Node {
                    json,
                    name: self.name,
                    place: Some(place),
                    contents,
                }))
            }
            Json::Object(entries) => {
                let content = self.content();
                let length = entries.len() + usize::from(content.is_some());
                let mut map = serializer.serialize_map(Some(length))?;
                for (name, json) in entries {
                    let (deeper, contents) = match self.name {
                        None => (Some(name.as_str()), contents),
                        // What is inside of a file's description is none.
                        Some(_) => (self.name, Default::default()),
                    };
                    map.serialize_entry(name, &Node { json, name: deeper, place: None, contents })?;
                }
                if let Some(bytes) = content {
                    map.serialize_entry("content", &Raw(bytes))?;
                }
                map.end()
            }
            plain => plain.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_back() {
        let output = json!({"images": [{"url": "u"}], "seed": 7, "deep": {"a": [1.5, null, true]}});
        assert_eq!(read(&write(&output, &[]).unwrap()).unwrap(), output);
    }

    #[test]
    fn bytes_stand_beside_what_describes_them() {
        let output = json!({"images": [{"url": "u"}, {"url": "v"}], "mask": {"url": "w"}});
        let content = |name: &str, place, bytes: &'static [u8]| Content {
            name: name.into(),
            place,
            bytes: Bytes::from_static(bytes),
        };
        let contents = [content("images", Some(1), b"abc"), content("mask", None, b"d")];
        let data = |text| format!("data:application/octet-stream;base64,{text}");
        assert_eq!(
            read(&write(&output, &contents).unwrap()).unwrap(),
            json!({
                "images": [{"url": "u"}, {"url": "v", "content": data("YWJj")}],
                "mask": {"url": "w", "content": data("ZA==")},
            })
        );
    }

    #[test]
    fn whole_numbers_are_whole_and_nonsense_is_refused() {
        assert_eq!(read(&rmp_serde::to_vec(&3.0).unwrap()).unwrap(), json!(3));
        assert!(read(&[0xc1]).is_err());
        assert!(read(&[0x91; 1000]).is_err());
        assert!(read(b"").is_err());
    }
}
