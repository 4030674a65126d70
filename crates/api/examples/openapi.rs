//! Writes the description of the native API: `cargo run -p impasto-api --example openapi`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let mut text = serde_json::to_string_pretty(&impasto_api::openapi())?;
    text.push('\n');
    std::io::stdout().write_all(text.as_bytes())
}
