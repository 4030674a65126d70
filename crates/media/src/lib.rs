//! The built-in tools: image, audio, video, with limits before decoding.
//!
//! [`Picture`] and [`Sound`] are what the tools work on in memory; `operations` lists the tools by
//! the endpoint under which the catalogue names them.

mod picture;
mod sound;

pub use picture::Picture;
pub use sound::Sound;

use impasto_domain::Operation;

/// Every built-in tool, by the endpoint under which the catalogue names it.
pub fn operations() -> Vec<Operation> {
    Vec::new()
}
