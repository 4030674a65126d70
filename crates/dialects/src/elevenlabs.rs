//! The `elevenlabs` dialect: speech, music and sound over HTTP and WebSocket.

pub mod wire;
