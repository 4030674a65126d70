//! What is sent: nothing, bytes that lie ready, or bytes as they come.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// Pieces of a streamed body that may wait to be sent.
const QUEUED_PIECES_MAX: usize = 8;

/// The body of a request.
pub struct Body(Kind);

enum Kind {
    Ready { pieces: VecDeque<Bytes>, left: u64 },
    Streamed(mpsc::Receiver<Piece>),
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// Gives a body its bytes as they come. A body whose sender is dropped before [`BodySender::finish`]
/// is broken off, so that nobody takes a part for the whole.
pub struct BodySender(mpsc::Sender<Piece>);

impl BodySender {
    /// Sends the next bytes; waits while the other side is slower. False when nobody wants them.
    pub async fn send(&self, bytes: Bytes) -> bool {
        bytes.is_empty() || self.0.send(Piece::Bytes(bytes)).await.is_ok()
    }

    /// Ends the body. False when nobody wants it.
    pub async fn finish(self) -> bool {
        self.0.send(Piece::End).await.is_ok()
    }
}

/// A body that was broken off by whoever made it.
#[derive(Debug)]
pub struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body was broken off")
    }
}

impl std::error::Error for BrokenOff {}

impl Body {
    /// Nothing.
    pub fn empty() -> Self {
        Self::of([])
    }

    /// These pieces, one after the other. They are not copied.
    pub fn of(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let pieces: VecDeque<Bytes> =
            pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self(Kind::Ready { pieces, left })
    }

    /// Bytes that come by and by; the length is not told beforehand.
    pub fn streamed() -> (BodySender, Self) {
        let (sender, receiver) = mpsc::channel(QUEUED_PIECES_MAX);
        (BodySender(sender), Self(Kind::Streamed(receiver)))
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::of([bytes.into()])
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut self.get_mut().0 {
            Kind::Ready { pieces, left } => Poll::Ready(pieces.pop_front().map(|piece| {
                *left = left.saturating_sub(piece.len() as u64);
                Ok(Frame::data(piece))
            })),
            Kind::Streamed(receiver) => receiver.poll_recv(context).map(|piece| match piece {
                Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
                Some(Piece::End) => None,
                None => Some(Err(BrokenOff)),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Ready { pieces, .. } if pieces.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Ready { left, .. } => SizeHint::with_exact(*left),
            Kind::Streamed(_) => SizeHint::default(),
        }
    }
}
