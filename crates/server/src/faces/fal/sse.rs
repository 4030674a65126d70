//! Events that are sent one after the other: each is JSON, and has no name.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;

use crate::events::Place;

/// One event.
pub(super) fn data(what: &impl Serialize) -> Bytes {
    let json = serde_json::to_vec(what).unwrap_or_default();
    let mut event = Vec::with_capacity(json.len() + 8);
    event.extend_from_slice(b"data: ");
    event.extend_from_slice(&json);
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// Something that is no event, so that nobody in between takes the connection for dead.
pub(super) fn silence() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// The answer that a stream of events is, for somebody in this place.
pub(super) fn response<S>(place: Place, mut headers: HeaderMap, pieces: S) -> Response
where
    S: Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
{
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers are asked not to.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    place.over((headers, Body::from_stream(pieces)).into_response())
}
