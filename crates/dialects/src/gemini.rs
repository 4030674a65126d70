//! The `gemini` dialect: generateContent, predictLongRunning and files.

pub mod wire;
