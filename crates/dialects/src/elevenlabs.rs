//! The `elevenlabs` dialect: speech in five ways, music, sounds, and what else is done with voices.

mod align;
mod driver;
mod dubbing;
mod socket;
mod speech;
pub mod wire;

pub use driver::ElevenLabs;
