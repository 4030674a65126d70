//! Files: uploaded, made by runs, and where they come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// A file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssetView {
    /// The SHA-256 of its bytes: its name everywhere.
    pub digest: String,
    /// Where it can be fetched for a while without a key.
    pub url: String,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes, and what is known of its media: `width`, `height`, `duration_ms` and others.
    #[serde(flatten)]
    pub facts: Map<String, Json>,
}

/// A page of files, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssetList {
    /// The files.
    pub assets: Vec<AssetView>,
    /// Give it as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One way in which a file is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LineageEntry {
    /// `upload`, `input` or `output`.
    pub role: String,
    /// The run that read or made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The step of the run; empty for the run's own inputs.
    pub step: String,
    /// The name of the input or output, or the file's name.
    pub name: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// Where a file comes from and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LineageView {
    /// The file.
    pub digest: String,
    /// Every way in which it is known, oldest first.
    pub origins: Vec<LineageEntry>,
}

/// An upload in parts that is to be begun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UploadRequest {
    /// The name of the file.
    #[schemars(length(max = 255))]
    pub name: String,
    /// The media type of the file.
    #[schemars(length(max = 255))]
    pub media_type: String,
}

/// An upload in parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UploadView {
    /// Its id.
    pub id: String,
    /// The name of the file.
    pub name: String,
    /// When it is given up, in milliseconds since 1970.
    pub expires_ms: u64,
    /// The largest part that is taken, in bytes.
    pub part_bytes_max: u64,
    /// The parts that are there, by number.
    pub parts: Vec<u32>,
    /// How many bytes they have together.
    pub bytes: u64,
}
