//! What there is of a result before the run is done, in order, and then its end.
//!
//! Invariants
//! - Pieces of sound that are given out are the sound from its beginning without a gap. When one was
//!   lost, or another attempt begins anew, no more are given out: the rest is cut from the result.
//! - A run that takes longer than somebody will wait goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use impasto_domain::{Error, ErrorKind, InstanceKey, News, Result, RunId, SoundFormat};
use impasto_engine::{RunHandle, UpdateKind, Updates};
use tokio::time::Instant;

use crate::app::App;
use crate::caller::Caller;
use crate::calls::{RunView, Ticket, ViewStatus};
use crate::events::Place;

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
    /// Until somebody waits for the end of it.
    ticket: Option<Ticket>,
    /// As soon as somebody wants a piece.
    updates: Option<Updates>,
    deadline: Instant,
    parts: BTreeMap<InstanceKey, u64>,
    sounding: bool,
    broken: bool,
    /// The place of whoever is told of them while they come.
    _place: Option<Place>,
}

impl Pieces {
    /// What comes of a run that was just accepted, for at most so long.
    pub(crate) fn of(app: &App, caller: &Caller, ticket: Ticket, at_most: Duration) -> Self {
        Self {
            app: app.clone(),
            caller: caller.clone(),
            run: ticket.run.clone(),
            ticket: Some(ticket),
            updates: None,
            deadline: Instant::now() + at_most,
            parts: BTreeMap::new(),
            sounding: false,
            broken: false,
            _place: None,
        }
    }

    /// The same for somebody who is told of them while they come, in this place.
    pub(crate) fn told_in(self, place: Option<Place>) -> Self {
        Self { _place: place, ..self }
    }

    /// The next piece; none when the run is over.
    pub(crate) async fn next(&mut self) -> Result<Option<Piece>> {
        loop {
            let deadline = self.deadline;
            let next = tokio::time::timeout_at(deadline, self.updates().next()).await;
            let Some(update) = next.map_err(|_| self.too_long())? else { return Ok(None) };
            if let UpdateKind::News { key, part, news } = update?.kind
                && let Some(piece) = self.take(key, part, news)
            {
                return Ok(Some(piece));
            }
        }
    }

    fn updates(&mut self) -> &mut Updates {
        let handle = self.ticket.as_mut().and_then(|ticket| ticket.handle.as_mut());
        let begun = handle.and_then(RunHandle::updates);
        let (app, caller, run) = (&self.app, &self.caller, &self.run);
        let anew = || begun.unwrap_or_else(|| app.updates(caller, run, 0));
        self.updates.get_or_insert_with(anew)
    }

    /// Whether a piece of sound is known to have been lost, or another attempt began anew.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
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
        if let (None, Some(ticket)) = (&self.updates, self.ticket.take()) {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let view = self.app.wait(&self.caller, ticket, left).await?;
            let is_left = view.status.is_over() || view.status == ViewStatus::Interrupted;
            return if is_left { Ok(view) } else { Err(self.too_long()) };
        }
        while self.next().await?.is_some() {}
        self.app.view(&self.caller, &self.run).await
    }

    fn too_long(&self) -> Error {
        let message = format!("run {} takes longer than a call may be held", self.run);
        let hint = "send the same request again to go on waiting for it; no second run begins";
        Error::new(ErrorKind::Timeout, message).hint(hint).retryable()
    }
}
