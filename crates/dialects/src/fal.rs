//! The `fal` dialect: a queue with logs, streams of what there is so far, uploads.

mod driver;
pub mod packed;
mod stream;
pub mod wire;

pub use driver::Fal;
