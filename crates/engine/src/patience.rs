//! How a run keeps at it while the store cannot be written.
//!
//! A disk that is full for a moment, or another process that keeps the database busy, would otherwise end
//! runs whose jobs are under way and paid for. Invariants
//! - Only an error after which nothing is written is tried again; the store says which those are. If it
//!   were wrong, the numbers of the events or the end of the lease would have the second try refused.
//! - Nothing follows from a turn meanwhile, as at any time before its commit.

use std::time::Duration;

use impasto_domain::Result;
use impasto_store::{Batch, Receipt};
use impasto_workflow::Event;
use tokio::time::Instant;

use crate::runner::{Message, Runner};

/// How long is waited before the second try; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest from one try to the next.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Runner {
    /// Commits a batch; again for a while where the store says that this may help.
    pub(crate) async fn commit(&mut self, batch: Batch) -> Result<Receipt> {
        let patience = Duration::from_millis(self.inner.options.store_patience_ms);
        let mut until = Instant::now() + patience;
        let (mut pause, mut missed) = (FIRST_PAUSE, Vec::new());
        let committed = loop {
            let error = match self.inner.parts.runs.commit(batch.clone()).await {
                Err(error) if error.retry && Instant::now() < until => error,
                answer => break answer,
            };
            if pause == FIRST_PAUSE {
                let message = format!("the run waits for its store: {error}");
                self.hub.log(self.inner.parts.clock.now_ms(), "warn", &message);
            }
            let next = until.min(Instant::now() + pause);
            if self.is_stopped_before(next, &mut missed).await {
                // One more try, and no waiting.
                until = Instant::now();
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        };
        missed.into_iter().for_each(|message| self.inbox.send(message));
        committed
    }

    /// Waits until then, unless the run is to stop. Messages that come are kept for later in `missed`.
    async fn is_stopped_before(&mut self, then: Instant, missed: &mut Vec<Message>) -> bool {
        loop {
            let message = tokio::select! {
                () = tokio::time::sleep_until(then) => return false,
                message = self.messages.recv() => message,
            };
            let Some(message) = message else { return true };
            let stops = matches!(*message, Message::LetGo | Message::Event(Event::Interrupted));
            missed.push(*message);
            if stops {
                return true;
            }
        }
    }
}
