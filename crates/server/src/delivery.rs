//! Whether an answer reached whoever asked.
//!
//! A client that sends no idempotency key and tries again after its connection broke means the same
//! wish. So it is noted when an answer was handed over and when its connection ended before: the same
//! request then becomes the run that there is, not a second one.
//!
//! That an answer was handed over does not say that it arrived. Of a client that is known to go on using
//! its connection, more can be said ([`Delivery::until_heard`]).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use impasto_domain::{RunId, TenantId};
use impasto_store::{Claim, ClaimKind, DeliveryState};
use tokio::sync::watch;

use crate::app::App;
use crate::caller::Caller;

/// An answer that is about to be given. Dropped before it was handed over, it counts as broken.
pub(crate) struct Delivery {
    open: Option<Open>,
}

struct Open {
    app: App,
    tenant: TenantId,
    key: String,
    run: RunId,
    /// What tells whether it arrived, and how long it may be asked for again if it did not.
    line: Option<(Line, Duration)>,
}

/// How long a connection stays open, at least, whose client got an answer and has nothing else to ask.
const KEPT: Duration = Duration::from_secs(1);

/// A connection, on each of its requests: how many there were so far, and whether it is still there.
#[derive(Clone, Debug)]
pub(crate) struct Line(pub(crate) watch::Receiver<u64>);

impl Line {
    /// Whether the connection stayed, or was used again, after what was just answered.
    async fn stays(mut self) -> bool {
        self.0.mark_unchanged();
        let changed = tokio::time::timeout(KEPT, self.0.changed()).await;
        !matches!(changed, Ok(Err(_)))
    }
}

impl Open {
    async fn note(&self, state: DeliveryState) {
        let Self { app, tenant, key, run, .. } = self;
        let noted = app.engine().delivered(tenant.clone(), key.clone(), run.clone(), state);
        // If it cannot be noted, the delivery stays open: a retry is then a wish of its own.
        let _unknown = noted.await;
    }
}

impl Delivery {
    fn end(&mut self, state: DeliveryState) {
        let Some(mut open) = self.open.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let line = open.line.take().filter(|_| state == DeliveryState::Answered);
            if let Some((line, again)) = line
                && !line.stays().await
            {
                open.note(DeliveryState::Broken).await;
                tokio::time::sleep(again).await;
            }
            open.note(state).await;
        });
    }

    /// Counts an answer as given only if its connection stays or is used again. Otherwise the same
    /// request means the same wish for so long: as long as the client takes to try again, and less than
    /// somebody takes to wish the same once more.
    pub(crate) fn until_heard(mut self, line: Option<Line>, again: Duration) -> Self {
        if let Some(open) = &mut self.open {
            open.line = line.map(|line| (line, again));
        }
        self
    }

    /// Lets another delivery of the same answer take over: nothing is noted.
    pub(crate) fn hand_on(mut self) {
        self.open = None;
    }

    /// The response, watched until it is handed over.
    pub(crate) fn over(self, response: Response) -> Response {
        if self.open.is_none() {
            return response;
        }
        response.map(|body| Body::new(Watched { body, delivery: self }))
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.end(DeliveryState::Broken);
    }
}

impl App {
    /// Watches over the answer to a call that became this run under this claim.
    pub(crate) fn delivery(&self, caller: &Caller, claim: Option<&Claim>, run: &RunId) -> Delivery {
        let open = claim.filter(|claim| claim.kind == ClaimKind::Delivery).map(|claim| Open {
            app: self.clone(),
            tenant: caller.tenant.clone(),
            key: claim.key.clone(),
            run: run.clone(),
            line: None,
        });
        Delivery { open }
    }
}

struct Watched {
    body: Body,
    delivery: Delivery,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Err(_))) => self.delivery.end(DeliveryState::Broken),
            Poll::Ready(None) => self.delivery.end(DeliveryState::Answered),
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => {
                self.delivery.end(DeliveryState::Answered);
            }
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_ends_at_once_has_not_carried_the_answer() {
        let (requests, seen) = watch::channel(1);
        let kept = tokio::spawn(Line(seen.clone()).stays());
        assert!(kept.await.unwrap(), "it stays open");
        let kept = tokio::spawn(Line(seen.clone()).stays());
        tokio::task::yield_now().await;
        requests.send_modify(|count| *count += 1);
        assert!(kept.await.unwrap(), "it is used again");
        let kept = tokio::spawn(Line(seen).stays());
        tokio::task::yield_now().await;
        drop(requests);
        assert!(!kept.await.unwrap(), "it ends");
    }
}
