//! What goes over the wire in the `elevenlabs` dialect. Shared by its driver and its face.
