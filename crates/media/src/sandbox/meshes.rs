//! Foreign meshes: a GLB is checked, and written anew with its pictures normalised.
//!
//! Everything that a reader would follow is followed here first: chunk lengths, buffer views,
//! accessors, counts. A mesh names no other file.

use impasto_domain::{Error, MediaFacts, Result};
use serde_json::{Map, Value as Json};

use super::child::{Normalised, undecodable};
use super::pictures;
use crate::limits::Limits;
use crate::sniff::Kind;

const JSON_CHUNK: &[u8; 4] = b"JSON";
const BINARY_CHUNK: &[u8; 4] = b"BIN\0";

/// Extensions that change nothing about where data lie.
const HARMLESS_EXTENSIONS: [&str; 5] = [
    "KHR_materials_",
    "KHR_texture_transform",
    "KHR_mesh_quantization",
    "KHR_lights_punctual",
    "KHR_texture_basisu_",
];

/// Checks a GLB and writes it anew.
pub(super) fn normalise(bytes: &[u8], limits: &Limits) -> Result<Normalised> {
    let (json, binary) = chunks(bytes)?;
    let json: Json =
        serde_json::from_slice(json).map_err(|error| undecodable("GLB mesh", &error))?;
    let mut mesh = Mesh { json, binary: binary.to_vec() };
    mesh.check_version()?;
    mesh.check_buffers(limits)?;
    mesh.check_accessors()?;
    let triangles = mesh.count_triangles()?;
    limits.check_count("triangles", triangles, limits.triangles)?;
    mesh.normalise_pictures(limits)?;
    let facts = MediaFacts { triangles: Some(triangles), ..MediaFacts::default() };
    Ok(Normalised { bytes: mesh.write()?, media_type: "model/gltf-binary", facts })
}

fn bad(reason: impl AsRef<str>) -> Error {
    undecodable("GLB mesh", &reason.as_ref())
}

/// The JSON and the binary chunk.
fn chunks(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    const HEADER_BYTES: usize = 12;
    let number = |place: usize| -> Result<usize> {
        let four = bytes.get(place..).and_then(|rest| rest.first_chunk::<4>());
        four.map(|four| u32::from_le_bytes(*four) as usize).ok_or_else(|| bad("it was cut off"))
    };
    let (version, length) = (number(4)?, number(8)?);
    if version != 2 {
        return Err(bad(format!("it is of version {version}; version 2 is read")));
    }
    if length != bytes.len() {
        return Err(bad(format!("it claims {length} bytes and has {}", bytes.len())));
    }
    let (mut json, mut binary): (Option<&[u8]>, &[u8]) = (None, &[]);
    let mut place = HEADER_BYTES;
    while place < bytes.len() {
        let size = number(place)?;
        let content = bytes
            .get(place + 8..)
            .and_then(|rest| rest.get(..size))
            .ok_or_else(|| bad(format!("a chunk claims {size} bytes where fewer are left")))?;
        match bytes.get(place + 4..place + 8) {
            Some(name) if name == JSON_CHUNK && json.is_none() => json = Some(content),
            Some(name) if name == BINARY_CHUNK && binary.is_empty() => binary = content,
            _ => {}
        }
        place += 8 + size;
    }
    json.map(|json| (json, binary)).ok_or_else(|| bad("it has no description"))
}

struct Mesh {
    json: Json,
    binary: Vec<u8>,
}

impl Mesh {
    fn list(&self, name: &str) -> &[Json] {
        self.json.get(name).and_then(Json::as_array).map_or(&[], Vec::as_slice)
    }

    fn check_version(&self) -> Result<()> {
        let version =
            self.json.pointer("/asset/version").and_then(Json::as_str).unwrap_or_default();
        if !version.starts_with("2.") {
            return Err(bad(format!(
                "its description is of version '{}'",
                version.chars().take(8).collect::<String>()
            )));
        }
        let required = self.list("extensionsRequired").iter().filter_map(Json::as_str);
        let unknown =
            |name: &&str| !HARMLESS_EXTENSIONS.iter().any(|known| name.starts_with(known));
        match { required }.find(unknown) {
            Some(name) => {
                let name: String = name.chars().filter(char::is_ascii_graphic).take(60).collect();
                Err(bad(format!("it needs the extension '{name}', which is not read"))
                    .hint("export it without compression"))
            }
            None => Ok(()),
        }
    }

