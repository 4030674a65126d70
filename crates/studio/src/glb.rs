//! Meshes as GLB files (glTF 2.0 in one binary file).
//!
//! Invariant: accessors are tight, aligned to four bytes and carry their bounds, so that a strict
//! validator has nothing to say.

use impasto_domain::{Error, Result};
use serde_json::{Value as Json, json};

use crate::material::Material;
use crate::mesh::Mesh;
use crate::vector::V3;

/// A file in the making.
#[derive(Default)]
pub(crate) struct Glb {
    bytes: Vec<u8>,
    views: Vec<Json>,
    accessors: Vec<Json>,
    meshes: Vec<Json>,
    materials: Vec<Json>,
    nodes: Vec<Json>,
    unlit: bool,
    triangles: u64,
}

/// Where a mesh stands.
pub(crate) struct Standing {
    /// Its name.
    pub(crate) name: &'static str,
    /// Where its origin is.
    pub(crate) at: V3,
    /// How far it is turned about the vertical; radians.
    pub(crate) yaw: f32,
    /// How much larger than drawn.
    pub(crate) scale: f32,
}

const FLOAT: u32 = 5126;
const UNSIGNED_INT: u32 = 5125;
const VERTICES: u32 = 34962;
const INDICES: u32 = 34963;

impl Glb {
    /// How many triangles are shown; a mesh that stands in several places counts each time.
    pub(crate) fn triangles(&self) -> u64 {
        self.triangles
    }

    /// Adds a mesh and gives its number. `unlit` meshes carry their light in their colours.
    pub(crate) fn mesh(&mut self, mesh: &Mesh, unlit: bool) -> usize {
        self.unlit |= unlit;
        let places = self.vectors(&mesh.places, true);
        let normals = self.vectors(&mesh.normals, false);
        let colors = self.vectors(&mesh.colors, false);
        let mut primitives = Vec::new();
        for (material, corners) in &mesh.groups {
            let indices = self.indices(corners);
            self.materials.push(material_json(material, unlit));
            primitives.push(json!({
                "attributes": {"POSITION": places, "NORMAL": normals, "COLOR_0": colors},
                "indices": indices,
                "material": self.materials.len() - 1,
            }));
        }
        self.meshes
            .push(json!({"primitives": primitives, "extras": {"triangles": mesh.triangles()}}));
        self.meshes.len() - 1
    }

    /// Stands a mesh somewhere.
    pub(crate) fn stand(&mut self, mesh: usize, standing: &Standing) {
        let (sin, cos) = (standing.yaw * 0.5).sin_cos();
        let count = self
            .meshes
            .get(mesh)
            .and_then(|mesh| mesh.pointer("/extras/triangles"))
            .and_then(Json::as_u64);
        self.triangles += count.unwrap_or(0);
        self.nodes.push(json!({
            "name": standing.name,
            "mesh": mesh,
            "translation": [standing.at.x, standing.at.y, standing.at.z],
            "rotation": [0.0, sin, 0.0, cos],
            "scale": [standing.scale, standing.scale, standing.scale],
        }));
    }

    /// The file.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>> {
        let mut document = json!({
            "asset": {"version": "2.0", "generator": "impasto studio (procedural)"},
            "scene": 0,
            "scenes": [{"nodes": (0..self.nodes.len()).collect::<Vec<_>>()}],
            "nodes": self.nodes,
            "meshes": self.meshes,
            "materials": self.materials,
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [{"byteLength": self.bytes.len()}],
        });
        if let (true, Some(document)) = (self.unlit, document.as_object_mut()) {
            document.insert("extensionsUsed".to_owned(), json!(["KHR_materials_unlit"]));
        }
        let mut text = serde_json::to_vec(&document)
            .map_err(|error| Error::internal(format!("the mesh cannot be written: {error}")))?;
        text.resize(text.len().next_multiple_of(4), b' ');
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        let length = 12 + 8 + text.len() + 8 + self.bytes.len();
        let size = |length: usize| {
            u32::try_from(length).map(u32::to_le_bytes).map_err(|_| {
                Error::invalid("the mesh is larger than a GLB file can be")
                    .hint("ask for fewer triangles")
            })
        };
        let mut file = Vec::with_capacity(length);
        file.extend_from_slice(b"glTF");
        file.extend_from_slice(&2_u32.to_le_bytes());
        file.extend_from_slice(&size(length)?);
        for (kind, chunk) in [(b"JSON", &text), (b"BIN\0", &self.bytes)] {
            file.extend_from_slice(&size(chunk.len())?);
            file.extend_from_slice(kind);
            file.extend_from_slice(chunk);
        }
        Ok(file)
    }

    fn vectors(&mut self, values: &[V3], bounded: bool) -> usize {
        let start = self.bytes.len();
        let (mut low, mut high) = (V3::all(f32::MAX), V3::all(f32::MIN));
        for value in values {
            for part in [value.x, value.y, value.z] {
                self.bytes.extend_from_slice(&part.to_le_bytes());
            }
            low = low.min(*value);
            high = high.max(*value);
        }
        let view = self.view(start, VERTICES);
        let mut accessor = json!({
            "bufferView": view, "componentType": FLOAT, "count": values.len(), "type": "VEC3",
        });
        if let (true, Some(accessor)) = (bounded, accessor.as_object_mut()) {
            accessor.insert("min".to_owned(), json!([low.x, low.y, low.z]));
            accessor.insert("max".to_owned(), json!([high.x, high.y, high.z]));
        }
        self.accessors.push(accessor);
        self.accessors.len() - 1
    }

    fn indices(&mut self, corners: &[u32]) -> usize {
        let start = self.bytes.len();
        for corner in corners {
            self.bytes.extend_from_slice(&corner.to_le_bytes());
        }
        let view = self.view(start, INDICES);
        self.accessors.push(json!({
            "bufferView": view, "componentType": UNSIGNED_INT, "count": corners.len(), "type": "SCALAR",
        }));
        self.accessors.len() - 1
    }

    fn view(&mut self, start: usize, target: u32) -> usize {
        self.views.push(json!({
            "buffer": 0, "byteOffset": start, "byteLength": self.bytes.len() - start, "target": target,
        }));
        self.views.len() - 1
    }
}

fn material_json(material: &Material, unlit: bool) -> Json {
    let alpha = if material.clear > 0.5 { 0.35 } else { 1.0 };
    let glow = (material.color * material.glow.min(1.0)).min(V3::ONE);
    let mut json = json!({
        "pbrMetallicRoughness": {
            "baseColorFactor": [1.0, 1.0, 1.0, alpha],
            "metallicFactor": material.metal,
            "roughnessFactor": material.rough.clamp(0.0, 1.0),
        },
        "emissiveFactor": [glow.x, glow.y, glow.z],
        "doubleSided": unlit,
    });
    if let Some(json) = json.as_object_mut() {
        if alpha < 1.0 {
            json.insert("alphaMode".to_owned(), json!("BLEND"));
        }
        if unlit {
            json.insert("extensions".to_owned(), json!({"KHR_materials_unlit": {}}));
        }
    }
    json
}
