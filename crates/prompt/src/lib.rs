//! Prompt specifications: parse, lint, compile, vary.
