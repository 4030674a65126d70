//! Wire protocols: one module per dialect, with its wire types (shared by driver and face) and its
//! driver.
//!
//! [`hosted`] is what all drivers of hosted providers share.

pub mod comfyui;
mod drive;
pub mod drivers;
pub mod elevenlabs;
pub mod fal;
pub mod gemini;
pub mod hosted;
pub mod inline;
pub mod openai;
mod remote;
pub mod replicate;
pub mod sound;
pub mod submit_poll;
pub mod vertex;
