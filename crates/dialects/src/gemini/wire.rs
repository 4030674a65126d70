//! What goes over the wire in the `gemini` dialect. Shared by its driver and its face.
