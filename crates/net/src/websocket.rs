//! WebSockets, through the same guard.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use http::header::{HOST, USER_AGENT};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::dial::Connection;
use crate::request::{is_encrypted, place};
use crate::{Cause, Client, NetError, Request, Stage};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

/// A connection on which both sides speak whenever they like.
pub struct WebSocket {
    stream: WebSocketStream<Connection>,
    place: String,
    idle: Duration,
    deadline: Instant,
    left: u64,
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Client {
    /// Opens a WebSocket at the URL of a request (`ws`, `wss`, `http` or `https`), with its headers.
    ///
    /// # Errors
    /// The place cannot be reached, or answers with something else; then the stage has the status.
    pub async fn websocket(&self, request: Request) -> Result<WebSocket, NetError> {
        let limits = request.limits.unwrap_or(self.options().limits);
        let deadline = Instant::now() + Duration::from_millis(limits.total_ms);
        let place = place(&request.url);
        let connection = self.inner.dialer.dial(&request.url, request.grade, deadline).await?;
        let written = connection.written();
        let stage = || match written.load(Ordering::Acquire) {
            0 => Stage::NotSent,
            _ => Stage::Unanswered,
        };
        let failed = |error: tungstenite::Error| refused(&place, stage(), error);
        // Only the scheme's name differs; the ports are the same.
        let scheme = if is_encrypted(&request.url) { "wss" } else { "ws" };
        let rest = request.url.as_str().split_once(':').map_or("", |(_, rest)| rest);
        let mut handshake = format!("{scheme}:{rest}").into_client_request().map_err(failed)?;
        let headers = handshake.headers_mut();
        for (name, value) in request.headers.iter().filter(|(name, _)| **name != HOST) {
            headers.insert(name.clone(), value.clone());
        }
        if let Ok(value) = http::HeaderValue::try_from(self.options().user_agent.as_str()) {
            headers.insert(USER_AGENT, value);
        }
        let most = usize::try_from(limits.body_bytes_max).unwrap_or(usize::MAX);
        let config =
            WebSocketConfig::default().max_message_size(Some(most)).max_frame_size(Some(most));
        let joining = client_async_with_config(handshake, connection, Some(config));
        let joined = tokio::time::timeout_at(deadline, joining).await;
        let late = |_| {
            let message = format!("{place} did not answer in time");
            NetError::new(stage(), Cause::TooSlow, message)
        };
        let (stream, _) = joined.map_err(late)?.map_err(failed)?;
        let idle = Duration::from_millis(limits.idle_ms);
        Ok(WebSocket { stream, place, idle, deadline, left: limits.body_bytes_max })
    }
}

fn refused(place: &str, stage: Stage, error: tungstenite::Error) -> NetError {
    match error {
        tungstenite::Error::Http(answer) => {
            let status = answer.status().as_u16();
            let message = format!("{place} opens no WebSocket: it answers with status {status}");
            NetError::new(Stage::Answered(status), Cause::Garbled, message)
        }
        other => {
            let message = format!("{place} opens no WebSocket: {other}");
            NetError::new(stage, Cause::Broken, message)
        }
    }
}

impl WebSocket {
    /// Says something.
    ///
    /// # Errors
    /// The connection is broken or does not take it in time.
    pub async fn send(&mut self, message: Message) -> Result<(), NetError> {
        let mut frame = Some(match message {
            Message::Text(text) => Frame::text(text),
            Message::Binary(bytes) => Frame::binary(bytes),
        });
        let stream = &mut self.stream;
        let sending = std::future::poll_fn(|context| {
            if frame.is_some() {
                match Pin::new(&mut *stream).poll_ready(context) {
                    std::task::Poll::Ready(Ok(())) => {}
                    other => return other,
                }
                if let Some(frame) = frame.take()
                    && let Err(error) = Pin::new(&mut *stream).start_send(frame)
                {
                    return std::task::Poll::Ready(Err(error));
                }
            }
            Pin::new(&mut *stream).poll_flush(context)
        });
        let sent = tokio::time::timeout_at(self.deadline, sending).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(_) => Err(self.late()),
        }
    }

    /// The next message; `None` when the other side has closed.
    ///
    /// # Errors
    /// The connection breaks, is silent for too long, or says more than the limit.
    pub async fn next(&mut self) -> Result<Option<Message>, NetError> {
        loop {
            let until = self.deadline.min(Instant::now() + self.idle);
            let stream = &mut self.stream;
            let next = std::future::poll_fn(|context| Pin::new(&mut *stream).poll_next(context));
            let frame = match tokio::time::timeout_at(until, next).await {
                Err(_) => return Err(self.late()),
                Ok(None) => return Ok(None),
                Ok(Some(Err(tungstenite::Error::ConnectionClosed))) => return Ok(None),
                Ok(Some(Err(error))) => return Err(self.broken(&error)),
                Ok(Some(Ok(frame))) => frame,
            };
            match frame {
                Frame::Text(text) => {
                    self.count(text.len())?;
                    return Ok(Some(Message::Text(text.as_str().to_owned())));
                }
                Frame::Binary(bytes) => {
                    self.count(bytes.len())?;
                    return Ok(Some(Message::Binary(bytes)));
                }
                Frame::Close(_) => return Ok(None),
                Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_) => {}
            }
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), NetError> {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.too_large()),
        }
    }

    fn too_large(&self) -> NetError {
        let message = format!("{} says more than the limit", self.place);
        NetError::new(Stage::Answered(101), Cause::TooLarge, message)
    }

    fn broken(&self, error: &tungstenite::Error) -> NetError {
        if matches!(error, tungstenite::Error::Capacity(_)) {
            return self.too_large();
        }
        let message = format!("{} broke the connection: {error}", self.place);
        NetError::new(Stage::Answered(101), Cause::Broken, message)
    }

    fn late(&self) -> NetError {
        let message = format!("{} says nothing", self.place);
        NetError::new(Stage::Answered(101), Cause::TooSlow, message)
    }
}
