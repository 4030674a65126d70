//! The client against servers that say exactly what a test tells them to.

#![expect(clippy::unwrap_used, reason = "this is a test")]

mod any;
mod encryption;
mod guard;
mod limits;
mod place;
mod redirects;
mod reuse;
mod stages;
mod streams;
