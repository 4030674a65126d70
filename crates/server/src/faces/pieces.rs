//! What there is of a result before the run is done, in order, and then its end.
//!
//! Invariants
//! - Pieces of sound that are given out are the sound from its beginning without a gap. When one was
//!   lost, or another attempt begins anew, no more are given out: the rest is cut from the result.
//! - A run that takes longer than somebody will wait goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use impasto_domain::{Error, ErrorKind, InstanceKey, News, Result, RunId, SoundFormat};
use impasto_engine::{UpdateKind, Updates};
use tokio::time::Instant;

use crate::app::App;
use crate::caller::Caller;
use crate::calls::{RunView, Ticket};

/// Something of a result before it is done.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A picture as far as it is.
    Picture {
        /// The encoded picture.
        bytes: Vec<u8>,
        /// How it is encoded.
        media_type: String,
    },
    /// The next piece of a sound.
    Sound {
        /// How the pieces are to be read.
        format: SoundFormat,
        /// The piece.
        bytes: Vec<u8>,
    },
}

/// What comes of a run.
pub(crate) struct Pieces {
    app: App,
    caller: Caller,
    run: RunId,
    updates: Updates,
    deadline: Instant,
    parts: BTreeMap<InstanceKey, u64>,
    sounding: bool,
    broken: bool,
}

impl Pieces {
    /// What comes of a run that was just accepted, for at most so long.
    pub(crate) fn of(app: &App, caller: &Caller, ticket: &mut Ticket, at_most: Duration) -> Self {
        let begun = ticket.handle.as_mut().and_then(impasto_engine::RunHandle::updates);
        let updates = begun.unwrap_or_else(|| app.updates(caller, &ticket.run, 0));
        Self {
            app: app.clone(),
            caller: caller.clone(),
            run: ticket.run.clone(),
            updates,
            deadline: Instant::now() + at_most,
            parts: BTreeMap::new(),
            sounding: false,
            broken: false,
        }
    }

    /// The next piece; none when the run is over.
    pub(crate) async fn next(&mut self) -> Result<Option<Piece>> {
        loop {
            let next = tokio::time::timeout_at(self.deadline, self.updates.next());
            let Some(update) = next.await.map_err(|_| self.too_long())? else { return Ok(None) };
            if let UpdateKind::News { key, part, news } = update?.kind
                && let Some(piece) = self.take(key, part, news)
            {
                return Ok(Some(piece));
            }
        }
    }

    fn take(&mut self, key: InstanceKey, part: u64, news: News) -> Option<Piece> {
        let expected = self.parts.insert(key, part + 1).unwrap_or_default();
        self.broken |= if part < expected { self.sounding } else { part > expected };
        match news {
            News::Log { .. } => None,
            News::Picture { bytes, media_type, .. } => Some(Piece::Picture { bytes, media_type }),
            News::Sound { format, bytes, .. } => {
                let usable = !self.broken && !bytes.is_empty();
                self.sounding |= usable;
                usable.then_some(Piece::Sound { format, bytes })
            }
        }
    }

    /// How the run ended. What is still told before is passed over.
    pub(crate) async fn end(&mut self) -> Result<RunView> {
        while self.next().await?.is_some() {}
        self.app.view(&self.caller, &self.run).await
    }

    fn too_long(&self) -> Error {
        let message = format!("run {} takes longer than a call may be held", self.run);
        let hint = "send the same request again to go on waiting for it; no second run begins";
        Error::new(ErrorKind::Timeout, message).hint(hint).retryable()
    }
}
