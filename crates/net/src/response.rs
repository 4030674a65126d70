//! What somebody answered.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Instant;
use url::Url;

use crate::options::Limits;
use crate::pool::{Key, Line};
use crate::request::{Grade, place};
use crate::{Cause, Client, Events, NetError, Stage};

/// Room made beforehand for a body whose length was told, at most.
const ROOM_BYTES_MAX: u64 = 1 << 20;

/// A connection that is kept for later once the answer has been read.
pub(crate) struct Lease {
    pub(crate) client: Client,
    pub(crate) key: Key,
    pub(crate) line: Line,
}

/// What somebody answered: the head, and the body as it comes. Dropping it breaks the connection.
pub struct Response {
    status: u16,
    headers: HeaderMap,
    url: Url,
    grade: Grade,
    body: Incoming,
    lease: Option<Lease>,
    limits: Limits,
    deadline: Instant,
    received: u64,
    /// Time spent waiting for the other side; time that the reader takes for itself does not count.
    waited: Duration,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = place(&self.url);
        f.debug_struct("Response").field("status", &self.status).field("place", &place).finish()
    }
}

impl Response {
    pub(crate) fn new(
        answer: http::Response<Incoming>,
        (url, grade): (Url, Grade),
        lease: Lease,
        (limits, deadline): (Limits, Instant),
    ) -> Result<Self, NetError> {
        let (head, body) = answer.into_parts();
        let this = Self {
            status: head.status.as_u16(),
            headers: head.headers,
            url,
            grade,
            body,
            lease: Some(lease),
            limits,
            deadline,
            received: 0,
            waited: Duration::ZERO,
        };
        match this.body.size_hint().exact() {
            Some(length) if length > limits.body_bytes_max => Err(this.too_large(length)),
            _ => Ok(this),
        }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status says that it went well.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The headers whose values are text, with their names in small letters.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .filter_map(|(name, value)| value.to_str().ok().map(|text| (name.as_str(), text)))
    }

    /// The media type without its parameters, in small letters.
    pub fn media_type(&self) -> Option<String> {
        let essence = self.header("content-type")?.split(';').next()?.trim().to_ascii_lowercase();
        (!essence.is_empty()).then_some(essence)
    }

    /// Where the answer came from in the end, without its query; for messages.
    pub fn place(&self) -> String {
        place(&self.url)
    }

    /// How far the place is trusted that answered in the end.
    pub fn grade(&self) -> Grade {
        self.grade
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// The body is larger than its limit, slower than its limit, or ends before its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        loop {
            let began = Instant::now();
            let idle = Duration::from_millis(self.limits.idle_ms);
            let body = &mut self.body;
            let next = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
            let next = tokio::time::timeout_at(self.deadline.min(began + idle), next).await;
            self.waited += began.elapsed();
            match next {
                Err(_) => return Err(self.too_slow()),
                Ok(None) => {
                    self.give_back();
                    return Ok(None);
                }
                Ok(Some(Err(error))) => {
                    let message = format!("{} broke off its answer: {error}", self.place());
                    return Err(self.failed(Cause::Broken, message));
                }
                // Trailers are of no interest to anybody.
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        return self.count(bytes).map(Some);
                    }
                }
            }
        }
    }

    fn count(&mut self, bytes: Bytes) -> Result<Bytes, NetError> {
        self.received += bytes.len() as u64;
        if self.received > self.limits.body_bytes_max {
            return Err(self.too_large(self.received));
        }
        let started = self.waited.saturating_sub(Duration::from_millis(self.limits.slow_start_ms));
        let expected = started.as_secs().saturating_mul(self.limits.bytes_per_second_min);
        if self.received < expected { Err(self.too_slow()) } else { Ok(bytes) }
    }

    /// Keeps the connection for later.
    fn give_back(&mut self) {
        if let Some(Lease { client, key, line }) = self.lease.take() {
            client.inner.pool.keep(key, line);
        }
    }

    /// The body, or what is left of it, read to its end.
    ///
    /// # Errors
    /// As [`Response::chunk`].
    pub async fn bytes(&mut self) -> Result<Bytes, NetError> {
        let room = self.body.size_hint().lower().min(ROOM_BYTES_MAX);
        let mut whole = BytesMut::with_capacity(room as usize);
        while let Some(bytes) = self.chunk().await? {
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }

    /// Reads the body as a stream of events.
    pub fn events(self) -> Events {
        Events::new(self)
    }

    fn failed(&self, cause: Cause, message: String) -> NetError {
        NetError::new(Stage::Answered(self.status), cause, message)
    }

    pub(crate) fn garbled(&self, what: &str) -> NetError {
        self.failed(Cause::Garbled, format!("{} {what}", self.place()))
    }

    fn too_large(&self, bytes: u64) -> NetError {
        let most = self.limits.body_bytes_max;
        let place = self.place();
        let message = format!("{place} answers with {bytes} bytes or more, the most is {most}");
        self.failed(Cause::TooLarge, message)
    }

    fn too_slow(&self) -> NetError {
        let received = self.received;
        let message = format!("{} answers too slowly: {received} bytes so far", self.place());
        self.failed(Cause::TooSlow, message)
    }
}
