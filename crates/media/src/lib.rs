//! The built-in tools: image, audio, video, with limits before decoding.
