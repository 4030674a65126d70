//! The built-in tools: image, audio, video, with limits before decoding.
//!
//! [`Picture`] and [`Sound`] are what the tools work on in memory; [`operations`] lists the tools by
//! the endpoint under which the catalogue names them. Foreign files come in through [`sandbox`] only:
//! whatever the tools read was written by Impasto.

mod arguments;
mod audio;
pub mod color;
mod encode;
pub mod limits;
mod picture;
mod plane;
mod resize;
pub mod sandbox;
pub mod sniff;
mod sound;
mod still;
pub mod text;
mod video;

pub use audio::{Loudness, OwnCodec, SoundStream};
pub use encode::Format;
pub use picture::Picture;
pub use plane::Plane;
pub use resize::{MOST_PIXELS, MOST_SIDE_PX};
pub use sound::Sound;
pub use still::Grade;
pub use video::{
    Quality, VideoLimits, decode_foreign_mp4, encode_mp4, mp4_facts, mp4_sound, timeline_assets,
};

use impasto_domain::Operation;

/// Every built-in tool, by the endpoint under which the catalogue names it.
pub fn operations() -> Vec<Operation> {
    [still::OPERATIONS, audio::OPERATIONS, video::OPERATIONS].concat()
}
