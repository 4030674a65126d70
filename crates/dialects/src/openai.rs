//! The `openai` dialect: images, audio and videos.

pub mod wire;
