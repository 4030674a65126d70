//! The `openai` dialect: images, speech, transcriptions, videos. Many servers speak it.

mod driver;
mod images;
mod sounds;
mod videos;
pub mod wire;

pub use driver::OpenAi;