    fn check_buffers(&self, limits: &Limits) -> Result<()> {
        let outside = |item: &Json| item.get("uri").is_some();
        if self.list("buffers").iter().chain(self.list("images")).any(outside) {
            return Err(bad("it names other files").hint("export it as one self-contained GLB"));
        }
        if self.list("buffers").len() > 1 {
            return Err(bad("it has more than one buffer"));
        }
        let claimed = self
            .list("buffers")
            .iter()
            .map(|buffer| count(buffer, "byteLength"))
            .sum::<Result<u64>>()?;
        limits.check_count("bytes of buffers", claimed, limits.mesh_bytes)?;
        if claimed > self.binary.len() as u64 {
            return Err(bad(format!(
                "its buffer claims {claimed} bytes and has {}",
                self.binary.len()
            )));
        }
        for (place, view) in self.list("bufferViews").iter().enumerate() {
            let end = count(view, "byteOffset")?.saturating_add(count(view, "byteLength")?);
            if count(view, "buffer")? != 0 || end > claimed {
                return Err(bad(format!(
                    "its buffer view {place} ends at byte {end} of {claimed}"
                )));
            }
        }
        Ok(())
    }

    fn check_accessors(&self) -> Result<()> {
        for (place, accessor) in self.list("accessors").iter().enumerate() {
            if accessor.get("sparse").is_some() {
                return Err(bad("it has sparse accessors").hint("export it without them"));
            }
            let (items, item_bytes) = (count(accessor, "count")?, item_bytes(accessor)?);
            let view = count(accessor, "bufferView")?;
            let view =
                usize::try_from(view).ok().and_then(|view| self.list("bufferViews").get(view));
            let view =
                view.ok_or_else(|| bad(format!("its accessor {place} has no buffer view")))?;
            let stride = match count(view, "byteStride")? {
                0 => item_bytes,
                stride => stride,
            };
            let last = items.saturating_sub(1).saturating_mul(stride).saturating_add(item_bytes);
            let end =
                count(accessor, "byteOffset")?.saturating_add(if items == 0 { 0 } else { last });
            let room = count(view, "byteLength")?;
            if end > room {
                return Err(bad(format!(
                    "its accessor {place} claims {items} items, {end} bytes of {room}"
                )));
            }
        }
        Ok(())
    }

    fn count_triangles(&self) -> Result<u64> {
        const TRIANGLES: u64 = 4;
        let mut triangles: u64 = 0;
        let primitives =
            self.list("meshes").iter().filter_map(|mesh| mesh.get("primitives")?.as_array());
        for primitive in primitives.flatten() {
            let mode = primitive.get("mode").and_then(Json::as_u64).unwrap_or(TRIANGLES);
            let accessor =
                primitive.get("indices").or_else(|| primitive.pointer("/attributes/POSITION"));
            let accessor = accessor.and_then(Json::as_u64).and_then(|at| usize::try_from(at).ok());
            let accessor = accessor.and_then(|at| self.list("accessors").get(at));
            let accessor = accessor.ok_or_else(|| bad("a part of it has no positions"))?;
            let corners = count(accessor, "count")?;
            triangles = triangles.saturating_add(match mode {
                TRIANGLES => corners / 3,
                5 | 6 => corners.saturating_sub(2),
                _ => 0,
            });
        }
        if triangles == 0 {
            return Err(bad("it has no triangles"));
        }
        Ok(triangles)
    }

