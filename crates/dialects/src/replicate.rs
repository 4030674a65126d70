//! The `replicate` dialect: predictions, files and models.

pub mod wire;
