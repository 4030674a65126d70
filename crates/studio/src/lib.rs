//! The offline models: a scene from words, as picture, clip, mesh and world; voice; music.
//!
//! They need no weights and no network: everything is computed from the words and a seed. They are
//! sketches by rule, not by learning, and say so in the catalogue.

mod backdrop;
mod clip;
mod color;
mod filter;
mod glb;
#[cfg(test)]
mod listener;
mod material;
mod mesh;
mod misbehaviour;
mod music;
mod noise;
mod operations;
mod render;
mod reverb;
mod scene;
mod shape;
mod subject;
mod vector;
mod voice;
mod world;

pub use misbehaviour::{Misbehaviour, Misdeed};
pub use scene::{
    Camera, Finish, Gobo, Light, Make, Mood, Place, Prop, Scene, Subject, SubjectKind, Substance,
    Surface, SurfaceForm,
};
pub use vector::{V3, v3};

use impasto_domain::Operation;

/// Every offline model, by the endpoint under which the catalogue names it.
pub fn operations() -> Vec<Operation> {
    [operations::OPERATIONS, music::OPERATIONS, voice::OPERATIONS].concat()
}
