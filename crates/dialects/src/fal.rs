//! The `fal` dialect: a queue of requests with status, result and cancel.

pub mod packed;
pub mod wire;
