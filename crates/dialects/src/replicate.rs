//! The `replicate` dialect: predictions, asked for or listened to, and files. A container that serves
//! one model speaks it too.

mod container;
mod driver;
pub mod wire;

pub use driver::Replicate;
