//! The `gemini` dialect: content, predictions, work that takes long, files. The same models in a
//! project of one's own cloud account speak it with other paths.

mod content;
mod driver;
mod operations;
mod uploads;
pub mod wire;

pub use driver::Gemini;
