//! Test harness: the real binary in a folder of its own, and an oracle of provider starts.