    /// Decodes each picture and puts a PNG in its place; the old bytes are blanked.
    fn normalise_pictures(&mut self, limits: &Limits) -> Result<()> {
        for place in 0..self.list("images").len() {
            let view = self
                .list("images")
                .get(place)
                .map(|image| count(image, "bufferView"))
                .transpose()?;
            let view = view.and_then(|view| usize::try_from(view).ok()).unwrap_or(usize::MAX);
            let view = self
                .list("bufferViews")
                .get(view)
                .ok_or_else(|| bad("a picture of it lies nowhere"))?;
            let (start, length) =
                (count(view, "byteOffset")? as usize, count(view, "byteLength")? as usize);
            let old = self
                .binary
                .get_mut(start..start + length)
                .ok_or_else(|| bad("a picture of it lies nowhere"))?;
            let kind =
                Kind::admitted(old).map_err(|error| error.context("a picture of the mesh"))?;
            if !matches!(kind, Kind::Png | Kind::Jpeg | Kind::Webp) {
                return Err(bad(format!("a picture of it is a {}", kind.name())));
            }
            let picture = pictures::normalise(old, kind, limits)?;
            old.fill(0);
            let new_view = self.append(&picture.bytes)?;
            let image = Json::from(Map::from_iter([
                ("bufferView".to_owned(), Json::from(new_view)),
                ("mimeType".to_owned(), Json::from("image/png")),
            ]));
            if let Some(slot) = self.json.pointer_mut(&format!("/images/{place}")) {
                *slot = image;
            }
        }
        limits.check_count("bytes of buffers", self.binary.len() as u64, limits.output_bytes)
    }

    /// Adds bytes to the buffer; gives the number of their view.
    fn append(&mut self, bytes: &[u8]) -> Result<usize> {
        self.binary.resize(self.binary.len().next_multiple_of(4), 0);
        let view = serde_json::json!({"buffer": 0, "byteOffset": self.binary.len(), "byteLength": bytes.len()});
        self.binary.extend_from_slice(bytes);
        let size = self.binary.len();
        if let Some(length) = self.json.pointer_mut("/buffers/0/byteLength") {
            *length = size.into();
        }
        let views = self.json.get_mut("bufferViews").and_then(Json::as_array_mut);
        let views = views.ok_or_else(|| bad("it has no buffer views"))?;
        views.push(view);
        Ok(views.len() - 1)
    }

    fn write(mut self) -> Result<Vec<u8>> {
        if let Some(top) = self.json.as_object_mut() {
            top.remove("extras");
        }
        let mut json = serde_json::to_vec(&self.json)
            .map_err(|error| Error::internal(format!("the mesh cannot be written: {error}")))?;
        json.resize(json.len().next_multiple_of(4), b' ');
        self.binary.resize(self.binary.len().next_multiple_of(4), 0);
        let mut bytes = Vec::with_capacity(json.len() + self.binary.len() + 28);
        bytes.extend_from_slice(b"glTF\x02\0\0\0\0\0\0\0");
        let chunks = [(JSON_CHUNK, &json), (BINARY_CHUNK, &self.binary)];
        for (name, content) in chunks.into_iter().filter(|(_, content)| !content.is_empty()) {
            let size = u32::try_from(content.len()).map_err(|_| bad("it is too large"))?;
            bytes.extend_from_slice(&size.to_le_bytes());
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(content);
        }
        let size = u32::try_from(bytes.len()).map_err(|_| bad("it is too large"))?;
        bytes[8..12].copy_from_slice(&size.to_le_bytes());
        Ok(bytes)
    }
}

/// A count of an item; absent means 0.
fn count(item: &Json, name: &str) -> Result<u64> {
    match item.get(name) {
        None => Ok(0),
        Some(value) => value.as_u64().ok_or_else(|| bad(format!("`{name}` is not a count"))),
    }
}

fn item_bytes(accessor: &Json) -> Result<u64> {
    let component = match count(accessor, "componentType")? {
        5120 | 5121 => 1,
        5122 | 5123 => 2,
        5125 | 5126 => 4,
        other => return Err(bad(format!("an accessor has components of type {other}"))),
    };
    let components = match accessor.get("type").and_then(Json::as_str) {
        Some("SCALAR") => 1,
        Some("VEC2") => 2,
        Some("VEC3") => 3,
        Some("VEC4" | "MAT2") => 4,
        Some("MAT3") => 9,
        Some("MAT4") => 16,
        _ => return Err(bad("an accessor is of no known type")),
    };
    Ok(component * components)
}
