//! A request before it is sent: plain data, so that it can be looked at and sent again.

use bytes::Bytes;
use serde_json::Value as Json;

/// The base that counts where none is named.
pub const USUAL_BASE: &str = "default";

/// A request before it is sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask {
    /// The method.
    pub method: &'static str,
    /// Which of the provider's base URLs it goes to.
    pub base: String,
    /// The path below the base, or a whole URL that the provider named.
    pub path: String,
    /// The query.
    pub query: Vec<(String, String)>,
    /// Headers beside those of every request.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub payload: Payload,
    /// The longest that it may take; absent means the usual time.
    pub timeout_ms: Option<u64>,
    /// The most bytes of the answer; absent means the usual number.
    pub answer_bytes_max: Option<u64>,
    /// Whether the answer comes piece by piece, with long silences.
    pub drips: bool,
}

/// What is sent with a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Payload {
    /// Nothing.
    #[default]
    None,
    /// JSON.
    Json(Json),
    /// Fields as `application/x-www-form-urlencoded`.
    Form(Vec<(String, String)>),
    /// Fields and files as `multipart/form-data`.
    Multipart(Vec<Part>),
    /// Bytes of a media type.
    Raw {
        /// The media type.
        media_type: String,
        /// The bytes.
        bytes: Bytes,
    },
}

/// One part of a form.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The name of the field.
    pub name: String,
    /// What is in it.
    pub content: PartContent,
}

/// What is in a part of a form.
#[derive(Clone, Debug, PartialEq)]
pub enum PartContent {
    /// Text.
    Text(String),
    /// A file.
    File {
        /// What it is called.
        file_name: String,
        /// The media type.
        media_type: String,
        /// The bytes.
        bytes: Bytes,
    },
}

impl Part {
    /// A part that is text.
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), content: PartContent::Text(text.into()) }
    }
}

impl Ask {
    /// A request that reads, below the usual base.
    pub fn get(path: impl Into<String>) -> Self {
        Self::of("GET", path)
    }

    /// A request that sends JSON, below the usual base.
    pub fn post(path: impl Into<String>, body: Json) -> Self {
        Self { payload: Payload::Json(body), ..Self::of("POST", path) }
    }

    /// A request with a method and nothing else, below the usual base.
    pub fn of(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, base: USUAL_BASE.to_owned(), path: path.into(), ..Self::default() }
    }

    /// Goes to another base.
    #[must_use]
    pub fn base(mut self, name: &str) -> Self {
        name.clone_into(&mut self.base);
        self
    }

    /// Adds to the query.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends something else.
    #[must_use]
    pub fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// Is answered piece by piece.
    #[must_use]
    pub fn dripping(mut self) -> Self {
        self.drips = true;
        self
    }

    /// May take so long.
    #[must_use]
    pub fn timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.timeout_ms = Some(timeout_ms);
        self
    }
}
