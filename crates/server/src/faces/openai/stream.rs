//! Server-sent events of this dialect.

use bytes::Bytes;
use impasto_dialects::inline::to_json;
use serde::Serialize;

use super::error::Failure;

/// An event of this type.
pub(super) fn event(kind: &str, data: &impl Serialize) -> Bytes {
    let json = to_json(data).unwrap_or_default();
    let mut event = Vec::with_capacity(json.len() + kind.len() + 24);
    event.extend_from_slice(b"event: ");
    event.extend_from_slice(kind.as_bytes());
    event.extend_from_slice(b"\ndata: ");
    event.extend_from_slice(&json);
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// The event that says that nothing more comes, since something failed.
pub(super) fn error(failure: &Failure) -> Bytes {
    event("error", &failure.body())
}

/// The media type of a stream of events.
pub(super) const MEDIA_TYPE: &str = "text/event-stream";
