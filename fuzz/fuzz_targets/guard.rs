//! Whatever bytes are given as a URL, an address or a network. What is checked is in the tests of the
//! client, which check generated inputs on every compiler.
//!
//! `cargo +nightly fuzz run guard`

#![no_main]

#[path = "../../crates/net/tests/net/any.rs"]
mod any;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| any::check(data));
