//! What goes over the wire in the `openai` dialect. Shared by its driver and its face.
