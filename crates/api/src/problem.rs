//! How an error is told: RFC 9457, with a code that has a page.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The address of the page about the code, on this server.
    #[serde(rename = "type")]
    pub page: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What a program can tell it by.
    pub code: String,
    /// What went wrong.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whose side it lies on: `ours`, `caller` or `provider`.
    pub side: String,
    /// Whether the same call may succeed later.
    pub retry: bool,
    /// When, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The offer that was being tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<String>,
}
