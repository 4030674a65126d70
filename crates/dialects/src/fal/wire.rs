//! What goes over the wire in the `fal` dialect. Shared by its driver and its face.
//!
//! What is read is read leniently: what is absent has its default, what is not known is left out.
//! What is written has every field that some client insists on, even where it is null.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The header that carries the id of a request.
pub const REQUEST_ID: &str = "x-fal-request-id";
/// The header that carries the type of an error.
pub const ERROR_TYPE: &str = "x-fal-error-type";
/// The header that says for how many seconds a request may wait to be started.
pub const REQUEST_TIMEOUT: &str = "x-fal-request-timeout";
/// The header that says whose limit a timeout was; a client does not try again after its own.
pub const REQUEST_TIMEOUT_TYPE: &str = "x-fal-request-timeout-type";
/// The header that says how urgent a request is.
pub const QUEUE_PRIORITY: &str = "x-fal-queue-priority";
/// The header that says where a request would have gone without a proxy.
pub const TARGET_URL: &str = "x-fal-target-url";
/// The header that carries the name of a file that is uploaded.
pub const FILE_NAME: &str = "x-fal-file-name";
/// The parameter of a submission that says whom to tell of its end.
pub const WEBHOOK: &str = "fal_webhook";
/// The parameter that carries a token where there can be no header.
pub const TOKEN: &str = "fal_jwt_token";

/// The answer to a submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submitted {
    /// Always `IN_QUEUE`.
    #[serde(default = "in_queue")]
    pub status: String,
    /// Its id.
    pub request_id: String,
    /// The same, for a request that came through a gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_request_id: Option<String>,
    /// Where its result will be.
    #[serde(default)]
    pub response_url: String,
    /// Where its status is.
    #[serde(default)]
    pub status_url: String,
    /// Where it can be cancelled.
    #[serde(default)]
    pub cancel_url: String,
    /// How many are before it.
    #[serde(default)]
    pub queue_position: u32,
}

fn in_queue() -> String {
    "IN_QUEUE".to_owned()
}

/// The places of a request, which every status repeats.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Places {
    /// Its id.
    pub request_id: String,
    /// Where its result will be.
    pub response_url: String,
    /// Where its status is.
    pub status_url: String,
    /// Where it can be cancelled.
    pub cancel_url: String,
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status")]
pub enum Status {
    /// It waits.
    #[serde(rename = "IN_QUEUE")]
    InQueue {
        /// How many are before it.
        #[serde(default)]
        queue_position: u32,
        /// Its places.
        #[serde(flatten)]
        places: Places,
    },
    /// It is worked on.
    #[serde(rename = "IN_PROGRESS")]
    InProgress {
        /// Its log, if it was asked for.
        #[serde(default)]
        logs: Option<Vec<LogLine>>,
        /// Its places.
        #[serde(flatten)]
        places: Places,
    },
    /// It has ended, well or not: the result tells.
    #[serde(rename = "COMPLETED")]
    Completed {
        /// Its log, if it was asked for.
        #[serde(default)]
        logs: Option<Vec<LogLine>>,
        /// What it took.
        #[serde(default)]
        metrics: Metrics,
        /// Why it failed, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// The type of that error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error_type: Option<String>,
        /// Its places.
        #[serde(flatten)]
        places: Places,
    },
}

/// What a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// From the start of the work to its end, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference_time: Option<f64>,
}

/// A line of a log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogLine {
    /// The line.
    pub message: String,
    /// `DEBUG`, `INFO`, `WARN` or `ERROR`.
    pub level: String,
    /// Whose line it is: `USER`.
    pub source: String,
    /// When, as RFC 3339.
    pub timestamp: String,
}

/// The answer to a wish to cancel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cancelled {
    /// `CANCELLATION_REQUESTED`, `ALREADY_COMPLETED` or `NOT_FOUND`.
    pub status: String,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong.
    pub detail: Detail,
    /// Its type, for errors that are not about the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// A sentence: some clients show this and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What is wrong: a sentence, or a list of what is wrong where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Detail {
    /// A sentence.
    Text(String),
    /// What is wrong where.
    List(Vec<Problem>),
}

/// What is wrong somewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// Where: `body` and the name of a field.
    pub loc: Vec<Json>,
    /// What, as a sentence.
    pub msg: String,
    /// What sort of problem it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// Limits that were passed.
    #[serde(skip_serializing_if = "Json::is_null")]
    pub ctx: Json,
}

/// A file in an input or an output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct File {
    /// Where it is, or a data URI.
    pub url: String,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// How many bytes it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
    /// Its width in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Its height in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Its length in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
}

/// A wish to upload a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Initiate {
    /// Its name.
    pub file_name: String,
    /// Its media type.
    pub content_type: String,
}

/// Where a file is to be uploaded to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Initiated {
    /// Where its bytes go.
    pub upload_url: String,
    /// Where it will be.
    pub file_url: String,
}

/// A file that was uploaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Uploaded {
    /// Where it is.
    pub access_url: String,
}

/// An upload in parts that was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MultipartBegun {
    /// Where the file will be; its parts go below.
    pub access_url: String,
    /// The id of the upload.
    #[serde(rename = "uploadId")]
    pub upload_id: String,
}

/// A part that was uploaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its number, from 1.
    #[serde(rename = "partNumber")]
    pub part_number: u32,
    /// What tells its bytes from others.
    #[serde(default)]
    pub etag: String,
}

/// The parts of an upload, in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// The parts.
    #[serde(default)]
    pub parts: Vec<Part>,
}

/// What allows uploads for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadToken {
    /// The token.
    pub token: String,
    /// The word before it in the header.
    pub token_type: String,
    /// Where uploads in parts go.
    pub base_url: String,
    /// Until when, as RFC 3339 with a zone.
    pub expires_at: String,
}

/// A wish for a token that a page can use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenWish {
    /// The names after the owner of what may be called.
    pub allowed_apps: Vec<String>,
    /// For how many seconds.
    pub token_expiration: Option<u64>,
}

/// What is told of the end of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WebhookBody {
    /// The id of the request.
    pub request_id: String,
    /// The same, for a request that came through a gateway.
    pub gateway_request_id: String,
    /// `OK` or `ERROR`.
    pub status: String,
    /// The result, or what is wrong.
    pub payload: Json,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why the result cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_error: Option<String>,
}

/// What happens in a workflow that is streamed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum WorkflowEvent {
    /// A node was begun.
    Submit {
        /// The node.
        node_id: String,
        /// What does it.
        app_id: String,
        /// The id of the request.
        request_id: String,
    },
    /// A node is done.
    Completion {
        /// The node.
        node_id: String,
        /// What does it.
        app_id: String,
        /// Its output.
        output: Json,
    },
    /// Everything is done.
    Output {
        /// The output of the workflow.
        output: Json,
    },
    /// A node, or everything, has failed.
    Error {
        /// The node, if it was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node_id: Option<String>,
        /// Why, as a sentence.
        message: String,
        /// What a plain call would have been answered.
        error: EventError,
    },
}

/// What a plain call would have been answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventError {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Json,
}
