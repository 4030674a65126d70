//! What goes over the wire in the `replicate` dialect. Shared by its driver and its face.
