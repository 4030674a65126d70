//! The built-in tools: image, audio, video, with limits before decoding.
//!
//! [`Picture`] and [`Sound`] are what the tools work on in memory; [`operations`] lists the tools by
//! the endpoint under which the catalogue names them. Foreign files come in through [`sandbox`] only:
//! whatever the tools read was written by Impasto.

pub mod color;
mod picture;
mod plane;
mod sound;
pub mod text;

pub use picture::Picture;
pub use plane::Plane;
pub use sound::Sound;

use impasto_domain::Operation;

/// Every built-in tool, by the endpoint under which the catalogue names it.
pub fn operations() -> Vec<Operation> {
    Vec::new()
}
