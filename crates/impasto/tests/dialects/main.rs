//! The drivers of hosted providers against the faces of a server of ours, over real HTTP.
//!
//! Two engines: *there* serves its faces on a port of this machine and does the work itself; *here*
//! knows it as a hosted provider and has no other way to do anything.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what is wrong by panicking"
)]

mod elevenlabs;
mod fal;
mod gemini;
mod here;
mod once;
mod openai;
mod replicate;
mod there;
mod work;
