//! What goes over the wire in the `fal` dialect. Shared by its driver and its face.
